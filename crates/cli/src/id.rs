//! `ipfrs id`.

use crate::args::{Enc, Global};
use crate::client::Client;
use crate::error::CliError;
use crate::output;
use crate::version::VERSION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipfrs_node::Repo;
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;

#[derive(Debug, clap::Args)]
pub(crate) struct IdArgs {
    /// Whom to look up instead of this node
    peer: Option<String>,
    /// What to print, with `<id>`, `<aver>`, `<addrs>`, `<pubkey>` and `<protocols>` in it
    #[arg(short, long)]
    format: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Identity {
    #[serde(rename = "ID")]
    id: String,
    public_key: String,
    addresses: Option<Vec<String>>,
    agent_version: String,
    protocols: Option<Vec<String>>,
}

impl IdArgs {
    pub(crate) async fn run(self, global: &Global) -> Result<(), CliError> {
        let asked = async { Client::find(global)?.call("id").opt("arg", self.peer.as_ref()).send().await };
        match asked.await {
            // Without a daemon a node still knows its own name.
            Err(CliError::NoDaemon(_) | CliError::Silent { .. }) if self.peer.is_none() && global.api.is_none() => {
                let identity = own()?;
                match global.enc {
                    Enc::Json => output::line(serde_json::json!(identity)),
                    Enc::Text => self.print(&identity),
                }
            }
            answer => answer?.show(|identity: Identity| self.print(&identity)).await,
        }
    }

    fn print(&self, identity: &Identity) -> Result<(), CliError> {
        let Some(format) = &self.format else { return output::line(pretty(identity)) };
        let lines = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().join("\n");
        let text = format
            .replace("<id>", &identity.id)
            .replace("<aver>", &identity.agent_version)
            .replace("<pubkey>", &identity.public_key)
            .replace("<addrs>", &lines(&identity.addresses))
            .replace("<protocols>", &lines(&identity.protocols))
            .replace("\\n", "\n")
            .replace("\\t", "\t");
        output::bytes(text.as_bytes())
    }
}

/// The identity in the repo.
fn own() -> Result<Identity, CliError> {
    let key = Repo::peek_identity(&Repo::default_path())?;
    Ok(Identity {
        id: key.to_peer_id().to_string(),
        public_key: BASE64_STANDARD.encode(key.encode_protobuf()),
        agent_version: format!("ipfrs/{VERSION}"),
        ..Identity::default()
    })
}

/// Indented with tabs, as Go does it.
fn pretty(identity: &Identity) -> String {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"\t"));
    identity.serialize(&mut json).expect("strings and lists of them are valid JSON");
    String::from_utf8_lossy(&text).into_owned()
}
