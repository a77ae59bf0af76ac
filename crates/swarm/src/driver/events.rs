//! What the swarm reports: kept in the view, told to the dialler and published.

use super::Driver;
use crate::behaviour::BehaviourEvent;
use crate::bridge::kad::learn;
use crate::bridge::scope::{LAN, Reach, WAN, reach};
use crate::view::{Conn, Identity};
use ipfrs_contract::swarm::{DialError, Direction, KadNetwork, SwarmEvent as Said};
use ipfrs_contract::{Multiaddr, PeerAddrs, PeerId, Protocol, without_peer};
use libp2p::core::ConnectedPoint;
use libp2p::metrics::Recorder;
use libp2p::swarm::{ConnectionId, DialError as SwarmDialError, SwarmEvent};
use libp2p::{allow_block_list, connection_limits, identify, kad, mdns, ping};
use std::collections::HashMap;
use std::error::Error;
use tokio::time::Instant;

/// Addresses taken from one identify message; peers behind many interfaces announce about ten.
const IDENTIFY_ADDRS: usize = 32;
/// Protocols taken from one identify message.
const IDENTIFY_PROTOCOLS: usize = 256;

impl Driver {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, num_established, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint, num_established.get());
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                tracing::debug!(target: "swarm", peer = %peer_id, ?cause, "connection closed");
                let mut view = self.shared.view.lock();
                view.connections.remove(&connection_id);
                if num_established == 0 {
                    view.identities.remove(&peer_id);
                }
                drop(view);
                self.shared.topic.publish(Said::Disconnected { peer: peer_id, remaining: num_established });
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.attempt_failed(connection_id, peer_id, error);
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                ipfrs_actor::counter!("ipfrs_swarm_inbound_refused_total").increment(1);
                tracing::debug!(target: "swarm", from = %send_back_addr, %error, "inbound connection refused");
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                let mut view = self.shared.view.lock();
                if let Some((asked, reply)) = self.listening.get_mut(&listener_id) {
                    let fixed = with_port_of(asked, &address);
                    if !view.listeners.contains(&fixed) {
                        view.listeners.push(fixed);
                    }
                    if let Some(reply) = reply.take() {
                        reply.send(Ok(address.clone()));
                    }
                }
                if !view.local.listen.contains(&address) {
                    view.local.listen.push(address.clone());
                }
                drop(view);
                self.shared.topic.publish(Said::Listening(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.shared.view.lock().local.listen.retain(|a| *a != address);
                self.shared.topic.publish(Said::ListenExpired(address));
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                tracing::warn!(target: "swarm", ?addresses, ?reason, "listener closed");
                self.listening.remove(&listener_id);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(target: "swarm", %error, "listener failed"),
            SwarmEvent::ExternalAddrConfirmed { address } => self.shared.view.lock().local.external.push(address),
            SwarmEvent::ExternalAddrExpired { address } => {
                self.shared.view.lock().local.external.retain(|a| *a != address);
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(event) => {
                self.metrics.record(&event);
                if let identify::Event::Received { peer_id, info, .. } = event {
                    self.on_identified(peer_id, info);
                }
            }
            BehaviourEvent::Ping(event) => {
                self.metrics.record(&event);
                self.on_ping(event);
            }
            BehaviourEvent::Wan(event) => self.on_kad(KadNetwork::Wan, event),
            BehaviourEvent::Lan(event) => self.on_kad(KadNetwork::Lan, event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                let mut peers: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
                for (peer, addr) in found {
                    peers.entry(peer).or_default().push(without_peer(&addr));
                }
                let found = peers.into_iter().map(|(peer, addrs)| PeerAddrs { peer, addrs }).collect();
                self.shared.topic.publish(Said::MdnsFound(found));
            }
            _ => {}
        }
    }

    fn on_kad(&mut self, network: KadNetwork, event: kad::Event) {
        self.metrics.record(&event);
        if let Some(kad) = self.swarm.behaviour_mut().kad(network) {
            self.queries.on_event(kad, network, event, &self.config.routing.validator);
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint, count: u32) {
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let addr = without_peer(endpoint.get_remote_address());
        let conn = Conn { peer, addr: addr.clone(), direction, since: Instant::now(), rtt: None };
        let info = {
            let mut view = self.shared.view.lock();
            let info = view.info(&conn);
            view.connections.insert(id, conn);
            info
        };
        self.shared.topic.publish(Said::Connected { peer, addr, direction, count });
        if let Some((job, _)) = self.attempts.remove(&id) {
            self.dialler.succeeded(job, &info);
        }
        self.dialler.connected(peer, &info);
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let addrs = info.listen_addrs.iter().map(without_peer).filter(|a| reach(a) != Reach::Unusable);
        let addrs: Vec<_> = addrs.take(IDENTIFY_ADDRS).collect();
        let protocols: Vec<_> = info.protocols.iter().take(IDENTIFY_PROTOCOLS).cloned().collect();
        let names: Vec<String> = protocols.iter().map(ToString::to_string).collect();
        let agent: String = info.agent_version.chars().take(256).collect();
        let behaviour = self.swarm.behaviour_mut();
        for (network, name) in [(KadNetwork::Wan, WAN), (KadNetwork::Lan, LAN)] {
            if let Some(kad) = behaviour.kad(network) {
                learn(kad, &name, peer, &protocols, &addrs);
            }
        }
        let identity = Identity { agent: agent.clone(), protocols: names.clone(), listen: addrs.clone() };
        self.shared.view.lock().identities.insert(peer, identity);
        self.shared.topic.publish(Said::Identified { peer, agent, protocols: names, addrs });
    }

    fn on_ping(&mut self, event: ping::Event) {
        match event.result {
            Ok(rtt) => {
                if let Some(conn) = self.shared.view.lock().connections.get_mut(&event.connection) {
                    conn.rtt = Some(rtt);
                }
                self.shared.topic.publish(Said::Latency { peer: event.peer, rtt });
            }
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(target: "swarm", peer = %event.peer, %error, "ping failed, connection closed");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    pub(super) fn attempt_failed(&mut self, id: ConnectionId, peer: Option<PeerId>, error: SwarmDialError) {
        if let SwarmDialError::DialPeerConditionFalse(_) = error {
            // Connected meanwhile by somebody else.
            let info = peer.and_then(|peer| self.shared.view.lock().of_peer(&peer));
            if let (Some((job, _)), Some(info)) = (self.attempts.remove(&id), info) {
                self.dialler.succeeded(job, &info);
                return;
            }
        }
        let (error, addrs) = translate(peer, error);
        self.shared.topic.publish(Said::DialFailed { peer, addrs });
        if let Some((job, _)) = self.attempts.remove(&id) {
            self.dialler.failed(job, error, Instant::now().into_std(), &mut rand::rng());
        }
    }

    pub(super) fn attempt_timed_out(&mut self, id: ConnectionId) {
        if let Some((job, _)) = self.attempts.remove(&id) {
            let causes = vec![format!("no connection within {:?}", self.config.dialling.timeout)];
            let error = DialError::Failed { peer: "peer".to_owned(), causes };
            self.dialler.failed(job, error, Instant::now().into_std(), &mut rand::rng());
        }
    }
}

/// libp2p's dial error in our words, with the addresses that failed.
fn translate(peer: Option<PeerId>, error: SwarmDialError) -> (DialError, Vec<Multiaddr>) {
    let name = peer.map_or_else(|| "peer".to_owned(), |p| p.to_string());
    let failed = |causes: Vec<String>| DialError::Failed { peer: name.clone(), causes };
    match error {
        SwarmDialError::LocalPeerId { .. } => (DialError::LocalPeer, vec![]),
        SwarmDialError::NoAddresses => (DialError::NoAddresses(name), vec![]),
        SwarmDialError::WrongPeerId { obtained, address } => match peer {
            Some(expected) => (DialError::WrongPeer { expected, obtained, address: address.clone() }, vec![address]),
            None => (failed(vec![format!("{address}: unexpected peer {obtained}")]), vec![address]),
        },
        SwarmDialError::Denied { cause } => {
            if cause.downcast_ref::<connection_limits::Exceeded>().is_some() {
                (DialError::Limit(cause.source().map_or_else(|| cause.to_string(), ToString::to_string)), vec![])
            } else if let (Some(_), Some(peer)) = (cause.downcast_ref::<allow_block_list::Blocked>(), peer) {
                (DialError::Banned(peer), vec![])
            } else {
                (failed(vec![cause.to_string()]), vec![])
            }
        }
        SwarmDialError::Transport(errors) => {
            let causes = errors.iter().map(|(addr, e)| format!("{addr}: {}", sentence(e))).collect();
            (failed(causes), errors.into_iter().map(|(addr, _)| without_peer(&addr)).collect())
        }
        SwarmDialError::Aborted => (failed(vec!["aborted".to_owned()]), vec![]),
        other => (failed(vec![other.to_string()]), vec![]),
    }
}

/// The address asked for, with the port that the listener got.
fn with_port_of(asked: &Multiaddr, got: &Multiaddr) -> Multiaddr {
    let port = got.iter().find_map(|p| match p {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    });
    let fixed = asked.iter().map(|p| match (p, port) {
        (Protocol::Tcp(_), Some(port)) => Protocol::Tcp(port),
        (Protocol::Udp(_), Some(port)) => Protocol::Udp(port),
        (other, _) => other,
    });
    fixed.collect()
}

/// An error with its causes, without repeating what was said.
pub(super) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
