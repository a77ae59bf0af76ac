//! HTTP over a node's handles: Kubo's RPC, metrics and health.
//!
//! | path | what it is |
//! |---|---|
//! | `POST /api/v0/…` | commands in the shape of [Kubo's RPC](https://docs.ipfs.tech/reference/kubo/rpc/): arguments in the query, answers as JSON, newline-delimited JSON or bytes |
//! | `GET /metrics`, `GET /debug/metrics/prometheus` | our metrics and libp2p's on one page, in Prometheus' text format |
//! | `GET /healthz` | the supervisor's view: 200 when every actor runs, 503 otherwise |
//!
//! Only requests whose `Host` is a loopback name are answered, and none that another web page sends: a browser on this
//! machine cannot be made to drive the node.
//!
//! A stream that fails after it began is cut off, so that no client takes a part for the whole; a client that sends
//! `TE: trailers` is told why in the trailer `X-Stream-Error`.
#![forbid(unsafe_code)]

mod args;
mod duration;
mod error;
mod guard;
mod listener;
mod pages;
mod rpc;
mod server;
mod stream;
mod upload;

pub use duration::{BadDuration, parse_duration};
pub use server::{Server, serve};
