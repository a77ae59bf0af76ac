//! Files and directories into the store.

use super::Answer;
use crate::args::Args;
use crate::error::ApiError;
use crate::server::App;
use crate::stream::{Emitter, Kind, stream};
use crate::upload::{self, PartKind};
use axum::extract::{Multipart, State};
use ipfrs_blocks::Profile;
use ipfrs_node::{AddOptions, Added, ContentHandle, NodeError};
use serde_json::json;
use std::collections::BTreeMap;

/// Bytes between two lines of progress.
const PROGRESS: u64 = 1 << 20;
/// Longest target of a symbolic link: Linux's limit of a path.
const MAX_TARGET: usize = 4096;
/// Options that are the client's own business, or ask for what is done anyway: nothing that was added is ever removed.
const CLIENT: [&str; 13] = [
    "quiet",
    "quieter",
    "silent",
    "recursive",
    "dereference-args",
    "dereference-symlinks",
    "stdin-name",
    "hidden",
    "ignore",
    "ignore-rules-path",
    "pin",
    "empty-dirs",
    "include-content",
];
const OBEYED: [&str; 9] = [
    "cid-version",
    "raw-leaves",
    "chunker",
    "only-hash",
    "wrap-with-directory",
    "profile",
    "progress",
    "max-file-links",
    "hash",
];
/// Options that have one acceptable value here.
const FIXED: [(&str, &[&str]); 14] = [
    ("hash", &["sha2-256"]),
    ("trickle", &["false"]),
    ("nocopy", &["false"]),
    ("fscache", &["false"]),
    ("inline", &["false"]),
    ("inline-limit", &["32"]),
    ("to-files", &[""]),
    ("preserve-mode", &["false"]),
    ("preserve-mtime", &["false"]),
    ("mtime-nsecs", &["0"]),
    ("fast-provide-root", &["true"]),
    ("fast-provide-dag", &["false"]),
    ("fast-provide-wait", &["false"]),
    ("pin-name", &[""]),
];

pub(crate) async fn add(State(app): State<App>, args: Args, mut form: Multipart) -> Answer {
    let known: Vec<_> = CLIENT.into_iter().chain(OBEYED).chain(FIXED.map(|(name, _)| name)).collect();
    args.known(&known)?;
    FIXED.iter().try_for_each(|(name, values)| args.only(name, values))?;
    let adding = Adding {
        options: options(&args)?,
        store: !args.flag("only-hash")?,
        wrap: args.flag("wrap-with-directory")?,
        progress: args.flag("progress")?,
        content: app.node.content().clone(),
        folders: BTreeMap::new(),
    };
    stream(Kind::Json, &args, move |out| async move {
        let done = adding.run(&mut form, &out).await;
        if done.is_err() {
            // A client in the middle of sending would see a reset instead of the error.
            while let Ok(Some(mut part)) = form.next_field().await {
                while let Ok(Some(_)) = part.chunk().await {}
            }
        }
        done
    })
    .await
}

fn options(args: &Args) -> Result<AddOptions, ApiError> {
    let mut options: AddOptions = args.option::<Profile>("profile")?.unwrap_or_default().into();
    if let Some(version) = args.option("cid-version")? {
        options = options.with_cid_version(version);
    }
    if let Some(raw) = args.option("raw-leaves")? {
        options.raw_leaves = raw;
    }
    if let Some(links) = args.option("max-file-links")? {
        options.max_links = links;
    }
    match args.get("chunker") {
        None | Some("" | "default") => {}
        Some(text) => {
            let size = text.strip_prefix("size-").and_then(|size| size.parse().ok());
            options.chunk_size = size.ok_or_else(|| ApiError::bad("chunker", text, "it is not size-BYTES"))?;
        }
    }
    options.check().map_err(ApiError::client)?;
    Ok(options)
}

struct Adding {
    options: AddOptions,
    store: bool,
    wrap: bool,
    progress: bool,
    content: ContentHandle,
    /// What lies in each directory seen so far, by path; the empty path holds what was given by name.
    folders: BTreeMap<Vec<String>, Vec<(String, Added)>>,
}

impl Adding {
    async fn run(mut self, form: &mut Multipart, out: &Emitter) -> Result<(), ApiError> {
        let mut nothing = true;
        while let Some(mut part) = form.next_field().await.map_err(upload::broken)? {
            nothing = false;
            let (kind, path) = upload::describe(&part)?;
            let added = match kind {
                PartKind::Directory => {
                    self.folders.entry(path).or_default();
                    continue;
                }
                PartKind::Symlink => {
                    let target = upload::whole(&mut part, MAX_TARGET).await?;
                    let target =
                        String::from_utf8(target).map_err(|_| ApiError::client("a symbolic link that is no text"))?;
                    self.content.add_symlink(target, &self.options, self.store).await?
                }
                PartKind::File => self.file(&mut part, &path.join("/"), out).await?,
            };
            self.put(path, added, out).await?;
        }
        if nothing {
            return Err(ApiError::client("argument \"path\" is required"));
        }
        self.directories(out).await
    }

    async fn file(
        &self,
        part: &mut axum::extract::multipart::Field<'_>,
        name: &str,
        out: &Emitter,
    ) -> Result<Added, ApiError> {
        let mut adder = if self.store { self.content.adder(&self.options) } else { self.content.hasher(&self.options) };
        let (mut read, mut told) = (0, 0);
        while let Some(chunk) = part.chunk().await.map_err(upload::broken)? {
            adder.push(&chunk).await?;
            read += chunk.len() as u64;
            if self.progress && read - told >= PROGRESS {
                told = read;
                out.json(&json!({ "Name": name, "Bytes": read })).await?;
            }
        }
        if self.progress && read != told {
            out.json(&json!({ "Name": name, "Bytes": read })).await?;
        }
        Ok(adder.finish().await?)
    }

    /// Files it in its directory and says so. What lies in no directory is durable before anybody hears of it.
    async fn put(&mut self, mut path: Vec<String>, added: Added, out: &Emitter) -> Result<(), ApiError> {
        if path.is_empty() {
            path.push(added.cid.to_string());
        }
        if path.len() == 1 && !self.wrap {
            self.commit(&added).await?;
        }
        let name = path.join("/");
        let last = path.pop().unwrap_or_default();
        // Directories that were not announced exist all the same.
        for depth in 1..path.len() {
            self.folders.entry(path[..depth].to_vec()).or_default();
        }
        self.folders.entry(path).or_default().push((last, added));
        said(out, &name, &added).await
    }

    async fn commit(&self, added: &Added) -> Result<(), NodeError> {
        if self.store { self.content.commit(&added.cid).await } else { Ok(()) }
    }

    /// Builds the directories from the deepest up.
    async fn directories(mut self, out: &Emitter) -> Result<(), ApiError> {
        loop {
            let deepest = self.folders.keys().max_by_key(|path| path.len()).cloned();
            let Some(path) = deepest.filter(|path| self.wrap || !path.is_empty()) else { return Ok(()) };
            let entries = self.folders.remove(&path).unwrap_or_default();
            let entries = entries.into_iter().map(|(name, added)| (name, added.cid, added.size)).collect();
            let added = self.content.add_directory(entries, &self.options, self.store).await?;
            if path.is_empty() {
                self.commit(&added).await?;
                return said(out, "", &added).await;
            }
            self.put(path, added, out).await?;
        }
    }
}

async fn said(out: &Emitter, name: &str, added: &Added) -> Result<(), ApiError> {
    out.json(&json!({ "Name": name, "Hash": added.cid.to_string(), "Size": added.size.to_string() })).await
}
