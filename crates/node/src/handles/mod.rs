//! Typed async handles; nothing of actix or libp2p is seen through them.

mod actors;
mod dht;
mod exchange;
mod peers;
mod swarm;

pub use actors::{ActorsHandle, KillError};
pub use dht::DhtHandle;
pub(crate) use dht::DhtPorts;
pub use exchange::ExchangeHandle;
pub(crate) use exchange::ExchangePorts;
pub use peers::PeerHandle;
pub(crate) use peers::PeerPorts;
pub use swarm::SwarmHandle;
pub(crate) use swarm::SwarmPorts;

use crate::NodeError;
use ipfrs_actor::{Message, Port};
use std::time::Duration;

/// Calls that only touch an actor's own state.
pub(crate) const QUICK: Duration = Duration::from_secs(10);
/// Calls that wait for one peer.
pub(crate) const PEER: Duration = Duration::from_secs(60);
/// Calls that wait for a lookup; the query time-out is shorter.
pub(crate) const LOOKUP: Duration = Duration::from_secs(180);

/// Calls a port and names the actor if it does not answer.
pub(crate) async fn call<M>(port: &Port<M>, message: M, deadline: Duration) -> Result<M::Result, NodeError>
where
    M: Message + Send + 'static,
    M::Result: Send + 'static,
{
    port.call(message, deadline).await.map_err(|cause| NodeError::Call { actor: port.target(), cause })
}
