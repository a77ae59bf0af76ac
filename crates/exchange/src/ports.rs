//! Everything the exchange may say, and the topic it hears.

use ipfrs_actor::{Port, Topic};
use ipfrs_contract::dht::FindProviders;
use ipfrs_contract::peerstore::AddAddrs;
use ipfrs_contract::swarm::{Dial, ListConnections, OpenStream, RegisterProtocol, SwarmEvent};

/// Whom the exchange talks to.
#[derive(Clone)]
pub struct Ports {
    /// Opens streams to peers.
    pub open_stream: Port<OpenStream>,
    /// Serves the protocol.
    pub register: Port<RegisterProtocol>,
    /// Connects to providers.
    pub dial: Port<Dial>,
    /// Asks who is connected, after a gap in the events.
    pub connections: Port<ListConnections>,
    /// Finds providers.
    pub find_providers: Port<FindProviders>,
    /// Remembers addresses of providers.
    pub add_addrs: Port<AddAddrs>,
    /// What happens in the network.
    pub topic: Topic<SwarmEvent>,
}
