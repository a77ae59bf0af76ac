//! `ipfrs routing`: content and peers in the DHT, told as the query events of go-libp2p's routing package.

use crate::client::{Call, Client};
use crate::error::CliError;
use crate::multipart::{self, Part};
use crate::output::{self, line};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Subcommand;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::PathBuf;

/// Events by their numbers in go-libp2p.
const EVENTS: [&str; 8] =
    ["querying", "response of", "found", "error of", "provider", "value", "adding to the query", "dialing"];
const FINAL_PEER: usize = 2;
const PROVIDER: usize = 4;
const VALUE: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct RoutingArgs {
    /// Print every step
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: RoutingCommand,
}

#[derive(Debug, Subcommand)]
enum RoutingCommand {
    /// Announce that this node has content
    Provide {
        /// What
        #[arg(required = true, value_name = "CID")]
        cids: Vec<String>,
    },
    /// Find peers that have content
    Findprovs {
        /// Which
        cid: String,
        /// How many peers are enough
        #[arg(short = 'n', long, default_value_t = 20)]
        num_providers: usize,
    },
    /// Find the addresses of a peer
    Findpeer {
        /// Whose
        peer: String,
    },
    /// Store a record
    Put {
        /// Such as /ipns/NAME
        key: String,
        /// Where the record is; - is standard input
        file: PathBuf,
    },
    /// Find a record
    Get {
        /// Such as /ipns/NAME
        key: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Type")]
    kind: usize,
    responses: Option<Vec<Peer>>,
    extra: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peer {
    #[serde(rename = "ID")]
    id: String,
    addrs: Option<Vec<String>>,
}

impl RoutingArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let verbose = self.verbose;
        let call = |method| client.call(method).flag("verbose", verbose);
        match self.command {
            RoutingCommand::Provide { cids } => events(call("routing/provide").args(&cids), verbose, |_| Ok(())).await,
            RoutingCommand::Put { key, file } => {
                let body = multipart::upload(vec![Part::single(&file)?]);
                events(call("routing/put").arg(&key).upload(body), verbose, |_| Ok(())).await
            }
            RoutingCommand::Findprovs { cid, num_providers } => {
                let call = call("routing/findprovs").arg(&cid).opt("num-providers", Some(num_providers));
                let mut seen = HashSet::new();
                events(call, verbose, |event| {
                    let mut new = event.peers(PROVIDER).filter(|peer| seen.insert(peer.id.clone()));
                    new.try_for_each(|peer| line(peer.id))
                })
                .await
            }
            RoutingCommand::Findpeer { peer } => {
                let call = call("routing/findpeer").arg(&peer);
                let found =
                    |event: Event| event.peers(FINAL_PEER).flat_map(|peer| peer.addrs).flatten().try_for_each(line);
                events(call, verbose, found).await
            }
            RoutingCommand::Get { key } => {
                let value = |event: Event| if event.kind == VALUE { event.value() } else { Ok(()) };
                events(call("routing/get").arg(&key), verbose, value).await
            }
        }
    }
}

/// Hands over every event, described beforehand where somebody wants to see every step.
async fn events<F>(call: Call, verbose: bool, mut take: F) -> Result<(), CliError>
where
    F: FnMut(Event) -> Result<(), CliError>,
{
    let step = |event: Event| {
        if verbose {
            line(event.describe())?;
        }
        take(event)
    };
    call.show(step).await
}

impl Event {
    /// The peers it names, when it is of a kind.
    fn peers(self, kind: usize) -> impl Iterator<Item = Peer> {
        self.responses.filter(|_| self.kind == kind).into_iter().flatten()
    }

    /// Prints the value of a record.
    fn value(self) -> Result<(), CliError> {
        let value = BASE64_STANDARD.decode(&self.extra);
        output::bytes(&value.map_err(|e| CliError::Unexpected { method: "routing/get", cause: e.to_string() })?)
    }

    fn describe(&self) -> String {
        let what = EVENTS.get(self.kind).copied().unwrap_or("an event of an unknown kind");
        let peers = self.responses.iter().flatten().map(|peer| peer.id.as_str());
        let words = ["*", what, &self.id].into_iter().chain(peers).chain([self.extra.as_str()]);
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}
