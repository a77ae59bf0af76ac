//! What the swarm hears.

use crate::SwarmActor;
use crate::driver::Command;
use ipfrs_actor::{Ctx, Handler, Later, MessageResult, Reply};
use ipfrs_contract::swarm::*;
use ipfrs_contract::{InboundStream, PeerStream};
use libp2p::StreamProtocol;
use tokio::sync::mpsc;

/// Protocols of libp2p that every node serves.
const STOCK: [&str; 3] = ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"];

impl Handler<Dial> for SwarmActor {
    type Result = Later<Result<ConnectionInfo, DialError>>;
    fn handle(&mut self, dial: Dial, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        if let Err(Command::Dial(_, reply)) = self.pass(Command::Dial(dial, reply)) {
            reply.send(Err(DialError::DriverLost));
        }
        later
    }
}

impl Handler<Disconnect> for SwarmActor {
    type Result = Later<usize>;
    fn handle(&mut self, Disconnect { peer }: Disconnect, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        if let Err(Command::Disconnect(_, reply)) = self.pass(Command::Disconnect(peer, reply)) {
            reply.send(0);
        }
        later
    }
}

impl Handler<Listen> for SwarmActor {
    type Result = Later<Result<ipfrs_contract::Multiaddr, ListenError>>;
    fn handle(&mut self, Listen { addr }: Listen, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        if let Err(Command::Listen(_, reply)) = self.pass(Command::Listen(addr, reply)) {
            reply.send(Err(ListenError::DriverLost));
        }
        later
    }
}

impl Handler<ListConnections> for SwarmActor {
    type Result = MessageResult<ListConnections>;
    fn handle(&mut self, _: ListConnections, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.network.shared().view.lock().infos())
    }
}

impl Handler<GetLocalAddrs> for SwarmActor {
    type Result = MessageResult<GetLocalAddrs>;
    fn handle(&mut self, _: GetLocalAddrs, _: &mut Ctx<Self>) -> Self::Result {
        let shared = self.network.shared();
        let mut local = shared.view.lock().local.clone();
        local.protocols.extend(STOCK.map(str::to_owned));
        local.protocols.extend(shared.protocols.names().iter().map(ToString::to_string));
        MessageResult(local)
    }
}

impl Handler<OpenStream> for SwarmActor {
    type Result = Later<Result<PeerStream, OpenStreamError>>;
    fn handle(&mut self, OpenStream { peer, protocols }: OpenStream, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        match protocols.into_iter().map(protocol).collect() {
            Err(error) => reply.send(Err(error)),
            Ok(protocols) => {
                if let Err(Command::OpenStream(_, _, reply)) = self.pass(Command::OpenStream(peer, protocols, reply)) {
                    reply.send(Err(OpenStreamError::DriverLost));
                }
            }
        }
        later
    }
}

impl Handler<RegisterProtocol> for SwarmActor {
    type Result = Result<mpsc::Receiver<InboundStream>, OpenStreamError>;
    fn handle(&mut self, register: RegisterProtocol, _: &mut Ctx<Self>) -> Self::Result {
        let name = protocol(register.protocol)?;
        Ok(self.network.shared().protocols.register(name, register.queue))
    }
}

impl Handler<SetBanned> for SwarmActor {
    type Result = MessageResult<SetBanned>;
    fn handle(&mut self, SetBanned { peers }: SetBanned, _: &mut Ctx<Self>) -> Self::Result {
        self.network.shared().view.lock().banned = peers.clone();
        // Without a driver the next one takes the list from the view.
        let _ = self.pass(Command::SetBanned(peers));
        MessageResult(())
    }
}

impl Handler<SetProtected> for SwarmActor {
    type Result = MessageResult<SetProtected>;
    fn handle(&mut self, SetProtected { peers }: SetProtected, _: &mut Ctx<Self>) -> Self::Result {
        self.network.shared().view.lock().protected = peers;
        MessageResult(())
    }
}

impl Handler<GetBandwidth> for SwarmActor {
    type Result = MessageResult<GetBandwidth>;
    fn handle(&mut self, _: GetBandwidth, _: &mut Ctx<Self>) -> Self::Result {
        MessageResult(self.network.shared().view.lock().bandwidth)
    }
}

impl Handler<StartQuery> for SwarmActor {
    type Result = Later<Result<(), KadUnavailable>>;
    fn handle(&mut self, query: StartQuery, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        if let Err(Command::StartQuery(_, reply)) = self.pass(Command::StartQuery(query, reply)) {
            reply.send(Err(KadUnavailable::DriverLost));
        }
        later
    }
}

impl Handler<StopProviding> for SwarmActor {
    type Result = MessageResult<StopProviding>;
    fn handle(&mut self, StopProviding { key }: StopProviding, _: &mut Ctx<Self>) -> Self::Result {
        // A driver that is gone provides nothing.
        let _ = self.pass(Command::StopProviding(key));
        MessageResult(())
    }
}

impl Handler<GetRoutingTables> for SwarmActor {
    type Result = Later<Vec<RoutingTable>>;
    fn handle(&mut self, _: GetRoutingTables, _: &mut Ctx<Self>) -> Self::Result {
        let (reply, later) = Reply::new();
        if let Err(Command::RoutingTables(reply)) = self.pass(Command::RoutingTables(reply)) {
            reply.send(Vec::new());
        }
        later
    }
}

fn protocol(name: String) -> Result<StreamProtocol, OpenStreamError> {
    StreamProtocol::try_from_owned(name.clone()).map_err(|_| OpenStreamError::BadProtocol(name))
}
