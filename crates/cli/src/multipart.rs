//! Local files as the body of a call: a multipart form in the shape of go-ipfs-cmds, read while it is sent.
//!
//! The form of reqwest opens every file beforehand and nests one stream for each; a directory of 100,000 files has
//! neither so many descriptors nor so deep a stack.

use crate::error::CliError;
use bytes::Bytes;
use futures::stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};

/// Bytes sent at a time: one UnixFS chunk, and small files and headers travel together.
const CHUNK: usize = 256 * 1024;
/// Chunks read ahead of the network.
const AHEAD: usize = 4;
/// What Go's `url.QueryEscape` leaves as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One part of a form.
#[derive(Debug)]
pub(crate) struct Part {
    /// Relative path under which it is added; empty when it has none.
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// What a part is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    File(PathBuf),
    Stdin,
    /// Comes before what lies in it.
    Directory,
    Symlink(String),
}

impl Part {
    /// Standard input when the path is `-`.
    pub(crate) fn stdin(path: &Path) -> Option<Part> {
        (path == Path::new("-")).then(|| Part { name: String::new(), content: Content::Stdin })
    }

    /// One file, or standard input for `-`.
    pub(crate) fn single(path: &Path) -> Result<Part, CliError> {
        if let Some(stdin) = Part::stdin(path) {
            return Ok(stdin);
        }
        if std::fs::metadata(path).map_err(CliError::file(path))?.is_dir() {
            return Err(CliError::file(path)(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Part { name: "file".to_owned(), content: Content::File(path.to_owned()) })
    }

    fn kind(&self) -> &'static str {
        match self.content {
            Content::File(_) | Content::Stdin => "application/octet-stream",
            Content::Directory => "application/x-directory",
            Content::Symlink(_) => "application/symlink",
        }
    }
}

/// A form on its way.
pub(crate) struct Upload {
    pub(crate) boundary: String,
    pub(crate) body: reqwest::Body,
    /// Hears what could not be read, before the body breaks off for it.
    pub(crate) failed: oneshot::Receiver<CliError>,
}

/// Starts to read the parts as fast as they are sent.
pub(crate) fn upload(parts: Vec<Part>) -> Upload {
    // Random, as a boundary must not occur in what it separates.
    let boundary = reqwest::multipart::Form::new().boundary().to_owned();
    let (to, from) = mpsc::channel(AHEAD);
    let (fail, failed) = oneshot::channel();
    let separator = boundary.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, Pipe(to.clone()));
        let written = form(&parts, &separator, &mut out);
        // When the receiver is gone, the daemon has answered or is lost; that is what its caller hears.
        if let Err(error) = written
            && !to.is_closed()
        {
            let _ = fail.send(error);
            let _ = to.blocking_send(Err(io::Error::other("a local file cannot be read")));
        }
    });
    let body = stream::unfold(from, |mut from: mpsc::Receiver<io::Result<Bytes>>| async move {
        let chunk = from.recv().await?;
        Some((chunk, from))
    });
    Upload { boundary, body: reqwest::Body::wrap_stream(body), failed }
}

fn form(parts: &[Part], boundary: &str, out: &mut impl Write) -> Result<(), CliError> {
    let sent = |cause| CliError::System { what: "the upload", cause };
    for part in parts {
        let name = utf8_percent_encode(&part.name, KEPT);
        let kind = part.kind();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
        );
        out.write_all(head.as_bytes()).map_err(sent)?;
        match &part.content {
            Content::File(path) => {
                let copied = File::open(path).and_then(|mut file| io::copy(&mut file, out));
                copied.map_err(CliError::file(path))?;
            }
            Content::Stdin => {
                let copied = io::copy(&mut io::stdin().lock(), out);
                copied.map_err(|cause| CliError::System { what: "standard input", cause })?;
            }
            Content::Directory => {}
            Content::Symlink(target) => out.write_all(target.as_bytes()).map_err(sent)?,
        }
        out.write_all(b"\r\n").map_err(sent)?;
    }
    write!(out, "--{boundary}--\r\n").and_then(|()| out.flush()).map_err(sent)
}

/// Where the bytes leave the thread that reads files.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_every_part_by_its_escaped_path() {
        let part = |name: &str, content| Part { name: name.to_owned(), content };
        let parts = [part("d", Content::Directory), part("d/ü \"x\".txt", Content::Symlink("../t".to_owned()))];
        let mut out = Vec::new();
        form(&parts, "B", &mut out).unwrap();
        let expected = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d\"\r\n\
                        Content-Type: application/x-directory\r\n\r\n\r\n\
                        --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d%2F%C3%BC%20%22x%22.txt\"\r\n\
                        Content-Type: application/symlink\r\n\r\n../t\r\n--B--\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
