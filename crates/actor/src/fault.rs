//! Faults that chaos runs inject into a real actor, through its real mailbox.

use std::{str::FromStr, time::Duration};

/// A way to break an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Panic in a message handler.
    Panic,
    /// Panic in a timer.
    Timer,
    /// Panic in a future the actor spawned.
    Spawned,
    /// Panic now, and again in the next start.
    Started,
    /// Block the actor's thread for this long.
    Block(Duration),
}

/// Not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a way to kill an actor; known: panic, timer, spawned, started, block=MILLISECONDSms, block=SECONDSs"
)]
pub struct ParseFaultError(String);

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || ParseFaultError(s.to_owned());
        Ok(match s {
            "panic" => Fault::Panic,
            "timer" => Fault::Timer,
            "spawned" => Fault::Spawned,
            "started" => Fault::Started,
            _ => {
                let text = s.strip_prefix("block=").ok_or_else(bad)?;
                let (number, unit) = match text.strip_suffix("ms") {
                    Some(n) => (n, 1),
                    None => (text.strip_suffix('s').ok_or_else(bad)?, 1000),
                };
                let millis = number.parse::<u64>().map_err(|_| bad())?.checked_mul(unit).ok_or_else(bad)?;
                Fault::Block(Duration::from_millis(millis))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_nonsense_is_refused() {
        assert_eq!("panic".parse(), Ok(Fault::Panic));
        assert_eq!("block=250ms".parse(), Ok(Fault::Block(Duration::from_millis(250))));
        assert_eq!("block=2s".parse(), Ok(Fault::Block(Duration::from_secs(2))));
        for bad in ["", "block=", "block=x", "block=5", "Panic", "block=99999999999999999999s"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
