//! A byte stream to a peer: what `OpenStream` and `RegisterProtocol` hand out, so that bulk bytes never cross a mailbox.

use futures_io::{AsyncRead, AsyncWrite};
use libp2p_identity::PeerId;
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

/// Anything that reads and writes bytes and can cross threads.
pub trait StreamIo: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> StreamIo for T {}

/// A negotiated stream with the peer at its other end. Dropping it resets it; `close` half-closes it.
pub struct PeerStream {
    /// The peer at the other end.
    pub peer: PeerId,
    /// The protocol that was negotiated.
    pub protocol: String,
    io: Box<dyn StreamIo>,
}

/// A stream that a peer opened to us.
pub type InboundStream = PeerStream;

impl PeerStream {
    /// Wraps a negotiated stream.
    pub fn new(peer: PeerId, protocol: String, io: impl StreamIo + 'static) -> Self {
        PeerStream { peer, protocol, io: Box::new(io) }
    }
}

impl fmt::Debug for PeerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStream").field("peer", &self.peer).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_close(cx)
    }
}
