//! The shell: keeps a driver running and passes commands to it.

use crate::driver::Command;
use crate::{Network, NetworkError};
use ipfrs_actor::{Actor, Ctx, Service, service};
use std::time::Duration;

/// Pause before another try when a driver cannot even be built.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);

/// The swarm's shell.
pub struct SwarmActor {
    pub(crate) network: Network,
}

impl Actor for SwarmActor {
    type Context = Ctx<Self>;

    fn started(&mut self, ctx: &mut Ctx<Self>) {
        self.keep_driver(ctx);
    }

    fn stopping(&mut self, _: &mut Ctx<Self>) -> actix::Running {
        // Only a halt by the supervisor comes here; a crash of the shell leaves the driver alone.
        actix::Running::Stop
    }
}

impl Service for SwarmActor {
    type Args = Network;
    /// The driver, the view and the registrations stand outside in [`Network`].
    type Kept = ();
    fn build(network: &Network, (): &()) -> Self {
        SwarmActor { network: network.clone() }
    }
}
service!(SwarmActor);

impl SwarmActor {
    fn keep_driver(&mut self, ctx: &mut Ctx<Self>) {
        ctx.task(self.network.clone().drive(), |lost: Result<(), NetworkError>, actor, ctx| match lost {
            Ok(()) => actor.keep_driver(ctx),
            Err(error) => {
                tracing::error!(target: "swarm", %error, "no network driver");
                ctx.after(REBUILD_PAUSE, |actor, ctx| actor.keep_driver(ctx));
            }
        });
    }

    /// Passes a command on; `Err` gives it back when no driver can take it.
    pub(crate) fn pass(&self, command: Command) -> Result<(), Command> {
        self.network.send(command)
    }
}
