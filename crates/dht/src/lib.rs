//! Content and peer routing over the IPFS Kademlia networks.
//!
//! Every operation runs in the public and in the local network at once and merges what they find. The networks
//! themselves live in the swarm; this crate decides what is asked, shared, repeated and believed.
//!
//! | hears | says | publishes |
//! |---|---|---|
//! | every message of [`ipfrs_contract::dht`] | `StartQuery`, `StopProviding`, `GetRoutingTables` to the swarm | nothing |
//! | the topic of [`SwarmEvent`](ipfrs_contract::swarm::SwarmEvent) | `GetAddrs`, `AddAddrs` to the peer store | |
#![forbid(unsafe_code)]

mod actor;
mod cbor;
mod config;
mod handlers;
mod ipns;
mod lookup;
mod ops;
mod ports;
mod query;
mod record;
mod schedule;

pub use actor::{Args, Delta, DhtActor, Kept};
pub use config::Config;
pub use ports::Ports;
pub use record::{RecordError, validate_record};
