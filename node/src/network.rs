//! The network: encrypted connections, gossip, direct messages and blobs. libp2p begins and ends here.
//!
//! One task owns the swarm. [`Network::spawn`] returns a [`NetworkHandle`] to ask it for things and a channel of
//! [`NetworkEvent`]s. Nobody outside sees a peer id: a node is a [`NodeId`], an address is text (a multiaddress such as
//! `/ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3…`).
//!
//! * **Transport**: TCP with Noise and Yamux, or QUIC; both authenticate the [`NodeId`].
//! * **Community**: its id is part of every protocol name and topic. A node of another community can connect, is told
//!   apart when it says which protocols it speaks, and is disconnected; nothing of it reaches the application.
//! * **Gossip** ([`publish`](NetworkHandle::publish)): gossipsub with *anonymous* messages, for signed ones would tell which
//!   address a ballot came from. A message is named by its content's hash, and passed on only after the application
//!   [reported](NetworkHandle::report) it to be good.
//! * **Direct messages** ([`send`](NetworkHandle::send), [`request`](NetworkHandle::request)): up to
//!   [`MAX_MESSAGE_BYTES`]; those sent to one peer arrive in order.
//! * **Blobs** ([`fetch_blob`](NetworkHandle::fetch_blob)): in pieces from several nodes, each checked against the blob's
//!   hash before anybody sees it, and passed on at once.
//! * **Caps** ([`Caps`]): what goes over the wire is counted, and held back if wanted; blobs wait for everything else.
//! * **Scores**: a peer that is caught sending bad messages several times is shut out for a minute, and for half a day if it
//!   goes on.
//! * **Versions**: a node tells the version it speaks when it is met. Another major one is refused.
//!
//! Everything that a peer can make grow is bounded; what does not fit is refused to the peer, who may try again.

use std::{collections::BTreeSet, fmt, io, sync::Arc, time::SystemTime};

use chorus_protocol::{
    id::{BlobId, CommunityId},
    limits,
};
use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::store::blobs::{BlobError, BlobStore, Found, PIECE_BYTES, Pieces};

mod admission;
mod behaviour;
mod book;
mod direct;
mod events;
mod frames;
mod limit;
mod memory;
mod names;
mod node_id;
mod outbox;
mod paths;
mod probe;
mod reach;
mod repeats;
mod role;
mod score;
mod task;
#[cfg(test)]
mod tests;
mod transfer;
mod wire;

pub use limit::{Caps, Traffic};
pub use memory::{KnownPeer, PeerFile, PeerMemory};
pub use names::check_address;
pub use node_id::NodeId;
pub use role::{Reach, Role};
pub use score::Offence;

/// Bytes of one direct message: the masked vector of the largest adapter, with its body and boxes.
pub const MAX_MESSAGE_BYTES: usize = 12 * 1024 * 1024;
const _: () = assert!(
    32 * limits::MAX_MASKED + limits::MAX_BODY_BYTES + limits::MAX_OPERATORS * limits::MAX_BOX_BYTES
        < MAX_MESSAGE_BYTES
);

/// Bytes of one gossip message: the largest log entry (72 KiB) in its envelope. Larger bodies are blobs.
pub const MAX_GOSSIP_BYTES: usize = 128 * 1024 - GOSSIP_FRAME_BYTES;
/// What gossipsub puts around a message: its topic and a few lengths.
const GOSSIP_FRAME_BYTES: usize = 256;

/// Commands that wait for the network, and events that wait for the application beyond those the network holds.
const CHANNEL: usize = 64;

/// What gossip is about. Every node subscribes to all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Topic {
    /// Decided batches of the log and the course of rounds.
    Control,
    /// Entries that ask to be put on the log: registrations, statements, attestations.
    Entries,
    /// Contributions.
    Contributions,
    /// Who has which blob.
    Blobs,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Control, Self::Entries, Self::Contributions, Self::Blobs];

    const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Entries => "entries",
            Self::Contributions => "contributions",
            Self::Blobs => "blobs",
        }
    }
}

/// Which gossip message, and who passed it on: what [`NetworkHandle::report`] needs to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct MessageId {
    hash: [u8; 20],
    from: NodeId,
}

/// What to do with a gossip message. It is kept for some twelve seconds; after that, a verdict does nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is good: pass it on.
    Accept,
    /// It is of no use here or now, and nobody's fault: do not pass it on.
    Ignore,
    /// It is bad whoever looks at it and whenever: do not pass it on, and count it against the peer.
    Reject,
}

/// Which request of a peer: what [`NetworkHandle::respond`] needs to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct RequestId(u64);

/// What the network has to say. A peer's other events are between its `Connected` and its `Disconnected`.
#[derive(Clone, Debug)]
pub enum NetworkEvent {
    /// This node can be reached at an address.
    Listening(String),
    /// A node of the community is connected.
    Connected(NodeId),
    /// A connected node told which minor version of the protocol it speaks. Follows its `Connected`, mostly at once.
    Speaks {
        /// Which node.
        node: NodeId,
        /// The version.
        minor: u8,
    },
    /// The last connection with a node is gone.
    Disconnected(NodeId),
    /// A gossip message that waits for its verdict.
    Gossip {
        /// What it is about.
        topic: Topic,
        /// Who passed it on: rarely who wrote it.
        from: NodeId,
        /// Its name, for the verdict.
        message_id: MessageId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A direct message that wants no answer.
    Message {
        /// Who sent it.
        from: NodeId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A direct message that wants an answer within [`REQUEST_TIMEOUT`], and is refused after that.
    Request {
        /// Who asks.
        from: NodeId,
        /// Its name, for the answer.
        request_id: RequestId,
        /// The question.
        bytes: Vec<u8>,
    },
    /// Messages that could not be sent, in order: the peer went, refused them for long, or too many were waiting. The
    /// last acknowledgement may have been lost, so some of them may have arrived.
    SendFailed {
        /// To whom.
        to: NodeId,
        /// The messages.
        messages: Vec<Vec<u8>>,
    },
}

/// How long an answer may take to begin, besides the time that the question is under way. How long question and answer take to
/// pass depends on their size: what makes progress lives.
pub const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// Where blobs come from that other nodes ask for, and where those go that are fetched. Every call may block.
pub trait BlobSource: Send + Sync + 'static {
    /// Returns the blob, if this node has all of it.
    fn blob(&self, id: BlobId) -> Option<Vec<u8>>;

    /// Returns what this node has of a blob and gives away.
    fn find(&self, id: BlobId) -> Option<Found>;

    /// Returns the slice of a piece, if this node has it and gives it away.
    fn slice(&self, id: BlobId, piece: u32) -> Option<Vec<u8>>;

    /// Keeps a blob whose bytes are checked.
    ///
    /// # Errors
    ///
    /// Returns why it cannot be kept.
    fn put(&self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError>;

    /// Makes ready for the pieces of a blob, and returns those that are here.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Wrong`] if its length is not proved, else why it cannot be kept.
    fn begin(&self, id: BlobId, size: u64, proof: &[u8]) -> Result<Pieces, BlobError>;

    /// Checks a piece and adds it, and returns those that are here now.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Wrong`] if it is not the piece, else why it cannot be kept.
    fn add(&self, id: BlobId, piece: u32, slice: &[u8]) -> Result<Pieces, BlobError>;
}

/// Returns what is there; what cannot be read is not there, and logged.
fn readable<T>(id: BlobId, read: Result<Option<T>, BlobError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%id, %error, "a blob that was asked for cannot be read");
        None
    })
}

impl BlobSource for BlobStore {
    fn blob(&self, id: BlobId) -> Option<Vec<u8>> {
        readable(id, self.get(id))
    }

    fn find(&self, id: BlobId) -> Option<Found> {
        readable(id, self.find(id))
    }

    fn slice(&self, id: BlobId, piece: u32) -> Option<Vec<u8>> {
        readable(id, self.slice(id, piece))
    }

    fn put(&self, _: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.put(bytes).map(|_| ())
    }

    fn begin(&self, id: BlobId, size: u64, proof: &[u8]) -> Result<Pieces, BlobError> {
        self.begin(id, size, proof)
    }

    fn add(&self, id: BlobId, piece: u32, slice: &[u8]) -> Result<Pieces, BlobError> {
        self.add(id, piece, slice)
    }
}

/// A blob that is being fetched in pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// Which.
    pub id: BlobId,
    /// Its bytes that are here.
    pub done: u64,
    /// All its bytes.
    pub total: u64,
}

impl Transfer {
    fn new(id: BlobId, total: u64, here: &Pieces) -> Self {
        // The last piece is shorter; as long as it is not the only one that is missing, nobody will notice.
        Self { id, done: (u64::from(here.len()) * PIECE_BYTES as u64).min(total), total }
    }
}

/// What a network needs to know.
pub struct NetworkConfig {
    /// The seed of the transport key. It must be no key that signs.
    pub identity: Zeroizing<[u8; 32]>,
    /// The multiaddresses to listen at; port 0 lets the system choose.
    pub listen: Vec<String>,
    /// What the node is to others.
    pub role: Role,
    /// By which ways it may be reached.
    pub reach: Reach,
    /// The community.
    pub community: CommunityId,
    /// The blobs to give away, and where fetched ones go.
    pub blobs: Arc<dyn BlobSource>,
    /// What the connection may be used for.
    pub caps: Caps,
    /// Where the peers are kept that it meets, if anywhere.
    pub memory: Option<Arc<dyn PeerMemory>>,
    /// The minor version of the protocol that this node speaks.
    pub minor: u8,
    /// How much peers may ask of this node.
    pub limits: Limits,
}

/// How much peers may ask of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of memory that the process may use before new connections are refused; a share of the machine's if not given.
    pub memory: Option<usize>,
    /// Connections in all.
    pub connections: u32,
    /// Connections of one internet address (an IPv6 /64 is one): homes may share theirs.
    pub per_address: u32,
    /// Connections of one address that are being set up.
    pub pending_per_address: u32,
    /// Bytes of direct messages that have arrived in part, of all connections together.
    pub frame_bytes: usize,
    /// Peers that gossip is passed on to.
    pub mesh: u8,
}

impl Limits {
    /// What a node bears: an operator or a relay more connections, everybody's who reserved and circuits between them.
    pub fn of(role: Role) -> Self {
        Self { connections: if role.is_public() { 2000 } else { 300 }, ..Self::default() }
    }
}

impl Default for Limits {
    /// What a home router and a small machine carry.
    fn default() -> Self {
        Self {
            memory: None,
            connections: 300,
            per_address: 64,
            pending_per_address: 32,
            frame_bytes: 64 * 1024 * 1024,
            mesh: 6,
        }
    }
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("listen", &self.listen)
            .field("role", &self.role)
            .field("reach", &self.reach)
            .field("community", &self.community)
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

/// Why the network did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The network was shut down.
    #[error("the network was shut down")]
    Stopped,
    /// A text is no multiaddress.
    #[error("{0:?} is no multiaddress: those look like /ip4/192.0.2.1/tcp/4001")]
    Address(String),
    /// An address that no call can go to.
    #[error(
        "{0:?} leads nowhere: an address is a machine (/ip4, /ip6, /dns, /dns4 or /dns6), then /tcp/PORT or \
         /udp/PORT/quic-v1, then perhaps a node's name (/p2p/…)"
    )]
    NoWay(String),
    /// The node cannot listen at an address.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The transport could not be set up.
    #[error("the transport could not be set up")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no connection with the node.
    #[error("not connected with {0}")]
    NotConnected(NodeId),
    /// A message is over its bound.
    #[error("message of {found} bytes over the bound {bound}")]
    TooLong {
        /// The bound.
        bound: usize,
        /// The message's length.
        found: usize,
    },
    /// Nobody is there to publish to. Try again after the next `Connected`.
    #[error("no peer takes part in the topic")]
    NoPeers,
    /// All peers are too slow for what is being published. Publish less.
    #[error("all peers are busy")]
    Congested,
    /// The request failed; whether it arrived is unknown.
    #[error("request to {peer} failed: {failure}")]
    Failed {
        /// Who was asked.
        peer: NodeId,
        /// What happened.
        failure: Failure,
    },
    /// The node has sixteen questions of ours to answer. Ask another, or later.
    #[error("{0} is busy")]
    Busy(NodeId),
    /// The blob cannot be kept: there is no room for it, or the disk fails.
    #[error("blob {0} cannot be kept")]
    BlobUnkept(BlobId),
}

/// How a request failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No answer came in time.
    #[error("timed out")]
    TimedOut,
    /// The connection was closed.
    #[error("connection closed")]
    Closed,
    /// The node does not speak the protocol.
    #[error("protocol not spoken")]
    NotSpoken,
    /// The node ended the request without an answer, or the connection failed.
    #[error("refused")]
    Refused,
}

/// The network of a node.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Starts the network, and returns a handle, the events, and the addresses it listens at, each ending in the node's
    /// own name so that whoever calls it knows whom it must find.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Address`] or [`NetworkError::Listen`] if it cannot listen as it should.
    pub async fn spawn(
        config: NetworkConfig,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>, Vec<String>), NetworkError> {
        let listen: Vec<_> = config.listen.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let local = NodeId::of_seed(&config.identity);
        let external: Vec<_> =
            config.reach.external.iter().map(|text| check_address(text)).collect::<Result<_, _>>()?;
        let path = config.caps.ledger.clone();
        let opening = tokio::task::spawn_blocking(move || limit::Ledger::open(path, SystemTime::now())).await;
        let (ledger, used) = opening.map_err(|_| NetworkError::Stopped)?;
        let limiter = Arc::new(limit::Limiter::new(&config.caps, used));
        let swarm = behaviour::swarm(
            &config.identity,
            &config.community,
            (config.role, &config.reach),
            (config.minor, config.limits),
            &limiter,
        )?;
        let (commands, command_queue) = mpsc::channel(CHANNEL);
        let (event_sender, events) = mpsc::channel(CHANNEL);
        let (peer_sender, peers) = watch::channel(Vec::new());
        let (progress_sender, progress) = watch::channel(Vec::new());
        let (traffic_sender, traffic) = watch::channel(limiter.traffic());
        let (standing_sender, standing) = watch::channel(Standing::default());
        let watched = transfer::Watched { progress: progress_sender, traffic: traffic_sender };
        let relayed = config.reach.blobs_through_relays;
        let transfers = transfer::Transfers::new(config.blobs, limiter, ledger, relayed, watched);
        let known = recall(config.memory.clone()).await;
        let paths = paths::Paths::new(config.role, config.reach, config.memory, known, standing_sender);
        let mut task =
            task::Task::new(swarm, config.community, transfers, paths, command_queue, event_sender, peer_sender);
        task.announce(external, &listen);
        let addresses = task.listen(listen).await?;
        tokio::spawn(task.run());
        Ok((NetworkHandle { local, commands, peers, progress, traffic, standing }, events, addresses))
    }
}

/// Returns the peers that were kept, if any were.
async fn recall(memory: Option<Arc<dyn PeerMemory>>) -> memory::Acquaintances {
    let Some(memory) = memory else { return memory::Acquaintances::default() };
    let recalled = tokio::task::spawn_blocking(move || memory.recall()).await;
    memory::Acquaintances::recall(recalled.unwrap_or_default(), tokio::time::Instant::now())
}

/// How a node stands: whether others can call it, and through whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Whether others can call it without help, as far as is known.
    pub reachable: bool,
    /// Whether that is known because whoever started it says so.
    pub vouched: bool,
    /// The relays that pass calls on to it.
    pub relays: Vec<NodeId>,
    /// The peers with which only relays connect it.
    pub relayed: BTreeSet<NodeId>,
}

fn parse(address: &str) -> Result<Multiaddr, NetworkError> {
    address.parse().map_err(|_| NetworkError::Address(address.to_owned()))
}

/// What a handle asks of the task.
#[derive(Debug)]
enum Command {
    Dial(Multiaddr),
    Publish { topic: Topic, bytes: Vec<u8>, done: oneshot::Sender<Result<(), NetworkError>> },
    Addresses(oneshot::Sender<Vec<String>>),
    Mesh { topic: Topic, done: oneshot::Sender<Vec<NodeId>> },
    Report { id: MessageId, verdict: Verdict },
    Send { to: NodeId, bytes: Vec<u8> },
    Request { to: NodeId, bytes: Vec<u8>, done: Answer },
    Respond { id: RequestId, bytes: Vec<u8> },
    Fetch { id: BlobId, done: Answer },
    Probe,
    Blame(NodeId, Offence),
    Disconnect(NodeId),
    Ban(NodeId),
    Shutdown(oneshot::Sender<()>),
}

/// Where the answer to a request goes.
type Answer = oneshot::Sender<Result<Vec<u8>, NetworkError>>;

/// Asks the network for things. Clones ask the same network; when the last one is dropped, it shuts down.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    local: NodeId,
    commands: mpsc::Sender<Command>,
    peers: watch::Receiver<Vec<NodeId>>,
    progress: watch::Receiver<Vec<Transfer>>,
    traffic: watch::Receiver<Traffic>,
    standing: watch::Receiver<Standing>,
}

impl NetworkHandle {
    /// Returns this node's name.
    pub const fn local(&self) -> NodeId {
        self.local
    }

    /// Stays connected with the node at an address: calls now, and again, with growing pauses, whenever there is no
    /// connection.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Address`] if the text is no multiaddress, [`NetworkError::NoWay`] if no call can go there.
    pub async fn dial(&self, address: &str) -> Result<(), NetworkError> {
        self.command(Command::Dial(check_address(address)?)).await
    }

    /// Publishes a message to everybody. One that was published in the last minutes is not published again.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::NoPeers`] if nobody is there yet, [`NetworkError::Congested`] if all are too slow, and
    /// [`NetworkError::TooLong`] if the message is over [`MAX_GOSSIP_BYTES`].
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), NetworkError> {
        check_length(&bytes, MAX_GOSSIP_BYTES)?;
        self.ask(|done| Command::Publish { topic, bytes, done }).await?
    }

    /// Returns the peers that this node passes gossip about a topic on to, in order: some of those that are connected.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn mesh(&self, topic: Topic) -> Result<Vec<NodeId>, NetworkError> {
        self.ask(|done| Command::Mesh { topic, done }).await
    }

    /// Says what to do with a gossip message.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn report(&self, message_id: MessageId, verdict: Verdict) -> Result<(), NetworkError> {
        self.command(Command::Report { id: message_id, verdict }).await
    }

    /// Sends a message that wants no answer. What is sent to one peer arrives in order and once, as long as the
    /// connection holds; what does not arrive comes back as [`NetworkEvent::SendFailed`].
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::TooLong`] if the message is over [`MAX_MESSAGE_BYTES`].
    pub async fn send(&self, to: NodeId, bytes: Vec<u8>) -> Result<(), NetworkError> {
        check_length(&bytes, MAX_MESSAGE_BYTES)?;
        self.command(Command::Send { to, bytes }).await
    }

    /// Asks a peer, and returns its answer.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::NotConnected`], [`NetworkError::Busy`] or [`NetworkError::Failed`] if there is none.
    pub async fn request(&self, to: NodeId, bytes: Vec<u8>) -> Result<Vec<u8>, NetworkError> {
        check_length(&bytes, MAX_MESSAGE_BYTES)?;
        self.ask(|done| Command::Request { to, bytes, done }).await?
    }

    /// Answers a peer's request. A second answer, or a late one, is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::TooLong`] if the answer is over [`MAX_MESSAGE_BYTES`].
    pub async fn respond(&self, request_id: RequestId, bytes: Vec<u8>) -> Result<(), NetworkError> {
        check_length(&bytes, MAX_MESSAGE_BYTES)?;
        self.command(Command::Respond { id: request_id, bytes }).await
    }

    /// Fetches a blob from whoever has it, however long that takes, and keeps it where blobs are kept. Several calls for
    /// one blob fetch it once; when the last of them is dropped, it is no longer asked for, and what has come of it stays.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::BlobUnkept`] if there is no room for it.
    pub async fn fetch_blob(&self, id: BlobId) -> Result<Vec<u8>, NetworkError> {
        self.ask(|done| Command::Fetch { id, done }).await?
    }

    /// Returns the blobs that are being fetched in pieces, and how far they are.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.progress.borrow().clone()
    }

    /// Returns how much went over the wire, a tenth of a second ago.
    pub fn traffic(&self) -> Traffic {
        *self.traffic.borrow()
    }

    /// Counts an offence of a peer that the application found. A peer that offends too often is disconnected, and banned for half
    /// a day if it goes on.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn blame(&self, peer: NodeId, offence: Offence) -> Result<(), NetworkError> {
        self.command(Command::Blame(peer, offence)).await
    }

    /// Returns the nodes of the community that are connected, in order.
    pub fn peers(&self) -> Vec<NodeId> {
        self.peers.borrow().clone()
    }

    /// Returns how this node stands, now and whenever it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Whether only a relay connects this node with a peer: small messages pass, bodies do not.
    pub fn is_relayed(&self, peer: NodeId) -> bool {
        self.standing.borrow().relayed.contains(&peer)
    }

    /// Returns the addresses at which the community may be found, each ending in a node's name: this node's, if others can
    /// call it, and those of the operators and relays that it has met.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn known_addresses(&self) -> Result<Vec<String>, NetworkError> {
        self.ask(Command::Addresses).await
    }

    /// Asks a peer once more to call this node, as happens by itself every quarter of an hour and after the node has moved.
    /// What comes of it changes the [standing](Self::standing).
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn probe(&self) -> Result<(), NetworkError> {
        self.command(Command::Probe).await
    }

    /// Ends the connections with a peer and forgets its addresses. It may come back, or be found again by other ways.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn disconnect(&self, peer: NodeId) -> Result<(), NetworkError> {
        self.command(Command::Disconnect(peer)).await
    }

    /// Disconnects a peer and keeps it out until this node restarts.
    ///
    /// # Errors
    ///
    /// Returns [`NetworkError::Stopped`] only.
    pub async fn ban(&self, peer: NodeId) -> Result<(), NetworkError> {
        self.command(Command::Ban(peer)).await
    }

    /// Closes all connections and returns when that is done. What was not yet sent is lost.
    pub async fn shutdown(&self) {
        // An error says that it is shut down already.
        let _ = self.ask(Command::Shutdown).await;
    }

    async fn command(&self, command: Command) -> Result<(), NetworkError> {
        self.commands.send(command).await.map_err(|_| NetworkError::Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, NetworkError> {
        let (done, answer) = oneshot::channel();
        self.command(command(done)).await?;
        answer.await.map_err(|_| NetworkError::Stopped)
    }
}

const fn check_length(bytes: &[u8], bound: usize) -> Result<(), NetworkError> {
    if bytes.len() > bound { Err(NetworkError::TooLong { bound, found: bytes.len() }) } else { Ok(()) }
}
