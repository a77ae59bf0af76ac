//! Round trips to a peer.

use super::Answer;
use crate::args::{self, Args};
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Kind, stream};
use axum::extract::State;
use ipfrs_node::NodeError;
use serde_json::json;
use std::time::Duration;

/// Time between two pings, as in Kubo.
const PAUSE: Duration = Duration::from_secs(1);
/// Round trips when nobody says how many.
const COUNT: u64 = 10;

pub(crate) async fn ping(State(app): State<App>, args: Args) -> Answer {
    args.known(&["count"])?;
    let peer = args::peer(args.one()?)?;
    if peer == app.node.peer_id() {
        return Err(ApiError::client("error: can't ping self"));
    }
    let count = args.option("count")?.unwrap_or(COUNT);
    if count == 0 {
        return Err(ApiError::bad("count", "0", "at least one round trip"));
    }
    stream(Kind::Json, &args, move |out| async move {
        let text = |text: String| json!({ "Success": true, "Time": 0, "Text": text });
        // A peer that cannot be reached at all is an error, not a lost ping.
        if !app.node.swarm().connections().await?.iter().any(|c| c.peer == peer) {
            app.node.swarm().connect_peer(peer).await?;
        }
        out.json(&text(format!("PING {peer}."))).await?;
        let (mut answered, mut sum) = (0u32, Duration::ZERO);
        for n in 0..count {
            if n > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match app.node.swarm().ping(peer).await {
                Ok(rtt) => {
                    (answered, sum) = (answered + 1, sum + rtt);
                    out.json(&json!({ "Success": true, "Time": rtt.as_nanos() as u64, "Text": "" })).await?;
                }
                Err(
                    error @ (NodeError::Call { .. }
                    | NodeError::OpenStream(_)
                    | NodeError::Stream { .. }
                    | NodeError::Dial(_)),
                ) => {
                    out.json(&json!({ "Success": false, "Time": 0, "Text": format!("Ping error: {error}") })).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if answered == 0 {
            return Err(ApiError::failed("ping failed"));
        }
        let average = sum.as_secs_f64() * 1e3 / f64::from(answered);
        out.json(&text(format!("Average latency: {average:.2}ms"))).await
    })
    .await
}
