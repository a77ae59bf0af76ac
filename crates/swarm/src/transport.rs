//! The transports: QUIC, TCP and WebSocket with Noise or TLS over Yamux, memory for tests; DNS around all of them.
//!
//! [`quic`] is the seam where another QUIC goes in: anything that yields `(PeerId, StreamMuxerBox)`.

use crate::Config;
use crate::security::Security;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, MemoryTransport, OptionalTransport};
use libp2p::core::upgrade::Version;
use libp2p::metrics::{BandwidthTransport, Registry};
use libp2p::{PeerId, Transport, dns, tcp, websocket, yamux};
use std::{io, time::Duration};

/// Time for security and muxer negotiation on TCP; 20 s is what go-libp2p allows a slow peer.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(20);

type Output = (PeerId, StreamMuxerBox);

/// Every enabled transport as one, counting bytes into `registry`.
pub(crate) fn build(config: &Config, registry: &mut Registry) -> io::Result<Boxed<Output>> {
    let websocket = (config.websocket && config.tcp).then(|| websocket(config)).transpose()?;
    let tcp = config.tcp.then(|| tcp(config)).transpose()?;
    let quic = config.quic.then(|| quic(config));
    let memory = config.memory.then(|| memory(config)).transpose()?;
    let sockets = optional(quic).or_transport(optional(tcp)).map(|either, _| either.into_inner());
    let named = dns::tokio::Transport::system(sockets)?;
    let all = optional(memory)
        .or_transport(optional(websocket))
        .map(|either, _| either.into_inner())
        .or_transport(named)
        .map(|either, _| either.into_inner());
    Ok(BandwidthTransport::new(all, registry).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed())
}

fn optional<T>(transport: Option<T>) -> OptionalTransport<T> {
    transport.map_or_else(OptionalTransport::none, OptionalTransport::some)
}

fn quic(config: &Config) -> Boxed<Output> {
    let quic = libp2p_quic::Config::new(&config.keypair);
    libp2p_quic::tokio::Transport::new(quic).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed()
}

fn tcp(config: &Config) -> io::Result<Boxed<Output>> {
    secured(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)), config)
}

fn websocket(config: &Config) -> io::Result<Boxed<Output>> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    secured(websocket::Config::new(dns::tokio::Transport::system(tcp)?), config)
}

fn memory(config: &Config) -> io::Result<Boxed<Output>> {
    secured(MemoryTransport::new(), config)
}

fn secured<T>(transport: T, config: &Config) -> io::Result<Boxed<Output>>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let upgraded = transport
        .upgrade(Version::V1Lazy)
        .authenticate(Security::new(&config.keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(UPGRADE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(upgraded.boxed())
}
