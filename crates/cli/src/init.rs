//! `ipfrs init`.

use crate::error::CliError;
use crate::output::line;
use ipfrs_node::{InitOptions, Preset, Repo};
use std::path::Path;

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// What the configuration starts from: low-memory, iot, mobile, desktop or server
    #[arg(long)]
    preset: Option<Preset>,
}

impl InitArgs {
    pub(crate) fn run(self) -> Result<(), CliError> {
        init(&Repo::default_path(), self.preset.unwrap_or_default())?.into_iter().try_for_each(line)
    }
}

/// Makes a repo; says line by line what it is.
pub(crate) fn init(repo: &Path, preset: Preset) -> Result<Vec<String>, CliError> {
    let made = Repo::init(repo, &InitOptions { preset })?;
    let mut lines = vec![
        "generating ED25519 keypair...done".to_owned(),
        format!("peer identity: {}", made.peer_id),
        format!("initializing IPFS node at {}", repo.display()),
    ];
    lines.extend(made.moved.iter().map(|(wanted, used)| format!("port {wanted} is taken, using port {used}")));
    Ok(lines)
}
