//! `ipfrs swarm`: connections and addresses.

use crate::client::Client;
use crate::error::CliError;
use crate::output::line;
use clap::Subcommand;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub(crate) enum SwarmCommand {
    /// List connections
    Peers(PeersArgs),
    /// Connect to addresses, each with or without /p2p/PEER
    Connect {
        /// Such as /ip4/192.0.2.1/tcp/4001/p2p/PEER, or /p2p/PEER to have it found
        #[arg(required = true, value_name = "ADDR")]
        addrs: Vec<String>,
    },
    /// Close every connection to peers
    Disconnect {
        /// Such as /p2p/PEER
        #[arg(required = true, value_name = "ADDR")]
        addrs: Vec<String>,
    },
    /// List addresses of known peers
    Addrs {
        #[command(subcommand)]
        whose: Option<AddrsCommand>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct PeersArgs {
    /// Everything that is known
    #[arg(short, long)]
    verbose: bool,
    /// Round-trip times
    #[arg(long)]
    latency: bool,
    /// Streams
    #[arg(long)]
    streams: bool,
    /// Who opened each connection
    #[arg(long)]
    direction: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum AddrsCommand {
    /// Addresses this node announces
    Local,
    /// Addresses this node listens on
    Listen,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peers {
    peers: Option<Vec<Peer>>,
}

#[derive(Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase", default)]
struct Peer {
    addr: String,
    peer: String,
    latency: String,
    direction: u8,
    streams: Option<Vec<Stream>>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    protocol: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Strings {
    strings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Addrs {
    addrs: BTreeMap<String, Option<Vec<String>>>,
}

impl SwarmCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            SwarmCommand::Peers(PeersArgs { verbose, latency, streams, direction }) => {
                let call = client.call("swarm/peers").flag("verbose", verbose).flag("latency", latency);
                call.flag("streams", streams).flag("direction", direction).show(peers).await
            }
            SwarmCommand::Connect { addrs } => client.call("swarm/connect").args(&addrs).show(strings).await,
            SwarmCommand::Disconnect { addrs } => client.call("swarm/disconnect").args(&addrs).show(strings).await,
            SwarmCommand::Addrs { whose: None } => client.call("swarm/addrs").show(addrs).await,
            SwarmCommand::Addrs { whose: Some(AddrsCommand::Local) } => {
                client.call("swarm/addrs/local").show(strings).await
            }
            SwarmCommand::Addrs { whose: Some(AddrsCommand::Listen) } => {
                client.call("swarm/addrs/listen").show(strings).await
            }
        }
    }
}

fn peers(answer: Peers) -> Result<(), CliError> {
    let mut peers = answer.peers.unwrap_or_default();
    peers.sort();
    for Peer { addr, peer, latency, direction, streams } in peers {
        let mut text = format!("{addr}/p2p/{peer}");
        if !latency.is_empty() {
            text += &format!(" {latency}");
        }
        match direction {
            1 => text += " inbound",
            2 => text += " outbound",
            _ => {}
        }
        line(text)?;
        streams.into_iter().flatten().try_for_each(|stream| line(format!("  {}", stream.protocol)))?;
    }
    Ok(())
}

fn strings(answer: Strings) -> Result<(), CliError> {
    answer.strings.into_iter().flatten().try_for_each(line)
}

fn addrs(answer: Addrs) -> Result<(), CliError> {
    for (peer, addrs) in answer.addrs {
        let addrs = addrs.unwrap_or_default();
        line(format!("{peer} ({})", addrs.len()))?;
        addrs.iter().try_for_each(|addr| line(format!("\t{addr}")))?;
    }
    Ok(())
}
