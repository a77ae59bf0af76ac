//! Known peers, ban list and protection, persisted across crashes.
//!
//! It also decides whom to dial without being asked: known peers after a start, bootstrap peers while too few are
//! connected, protected peers when they are lost, peers found on the local network.
//!
//! | hears | says | publishes |
//! |---|---|---|
//! | every message of [`ipfrs_contract::peerstore`] | `Dial`, `ListConnections`, `SetBanned`, `SetProtected` to the swarm | nothing |
//! | the topic of [`SwarmEvent`](ipfrs_contract::swarm::SwarmEvent) | | |
#![forbid(unsafe_code)]

mod actor;
mod addrs;
mod book;
mod config;
mod export;
mod handlers;
mod policy;
mod ports;
mod storage;

pub use actor::{Args, Delta, Kept, PeerStoreActor};
pub use config::Config;
pub use export::ImportError;
pub use ports::Ports;
pub use storage::{Opened, Storage};
