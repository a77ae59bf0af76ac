//! The library people embed: builder, presets, wiring and typed handles.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let node = ipfrs_node::Node::builder().ephemeral().start().await?;
//! let added = node.content().add(&b"hello"[..], &Default::default()).await?;
//! println!("{} at {}", added.cid, node.peer_id());
//! node.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod builder;
pub mod config;
mod content;
mod error;
mod handles;
mod identity;
mod node;
mod preset;
mod repo;
mod settings;

pub use builder::{NodeBuilder, StartError};
pub use config::{Config, ConfigError};
pub use content::{Added, Adder, CatStream, ContentHandle, EntryKind, ListEntry, PathStat, WalkItem};
pub use error::NodeError;
pub use handles::{ActorsHandle, DhtHandle, ExchangeHandle, KillError, PeerHandle, SwarmHandle};
pub use ipfrs_actor::{CallError, Fault, Heard, Subscription};
pub use ipfrs_blocks::{AddOptions, BlockStore};
pub use ipfrs_contract as contract;
pub use ipfrs_supervisor::{ChildStatus, Event, EventKind, Finished, ShutdownReport, UnknownChild};
pub use node::{Health, Node};
pub use preset::Preset;
pub use repo::{InitOptions, Initialised, Repo, RepoError};
