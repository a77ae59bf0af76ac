//! Connections and addresses.

use super::Answer;
use super::id::full;
use crate::args::{self, Args};
use crate::error::ApiError;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use ipfrs_contract::swarm::{ConnectionInfo, Direction};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) async fn peers(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose", "streams", "latency", "direction", "identify"])?;
    args.only("streams", &["false"])?;
    let verbose = args.flag("verbose")?;
    let (latency, direction) = (verbose || args.flag("latency")?, verbose || args.flag("direction")?);
    let identify = verbose || args.flag("identify")?;
    let mut connections = args.within(app.node.swarm().connections()).await?;
    connections.sort_by_cached_key(|c| (c.addr.to_string(), c.peer));
    let peers: Vec<_> = connections.into_iter().map(|c| describe(c, latency, direction, identify)).collect();
    Ok(Json(json!({ "Peers": peers })).into_response())
}

fn describe(connection: ConnectionInfo, latency: bool, direction: bool, identify: bool) -> Value {
    let ConnectionInfo { peer, addr, rtt, agent, protocols, .. } = connection;
    let latency = match rtt {
        _ if !latency => String::new(),
        Some(rtt) => format!("{rtt:?}"),
        None => "n/a".to_owned(),
    };
    // go-libp2p's numbers; 0 is unknown, or not asked for.
    let direction = match connection.direction {
        _ if !direction => 0,
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    };
    let identify = if identify {
        json!({ "ID": peer.to_string(), "AgentVersion": agent.unwrap_or_default(), "Protocols": protocols, "Addresses": [], "PublicKey": "" })
    } else {
        json!({ "ID": "", "AgentVersion": "", "Protocols": null, "Addresses": null, "PublicKey": "" })
    };
    json!({
        "Addr": addr.to_string(), "Peer": peer.to_string(), "Latency": latency, "Muxer": "",
        "Direction": direction, "Streams": null, "Identify": identify,
    })
}

pub(crate) async fn connect(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let addrs = args.all()?.into_iter().map(args::multiaddr).collect::<Result<Vec<_>, _>>()?;
    let mut done = Vec::new();
    for addr in addrs {
        let connection = args.within(app.node.swarm().connect(addr.clone())).await;
        let connection = connection.map_err(|e| ApiError::failed(format!("connect {addr} failure: {e}")))?;
        done.push(format!("connect {} success", connection.peer));
    }
    Ok(strings(done))
}

pub(crate) async fn disconnect(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let peers = args.all()?.into_iter().map(args::peer).collect::<Result<Vec<_>, _>>()?;
    let mut done = Vec::new();
    for peer in peers {
        if args.within(app.node.swarm().disconnect(peer)).await? == 0 {
            return Err(ApiError::failed(format!("disconnect {peer} failure: not connected")));
        }
        done.push(format!("disconnect {peer} success"));
    }
    Ok(strings(done))
}

/// Addresses of every known peer.
pub(crate) async fn addrs(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let known = args.within(app.node.peers().list()).await?;
    let texts = |addrs: &[ipfrs_contract::Multiaddr]| addrs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let addrs: BTreeMap<_, _> = known.iter().map(|peer| (peer.peer.to_string(), texts(&peer.addrs))).collect();
    Ok(Json(json!({ "Addrs": addrs })).into_response())
}

pub(crate) async fn local(State(app): State<App>, args: Args) -> Answer {
    args.known(&["id"])?;
    let id = args.flag("id")?;
    let local = args.within(app.node.swarm().local_addrs()).await?;
    let peer = app.node.peer_id();
    let all = local.listen.into_iter().chain(local.external);
    Ok(strings(all.map(|addr| if id { full(addr, peer) } else { addr }.to_string()).collect()))
}

pub(crate) async fn listen(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let local = args.within(app.node.swarm().local_addrs()).await?;
    Ok(strings(local.listen.iter().map(ToString::to_string).collect()))
}

fn strings(lines: Vec<String>) -> axum::response::Response {
    Json(json!({ "Strings": lines })).into_response()
}
