//! Ctrl-C and SIGTERM.

use crate::error::CliError;

/// The signals that ask a process to end. They no longer end it by themselves once this exists.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Result<Signals, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let deaf = |cause| CliError::System { what: "signals", cause };
        let interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        let terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        Ok(Signals { interrupt, terminate })
    }

    /// Waits for one; says the exit code that a shell reports for it.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 128 + 2,
            _ = self.terminate.recv() => 128 + 15,
        }
    }
}

/// The signals that ask a process to end.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Result<Signals, CliError> {
        Ok(Signals)
    }

    pub(crate) async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 128 + 2,
            Err(_) => std::future::pending().await,
        }
    }
}
