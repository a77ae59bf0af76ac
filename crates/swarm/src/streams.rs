//! Streams of our own protocols: opened on request, accepted into bounded queues.
//!
//! libp2p-stream drops inbound streams that arrive faster than they are accepted. Here a stream waits in its connection
//! until its queue has room; only beyond [`BACKLOG`] waiting streams a connection resets further ones, counted.

use crate::guarded::{Guarded, Lost, sign_of_life};
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use ipfrs_actor::Reply;
use ipfrs_contract::swarm::OpenStreamError;
use ipfrs_contract::{InboundStream, PeerStream};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use parking_lot::RwLock;
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::sync::mpsc;

/// Inbound streams of one connection that may wait for room in their queue. More would let one peer hold memory, fewer
/// would reset the bursts that request-heavy peers send.
const BACKLOG: usize = 64;
/// Streams of one connection that may be waiting to be opened.
const OPENING: usize = 256;
/// Requests to open a stream that may wait in the behaviour.
const REQUESTS: usize = 4096;
/// Negotiation of an outbound stream may take this long.
const NEGOTIATION: Duration = Duration::from_secs(10);

type OpenReply = Reply<Result<PeerStream, OpenStreamError>>;

/// Protocols served here, and the queue of each. Owned outside the driver, so registrations survive it.
#[derive(Default)]
pub(crate) struct Protocols(RwLock<HashMap<StreamProtocol, mpsc::Sender<InboundStream>>>);

impl Protocols {
    pub(crate) fn register(&self, name: StreamProtocol, queue: usize) -> mpsc::Receiver<InboundStream> {
        let (tx, rx) = mpsc::channel(queue.max(1));
        self.0.write().insert(name, tx);
        rx
    }

    pub(crate) fn names(&self) -> Vec<StreamProtocol> {
        self.0.read().iter().filter(|(_, tx)| !tx.is_closed()).map(|(name, _)| name.clone()).collect()
    }

    fn queue(&self, name: &StreamProtocol) -> Option<mpsc::Sender<InboundStream>> {
        self.0.read().get(name).cloned()
    }
}

/// A request to open a stream.
#[derive(Debug)]
pub(crate) struct Open {
    protocols: Vec<StreamProtocol>,
    reply: OpenReply,
}

/// The behaviour: hands requests to connections.
pub(crate) struct Behaviour {
    protocols: Arc<Protocols>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    requests: VecDeque<(PeerId, ConnectionId, Open)>,
    waker: Option<Waker>,
    _alive: oneshot::Sender<()>,
    lost: Lost,
}

impl Behaviour {
    pub(crate) fn new(protocols: Arc<Protocols>) -> Self {
        let (alive, lost) = sign_of_life();
        Behaviour {
            protocols,
            connections: HashMap::new(),
            requests: VecDeque::new(),
            waker: None,
            _alive: alive,
            lost,
        }
    }

    /// Opens a stream on the newest connection to `peer`.
    pub(crate) fn open(&mut self, peer: PeerId, protocols: Vec<StreamProtocol>, reply: OpenReply) {
        let Some(connection) = self.connections.get(&peer).and_then(|c| c.last().copied()) else {
            return reply.send(Err(OpenStreamError::NotConnected(peer)));
        };
        if self.requests.len() >= REQUESTS {
            return reply.send(Err(OpenStreamError::Busy(peer)));
        }
        self.requests.push_back((peer, connection, Open { protocols, reply }));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&self, peer: PeerId) -> Handler {
        Handler {
            peer,
            protocols: self.protocols.clone(),
            lost: self.lost.clone(),
            opening: VecDeque::new(),
            in_flight: 0,
            backlog: FuturesUnordered::new(),
            waker: None,
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(e) => self.connections.entry(e.peer_id).or_default().push(e.connection_id),
            FromSwarm::ConnectionClosed(e) => {
                if let Some(open) = self.connections.get_mut(&e.peer_id) {
                    open.retain(|id| *id != e.connection_id);
                    if open.is_empty() {
                        self.connections.remove(&e.peer_id);
                    }
                }
                let (gone, kept) =
                    std::mem::take(&mut self.requests).into_iter().partition(|(_, id, _)| *id == e.connection_id);
                self.requests = kept;
                let gone: VecDeque<(PeerId, ConnectionId, Open)> = gone;
                for (peer, _, open) in gone {
                    open.reply.send(Err(OpenStreamError::NotConnected(peer)));
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Open>> {
        match self.requests.pop_front() {
            Some((peer_id, connection, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event })
            }
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Negotiates one of several protocols and hands out the bare stream.
#[derive(Debug, Clone)]
pub(crate) struct AnyOf(Vec<StreamProtocol>);

impl UpgradeInfo for AnyOf {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for AnyOf {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;
    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for AnyOf {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;
    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// One connection's share of the work.
pub(crate) struct Handler {
    peer: PeerId,
    protocols: Arc<Protocols>,
    lost: Lost,
    opening: VecDeque<Open>,
    in_flight: usize,
    backlog: FuturesUnordered<BoxFuture<'static, ()>>,
    waker: Option<Waker>,
}

impl Handler {
    fn accept(&mut self, stream: Stream, protocol: StreamProtocol) {
        let Some(queue) = self.protocols.queue(&protocol) else { return };
        let stream = PeerStream::new(self.peer, protocol.to_string(), Guarded::new(stream, self.lost.clone()));
        match queue.try_send(stream) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(stream)) if self.backlog.len() < BACKLOG => {
                let waiting = async move {
                    if let Ok(room) = queue.reserve_owned().await {
                        room.send(stream);
                    }
                };
                self.backlog.push(waiting.boxed());
            }
            Err(_) => {
                ipfrs_actor::counter!("ipfrs_swarm_streams_refused_total", "protocol" => protocol.to_string())
                    .increment(1);
                tracing::debug!(target: "swarm", peer = %self.peer, %protocol, "inbound stream refused: nobody accepts it");
            }
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = AnyOf;
    type OutboundProtocol = AnyOf;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<AnyOf, ()> {
        SubstreamProtocol::new(AnyOf(self.protocols.names()), ())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Open, Infallible>> {
        while let Poll::Ready(Some(())) = self.backlog.poll_next_unpin(cx) {}
        while let Some(open) = self.opening.pop_front() {
            if open.reply.is_abandoned() {
                continue;
            }
            self.in_flight += 1;
            let protocol = SubstreamProtocol::new(AnyOf(open.protocols.clone()), open).with_timeout(NEGOTIATION);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        if self.opening.len() + self.in_flight >= OPENING {
            return open.reply.send(Err(OpenStreamError::Busy(self.peer)));
        }
        self.opening.push_back(open);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<AnyOf, AnyOf, (), Open>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => {
                self.accept(stream, protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, protocol),
                info,
            }) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                let stream = Guarded::new(stream, self.lost.clone());
                info.reply.send(Ok(PeerStream::new(self.peer, protocol.to_string(), stream)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                let peer = self.peer;
                let error = match error {
                    StreamUpgradeError::NegotiationFailed => OpenStreamError::Unsupported {
                        peer,
                        protocols: info.protocols.iter().map(ToString::to_string).collect(),
                    },
                    StreamUpgradeError::Timeout => {
                        OpenStreamError::Io { peer, cause: "negotiation timed out".to_owned() }
                    }
                    StreamUpgradeError::Io(e) => OpenStreamError::Io { peer, cause: e.to_string() },
                    StreamUpgradeError::Apply(never) => match never {},
                };
                info.reply.send(Err(error));
            }
            _ => {}
        }
    }
}
