//! The ways by which others reach this node, and by which it comes back to them: relays, holes in routers, open ports, and
//! the peers that it has met.
//!
//! What to do about relays and routing is decided in [`reach`](super::reach), whom to call in [`memory`](super::memory);
//! here it is done, and what libp2p says about it is told to them.

use std::{sync::Arc, time::Duration};

use libp2p::{
    Multiaddr, PeerId, autonat,
    core::{ConnectedPoint, transport::ListenerId},
    dcutr, identify, kad,
    multiaddr::Protocol,
    relay,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
    upnp,
};
use rand::{RngExt as _, seq::IteratorRandom as _};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    NetworkEvent, NodeId, Reach, Role, Standing,
    behaviour::PROVIDER_LIFE,
    memory::{Acquaintances, LOW_DEGREE, PeerMemory},
    reach::{Action, Reachability, is_near, is_relayed},
    task::{Link, Task},
};

/// How often a node with few peers looks for more: a mean, drawn between half of it and one and a half.
const SEARCH: Duration = Duration::from_secs(30);
/// How often the peers are kept.
const KEEP: Duration = Duration::from_secs(60);
/// How long after a call through a relay a direct connection counts as its continuation.
const PUNCHING: Duration = Duration::from_secs(60);
/// How long the way through a relay is kept beside a direct connection: what is under way on it arrives.
const FAREWELL: Duration = Duration::from_secs(5);
/// Gossip after which a connection that took another's place is woken: one would do, were no stream ever refused.
const WAKES: u8 = 3;
/// How often a peer is asked whether it can call this node: a mean, drawn between half of it and one and a half.
const PROBE: Duration = Duration::from_secs(15 * 60);
/// How long after the node has moved it asks: its connections come back first, and tell how it is seen.
const PROBE_MOVED: Duration = Duration::from_secs(10);
/// How long the call stands for which a peer is asked: it is found out within seconds, or not at all.
const PROBING: Duration = Duration::from_secs(30);
/// Addresses that this node has, at most: families, protocols, interfaces and relays.
const MAX_OWN: usize = 32;
/// Members that are called through relays at a time.
const MAX_CALLS: usize = 3;

/// The state of it.
pub(super) struct Paths {
    pub(super) role: Role,
    pub(super) reach: Reachability,
    settings: Reach,
    memory: Option<Arc<dyn PeerMemory>>,
    known: Acquaintances,
    /// The listeners that wait at relays.
    circuits: Vec<(ListenerId, NodeId)>,
    /// Calls of peers that were remembered.
    calls: Vec<(ConnectionId, NodeId)>,
    /// Whether the node was told to listen at nothing but the machine itself.
    near: bool,
    standing: watch::Sender<Standing>,
    next_search: Instant,
    next_keep: Instant,
    next_probe: Instant,
    /// The connection that was made for a probe, and when it goes.
    probing: Option<(ConnectionId, Instant)>,
}

impl Paths {
    pub(super) fn new(
        role: Role,
        settings: Reach,
        memory: Option<Arc<dyn PeerMemory>>,
        known: Acquaintances,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let now = Instant::now();
        Self {
            role,
            reach: Reachability::new(role, settings.relays),
            settings,
            memory,
            known,
            circuits: Vec::new(),
            calls: Vec::new(),
            near: false,
            standing,
            // The addresses of the invitation come first.
            next_search: now + SEARCH / 10,
            next_keep: now + KEEP,
            next_probe: now + PROBE,
            probing: None,
        }
    }
}

impl Task {
    /// Tells others the addresses that whoever started the node vouches for.
    pub(super) fn announce(&mut self, external: Vec<Multiaddr>, listen: &[Multiaddr]) {
        self.paths.near = listen.iter().all(|address| is_near(address) && !is_unspecified(address));
        if self.paths.role.is_public() {
            external.into_iter().for_each(|address| {
                self.swarm.add_external_address(address.clone());
                self.on_own_address(&address);
            });
        }
    }

    /// The node listens at an address. Those at relays are told when the relay has agreed.
    pub(super) fn on_listening(&mut self, address: &Multiaddr) {
        if is_relayed(address) {
            return;
        }
        let told = self.paths.near || !is_near(address);
        if self.paths.role.is_public() && self.paths.settings.external.is_empty() && told {
            self.swarm.add_external_address(address.clone());
        }
        self.on_own_address(address);
    }

    /// The node listens at an address no longer.
    pub(super) fn on_deaf(&mut self, address: &Multiaddr) {
        self.forget_own(address);
        if !is_relayed(address) && !is_near(address) {
            self.paths.reach.on_moved();
            self.paths.next_probe = Instant::now() + PROBE_MOVED;
            if let Some(probe) = self.swarm.behaviour_mut().autonat_client.as_mut() {
                probe.forget();
            }
            if self.paths.role.is_public() {
                self.swarm.remove_external_address(address);
            }
        }
    }

    /// An address of this node is known to be reachable.
    pub(super) fn on_external(&mut self, address: Multiaddr) {
        match (is_relayed(&address), self.paths.reach.is_confirmed(&address)) {
            (true, _) => tracing::debug!(%address, "this node can be reached through a relay"),
            (false, false) => tracing::info!(%address, "this node can be reached"),
            (false, true) => {}
        }
        self.on_own_address(&address);
        self.paths.reach.on_confirmed(address);
    }

    /// An address of this node is known to be reachable no longer.
    pub(super) fn on_unreachable(&mut self, address: &Multiaddr) {
        if !is_relayed(address) {
            tracing::info!(%address, "this node can no longer be reached");
        }
        if !self.swarm.listeners().any(|own| own == address) {
            self.forget_own(address);
        }
        self.paths.reach.on_lost(address);
    }

    fn on_own_address(&mut self, address: &Multiaddr) {
        let named = self.with_own_name(address);
        if !self.addresses.contains(&named) && self.addresses.len() < MAX_OWN {
            self.addresses.push(named.clone());
        }
        self.events.push(NetworkEvent::Listening(named));
    }

    fn forget_own(&mut self, address: &Multiaddr) {
        let named = self.with_own_name(address);
        self.addresses.retain(|own| *own != named);
    }

    fn with_own_name(&self, address: &Multiaddr) -> String {
        let own = *self.swarm.local_peer_id();
        address.clone().with_p2p(own).unwrap_or_else(|address| address).to_string()
    }

    /// Returns the addresses at which others may find the community: this node's, if it can be called, and those of the
    /// operators and relays that it is connected with or remembers.
    pub(super) fn known_addresses(&self) -> Vec<String> {
        let own = self.swarm.external_addresses().map(|address| self.with_own_name(address));
        let own = own.filter(|_| self.paths.reach.is_reachable());
        let others = self.paths.reach.relays().filter_map(|(node, address)| {
            let named = unnamed(address.clone()).with_p2p(node.to_peer_id());
            named.ok().map(|named| named.to_string())
        });
        own.chain(others).collect()
    }

    /// Tells everybody who watches how this node stands.
    pub(super) fn tell_standing(&self) {
        let relayed = self.peers.iter().filter(|(_, peer)| peer.is_relayed()).map(|(node, _)| *node).collect();
        let reach = &self.paths.reach;
        let standing = Standing {
            reachable: reach.is_reachable(),
            vouched: reach.is_vouched(),
            relays: reach.reserved().collect(),
            relayed,
        };
        self.paths.standing.send_if_modified(|known| {
            let differs = *known != standing;
            *known = standing;
            differs
        });
    }

    /// A connection stands. One without a relay, soon after one through a relay, is that connection's continuation.
    pub(super) fn on_link(&mut self, node: NodeId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let relayed = endpoint.is_relayed();
        self.paths.calls.retain(|(call, _)| *call != connection);
        if let ConnectedPoint::Dialer { address, .. } = endpoint
            && !relayed
        {
            let named = unnamed(address.clone()).with_p2p(node.to_peer_id());
            named.into_iter().for_each(|address| self.paths.known.on_answered(node, address, now));
        }
        if !relayed {
            self.continue_on(node, connection, PUNCHING);
        }
        self.tell_standing();
    }

    /// Lets a direct connection take the place of one through a relay that is not older than `age`.
    fn continue_on(&mut self, node: NodeId, connection: ConnectionId, age: Duration) {
        let now = Instant::now();
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let first = peer.connections.get(&peer.first);
        if first.is_some_and(|link| link.relayed && now.duration_since(link.since) < age) {
            peer.first = connection;
            peer.direct_since = Some(now);
            peer.wakes = WAKES;
        }
    }

    /// Wakes the direct connections that have taken the place of others.
    ///
    /// gossipsub's queue of a peer is shared by its connections, and wakes only those that have sent from it before. One
    /// that has not would leave a message lying until something else happens on it, and then drop it as too old.
    pub(super) fn wake_direct(&mut self) {
        let mut asleep = Vec::new();
        for (node, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.wakes > 0) {
            if peer.connections.values().all(|link| !link.relayed) {
                peer.wakes -= 1;
                asleep.push(node.to_peer_id());
            }
        }
        if !asleep.is_empty() {
            self.swarm.behaviour_mut().identify.push(asleep);
        }
    }

    /// A peer has no connection left, or none but through a relay.
    pub(super) fn on_unlink(&mut self, node: NodeId) {
        if self.peers.get(&node).is_none_or(super::task::Peer::is_relayed) {
            self.paths.reach.on_gone(node);
        }
        self.tell_standing();
    }

    /// A peer of the community has said what it speaks and where it is.
    pub(super) fn on_introduced(&mut self, node: NodeId, info: &identify::Info) {
        if !info.protocols.contains(&relay::HOP_PROTOCOL_NAME) {
            return;
        }
        let Some(peer) = self.peers.get(&node).filter(|peer| !peer.is_relayed()) else { return };
        let called = peer.connections.values().find_map(|link| link.called.clone());
        let told = || {
            let direct = |address: &&Multiaddr| !is_relayed(address);
            let far = info.listen_addrs.iter().filter(direct).find(|address| !is_near(address));
            far.or_else(|| info.listen_addrs.iter().find(direct)).cloned()
        };
        let Some(address) = called.or_else(told) else { return };
        let now = Instant::now();
        let address = unnamed(address);
        if let Ok(named) = address.clone().with_p2p(node.to_peer_id()) {
            self.paths.known.on_heard(node, named, now);
        }
        self.paths.reach.on_relay(node, address, now);
        self.perform();
    }

    pub(super) fn on_relay_client(&mut self, event: relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, renewal, .. } => {
                let Some(relay) = NodeId::from_peer_id(&relay_peer_id) else { return };
                tracing::debug!(%relay, renewal, "a relay passes calls on");
                self.paths.reach.on_reserved(relay);
                if !renewal {
                    self.provide();
                }
                self.tell_standing();
            }
            relay::client::Event::OutboundCircuitEstablished { relay_peer_id, .. } => {
                tracing::debug!(relay = %relay_peer_id, "called through a relay");
            }
            relay::client::Event::InboundCircuitEstablished { src_peer_id, .. } => {
                tracing::debug!(peer = %src_peer_id, "was called through a relay");
            }
        }
    }

    /// A listener is closed; returns whether it waited at a relay.
    pub(super) fn on_listener_closed(&mut self, listener: ListenerId) -> bool {
        let Some(index) = self.paths.circuits.iter().position(|(circuit, _)| *circuit == listener) else {
            return false;
        };
        let (_, relay) = self.paths.circuits.swap_remove(index);
        tracing::debug!(%relay, "a relay passes calls on no longer");
        self.paths.reach.on_refused(relay, Instant::now(), &mut rand::rng());
        self.tell_standing();
        true
    }

    pub(super) fn on_punched(&mut self, event: dcutr::Event) {
        let dcutr::Event { remote_peer_id, result } = event;
        let Some(node) = NodeId::from_peer_id(&remote_peer_id) else { return };
        match result {
            Ok(connection) => {
                tracing::debug!(peer = %node, "connected without the relay");
                self.continue_on(node, connection, Duration::MAX);
            }
            // The relay goes on passing everything but bodies.
            Err(error) => tracing::debug!(peer = %node, %error, "not connected without the relay"),
        }
    }

    pub(super) fn on_probed(&mut self, event: autonat::v2::client::Event) {
        let autonat::v2::client::Event { tested_addr, server, result, .. } = event;
        // Success is told by the swarm as well, to everybody.
        if let Err(error) = result {
            tracing::debug!(address = %tested_addr, %server, %error, "a peer could not call this node");
            if !is_relayed(&tested_addr) {
                self.swarm.remove_external_address(&tested_addr);
                self.paths.reach.on_lost(&tested_addr);
            }
        }
    }

    /// This node has tested whether a peer can be called. If it can, a connection is left over.
    pub(super) fn on_tested(&mut self, event: &autonat::v2::server::Event) {
        let Some(node) = NodeId::from_peer_id(&event.client) else { return };
        let Some(peer) = self.peers.get(&node) else { return };
        let test = |(connection, link): &(&ConnectionId, &Link)| {
            **connection != peer.first && link.called.is_some() && link.tests_only
        };
        if let Some((connection, _)) = peer.connections.iter().find(test) {
            self.swarm.close_connection(*connection);
        }
    }

    pub(super) fn on_router(event: &upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                tracing::info!(address = %external_addr, "the router has opened a port");
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                tracing::info!(address = %external_addr, "the router has closed a port");
            }
            upnp::Event::GatewayNotFound => tracing::debug!("no router opens ports here"),
            upnp::Event::NonRoutableGateway => tracing::debug!("the router is behind another one"),
        }
    }

    /// A call has failed.
    pub(super) fn on_call_failed(&mut self, connection: ConnectionId) {
        if let Some(index) = self.paths.calls.iter().position(|(call, _)| *call == connection) {
            let (_, node) = self.paths.calls.swap_remove(index);
            self.paths.known.on_failed(node);
        }
    }

    /// Does what is due: to be called every so often.
    pub(super) fn tend_paths(&mut self, now: Instant) {
        self.perform();
        self.part_with_relays(now);
        if now >= self.paths.next_search {
            self.paths.next_search = now + SEARCH.mul_f64(rand::rng().random_range(0.5..1.5));
            self.search(now);
        }
        if now >= self.paths.next_probe {
            self.probe(now);
        }
        if let Some((connection, _)) = self.paths.probing.take_if(|(_, until)| *until <= now) {
            self.swarm.close_connection(connection);
        }
        if now >= self.paths.next_keep {
            self.paths.next_keep = now + KEEP;
            self.keep_peers();
        }
    }

    /// Asks a peer that tests such things whether it can call this node: on a connection of its own, as what is found out is
    /// told on those that are made afterwards.
    pub(super) fn probe(&mut self, now: Instant) {
        let mut rng = rand::rng();
        self.paths.next_probe = now + PROBE.mul_f64(rng.random_range(0.5..1.5));
        let direct = |node: &NodeId| self.peers.get(node).is_some_and(|peer| !peer.is_relayed());
        let testers: Vec<(NodeId, Multiaddr)> = self
            .paths
            .reach
            .relays()
            .filter(|(node, _)| direct(node))
            .map(|(node, address)| (node, address.clone()))
            .collect();
        let Some(probe) = self.swarm.behaviour_mut().autonat_client.as_mut() else { return };
        let Some((node, address)) = testers.into_iter().choose(&mut rng) else { return };
        probe.again();
        let call = DialOpts::peer_id(node.to_peer_id())
            .condition(PeerCondition::Always)
            .addresses(vec![address])
            .allocate_new_port()
            .build();
        let connection = call.connection_id();
        match self.swarm.dial(call) {
            Ok(()) => {
                let earlier = self.paths.probing.replace((connection, now + PROBING));
                earlier.map(|(connection, _)| self.swarm.close_connection(connection));
            }
            Err(error) => tracing::debug!(%error, "nobody is asked whether this node can be called"),
        }
    }

    /// Keeps the peers: what is returned ends when that is done.
    pub(super) fn keep_peers(&self) -> Option<JoinHandle<()>> {
        let memory = self.paths.memory.clone()?;
        let known = self.paths.known.known();
        Some(tokio::task::spawn_blocking(move || memory.keep(&known)))
    }

    pub(super) fn forget_ways(&mut self, node: &NodeId) {
        self.paths.known.forget(node);
    }

    fn perform(&mut self) {
        for action in self.paths.reach.poll(Instant::now(), &mut rand::rng()) {
            match action {
                Action::Routing { answer } => {
                    let mode = if answer { kad::Mode::Server } else { kad::Mode::Client };
                    self.swarm.behaviour_mut().routing.set_mode(Some(mode));
                    self.tell_standing();
                }
                Action::Reserve { relay, address } => self.reserve(relay, address),
            }
        }
    }

    fn reserve(&mut self, relay: NodeId, address: Multiaddr) {
        let circuit = address.with(Protocol::P2p(relay.to_peer_id())).with(Protocol::P2pCircuit);
        match self.swarm.listen_on(circuit) {
            Ok(listener) => self.paths.circuits.push((listener, relay)),
            Err(error) => {
                tracing::debug!(%relay, %error, "cannot wait at a relay");
                self.paths.reach.on_refused(relay, Instant::now(), &mut rand::rng());
            }
        }
    }

    /// Closes the ways through relays beside which a direct one stands.
    fn part_with_relays(&mut self, now: Instant) {
        let mut surplus = Vec::new();
        for peer in self.peers.values_mut() {
            if peer.direct_since.is_some_and(|since| now.duration_since(since) >= FAREWELL) {
                peer.direct_since = None;
                let links = || peer.connections.iter();
                if links().any(|(_, link)| !link.relayed) {
                    surplus.extend(links().filter(|(_, link)| link.relayed).map(|(connection, _)| *connection));
                }
            }
        }
        surplus.into_iter().for_each(|connection| {
            self.swarm.close_connection(connection);
        });
    }

    /// Looks for peers while there are few.
    fn search(&mut self, now: Instant) {
        let confirmed = self.peers.values().filter(|peer| peer.confirmed).count();
        if confirmed >= LOW_DEGREE {
            return;
        }
        let calls = self.paths.known.calls(now, &mut rand::rng(), |node| self.peers.contains_key(node));
        for (node, addresses) in calls {
            let call = DialOpts::peer_id(node.to_peer_id()).addresses(addresses).allocate_new_port().build();
            let connection = call.connection_id();
            match self.swarm.dial(call) {
                Ok(()) => self.paths.calls.push((connection, node)),
                Err(error) => tracing::debug!(%error, "not called"),
            }
        }
        let routing = &mut self.swarm.behaviour_mut().routing;
        // An error says that there is nobody to ask.
        let _ = routing.bootstrap();
        if !self.paths.role.is_public() && self.paths.settings.relays {
            routing.get_providers(self.names.members());
        }
    }

    /// Lets others find this node at the relays that pass calls on to it.
    fn provide(&mut self) {
        let members = self.names.members();
        if let Err(error) = self.swarm.behaviour_mut().routing.start_providing(members) {
            tracing::debug!(%error, "others cannot find this node at its relays");
        }
    }

    pub(super) fn on_routing(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest { request: kad::InboundRequest::AddProvider { record: Some(mut record) } }
                if record.key == self.names.members() =>
            {
                let life = std::time::Instant::now() + PROVIDER_LIFE;
                record.expires = Some(record.expires.map_or(life, |expires| expires.min(life)));
                // An error says that there are enough.
                let _ = kad::store::RecordStore::add_provider(self.swarm.behaviour_mut().routing.store_mut(), record);
            }
            kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })),
                ..
            } => {
                let own = *self.swarm.local_peer_id();
                providers
                    .into_iter()
                    .filter(|peer| *peer != own)
                    .take(MAX_CALLS)
                    .for_each(|peer| self.call_found(peer));
            }
            event => tracing::trace!(?event, "routing"),
        }
    }

    /// Calls a member that was found; the routing table knows where.
    fn call_found(&mut self, peer: PeerId) {
        if !self.foreign.contains(&peer) {
            // An error says that it is connected, called or shut out already.
            let _ = self.swarm.dial(DialOpts::peer_id(peer).build());
        }
    }
}

/// The address without a name at its end.
fn unnamed(mut address: Multiaddr) -> Multiaddr {
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

fn is_unspecified(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_unspecified(),
        Some(Protocol::Ip6(ip)) => ip.is_unspecified(),
        _ => false,
    }
}
