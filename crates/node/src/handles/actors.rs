//! The supervision tree from outside.

use ipfrs_actor::Fault;
use ipfrs_supervisor::{ChildStatus, Event, Supervisor, UnknownChild};
use ipfrs_swarm::Network;
use tokio::sync::broadcast;

/// The name under which the network driver can be killed; it is a task of the swarm, not an actor.
const DRIVER: &str = "driver";

/// The supervision tree of a node.
#[derive(Clone)]
pub struct ActorsHandle {
    pub(crate) tree: Supervisor,
    pub(crate) network: Network,
    pub(crate) chaos: bool,
}

/// An actor was not killed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// The node was not started for this.
    #[error("killing actors needs a daemon started with --chaos")]
    NeedsChaos,
    /// No such actor.
    #[error("{0}")]
    Unknown(#[from] UnknownChild),
    /// The driver can only be killed by a panic.
    #[error("the network driver can only be killed with --how panic")]
    DriverOnlyPanics,
}

impl ActorsHandle {
    /// Every actor as it is now.
    pub fn tree(&self) -> Vec<ChildStatus> {
        self.tree.status()
    }

    /// How many network drivers there have been; 1 when none was lost.
    pub fn driver_generation(&self) -> u64 {
        self.network.generation()
    }

    /// Breaks an actor, or the network `driver`, on purpose; only in a node built with `chaos(true)`.
    pub fn kill(&self, name: &str, fault: Fault) -> Result<(), KillError> {
        if !self.chaos {
            return Err(KillError::NeedsChaos);
        }
        if name != DRIVER {
            return Ok(self.tree.inject(name, fault)?);
        }
        if fault != Fault::Panic {
            return Err(KillError::DriverOnlyPanics);
        }
        self.network.crash_driver();
        Ok(())
    }

    /// Stops an actor in order and starts it again.
    pub async fn restart(&self, name: &str) -> Result<(), UnknownChild> {
        self.tree.restart(name).await
    }

    /// Starts, exits and restarts from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.tree.events()
    }
}
