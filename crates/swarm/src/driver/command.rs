//! What the shell asks of the driver.

use super::dial::DialReply;
use super::{Driver, ListenReply};
use crate::bridge::kad::{stop_providing, table};
use ipfrs_actor::Reply;
use ipfrs_contract::swarm::{
    Dial, DialError, KadNetwork, KadUnavailable, ListenError, OpenStreamError, RoutingTable, StartQuery,
};
use ipfrs_contract::{Multiaddr, Multihash, PeerId, PeerStream, Protocol};
use libp2p::StreamProtocol;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use tokio::time::Instant;

/// A command, with whom to answer.
pub(crate) enum Command {
    Dial(Dial, DialReply),
    Disconnect(PeerId, Reply<usize>),
    Listen(Multiaddr, ListenReply),
    OpenStream(PeerId, Vec<StreamProtocol>, Reply<Result<PeerStream, OpenStreamError>>),
    SetBanned(HashSet<PeerId>),
    StartQuery(StartQuery, Reply<Result<(), KadUnavailable>>),
    StopProviding(Multihash),
    RoutingTables(Reply<Vec<RoutingTable>>),
    /// Every listener is open: dials may use their sockets.
    Ready,
    /// Panics, to show that the shell builds a new driver.
    Crash,
}

impl Driver {
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Dial(dial, reply) => self.dial(dial, reply),
            Command::Disconnect(peer, reply) => {
                let open = self.shared.view.lock().connections.values().filter(|c| c.peer == peer).count();
                let _ = self.swarm.disconnect_peer_id(peer);
                reply.send(open);
            }
            Command::Listen(addr, reply) => self.listen(addr, reply),
            Command::OpenStream(peer, protocols, reply) => {
                self.swarm.behaviour_mut().streams.open(peer, protocols, reply)
            }
            Command::SetBanned(peers) => {
                let banned = &mut self.swarm.behaviour_mut().banned;
                let lifted: Vec<_> = banned.blocked_peers().difference(&peers).copied().collect();
                for peer in lifted {
                    banned.unblock_peer(peer);
                }
                for peer in peers {
                    banned.block_peer(peer);
                }
            }
            Command::StartQuery(StartQuery { network, query, found }, reply) => {
                let started = match self.swarm.behaviour_mut().kad(network) {
                    Some(kad) => self.queries.start(kad, network, query, found),
                    None => Err(KadUnavailable::Disabled),
                };
                reply.send(started);
            }
            Command::StopProviding(key) => {
                for network in [KadNetwork::Wan, KadNetwork::Lan] {
                    if let Some(kad) = self.swarm.behaviour_mut().kad(network) {
                        stop_providing(kad, &key);
                    }
                }
            }
            Command::RoutingTables(reply) => {
                let networks = [KadNetwork::Wan, KadNetwork::Lan].into_iter();
                let behaviour = self.swarm.behaviour_mut();
                reply.send(networks.filter_map(|network| Some(table(behaviour.kad(network)?, network))).collect());
            }
            Command::Ready => self.dial_from = Instant::now(),
            Command::Crash => panic!("killed on purpose (driver)"),
        }
    }

    fn dial(&mut self, dial: Dial, reply: DialReply) {
        if let Some(peer) = dial.peer {
            if peer == *self.swarm.local_peer_id() {
                return reply.send(Err(DialError::LocalPeer));
            }
            let view = self.shared.view.lock();
            if view.banned.contains(&peer) {
                return reply.send(Err(DialError::Banned(peer)));
            }
            if let Some(info) = view.of_peer(&peer) {
                return reply.send(Ok(info));
            }
        } else if dial.addrs.is_empty() {
            return reply.send(Err(DialError::NoAddresses("unknown".to_owned())));
        }
        self.dialler.add(dial, reply, Instant::now().into_std());
    }

    fn listen(&mut self, addr: Multiaddr, reply: ListenReply) {
        let failed = |cause: String| Err(ListenError::Failed { addr: addr.clone(), cause });
        // libp2p's TCP listeners share their port with any other that asks to; a second node must be told instead.
        if let Some(taken) = tcp_socket(&addr).and_then(|socket| std::net::TcpListener::bind(socket).err()) {
            return reply.send(failed(taken.to_string()));
        }
        match self.swarm.listen_on(addr.clone()) {
            Ok(id) => {
                self.listening.insert(id, (addr, Some(reply)));
            }
            Err(e) => reply.send(failed(super::events::sentence(&e))),
        }
    }
}

/// The socket address of a TCP listen address with a fixed port.
fn tcp_socket(addr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = addr.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        // A wildcard IPv6 socket of std also takes the IPv4 port, which libp2p's does not.
        Protocol::Ip6(ip) if !ip.is_unspecified() => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) if port != 0 => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}
