//! `ipfrs version`.

use crate::args::Enc;
use crate::error::CliError;
use crate::output::line;
use serde_json::json;
use std::env::consts::{ARCH, OS};

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of the layout of its repos.
const REPO: &str = "1";

#[derive(Debug, clap::Args)]
pub(crate) struct VersionArgs {
    /// Only the number
    #[arg(short, long)]
    number: bool,
    /// Everything there is to know
    #[arg(long)]
    all: bool,
}

impl VersionArgs {
    pub(crate) fn run(self, enc: Enc) -> Result<(), CliError> {
        let system = format!("{ARCH}/{OS}");
        match enc {
            Enc::Json => {
                line(json!({ "Version": VERSION, "Commit": "", "Repo": REPO, "System": system, "Golang": "" }))
            }
            Enc::Text if self.all => {
                line(format!("ipfrs version: {VERSION}\nRepo version: {REPO}\nSystem version: {system}"))
            }
            Enc::Text if self.number => line(VERSION),
            Enc::Text => line(format!("ipfrs version {VERSION}")),
        }
    }
}
