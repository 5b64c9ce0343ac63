//! A lying operator on the wire: the protocol of our own node over our own network, with a [`Tamper`] between them.
//!
//! The node has no hook for lies, under any feature, so that none can be left in a release. What rewrites and signs anew is
//! here, with the tests, and the same for virtual and real networks. The liar keeps what it knows in memory: it never restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chorus_crypto::sign::SecretKey;
use chorus_node::{
    network::{self, Caps, Limits, Network, NetworkConfig, NetworkEvent, NetworkHandle, Reach, Role, Topic, Verdict},
    store::blobs::BlobStore,
};
use chorus_protocol::{
    config::Genesis,
    contribution::Submission,
    id::{BlobId, CommunityId, NodeId, RoundId},
    limits::MAX_HELD_BYTES,
    log::consensus::{Decision, Timeouts},
    message::{Handover, LogPart, MINOR, Message},
    peer::{Checkpoints, Config, Effect, Event, Peer, Saved},
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use tokio::{runtime::Handle, sync::mpsc, time::sleep};

use crate::network::{Outgoing, Tamper};

/// How long a liar looks for a body before it asks again.
const AGAIN: Duration = Duration::from_millis(200);

/// What a lying operator is started with.
#[derive(Debug)]
pub struct WireOptions {
    /// The community.
    pub genesis: Genesis,
    /// The operator's key.
    pub operator: SecretKey,
    /// The seed of the transport key.
    pub transport_seed: [u8; 32],
    /// The nodes to stay connected with.
    pub dial: Vec<String>,
}

/// A lying operator that runs.
#[derive(Debug)]
pub struct WireLiar {
    handle: NetworkHandle,
    running: thread::JoinHandle<()>,
    addresses: Vec<String>,
    _folder: tempfile::TempDir,
}

impl WireLiar {
    /// Starts it. The tamper is made on the liar's own thread.
    ///
    /// # Panics
    ///
    /// Panics if the network does not start.
    pub async fn start(options: WireOptions, lie: impl FnOnce() -> Tamper + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(BlobStore::open(folder.path(), 1 << 30).expect("opens"));
        let config = NetworkConfig {
            identity: options.transport_seed.into(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            role: Role::Operator,
            reach: Reach::quiet(),
            community: options.genesis.id(),
            blobs: Arc::clone(&store) as Arc<dyn network::BlobSource>,
            caps: Caps::default(),
            memory: None,
            minor: MINOR,
            limits: Limits::of(Role::Operator),
        };
        let (handle, happenings, addresses) = Network::spawn(config).await.expect("starts");
        for address in &options.dial {
            handle.dial(address).await.expect("runs");
        }
        let (runtime, network) = (Handle::current(), handle.clone());
        let running = thread::spawn(move || {
            let liar = Liar::new(options, network, store, lie());
            runtime.block_on(liar.run(happenings));
        });
        Self { handle, running, addresses, _folder: folder }
    }

    /// Returns where it listens.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Returns whether it still runs.
    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// Panics if it panicked.
    pub async fn stop(self) {
        self.handle.shutdown().await;
        let joined = tokio::task::spawn_blocking(move || self.running.join()).await;
        assert!(joined.is_ok_and(|ended| ended.is_ok()), "the liar ended well");
    }
}

struct Liar {
    peer: Peer,
    community: CommunityId,
    network: NetworkHandle,
    store: Arc<BlobStore>,
    tamper: Tamper,
    rng: ChaCha20Rng,
    /// The nodes that it has met, in order: their numbers are those of hosts to a tamper.
    met: Vec<NodeId>,
    blobs: BTreeMap<BlobId, Arc<[u8]>>,
    served: BTreeSet<BlobId>,
    decisions: Vec<Decision>,
    private: BTreeMap<(RoundId, BlobId), Arc<Submission>>,
    own: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn node_id(id: network::NodeId) -> NodeId {
    NodeId::from(*id.as_ref())
}

impl Liar {
    fn new(options: WireOptions, network: NetworkHandle, store: Arc<BlobStore>, tamper: Tamper) -> Self {
        let community = options.genesis.id();
        let config = Config {
            cohort: None,
            genesis: options.genesis,
            node: node_id(network.local()),
            operator: Some(options.operator),
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            held_bytes: MAX_HELD_BYTES,
            minor: MINOR,
            checkpoints: Checkpoints::default(),
        };
        let peer = Peer::new(config, now(), Saved::default()).expect("starts from nothing");
        let (own, inbox) = mpsc::unbounded_channel();
        Self {
            peer,
            community,
            network,
            store,
            tamper,
            rng: ChaCha20Rng::from_seed(options.transport_seed),
            met: Vec::new(),
            blobs: BTreeMap::new(),
            served: BTreeSet::new(),
            decisions: Vec::new(),
            private: BTreeMap::new(),
            own,
            inbox,
        }
    }

    async fn run(mut self, mut happenings: mpsc::Receiver<NetworkEvent>) {
        self.turn(Event::Tick).await;
        loop {
            let due = self.peer.next_deadline().map_or(1_000, |at| at.as_millis().saturating_sub(now().as_millis()));
            let event = tokio::select! {
                happening = happenings.recv() => match happening {
                    Some(happening) => self.hear(happening).await,
                    None => return,
                },
                event = self.inbox.recv() => event,
                () = sleep(Duration::from_millis(due.clamp(1, 1_000))) => Some(Event::Tick),
            };
            if let Some(event) = event {
                self.turn(event).await;
            }
        }
    }

    async fn hear(&mut self, happening: NetworkEvent) -> Option<Event> {
        Some(match happening {
            NetworkEvent::Connected(node) => Event::Connected(node_id(node)),
            NetworkEvent::Speaks { node, minor } => Event::Speaks { node: node_id(node), minor },
            NetworkEvent::Disconnected(node) => Event::Disconnected(node_id(node)),
            NetworkEvent::Message { from, bytes } => Event::Message { from: node_id(from), bytes },
            NetworkEvent::Gossip { from, message_id, bytes, .. } => {
                // An error says that it is shut down, which the next happening says as well.
                let _ = self.network.report(message_id, Verdict::Accept).await;
                Event::Message { from: node_id(from), bytes }
            }
            NetworkEvent::Request { .. } | NetworkEvent::SendFailed { .. } | NetworkEvent::Listening(_) => return None,
        })
    }

    async fn turn(&mut self, event: Event) {
        self.peer.handle(now(), event, &mut self.rng);
        while let Some(effect) = self.peer.poll_effect() {
            self.perform(effect).await;
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, bytes } => self.send(to, bytes).await,
            // An error says that nobody takes part in gossip yet.
            Effect::Publish(bytes) => drop(self.network.publish(Topic::Control, bytes).await),
            Effect::SendLog { to, from } => {
                let part = self.decisions.iter().filter(|decision| decision.batch.height() >= from);
                let part = Message::Log(LogPart::of(part.cloned())).seal(self.community);
                self.send(to, part).await;
            }
            Effect::SendPrivate { to, round, body, handover } => {
                let Some(submission) = self.private.get(&(round, body)).map(|it| it.as_ref().clone()) else { return };
                let message = match handover {
                    None => Message::Submission(submission),
                    Some(handover) => Message::Handover(Handover { submission: Some(submission), ..*handover }),
                };
                self.send(to, message.seal(self.community)).await;
            }
            Effect::Commit(decision) => self.decisions.push(*decision),
            Effect::StoreBlob { bytes, .. } => {
                self.blobs.insert(BlobId::of(&bytes), bytes);
                self.serve();
            }
            Effect::StorePrivate { round, body, submission } => {
                self.private.insert((round, body), submission);
            }
            Effect::ErasePrivate { round, body } => drop(self.private.remove(&(round, body))),
            Effect::EraseRound(round) => self.private.retain(|(of, _), _| *of != round),
            Effect::Verify(verification) => self.later(Event::Verified(Box::new(verification.run()))),
            Effect::ReadPrivate { round, body } => {
                let submission = self.private.get(&(round, body)).cloned();
                self.later(Event::Private { round, body, submission });
            }
            Effect::Want(id) => self.find(id),
            // What is for the next start, or for people.
            Effect::Persist(_)
            | Effect::Sync
            | Effect::Begin(_)
            | Effect::Archive { .. }
            | Effect::StoreEntry(_)
            | Effect::DropEntry(_)
            | Effect::Notice(_) => {}
        }
    }

    /// Hands itself an event. An error says that it is over.
    fn later(&self, event: Event) {
        let _ = self.own.send(event);
    }

    fn find(&self, id: BlobId) {
        if let Some(bytes) = self.blobs.get(&id).cloned() {
            return self.later(Event::Blob { id, bytes });
        }
        let (network, own) = (self.network.clone(), self.own.clone());
        tokio::spawn(async move {
            loop {
                match network.fetch_blob(id).await {
                    Ok(bytes) => return own.send(Event::Blob { id, bytes: bytes.into() }).is_ok(),
                    Err(network::NetworkError::Stopped) => return false,
                    Err(_) => sleep(AGAIN).await,
                }
            }
        });
    }

    /// Offers on the wire what is in the liar's hands, and nothing else.
    fn serve(&mut self) {
        for (id, bytes) in &self.blobs {
            if self.served.insert(*id) {
                self.store.put(bytes).expect("there is room");
            }
        }
        let withheld: Vec<BlobId> = self.served.iter().filter(|id| !self.blobs.contains_key(id)).copied().collect();
        for id in withheld {
            self.store.delete(id).expect("its own folder");
            self.served.remove(&id);
        }
    }

    fn number_of(&mut self, node: NodeId) -> usize {
        self.met.iter().position(|met| *met == node).unwrap_or_else(|| {
            self.met.push(node);
            self.met.len() - 1
        })
    }

    async fn send(&mut self, to: NodeId, bytes: Vec<u8>) {
        let number = self.number_of(to);
        let Ok(message) = Message::open(self.community, &bytes) else { return };
        let mut outgoing = Outgoing { to: number, now: now(), blobs: &mut self.blobs };
        let messages = (self.tamper)(&mut outgoing, message);
        self.serve();
        for (after, message) in messages {
            let (network, bytes) = (self.network.clone(), message.seal(self.community));
            let to = network::NodeId::from(*to.as_ref());
            if after == 0 {
                // What cannot be sent is said again by the protocol if it still matters.
                let _ = network.send(to, bytes).await;
                continue;
            }
            tokio::spawn(async move {
                sleep(Duration::from_millis(after)).await;
                let _ = network.send(to, bytes).await;
            });
        }
    }
}
