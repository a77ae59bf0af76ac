//! `ipfrs actors`: the daemon's supervision tree.

use crate::client::Client;
use crate::error::CliError;
use crate::output::{line, table};
use clap::Subcommand;
use serde::Deserialize;

/// The network driver is a task of the swarm, whose row stands before it.
const DRIVER: &str = "driver";
const HEADINGS: [&str; 8] = ["ACTOR", "STATE", "INCARNATION", "RESTARTS", "MAILBOX", "HANDLED", "PANICS", "LAST EXIT"];

#[derive(Debug, Subcommand)]
pub(crate) enum ActorsCommand {
    /// Show every actor
    Tree,
    /// Break an actor on purpose; the daemon must run with --chaos
    Kill {
        /// Which
        actor: String,
        /// panic, timer, spawned, started, or block=DURATION such as block=200ms
        #[arg(long)]
        how: String,
    },
    /// Stop an actor and start it again
    Restart {
        /// Which
        actor: String,
    },
    /// Print what happens to actors until interrupted
    Watch,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tree {
    actors: Vec<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    name: String,
    state: String,
    incarnation: u64,
    restarts: u64,
    mailbox: u64,
    mailbox_limit: u64,
    handled: u64,
    panics: u64,
    last_exit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    message: String,
}

#[derive(Deserialize)]
struct Event {
    /// Seconds since the daemon started.
    at: f64,
    child: String,
    incarnation: u64,
    event: String,
    reason: Option<String>,
    message_type: Option<String>,
    span: Option<String>,
    backtrace: Option<String>,
    delay_ms: Option<u64>,
}

impl ActorsCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let done = |done: Done| line(done.message);
        match self {
            ActorsCommand::Tree => client.call("actors/tree").show(tree).await,
            ActorsCommand::Kill { actor, how } => {
                client.call("actors/kill").arg(&actor).opt("how", Some(how)).show(done).await
            }
            ActorsCommand::Restart { actor } => client.call("actors/restart").arg(&actor).show(done).await,
            ActorsCommand::Watch => client.call("actors/watch").show(|event: Event| line(event.sentence())).await,
        }
    }
}

fn tree(tree: Tree) -> Result<(), CliError> {
    let headings = HEADINGS.map(str::to_owned).to_vec();
    let rows: Vec<_> = [headings].into_iter().chain(tree.actors.into_iter().map(Actor::row)).collect();
    table(&rows)
}

impl Actor {
    fn row(self) -> Vec<String> {
        vec![
            if self.name == DRIVER { format!("  {DRIVER}") } else { self.name },
            self.state,
            self.incarnation.to_string(),
            self.restarts.to_string(),
            format!("{}/{}", self.mailbox, self.mailbox_limit),
            self.handled.to_string(),
            self.panics.to_string(),
            self.last_exit.unwrap_or_default(),
        ]
    }
}

impl Event {
    fn sentence(&self) -> String {
        let mut text = format!("{:9.3} {}#{} {}", self.at, self.child, self.incarnation, self.event);
        let details = [
            self.reason.as_ref().map(|reason| format!(": {reason}")),
            self.message_type.as_ref().map(|message| format!(", handling {message}")),
            self.span.as_ref().map(|span| format!(", in {span}")),
            self.delay_ms.map(|delay| format!(" in {delay} ms")),
            self.backtrace.as_ref().map(|trace| format!("\n{}", trace.trim_end())),
        ];
        text.extend(details.into_iter().flatten());
        text
    }
}
