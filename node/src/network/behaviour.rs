//! What the swarm does: libp2p's behaviours, with every limit and its reason.
//!
//! The order of the fields is the order of their say on a new connection: limits and bans come first, so that no other
//! behaviour ever hears of a connection that they refuse.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use chorus_protocol::{id::CommunityId, message::VERSION};
use futures::future::Either;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport as _, allow_block_list as block_list, autonat,
    connection_limits,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    dcutr,
    gossipsub::{
        self, MaxCountSubscriptionFilter, MessageAuthenticity, PeerScoreParams, PeerScoreThresholds, TopicScoreParams,
        ValidationMode, WhitelistSubscriptionFilter, score_parameter_decay,
    },
    identify, identity, kad, mdns, memory_connection_limits as memory_limits, noise, ping, quic, relay,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    tcp, upnp, yamux,
};

use zeroize::Zeroizing;

use super::{
    Limits, MAX_GOSSIP_BYTES, NetworkError, Reach, Role, Topic,
    admission::Admission,
    frames::{ControlFrames, LONGEST},
    limit::{Limiter, muxer::Limited},
    names::Named,
    probe::Probe,
    transfer::message::Messages,
};

/// Connections that are being set up, in either direction: a flood of half-open ones stops here.
const MAX_PENDING: u32 = 128;
/// Connections with one peer: both may call at once, a restarted peer comes back before its old connection is known to be
/// dead, one that passed through a relay lives on beside the direct one for a while, and reachability is tested by calls.
const MAX_PER_PEER: u32 = 8;
/// How long a connection may take to be set up, handshake and all: whoever says nothing is gone after that.
const SETTING_UP: Duration = Duration::from_secs(10);
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

/// Homes that a relay passes calls on to: half of its connections, so that those who reserved cannot keep out the others.
const MAX_RESERVATIONS: usize = 1000;
/// Reservations of one home: a second one after a restart that the relay has not noticed.
const MAX_RESERVATIONS_PER_PEER: usize = 4;
/// How long a reservation holds; the home renews it in time.
const RESERVATION: Duration = Duration::from_secs(3600);
/// Circuits that a relay carries: a home has a few, and most become direct connections within seconds.
const MAX_CIRCUITS: usize = 256;
/// Circuits that one home opens.
const MAX_CIRCUITS_PER_PEER: usize = 8;
/// How long a circuit may last: pairs that no hole can be punched between stay together for hours.
const CIRCUIT: Duration = Duration::from_secs(2 * 3600);
/// Bytes of a circuit: hours of gossip, and four contributions of the largest size on their stem.
const MAX_CIRCUIT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a circuit through a relay that carries bodies: some sixty of the largest.
const MAX_BLOB_CIRCUIT_BYTES: u64 = 1024 * 1024 * 1024;
/// Providers that a member of the community may be found with.
const MAX_PROVIDERS: usize = 20;
/// How long somebody who can be found through a relay is remembered; they say it again in time.
pub(super) const PROVIDER_LIFE: Duration = Duration::from_secs(1800);
/// How often they say it again.
const PROVIDER_REPEAT: Duration = Duration::from_secs(600);

/// The subscriptions that are taken from peers: those to our topics.
type Subscriptions = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;
/// Gossip with that filter.
pub(super) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, Subscriptions>;

/// What gossipsub's own score makes of one bad message. The square of their number counts, times the weight of the topic: the
/// ninth within the hour ends all gossip with a peer, and our own [scores](super::score) end the connection at the eighth. A
/// weight of -100, as large networks have it, would do so at the fourth, before the application has seen enough to judge.
const INVALID_WEIGHT: f64 = -20.0;
/// The weight of each of the topics.
const TOPIC_WEIGHT: f64 = 0.25;
/// Peers of one address that nobody holds against them: homes behind a shared address.
const SHARED_ADDRESS: f64 = 16.0;
/// What each of our own scores' points is worth here: a peer that is about to be disconnected gets no gossip any more.
const OWN_SCORE_WEIGHT: f64 = 5.0;

/// All of it.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    admission: Admission,
    limits: connection_limits::Behaviour,
    memory: memory_limits::Behaviour,
    pub(super) banned: block_list::Behaviour<block_list::BlockedPeers>,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) routing: kad::Behaviour<kad::store::MemoryStore>,
    pub(super) autonat_client: Toggle<Probe>,
    pub(super) autonat_server: Toggle<autonat::v2::server::Behaviour>,
    pub(super) relay_client: relay::client::Behaviour,
    pub(super) relay_server: Toggle<relay::Behaviour>,
    pub(super) dcutr: dcutr::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) upnp: Toggle<upnp::tokio::Behaviour>,
    pub(super) gossip: Gossip,
    pub(super) control: request_response::Behaviour<ControlFrames>,
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
    pub(super) fn version(&self, minor: u8) -> String {
        format!("{}/{VERSION}.{minor}", self.prefix)
    }

    /// Reads what a node says it speaks: major and minor version, if it is of this community.
    pub(super) fn parse_version(&self, text: &str) -> Option<(u8, u8)> {
        let version = text.strip_prefix(self.prefix.as_str())?.strip_prefix('/')?;
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        Some((major.parse().ok()?, minor.parse().ok()?))
    }

    fn protocol(&self, name: &str, version: u8) -> StreamProtocol {
        let text = format!("{}/{name}/{version}", self.prefix);
        StreamProtocol::try_from_owned(text).expect("a protocol's name begins with a slash")
    }

    pub(super) fn routing(&self) -> StreamProtocol {
        self.protocol("routing", 1)
    }

    /// Under which members who can be called through relays are found.
    pub(super) fn members(&self) -> kad::RecordKey {
        kad::RecordKey::new(&format!("{}/members/1", self.prefix))
    }

    pub(super) fn topic(&self, topic: Topic) -> gossipsub::IdentTopic {
        gossipsub::IdentTopic::new(format!("{}/{}/1", self.prefix, topic.name()))
    }
}

/// Makes the swarm of a node. It does not listen yet.
pub(super) fn swarm(
    seed: &[u8; 32],
    community: &CommunityId,
    (role, reach): (Role, &Reach),
    bounds: (u8, Limits),
    limiter: &Arc<Limiter>,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let keys = identity::Keypair::ed25519_from_bytes(Zeroizing::new(*seed).as_mut_slice())
        .expect("32 bytes are an Ed25519 seed");
    let names = Names::of(community);
    let local = keys.public().to_peer_id();
    let mdns = reach.mdns.then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), local)).transpose();
    let mdns = mdns.map_err(|error| NetworkError::Transport(error.into()))?;
    let transport = transport(&keys, limiter)?;
    let swarm = SwarmBuilder::with_existing_identity(keys)
        .with_tokio()
        .with_other_transport(|_| transport)
        .expect("the transport is made already")
        // What goes through a relay goes over a connection with it, which is under the limits.
        .with_relay_client(noise::Config::new, muxer)
        .map_err(|error| NetworkError::Transport(error.into()))?
        .with_behaviour(|keys, relay| behaviour(keys, &names, (role, reach), relay, mdns, limiter, bounds))
        .expect("making the behaviour does not fail")
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                // A stream's name goes with the first bytes on it: half the packets of a short exchange.
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
        })
        .with_connection_timeout(SETTING_UP)
        .build();
    Ok(swarm)
}

/// How streams share a connection over TCP.
fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config
}

/// TCP and QUIC to machines by number or name, every stream of either under the limits.
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
    Ok(Named::new(tcp.or_transport(quic).map(limited).boxed()).boxed())
}

fn behaviour(
    keys: &identity::Keypair,
    names: &Names,
    (role, reach): (Role, &Reach),
    relay_client: relay::client::Behaviour,
    mdns: Option<mdns::tokio::Behaviour>,
    limiter: &Arc<Limiter>,
    (minor, bounds): (u8, Limits),
) -> Behaviour {
    let local = keys.public().to_peer_id();
    let public = role.is_public();
    let agent = concat!("chorus/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new(names.version(minor), keys.public())
        .with_agent_version(agent)
        .with_push_listen_addr_updates(true);
    let memory = match bounds.memory {
        Some(bytes) => memory_limits::Behaviour::with_max_bytes(bytes),
        None => memory_limits::Behaviour::with_max_percentage(MAX_MEMORY),
    };
    Behaviour {
        admission: Admission::new(bounds.per_address, bounds.pending_per_address),
        limits: connection_limits::Behaviour::new(connection_limits(bounds.connections)),
        memory,
        banned: block_list::Behaviour::default(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new()),
        routing: routing(names.routing(), local),
        autonat_client: (!public).then(Probe::default).into(),
        autonat_server: public.then(autonat::v2::server::Behaviour::default).into(),
        relay_client,
        relay_server: public.then(|| relay::Behaviour::new(local, relay_limits(reach))).into(),
        dcutr: dcutr::Behaviour::new(local),
        mdns: mdns.into(),
        upnp: (reach.upnp && !public).then(upnp::tokio::Behaviour::default).into(),
        gossip: gossip(names, bounds.mesh),
        control: requests(
            ControlFrames::new(bounds.frame_bytes),
            names.protocol("control", 1),
            LONGEST,
            MAX_CONTROL_STREAMS,
        ),
        blobs: requests(
            Messages { limiter: Arc::clone(limiter) },
            names.protocol("blob", 2),
            BLOB_TIMEOUT,
            MAX_BLOB_STREAMS,
        ),
    }
}

fn connection_limits(most: u32) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_pending_outgoing(Some(MAX_PENDING))
        .with_max_established_per_peer(Some(MAX_PER_PEER))
        .with_max_established(Some(most))
}

/// What a relay carries. How often one peer, and one address, may ask is bounded by libp2p's usual rates.
fn relay_limits(reach: &Reach) -> relay::Config {
    relay::Config {
        max_reservations: MAX_RESERVATIONS,
        max_reservations_per_peer: MAX_RESERVATIONS_PER_PEER,
        reservation_duration: RESERVATION,
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_PER_PEER,
        max_circuit_duration: CIRCUIT,
        max_circuit_bytes: if reach.blobs_through_relays { MAX_BLOB_CIRCUIT_BYTES } else { MAX_CIRCUIT_BYTES },
        ..relay::Config::default()
    }
}

/// Finds peers of peers. All that is stored in it for others is who can be found through a relay, and nothing depends on
/// it.
fn routing(protocol: StreamProtocol, local: libp2p::PeerId) -> kad::Behaviour<kad::store::MemoryStore> {
    let mut config = kad::Config::new(protocol);
    config.set_record_filtering(kad::StoreInserts::FilterBoth);
    config.set_periodic_bootstrap_interval(Some(ROUTING_REFRESH));
    config.set_provider_record_ttl(Some(PROVIDER_LIFE));
    config.set_provider_publication_interval(Some(PROVIDER_REPEAT));
    let store = kad::store::MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_providers_per_key: MAX_PROVIDERS,
        max_provided_keys: 1,
    };
    let store = kad::store::MemoryStore::with_config(local, store);
    let mut routing = kad::Behaviour::with_config(local, store, config);
    // Said outright, and changed by what is known of this node's reachability: left to itself it waits for a proof that
    // others can reach this node, which never comes on a LAN.
    routing.set_mode(Some(kad::Mode::Client));
    routing
}

fn gossip(names: &Names, mesh: u8) -> Gossip {
    // Fewer than three would fall apart, and more than sixteen cost what nobody gains from.
    let mesh = usize::from(mesh.clamp(3, 16));
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(format!("{}/gossip", names.prefix))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_hash(message.topic.as_str(), &message.data).to_vec().into())
        .max_transmit_size(MAX_GOSSIP_BYTES + super::GOSSIP_FRAME_BYTES)
        .mesh_n(mesh)
        .mesh_n_low((2 * mesh).div_ceil(3))
        .mesh_n_high(2 * mesh)
        .mesh_outbound_min((mesh / 2 - 1).clamp(1, 2))
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
    let topics = Topic::ALL.iter().map(|topic| (names.topic(*topic).hash(), topic_scores()));
    let scores = PeerScoreParams {
        topics: topics.collect(),
        app_specific_weight: OWN_SCORE_WEIGHT,
        ip_colocation_factor_weight: -0.5,
        ip_colocation_factor_threshold: SHARED_ADDRESS,
        ip_colocation_factor_whitelist: [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into(),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(600)),
        // A slow peer gets less; it is not to blame.
        slow_peer_weight: 0.0,
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -200.0,
        graylist_threshold: -400.0,
        ..PeerScoreThresholds::default()
    };
    gossip.with_peer_score(scores, thresholds).expect("constant parameters");
    for topic in Topic::ALL {
        gossip.subscribe(&names.topic(topic)).expect("our own topics pass our own filter");
    }
    gossip
}

/// How gossipsub scores peers in a topic. Nothing is expected of anybody (P3, P3b): our topics are quiet, and peers with nothing
/// to say would all be in deficit.
fn topic_scores() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: TOPIC_WEIGHT,
        time_in_mesh_weight: 1.0 / 300.0,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 50.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: INVALID_WEIGHT,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(3600)),
        ..TopicScoreParams::default()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_for_this_community_only() {
        let names = Names::of(&CommunityId::from([1; 32]));
        let other = Names::of(&CommunityId::from([2; 32]));

        assert_eq!(names.parse_version(&names.version(7)), Some((VERSION, 7)));
        assert_eq!(names.parse_version(&format!("{}/1", names.prefix)), Some((1, 0)));
        assert_eq!(names.parse_version(&format!("{}/2.3", names.prefix)), Some((2, 3)));
        assert_eq!(names.parse_version(&other.version(1)), None);
        for text in ["", "/chorus", "/ipfs/0.1.0"] {
            assert_eq!(names.parse_version(text), None);
            assert_eq!(names.parse_version(&format!("{}/{text}", names.prefix)), None);
        }
    }

    #[test]
    fn gossip_and_its_scores_have_valid_parameters() {
        topic_scores().validate().expect("valid");
        for mesh in [0, 3, 6, 8, u8::MAX] {
            let _ = gossip(&Names::of(&CommunityId::from([1; 32])), mesh);
        }
    }
}
