//! `ipfrs add`.

use crate::client::Client;
use crate::error::CliError;
use crate::multipart;
use crate::output::{self, line};
use crate::walk::Walk;
use indicatif::ProgressBar;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// What to add; - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Add directories with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// Print only CIDs
    #[arg(short, long)]
    quiet: bool,
    /// Print only the last CID
    #[arg(short = 'Q', long)]
    quieter: bool,
    /// Version of CIDs; 1 implies raw leaves
    #[arg(long, value_name = "VERSION")]
    cid_version: Option<u8>,
    /// Leaves are blocks of file content alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    raw_leaves: Option<bool>,
    /// How files are cut, such as size-262144
    #[arg(short = 's', long)]
    chunker: Option<String>,
    /// Say what the CIDs would be, and add nothing
    #[arg(short = 'n', long)]
    only_hash: bool,
    /// Put everything into one more directory
    #[arg(short, long)]
    wrap_with_directory: bool,
    /// Settings under a name: unixfs-v0-2015 or unixfs-v1-2025
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Show progress; on a terminal that is the default
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    progress: Option<bool>,
    /// Add files whose names begin with a dot, too
    #[arg(short = 'H', long)]
    hidden: bool,
}

/// One step: a file so far, or a file or directory that is done.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    #[serde(default)]
    name: String,
    bytes: Option<u64>,
    hash: Option<String>,
}

impl AddArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let found = Walk { recursive: self.recursive, hidden: self.hidden }.find(&self.paths)?;
        let quiet = self.quiet || self.quieter;
        let progress = self.progress.unwrap_or(client.text() && !quiet && output::watched());
        let call = client
            .call("add")
            .opt("cid-version", self.cid_version)
            .opt("raw-leaves", self.raw_leaves)
            .opt("chunker", self.chunker)
            .flag("only-hash", self.only_hash)
            .flag("wrap-with-directory", self.wrap_with_directory)
            .opt("profile", self.profile)
            .opt("progress", Some(progress));
        let mut read = Read::new(output::bar(progress && client.text(), found.bytes));
        let mut last = None;
        let shown = call.upload(multipart::upload(found.parts)).show(|step: Step| {
            let Some(hash) = step.hash.filter(|hash| !hash.is_empty()) else {
                read.up_to(step.name, step.bytes.unwrap_or(0));
                return Ok(());
            };
            let name = if step.name.is_empty() { &hash } else { &step.name };
            // A line in the middle of the bar would tear it.
            let printed = read.bar.suspend(|| match (self.quieter, self.quiet) {
                (true, _) => Ok(()),
                (false, true) => line(&hash),
                (false, false) => line(format!("added {hash} {name}")),
            });
            last = Some(hash);
            printed
        });
        shown.await?;
        drop(read);
        match last.filter(|_| self.quieter) {
            Some(hash) => line(hash),
            None => Ok(()),
        }
    }
}

/// What the daemon has read of all files together.
struct Read {
    bar: ProgressBar,
    before: u64,
    current: (String, u64),
}

impl Read {
    fn new(bar: ProgressBar) -> Read {
        Read { bar, before: 0, current: Default::default() }
    }

    fn up_to(&mut self, name: String, bytes: u64) {
        if self.current.0 != name {
            self.before += self.current.1;
        }
        self.current = (name, bytes);
        self.bar.set_position(self.before + bytes);
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
