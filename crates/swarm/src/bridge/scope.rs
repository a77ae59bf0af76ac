//! Kademlia confined to one network: only addresses of that network enter its records and tables.
//!
//! libp2p-kad announces external addresses alone. Inside its own network a listen address is as good, so it is passed on
//! as one.

use crate::{Config, DhtMode};
use ipfrs_contract::swarm::KadNetwork;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::kad::{self, BucketInserts, Mode, StoreInserts};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{ExternalAddrConfirmed, ExternalAddrExpired};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use std::num::NonZeroUsize;
use std::task::{Context, Poll};

pub(crate) const WAN: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");
pub(crate) const LAN: StreamProtocol = StreamProtocol::new("/ipfs/lan/kad/1.0.0");

/// Kademlia in one network.
pub(crate) struct Scoped {
    pub(crate) kad: kad::Behaviour<MemoryStore>,
    network: KadNetwork,
    loopback: bool,
}

impl Scoped {
    pub(crate) fn new(local: PeerId, network: KadNetwork, config: &Config) -> Self {
        let routing = &config.routing;
        let name = if network == KadNetwork::Wan { WAN } else { LAN };
        let mut settings = kad::Config::new(name);
        settings
            .set_query_timeout(routing.query_timeout)
            .set_parallelism(NonZeroUsize::new(routing.parallelism).unwrap_or(NonZeroUsize::MIN))
            .set_kbucket_inserts(BucketInserts::Manual)
            .set_record_filtering(StoreInserts::FilterBoth)
            .set_provider_publication_interval(None)
            .set_publication_interval(None)
            .set_periodic_bootstrap_interval(None);
        let limits = MemoryStoreConfig {
            max_provided_keys: routing.max_provided_keys,
            max_records: routing.max_records,
            ..MemoryStoreConfig::default()
        };
        let mut kad = kad::Behaviour::with_config(local, MemoryStore::with_config(local, limits), settings);
        kad.set_mode(match (routing.mode, network) {
            (DhtMode::Client | DhtMode::Off, _) => Some(Mode::Client),
            (DhtMode::Server, _) | (DhtMode::Auto, KadNetwork::Lan) => Some(Mode::Server),
            (DhtMode::Auto, KadNetwork::Wan) => None,
        });
        Scoped { kad, network, loopback: routing.loopback_on_lan }
    }

    /// Whether an address belongs to this network.
    pub(crate) fn covers(&self, addr: &Multiaddr) -> bool {
        match (self.network, reach(addr)) {
            (KadNetwork::Wan, reach) => reach == Reach::Public,
            (KadNetwork::Lan, Reach::Private) => true,
            (KadNetwork::Lan, Reach::Loopback) => self.loopback,
            (KadNetwork::Lan, _) => false,
        }
    }

    /// Addresses known for a peer right now: from the table and from running queries.
    pub(crate) fn addresses_of(&mut self, peer: PeerId) -> Vec<Multiaddr> {
        let none = ConnectionId::new_unchecked(0);
        let mut addrs =
            self.kad.handle_pending_outbound_connection(none, Some(peer), &[], Endpoint::Dialer).unwrap_or_default();
        let mut seen = std::collections::HashSet::new();
        addrs.retain(|a| seen.insert(a.clone()));
        addrs
    }
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Loopback,
    Private,
    Public,
    Unusable,
}

/// Classifies an address by its IP (IANA special-purpose registries); names count as public, memory as loopback.
pub(crate) fn reach(addr: &Multiaddr) -> Reach {
    if addr.iter().any(|p| matches!(p, Protocol::P2pCircuit)) {
        return Reach::Unusable;
    }
    match addr.iter().next() {
        Some(Protocol::Ip4(ip)) if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() => Reach::Unusable,
        Some(Protocol::Ip4(ip)) if ip.is_loopback() => Reach::Loopback,
        Some(Protocol::Ip4(ip)) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            if ip.is_private() || ip.is_link_local() || shared || ip.is_documentation() || a >= 240 {
                Reach::Private
            } else {
                Reach::Public
            }
        }
        Some(Protocol::Ip6(ip)) if ip.is_unspecified() || ip.is_multicast() => Reach::Unusable,
        Some(Protocol::Ip6(ip)) if ip.is_loopback() => Reach::Loopback,
        Some(Protocol::Ip6(ip)) if ip.is_unique_local() || ip.is_unicast_link_local() => Reach::Private,
        Some(Protocol::Ip6(_)) => Reach::Public,
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)) => Reach::Public,
        Some(Protocol::Memory(_)) => Reach::Loopback,
        _ => Reach::Unusable,
    }
}

impl NetworkBehaviour for Scoped {
    type ConnectionHandler = <kad::Behaviour<MemoryStore> as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = kad::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addrs: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let addrs = self.kad.handle_pending_outbound_connection(id, peer, addrs, role)?;
        Ok(addrs.into_iter().filter(|addr| self.covers(addr)).collect())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.kad.handle_established_outbound_connection(id, peer, addr, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::NewListenAddr(e) if self.covers(e.addr) => {
                self.kad.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed { addr: e.addr }));
            }
            FromSwarm::ExpiredListenAddr(e) if self.covers(e.addr) => {
                self.kad.on_swarm_event(FromSwarm::ExternalAddrExpired(ExternalAddrExpired { addr: e.addr }));
            }
            FromSwarm::NewListenAddr(_) | FromSwarm::ExpiredListenAddr(_) => {}
            FromSwarm::ExternalAddrConfirmed(e) if !self.covers(e.addr) => {}
            FromSwarm::ExternalAddrExpired(e) if !self.covers(e.addr) => {}
            other => self.kad.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.kad.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<kad::Event, THandlerInEvent<Self>>> {
        self.kad.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (addr, expected) in [
            ("/ip4/127.0.0.1/tcp/1", Reach::Loopback),
            ("/ip4/10.1.2.3/tcp/1", Reach::Private),
            ("/ip4/100.64.0.1/tcp/1", Reach::Private),
            ("/ip4/8.8.8.8/udp/1/quic-v1", Reach::Public),
            ("/ip4/0.0.0.0/tcp/1", Reach::Unusable),
            ("/ip6/::1/tcp/1", Reach::Loopback),
            ("/ip6/fc00::1/tcp/1", Reach::Private),
            ("/ip6/2001:4860::1/tcp/1", Reach::Public),
            ("/dns4/example.com/tcp/1", Reach::Public),
        ] {
            let addr: Multiaddr = addr.parse().unwrap();
            assert_eq!(reach(&addr), expected, "{addr}");
        }
    }
}
