//! `ipfrs get`: content into a local file or directory, whole or not at all.

use crate::answer::Answer;
use crate::client::Client;
use crate::error::CliError;
use crate::output;
use crate::unpack::unpack;
use bytes::Bytes;
use indicatif::ProgressBar;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Pieces of an answer that may wait for a slow disk.
const AHEAD: usize = 8;
/// Name of what was fetched, until it gets its own.
const FETCHED: &str = "fetched";

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// What to fetch
    path: String,
    /// Where to put it; by default under its own name into the current directory
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Keep it as a tar archive
    #[arg(short, long)]
    archive: bool,
}

impl GetArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let target = self.target()?;
        if target.is_dir() {
            return Err(CliError::Exists(target));
        }
        let place = beside(&target)?;
        let answer = client.call("get").arg(&self.path).send().await?;
        if client.text() {
            let what = if self.archive { "archive" } else { "file(s)" };
            output::line(format!("Saving {what} to {}", target.display()))?;
        }
        let bar = output::bar(client.text() && output::watched(), answer.size);
        let fetched = fetch(answer, place, self.archive, &bar).await;
        bar.finish_and_clear();
        let place = fetched?.map_err(CliError::file(&target))?;
        fs::rename(place.path().join(FETCHED), &target).map_err(CliError::file(&target))
    }

    fn target(&self) -> Result<PathBuf, CliError> {
        if let Some(output) = &self.output {
            return Ok(output.clone());
        }
        match self.path.trim_end_matches('/').rsplit('/').next() {
            None | Some("" | "." | "..") => Err(CliError::NoName(self.path.clone())),
            Some(name) if self.archive => Ok(format!("{name}.tar").into()),
            Some(name) => Ok(name.into()),
        }
    }
}

/// A new directory beside the target, so that the last step is a rename in one file system.
fn beside(target: &Path) -> Result<TempDir, CliError> {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".ipfrs-get-").tempdir_in(parent).map_err(CliError::file(parent))
}

/// Saves an answer in `place`. The outer error is the daemon's, the inner one that of the local disk.
async fn fetch(
    mut answer: Answer,
    place: TempDir,
    archive: bool,
    bar: &ProgressBar,
) -> Result<io::Result<TempDir>, CliError> {
    let (to, from) = mpsc::channel(AHEAD);
    // The directory goes along, so that it is removed after the last write into it, however this ends.
    let saving = tokio::task::spawn_blocking(move || {
        let from = Pieces { from, rest: Bytes::new() };
        let fetched = place.path().join(FETCHED);
        let saved = if archive { keep(from, &fetched) } else { unpack(from, &fetched) };
        saved.map(|()| place)
    });
    while let Some(piece) = answer.chunk().await? {
        bar.inc(piece.len() as u64);
        if to.send(piece).await.is_err() {
            break;
        }
    }
    drop(to);
    Ok(saving.await.unwrap_or_else(|lost| Err(io::Error::other(lost))))
}

fn keep(mut from: impl Read, to: &Path) -> io::Result<()> {
    io::copy(&mut from, &mut File::create_new(to)?).map(|_| ())
}

/// Pieces of an answer as a file to read.
struct Pieces {
    from: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let taken = self.rest.split_to(into.len().min(self.rest.len()));
        into[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
