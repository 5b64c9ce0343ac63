//! The driver: the protocol's state machine, run with a clock, a disk, a network and real randomness.
//!
//! ```text
//!  network ──▶ inbox ──▶ protocol's thread ──▶ effects, in order ──▶ disk's thread ──▶ network, notices
//!  commands ──┘    ▲      (owns the Peer)                            (owns the disk)        │
//!                  └───────────────── bodies that were wanted ◀────────────────────────────┘
//! ```
//!
//! [`Node::start`] opens the data folder, takes up what was saved, connects, and returns a [`NodeHandle`]: to look at the
//! state, to command, to wait. A node that is told to [shut down](NodeHandle::shutdown), or whose last handle is dropped,
//! makes durable what it has said and closes everything; so does one whose disk fails.
//!
//! Nothing that a peer sends can make the node hold more than a bound: messages wait at the network and in the inbox,
//! effects between the two threads, and each bound makes whoever is before it wait.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    config::Genesis,
    fault::Fault,
    id::{BlobId, NodeId},
    log::consensus::Timeouts,
    message::{MINOR, Message},
    peer::{Command, Config, Event, Notice, Peer, StartError},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::{
    runtime,
    sync::{Mutex, broadcast, mpsc, watch},
    time::timeout,
};
use zeroize::Zeroizing;

use self::{disk::Disk, inbox::Inbox, outlet::Outlet, threads::Shared, wants::Wants};
use crate::{
    network::{self, BlobSource, Limits, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, Verdict},
    store::{
        StoreError,
        blobs::{BlobError, BlobStore},
        journal::JournalError,
    },
};

mod disk;
mod inbox;
mod log;
mod outlet;
mod private;
mod records;
#[cfg(test)]
mod tests;
mod threads;
mod wants;

/// Notices that a slow listener may be behind; older ones are lost to it.
const NOTICES: usize = 1024;

/// How long [`NodeHandle::fetch`] asks for a body before it gives up.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a start waits for a folder that was just closed in the same process.
const CLOSING: Duration = Duration::from_secs(3);

/// How a node is started.
pub struct NodeOptions {
    /// Where everything durable is.
    pub data_dir: PathBuf,
    /// The community.
    pub genesis: Genesis,
    /// The operator's key; none for a node that only follows.
    pub operator: Option<SecretKey>,
    /// The seed of the transport key. It must be no key that signs.
    pub transport_seed: [u8; 32],
    /// The multiaddresses to listen at; port 0 lets the system choose.
    pub listen: Vec<String>,
    /// The multiaddresses of nodes to stay connected with.
    pub dial: Vec<String>,
    /// Whether to look for nodes on the local network.
    pub mdns: bool,
    /// How long steps of the consensus may take.
    pub timeouts: Timeouts,
    /// How long other operators' shares are waited for, in milliseconds.
    pub pass_millis: u64,
    /// The seed of the node's randomness, for demonstrations only; none for randomness of the operating system.
    pub rng_seed: Option<u64>,
}

impl std::fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeOptions")
            .field("data_dir", &self.data_dir)
            .field("operator", &self.operator.as_ref().map(SecretKey::public))
            .field("listen", &self.listen)
            .field("dial", &self.dial)
            .finish_non_exhaustive()
    }
}

/// Why a node does not start, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// What was saved does not fit together, or the key is no operator's.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The journal cannot be used.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The journal is gone, but the log holds what this operator signed. Restore the journal, or start without the
    /// operator's key: signing without it may contradict what was signed before.
    #[error("the journal of this operator is missing, though its key has signed: it must not sign again")]
    JournalLost,
    /// The journal is an old copy or another one. Restore the newest, or start without the operator's key.
    #[error("the journal of this operator is older than its log: it must not sign again")]
    JournalOld,
    /// The journal holds what this version did not write.
    #[error("the journal holds records that this version cannot read")]
    JournalForeign,
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The store lacks rows or holds foreign ones. Set the folder `store` aside: the log is fetched again.
    #[error("the store is damaged: set the folder `store` aside, and the log is fetched again")]
    StoreDamaged,
    /// Bodies cannot be stored or read.
    #[error("blobs: {0}")]
    Blobs(#[from] BlobError),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(#[from] io::Error),
    /// The network failed.
    #[error("network: {0}")]
    Network(#[from] NetworkError),
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Randomness(String),
    /// Nobody who is connected has the body. Try again later.
    #[error("nobody who is connected has {0}")]
    NotFound(BlobId),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl NodeError {
    /// Whether a folder is in use: perhaps only a moment longer.
    const fn is_locked(&self) -> bool {
        matches!(
            self,
            Self::Journal(JournalError::Locked) | Self::Store(StoreError::Locked) | Self::Blobs(BlobError::Locked)
        )
    }
}

/// A node. It runs as long as there is a handle.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node: opens its folder, takes up what was saved, listens and dials.
    ///
    /// # Errors
    ///
    /// Returns a [`NodeError`] that says what to do if the folder, the key or an address cannot be used; nothing was
    /// signed then.
    pub async fn start(options: NodeOptions) -> Result<NodeHandle, NodeError> {
        Self::start_as(options, MINOR, Limits::default()).await
    }

    /// Starts a node that speaks a minor version of the protocol, which may be an older one, and holds its peers to other
    /// limits.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_as(options: NodeOptions, minor: u8, limits: Limits) -> Result<NodeHandle, NodeError> {
        let identity = Zeroizing::new(options.transport_seed);
        let local = network::NodeId::of_seed(&identity);
        let node = NodeId::from(*local.as_ref());
        let community = options.genesis.id();
        let config = Config {
            genesis: options.genesis,
            node,
            operator: options.operator,
            timeouts: options.timeouts,
            pass_millis: options.pass_millis,
            minor,
        };
        let mut rng = generator(options.rng_seed)?;
        let folder = options.data_dir;
        let opening = tokio::task::spawn_blocking(move || open(&folder, config, &mut rng).map(|it| (it, rng)));
        let ((disk, peer), rng) = opening.await.map_err(|_| NodeError::Stopped)??;

        let source = Served(Arc::downgrade(disk.blobs()));
        let network = NetworkConfig {
            identity,
            listen: options.listen,
            mdns: options.mdns,
            community,
            blobs: Arc::new(source),
            minor,
            limits,
        };
        let (network, happenings, addresses) = Network::spawn(network).await?;
        let (inbox, events) = inbox::inbox();
        let wants = Wants::new(network.clone(), disk.blobs());
        let (notices, _) = broadcast::channel(NOTICES);
        let span = tracing::info_span!("node", %node);
        let runtime = runtime::Handle::current();
        let outlet = Outlet::new(runtime.clone(), wants.clone(), inbox.clone(), notices.clone(), node);
        let peer = Arc::new(Mutex::new(peer));
        let (changed, changes) = watch::channel(0);
        let (finish, finished) = watch::channel(false);
        let shared = Shared { peer: Arc::clone(&peer), changed };
        let closing = network.clone();
        let stopped = move || {
            runtime.block_on(closing.shutdown());
            finish.send_replace(true);
        };
        span.in_scope(|| threads::start(shared, events, rng, disk, outlet, stopped))?;
        tokio::spawn(listen(community, network.clone(), happenings, inbox.clone()));
        for address in &options.dial {
            network.dial(address).await?;
        }
        let running = Running { inbox };
        Ok(NodeHandle { running: Arc::new(running), peer, changes, finished, notices, wants, addresses, node })
    }
}

/// Randomness from the operating system, or from a seed.
fn generator(seed: Option<u64>) -> Result<ChaCha20Rng, NodeError> {
    match seed {
        Some(seed) => Ok(ChaCha20Rng::seed_from_u64(seed)),
        None => {
            ChaCha20Rng::try_from_rng(&mut rand::rngs::SysRng).map_err(|error| NodeError::Randomness(error.to_string()))
        }
    }
}

fn open(folder: &std::path::Path, config: Config, rng: &mut ChaCha20Rng) -> Result<(Disk, Peer), NodeError> {
    let operator = config.operator.as_ref().map(SecretKey::public);
    let began = std::time::Instant::now();
    let (disk, saved) = loop {
        match Disk::open(folder, operator, rng) {
            Err(error) if error.is_locked() && began.elapsed() < CLOSING => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => break opened?,
        }
    };
    Ok((disk, Peer::new(config, threads::now(), saved)?))
}

/// Hands what the network says to the protocol, until it says no more.
async fn listen(
    community: chorus_protocol::id::CommunityId,
    network: NetworkHandle,
    mut happenings: mpsc::Receiver<NetworkEvent>,
    inbox: Inbox,
) {
    let mut tips = Tips::default();
    while let Some(happening) = happenings.recv().await {
        let event = match happening {
            NetworkEvent::Connected(peer) => Event::Connected(node_id(peer)),
            NetworkEvent::Speaks { node, minor } => Event::Speaks { node: node_id(node), minor },
            NetworkEvent::Disconnected(peer) => {
                tips.forget(&peer);
                Event::Disconnected(node_id(peer))
            }
            NetworkEvent::Message { from, bytes } => Event::Message { from: node_id(from), bytes },
            NetworkEvent::Gossip { from, message_id, bytes, .. } => {
                let verdict = tips.judge(community, from, &bytes);
                let _ = network.report(message_id, verdict).await;
                if verdict != Verdict::Accept {
                    continue;
                }
                Event::Message { from: node_id(from), bytes }
            }
            NetworkEvent::Request { request_id, .. } => {
                // The protocol asks nothing that wants an answer on the same stream.
                let _ = network.respond(request_id, Vec::new()).await;
                continue;
            }
            NetworkEvent::SendFailed { to, messages } => {
                tracing::debug!(%to, messages = messages.len(), "not delivered");
                continue;
            }
            NetworkEvent::Listening(address) => {
                tracing::debug!(address, "listening");
                continue;
            }
        };
        if inbox.put(event).await.is_err() {
            return;
        }
    }
    inbox.stop();
}

/// Heights that one node may pass on within a short time, and how many come back in a second: all operators announce each
/// batch.
const TIPS: f64 = 64.0;
const TIPS_A_SECOND: f64 = 16.0;

/// What each peer has passed on, less what is forgiven.
#[derive(Debug, Default)]
struct Tips {
    passed: BTreeMap<network::NodeId, (f64, Instant)>,
}

impl Tips {
    /// What is passed on to everybody: the height that a log has reached, and nothing else. Larger things go directly to those
    /// who need them, so that nobody can make all nodes carry them.
    ///
    /// *Accept*: a height, of a peer that has not passed on too many. Anybody can claim any height, so its number is all
    /// that bounds them. *Ignore*: what another version may say, or what is no gossip. *Reject*: bytes that are no message of
    /// this community whoever looks at them.
    fn judge(&mut self, community: chorus_protocol::id::CommunityId, from: network::NodeId, bytes: &[u8]) -> Verdict {
        match Message::open(community, bytes) {
            Ok(Message::Tip(_)) if self.is_within_bounds(from, Instant::now()) => Verdict::Accept,
            Ok(_) | Err(Fault::Unknown(_) | Fault::Version(_)) => Verdict::Ignore,
            Err(_) => Verdict::Reject,
        }
    }

    fn is_within_bounds(&mut self, from: network::NodeId, now: Instant) -> bool {
        let (passed, at) = self.passed.entry(from).or_insert((0.0, now));
        let forgiven = now.saturating_duration_since(*at).as_secs_f64() * TIPS_A_SECOND;
        (*passed, *at) = ((*passed - forgiven).max(0.0), now);
        let fits = *passed + 1.0 <= TIPS;
        if fits {
            *passed += 1.0;
        }
        fits
    }

    fn forget(&mut self, peer: &network::NodeId) {
        self.passed.remove(peer);
    }
}

fn node_id(id: network::NodeId) -> NodeId {
    NodeId::from(*id.as_ref())
}

fn network_id(id: NodeId) -> network::NodeId {
    network::NodeId::from(*id.as_ref())
}

/// The bodies that are given away, as long as the node runs.
struct Served(std::sync::Weak<BlobStore>);

impl BlobSource for Served {
    fn blob(&self, id: BlobId) -> Option<Vec<u8>> {
        self.0.upgrade()?.blob(id)
    }
}

/// What keeps a node running.
#[derive(Debug)]
struct Running {
    inbox: Inbox,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// A running node. Clones are the same node; when the last one is dropped, it stops.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    running: Arc<Running>,
    peer: Arc<Mutex<Peer>>,
    changes: watch::Receiver<u64>,
    finished: watch::Receiver<bool>,
    notices: broadcast::Sender<Notice>,
    wants: Wants,
    addresses: Vec<String>,
    node: NodeId,
}

impl NodeHandle {
    /// Looks at the protocol's state between two events. The node waits meanwhile: take out what is needed and compute
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Stopped`] only.
    pub async fn view<R: Send>(&self, look: impl FnOnce(&Peer) -> R + Send) -> Result<R, NodeError> {
        self.check_running()?;
        Ok(look(&*self.peer.lock().await))
    }

    /// Hands the node something that its people want.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Stopped`] only: what becomes of it, the log tells.
    pub async fn command(&self, command: Command) -> Result<(), NodeError> {
        self.check_running()?;
        self.running.inbox.put(Event::Command(command)).await
    }

    /// Returns what the node tells from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Reads a body that this node has.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Blobs`] if it is damaged or the disk fails.
    pub async fn blob(&self, id: BlobId) -> Result<Option<Arc<[u8]>>, NodeError> {
        self.check_running()?;
        self.wants.read(id).await
    }

    /// Reads a body, asking connected nodes for it if needed; what they send is checked and kept.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::NotFound`] if nobody had it for half a minute.
    pub async fn fetch(&self, id: BlobId) -> Result<Arc<[u8]>, NodeError> {
        self.check_running()?;
        timeout(FETCH_TIMEOUT, self.wants.fetch(id)).await.map_err(|_| NodeError::NotFound(id))?
    }

    /// Returns the addresses at which this node can be dialled.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Returns this node's name.
    pub const fn node_id(&self) -> NodeId {
        self.node
    }

    /// Waits until `holds` is true of the protocol's state; returns `false` if it was not for as long as `patience`.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Stopped`] if the node stops meanwhile.
    pub async fn wait_until(
        &self,
        holds: impl Fn(&Peer) -> bool + Send,
        patience: Duration,
    ) -> Result<bool, NodeError> {
        let mut changes = self.changes.clone();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                self.check_running()?;
                let peer = self.peer.lock().await;
                if holds(&peer) {
                    return Ok(true);
                }
                drop(peer);
                changes.changed().await.map_err(|_| NodeError::Stopped)?;
            }
        };
        timeout(patience, waiting).await.unwrap_or(Ok(false))
    }

    /// Stops the node: what it has said is made durable, connections are closed, the folder is free again.
    pub async fn shutdown(self) {
        self.running.inbox.stop();
        let mut finished = self.finished;
        // An error says that the thread that would tell is gone.
        let _ = finished.wait_for(|finished| *finished).await;
    }

    fn check_running(&self) -> Result<(), NodeError> {
        if *self.finished.borrow() { Err(NodeError::Stopped) } else { Ok(()) }
    }
}
