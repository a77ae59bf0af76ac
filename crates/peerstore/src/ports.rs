//! Everything the peer store may say, and the topic it hears.

use ipfrs_actor::{Port, Topic};
use ipfrs_contract::swarm::{Dial, ListConnections, SetBanned, SetProtected, SwarmEvent};

/// Whom the peer store talks to.
#[derive(Clone)]
pub struct Ports {
    /// Connects to peers.
    pub dial: Port<Dial>,
    /// Asks who is connected, after a gap in the events.
    pub connections: Port<ListConnections>,
    /// Hands the ban list to where it is enforced.
    pub set_banned: Port<SetBanned>,
    /// Hands over the list of protected peers.
    pub set_protected: Port<SetProtected>,
    /// What happens in the network.
    pub topic: Topic<SwarmEvent>,
}
