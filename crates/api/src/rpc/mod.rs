//! The commands, one file for each family.

mod actors;
mod add;
mod block;
mod bw;
mod cat;
mod get;
mod id;
mod ls;
mod ping;
mod routing;
mod swarm;

use crate::error::ApiError;
use crate::server::App;
use axum::Router;
use axum::response::Response;
use axum::routing::post;

/// How a command ends.
type Answer = Result<Response, ApiError>;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/id", post(id::id))
        .route("/version", post(id::version))
        .route("/config/show", post(id::config))
        .route("/shutdown", post(id::shutdown))
        .route("/swarm/peers", post(swarm::peers))
        .route("/swarm/connect", post(swarm::connect))
        .route("/swarm/disconnect", post(swarm::disconnect))
        .route("/swarm/addrs", post(swarm::addrs))
        .route("/swarm/addrs/local", post(swarm::local))
        .route("/swarm/addrs/listen", post(swarm::listen))
        .route("/ping", post(ping::ping))
        .route("/routing/provide", post(routing::provide))
        .route("/routing/findprovs", post(routing::find_providers))
        .route("/routing/findpeer", post(routing::find_peer))
        .route("/routing/put", post(routing::put))
        .route("/routing/get", post(routing::get))
        .route("/add", post(add::add))
        .route("/cat", post(cat::cat))
        .route("/get", post(get::get))
        .route("/ls", post(ls::ls))
        .route("/block/get", post(block::get))
        .route("/block/put", post(block::put))
        .route("/block/stat", post(block::stat))
        .route("/stats/bw", post(bw::bandwidth))
        .route("/bitswap/stat", post(bw::bitswap))
        .route("/actors/tree", post(actors::tree))
        .route("/actors/kill", post(actors::kill))
        .route("/actors/restart", post(actors::restart))
        .route("/actors/watch", post(actors::watch))
}
