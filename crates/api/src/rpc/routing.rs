//! Content and peer routing, answered as the query events of go-libp2p's routing package.

use super::Answer;
use crate::args::{self, Args};
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Kind, stream};
use crate::upload;
use axum::extract::{Multipart, State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipfrs_contract::dht::MAX_VALUE_BYTES;
use ipfrs_contract::{Cid, PeerAddrs, PeerId};
use serde_json::{Value, json};

/// Types of query events.
const FINAL_PEER: u8 = 2;
const PROVIDER: u8 = 4;
const VALUE: u8 = 5;
/// Providers looked for when nobody says how many.
const PROVIDERS: usize = 20;

fn event(kind: u8, responses: &[PeerAddrs], extra: &str) -> Value {
    let texts = |peer: &PeerAddrs| peer.addrs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let responses: Vec<_> = responses.iter().map(|p| json!({ "ID": p.peer.to_string(), "Addrs": texts(p) })).collect();
    let responses = if responses.is_empty() { Value::Null } else { responses.into() };
    json!({ "ID": "", "Type": kind, "Responses": responses, "Extra": extra })
}

/// Announces content that is here.
pub(crate) async fn provide(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose", "recursive"])?;
    args.only("recursive", &["false"])?;
    let cids = args.all()?.into_iter().map(args::cid).collect::<Result<Vec<Cid>, _>>()?;
    stream(Kind::Json, &args, move |_| async move {
        for cid in &cids {
            if !app.node.content().has_local(cid).await? {
                return Err(ApiError::failed(format!("block {cid} not found locally, cannot provide")));
            }
        }
        for cid in &cids {
            app.node.dht().provide(cid).await?;
        }
        Ok(())
    })
    .await
}

pub(crate) async fn find_providers(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose", "num-providers"])?;
    let cid = args::cid(args.one()?)?;
    let limit = args.option("num-providers")?.unwrap_or(PROVIDERS);
    if limit == 0 {
        return Err(ApiError::bad("num-providers", "0", "at least one"));
    }
    stream(Kind::Json, &args, move |out| async move {
        let mut found = app.node.dht().find_providers(&cid, limit).await?;
        while let Some(provider) = found.recv().await {
            out.json(&event(PROVIDER, &[provider], "")).await?;
        }
        Ok(())
    })
    .await
}

pub(crate) async fn find_peer(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose"])?;
    let peer = args::peer(args.one()?)?;
    stream(Kind::Json, &args, move |out| async move {
        let found = app.node.dht().find_peer(peer).await?;
        out.json(&event(FINAL_PEER, &[found], "")).await
    })
    .await
}

pub(crate) async fn put(State(app): State<App>, args: Args, form: Multipart) -> Answer {
    args.known(&["verbose", "allow-offline"])?;
    args.only("allow-offline", &["false"])?;
    let key = record_key(args.one()?)?;
    let value = upload::only_file(form, MAX_VALUE_BYTES).await?;
    stream(Kind::Json, &args, move |_| async move {
        app.node.dht().put(key, value).await?;
        Ok(())
    })
    .await
}

pub(crate) async fn get(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose"])?;
    let key = record_key(args.one()?)?;
    stream(Kind::Json, &args, move |out| async move {
        let value = app.node.dht().get(key).await?;
        out.json(&event(VALUE, &[], &BASE64_STANDARD.encode(value))).await
    })
    .await
}

/// `/ipns/NAME` or `/pk/PEER` as the DHT has it: the name's bytes behind the namespace.
fn record_key(text: &str) -> Result<Vec<u8>, ApiError> {
    let bad = || ApiError::bad("record key", text, "it is neither /ipns/NAME nor /pk/PEER");
    let (namespace, name) = text.strip_prefix('/').and_then(|rest| rest.split_once('/')).ok_or_else(bad)?;
    if !["ipns", "pk"].contains(&namespace) {
        return Err(bad());
    }
    let peer: PeerId = args::peer(name).map_err(|_| bad())?;
    Ok([format!("/{namespace}/").as_bytes(), &peer.to_bytes()].concat())
}
