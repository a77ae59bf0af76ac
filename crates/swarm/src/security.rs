//! TLS or Noise, whichever the other side prefers; one authenticated peer either way.

use futures::future::{BoxFuture, Either, TryFutureExt};
use futures::{AsyncRead, AsyncWrite, FutureExt};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, SelectUpgrade, UpgradeInfo};
use libp2p::{PeerId, identity::Keypair, noise, tls};
use std::io;

type Both = SelectUpgrade<tls::Config, noise::Config>;

#[derive(Clone)]
pub(crate) struct Security(Both);

impl Security {
    pub(crate) fn new(keypair: &Keypair) -> io::Result<Self> {
        let tls = tls::Config::new(keypair).map_err(io::Error::other)?;
        let noise = noise::Config::new(keypair).map_err(io::Error::other)?;
        Ok(Security(SelectUpgrade::new(tls, noise)))
    }
}

impl UpgradeInfo for Security {
    type Info = <Both as UpgradeInfo>::Info;
    type InfoIter = <Both as UpgradeInfo>::InfoIter;
    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

type Secured<C> = (PeerId, Either<tls::TlsStream<C>, noise::Output<C>>);

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<C> for Security {
    type Output = Secured<C>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, io::Error>>;
    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(socket, info).map_ok(Either::factor_first).map_err(io::Error::other).boxed()
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<C> for Security {
    type Output = Secured<C>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, io::Error>>;
    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(socket, info).map_ok(Either::factor_first).map_err(io::Error::other).boxed()
    }
}
