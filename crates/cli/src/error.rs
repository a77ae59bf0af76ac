//! What can go wrong on the command line, and the exit codes that say so.

use ipfrs_contract::Multiaddr;
use ipfrs_node::{ConfigError, RepoError, StartError};
use ipfrs_telemetry::{LoggingError, ParseLogFormatError, RecorderError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The supervisor gave up (`EX_SOFTWARE` of sysexits.h): whoever starts daemons can tell it from a wrong flag.
const GAVE_UP: u8 = 70;
/// What a shell reports for a program that SIGPIPE ends, as it ends Kubo.
const NOBODY_READS: u8 = 128 + 13;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("no daemon is running in {}; start one with: ipfrs daemon", .0.display())]
    NoDaemon(PathBuf),
    #[error("{0} is not the address of an API, such as /ip4/127.0.0.1/tcp/5001")]
    NotAnApi(Multiaddr),
    #[error("the daemon at {api} does not answer: {cause}")]
    Silent { api: Multiaddr, cause: String },
    /// The daemon's own words.
    #[error("{0}")]
    Refused(String),
    #[error("{method}: the answer broke off: {cause}")]
    Broken { method: &'static str, cause: String },
    #[error("{method}: the answer is not as expected: {cause}")]
    Unexpected { method: &'static str, cause: String },
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    #[error("interrupted")]
    Interrupted(u8),
    #[error("{}: {cause}", .path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("'{}' is a directory, use the '-r' flag to specify directories", .0.display())]
    NotRecursive(PathBuf),
    #[error("{} is a directory that exists already; name another target with -o", .0.display())]
    Exists(PathBuf),
    #[error("invalid path {0:?}: it has no last element to name the target after; name one with -o")]
    NoName(String),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("{what}: {cause}")]
    System { what: &'static str, cause: io::Error },
    #[error("the RPC API cannot listen on {api}: {cause}")]
    Bind { api: Multiaddr, cause: io::Error },
    #[error("the supervisor gave up: {0}")]
    GaveUp(String),
    #[error("{0}")]
    Repo(#[from] RepoError),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Logging(#[from] LoggingError),
    #[error("{0}")]
    LogFormat(#[from] ParseLogFormatError),
    #[error("{0}")]
    Recorder(#[from] RecorderError),
}

impl CliError {
    /// Something about a local file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> CliError + '_ {
        move |cause| CliError::File { path: path.to_owned(), cause }
    }

    /// Says what went wrong, as Kubo does, and how to exit.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            // Whoever pressed Ctrl-C or closed the pipe knows.
            CliError::Interrupted(code) => return ExitCode::from(*code),
            CliError::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::from(NOBODY_READS);
            }
            CliError::GaveUp(_) => ExitCode::from(GAVE_UP),
            _ => ExitCode::FAILURE,
        };
        let _ = writeln!(io::stderr(), "Error: {self}");
        code
    }
}
