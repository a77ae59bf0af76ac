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
mod census;
mod config;
mod core;
mod handlers;
mod kept;
mod listener;
mod mail;
mod message;
mod ports;
mod queue;
mod reader;
mod search;
mod sender;
mod wire;

pub use actor::{Args, ExchangeActor};
pub use config::Config;
pub use kept::{Delta, Kept};
pub use ports::Ports;
pub use wire::Wire;
