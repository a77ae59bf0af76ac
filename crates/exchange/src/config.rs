//! What the exchange obeys.

use std::time::Duration;

/// Configuration of the exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Send blocks to peers that ask; otherwise they are told that nothing is here.
    pub serve: bool,
    /// A peer that sent nothing for so long is passed over for another.
    pub want_timeout: Duration,
    /// Peers already connected get this long to answer before the DHT is asked.
    pub provider_search_delay: Duration,
    /// Connected peers asked for a new want.
    pub max_peers_asked: usize,
}
