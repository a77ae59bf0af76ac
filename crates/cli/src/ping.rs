//! `ipfrs ping`.

use crate::client::Client;
use crate::error::CliError;
use crate::output::line;
use serde::Deserialize;

#[derive(Debug, clap::Args)]
pub(crate) struct PingArgs {
    /// Whom to ping
    peer: String,
    /// How many round trips
    #[arg(short = 'n', long, default_value_t = 10)]
    count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pong {
    success: bool,
    /// Nanoseconds.
    time: u64,
    /// What to print in place of a round-trip time: whom, why not, the average.
    text: String,
}

impl PingArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let call = client.call("ping").arg(&self.peer).opt("count", Some(self.count));
        // When nobody answers at all, the stream ends with an error.
        call.show(|pong: Pong| match pong {
            Pong { text, .. } if !text.is_empty() => line(text),
            Pong { success: true, time, .. } => line(format!("Pong received: time={:.2} ms", time as f64 / 1e6)),
            Pong { success: false, .. } => line("Pong failed"),
        })
        .await
    }
}
