//! Figures of the network and of the exchange.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::parse_duration;
use crate::server::App;
use crate::stream::{Kind, stream};
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::json;
use std::time::Duration;

/// Time between two lines of a polled figure; rates are measured once a second.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) async fn bandwidth(State(app): State<App>, args: Args) -> Answer {
    args.known(&["poll", "interval"])?;
    let poll = args.flag("poll")?;
    let interval =
        args.get("interval").map(|text| parse_duration(text).map_err(|e| ApiError::client(format!("interval: {e}"))));
    let interval = interval.transpose()?.unwrap_or(INTERVAL).max(INTERVAL);
    stream(Kind::Json, &args, move |out| async move {
        loop {
            let bw = app.node.swarm().bandwidth().await?;
            let line = json!({ "TotalIn": bw.total_in, "TotalOut": bw.total_out, "RateIn": bw.rate_in, "RateOut": bw.rate_out });
            out.json(&line).await?;
            if !poll {
                return Ok(());
            }
            tokio::time::sleep(interval).await;
        }
    })
    .await
}

pub(crate) async fn bitswap(State(app): State<App>, args: Args) -> Answer {
    args.known(&["verbose", "human"])?;
    let stat = args.within(app.node.exchange().stat()).await?;
    let wants: Vec<_> = stat.wantlist.iter().map(|cid| json!({ "/": cid })).collect();
    let answer = json!({
        "Wantlist": wants, "Peers": stat.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "BlocksReceived": stat.blocks_received, "DataReceived": stat.data_received,
        "DupBlksReceived": stat.dup_blocks_received, "BlocksSent": stat.blocks_sent, "DataSent": stat.data_sent,
    });
    Ok(Json(answer).into_response())
}
