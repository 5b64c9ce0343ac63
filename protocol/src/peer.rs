//! A node's protocol, without input or output of its own: events in, effects out, in order.
//!
//! [`Peer::handle`] is a pure function of the peer's state, the time, the event and the randomness handed in; a whole
//! community runs in one test and replays from a seed. An operator's peer also orders the log, acknowledges
//! contributions and opens sums; every peer follows the log and recomputes results.
//!
//! ```text
//! Event ─▶ message ─▶ ordering (consensus, pool, sync)  ─▶ ledger ─▶ duties of each round ─▶ Effect
//!                 └─▶ collecting (submissions, acknowledgements)
//! ```
//!
//! # Correctness
//!
//! Effects must be performed in order. [`Effect::Sync`] makes everything persisted before it durable before anything
//! after it is done; a crash between two effects loses nothing that was sent.

mod amending;
mod arriving;
mod bucket;
mod collecting;
mod duties;
mod interface;
mod ordering;
mod recalling;
mod reconciling;
mod recovery;
mod stem;
mod verifying;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chorus_crypto::{
    codec::Encode as _,
    mask::Seed,
    seal::SealSecret,
    sign::{PublicKey, SecretKey},
};
use rand_core::CryptoRng;

pub(crate) use self::ordering::start_of_log;
use self::{
    arriving::Arriving,
    collecting::Collected,
    duties::Duties,
    ordering::{Entries, Ordering},
    reconciling::Reconciling,
    recovery::Recovery,
    stem::Stems,
    verifying::Intake,
};
pub use self::{
    arriving::{ArrivalError, Checkpoints, Landmark, Start},
    interface::{Command, Effect, Event, NotPosted, Notice},
    stem::{MAX_HOPS, PATHS},
};
use crate::{
    config::Genesis,
    contribution::{Body, Submission, Verdicts, Verification},
    fault::Fault,
    id::{BatchId, BlobId, CommunityId, EntryId, NodeId, RoundId},
    journal::{Lock, Record},
    ledger::{Ledger, RoundRecord},
    limits,
    log::{
        batch::Height,
        consensus::{Decision, ResumeError, Timeouts},
        entry::{Checkpoint, Entry, SignedEntry},
    },
    message::{Handover, Hello, Message},
    round::Blobs,
    time::Timestamp,
};

/// Who this node is.
#[derive(Debug)]
pub struct Config {
    /// The community.
    pub genesis: Genesis,
    /// This node, as others see it.
    pub node: NodeId,
    /// The operator's key; none for a node that only follows.
    pub operator: Option<SecretKey>,
    /// How long steps of the consensus may take.
    pub timeouts: Timeouts,
    /// How long other operators' shares are waited for, in milliseconds, before a pass is given up.
    pub pass_millis: u64,
    /// Bytes of masked vectors that are held in memory: [`limits::MAX_HELD_BYTES`], or less to read them from the disk.
    pub held_bytes: usize,
    /// The minor protocol version to speak: [`MINOR`](crate::message::MINOR), or a lower one to be an older node.
    pub minor: u8,
    /// Which checkpoints it makes, and where its log begins.
    pub checkpoints: Checkpoints,
}

impl Config {
    /// How long a pass of the secret PCA may take before an operator gives it up.
    pub const PASS_MILLIS: u64 = 10_000;
}

/// What a node saved before it stopped.
#[derive(Debug, Default)]
pub struct Saved {
    /// Where the log begins; none if that is at height 1.
    pub start: Option<Start>,
    /// The log, from height 1 or from its start on.
    pub decisions: Vec<Decision>,
    /// The journal, in order.
    pub records: Vec<Record>,
    /// Which private parts of contributions to rounds that are not erased are on the disk: they are
    /// [read](Effect::ReadPrivate) a few at a time.
    pub private: Vec<KeptPrivate>,
    /// Entries of people at this node that were not on the log yet.
    pub relayed: Vec<SignedEntry>,
}

/// A contribution's private part on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeptPrivate {
    /// Its round.
    pub round: RoundId,
    /// Its public body.
    pub body: BlobId,
    /// How many bytes it has, about.
    pub bytes: u64,
}

/// A node's protocol.
pub struct Peer {
    config: Config,
    community: CommunityId,
    ledger: Ledger,
    ordering: Ordering,
    arriving: Option<Arriving>,
    collected: Collected,
    intake: Intake,
    duties: Duties,
    reconciling: Reconciling,
    recovery: Recovery,
    stems: Stems,
    entries: Entries,
    /// What the people here posted while the key listens.
    unspoken: Vec<Entry>,
    nodes: BTreeMap<NodeId, Option<PublicKey>>,
    /// The keys that connected nodes showed, in office or not: whoever has none may come to have one.
    greeted: BTreeMap<NodeId, PublicKey>,
    /// The minor versions that connected nodes speak, as far as they told.
    minors: BTreeMap<NodeId, u8>,
    blobs: BTreeMap<BlobId, Arc<[u8]>>,
    wanted: BTreeSet<BlobId>,
    effects: VecDeque<Effect>,
    now: Timestamp,
}

impl core::fmt::Debug for Peer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Peer").field("node", &self.config.node).field("height", &self.height()).finish_non_exhaustive()
    }
}

/// Why a node cannot start from what it saved.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The saved log does not follow from the genesis.
    #[error("the saved log is broken at height {0}")]
    Log(Height),
    /// What the log begins with is no state of this community at that height.
    #[error("the state at height {0} does not belong here")]
    State(Height),
    /// The consensus cannot resume.
    #[error("consensus: {0}")]
    Consensus(#[from] ResumeError),
    /// The founding document is not valid.
    #[error("genesis: {0}")]
    Genesis(#[from] crate::config::GenesisError),
}

impl Peer {
    /// Starts from what was saved; from nothing the first time.
    ///
    /// # Errors
    ///
    /// Returns a [`StartError`] if what was saved does not fit together; nothing is signed then.
    pub fn new(config: Config, now: Timestamp, saved: Saved) -> Result<Self, StartError> {
        config.genesis.validate()?;
        let mut ledger = Ledger::new(config.genesis.clone());
        let erasures = unfinished_erasures(&saved);
        let arriving = Arriving::new(&config, &saved);
        let log = (saved.start, saved.decisions);
        let ordering = Ordering::resume(&config, &mut ledger, now, log, &saved.records)?;
        let mut peer = Self {
            community: ledger.community(),
            collected: Collected::default(),
            intake: Intake::default(),
            duties: Duties::resume(&saved.records),
            reconciling: Reconciling::default(),
            recovery: Recovery::resume(&config, &ledger, now, &saved.records),
            ledger,
            ordering,
            arriving,
            stems: Stems::new(now),
            entries: Entries::new(now),
            unspoken: Vec::new(),
            nodes: BTreeMap::new(),
            greeted: BTreeMap::new(),
            minors: BTreeMap::new(),
            blobs: BTreeMap::new(),
            wanted: BTreeSet::new(),
            effects: VecDeque::new(),
            now,
            config,
        };
        peer.collected.resume(&saved.records);
        peer.effects.extend(erasures.into_iter().map(Effect::EraseRound));
        peer.intake.requeue(saved.private);
        if let Some(until) = peer.recovery.silent_until() {
            peer.silence_consensus(until);
        }
        for entry in saved.relayed {
            peer.take_up_relayed(entry);
        }
        peer.drain_consensus();
        Ok(peer)
    }

    /// Advances by one event; then perform what [`poll_effect`](Self::poll_effect) returns.
    ///
    /// `rng` must be a cryptographically secure generator: round keys and the weights of batch verification come from
    /// it. `now` is this node's clock and may stand still but should not run backwards.
    pub fn handle(&mut self, now: Timestamp, event: Event, rng: &mut impl CryptoRng) {
        self.now = self.now.max(now);
        match event {
            Event::Connected(node) => self.on_connected(node),
            Event::Speaks { node, minor } => {
                if self.nodes.contains_key(&node) {
                    self.minors.insert(node, minor);
                }
            }
            Event::Disconnected(node) => {
                self.nodes.remove(&node);
                self.greeted.remove(&node);
                self.minors.remove(&node);
                self.stems.forget_peer(&node);
                self.entries.forget_peer(&node);
            }
            Event::Message { from, bytes } => {
                if let Err(fault) = self.on_message(from, &bytes) {
                    self.refuse(from, fault);
                }
            }
            Event::Blob { id, bytes } => self.on_blob(id, bytes),
            Event::Verified(verdicts) => self.on_verified(*verdicts),
            Event::Private { round, body, submission } => self.on_private(round, body, submission),
            Event::Command(command) => self.on_command(command),
            Event::Tick => {}
        }
        self.recover(rng);
        if !self.unspoken.is_empty() {
            self.speak_up();
        }
        self.tick_consensus();
        self.move_stems(rng);
        self.hand_round(rng);
        self.verify_pending(rng);
        self.reconcile();
        self.do_duties(rng);
    }

    /// Returns the next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns when [`Event::Tick`] is due, if ever.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let speaking = [
            self.ordering.speaking_deadline(),
            self.duties.next_deadline(),
            self.collected.next_deadline(),
            self.intake.next_deadline(),
        ];
        // Whoever listens does nothing before it may speak.
        let speaking = speaking.into_iter().flatten().map(|at| at.max(self.recovery.listens_until())).min();
        let others = [
            self.ordering.next_deadline(),
            self.recovery.next_deadline(),
            self.reconciling.next_deadline(),
            self.stems.next_deadline(),
        ];
        others.into_iter().chain([speaking]).flatten().min()
    }

    /// Returns the state that the log leads to.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the height of the last decision.
    pub fn height(&self) -> Height {
        self.ordering.height()
    }

    /// Returns the height after which this node's log begins: what is up to it, others have to show. 0 for a whole log.
    pub const fn log_start(&self) -> Height {
        self.ordering.start()
    }

    /// Returns where this node's log is to begin, as long as that has not been found.
    pub fn arriving(&self) -> Option<Landmark> {
        self.arriving.as_ref().map(Arriving::landmark)
    }

    /// Returns the newest checkpoint on this node's log, and the batch that begins with it: a newcomer who trusts this node
    /// can begin there.
    pub const fn newest_checkpoint(&self) -> Option<(Landmark, Checkpoint)> {
        self.ordering.newest_checkpoint()
    }

    /// Returns the highest height that somebody has claimed and not failed to show; at least [`height`](Self::height).
    pub fn height_heard_of(&self) -> Height {
        self.ordering.ahead().max(self.height())
    }

    /// Returns the newest decisions, ascending: at most [`limits::RECENT_DECISIONS`].
    pub fn recent_decisions(&self) -> impl ExactSizeIterator<Item = &Arc<Decision>> {
        self.ordering.recent()
    }

    /// Returns the minor protocol versions that connected nodes speak, of those that told.
    pub const fn minors(&self) -> &BTreeMap<NodeId, u8> {
        &self.minors
    }

    /// Returns the nodes connected, and which operators they are.
    pub const fn nodes(&self) -> &BTreeMap<NodeId, Option<PublicKey>> {
        &self.nodes
    }

    /// Returns this operator's number, 1..=n; none for a follower, or before or after its time in office.
    pub fn operator(&self) -> Option<u8> {
        self.ledger.charter().operator(&self.own_key()?)
    }

    /// Returns the operator's key of this node, in office or not.
    fn own_key(&self) -> Option<PublicKey> {
        self.config.operator.as_ref().map(SecretKey::public)
    }

    /// Returns this operator's number in a round, which keeps the operators of its plan; none while its key may not speak
    /// about the round.
    fn operator_in(&self, round: &RoundRecord) -> Option<u8> {
        self.number_in(round).filter(|_| self.may_speak() && !self.recovery.bars(&round.id))
    }

    /// Returns this operator's number in a round, whether or not its key may speak.
    fn number_in(&self, round: &RoundRecord) -> Option<u8> {
        round.charter.operator(&self.own_key()?)
    }

    /// Returns whether this node has found a round's result, or what follows from one, itself, with this body.
    pub fn has_found(&self, body: &BlobId) -> bool {
        self.duties.has_found(body)
    }

    fn on_connected(&mut self, node: NodeId) {
        self.nodes.entry(node).or_insert(None);
        if let Some(greeting) = self.greeting() {
            self.send(node, &greeting);
        }
        self.send_tip(node);
    }

    fn on_message(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), Fault> {
        let message = Message::open(self.community, bytes)?;
        if message.minor() > self.config.minor {
            return Err(Fault::Unknown("kind of message"));
        }
        match message {
            Message::Hello(hello) => self.on_hello(from, &hello),
            Message::Consensus(message) => self.on_consensus(message.bytes),
            Message::Entry(entry) => self.on_entry(from, entry),
            Message::Submission(submission) => self.intake.enqueue(from, submission, false),
            Message::Stem(stem) => self.on_stem(from, stem),
            Message::Acknowledgement(acknowledgement) => self.on_acknowledgement(from, acknowledgement),
            Message::Tip(tip) => {
                self.on_tip(from, tip.height);
                Ok(())
            }
            Message::LogRequest(tip) => {
                self.on_log_request(from, tip.height);
                Ok(())
            }
            Message::Log(part) => self.on_log(from, part),
            Message::SubmissionRequest(request) => self.on_submission_request(from, request),
            Message::Handover(handover) => self.on_handover(handover),
            Message::Holdings(holdings) => self.on_holdings(from, &holdings),
            Message::Bodies(bodies) => self.on_bodies(from, &bodies),
            Message::HeightRequest(request) => {
                self.on_height_request(from, request);
                Ok(())
            }
            Message::HeightAnswer(answer) => {
                self.on_height_answer(from, answer);
                Ok(())
            }
            Message::Sighting(hello) => self.on_passed_on(&hello),
        }
    }

    fn on_hello(&mut self, from: NodeId, hello: &Hello) -> Result<(), Fault> {
        hello.verify(self.community, from)?;
        self.greeted.insert(from, hello.operator);
        // Not a fault: whoever has no office yet, or none any more, greets as well.
        self.nodes.entry(from).or_insert(None);
        self.compare_greetings(from, hello);
        self.recognise(from);
        Ok(())
    }

    /// Notes whether a node is an operator's, with duties, by the log as it is.
    fn recognise(&mut self, node: NodeId) {
        let key = self.greeted.get(&node).copied().filter(|key| self.ledger.serves(key));
        let known = self.nodes.insert(node, key);
        if key.is_some() && known != Some(key) {
            self.send_tip(node);
            self.send_direct(node);
            self.send_relayed(node);
            self.compare_with(node);
        }
    }

    /// Looks again at who has duties: the log may have changed that.
    fn recognise_all(&mut self) {
        let greeted: Vec<NodeId> = self.greeted.keys().copied().filter(|node| self.nodes.contains_key(node)).collect();
        greeted.into_iter().for_each(|node| self.recognise(node));
    }

    fn on_blob(&mut self, id: BlobId, bytes: Arc<[u8]>) {
        if self.wanted.remove(&id) {
            if self.arriving.as_ref().is_some_and(|arriving| arriving.awaits(&id)) {
                return self.arrive(&bytes);
            }
            self.blobs.insert(id, bytes);
            self.duties.mark_changed();
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            // Consent to an amendment waits until the result of its vote is at hand.
            Command::Post(Entry::Amend(consent)) => self.duties.consent(consent.amendment),
            Command::Post(entry) => self.post_when_speaking(entry),
            Command::Relay(entry) => self.relay(entry),
            Command::Contribute(submission) => self.contribute(submission),
            Command::Keep(bytes) => {
                self.keep_blob(bytes, None);
            }
        }
    }

    /// Signs and posts an entry, at once or after the key has listened; tells why if it cannot be.
    fn post_when_speaking(&mut self, entry: Entry) {
        let why = match &self.config.operator {
            None => NotPosted::NoKey,
            Some(_) if self.is_recovering() => NotPosted::Recovering,
            Some(_) if self.recovery.listens(self.now) => {
                if self.unspoken.len() < limits::MAX_UNSPOKEN {
                    return self.unspoken.push(entry);
                }
                NotPosted::Waiting
            }
            Some(key) => {
                let signed = SignedEntry::sign(key, self.community, entry);
                return self.post(signed);
            }
        };
        self.effects.push_back(Effect::Notice(Notice::NotPosted { entry: Box::new(entry), why }));
    }

    /// Posts what had to wait while the key listened, or tells why it never will be.
    fn speak_up(&mut self) {
        if !self.recovery.listens(self.now) || self.config.operator.is_none() {
            std::mem::take(&mut self.unspoken).into_iter().for_each(|entry| self.post_when_speaking(entry));
        }
    }

    /// Tells that a peer was refused. What is not allowed may be by what is decided and not here yet.
    fn refuse(&mut self, from: NodeId, fault: Fault) {
        let lags = self.height_heard_of() > self.height() || self.ledger.pending_amendment().is_some();
        let notice = match fault {
            Fault::NotAllowed(_) if lags => Notice::Ahead { from, fault },
            fault => Notice::Refused { from, fault },
        };
        self.effects.push_back(Effect::Notice(notice));
    }

    fn send(&mut self, to: NodeId, message: &Message) {
        let bytes = message.seal(self.community);
        self.effects.push_back(Effect::Send { to, bytes });
    }

    /// Sends to all connected operators.
    fn send_to_operators(&mut self, message: &Message) {
        let bytes = message.seal(self.community);
        for (node, operator) in &self.nodes {
            if operator.is_some() {
                self.effects.push_back(Effect::Send { to: *node, bytes: bytes.clone() });
            }
        }
    }

    /// Sends to all connected operators of a round: what belongs to it is nobody else's.
    fn send_to_operators_of(&mut self, round: RoundId, message: &Message) {
        let Some(charter) = self.ledger.rounds().get(&round).map(|round| Arc::clone(&round.charter)) else { return };
        let bytes = message.seal(self.community);
        for (node, operator) in &self.nodes {
            if operator.is_some_and(|key| charter.operator(&key).is_some()) {
                self.effects.push_back(Effect::Send { to: *node, bytes: bytes.clone() });
            }
        }
    }

    fn persist(&mut self, record: Record) {
        self.effects.push_back(Effect::Persist(record));
    }

    /// Keeps a public body of the round with this ordinal, or of none.
    fn keep_blob(&mut self, bytes: Arc<[u8]>, ordinal: Option<u32>) -> BlobId {
        let id = BlobId::of(&bytes);
        self.wanted.remove(&id);
        if self.blobs.insert(id, bytes.clone()).is_none() {
            self.effects.push_back(Effect::StoreBlob { bytes, ordinal });
        }
        id
    }

    fn want(&mut self, id: BlobId) {
        if !self.blobs.contains_key(&id) && self.wanted.insert(id) {
            self.effects.push_back(Effect::Want(id));
        }
    }
}

/// The rounds that were recorded as erased but still have secrets here: the node died before it erased them.
fn unfinished_erasures(saved: &Saved) -> BTreeSet<RoundId> {
    let erased: BTreeSet<RoundId> = saved
        .records
        .iter()
        .filter_map(|record| if let Record::Erased(round) = record { Some(*round) } else { None })
        .collect();
    let keys = saved.records.iter().filter_map(|record| match record {
        Record::RoundKey(record) => Some(record.round),
        Record::Acknowledged(record) => Some(record.round),
        Record::Wal(_)
        | Record::WalReset(_)
        | Record::Pledge(_)
        | Record::Locked(_)
        | Record::Erased(_)
        | Record::Restored(_)
        | Record::Resumed(_) => None,
    });
    keys.chain(saved.private.iter().map(|kept| kept.round)).filter(|round| erased.contains(round)).collect()
}

impl Blobs for BTreeMap<BlobId, Arc<[u8]>> {
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        self.get(id).cloned()
    }
}
