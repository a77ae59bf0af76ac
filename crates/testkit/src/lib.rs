//! What tests stand on: real Kubo and our real daemon as child processes, embedded nodes, ways to wait and to look.
//!
//! | part | what it is for |
//! |---|---|
//! | [`Kubo`], [`kubo_or_skip`] | a Kubo daemon with a repo of its own on loopback |
//! | [`Repo`], [`Daemon`] | our binary: a repo, commands run in it, a daemon started in it as often as needed |
//! | [`Rpc`] | the HTTP API that both of them speak |
//! | [`embedded`] | a node of ours inside the test process |
//! | [`eventually`], [`Seed`], [`Footprint`] | wait for a state, repeat a random run, see what a process holds |
//!
//! Everything here panics when it cannot do its work: a helper that fails is a test that fails.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod binary;
mod daemon;
mod data;
mod embedded;
mod kubo;
mod process;
mod rpc;
mod seed;
mod wait;

pub use binary::{cargo, daemon_binary, workspace};
pub use daemon::{Daemon, Repo, setting};
pub use data::{AWKWARD_SIZES, Tree, bytes};
pub use embedded::{embedded, embedded_config};
pub use kubo::{Kubo, KuboOptions, Routing, kubo_or_skip};
pub use process::{Footprint, Process, Ran};
pub use rpc::{Identity, Rpc, RpcError, metric};
pub use seed::Seed;
pub use wait::{LIMIT, eventually, within};
