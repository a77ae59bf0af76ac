//! A small supervised program on the mechanism alone: an actor that crashes, the restart that its callers hardly
//! notice, and the state that survives because it was committed.
//!
//! `cargo run -p ipfrs-examples --example supervised`

use ipfrs_actor::{Actor, CallError, Ctx, Handler, Kept, Lanes, Message, MessageResult, Service, service};
use ipfrs_supervisor::{Policy, Spec, Tree};
use std::{error::Error, time::Duration};

/// How long a caller waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// Divides and adds the quotient to the total.
struct Divide(u64, u64);
impl Message for Divide {
    type Result = u64;
}

/// Asks for the total and the incarnation that answers.
struct GetTotal;
impl Message for GetTotal {
    type Result = (u64, u64);
}

/// The total stands outside the actor: a crash does not touch it.
#[derive(Default)]
struct Total(u64);
impl Kept for Total {
    type Delta = u64;
    fn apply(&mut self, quotient: u64) {
        self.0 += quotient;
    }
}

struct Calculator {
    total: u64,
}
impl Actor for Calculator {
    type Context = Ctx<Self>;
}
impl Service for Calculator {
    type Args = ();
    type Kept = Total;
    fn build(_: &(), kept: &Total) -> Self {
        Calculator { total: kept.0 }
    }
}
service!(Calculator);

impl Handler<Divide> for Calculator {
    type Result = MessageResult<Divide>;
    fn handle(&mut self, Divide(dividend, divisor): Divide, ctx: &mut Ctx<Self>) -> Self::Result {
        // Panics when the divisor is 0.
        let quotient = dividend / divisor;
        self.total += quotient;
        ctx.commit(quotient);
        MessageResult(quotient)
    }
}
impl Handler<GetTotal> for Calculator {
    type Result = MessageResult<GetTotal>;
    fn handle(&mut self, _: GetTotal, ctx: &mut Ctx<Self>) -> Self::Result {
        MessageResult((self.total, ctx.incarnation()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut tree = Tree::new(Policy::default(), Lanes::PerActor);
    let calculator = tree.child::<Calculator>(Spec::permanent("calculator"), ());
    let supervisor = tree.start().await?;

    println!("12 / 3 = {}", calculator.call(Divide(12, 3), DEADLINE).await?);
    match calculator.call(Divide(1, 0), DEADLINE).await {
        Err(CallError::Crashed { incarnation }) => println!("1 / 0 crashed incarnation {incarnation}"),
        other => return Err(format!("1 / 0 should crash: {other:?}").into()),
    }
    println!("10 / 2 = {}", calculator.call(Divide(10, 2), DEADLINE).await?);

    let (total, incarnation) = calculator.call(GetTotal, DEADLINE).await?;
    println!("the total is {total}, says incarnation {incarnation}");
    assert_eq!((total, incarnation), (9, 2));
    supervisor.shutdown(DEADLINE).await;
    Ok(())
}
