//! The network: a libp2p swarm in a driver task behind a supervised shell.
//!
//! | hears | says | publishes |
//! |---|---|---|
//! | [`Dial`], [`Disconnect`], [`Listen`], [`ListConnections`], [`GetLocalAddrs`], [`OpenStream`], [`RegisterProtocol`], [`SetBanned`], [`SetProtected`], [`GetBandwidth`], [`StartQuery`], [`StopProviding`], [`GetRoutingTables`] | nothing: the swarm calls nobody | [`SwarmEvent`] |
//!
//! The shell may crash and restart and no connection notices: the swarm lives in the driver. When the driver is lost
//! the shell builds a new one with the same identity, ports and protocols and dials the peers that were connected.
//!
//! [`Dial`]: ipfrs_contract::swarm::Dial
//! [`Disconnect`]: ipfrs_contract::swarm::Disconnect
//! [`Listen`]: ipfrs_contract::swarm::Listen
//! [`ListConnections`]: ipfrs_contract::swarm::ListConnections
//! [`GetLocalAddrs`]: ipfrs_contract::swarm::GetLocalAddrs
//! [`OpenStream`]: ipfrs_contract::swarm::OpenStream
//! [`RegisterProtocol`]: ipfrs_contract::swarm::RegisterProtocol
//! [`SetBanned`]: ipfrs_contract::swarm::SetBanned
//! [`SetProtected`]: ipfrs_contract::swarm::SetProtected
//! [`GetBandwidth`]: ipfrs_contract::swarm::GetBandwidth
//! [`StartQuery`]: ipfrs_contract::swarm::StartQuery
//! [`StopProviding`]: ipfrs_contract::swarm::StopProviding
//! [`GetRoutingTables`]: ipfrs_contract::swarm::GetRoutingTables
//! [`SwarmEvent`]: ipfrs_contract::swarm::SwarmEvent
#![forbid(unsafe_code)]

mod actor;
mod behaviour;
mod bridge;
mod config;
mod driver;
mod executor;
mod guarded;
mod handlers;
mod network;
mod security;
mod streams;
#[cfg(test)]
mod tests;
mod transport;
mod view;

pub use actor::SwarmActor;
pub use config::{Config, DhtMode, DialPolicy, Limits, RecordValidator, RoutingConfig};
pub use network::{Network, NetworkError};
