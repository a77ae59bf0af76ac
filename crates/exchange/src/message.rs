//! The Bitswap message and its framing (Bitswap specification 1.2): an unsigned varint of the length, then protobuf.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt};
use ipfrs_blocks::{SHA2_256, cid_of};
use ipfrs_contract::Cid;
use prost::Message as _;
use std::io;

/// Protocols spoken, best first. 1.0 has no way to say that a block is missing and is only read.
pub(crate) const PROTOCOLS: [&str; 3] = ["/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0"];
/// Longest message read: the specification's limit of 4 MiB.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;
/// Wantlist entries taken from one message; Kubo sends at most this many.
pub(crate) const MAX_ENTRIES: usize = 1024;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(message, optional, tag = "1")]
    pub(crate) wantlist: Option<Wantlist>,
    /// Blocks of version 1.0, whose CIDs are version 0.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) blocks: Vec<Bytes>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) payload: Vec<Payload>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) presences: Vec<Presence>,
    #[prost(int32, tag = "5")]
    pub(crate) pending_bytes: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Wantlist {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
    #[prost(bool, tag = "2")]
    pub(crate) full: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) block: Vec<u8>,
    #[prost(int32, tag = "2")]
    pub(crate) priority: i32,
    #[prost(bool, tag = "3")]
    pub(crate) cancel: bool,
    /// 0 wants the block, 1 wants to know whether it is there.
    #[prost(int32, tag = "4")]
    pub(crate) want_type: i32,
    #[prost(bool, tag = "5")]
    pub(crate) send_dont_have: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    /// CID without the digest: version, codec, hash function, digest length, each a varint.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) prefix: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Presence {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cid: Vec<u8>,
    /// 0 is here, 1 is not.
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
}

impl Entry {
    pub(crate) fn want(cid: &Cid, block: bool) -> Self {
        Entry { block: cid.to_bytes(), priority: 1, cancel: false, want_type: i32::from(!block), send_dont_have: true }
    }

    pub(crate) fn cancel(cid: &Cid) -> Self {
        Entry { block: cid.to_bytes(), priority: 0, cancel: true, want_type: 0, send_dont_have: false }
    }
}

impl Presence {
    pub(crate) fn new(cid: &Cid, here: bool) -> Self {
        Presence { cid: cid.to_bytes(), kind: i32::from(!here) }
    }
}

impl Payload {
    pub(crate) fn new(cid: &Cid, data: Bytes) -> Self {
        let mut prefix = Vec::with_capacity(8);
        let hash = cid.hash();
        for part in [u64::from(cid.version()), cid.codec(), hash.code(), u64::from(hash.size())] {
            prost::encoding::encode_varint(part, &mut prefix);
        }
        Payload { prefix, data }
    }

    /// The CID of the data, computed from it. `None` when the prefix is malformed or asks for a hash not computed here.
    pub(crate) fn cid(&self) -> Option<Cid> {
        let mut prefix = &self.prefix[..];
        let mut part = || prost::encoding::decode_varint(&mut prefix).ok();
        let (version, codec, hash, length) = (part()?, part()?, part()?, part()?);
        (version <= 1 && hash == SHA2_256 && length == 32).then(|| cid_of(version, codec, &self.data))
    }
}

impl Message {
    /// The message with its length before it.
    pub(crate) fn framed(&self) -> Vec<u8> {
        self.encode_length_delimited_to_vec()
    }
}

/// The next message of a stream; `None` at its end. `body` limits the time between a length and its message.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    body: std::time::Duration,
) -> io::Result<Option<Message>> {
    let mut length = 0u64;
    for shift in (0..).step_by(7) {
        let mut byte = [0u8];
        match stream.read(&mut byte).await? {
            0 if shift == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        length |= u64::from(byte[0] & 0x7f) << shift;
        if length > MAX_MESSAGE as u64 || shift > 21 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a message longer than {MAX_MESSAGE} bytes"),
            ));
        }
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut bytes = vec![0u8; length as usize];
    tokio::time::timeout(body, stream.read_exact(&mut bytes)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let message = Message::decode(Bytes::from(bytes));
    message.map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn read_all(bytes: &[u8]) -> io::Result<Option<Message>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(read(&mut futures::io::Cursor::new(bytes), Duration::from_secs(5)))
    }

    #[test]
    fn a_message_survives_the_wire_and_a_block_names_itself() {
        let cid = cid_of(0, ipfrs_blocks::DAG_PB, b"block");
        let message = Message {
            wantlist: Some(Wantlist { entries: vec![Entry::want(&cid, false), Entry::cancel(&cid)], full: true }),
            payload: vec![Payload::new(&cid, Bytes::from_static(b"block"))],
            presences: vec![Presence::new(&cid, false)],
            ..Message::default()
        };
        let read = read_all(&message.framed()).unwrap().unwrap();
        assert_eq!(read, message);
        assert_eq!(read.payload[0].cid(), Some(cid));
    }

    #[test]
    fn too_long_is_refused_before_it_is_read() {
        assert!(read_all(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        assert!(read_all(&[]).unwrap().is_none());
        assert!(read_all(&[5, 1]).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some(message)) = read_all(&bytes) {
                for payload in &message.payload {
                    let _ = payload.cid();
                }
            }
        }
    }
}
