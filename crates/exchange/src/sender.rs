//! One peer's sender: keeps a stream open, packs wants, presences and blocks into messages. While one message is
//! written the blocks of the next are looked up.

use crate::mail::{Mail, Request};
use crate::message::{CHUNK, MAX_ENTRIES, Message, PROTOCOLS, Payload, Presence, STALLED};
use crate::wire::{Tools, Wire};
use bytes::Bytes;
use futures::AsyncWriteExt;
use ipfrs_actor::CallError;
use ipfrs_contract::swarm::OpenStream;
use ipfrs_contract::{PeerId, PeerStream};
use ipfrs_resilience::Backoff;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Bytes of blocks in one message: two of 256 KiB with what dag-pb adds to them. In a longer one the first block waits
/// for the last; in shorter ones a block costs more than it must.
const MESSAGE_BYTES: u64 = 2 * (256 * 1024 + 64);
/// Longest block that peers are sent: the specification's limit.
const MAX_BLOCK: u64 = 2 << 20;
/// Blocks at most this long are sent in answer to a question whether they are here; boxo's limit.
const SMALL: u64 = 1024;
/// An unused stream is closed after this.
const IDLE: Duration = Duration::from_secs(60);
const OPEN: Duration = Duration::from_secs(15);
/// Pause before a message that failed is sent again; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_secs(10);
/// Failures in a row, some twenty seconds, after which nothing is repeated any more. The actor asks again when the peer
/// turns out to be silent.
const TRIES: u32 = 8;
/// A stream that a crashed shell was opening is opened again this often, with a pause for its restart.
const REOPEN: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends what is in the mail until it is aborted: when its peer is gone.
pub(crate) async fn run(peer: PeerId, mail: Arc<Mail>, wire: Arc<Wire>, tools: Tools) {
    let mut line = Line { peer, tools: tools.clone(), stream: None };
    let desk = Desk { peer, mail: mail.clone(), wire: wire.clone(), tools };
    let backoff = Backoff::new(AGAIN, AGAIN_MAX, 0.5);
    let (mut message, mut failures) = (Message::default(), 0);
    loop {
        message.wantlist = mail.wantlist();
        if message == Message::default() {
            if mail.is_empty() && timeout(IDLE, mail.news()).await.is_err() {
                line.close().await;
                mail.news().await;
            }
            message = desk.look_up().await;
            continue;
        }
        let (sent, next) = tokio::join!(line.send(&message), desk.look_up());
        let Err(error) = sent else {
            message.payload.iter().for_each(|block| wire.counters.sent(block.data.len()));
            message = next;
            failures = 0;
            continue;
        };
        failures += 1;
        tracing::debug!(target: "exchange", %peer, %error, failures, "not sent");
        mail.not_sent(message.wantlist.take());
        if failures == TRIES {
            mail.throw_away();
            failures = 0;
        }
        message = Message::default();
        let pause = backoff.delay(failures, &mut rand::rng());
        sleep(pause).await;
    }
}

/// Where messages go.
struct Line {
    peer: PeerId,
    tools: Tools,
    stream: Option<PeerStream>,
}

impl Line {
    /// Sends on the open stream; a broken one is replaced once.
    async fn send(&mut self, message: &Message) -> Result<(), String> {
        let bytes = message.framed();
        let reused = self.stream.is_some();
        match self.write(&bytes).await {
            Err(_) if reused => self.write(&bytes).await,
            result => result,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        for chunk in bytes.chunks(CHUNK) {
            in_time(stream.write_all(chunk)).await?;
        }
        in_time(stream.flush()).await?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn open(&mut self) -> Result<PeerStream, String> {
        let mut crashes = 0;
        loop {
            // 1.0 cannot say that a block is missing and is only read.
            let protocols = PROTOCOLS[..2].iter().map(|p| (*p).to_owned()).collect();
            match self.tools.ports.open_stream.call(OpenStream { peer: self.peer, protocols }, OPEN).await {
                Ok(opened) => return opened.map_err(|e| e.to_string()),
                // Nothing was sent on it.
                Err(CallError::Crashed { .. }) if crashes < REOPEN => crashes += 1,
                Err(error) => return Err(error.to_string()),
            }
            sleep(PAUSE).await;
        }
    }

    async fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            let _ = timeout(OPEN, stream.close()).await;
        }
    }
}

async fn in_time(work: impl Future<Output = io::Result<()>>) -> Result<(), String> {
    match timeout(STALLED, work).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err("the peer does not read".to_owned()),
    }
}

/// Where requests are answered.
#[derive(Clone)]
struct Desk {
    peer: PeerId,
    mail: Arc<Mail>,
    wire: Arc<Wire>,
    tools: Tools,
}

enum Answer {
    Block(Bytes),
    Here,
    Absent,
    /// It is here and longer than there is room for.
    TooLong,
}

impl Desk {
    /// Answers to requests, up to a message full of them.
    async fn look_up(&self) -> Message {
        let Some(first) = self.mail.request() else { return Message::default() };
        let desk = self.clone();
        tokio::task::spawn_blocking(move || desk.fill(first)).await.unwrap_or_default()
    }

    fn fill(&self, first: Request) -> Message {
        let mut message = Message::default();
        let mut bytes = 0;
        let requests = std::iter::once(first).chain(std::iter::from_fn(|| self.mail.request()));
        for request in requests.take(MAX_ENTRIES) {
            // A message carries at least one block, however long.
            let room = if bytes == 0 { MAX_BLOCK } else { MESSAGE_BYTES.saturating_sub(bytes) };
            match self.answer(request, room) {
                Answer::Block(data) => {
                    bytes += data.len() as u64;
                    message.payload.push(Payload::new(&request.cid, data));
                }
                Answer::Here => message.presences.push(Presence::new(&request.cid, true)),
                Answer::Absent if request.send_dont_have => {
                    message.presences.push(Presence::new(&request.cid, false));
                }
                Answer::Absent => {}
                Answer::TooLong => {
                    self.mail.put_back(request);
                    break;
                }
            }
        }
        message
    }

    /// What is absent is remembered, and looked for once more: a block that is added between the look and the note
    /// would be seen by neither.
    fn answer(&self, request: Request, room: u64) -> Answer {
        if !self.tools.serve {
            return Answer::Absent;
        }
        let first = self.find(&request, room);
        if !matches!(first, Answer::Absent) {
            return first;
        }
        self.wire.remember(self.peer, request);
        let second = self.find(&request, room);
        if !matches!(second, Answer::Absent) {
            self.wire.answered(self.peer, request.cid.hash());
        }
        second
    }

    fn find(&self, request: &Request, room: u64) -> Answer {
        let store = &self.tools.store;
        let found = match store.size(&request.cid) {
            Ok(None) => Ok(None),
            Ok(Some(size)) if size > MAX_BLOCK => Ok(None),
            Ok(Some(size)) if !request.block && size > SMALL => Ok(Some(Answer::Here)),
            Ok(Some(size)) if size > room => Ok(Some(Answer::TooLong)),
            Ok(Some(_)) => store.get(&request.cid).map(|data| data.map(Answer::Block)),
            Err(error) => Err(error),
        };
        match found {
            Ok(answer) => answer.unwrap_or(Answer::Absent),
            Err(error) => {
                tracing::warn!(target: "exchange", cid = %request.cid, %error, "a wanted block cannot be read");
                Answer::Absent
            }
        }
    }
}
