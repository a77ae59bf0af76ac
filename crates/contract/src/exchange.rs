//! What the exchange hears: sessions of wants, blocks added, figures. Blocks themselves go through the block store.

use crate::{Cid, PeerId};
use actix::Message;
use tokio::sync::mpsc;

/// Names a session for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Opens a session: wants of one traversal, which share the peers that turned out to have its blocks.
///
/// Handled by the exchange; sent by the node. A block that arrives is verified and in the block store before its CID
/// appears on `arrived`. The session ends when the receiver is dropped or with [`CloseSession`]; it survives a crash of the actor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "SessionId")]
pub struct OpenSession {
    /// Where news of wanted blocks goes; its capacity bounds what may be outstanding.
    pub arrived: mpsc::Sender<Arrived>,
}

/// News of a want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// The block is verified and in the store.
    Block(Cid),
    /// The block could not be stored.
    Failed(Cid, String),
}

/// Wants blocks in a session. Handled by the exchange; a CID wanted twice is wanted once.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), ExchangeError>")]
pub struct Want {
    /// In which session.
    pub session: SessionId,
    /// Which blocks, at most [`MAX_WANTS`] outstanding in a session.
    pub cids: Vec<Cid>,
}

/// Ends a session and cancels its wants at the peers. Handled by the exchange.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CloseSession {
    /// Which session.
    pub session: SessionId,
}

/// Blocks are in the store now: peers that wait for them are served. Handled by the exchange; sent by the node.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BlocksAdded {
    /// Which ones.
    pub cids: Vec<Cid>,
}

/// Figures of the exchange, as `ipfs bitswap stat` prints them. Handled by the exchange at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "ExchangeStat")]
pub struct GetExchangeStat;

/// Figures of the exchange since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExchangeStat {
    /// CIDs wanted now.
    pub wantlist: Vec<String>,
    /// Peers that speak Bitswap and are connected.
    pub peers: Vec<PeerId>,
    /// Blocks received that were wanted.
    pub blocks_received: u64,
    /// Bytes of them.
    pub data_received: u64,
    /// Blocks received that nobody wanted any more.
    pub dup_blocks_received: u64,
    /// Blocks sent.
    pub blocks_sent: u64,
    /// Bytes of them.
    pub data_sent: u64,
}

/// Most wants outstanding in one session: 1,024 blocks of 256 KiB are 256 MiB, more than any window needs.
pub const MAX_WANTS: usize = 1024;

/// Why the exchange could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The session was closed or never opened.
    #[error("no such session")]
    NoSession,
    /// Too many wants are outstanding.
    #[error("more than {MAX_WANTS} wants outstanding in one session")]
    TooManyWants,
}
