//! Files and directories as a tar archive.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Emitter, Kind, stream};
use axum::extract::State;
use bytes::Bytes;
use ipfrs_node::{ContentHandle, EntryKind, PathStat};
use tar::{EntryType, Header};

/// A record of the archive; every header and every file fills whole ones.
const RECORD: usize = 512;
/// Directories inside one another; deeper trees exist only to exhaust whoever walks them.
const MAX_DEPTH: usize = 256;

pub(crate) async fn get(State(app): State<App>, args: Args) -> Answer {
    args.known(&["output", "archive", "compress", "compression-level", "progress"])?;
    args.only("compress", &["false"])?;
    args.only("compression-level", &["-1", "0"])?;
    let path = args.one()?.to_owned();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let content = app.node.content().clone();
    let root = args.within(content.stat(&path)).await?;
    stream(Kind::Tar(root.size), &args, move |out| async move { archive(content, root, name, out).await }).await
}

/// Writes everything below a root, each directory before what lies in it.
async fn archive(content: ContentHandle, root: PathStat, name: String, out: Emitter) -> Result<(), ApiError> {
    let mut open = vec![(name, root, 1)];
    while let Some((path, stat, depth)) = open.pop() {
        match stat.kind {
            EntryKind::File => {
                out.bytes(header(&path, EntryType::Regular, stat.size, 0o644, "")?).await?;
                let mut file = content.cat(&stat.cid.to_string(), 0, None).await?;
                while let Some(piece) = file.stream.recv().await {
                    out.bytes(piece?).await?;
                }
                let rest = (stat.size % RECORD as u64) as usize;
                if rest > 0 {
                    out.bytes(vec![0; RECORD - rest].into()).await?;
                }
            }
            EntryKind::Symlink => {
                let target = stat.target.unwrap_or_default();
                out.bytes(header(&path, EntryType::Symlink, 0, 0o777, &target)?).await?;
            }
            EntryKind::Directory => {
                if depth > MAX_DEPTH {
                    return Err(ApiError::failed(format!(
                        "{path}: more than {MAX_DEPTH} directories inside one another"
                    )));
                }
                out.bytes(header(&path, EntryType::Directory, 0, 0o755, "")?).await?;
                for entry in content.ls(&stat.cid.to_string()).await?.into_iter().rev() {
                    if matches!(entry.name.as_str(), "" | "." | "..") || entry.name.contains(['/', '\\', '\0']) {
                        return Err(ApiError::failed(format!("{path} holds {:?}, which is no file name", entry.name)));
                    }
                    let below = content.stat(&entry.cid.to_string()).await?;
                    open.push((format!("{path}/{}", entry.name), below, depth + 1));
                }
            }
        }
    }
    // Two empty records end an archive.
    out.bytes(vec![0; 2 * RECORD].into()).await
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
