//! The driver: owns the swarm, obeys commands, publishes what happens.

mod command;
mod dial;
mod events;

pub(crate) use command::Command;

use crate::behaviour::Behaviour;
use crate::bridge::kad::Queries;
use crate::bridge::scope::{LAN, WAN};
use crate::executor::NetExecutor;
use crate::network::Shared;
use crate::{Config, transport};
use dial::{Dialler, JobId};
use futures::StreamExt;
use ipfrs_actor::Reply;
use ipfrs_contract::Multiaddr;
use ipfrs_contract::swarm::{KadNetwork, ListenError};
use libp2p::Swarm;
use libp2p::core::transport::ListenerId;
use libp2p::kad::Mode;
use libp2p::metrics::{Metrics, Registry};
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use std::collections::HashMap;
use std::{io, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Commands that may wait for the driver; beyond them the shell refuses.
pub(crate) const COMMANDS: usize = 1024;
/// Bandwidth is sampled and abandoned queries are ended this often.
const TICK: Duration = Duration::from_secs(1);

/// Dials wait at most so long for the listeners to open.
const LISTENING: Duration = Duration::from_secs(1);

type ListenReply = Reply<Result<Multiaddr, ListenError>>;

pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    config: Arc<Config>,
    shared: Arc<Shared>,
    metrics: Metrics,
    dialler: Dialler,
    /// Connection attempts of the dialler, with when they are given up.
    attempts: HashMap<ConnectionId, (JobId, Instant)>,
    listening: HashMap<ListenerId, (Multiaddr, Option<ListenReply>)>,
    queries: Queries,
    /// Nothing is dialled before: a QUIC dial without a listener opens a socket of its own, which stays, and peers see
    /// a port that nobody else can use.
    dial_from: Instant,
}

impl Driver {
    /// Builds a swarm. Must run on the network runtime.
    pub(crate) fn new(config: Arc<Config>, shared: Arc<Shared>) -> io::Result<Self> {
        let mut registry = Registry::default();
        let transport = transport::build(&config, &mut registry)?;
        let metrics = Metrics::new(&mut registry);
        shared.set_registry(registry);
        let behaviour = Behaviour::new(&config, shared.protocols.clone())?;
        let settings = libp2p::swarm::Config::with_executor(NetExecutor(tokio::runtime::Handle::current()))
            .with_idle_connection_timeout(config.idle_timeout)
            .with_smart_dial();
        let local = config.keypair.public().to_peer_id();
        let mut swarm = Swarm::new(transport, behaviour, local, settings);
        for addr in &config.announce {
            swarm.add_external_address(addr.clone());
        }
        for peer in &shared.view.lock().banned {
            swarm.behaviour_mut().banned.block_peer(*peer);
        }
        Ok(Driver {
            swarm,
            dialler: Dialler::new(config.dialling.clone()),
            config,
            shared,
            metrics,
            attempts: HashMap::new(),
            listening: HashMap::new(),
            queries: Queries::default(),
            dial_from: Instant::now() + LISTENING,
        })
    }

    /// Drives the swarm until every sender of commands is gone.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.dial_due();
            let wake = self.dialler.next_due().map_or_else(|| Instant::now() + TICK, Instant::from_std);
            let wake = wake.max(self.dial_from).max(Instant::now() + Duration::from_millis(1));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
                () = tokio::time::sleep_until(wake) => {}
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.dialler.abort();
    }

    /// Makes the dial attempts whose turn it is.
    fn dial_due(&mut self) {
        let now = Instant::now();
        if now < self.dial_from {
            return;
        }
        for attempt in self.dialler.due(now.into_std()) {
            let opts = match attempt.peer {
                Some(peer) => {
                    let opts = DialOpts::peer_id(peer).condition(PeerCondition::Disconnected);
                    let known = attempt.addrs.is_empty();
                    let opts = opts.addresses(attempt.addrs);
                    if known { opts.extend_addresses_through_behaviour().build() } else { opts.build() }
                }
                None => match attempt.addrs.into_iter().next() {
                    Some(addr) => DialOpts::unknown_peer_id().address(addr).build(),
                    None => continue,
                },
            };
            let id = opts.connection_id();
            self.attempts.insert(id, (attempt.job, now + self.config.dialling.timeout));
            if let Err(error) = self.swarm.dial(opts) {
                self.attempt_failed(id, attempt.peer, error);
            }
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let late: Vec<_> = self.attempts.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id).collect();
        for id in late {
            // Pending attempts cannot be cancelled in libp2p; the dial is answered and the attempt ends by itself.
            self.attempt_timed_out(id);
        }
        let behaviour = self.swarm.behaviour_mut();
        self.queries.flush(|network, id| {
            if let Some(mut query) = behaviour.kad(network).and_then(|kad| kad.kad.query_mut(&id)) {
                query.finish();
            }
        });
        let serves = [(KadNetwork::Wan, WAN), (KadNetwork::Lan, LAN)].into_iter().filter_map(|(network, name)| {
            let kad = self.swarm.behaviour_mut().kad(network)?;
            (kad.kad.mode() == Mode::Server).then(|| name.to_string())
        });
        let serves = serves.collect();
        self.shared.view.lock().local.protocols = serves;
        self.shared.sample_bandwidth();
    }
}
