//! Files and directories as a tar archive.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Emitter, Kind, stream};
use axum::extract::State;
use bytes::Bytes;
use ipfrs_node::{NodeError, WalkItem};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

/// A record of the archive; every header and every file fills whole ones.
const RECORD: usize = 512;

pub(crate) async fn get(State(app): State<App>, args: Args) -> Answer {
    args.known(&["output", "archive", "compress", "compression-level", "progress"])?;
    args.only("compress", &["false"])?;
    args.only("compression-level", &["-1", "0"])?;
    let path = args.one()?.to_owned();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let content = app.node.content();
    let root = args.within(content.stat(&path)).await?;
    let walk = args.within(content.walk(&path)).await?;
    stream(Kind::Tar(root.size), &args, move |out| archive(walk, name, out)).await
}

/// Writes everything of a walk under `root`.
async fn archive(
    mut walk: mpsc::Receiver<Result<WalkItem, NodeError>>,
    root: String,
    out: Emitter,
) -> Result<(), ApiError> {
    // Zeros that fill the last record of the file before.
    let mut padding = 0;
    while let Some(item) = walk.recv().await {
        let item = item?;
        if !matches!(item, WalkItem::Data(_)) && padding > 0 {
            out.bytes(vec![0; std::mem::take(&mut padding)].into()).await?;
        }
        let full = |path: Vec<String>| [std::slice::from_ref(&root), &path].concat().join("/");
        let bytes = match item {
            WalkItem::Directory { path } => header(&full(path), EntryType::Directory, 0, 0o755, "")?,
            WalkItem::Symlink { path, target } => header(&full(path), EntryType::Symlink, 0, 0o777, &target)?,
            WalkItem::File { path, size } => {
                padding = (size.next_multiple_of(RECORD as u64) - size) as usize;
                header(&full(path), EntryType::Regular, size, 0o644, "")?
            }
            WalkItem::Data(bytes) => bytes,
            _ => return Err(ApiError::failed("an item that no archive holds")),
        };
        out.bytes(bytes).await?;
    }
    // Two empty records end an archive.
    out.bytes(vec![0; padding + 2 * RECORD].into()).await
}

/// The header of one entry, behind GNU records for names too long for it.
fn header(path: &str, kind: EntryType, size: u64, mode: u32, target: &str) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::with_capacity(RECORD);
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    if header.set_path(path).is_err() {
        long(&mut bytes, EntryType::GNULongName, path);
    }
    if !target.is_empty() && header.set_link_name_literal(target).is_err() {
        long(&mut bytes, EntryType::GNULongLink, target);
    }
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes.into())
}

/// A name as an entry of its own, before the entry it names.
fn long(bytes: &mut Vec<u8>, kind: EntryType, name: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(name.len() as u64 + 1);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.as_gnu_mut().expect("a GNU header").name[..13].copy_from_slice(b"././@LongLink");
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.resize((bytes.len() + 1).next_multiple_of(RECORD), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn names_of_any_length_are_read_back() {
        for length in [1, 99, 100, 101, 255, 511, 512, 513, 2_000] {
            let (path, target) = ("p".repeat(length), "t".repeat(length));
            let mut bytes = header(&path, EntryType::Regular, 3, 0o644, "").unwrap().to_vec();
            bytes.extend_from_slice(b"abc");
            bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
            bytes.extend_from_slice(&header(&path, EntryType::Symlink, 0, 0o777, &target).unwrap());
            bytes.resize(bytes.len() + 2 * RECORD, 0);
            let mut archive = tar::Archive::new(&bytes[..]);
            let mut entries = archive.entries().unwrap();
            let mut file = entries.next().unwrap().unwrap();
            assert_eq!(file.path().unwrap().to_str(), Some(path.as_str()));
            let mut data = String::new();
            file.read_to_string(&mut data).unwrap();
            assert_eq!(data, "abc");
            let link = entries.next().unwrap().unwrap();
            assert_eq!(link.link_name().unwrap().unwrap().to_str(), Some(target.as_str()), "{length}");
            assert!(entries.next().is_none());
        }
    }
}
