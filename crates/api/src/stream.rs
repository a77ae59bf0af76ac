//! Answers that come in pieces: bytes or newline-delimited JSON, cut off or followed by a trailer when they fail.

use crate::args::Args;
use crate::error::ApiError;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, TRAILER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Pieces that may wait for a slow client.
const PIECES: usize = 8;
/// The trailer that says why a stream failed (go-ipfs-cmds).
const STREAM_ERROR: &str = "X-Stream-Error";

/// What the pieces are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// One JSON object after another.
    Json,
    /// Bytes; how many, when that is known.
    Bytes(Option<u64>),
    /// A tar archive; about how many bytes.
    Tar(u64),
}

/// One step of a stream. A stream that ends without `End` was lost.
enum Piece {
    Data(Bytes),
    End,
    Failed(ApiError),
}

/// Where a command puts its answer.
#[derive(Clone)]
pub(crate) struct Emitter(mpsc::Sender<Piece>);

impl Emitter {
    /// Sends bytes. Fails when the client is gone.
    pub(crate) async fn bytes(&self, bytes: Bytes) -> Result<(), ApiError> {
        self.0.send(Piece::Data(bytes)).await.map_err(|_| ApiError::failed("the client is gone"))
    }

    /// Sends one object.
    pub(crate) async fn json(&self, value: &impl Serialize) -> Result<(), ApiError> {
        let mut line = serde_json::to_vec(value).map_err(ApiError::failed)?;
        line.push(b'\n');
        self.bytes(line.into()).await
    }
}

/// Answers with what `produce` emits. It has the request's timeout, and is dropped when the client goes away. A failure
/// before the first piece is an ordinary error answer.
pub(crate) async fn stream<F>(kind: Kind, args: &Args, produce: impl FnOnce(Emitter) -> F) -> Result<Response, ApiError>
where
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let (tx, mut pieces) = mpsc::channel(PIECES);
    let job = produce(Emitter(tx.clone()));
    let limit = args.timeout;
    tokio::spawn(async move {
        let job = async {
            match limit {
                Some(limit) => {
                    tokio::time::timeout(limit, job).await.unwrap_or_else(|_| Err(ApiError::deadline(limit)))
                }
                None => job.await,
            }
        };
        let last = tokio::select! {
            ended = job => match ended {
                Ok(()) => Piece::End,
                Err(error) => Piece::Failed(error),
            },
            () = tx.closed() => return,
        };
        // A client that is gone needs no end.
        let _ = tx.send(last).await;
    });
    let first = match pieces.recv().await {
        Some(Piece::Failed(error)) => return Err(error),
        Some(piece) => piece,
        None => return Err(lost()),
    };
    let body = Body::new(Pieces { first: Some(first), rest: Some(pieces), trailers: args.trailers });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: HeaderValue| headers.insert(name, value);
    match kind {
        Kind::Json => {
            set(CONTENT_TYPE.as_str(), HeaderValue::from_static("application/json"));
            set("x-chunked-output", HeaderValue::from_static("1"));
        }
        Kind::Bytes(length) => {
            set(CONTENT_TYPE.as_str(), HeaderValue::from_static("application/octet-stream"));
            set("x-stream-output", HeaderValue::from_static("1"));
            if let Some(length) = length {
                set("x-content-length", length.into());
            }
        }
        Kind::Tar(length) => {
            set(CONTENT_TYPE.as_str(), HeaderValue::from_static("application/x-tar"));
            set("x-stream-output", HeaderValue::from_static("1"));
            set("x-content-length", length.into());
        }
    }
    if args.trailers {
        set(TRAILER.as_str(), HeaderValue::from_static(STREAM_ERROR));
    }
    Ok(response)
}

fn lost() -> ApiError {
    ApiError::failed("the command was lost inside the daemon, its log says why")
}

struct Pieces {
    first: Option<Piece>,
    rest: Option<mpsc::Receiver<Piece>>,
    trailers: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        let me = &mut *self;
        let Some(rest) = &mut me.rest else { return Poll::Ready(None) };
        let piece = match me.first.take() {
            Some(piece) => Some(piece),
            None => ready!(rest.poll_recv(cx)),
        };
        let error = match piece {
            Some(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Piece::End) => {
                me.rest = None;
                return Poll::Ready(None);
            }
            Some(Piece::Failed(error)) => error,
            None => lost(),
        };
        me.rest = None;
        if !me.trailers {
            tracing::debug!(target: "api", %error, "a stream is cut off");
            return Poll::Ready(Some(Err(error)));
        }
        let text: String = error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let value = HeaderValue::from_bytes(text.as_bytes()).unwrap_or(HeaderValue::from_static("failed"));
        let mut trailers = HeaderMap::new();
        trailers.insert(STREAM_ERROR, value);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
