//! `ipfrs config show`.

use crate::args::Enc;
use crate::error::CliError;
use crate::output;
use clap::Subcommand;
use ipfrs_node::{Repo, RepoError, config};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration a daemon started now would have: preset, file and environment
    Show,
}

impl ConfigCommand {
    pub(crate) fn run(self, enc: Enc) -> Result<(), CliError> {
        let ConfigCommand::Show = self;
        let repo = Repo::default_path();
        if !Repo::exists(&repo) {
            return Err(RepoError::NotInitialised(repo).into());
        }
        let config = config::load(Some(&repo))?;
        match enc {
            Enc::Text => output::bytes(config.to_toml().as_bytes()),
            Enc::Json => output::line(serde_json::json!(config)),
        }
    }
}
