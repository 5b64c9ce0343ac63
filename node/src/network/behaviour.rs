//! What the swarm does: libp2p's behaviours, with every limit and its reason.
//!
//! The order of the fields is the order of their say on a new connection: limits and bans come first, so that no other
//! behaviour ever hears of a connection that they refuse.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chorus_protocol::id::CommunityId;
use futures::future::Either;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport as _, allow_block_list as block_list, connection_limits,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    gossipsub::{self, MaxCountSubscriptionFilter, MessageAuthenticity, ValidationMode, WhitelistSubscriptionFilter},
    identify, identity, kad, mdns, memory_connection_limits as memory_limits, noise, ping, quic,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, yamux,
};

use zeroize::Zeroizing;

use super::{
    MAX_GOSSIP_BYTES, NetworkError, REQUEST_TIMEOUT, Topic,
    limit::{Limiter, muxer::Limited},
    transfer::message::Messages,
    wire::{Frames, MAX_CONTROL_FRAME},
};

/// Connections that are being set up, in either direction: a flood of half-open ones stops here.
const MAX_PENDING: u32 = 128;
/// Connections with one peer: both may call at once, and a restarted peer comes back before its old connection is
/// known to be dead.
const MAX_PER_PEER: u32 = 4;
/// Connections in all: what a home router and a small machine carry.
const MAX_CONNECTIONS: u32 = 300;
/// The share of the machine's memory that this process may use before new connections are refused.
const MAX_MEMORY: f64 = 0.8;
/// Streams of one connection.
const MAX_STREAMS: usize = 256;
/// Control requests under way on one connection, in both directions: questions that wait for an answer on either side
/// (at most [`MAX_QUESTIONS`](super::direct::MAX_QUESTIONS) each) must leave room for the frames that do not.
const MAX_CONTROL_STREAMS: usize = 4 * super::direct::MAX_QUESTIONS;
/// Requests about blobs under way on one connection, in both directions: pieces, questions and news.
const MAX_BLOB_STREAMS: usize = 64;
/// How long a piece may take from the request to its last byte: four at a time over an uplink of 20 kB/s.
const BLOB_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may be idle. Connections are bounded in number, and a community's nodes want to stay
/// connected even when there is nothing to say.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// How often gossipsub mends its mesh. The shorter, the faster a lost message is asked for again.
const HEARTBEAT: Duration = Duration::from_millis(700);
/// Heartbeats for which a message waits for its verdict: about twelve seconds.
const HISTORY: usize = 17;
/// How long a message is known to have been seen.
const SEEN: Duration = Duration::from_secs(300);
/// Gossip messages that wait for one slow peer, before it is skipped: at most 64 MiB.
const MAX_GOSSIP_QUEUE: usize = 512;
/// How often the routing table is refreshed.
const ROUTING_REFRESH: Duration = Duration::from_secs(300);

/// The subscriptions that are taken from peers: those to our topics.
type Subscriptions = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;
/// Gossip with that filter.
pub(super) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, Subscriptions>;

/// All of it.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: memory_limits::Behaviour,
    pub(super) banned: block_list::Behaviour<block_list::BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) routing: kad::Behaviour<kad::store::MemoryStore>,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) gossip: Gossip,
    pub(super) control: request_response::Behaviour<Frames>,
    pub(super) blobs: request_response::Behaviour<Messages>,
}

/// The names of a community's protocols and topics.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn of(community: &CommunityId) -> Self {
        Self { prefix: format!("/chorus/{community}") }
    }

    /// What a node of the community says it speaks.
    pub(super) fn version(&self) -> String {
        format!("{}/1", self.prefix)
    }

    fn protocol(&self, name: &str, version: u8) -> StreamProtocol {
        let text = format!("{}/{name}/{version}", self.prefix);
        StreamProtocol::try_from_owned(text).expect("a protocol's name begins with a slash")
    }

    pub(super) fn routing(&self) -> StreamProtocol {
        self.protocol("routing", 1)
    }

    pub(super) fn topic(&self, topic: Topic) -> gossipsub::IdentTopic {
        gossipsub::IdentTopic::new(format!("{}/{}/1", self.prefix, topic.name()))
    }
}

/// Makes the swarm of a node. It does not listen yet.
pub(super) fn swarm(
    seed: &[u8; 32],
    community: &CommunityId,
    with_mdns: bool,
    limiter: &Arc<Limiter>,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let keys = identity::Keypair::ed25519_from_bytes(Zeroizing::new(*seed).as_mut_slice())
        .expect("32 bytes are an Ed25519 seed");
    let behaviour = behaviour(&keys, &Names::of(community), with_mdns, limiter)?;
    let transport = transport(&keys, limiter)?;
    let swarm = SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_other_transport(|_| transport)
        .expect("the transport is made already")
        .with_behaviour(|_| behaviour)
        .expect("the behaviour is made already")
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build();
    Ok(swarm)
}

/// How streams share a connection over TCP.
fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config
}

/// TCP and QUIC, every stream of either under the limits.
fn transport(
    keys: &identity::Keypair,
    limiter: &Arc<Limiter>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let noise = noise::Config::new(keys).map_err(|error| NetworkError::Transport(error.into()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(muxer())
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let quic = quic::tokio::Transport::new(quic::Config::new(keys))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let limiter = Arc::clone(limiter);
    let limited = move |either, _| {
        let (Either::Left((peer, connection)) | Either::Right((peer, connection))) = either;
        (peer, StreamMuxerBox::new(Limited::new(connection, Arc::clone(&limiter))))
    };
    Ok(tcp.or_transport(quic).map(limited).boxed())
}

fn behaviour(
    keys: &identity::Keypair,
    names: &Names,
    with_mdns: bool,
    limiter: &Arc<Limiter>,
) -> Result<Behaviour, NetworkError> {
    let local = keys.public().to_peer_id();
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_pending_outgoing(Some(MAX_PENDING))
        .with_max_established_per_peer(Some(MAX_PER_PEER))
        .with_max_established(Some(MAX_CONNECTIONS));
    let agent = concat!("chorus/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new(names.version(), keys.public()).with_agent_version(agent);
    let mdns = with_mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), local)).transpose();
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        memory: memory_limits::Behaviour::with_max_percentage(MAX_MEMORY),
        banned: block_list::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new()),
        routing: routing(names.routing(), local),
        mdns: mdns.map_err(|error| NetworkError::Transport(error.into()))?.into(),
        gossip: gossip(names),
        control: requests(
            Frames { max_request: MAX_CONTROL_FRAME, max_response: MAX_CONTROL_FRAME },
            names.protocol("control", 1),
            REQUEST_TIMEOUT,
            MAX_CONTROL_STREAMS,
        ),
        blobs: requests(
            Messages { limiter: Arc::clone(limiter) },
            names.protocol("blob", 2),
            BLOB_TIMEOUT,
            MAX_BLOB_STREAMS,
        ),
    })
}

/// Finds peers of peers. Nothing is stored in it for others, and nothing depends on it.
fn routing(protocol: StreamProtocol, local: libp2p::PeerId) -> kad::Behaviour<kad::store::MemoryStore> {
    let mut config = kad::Config::new(protocol);
    config.set_record_filtering(kad::StoreInserts::FilterBoth);
    config.set_periodic_bootstrap_interval(Some(ROUTING_REFRESH));
    let mut routing = kad::Behaviour::with_config(local, kad::store::MemoryStore::new(local), config);
    // Said outright: left to itself it waits for a proof that others can reach this node, which never comes on a LAN.
    routing.set_mode(Some(kad::Mode::Server));
    routing
}

fn gossip(names: &Names) -> Gossip {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(format!("{}/gossip", names.prefix))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_hash(message.topic.as_str(), &message.data).to_vec().into())
        .max_transmit_size(MAX_GOSSIP_BYTES + super::GOSSIP_FRAME_BYTES)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        // A publisher sends to all its peers: in a community of up to some seventy nodes that is cheap, and nobody can cut
        // it off by filling its mesh.
        .flood_publish(true)
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(6)
        .duplicate_cache_time(SEEN)
        .connection_handler_queue_len(MAX_GOSSIP_QUEUE)
        .build()
        .expect("a constant configuration");
    let topics: HashSet<_> = Topic::ALL.iter().map(|topic| names.topic(*topic).hash()).collect();
    let subscriptions = Subscriptions {
        max_subscribed_topics: topics.len(),
        max_subscriptions_per_request: topics.len(),
        filter: WhitelistSubscriptionFilter(topics),
    };
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, subscriptions)
        .expect("anonymous validation suits anonymous messages");
    for topic in Topic::ALL {
        gossip.subscribe(&names.topic(topic)).expect("our own topics pass our own filter");
    }
    gossip
}

/// Names a message by its content.
pub(super) fn message_hash(topic: &str, data: &[u8]) -> [u8; 20] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(topic.as_bytes());
    hasher.update(data);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn requests<C>(codec: C, protocol: StreamProtocol, timeout: Duration, streams: usize) -> request_response::Behaviour<C>
where
    C: request_response::Codec<Protocol = StreamProtocol> + Clone + Send + 'static,
{
    let config = request_response::Config::default().with_request_timeout(timeout).with_max_concurrent_streams(streams);
    request_response::Behaviour::with_codec(codec, [(protocol, ProtocolSupport::Full)], config)
}
