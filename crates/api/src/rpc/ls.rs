//! Directories.

use super::Answer;
use crate::args::Args;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::json;

pub(crate) async fn ls(State(app): State<App>, args: Args) -> Answer {
    args.known(&["headers", "resolve-type", "size", "stream"])?;
    args.only("stream", &["false"])?;
    let mut objects = Vec::new();
    for path in args.all()? {
        let entries = args.within(app.node.content().ls(path)).await?;
        let link = |e: ipfrs_node::ListEntry| {
            // The type would cost a block for each name: 0 is "unknown", as with --resolve-type=false.
            json!({ "Name": e.name, "Hash": e.cid.to_string(), "Size": e.size, "Type": 0, "Target": "" })
        };
        objects.push(json!({ "Hash": path, "Links": entries.into_iter().map(link).collect::<Vec<_>>() }));
    }
    Ok(Json(json!({ "Objects": objects })).into_response())
}
