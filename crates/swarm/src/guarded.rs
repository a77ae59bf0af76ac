//! A stream that ends with its driver: without this it would keep the socket of a lost driver, and its peer in the
//! belief that there is a connection, until the connection runs into its idle time-out.

use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use libp2p::swarm::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Resolves when the driver is gone.
pub(crate) type Lost = Shared<oneshot::Receiver<()>>;

/// A driver's sign of life, which goes with it, and what its streams watch.
pub(crate) fn sign_of_life() -> (oneshot::Sender<()>, Lost) {
    let (alive, lost) = oneshot::channel();
    (alive, lost.shared())
}

pub(crate) struct Guarded {
    stream: Option<Stream>,
    lost: Lost,
}

impl Guarded {
    pub(crate) fn new(stream: Stream, lost: Lost) -> Self {
        Guarded { stream: Some(stream), lost }
    }

    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut Stream>> {
        if self.lost.poll_unpin(cx).is_ready() {
            self.stream = None;
        }
        let gone = || io::Error::new(io::ErrorKind::ConnectionReset, "the network driver is lost");
        self.stream.as_mut().map(Pin::new).ok_or_else(gone)
    }
}

impl futures::AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_read(cx, buf)
    }
}

impl futures::AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write_vectored(cx, bufs)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_flush(cx)
    }
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_close(cx)
    }
}
