//! The supervision tree: seen, broken on purpose, watched.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Kind, stream};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ipfrs_node::{Fault, KillError};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

/// Every actor, and the network driver, which is a task of the swarm.
pub(crate) async fn tree(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let actors = app.node.actors();
    let mut rows = serde_json::to_value(actors.tree()).map_err(ApiError::failed)?;
    let generation = actors.driver_generation();
    let lost = generation.saturating_sub(1);
    let driver = json!({
        "name": "driver", "state": if generation == 0 { "down" } else { "up" }, "incarnation": generation,
        "restarts": lost, "mailbox": 0, "mailbox_limit": 0, "handled": 0, "panics": lost, "last_exit": null,
    });
    if let Some(rows) = rows.as_array_mut() {
        // Behind the swarm, which is first.
        rows.insert(rows.len().min(1), driver);
    }
    Ok(Json(json!({ "Actors": rows })).into_response())
}

pub(crate) async fn kill(State(app): State<App>, args: Args) -> Answer {
    args.known(&["how"])?;
    let name = args.one()?;
    let how = args.get("how").unwrap_or("panic");
    let fault: Fault = how.parse().map_err(|e| ApiError::bad("how", how, e))?;
    app.node.actors().kill(name, fault).map_err(|error| match error {
        KillError::NeedsChaos => ApiError::forbidden(error),
        error => ApiError::client(error),
    })?;
    Ok(message(format!("{name} is killed by {how}")))
}

pub(crate) async fn restart(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let name = args.one()?;
    args.within(async { app.node.actors().restart(name).await.map_err(ApiError::client) }).await?;
    Ok(message(format!("{name} is restarted")))
}

fn message(text: String) -> Response {
    Json(json!({ "Message": text })).into_response()
}

/// Starts, exits and restarts as they happen. A gap in `seq` says that the client was too slow.
pub(crate) async fn watch(State(app): State<App>, args: Args) -> Answer {
    args.known(&[])?;
    let mut events = app.node.actors().events();
    stream(Kind::Json, &args, move |out| async move {
        // The answer begins now, not with the first event.
        for child in app.node.actors().tree() {
            let row: Value = json!({ "seq": 0, "at": 0.0, "child": child.name, "incarnation": child.incarnation, "event": child.state });
            out.json(&row).await?;
        }
        loop {
            match events.recv().await {
                Ok(event) => out.json(&event).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    })
    .await
}
