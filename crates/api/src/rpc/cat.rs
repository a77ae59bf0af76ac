//! Files as bytes.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Kind, stream};
use axum::extract::State;
use ipfrs_node::EntryKind;

pub(crate) async fn cat(State(app): State<App>, args: Args) -> Answer {
    args.known(&["offset", "length", "progress"])?;
    let offset = args.option::<u64>("offset")?.unwrap_or(0);
    let length = args.option::<u64>("length")?;
    let paths: Vec<String> = args.all()?.into_iter().map(str::to_owned).collect();
    if let [path] = &paths[..] {
        // One file is opened first, so that its length is known before the answer begins.
        let mut file = args.within(app.node.content().cat(path, offset, length)).await?;
        return stream(Kind::Bytes(Some(file.size)), &args, move |out| async move {
            while let Some(piece) = file.stream.recv().await {
                out.bytes(piece?).await?;
            }
            Ok(())
        })
        .await;
    }
    stream(Kind::Bytes(None), &args, move |out| async move {
        let (mut skip, mut left) = (offset, length);
        for path in paths {
            let stat = app.node.content().stat(&path).await?;
            if stat.kind != EntryKind::File {
                return Err(ApiError::failed(format!("{path} is not a file")));
            }
            if skip >= stat.size {
                skip -= stat.size;
                continue;
            }
            let mut file = app.node.content().cat(&path, skip, left).await?;
            skip = 0;
            left = left.map(|left| left - file.size);
            while let Some(piece) = file.stream.recv().await {
                out.bytes(piece?).await?;
            }
            if left == Some(0) {
                break;
            }
        }
        Ok(())
    })
    .await
}
