//! A node inside a program: started, given some bytes, asked for their CID, stopped.
//!
//! `cargo run -p ipfrs-examples --example embed`

use ipfrs_node::{AddOptions, Node};
use std::{error::Error, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = "/ip4/127.0.0.1/tcp/0".parse()?;
    let node = Node::builder().ephemeral().listen(listen).no_bootstrap().no_mdns().start().await?;
    let added = node.content().add(&b"hello from inside"[..], &AddOptions::default()).await?;
    node.content().commit(&added.cid).await?;
    println!("{} has {}", node.peer_id(), added.cid);
    node.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
