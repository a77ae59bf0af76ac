//! `ipfrs cat`.

use crate::client::Client;
use crate::error::CliError;

#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// Files, one after another
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Bytes to leave out at the beginning
    #[arg(short, long)]
    offset: Option<u64>,
    /// Bytes to print at most
    #[arg(short, long)]
    length: Option<u64>,
}

impl CatArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let call = client.call("cat").args(&self.paths);
        call.opt("offset", self.offset).opt("length", self.length).pour().await
    }
}
