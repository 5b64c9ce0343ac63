//! Whether this node can be called: asked of peers, and asked again.
//!
//! libp2p's client has each address tested once, and holds what came of it for ever. But routers restart, laptops move, and
//! ports are opened later. So from time to time it is replaced by a [fresh](Probe::again) one, which is told the addresses
//! that are known and asks the peers that it meets from then on: whoever wants an answer calls one of them.

use std::{
    collections::{BTreeSet, VecDeque},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};

/// Addresses that may be this node's own: what a router with two protocols and two families gives, several times over.
const MAX_CANDIDATES: usize = 32;

/// The client of the moment.
#[derive(Default)]
pub(super) struct Probe {
    client: client::Behaviour,
    /// The connections that it has heard of: of others, it must not hear anything.
    heard: BTreeSet<ConnectionId>,
    /// Addresses that peers saw, the newest last.
    candidates: VecDeque<Multiaddr>,
}

impl Probe {
    /// Tests all addresses again, with the help of peers that are called from now on.
    pub(super) fn again(&mut self) {
        self.client = client::Behaviour::default();
        self.heard.clear();
        for addr in &self.candidates {
            let candidate = NewExternalAddrCandidate { addr };
            self.client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }

    /// This node is in another network: what peers saw there is no address of it.
    pub(super) fn forget(&mut self) {
        self.candidates.clear();
    }

    fn note(&mut self, address: &Multiaddr) {
        self.candidates.retain(|known| known != address);
        if self.candidates.len() >= MAX_CANDIDATES {
            self.candidates.pop_front();
        }
        self.candidates.push_back(address.clone());
    }
}

impl NetworkBehaviour for Probe {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match &event {
            FromSwarm::ConnectionEstablished(it) => {
                self.heard.insert(it.connection_id);
            }
            FromSwarm::ConnectionClosed(it) if !self.heard.remove(&it.connection_id) => return,
            FromSwarm::NewExternalAddrCandidate(it) => self.note(it.addr),
            _ => {}
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        if self.heard.contains(&id) {
            self.client.on_connection_handler_event(peer, id, event);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.client.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_addresses_are_remembered_each_once() {
        let mut probe = Probe::default();
        let address = |port: usize| -> Multiaddr { format!("/ip4/192.0.2.1/tcp/{port}").parse().expect("an address") };

        for port in 1..=MAX_CANDIDATES + 1 {
            probe
                .on_swarm_event(FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr: &address(port) }));
            probe.note(&address(2));
        }

        assert_eq!(probe.candidates.len(), MAX_CANDIDATES);
        assert!(!probe.candidates.contains(&address(1)) && probe.candidates.back() == Some(&address(2)));
        probe.again();
        assert_eq!(probe.candidates.len(), MAX_CANDIDATES, "they are tested again");
        probe.forget();
        assert!(probe.candidates.is_empty());
    }
}
