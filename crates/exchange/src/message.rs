//! The Bitswap message and its framing (Bitswap specification 1.2): an unsigned varint of the length, then protobuf.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt};
use ipfrs_blocks::{SHA2_256, cid_of};
use ipfrs_contract::{Cid, Multihash};
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_varint, skip_field};
use sha2::{Digest, Sha512};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Protocols spoken, best first. 1.0 has no way to say that a block is missing and is only read.
pub(crate) const PROTOCOLS: [&str; 3] = ["/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0"];
/// Longest message read: the specification's limit of 4 MiB.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;
/// Wants sent in and taken from one message: Kubo reads no more.
pub(crate) const MAX_ENTRIES: usize = 1024;
/// Entries, blocks and presences of one message. An empty one takes two bytes here and a hundred when it is decoded:
/// without a limit 4 MiB would become 200.
const MAX_PARTS: usize = 65_536;
/// Bytes that are read or written at once; a message of wants alone is shorter.
pub(crate) const CHUNK: usize = 64 * 1024;
/// A stream on which one chunk takes longer is given up: it carries less than 1,100 bytes a second.
pub(crate) const STALLED: Duration = Duration::from_secs(60);
/// Multihash code of SHA2-512.
const SHA2_512: u64 = 0x13;
/// The field of [`Message::wantlist`].
const WANTLIST: u32 = 1;

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
    pub(crate) fn want(cid: &Cid, block: bool, priority: i32) -> Self {
        Entry { block: cid.to_bytes(), priority, cancel: false, want_type: i32::from(!block), send_dont_have: true }
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
            encode_varint(part, &mut prefix);
        }
        Payload { prefix, data }
    }

    /// The CID of the data, computed from it. `None` when the prefix is malformed or asks for a hash not computed here.
    pub(crate) fn cid(&self) -> Option<Cid> {
        let mut prefix = &self.prefix[..];
        let mut part = || decode_varint(&mut prefix).ok();
        match (part()?, part()?, part()?, part()?) {
            (version @ (0 | 1), codec, SHA2_256, 32) => Some(cid_of(version, codec, &self.data)),
            (1, codec, SHA2_512, 64) => {
                let hash = Multihash::wrap(SHA2_512, &Sha512::digest(&self.data)).ok()?;
                Some(Cid::new_v1(codec, hash))
            }
            _ => None,
        }
    }
}

impl Message {
    /// The message with its length before it.
    pub(crate) fn framed(&self) -> Vec<u8> {
        self.encode_length_delimited_to_vec()
    }
}

/// The next message of a stream, with its bytes' share of the peer's `room`; `None` at the end of the stream. Each chunk
/// of a message that is longer than a wantlist is told to `heard`.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    room: &Arc<Semaphore>,
    heard: impl Fn(),
) -> io::Result<Option<(Message, OwnedSemaphorePermit)>> {
    let Some(length) = read_length(stream).await? else { return Ok(None) };
    let share = room.clone().acquire_many_owned(length).await.map_err(io::Error::other)?;
    let mut bytes = vec![0u8; length as usize];
    let long = bytes.len() > CHUNK;
    for chunk in bytes.chunks_mut(CHUNK) {
        tokio::time::timeout(STALLED, stream.read_exact(chunk)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if long {
            heard();
        }
    }
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    if parts(&bytes, Some(WANTLIST)).is_none_or(|parts| parts > MAX_PARTS) {
        return Err(bad(format!("a malformed message, or one of more than {MAX_PARTS} parts")));
    }
    let message = Message::decode(Bytes::from(bytes)).map_err(|e| bad(e.to_string()))?;
    Ok(Some((message, share)))
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<u32>> {
    let mut length = 0u32;
    // Four bytes can say more than any message may have.
    for shift in (0..28).step_by(7) {
        let mut byte = [0u8];
        match stream.read(&mut byte).await? {
            0 if shift == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => length |= u32::from(byte[0] & 0x7f) << shift,
        }
        if byte[0] & 0x80 == 0 {
            if length as usize > MAX_MESSAGE {
                break;
            }
            return Ok(Some(length));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message longer than {MAX_MESSAGE} bytes")))
}

/// Counts fields, and those inside the field `nested`, without building anything. `None` for what is no protobuf.
fn parts(mut bytes: &[u8], nested: Option<u32>) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (field, kind) = decode_key(&mut bytes).ok()?;
        count += 1;
        if Some(field) == nested && kind == WireType::LengthDelimited {
            let length = decode_varint(&mut bytes).ok()?;
            let (inside, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
            count += parts(inside, None)?;
            bytes = rest;
        } else {
            skip_field(kind, field, &mut bytes, DecodeContext::default()).ok()?;
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> io::Result<Option<Message>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let room = Arc::new(Semaphore::new(MAX_MESSAGE));
        let read = runtime.block_on(read(&mut futures::io::Cursor::new(bytes), &room, || {}));
        read.map(|message| message.map(|(message, _)| message))
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_varint(body.len() as u64, &mut bytes);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_message_survives_the_wire_and_a_block_names_itself() {
        let cid = cid_of(0, ipfrs_blocks::DAG_PB, b"block");
        let message = Message {
            wantlist: Some(Wantlist { entries: vec![Entry::want(&cid, false, 9), Entry::cancel(&cid)], full: true }),
            payload: vec![Payload::new(&cid, Bytes::from_static(b"block"))],
            presences: vec![Presence::new(&cid, false)],
            ..Message::default()
        };
        let read = read_all(&message.framed()).unwrap().unwrap();
        assert_eq!(read, message);
        assert_eq!(read.payload[0].cid(), Some(cid));
    }

    #[test]
    fn a_block_under_the_longer_hash_names_itself_too() {
        let hash = Multihash::wrap(SHA2_512, &Sha512::digest(b"block")).unwrap();
        let cid = Cid::new_v1(ipfrs_blocks::RAW, hash);
        let mut payload = Payload::new(&cid, Bytes::from_static(b"block"));
        assert_eq!(payload.cid(), Some(cid));
        payload.prefix[2] = 0x14;
        assert_eq!(payload.cid(), None, "a hash that is not computed here");
    }

    #[test]
    fn too_long_is_refused_before_it_is_read() {
        assert!(read_all(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        assert!(read_all(&[0x81, 0x80, 0x80, 0x02]).is_err(), "one byte more than the limit");
        assert!(read_all(&[]).unwrap().is_none());
        assert!(read_all(&[5, 1]).is_err());
        assert_eq!(read_all(&[0]).unwrap(), Some(Message::default()));
    }

    #[test]
    fn more_parts_than_any_message_needs_are_refused() {
        let presences = |n| framed(&[0x22u8, 0].repeat(n));
        let entries = |n| {
            let mut list = vec![0x0a];
            list.extend(framed(&[0x0au8, 0].repeat(n)));
            framed(&list)
        };
        assert_eq!(read_all(&presences(MAX_PARTS)).unwrap().unwrap().presences.len(), MAX_PARTS);
        assert!(read_all(&presences(MAX_PARTS + 1)).is_err());
        // The wantlist itself is a part.
        assert!(read_all(&entries(MAX_PARTS - 1)).is_ok());
        assert!(read_all(&entries(MAX_PARTS)).is_err());
    }

    #[test]
    fn long_messages_are_heard_chunk_by_chunk_and_take_their_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let chunks = std::cell::Cell::new(0);
        let cid = cid_of(1, ipfrs_blocks::RAW, b"");
        let message =
            |size| Message { payload: vec![Payload::new(&cid, vec![7u8; size].into())], ..Message::default() };
        let (short, long) = (message(CHUNK / 2).framed(), message(3 * CHUNK).framed());
        let room = Arc::new(Semaphore::new(MAX_MESSAGE));
        let mut stream = futures::io::Cursor::new([short, long].concat());
        let mut next = || runtime.block_on(read(&mut stream, &room, || chunks.set(chunks.get() + 1))).unwrap().unwrap();
        drop(next());
        assert_eq!(chunks.get(), 0);
        let (_, share) = next();
        assert_eq!(chunks.get(), 4);
        assert!(share.num_permits() > 3 * CHUNK && room.available_permits() == MAX_MESSAGE - share.num_permits());
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
