//! The task that owns the swarm: commands in, events out, one at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

use chorus_protocol::{id::CommunityId, message::VERSION};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::{
        ConnectedPoint,
        transport::{ListenerId, TransportError},
    },
    gossipsub::{self, MessageAcceptance, PublishError},
    identify, mdns,
    multiaddr::Protocol,
    ping,
    request_response::OutboundRequestId,
    swarm::{ConnectionId, SwarmEvent, dial_opts::DialOpts},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

use super::{
    Command, MessageId, NetworkError, NetworkEvent, NodeId, Offence, RequestId, Topic, Verdict,
    behaviour::{self, Behaviour, BehaviourEvent, Names},
    book::Book,
    direct::{Incoming, Outgoing},
    events::Events,
    outbox::Outbox,
    paths::Paths,
    repeats::Repeats,
    score::{Scores, Sentence},
    transfer::{Done, Transfers},
};

/// How often calls, repeats and pardons are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long this node publishes less after a peer was too slow for the gossip, and how often it does then. What is held back is
/// said again by the application if it still matters.
const CALM: Duration = Duration::from_secs(10);
const CALM_PAUSE: Duration = Duration::from_secs(1);
/// How long a listener may take to know its address.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a shutdown waits for peers to hear of it.
const CLOSING: Duration = Duration::from_secs(1);
/// Pings of one connection that may fail in a row. One is not enough: bulk data on the same connection delays them.
const MAX_MISSED_PINGS: u32 = 3;
/// Addresses of a peer that are remembered for others.
const MAX_PEER_ADDRESSES: usize = 8;
/// Nodes of other communities that are remembered, so that the local network's are not called again and again.
const MAX_FOREIGN: usize = 1024;

/// A connection with a peer.
pub(super) struct Link {
    /// Pings missed in a row.
    missed: u32,
    pub(super) since: Instant,
    /// Whether it passes through a relay.
    pub(super) relayed: bool,
    /// The peer's address, if this node called, and not through a relay.
    pub(super) called: Option<Multiaddr>,
    /// Whether it was made only to see whether the peer can be called.
    pub(super) tests_only: bool,
}

/// A connected peer.
pub(super) struct Peer {
    pub(super) connections: BTreeMap<ConnectionId, Link>,
    /// The connection on which both sides told what they subscribe to, or the one that has taken its place.
    pub(super) first: ConnectionId,
    /// Since when a direct connection has been standing beside one through a relay.
    pub(super) direct_since: Option<Instant>,
    /// Gossip after which its direct connection is to be woken, as it may never have sent any.
    pub(super) wakes: u8,
    /// Whether its connections are being closed for it to start afresh.
    restarting: bool,
    /// Whether it has shown to be of this community.
    pub(super) confirmed: bool,
    /// The minor protocol version that it speaks, once it told.
    minor: Option<u8>,
    pub(super) outbox: Outbox,
    /// Epoch and number of the last frame of ordered messages from it.
    pub(super) received: Option<(u64, u64)>,
}

impl Peer {
    /// Whether only relays connect this node with it.
    pub(super) fn is_relayed(&self) -> bool {
        self.connections.values().all(|link| link.relayed)
    }
}

/// The network's state.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) names: Names,
    commands: mpsc::Receiver<Command>,
    pub(super) events: Events,
    peer_list: watch::Sender<Vec<NodeId>>,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    book: Book,
    scores: Scores,
    pub(super) repeats: Repeats,
    /// How long gossip is held back for peers that are too slow for it, and when some of it may go out next.
    calm: Option<(Instant, Instant)>,
    pub(super) foreign: BTreeSet<PeerId>,
    pub(super) addresses: Vec<String>,
    pub(super) paths: Paths,
    pub(super) outgoing: BTreeMap<OutboundRequestId, Outgoing>,
    pub(super) incoming: BTreeMap<RequestId, Incoming>,
    pub(super) next_request: u64,
    pub(super) transfers: Transfers,
    transfers_done: mpsc::Receiver<Done>,
}

impl Task {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        community: CommunityId,
        (transfers, transfers_done): (Transfers, mpsc::Receiver<Done>),
        paths: Paths,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<NetworkEvent>,
        peer_list: watch::Sender<Vec<NodeId>>,
    ) -> Self {
        Self {
            swarm,
            names: Names::of(&community),
            commands,
            events: Events::new(events),
            peer_list,
            peers: BTreeMap::new(),
            book: Book::default(),
            scores: Scores::default(),
            repeats: Repeats::new(),
            calm: None,
            foreign: BTreeSet::new(),
            addresses: Vec::new(),
            paths,
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            next_request: 0,
            transfers,
            transfers_done,
        }
    }

    /// Starts to listen, and returns the addresses once every listener has one.
    pub(super) async fn listen(&mut self, listen: Vec<Multiaddr>) -> Result<Vec<String>, NetworkError> {
        let mut waiting = BTreeMap::new();
        for address in listen {
            let text = address.to_string();
            if let Err(source) = probe(&address) {
                return Err(NetworkError::Listen { address: text, source });
            }
            match self.swarm.listen_on(address) {
                Ok(listener) => waiting.insert(listener.to_string(), text),
                Err(TransportError::MultiaddrNotSupported(_)) => return Err(NetworkError::Address(text)),
                Err(TransportError::Other(source)) => return Err(NetworkError::Listen { address: text, source }),
            };
        }
        while let Some(address) = waiting.values().next().cloned() {
            let event = timeout(LISTEN_TIMEOUT, self.swarm.select_next_some())
                .await
                .map_err(|_| NetworkError::Listen { address, source: io::ErrorKind::TimedOut.into() })?;
            let name = |listener: &ListenerId| listener.to_string();
            match event {
                SwarmEvent::ListenerClosed { listener_id, reason: Err(source), .. } => {
                    let address = waiting.remove(&name(&listener_id)).unwrap_or_default();
                    return Err(NetworkError::Listen { address, source });
                }
                SwarmEvent::NewListenAddr { listener_id, address } => {
                    waiting.remove(&name(&listener_id));
                    self.on_listening(&address);
                }
                event => self.on_swarm_event(event),
            }
        }
        Ok(self.addresses.clone())
    }

    /// Runs until it is told to shut down, or nobody can tell it anything any more.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done = loop {
            let next = self.transfers.next();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(done) = self.transfers_done.recv() => self.on_done(done),
                () = until(next), if next.is_some() => self.ask(),
                () = self.events.deliver(), if !self.events.is_empty() => {}
                _ = ticks.tick() => self.on_tick(),
            }
        };
        self.close(done).await;
    }

    /// Tells all peers, and frees the ports before it says so.
    async fn close(mut self, done: Option<oneshot::Sender<()>>) {
        if let Some(kept) = self.keep_peers() {
            // An error says that the runtime is stopping.
            let _ = kept.await;
        }
        self.transfers.close();
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error says that it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let all_gone = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(CLOSING, all_gone).await.is_err() {
            tracing::debug!("some peers were not told of the shutdown");
        }
        drop(self);
        done.map(|done| done.send(()));
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial(address) => {
                if !self.book.add(address, Instant::now()) {
                    tracing::warn!("too many addresses to call: one is left out");
                }
                self.call();
            }
            Command::Publish { topic, bytes, done } => {
                let _ = done.send(self.publish(topic, bytes));
            }
            Command::Mesh { topic, done } => {
                let topic = self.names.topic(topic).hash();
                let peers = self.swarm.behaviour().gossip.mesh_peers(&topic);
                let _ =
                    done.send(peers.filter_map(NodeId::from_peer_id).collect::<BTreeSet<_>>().into_iter().collect());
            }
            Command::Report { id, verdict } => self.report(id, verdict),
            Command::Addresses(done) => {
                let _ = done.send(self.known_addresses());
            }
            Command::Send { to, bytes } => self.send(to, bytes),
            Command::Request { to, bytes, done } => self.request(to, bytes, done),
            Command::Respond { id, bytes } => self.respond(id, bytes),
            Command::Fetch { id, done } => self.fetch(id, done),
            Command::Probe => self.probe(Instant::now()),
            Command::Blame(peer, offence) => self.blame(peer, offence),
            Command::Disconnect(node) => {
                let peer = node.to_peer_id();
                self.forget(&peer);
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Ban(node) => {
                let peer = node.to_peer_id();
                self.forget(&peer);
                self.forget_ways(&node);
                self.scores.ban(&node);
                self.swarm.behaviour_mut().banned.block_peer(peer);
            }
            // The loop has taken it; a second one finds the channel closed.
            Command::Shutdown(_) => {}
        }
    }

    fn forget(&mut self, peer: &PeerId) {
        self.book.remove(peer);
        self.swarm.behaviour_mut().routing.remove_peer(peer);
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) -> Result<(), NetworkError> {
        let now = Instant::now();
        if let Some((until, next)) = self.calm.filter(|(until, _)| *until > now) {
            if next > now {
                return Err(NetworkError::Congested);
            }
            self.calm = Some((until, now + CALM_PAUSE));
        }
        let length = bytes.len();
        let published = self.swarm.behaviour_mut().gossip.publish(self.names.topic(topic), bytes);
        self.wake_direct();
        match published {
            // Everybody who was there has it: what was wanted.
            Ok(_) | Err(PublishError::Duplicate) => Ok(()),
            Err(PublishError::NoPeersSubscribedToTopic) => Err(NetworkError::NoPeers),
            Err(PublishError::AllQueuesFull(_)) => Err(NetworkError::Congested),
            Err(PublishError::MessageTooLarge | PublishError::TransformFailed(_) | PublishError::SigningError(_)) => {
                Err(NetworkError::TooLong { bound: super::MAX_GOSSIP_BYTES, found: length })
            }
        }
    }

    fn report(&mut self, id: MessageId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let known =
            gossip.report_message_validation_result(&id.hash.to_vec().into(), &id.from.to_peer_id(), acceptance);
        if !known {
            tracing::debug!(?id, "the verdict on a message came too late");
        }
        if verdict == Verdict::Accept {
            self.wake_direct();
        }
        if verdict == Verdict::Reject {
            self.blame(id.from, Offence::Rejected);
        }
    }

    /// Counts something else than what was asked for against a peer.
    pub(super) fn strike(&mut self, node: NodeId) {
        self.blame(node, Offence::WrongBlob);
    }

    /// Counts an offence against a peer.
    pub(super) fn blame(&mut self, node: NodeId, offence: Offence) {
        let (now, peer) = (Instant::now(), node.to_peer_id());
        let sentence = self.scores.blame(node, offence, now);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gossip.set_application_score(&peer, self.scores.score(&node, now));
        if sentence != Sentence::Nothing {
            // Not at a level that is written by default: whoever floods a node would fill its operator's disk with it.
            tracing::debug!(peer = ?node, ?offence, banned = sentence == Sentence::Ban, "a peer is shut out for what it sent");
            behaviour.banned.block_peer(peer);
            self.book.discourage(&peer);
        }
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        self.forget_unanswered(now);
        for node in self.scores.let_back(now) {
            self.swarm.behaviour_mut().banned.unblock_peer(node.to_peer_id());
        }
        self.call();
        self.tend_paths(now);
        self.on_transfer_tick();
        let nodes: Vec<_> = self.peers.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.pump(node));
    }

    /// Makes the calls that are due.
    fn call(&mut self) {
        let now = Instant::now();
        for call in self.book.calls(now, |peer| self.swarm.is_connected(peer)) {
            let connection = call.connection_id();
            if let Err(error) = self.swarm.dial(call) {
                tracing::debug!(%error, "not called");
                self.book.on_failed(connection, now);
            }
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(&address),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_deaf(&address),
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_external(address),
            SwarmEvent::ExternalAddrExpired { address } => self.on_unreachable(&address),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.on_closed(peer_id, connection_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                tracing::debug!(%error, "a call failed");
                self.book.on_failed(connection_id, Instant::now());
                self.on_call_failed(connection_id);
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                let at_relay = self.on_listener_closed(listener_id);
                if let (false, Err(error)) = (at_relay, reason) {
                    tracing::warn!(?addresses, %error, "no longer listening");
                }
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(node) = NodeId::from_peer_id(&peer) else {
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        };
        let wanted = self.book.on_connected(connection, peer, Instant::now());
        let relayed = endpoint.is_relayed();
        let called = match endpoint {
            ConnectedPoint::Dialer { address, .. } if !relayed => Some(address.clone()),
            ConnectedPoint::Dialer { .. } | ConnectedPoint::Listener { .. } => None,
        };
        let new = || Peer {
            connections: BTreeMap::new(),
            first: connection,
            direct_since: None,
            wakes: 0,
            restarting: false,
            confirmed: false,
            minor: None,
            outbox: Outbox::new(rand::random()),
            received: None,
        };
        let peer = self.peers.entry(node).or_insert_with(new);
        let direct_before = peer.connections.values().any(|link| !link.relayed);
        let tests_only = called.is_some() && direct_before && !wanted;
        let link = Link { missed: 0, since: Instant::now(), relayed, called, tests_only };
        peer.connections.insert(connection, link);
        self.add_link(node, connection, relayed);
        self.on_link(node, connection, endpoint);
    }

    /// A connection is gone.
    ///
    /// gossipsub tells its subscriptions on the first connection with a peer only. A peer that restarts before its old
    /// connection is known to be dead comes in on the second one: it never hears of ours, and passes nothing on to us. So
    /// when the first connection goes and others stay, those are closed too, and the peer starts afresh. (Leaving and
    /// joining all topics would tell it as well, but the prunes that go with it keep *all* peers apart for a minute.)
    fn on_closed(&mut self, peer: PeerId, connection: ConnectionId, left: u32) {
        let Some(node) = NodeId::from_peer_id(&peer) else { return };
        self.remove_link(node, connection);
        if left > 0 {
            let Some(known) = self.peers.get_mut(&node) else { return };
            known.connections.remove(&connection);
            if known.first == connection {
                known.restarting = true;
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            self.on_unlink(node);
            return;
        }
        self.book.on_disconnected(&peer, Instant::now());
        let Some(gone) = self.peers.remove(&node) else { return };
        self.on_unlink(node);
        let unsent = gone.outbox.into_unsent();
        if !unsent.is_empty() {
            self.events.push(NetworkEvent::SendFailed { to: node, messages: unsent });
        }
        if gone.confirmed {
            self.events.push_disconnected(node);
            self.list_peers();
        }
        if gone.restarting {
            // It may also call back; if it cannot be called, that is the only way.
            let _ = self.swarm.dial(DialOpts::peer_id(peer).build());
        }
    }

    /// A peer has shown that it is of this community.
    pub(super) fn confirm(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| !peer.confirmed) else { return };
        peer.confirmed = true;
        self.events.push(NetworkEvent::Connected(node));
        self.list_peers();
        self.offer(node);
    }

    fn list_peers(&self) {
        let confirmed = self.peers.iter().filter(|(_, peer)| peer.confirmed).map(|(node, _)| *node).collect();
        self.peer_list.send_replace(confirmed);
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Ping(event) => self.on_ping(event),
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message, .. }) => {
                self.on_gossip(propagation_source, message);
            }
            BehaviourEvent::Gossip(gossipsub::Event::SlowPeer { peer_id, .. }) => {
                tracing::debug!(%peer_id, "a peer is too slow for the gossip");
                let now = Instant::now();
                let next = self.calm.map_or(now, |(_, next)| next);
                self.calm = Some((now + CALM, next));
            }
            BehaviourEvent::Control(event) => self.on_control(event),
            BehaviourEvent::Blobs(event) => self.on_transfer(event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_discovered(found),
            BehaviourEvent::Routing(event) => self.on_routing(event),
            BehaviourEvent::AutonatClient(event) => self.on_probed(event),
            BehaviourEvent::AutonatServer(event) => self.on_tested(&event),
            BehaviourEvent::RelayClient(event) => self.on_relay_client(event),
            BehaviourEvent::RelayServer(event) => tracing::debug!(?event, "relay"),
            BehaviourEvent::Dcutr(event) => self.on_punched(event),
            BehaviourEvent::Upnp(event) => Self::on_router(&event),
            // Limits and bans say nothing; the rest are details of what is known otherwise.
            BehaviourEvent::Identify(_)
            | BehaviourEvent::Gossip(_)
            | BehaviourEvent::Mdns(_)
            | BehaviourEvent::Limits(_)
            | BehaviourEvent::Admission(_)
            | BehaviourEvent::Memory(_)
            | BehaviourEvent::Banned(_) => {}
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        let Some(node) = NodeId::from_peer_id(&peer) else { return };
        let minor = match self.names.parse_version(&info.protocol_version) {
            Some((VERSION, minor)) => minor,
            Some((major, minor)) => {
                let newer = major > VERSION;
                tracing::warn!(%peer, major, minor, ours = VERSION, newer, "a node speaks another major version: refused");
                return self.refuse_foreign(peer);
            }
            None => {
                tracing::debug!(%peer, "a node of another community");
                return self.refuse_foreign(peer);
            }
        };
        self.confirm(node);
        self.on_introduced(node, &info);
        if let Some(known) = self.peers.get_mut(&node)
            && known.minor != Some(minor)
        {
            known.minor = Some(minor);
            self.events.push(NetworkEvent::Speaks { node, minor });
        }
        if info.protocols.contains(&self.names.routing()) {
            for address in info.listen_addrs.into_iter().take(MAX_PEER_ADDRESSES) {
                self.swarm.behaviour_mut().routing.add_address(&peer, address);
            }
        }
    }

    /// Disconnects a node that has no business here, and remembers not to call it.
    fn refuse_foreign(&mut self, peer: PeerId) {
        self.book.discourage(&peer);
        if self.foreign.len() >= MAX_FOREIGN {
            self.foreign.clear();
        }
        self.foreign.insert(peer);
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn on_ping(&mut self, event: ping::Event) {
        let peer = NodeId::from_peer_id(&event.peer).and_then(|node| self.peers.get_mut(&node));
        let Some(link) = peer.and_then(|peer| peer.connections.get_mut(&event.connection)) else { return };
        match event.result {
            Ok(_) => link.missed = 0,
            Err(ping::Failure::Unsupported) => {}
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                link.missed += 1;
                if link.missed >= MAX_MISSED_PINGS {
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    fn on_gossip(&mut self, source: PeerId, message: gossipsub::Message) {
        let topic = Topic::ALL.into_iter().find(|topic| self.names.topic(*topic).hash() == message.topic);
        // gossipsub passes on our own topics only, and only of peers with Ed25519 keys.
        let (Some(topic), Some(from)) = (topic, NodeId::from_peer_id(&source)) else { return };
        let hash = behaviour::message_hash(message.topic.as_str(), &message.data);
        let message_id = MessageId { hash, from };
        self.confirm(from);
        if self.events.has_room(from, 1, message.data.len()) {
            self.events.push(NetworkEvent::Gossip { topic, from, message_id, bytes: message.data });
        } else {
            self.report(message_id, Verdict::Ignore);
        }
    }

    fn on_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        for (peer, address) in found {
            if !self.foreign.contains(&peer) {
                // An error says that it is connected, called or shut out already.
                let _ = self.swarm.dial(DialOpts::peer_id(peer).addresses(vec![address]).build());
            }
        }
    }
}

async fn until(at: Option<std::time::Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// Fails if somebody listens at a TCP address already. libp2p itself would share the port, and each of two nodes would get
/// some of the other's calls.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => std::net::TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}
