//! What survives a crash of the exchange: its sessions and what they want.

use ipfrs_contract::Cid;
use ipfrs_contract::exchange::{Arrived, SessionId};
use std::collections::{HashMap, HashSet};
use tokio::sync::mpsc;

/// What survives a crash of the actor.
#[derive(Default)]
pub struct Kept {
    pub(crate) last_session: u64,
    pub(crate) sessions: HashMap<SessionId, (mpsc::Sender<Arrived>, HashSet<Cid>)>,
}

/// A change of [`Kept`].
pub struct Delta(pub(crate) Kind);

pub(crate) enum Kind {
    Opened(SessionId, mpsc::Sender<Arrived>),
    Wanted(SessionId, Vec<Cid>),
    /// A want has come to its end: the block arrived, or could not be stored.
    Over(SessionId, Cid),
    Closed(SessionId),
}

impl ipfrs_actor::Kept for Kept {
    type Delta = Delta;
    fn apply(&mut self, Delta(kind): Delta) {
        match kind {
            Kind::Opened(id, arrived) => {
                self.last_session = self.last_session.max(id.0);
                self.sessions.insert(id, (arrived, HashSet::new()));
            }
            Kind::Wanted(id, cids) => {
                if let Some((_, wants)) = self.sessions.get_mut(&id) {
                    wants.extend(cids);
                }
            }
            Kind::Over(id, cid) => {
                if let Some((_, wants)) = self.sessions.get_mut(&id) {
                    wants.remove(&cid);
                }
            }
            Kind::Closed(id) => {
                self.sessions.remove(&id);
            }
        }
    }
}
