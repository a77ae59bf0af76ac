//! `ipfrs completions`.

use crate::args::Cli;
use crate::error::CliError;
use crate::output;
use clap::CommandFactory;
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> Result<(), CliError> {
        // The generator panics when it cannot write; a vector takes everything.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ipfrs", &mut script);
        output::bytes(&script)
    }
}
