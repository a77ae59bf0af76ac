//! Who is connected and speaks Bitswap: events of the swarm, checked against its list of connections now and then.

use crate::ExchangeActor;
use crate::actor::now;
use crate::message::PROTOCOLS;
use ipfrs_actor::{Ctx, Heard, Hears};
use ipfrs_contract::PeerId;
use ipfrs_contract::swarm::{ListConnections, SwarmEvent};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How often the list is asked for although no event was missed: a sender that was started for a peer just gone, by a
/// message read late, ends with the next list.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
const QUICK: Duration = Duration::from_secs(5);

/// What was heard of a peer while a list was on its way: it may be newer than the list.
#[derive(Debug, Clone, Copy, PartialEq)]
enum News {
    /// Connected, and not identified yet.
    Connected,
    /// Speaks Bitswap.
    Able,
    Gone,
}

/// The list that is being asked for.
#[derive(Default)]
pub(crate) struct Census {
    asked: u64,
    meanwhile: HashMap<PeerId, News>,
    under_way: bool,
}

impl Census {
    fn begin(&mut self) -> u64 {
        self.asked += 1;
        self.under_way = true;
        self.meanwhile.clear();
        self.asked
    }

    fn note(&mut self, peer: PeerId, news: News) {
        if self.under_way {
            self.meanwhile.insert(peer, news);
        }
    }

    /// Corrects a list of the connected and the able by what was heard meanwhile.
    fn end(&mut self, connected: &mut HashSet<PeerId>, able: &mut HashSet<PeerId>) {
        self.under_way = false;
        for (peer, news) in self.meanwhile.drain() {
            if news == News::Gone {
                connected.remove(&peer)
            } else {
                connected.insert(peer)
            };
            if news == News::Able {
                able.insert(peer)
            } else {
                able.remove(&peer)
            };
        }
    }
}

fn speaks_bitswap(protocols: &[String]) -> bool {
    PROTOCOLS[..2].iter().any(|ours| protocols.iter().any(|theirs| theirs == ours))
}

impl Hears<SwarmEvent> for ExchangeActor {
    fn hear(&mut self, heard: Heard<SwarmEvent>, ctx: &mut Ctx<Self>) {
        match heard {
            Heard::Resync { .. } | Heard::Event(SwarmEvent::DriverStarted { .. }) => self.ask_connections(ctx),
            Heard::Event(SwarmEvent::Connected { peer, count: 1, .. }) => self.census.note(peer, News::Connected),
            Heard::Event(SwarmEvent::Identified { peer, protocols, .. }) if speaks_bitswap(&protocols) => {
                self.census.note(peer, News::Able);
                self.core.connected(peer, now());
            }
            Heard::Event(SwarmEvent::Disconnected { peer, remaining: 0 }) => {
                self.census.note(peer, News::Gone);
                self.core.disconnected(&peer, now());
                self.args.wire.forget(&peer);
            }
            _ => return,
        }
        self.act(ctx);
    }
}

impl ExchangeActor {
    pub(crate) fn ask_connections(&mut self, ctx: &mut Ctx<Self>) {
        let (asked, port) = (self.census.begin(), self.args.ports.connections.clone());
        ctx.task(async move { port.call(ListConnections, QUICK).await }, move |answer, actor, ctx| {
            if asked != actor.census.asked {
                return;
            }
            let Ok(connections) = answer else { return ctx.after(QUICK, |actor, ctx| actor.ask_connections(ctx)) };
            let mut connected = connections.iter().map(|c| c.peer).collect();
            let mut able = connections.iter().filter(|c| speaks_bitswap(&c.protocols)).map(|c| c.peer).collect();
            actor.census.end(&mut connected, &mut able);
            actor.args.wire.retain(&connected);
            actor.core.snapshot(&able, now());
            actor.act(ctx);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_meanwhile_counts_more_than_an_older_list() {
        let [gone, came, back, stays] = [0; 4].map(|_| PeerId::random());
        let mut census = Census::default();
        census.note(stays, News::Gone);
        census.begin();
        census.note(gone, News::Gone);
        census.note(came, News::Connected);
        census.note(came, News::Able);
        census.note(back, News::Gone);
        census.note(back, News::Connected);
        let (mut connected, mut able) = (HashSet::from([gone, back, stays]), HashSet::from([gone, back, stays]));
        census.end(&mut connected, &mut able);
        assert_eq!(connected, HashSet::from([came, back, stays]));
        assert_eq!(able, HashSet::from([came, stays]), "who came back is not identified yet");
    }
}
