//! Catches panics and keeps what they said: message, place, backtrace, span and the message being handled.

use std::{
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

/// What is known of a caught panic.
#[derive(Clone, Debug)]
pub struct PanicReport {
    /// The panic's own words.
    pub message: String,
    /// `file:line:column`.
    pub location: String,
    /// Where it came from.
    pub backtrace: Arc<Backtrace>,
    /// The tracing span it happened in.
    pub span: Option<&'static str>,
    /// Type of the message being handled, `started`, `timer` or `task`.
    pub handling: &'static str,
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<PanicReport>> = const { RefCell::new(None) };
}

/// Installs a hook that is silent inside [`guard`] and calls the host's own hook everywhere else.
fn install_hook() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let host = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.with(Cell::get) == 0 {
                return host(info);
            }
            let payload = info.payload();
            let message = payload
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic with a payload that is not text".to_owned());
            let report = PanicReport {
                message,
                location: info.location().map(ToString::to_string).unwrap_or_default(),
                backtrace: Arc::new(Backtrace::force_capture()),
                span: tracing::Span::current().metadata().map(|m| m.name()),
                handling: "",
            };
            LAST.with(|last| *last.borrow_mut() = Some(report));
        }));
    });
}

/// Runs `f`; a panic becomes a report. A payload that panics when dropped is survived too.
pub fn guard<R>(f: impl FnOnce() -> R) -> Result<R, PanicReport> {
    install_hook();
    DEPTH.with(|d| d.set(d.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(f));
    let result = result.map_err(|payload| {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        LAST.with(|last| last.borrow_mut().take()).unwrap_or_else(|| PanicReport {
            message: "panic".to_owned(),
            location: String::new(),
            backtrace: Arc::new(Backtrace::disabled()),
            span: None,
            handling: "",
        })
    });
    DEPTH.with(|d| d.set(d.get() - 1));
    result
}
