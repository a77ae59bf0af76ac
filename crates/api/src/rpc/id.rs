//! Who this node is and how it is set up; its end.

use super::Answer;
use crate::args::{self, Args};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipfrs_contract::{Multiaddr, PeerId, Protocol};
use serde_json::{Value, json};

pub(crate) async fn id(State(app): State<App>, args: Args) -> Answer {
    args.known(&["format", "peerid-base"])?;
    args.only("peerid-base", &["b58mh"])?;
    let identity = match args.maybe()?.map(args::peer).transpose()? {
        Some(peer) if peer != app.node.peer_id() => args.within(of_peer(&app, peer)).await?,
        _ => args.within(own(&app)).await?,
    };
    Ok(Json(identity).into_response())
}

async fn own(app: &App) -> Result<Value, ApiError> {
    let node = &app.node;
    let local = node.swarm().local_addrs().await?;
    let key = BASE64_STANDARD.encode(node.public_key().encode_protobuf());
    let addrs = local.listen.into_iter().chain(local.external);
    Ok(identity(node.peer_id(), key, addrs, node.agent(), local.protocols))
}

/// What identify told about a peer; connects to it when nothing is known yet.
async fn of_peer(app: &App, peer: PeerId) -> Result<Value, ApiError> {
    let node = &app.node;
    let known = match node.peers().get(peer).await? {
        Some(known) if known.agent.is_some() => known,
        _ => {
            let mut events = node.swarm().events();
            node.swarm().connect_peer(peer).await?;
            loop {
                if let Some(known) = node.peers().get(peer).await?.filter(|known| known.agent.is_some()) {
                    break known;
                }
                events.next().await.ok_or_else(|| ApiError::failed("the node is stopping"))?;
            }
        }
    };
    Ok(identity(peer, String::new(), known.addrs, &known.agent.unwrap_or_default(), known.protocols))
}

fn identity(
    peer: PeerId,
    key: String,
    addrs: impl IntoIterator<Item = Multiaddr>,
    agent: &str,
    mut protocols: Vec<String>,
) -> Value {
    let addrs: Vec<_> = addrs.into_iter().map(|addr| full(addr, peer).to_string()).collect();
    protocols.sort();
    json!({ "ID": peer.to_string(), "PublicKey": key, "Addresses": addrs, "AgentVersion": agent, "Protocols": protocols })
}

/// The address with `/p2p/…` at its end.
pub(super) fn full(addr: Multiaddr, peer: PeerId) -> Multiaddr {
    if addr.iter().last() == Some(Protocol::P2p(peer)) { addr } else { addr.with(Protocol::P2p(peer)) }
}

pub(crate) async fn version(args: Args) -> Answer {
    args.known(&["number", "commit", "repo", "all"])?;
    let system = format!("{}/{}", std::env::consts::ARCH, std::env::consts::OS);
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({ "Version": version, "Commit": "", "Repo": "1", "System": system, "Golang": "" })).into_response())
}

pub(crate) async fn config(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    Ok(Json(app.node.config()).into_response())
}

pub(crate) async fn shutdown(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    app.asked.send_replace(true);
    Ok(().into_response())
}
