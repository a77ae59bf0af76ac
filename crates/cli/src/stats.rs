//! `ipfrs stats` and `ipfrs bitswap`: figures of the network and of the block exchange.

use crate::client::Client;
use crate::error::CliError;
use crate::output::{line, size};
use clap::Subcommand;
use serde::Deserialize;

#[derive(Debug, Subcommand)]
pub(crate) enum StatsCommand {
    /// Bytes over all connections
    Bw {
        /// Go on until interrupted
        #[arg(long)]
        poll: bool,
        /// Time between two lines
        #[arg(long, value_name = "DURATION")]
        interval: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BitswapCommand {
    /// Blocks wanted, received and sent
    Stat,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bandwidth {
    total_in: u64,
    total_out: u64,
    rate_in: f64,
    rate_out: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bitswap {
    wantlist: Option<Vec<Want>>,
    peers: Option<Vec<String>>,
    blocks_received: u64,
    data_received: u64,
    dup_blks_received: u64,
    blocks_sent: u64,
    data_sent: u64,
}

/// A CID in JSON (DAG-JSON, links).
#[derive(Deserialize)]
struct Want {
    #[serde(rename = "/")]
    cid: String,
}

impl StatsCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let StatsCommand::Bw { poll, interval } = self;
        let mut headed = false;
        let call = client.call("stats/bw").flag("poll", poll).opt("interval", interval);
        call.show(|bw: Bandwidth| {
            let figures = [bw.total_in, bw.total_out, bw.rate_in as u64, bw.rate_out as u64].map(size);
            let [total_in, total_out, rate_in, rate_out] = figures;
            if !poll {
                let rates = format!("RateIn: {rate_in}/s\nRateOut: {rate_out}/s");
                return line(format!("Bandwidth\nTotalIn: {total_in}\nTotalOut: {total_out}\n{rates}"));
            }
            if !std::mem::replace(&mut headed, true) {
                line("Total Up    Total Down  Rate Up     Rate Down")?;
            }
            line(format!("{total_out:>8}    {total_in:>8}    {rate_out:>8}/s  {rate_in:>8}/s"))
        })
        .await
    }
}

impl BitswapCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let BitswapCommand::Stat = self;
        client.call("bitswap/stat").show(bitswap).await
    }
}

fn bitswap(stat: Bitswap) -> Result<(), CliError> {
    let wanted = stat.wantlist.unwrap_or_default();
    line("bitswap status")?;
    line(format!("\tblocks received: {}", stat.blocks_received))?;
    line(format!("\tblocks sent: {}", stat.blocks_sent))?;
    line(format!("\tdata received: {}", stat.data_received))?;
    line(format!("\tdata sent: {}", stat.data_sent))?;
    line(format!("\tdup blocks received: {}", stat.dup_blks_received))?;
    line(format!("\twantlist [{} keys]", wanted.len()))?;
    wanted.iter().try_for_each(|want| line(format!("\t\t{}", want.cid)))?;
    line(format!("\tpartners [{}]", stat.peers.map_or(0, |peers| peers.len())))
}
