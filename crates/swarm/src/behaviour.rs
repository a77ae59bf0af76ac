//! Everything one swarm speaks, put together.

use crate::bridge::scope::Scoped;
use crate::streams::{self, Protocols};
use crate::{Config, DhtMode};
use ipfrs_contract::swarm::KadNetwork;
use libp2p::allow_block_list::{self, BlockedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{identify, mdns, ping};
use std::{io, sync::Arc};

/// Protocol family announced through identify.
const FAMILY: &str = "/ipfrs/1.0.0";

/// Connections in the middle of their handshake, each way. Each holds a descriptor and some buffers for up to 20 s;
/// fewer would turn an honest burst away.
const PENDING: u32 = 512;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // First, so that a refused connection never reaches a protocol.
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) banned: allow_block_list::Behaviour<BlockedPeers>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) streams: streams::Behaviour,
    pub(crate) wan: Toggle<Scoped>,
    pub(crate) lan: Toggle<Scoped>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(config: &Config, protocols: Arc<Protocols>) -> io::Result<Self> {
        let local = config.keypair.public().to_peer_id();
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING))
            .with_max_pending_outgoing(Some(PENDING))
            .with_max_established(config.limits.total)
            .with_max_established_incoming(config.limits.inbound)
            .with_max_established_outgoing(config.limits.outbound)
            .with_max_established_per_peer(config.limits.per_peer);
        let identify = identify::Config::new(FAMILY.to_owned(), config.keypair.public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true);
        let kad =
            |network| Toggle::from((config.routing.mode != DhtMode::Off).then(|| Scoped::new(local, network, config)));
        let mdns = config.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), local)).transpose()?;
        Ok(Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            banned: allow_block_list::Behaviour::default(),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(config.ping_interval)),
            streams: streams::Behaviour::new(protocols),
            wan: kad(KadNetwork::Wan),
            lan: kad(KadNetwork::Lan),
            mdns: mdns.into(),
        })
    }

    pub(crate) fn kad(&mut self, network: KadNetwork) -> Option<&mut Scoped> {
        match network {
            KadNetwork::Wan => self.wan.as_mut(),
            KadNetwork::Lan => self.lan.as_mut(),
        }
    }
}
