//! Everything the DHT may say, and the topic it hears.

use ipfrs_actor::{Port, Topic};
use ipfrs_contract::peerstore::{AddAddrs, GetAddrs};
use ipfrs_contract::swarm::{GetRoutingTables, StartQuery, StopProviding, SwarmEvent};

/// Whom the DHT talks to.
#[derive(Clone)]
pub struct Ports {
    /// Runs routing queries.
    pub start: Port<StartQuery>,
    /// Ends an announcement.
    pub stop: Port<StopProviding>,
    /// Asks which networks have peers.
    pub tables: Port<GetRoutingTables>,
    /// Asks for addresses known already.
    pub addrs: Port<GetAddrs>,
    /// Remembers addresses that came with an answer.
    pub add_addrs: Port<AddAddrs>,
    /// What happens in the network.
    pub topic: Topic<SwarmEvent>,
}
