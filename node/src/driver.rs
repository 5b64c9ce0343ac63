//! The driver: the protocol's state machine, run with a clock, a disk, a network and real randomness.
//!
//! ```text
//!  network ──▶ inbox ──▶ protocol's thread ──▶ effects, in order ──▶ disk's thread ──▶ network, notices
//!  commands ──┘    ▲      (owns the Peer)                            (owns the disk)        │
//!                  └──────── bodies that were wanted, proofs that were verified ◀──────────┘
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
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    config::Genesis,
    fault::Fault,
    id::{BlobId, NodeId},
    limits::MAX_HELD_BYTES,
    log::{
        batch::Height,
        consensus::{Decision, Timeouts},
    },
    message::{MINOR, Message},
    peer::{Checkpoints, Command, Config, Event, Notice, Peer, StartError},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::{
    runtime,
    sync::{Mutex, broadcast, mpsc, watch},
    time::timeout,
};
use zeroize::Zeroizing;

use self::{
    disk::{Disk, Who},
    inbox::{Backlog, Inbox},
    log::LogStore,
    meters::Meters,
    outlet::Outlet,
    threads::{Shared, Turns},
    wants::Wants,
};
use crate::{
    network::{
        self, BlobSource, Caps, Limits, Network, NetworkConfig, NetworkError, NetworkEvent, NetworkHandle, Offence,
        PeerFile, Reach, Role, Standing, Traffic, Transfer, Verdict,
    },
    recording::{Plan, Recorder, RecordingError},
    store::{
        StoreError,
        blobs::{BlobError, BlobStore, Found, Pieces, Usage},
        journal::JournalError,
    },
};

pub(crate) mod copy;
mod disk;
pub mod founding;
pub mod import;
mod inbox;
mod log;
pub mod meters;
mod outbox;
mod outlet;
mod private;
pub(crate) mod pruning;
mod records;
pub mod remote;
#[cfg(test)]
mod tests;
mod threads;
mod wants;

/// Notices that a slow listener may be behind; older ones are lost to it.
const NOTICES: usize = 1024;

/// How long [`NodeHandle::fetch`] asks for a body, or for more of it, before it gives up.
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
    /// What the node is to others.
    pub role: Role,
    /// By which ways it may be reached.
    pub reach: Reach,
    /// What the connection may be used for. What was used of the month is remembered in the data folder, wherever
    /// `caps.ledger` points.
    pub caps: Caps,
    /// Bytes of public bodies that are kept. An operator keeps all, for an audit asks operators for them, and needs room
    /// for as much; others keep what was used last, and fetch the rest again.
    pub blob_quota: u64,
    /// How long steps of the consensus may take.
    pub timeouts: Timeouts,
    /// How long other operators' shares are waited for, in milliseconds.
    pub pass_millis: u64,
    /// Which checkpoints an operator makes, and where the log of a follower begins that has none.
    pub checkpoints: Checkpoints,
    /// The seed of the node's randomness, for demonstrations only; none for randomness of the operating system.
    pub rng_seed: Option<u64>,
}

impl NodeOptions {
    /// Bytes of public bodies of ten thousand rounds of a small community.
    pub const BLOB_QUOTA: u64 = 64 * 1024 * 1024 * 1024;
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
    #[error(
        "journal: {0}. A damaged or missing journal is never made anew: put a backup back into an empty directory with \
         `chorus restore`, or follow without the operator's key with --role relay"
    )]
    Journal(#[from] JournalError),
    /// The journal is gone, but the log holds what this operator signed. Restore the journal, or start without the
    /// operator's key: signing without it may contradict what was signed before.
    #[error(
        "the journal of this operator is missing, and its key may have signed: it must not sign again. Put a backup back into an \
         empty directory with `chorus restore`, or follow without the key with --role relay"
    )]
    JournalLost,
    /// The journal is an old copy or another one. Restore the newest, or start without the operator's key.
    #[error(
        "the journal of this operator is an old copy, or another one: it must not sign again. Put the newest back, or a backup into \
         an empty directory with `chorus restore`, or follow without the key with --role relay"
    )]
    JournalOld,
    /// The journal holds what this version did not write.
    #[error("the journal holds records that this version cannot read")]
    JournalForeign,
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The store lacks rows or holds foreign ones. A start sets it aside and goes on with what others have of the log.
    #[error("the store is damaged: it is set aside when the node starts, and the log is fetched again")]
    StoreDamaged,
    /// The log of the only operator is behind what its journal says was decided: nobody else orders it, so that it must not
    /// go on from here. Run with `--role relay`, connected with nodes that follow the log, until it has the height; or put
    /// back a copy of the folder `store`, or an export of it into the folder `exports`.
    #[error(
        "the log ends at height {have}, and this operator, the only one, has decided {had}: run with --role relay, \
         connected with nodes that have the rest, until `chorus status` shows height {had}; then run as before"
    )]
    LogLost {
        /// The height that the store has.
        have: u64,
        /// The height that the journal tells of.
        had: u64,
    },
    /// The only holder of a contribution's private part finds it damaged: its round cannot be opened without it.
    #[error(
        "the private part of an acknowledged contribution is damaged: put {0} back from a copy; or delete the file, and the \
         round that it belongs to stays without a result"
    )]
    ContributionLost(PathBuf),
    /// Bodies cannot be stored or read.
    #[error("blobs: {0}")]
    Blobs(#[from] BlobError),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(#[from] io::Error),
    /// The network failed.
    #[error("network: {0}")]
    Network(#[from] NetworkError),
    /// Its events cannot be recorded.
    #[error("events: {0}")]
    Recording(#[from] RecordingError),
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Randomness(String),
    /// The log begins at a checkpoint, so that what is before is not here. Ask a node that has it all, such as an operator's.
    #[error(
        "the log of this node begins after height {0}, at the checkpoint of its invitation, and does not show what was before: ask \
         an operator's node, or another one that has the whole log"
    )]
    NotWhole(Height),
    /// Nobody who is connected has the body. Try again later.
    #[error("nobody who is connected has {0}")]
    NotFound(BlobId),
    /// Nobody at the addresses of a short invitation has the founding document. Ask for the long invitation.
    #[error("nobody at the invitation's addresses has the community's founding document: ask for the long invitation")]
    Unfounded,
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
        Self::begin(options, (MINOR, None), None).await
    }

    /// Starts a node that speaks a minor version of the protocol, which may be an older one, and holds its peers to other
    /// limits.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_as(options: NodeOptions, minor: u8, limits: Limits) -> Result<NodeHandle, NodeError> {
        Self::begin(options, (minor, Some(limits)), None).await
    }

    /// Starts a node that follows, and records what its protocol is told.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); returns [`NodeError::Recording`] for an operator.
    pub async fn start_recorded(options: NodeOptions, limits: Limits, plan: Plan) -> Result<NodeHandle, NodeError> {
        Self::begin(options, (MINOR, Some(limits)), Some(plan)).await
    }

    async fn begin(
        options: NodeOptions,
        (minor, limits): (u8, Option<Limits>),
        plan: Option<Plan>,
    ) -> Result<NodeHandle, NodeError> {
        let identity = Zeroizing::new(options.transport_seed);
        let local = network::NodeId::of_seed(&identity);
        let node = NodeId::from(*local.as_ref());
        let community = options.genesis.id();
        let founding = founding::Document::new(&options.genesis);
        let config = Config {
            genesis: options.genesis,
            node,
            operator: options.operator,
            timeouts: options.timeouts,
            pass_millis: options.pass_millis,
            held_bytes: MAX_HELD_BYTES,
            minor,
            checkpoints: options.checkpoints,
            cohort: None,
        };
        let rng = generator(options.rng_seed)?;
        let (folder, quota) = (options.data_dir, options.blob_quota);
        let caps = Caps { ledger: Some(folder.join("traffic")), ..options.caps };
        let memory = PeerFile::new(folder.join("peers.json"));
        let opening = tokio::task::spawn_blocking(move || open((&folder, quota), config, rng, plan.as_ref()));
        let (disk, peer, turns) = opening.await.map_err(|_| NodeError::Stopped)??;

        let source = Served(Arc::downgrade(disk.blobs()));
        let network = NetworkConfig {
            identity,
            listen: options.listen,
            role: options.role,
            reach: options.reach,
            community,
            blobs: Arc::new(source),
            caps,
            memory: Some(Arc::new(memory)),
            minor,
            limits: limits.unwrap_or_else(|| Limits::of(options.role)),
        };
        let (network, happenings, addresses) = Network::spawn(network).await?;
        let (inbox, events) = inbox::inbox();
        let wants = Wants::new(network.clone(), disk.blobs());
        let log = Arc::downgrade(disk.log());
        let (notices, _) = broadcast::channel(NOTICES);
        let span = tracing::info_span!("node", %node);
        let runtime = runtime::Handle::current();
        let outlet = Outlet::new(runtime.clone(), wants.clone(), inbox.clone(), notices.clone(), node);
        let peer = Arc::new(Mutex::new(peer));
        let (changed, changes) = watch::channel(0);
        let (finish, finished) = watch::channel(false);
        let meters = Arc::new(Meters::new());
        let (durable, made_durable) = watch::channel(0);
        let handed = Arc::new(AtomicU64::new(0));
        let shared = Shared {
            peer: Arc::clone(&peer),
            changed,
            meters: Arc::clone(&meters),
            handed: Arc::clone(&handed),
            durable,
        };
        let closing = network.clone();
        let stopped = move || {
            runtime.block_on(closing.shutdown());
            finish.send_replace(true);
        };
        span.in_scope(|| threads::start(shared, events, turns, disk, outlet, stopped))?;
        tokio::spawn(listen(community, founding, network.clone(), happenings, inbox.clone()));
        for address in &options.dial {
            match network.dial(address).await {
                // An invitation may name ways that only a newer version takes.
                Err(error @ NetworkError::NoWay(_)) => tracing::warn!(%error, "an address is not called"),
                dialled => dialled?,
            }
        }
        let running = Running { inbox };
        let durability = Durability { handed, durable: made_durable };
        let running = Arc::new(running);
        Ok(NodeHandle { running, peer, log, changes, durability, finished, notices, wants, addresses, node, meters })
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

fn open(
    (folder, quota): (&std::path::Path, u64),
    config: Config,
    mut rng: ChaCha20Rng,
    plan: Option<&Plan>,
) -> Result<(Disk, Peer, Turns), NodeError> {
    let operator = config.operator.as_ref().map(SecretKey::public);
    let who = Who { community: config.genesis.id(), operator };
    let began = std::time::Instant::now();
    let (mut disk, saved, doubts) = loop {
        match Disk::open((folder, quota), who, &mut rng) {
            Err(error) if error.is_locked() && began.elapsed() < CLOSING => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => break opened?,
        }
    };
    let now = threads::now();
    let mut recorder = None;
    if let Some(plan) = plan {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        recorder = Some(Recorder::begin(plan, &config, &saved, now, seed)?);
        rng = ChaCha20Rng::from_seed(seed);
    }
    let founded_alone = operator.is_some_and(|key| config.genesis.operators == [key]);
    let peer = match Peer::new(config, now, saved) {
        // What the journal says of heights that are not there may not fit what is.
        Err(error @ StartError::Consensus(_)) => {
            let lost = doubts.log_lost().filter(|_| founded_alone);
            return Err(lost.unwrap_or_else(|| error.into()));
        }
        started => started?,
    };
    disk.resolve(who, peer.ledger(), doubts)?;
    Ok((disk, peer, Turns { rng, recorder }))
}

/// Hands what the network says to the protocol, until it says no more.
async fn listen(
    community: chorus_protocol::id::CommunityId,
    founding: founding::Document,
    network: NetworkHandle,
    mut happenings: mpsc::Receiver<NetworkEvent>,
    inbox: Inbox,
) {
    let mut tips = Tips::default();
    let mut backlog = Backlog::default();
    loop {
        let has_room = backlog.has_room();
        // Questions are answered and gossip is judged while the protocol is busy with what somebody sent.
        let happening = tokio::select! {
            biased;
            delivered = backlog.deliver(&inbox) => match delivered {
                Ok(()) => continue,
                Err(_) => return,
            },
            happening = happenings.recv(), if has_room => happening,
        };
        let Some(happening) = happening else { break };
        let event = match happening {
            NetworkEvent::Connected(peer) => Event::Connected(node_id(peer)),
            NetworkEvent::Speaks { node, minor } => Event::Speaks { node: node_id(node), minor },
            NetworkEvent::Disconnected(peer) => {
                tips.forget(&peer);
                Event::Disconnected(node_id(peer))
            }
            NetworkEvent::Message { from, bytes } => Event::Message { from: node_id(from), bytes },
            NetworkEvent::Gossip { from, message_id, bytes, .. } => {
                let (verdict, offence) = tips.judge(community, from, &bytes);
                let _ = network.report(message_id, verdict).await;
                if let Some(offence) = offence {
                    let _ = network.blame(from, offence).await;
                }
                if verdict != Verdict::Accept {
                    continue;
                }
                Event::Message { from: node_id(from), bytes }
            }
            NetworkEvent::Request { request_id, bytes, .. } => {
                // The protocol asks nothing that wants an answer on the same stream; newcomers do.
                let _ = network.respond(request_id, founding.answer(&bytes)).await;
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
        backlog.push(event);
    }
    // An error says that the protocol has stopped.
    let _ = backlog.deliver_all(&inbox).await;
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
    /// that bounds them. *Ignore*: what a later minor version may say, too many heights (who passes them on need not have
    /// said them), and what is no gossip, which is held against whoever does so all the time. *Reject*: bytes that are no
    /// message of this community whoever looks at them; nodes of other major versions are not connected.
    fn judge(
        &mut self,
        community: chorus_protocol::id::CommunityId,
        from: network::NodeId,
        bytes: &[u8],
    ) -> (Verdict, Option<Offence>) {
        match Message::open(community, bytes) {
            Ok(Message::Tip(_)) if self.is_within_bounds(from, Instant::now()) => (Verdict::Accept, None),
            Ok(Message::Tip(_)) | Err(Fault::Unknown(_)) => (Verdict::Ignore, None),
            Ok(_) => (Verdict::Ignore, Some(Offence::Repeated)),
            Err(_) => (Verdict::Reject, None),
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

impl Served {
    fn store(&self) -> Result<Arc<BlobStore>, BlobError> {
        self.0.upgrade().ok_or_else(|| BlobError::Io(io::Error::other("the node is stopping")))
    }
}

impl BlobSource for Served {
    fn blob(&self, id: BlobId) -> Option<Vec<u8>> {
        self.0.upgrade()?.blob(id)
    }

    fn find(&self, id: BlobId) -> Option<Found> {
        BlobSource::find(&*self.0.upgrade()?, id)
    }

    fn slice(&self, id: BlobId, piece: u32) -> Option<Vec<u8>> {
        BlobSource::slice(&*self.0.upgrade()?, id, piece)
    }

    fn put(&self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        BlobSource::put(&*self.store()?, id, bytes)
    }

    fn begin(&self, id: BlobId, size: u64, proof: &[u8]) -> Result<Pieces, BlobError> {
        self.store()?.begin(id, size, proof)
    }

    fn add(&self, id: BlobId, piece: u32, slice: &[u8]) -> Result<Pieces, BlobError> {
        self.store()?.add(id, piece, slice)
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

/// How much of what the protocol's state shows is on the disk.
#[derive(Clone, Debug)]
struct Durability {
    handed: Arc<AtomicU64>,
    durable: watch::Receiver<u64>,
}

impl Durability {
    /// Waits until the disk has what the protocol had said up to `moment`.
    async fn reach(&self, moment: u64) -> Result<(), NodeError> {
        let mut durable = self.durable.clone();
        durable.wait_for(|number| *number >= moment).await.map(drop).map_err(|_| NodeError::Stopped)
    }
}

/// A running node. Clones are the same node; when the last one is dropped, it stops.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    running: Arc<Running>,
    peer: Arc<Mutex<Peer>>,
    log: Weak<LogStore>,
    changes: watch::Receiver<u64>,
    durability: Durability,
    finished: watch::Receiver<bool>,
    notices: broadcast::Sender<Notice>,
    wants: Wants,
    addresses: Vec<String>,
    node: NodeId,
    meters: Arc<Meters>,
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

    /// As [`view`](Self::view), and returns once everything that was seen is durable: what is told to somebody as done, or
    /// leads to deleting something, is looked at this way.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Stopped`] only.
    pub async fn view_durably<R: Send>(&self, look: impl FnOnce(&Peer) -> R + Send) -> Result<R, NodeError> {
        let (seen, moment) = self.view(|peer| (look(peer), self.durability.handed.load(Ordering::Acquire))).await?;
        self.durability.reach(moment).await?;
        Ok(seen)
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

    /// Reads the decisions that are on the disk, from the first.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::NotWhole`] if the log begins at a checkpoint; [`NodeError::Stopped`], and what went wrong with the
    /// disk.
    pub async fn decisions(&self) -> Result<Vec<Arc<Decision>>, NodeError> {
        self.check_running()?;
        let log = self.log.upgrade().ok_or(NodeError::Stopped)?;
        if log.begins_after() > Height::GENESIS {
            return Err(NodeError::NotWhole(log.begins_after()));
        }
        let reading = tokio::task::spawn_blocking(move || log.decisions());
        let decisions = reading.await.map_err(|_| NodeError::Stopped)??;
        Ok(decisions.into_iter().map(Arc::new).collect())
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
    /// Returns [`NodeError::NotFound`] if nobody had it, or any more of it, for half a minute.
    pub async fn fetch(&self, id: BlobId) -> Result<Arc<[u8]>, NodeError> {
        self.check_running()?;
        let here = || self.transfers().into_iter().find(|it| it.id == id).map_or(0, |transfer| transfer.done);
        let mut fetching = std::pin::pin!(self.wants.fetch(id));
        loop {
            let before = here();
            match timeout(FETCH_TIMEOUT, &mut fetching).await {
                Ok(fetched) => return fetched,
                Err(_) if here() > before => {}
                Err(_) => return Err(NodeError::NotFound(id)),
            }
        }
    }

    /// Returns the bodies that are being fetched in pieces, and how far they are.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.wants.network.transfers()
    }

    /// Returns how much went over the wire.
    pub fn traffic(&self) -> Traffic {
        self.wants.network.traffic()
    }

    /// Returns the addresses at which this node can be dialled.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Returns what the node measures of itself.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Returns how much space public bodies take; none once the node has stopped.
    pub fn blob_usage(&self) -> Option<Usage> {
        self.wants.blobs.upgrade().map(|blobs| blobs.used())
    }

    /// Returns whether the node has stopped.
    pub fn is_stopped(&self) -> bool {
        *self.finished.borrow()
    }

    /// Returns how this node stands: whether others can call it, and through whom.
    pub fn standing(&self) -> Standing {
        self.wants.network.standing().borrow().clone()
    }

    /// Returns the addresses at which the community may be found: this node's, if others can call it, and those of the
    /// operators and relays that it has met.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::Network`] if the node is stopping.
    pub async fn known_addresses(&self) -> Result<Vec<String>, NodeError> {
        self.check_running()?;
        Ok(self.wants.network.known_addresses().await?)
    }

    /// Returns this node's name.
    pub const fn node_id(&self) -> NodeId {
        self.node
    }

    /// Waits until `holds` is true of the protocol's state, and that state is durable; returns `false` if it was not for as long as `patience`.
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
                    let moment = self.durability.handed.load(Ordering::Acquire);
                    drop(peer);
                    return self.durability.reach(moment).await.map(|()| true);
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
