//! Bitswap 1.2: fetches blocks from peers and serves blocks to them.
//!
//! | hears | says | publishes |
//! |---|---|---|
//! | [`OpenSession`], [`Want`], [`CloseSession`], [`BlocksAdded`], [`GetExchangeStat`]; swarm events | open streams, register the protocol, dial, list connections (swarm); find providers (DHT); remember addresses (peer store) | nothing |
//!
//! Blocks never cross a mailbox: reader and sender tasks move them between streams and the block store. The actor
//! decides whom to ask for what; it may crash and restart in the middle of a transfer.
//!
//! [`OpenSession`]: ipfrs_contract::exchange::OpenSession
//! [`Want`]: ipfrs_contract::exchange::Want
//! [`CloseSession`]: ipfrs_contract::exchange::CloseSession
//! [`BlocksAdded`]: ipfrs_contract::exchange::BlocksAdded
//! [`GetExchangeStat`]: ipfrs_contract::exchange::GetExchangeStat
#![forbid(unsafe_code)]

mod actor;
mod config;
mod core;
mod handlers;
mod message;
mod ports;
mod reader;
mod sender;
mod wire;

pub use actor::{Args, Delta, ExchangeActor, Kept};
pub use config::Config;
pub use ports::Ports;
pub use wire::Wire;
