//! Single blocks.

use super::Answer;
use crate::args::{self, Args};
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Kind, stream};
use crate::upload::{self, MAX_WHOLE};
use axum::Json;
use axum::extract::{Multipart, State};
use axum::response::IntoResponse;
use ipfrs_blocks::{DAG_PB, RAW, cid_of};
use serde_json::json;

/// Codecs that a block can be put under, by their names in the multicodec table.
const CODECS: [(&str, u64); 6] = [
    ("raw", RAW),
    ("dag-pb", DAG_PB),
    ("protobuf", DAG_PB),
    ("dag-cbor", 0x71),
    ("dag-json", 0x0129),
    ("libp2p-key", 0x72),
];

pub(crate) async fn get(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let cid = args::cid(args.one()?)?;
    let data = args.within(app.node.content().block(&cid)).await?;
    stream(Kind::Bytes(Some(data.len() as u64)), &args, move |out| async move { out.bytes(data).await }).await
}

pub(crate) async fn stat(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let cid = args::cid(args.one()?)?;
    let data = args.within(app.node.content().block(&cid)).await?;
    Ok(Json(json!({ "Key": cid.to_string(), "Size": data.len() })).into_response())
}

pub(crate) async fn put(State(app): State<App>, args: Args, mut form: Multipart) -> Answer {
    args.known(&["cid-codec", "mhtype", "mhlen", "pin", "allow-big-block", "format"])?;
    args.only("mhtype", &["sha2-256"])?;
    args.only("mhlen", &["-1", "32"])?;
    args.only("allow-big-block", &["false"])?;
    // Kubo's older way to say codec and version in one.
    args.only("format", &["", "v0"])?;
    let version = u64::from(args.get("format") != Some("v0"));
    let name = if version == 0 { "dag-pb" } else { args.get("cid-codec").unwrap_or("raw") };
    let codec = CODECS.iter().find(|(known, _)| *known == name);
    let (_, codec) = codec.ok_or_else(|| {
        let known = CODECS.map(|(known, _)| known).join(", ");
        ApiError::bad("cid-codec", name, format!("known are {known}"))
    })?;
    let mut blocks = Vec::new();
    while let Some(mut part) = form.next_field().await.map_err(upload::broken)? {
        let data = upload::whole(&mut part, MAX_WHOLE).await?;
        let cid = cid_of(version, *codec, &data);
        let size = data.len();
        args.within(app.node.content().put_block(cid, data.into())).await?;
        blocks.push(json!({ "Key": cid.to_string(), "Size": size }));
    }
    if blocks.is_empty() {
        return Err(ApiError::client("file argument is required"));
    }
    stream(Kind::Json, &args, move |out| async move {
        for block in &blocks {
            out.json(block).await?;
        }
        Ok(())
    })
    .await
}
