//! Figures of the block exchange, and the sessions that fetch blocks.

use super::{QUICK, call};
use crate::NodeError;
use ipfrs_actor::Port;
use ipfrs_contract::exchange::*;

/// Ports of [`ExchangeHandle`].
#[derive(Clone)]
pub(crate) struct ExchangePorts {
    pub(crate) open: Port<OpenSession>,
    pub(crate) want: Port<Want>,
    pub(crate) close: Port<CloseSession>,
    pub(crate) added: Port<BlocksAdded>,
    pub(crate) stat: Port<GetExchangeStat>,
}

/// The block exchange of a node.
#[derive(Clone)]
pub struct ExchangeHandle(pub(crate) ExchangePorts);

impl ExchangeHandle {
    /// Wants, peers and figures since the start.
    pub async fn stat(&self) -> Result<ExchangeStat, NodeError> {
        call(&self.0.stat, GetExchangeStat, QUICK).await
    }
}
