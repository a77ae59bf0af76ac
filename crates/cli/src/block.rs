//! `ipfrs block`: single blocks.

use crate::client::Client;
use crate::error::CliError;
use crate::multipart::{self, Part};
use crate::output::line;
use clap::Subcommand;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BlockCommand {
    /// Print a block
    Get {
        /// Which
        cid: String,
    },
    /// Store a block
    Put {
        /// Where its bytes are; - is standard input
        file: PathBuf,
        /// What the bytes are, such as raw or dag-pb
        #[arg(long, value_name = "CODEC")]
        cid_codec: Option<String>,
        /// How they are hashed
        #[arg(long, value_name = "HASH")]
        mhtype: Option<String>,
    },
    /// Show the size of a block
    Stat {
        /// Which
        cid: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    key: String,
    size: u64,
}

impl BlockCommand {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            BlockCommand::Get { cid } => client.call("block/get").arg(&cid).pour().await,
            BlockCommand::Put { file, cid_codec, mhtype } => {
                let body = multipart::upload(vec![Part::single(&file)?]);
                let call = client.call("block/put").opt("cid-codec", cid_codec).opt("mhtype", mhtype).upload(body);
                call.show(|block: Block| line(block.key)).await
            }
            BlockCommand::Stat { cid } => {
                let call = client.call("block/stat").arg(&cid);
                call.show(|block: Block| line(format!("Key: {}\nSize: {}", block.key, block.size))).await
            }
        }
    }
}
