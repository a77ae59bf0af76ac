//! An answer of the daemon: bytes or objects, and the trailer that says why it ended early.

use crate::args::Enc;
use crate::client::root;
use crate::error::CliError;
use crate::output;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

/// The trailer in which a failed stream says why (go-ipfs-cmds).
const STREAM_ERROR: &str = "x-stream-error";
/// About how long the body will be; it is sent in chunks, so the usual header is missing.
const LENGTH: &str = "x-content-length";

/// The error object of Kubo's API.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    message: String,
}

/// An answer that has begun.
pub(crate) struct Answer {
    method: &'static str,
    enc: Enc,
    body: reqwest::Body,
    /// How many bytes will come, where the daemon says so.
    pub(crate) size: Option<u64>,
    /// Bytes of lines not yet read.
    rest: BytesMut,
    /// What went wrong here while the body of the call was sent; it is the cause of whatever else goes wrong.
    local: Option<oneshot::Receiver<CliError>>,
}

impl Answer {
    /// Takes an answer unless it is an error.
    pub(crate) async fn begin(
        response: reqwest::Response,
        method: &'static str,
        enc: Enc,
        local: Option<oneshot::Receiver<CliError>>,
    ) -> Result<Answer, CliError> {
        let status = response.status();
        let size = response.headers().get(LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
        let mut answer = Answer { method, enc, body: response.into(), size, rest: BytesMut::new(), local };
        if status.is_success() {
            return Ok(answer);
        }
        let mut text = BytesMut::new();
        while let Some(data) = answer.chunk().await? {
            text.extend_from_slice(&data);
        }
        let said = match serde_json::from_slice::<Refusal>(&text) {
            Ok(refusal) => refusal.message,
            Err(_) if text.is_empty() => format!("{method}: the daemon answers {status}"),
            Err(_) => String::from_utf8_lossy(&text).into_owned(),
        };
        Err(answer.local().unwrap_or(CliError::Refused(said)))
    }

    fn local(&mut self) -> Option<CliError> {
        self.local.as_mut()?.try_recv().ok()
    }

    /// The next bytes; `None` when the answer has ended well.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, CliError> {
        while let Some(frame) = self.body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(cause) => {
                    let broken = CliError::Broken { method: self.method, cause: root(&cause) };
                    return Err(self.local().unwrap_or(broken));
                }
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    let error = frame.trailers_ref().and_then(|trailers| trailers.get(STREAM_ERROR));
                    if let Some(error) = error.filter(|error| !error.is_empty()) {
                        return Err(CliError::Refused(String::from_utf8_lossy(error.as_bytes()).into_owned()));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The next line that is not empty.
    async fn line(&mut self) -> Result<Option<Bytes>, CliError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.rest[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(searched + end + 1).freeze();
                searched = 0;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            searched = self.rest.len();
            match self.chunk().await? {
                Some(data) => self.rest.extend_from_slice(&data),
                None if self.rest.trim_ascii().is_empty() => return Ok(None),
                // A single object may come without the end of its line.
                None => return Ok(Some(self.rest.split().freeze())),
            }
        }
    }

    /// Prints the objects of an answer: as they are for `--enc=json`, otherwise as `text` does it.
    pub(crate) async fn show<T, F>(mut self, mut text: F) -> Result<(), CliError>
    where
        T: DeserializeOwned,
        F: FnMut(T) -> Result<(), CliError>,
    {
        while let Some(line) = self.line().await? {
            match self.enc {
                Enc::Json => output::line(String::from_utf8_lossy(line.trim_ascii()))?,
                Enc::Text => text(self.read(&line)?)?,
            }
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, CliError> {
        let unexpected = |e: serde_json::Error| CliError::Unexpected { method: self.method, cause: e.to_string() };
        serde_json::from_slice(line).map_err(unexpected)
    }
}
