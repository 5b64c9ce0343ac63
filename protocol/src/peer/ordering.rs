//! Ordering: the pool of entries, the consensus that orders them, and the log that others catch up from.

use std::sync::Arc;

use super::{
    bucket::{Bucket, Rate},
    *,
};
use crate::{
    limits,
    log::{
        batch::Batch,
        consensus::{Config as ConsensusConfig, Consensus, ConsensusError, Input, Output, Refusal, Resume},
        entry::Evidence as EvidenceEntry,
    },
    message::{ConsensusBytes, LogPart, Tip},
};
use chorus_crypto::codec::Decode as _;
use rayon::prelude::*;

pub(super) struct Ordering {
    consensus: Option<Consensus>,
    /// The height after which the log begins here.
    start: Height,
    /// The rounds that were finished by then: their results come with the state.
    before_start: BTreeSet<RoundId>,
    height: Height,
    tip: BatchId,
    /// The newest checkpoint.
    checkpoint: Option<(Landmark, Checkpoint)>,
    /// The newest decisions.
    recent: VecDeque<Arc<Decision>>,
    pool: Pool,
    /// Entries of people at this node on their way to the log, and when to send them again.
    relayed: BTreeMap<EntryId, (SignedEntry, Timestamp)>,
    /// The highest tip heard of.
    ahead: Height,
    /// When to ask for more of the log, and how often that has been done: operators are asked in turn.
    ask_at: Timestamp,
    asked: usize,
    /// Who was asked last.
    asked_of: Option<NodeId>,
    /// Requests since the log last grew: a tip that nobody can show is forgotten.
    fruitless: usize,
    /// The height from which on the log was last asked for, and until when the answer is waited for.
    awaited: (Height, Timestamp),
    /// Whether the log holds what this node cannot apply: it neither signs nor follows any more.
    stuck: bool,
}

/// How many entries peers may send that are checked: checking one costs a signature and a look at the whole ledger. An
/// operator's people propose and register in bursts; what is over the bound is sent again by its node.
const ENTRIES_OF_PEER: Rate = Rate { per_second: 64, burst: 2_048 };
/// Those of all peers who are no operators.
const ENTRIES_OF_ALL: Rate = Rate { per_second: 512, burst: 8_192 };

/// Parts of the log that a peer is sent, of 1 MiB at most: some 2 MiB a second, more than a home's line takes.
const PARTS_OF_PEER: Rate = Rate { per_second: 2, burst: 8 };
/// Those that all peers who are no operators are sent.
const PARTS_OF_ALL: Rate = Rate { per_second: 16, burst: 128 };

/// What peers have sent, and asked for.
pub(super) struct Entries {
    of_peers: BTreeMap<NodeId, Bucket>,
    of_all: Bucket,
    parts_of_peers: BTreeMap<NodeId, Bucket>,
    parts_of_all: Bucket,
}

impl Entries {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            of_peers: BTreeMap::new(),
            of_all: Bucket::new(now),
            parts_of_peers: BTreeMap::new(),
            parts_of_all: Bucket::new(now),
        }
    }

    pub(super) fn forget_peer(&mut self, node: &NodeId) {
        self.of_peers.remove(node);
        self.parts_of_peers.remove(node);
    }

    /// Whether a peer is sent a part of the log now.
    fn admit_log_request(&mut self, now: Timestamp, from: NodeId, is_operator: bool) -> bool {
        let of_peer = self.parts_of_peers.entry(from).or_insert_with(|| Bucket::new(now));
        of_peer.take(now, 1, PARTS_OF_PEER) && (is_operator || self.parts_of_all.take(now, 1, PARTS_OF_ALL))
    }

    fn admit(&mut self, now: Timestamp, from: NodeId, is_operator: bool) -> Result<(), Fault> {
        let of_peer = self.of_peers.entry(from).or_insert_with(|| Bucket::new(now));
        if of_peer.take(now, 1, ENTRIES_OF_PEER) && (is_operator || self.of_all.take(now, 1, ENTRIES_OF_ALL)) {
            return Ok(());
        }
        let bound = ENTRIES_OF_PEER.burst;
        Err(Fault::Bound { what: "entries within a short time", bound, found: bound + 1 })
    }
}

/// Entries that wait to be ordered.
#[derive(Default)]
struct Pool {
    entries: BTreeMap<EntryId, SignedEntry>,
    by_author: BTreeMap<PublicKey, usize>,
}

impl Pool {
    fn insert(&mut self, entry: SignedEntry) -> bool {
        let author = entry.author;
        let new = self.entries.insert(entry.id(), entry).is_none();
        if new {
            *self.by_author.entry(author).or_default() += 1;
        }
        new
    }

    fn remove(&mut self, id: &EntryId) {
        let Some(entry) = self.entries.remove(id) else { return };
        if let Some(count) = self.by_author.get_mut(&entry.author) {
            *count -= 1;
            if *count == 0 {
                self.by_author.remove(&entry.author);
            }
        }
    }

    /// Whether there is room for one more entry of somebody else, of whom `most` may wait at a time.
    fn has_room(&self, author: &PublicKey, most: usize) -> Result<(), Fault> {
        let own = self.by_author.get(author).copied().unwrap_or_default();
        for (what, bound, found) in [
            ("entries of one author waiting", most, own + 1),
            ("entries waiting", limits::MAX_POOL, self.entries.len() + 1),
        ] {
            if found > bound {
                return Err(Fault::Bound { what, bound: bound as u64, found: found as u64 });
            }
        }
        Ok(())
    }
}

/// How often a node asks an operator for what follows its log, in milliseconds: announcements get lost.
const ASK_MILLIS: u64 = 3_000;

/// How long an entry of somebody at this node may take to reach the log before it is sent again, in milliseconds.
const RELAY_MILLIS: u64 = 3_000;

/// How often a node asks for a tip that it heard of before it stops believing in it. Anybody can claim a tip.
const BELIEVED_REQUESTS: usize = 20;

/// How soon it asks again when it knows that there is more.
const ASK_AGAIN_MILLIS: u64 = 400;

/// How long it waits for an answer when much is missing, before it asks the next operator: a part of a megabyte takes a
/// second on a slow line, and asking again meanwhile would fetch it twice.
const PART_MILLIS: u64 = 4_000;

/// How many heights are much.
const MUCH: u64 = 32;

impl Ordering {
    pub(super) fn resume(
        config: &super::Config,
        ledger: &mut Ledger,
        now: Timestamp,
        (start, decisions): (Option<Start>, Vec<Decision>),
        records: &[Record],
    ) -> Result<Self, StartError> {
        let (mut height, mut tip) = (Height::GENESIS, start_of_log(ledger.community()));
        let mut before_start = BTreeSet::new();
        if let Some(start) = start {
            *ledger = start.state(ledger.community())?;
            before_start = finished(ledger);
            (height, tip) = (start.height, start.batch);
        }
        let start = height;
        for decision in &decisions {
            let batch = &decision.batch;
            if batch.height() != height.next() || batch.previous() != tip || apply_certified(ledger, batch).is_err() {
                return Err(StartError::Log(height.next()));
            }
            (height, tip) = (batch.height(), batch.id());
        }
        let consensus = match &config.operator {
            None => None,
            Some(key) => {
                let (wal, pledged) = write_ahead(records);
                let committee = ledger.charter().committee();
                let resume = Resume { height, batch: tip, committee, records: &wal, pledged };
                let community = ledger.community();
                let config = ConsensusConfig { community, key: key.clone(), timeouts: config.timeouts };
                Some(Consensus::new(config, now, resume)?)
            }
        };
        let checkpoint = decisions.iter().rev().find_map(|decision| Landmark::of(&decision.batch));
        let older = decisions.len().saturating_sub(limits::RECENT_DECISIONS);
        let recent = decisions.into_iter().skip(older).map(Arc::new).collect();
        Ok(Self {
            consensus,
            start,
            before_start,
            height,
            tip,
            checkpoint,
            recent,
            pool: Pool::default(),
            relayed: BTreeMap::new(),
            ahead: Height(0),
            ask_at: now,
            asked: 0,
            asked_of: None,
            fruitless: 0,
            awaited: (Height::GENESIS, now),
            stuck: false,
        })
    }

    /// When the consensus has something to say.
    pub(super) fn speaking_deadline(&self) -> Option<Timestamp> {
        self.consensus.as_ref().and_then(Consensus::next_deadline)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let relayed = self.relayed.values().map(|(_, at)| *at).min();
        let ask = (!self.stuck).then_some(self.ask_at);
        relayed.into_iter().chain(ask).min()
    }

    pub(super) const fn ahead(&self) -> Height {
        self.ahead
    }

    pub(super) const fn height(&self) -> Height {
        self.height
    }

    pub(super) const fn start(&self) -> Height {
        self.start
    }

    pub(super) const fn newest_checkpoint(&self) -> Option<(Landmark, Checkpoint)> {
        self.checkpoint
    }

    /// Whether a round was finished before this node's log begins.
    pub(super) fn is_before_start(&self, round: &RoundId) -> bool {
        self.before_start.contains(round)
    }

    /// Begins where a state leads, in the place of the founding document.
    pub(super) fn begin(&mut self, start: &Start, state: &Ledger) {
        self.before_start = finished(state);
        (self.start, self.height, self.tip) = (start.height, start.height, start.batch);
    }

    /// Follows no more.
    pub(super) fn stop(&mut self) {
        self.stuck = true;
        self.consensus = None;
    }

    pub(super) fn recent(&self) -> impl ExactSizeIterator<Item = &Arc<Decision>> {
        self.recent.iter()
    }

    /// Notes a decision that has been applied.
    fn push(&mut self, decision: Decision) {
        (self.height, self.tip) = (decision.batch.height(), decision.batch.id());
        self.checkpoint = Landmark::of(&decision.batch).or(self.checkpoint);
        self.recent.push_back(Arc::new(decision));
        if self.recent.len() > limits::RECENT_DECISIONS {
            self.recent.pop_front();
        }
    }

    /// Whether to ask now for what follows: not while an answer may still be on its way.
    fn may_ask(&mut self, now: Timestamp) -> bool {
        let (next, missing) = (self.height.next(), self.ahead.0.saturating_sub(self.height.0));
        if self.awaited.0 == next && now < self.awaited.1 {
            return false;
        }
        let patience = if missing > MUCH { PART_MILLIS } else { ASK_AGAIN_MILLIS };
        self.awaited = (next, now.plus_millis(patience));
        true
    }
}

/// Returns the rounds of a state that have a result.
fn finished(state: &Ledger) -> BTreeSet<RoundId> {
    let finished = state.rounds().values().filter(|round| round.agreed_result().is_some());
    finished.map(|round| round.id).collect()
}

/// What the first batch names as its predecessor: the community's founding document.
pub(crate) fn start_of_log(community: CommunityId) -> BatchId {
    (*community.as_ref()).into()
}

/// The records of the consensus since the last reset, and its last pledge.
fn write_ahead(records: &[Record]) -> (Vec<Vec<u8>>, Option<Height>) {
    let mut wal = Vec::new();
    let mut pledged = None;
    for record in records {
        match record {
            Record::Wal(record) => wal.push(record.bytes.clone()),
            Record::WalReset(_) => wal.clear(),
            Record::Pledge(height) => pledged = Some(*height),
            // The records of a copy are of heights that others have long decided.
            Record::Restored(restored) if !restored.current => wal.clear(),
            Record::RoundKey(_)
            | Record::Acknowledged(_)
            | Record::Locked(_)
            | Record::Erased(_)
            | Record::Restored(_)
            | Record::Resumed(_) => {}
        }
    }
    (wal, pledged)
}

/// Returns the checkpoint with which a batch begins.
pub(super) fn checkpoint_of(batch: &Batch) -> Option<Checkpoint> {
    let first = SignedEntry::from_bytes(batch.entries().first()?).ok()?;
    if let Entry::Checkpoint(checkpoint) = first.entry { Some(checkpoint) } else { None }
}

/// Applies all entries of a batch, or none.
///
/// # Errors
///
/// Returns the first entry's [`Fault`]; the ledger is then in an unspecified state: pass a copy to ask.
pub(crate) fn apply_batch(ledger: &mut Ledger, batch: &Batch) -> Result<(), Fault> {
    if batch.entries().is_empty() {
        return Err(Fault::Mismatch("a batch without entries"));
    }
    for bytes in batch.entries() {
        ledger.apply(&SignedEntry::from_bytes(bytes)?)?;
    }
    ledger.complete(batch.height());
    Ok(())
}

/// As [`apply_batch`], with the signatures checked together first: what a quorum decided holds, so nothing is checked in
/// vain.
pub(super) fn apply_certified(ledger: &mut Ledger, batch: &Batch) -> Result<(), Fault> {
    if batch.entries().is_empty() {
        return Err(Fault::Mismatch("a batch without entries"));
    }
    let community = ledger.community();
    let check = |bytes: &Vec<u8>| {
        let signed = SignedEntry::from_bytes(bytes)?;
        signed.verify(community)?;
        Ok(signed)
    };
    let entries = batch.entries().par_iter().map(check).collect::<Result<Vec<SignedEntry>, Fault>>()?;
    entries.iter().try_for_each(|signed| ledger.apply_verified(signed))?;
    ledger.complete(batch.height());
    Ok(())
}

/// Whether an entry is on the log or can never be. `ledger` is a copy that becomes the state after it.
fn is_settled(ledger: &mut Ledger, entry: &SignedEntry) -> bool {
    match ledger.apply_verified(entry) {
        Ok(()) | Err(Fault::Early { .. } | Fault::Phase(_) | Fault::Unknown(_) | Fault::Quorum { .. }) => false,
        Err(_) => true,
    }
}

impl Peer {
    /// Takes an entry into the pool and tells the operators.
    pub(super) fn post(&mut self, entry: SignedEntry) {
        self.send_to_operators(&Message::Entry(entry.clone()));
        let _ = self.pool(entry);
    }

    /// Passes on an entry of somebody at this node until it is on the log, or can never be.
    pub(super) fn relay(&mut self, entry: SignedEntry) {
        if self.ordering.relayed.len() < limits::MAX_POOL {
            let again = self.now.plus_millis(RELAY_MILLIS);
            if self.ordering.relayed.insert(entry.id(), (entry.clone(), again)).is_none() {
                self.effects.push_back(Effect::StoreEntry(Box::new(entry.clone())));
            }
        }
        self.post(entry);
    }

    /// Goes on with an entry that was not on the log when the node stopped.
    pub(super) fn take_up_relayed(&mut self, entry: SignedEntry) {
        if is_settled(&mut self.ledger.clone(), &entry) {
            self.effects.push_back(Effect::DropEntry(entry.id()));
        } else {
            self.ordering.relayed.insert(entry.id(), (entry, self.now));
        }
    }

    /// Keeps the consensus silent up to a height.
    pub(super) fn silence_consensus(&mut self, until: Height) {
        if let Some(consensus) = &mut self.ordering.consensus {
            consensus.stay_silent_until(until);
        }
    }

    /// Begins with what has gathered while this operator listened.
    pub(super) fn wake_consensus(&mut self) {
        if !self.ordering.pool.entries.is_empty() {
            self.feed_consensus(Input::Wake);
        }
    }

    /// Leaves the ordering for good: from now on the log comes from others.
    pub(super) fn retire_from_ordering(&mut self) {
        self.ordering.consensus = None;
        self.ordering.pool = Pool::default();
    }

    fn relay_again(&mut self) {
        let (now, mut due) = (self.now, Vec::new());
        for (entry, at) in self.ordering.relayed.values_mut().filter(|(_, at)| *at <= now) {
            *at = now.plus_millis(RELAY_MILLIS);
            due.push(entry.clone());
        }
        due.into_iter().for_each(|entry| self.post(entry));
    }

    /// Sends the entries of the people at this node to an operator that has just been met.
    pub(super) fn send_relayed(&mut self, to: NodeId) {
        let entries: Vec<SignedEntry> = self.ordering.relayed.values().map(|(entry, _)| entry.clone()).collect();
        for entry in entries {
            self.send(to, &Message::Entry(entry));
        }
    }

    /// Takes an entry into the pool of this operator only: the others come to the same entry by themselves.
    pub(super) fn pool(&mut self, entry: SignedEntry) -> Result<(), Fault> {
        // Who does not propose needs no pool.
        if self.ordering.consensus.is_none() || self.operator().is_none() {
            return Ok(());
        }
        // What this operator says itself always has room: nobody can keep it from speaking.
        if self.config.operator.as_ref().is_none_or(|key| key.public() != entry.author) {
            let trusted = self.ledger.serves(&entry.author) || self.ledger.charter().attester(&entry.author).is_some();
            let most = if trusted { limits::MAX_POOL_PER_OFFICE } else { limits::MAX_POOL_PER_MEMBER };
            self.ordering.pool.has_room(&entry.author, most)?;
        }
        if self.ordering.pool.insert(entry) {
            self.feed_consensus(Input::Wake);
        }
        Ok(())
    }

    pub(super) fn on_entry(&mut self, from: NodeId, entry: SignedEntry) -> Result<(), Fault> {
        if self.operator().is_none() || self.ordering.pool.entries.contains_key(&entry.id()) {
            return Ok(());
        }
        let is_operator = self.nodes.get(&from).is_some_and(Option::is_some);
        self.entries.admit(self.now, from, is_operator)?;
        // Whoever proposes a batch makes its checkpoint; to check one costs an encoding of the whole state.
        if matches!(entry.entry, Entry::Checkpoint(_)) {
            return Err(Fault::NotAllowed("a checkpoint without its batch"));
        }
        // What does not follow from the log as it is may follow from it a batch later; only what can never be valid is
        // refused here, and what is on the log already is passed over.
        entry.verify(self.community)?;
        match self.ledger.clone().apply_verified(&entry) {
            Err(Fault::Duplicate(_)) => Ok(()),
            Ok(()) => self.pool(entry),
            Err(Fault::Early { .. } | Fault::Phase(_) | Fault::Unknown(_) | Fault::Quorum { .. }) => {
                // Anybody can make keys: what strangers say waits at their own nodes until it holds.
                if self.is_known(&entry.author) { self.pool(entry) } else { Ok(()) }
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether somebody holds an office or has registered.
    fn is_known(&self, author: &PublicKey) -> bool {
        self.ledger.serves(author)
            || self.ledger.charter().attester(author).is_some()
            || self.ledger.registry().person(author).is_some()
    }

    pub(super) fn on_consensus(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        let refused = self.feed_consensus(Input::Message(bytes));
        match refused {
            None => Ok(()),
            Some(ConsensusError::Refused(Refusal::Ahead(height))) => {
                self.ordering.ahead = self.ordering.ahead.max(Height(height.0.saturating_sub(1)));
                self.ordering.ask_at = self.ordering.ask_at.min(self.now.plus_millis(ASK_AGAIN_MILLIS));
                Ok(())
            }
            Some(refused) => {
                tracing::trace!(%refused, "consensus message");
                Ok(())
            }
        }
    }

    /// Hands one input to the consensus and does what it says.
    fn feed_consensus(&mut self, input: Input) -> Option<ConsensusError> {
        // What others decided is taken over; for the rest, whoever listens has not begun yet.
        if self.recovery.listens(self.now) && !matches!(input, Input::Sync(_) | Input::Advance(_)) {
            return None;
        }
        let ledger = &self.ledger;
        let consensus = self.ordering.consensus.as_mut()?;
        let validity = |batch: &Batch| apply_batch(&mut ledger.clone(), batch).is_ok();
        let error = consensus.handle(self.now, input, &validity).err();
        if let Some(ConsensusError::Halted(halt)) = &error {
            self.effects.push_back(Effect::Notice(Notice::Halted(halt.to_string())));
        }
        self.drain_consensus();
        error
    }

    pub(super) fn tick_consensus(&mut self) {
        let deadline = self.ordering.consensus.as_ref().and_then(Consensus::next_deadline);
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            self.feed_consensus(Input::Tick);
        }
        if self.ordering.ask_at <= self.now && !self.ordering.stuck {
            self.ask_for_log();
        }
        self.relay_again();
    }

    pub(super) fn drain_consensus(&mut self) {
        while let Some(output) = self.ordering.consensus.as_mut().and_then(Consensus::poll_output) {
            match output {
                Output::WalAppend(bytes) => self.persist(Record::Wal(crate::journal::WalRecord { bytes })),
                Output::WalSync => self.effects.push_back(Effect::Sync),
                Output::WalReset(height) => self.persist(Record::WalReset(height)),
                Output::Pledge(height) => {
                    self.persist(Record::Pledge(height));
                    self.effects.push_back(Effect::Sync);
                }
                Output::Send(bytes) => self.send_to_operators(&Message::Consensus(ConsensusBytes { bytes })),
                Output::ProposalWanted { height, round } => self.propose(height, round),
                Output::Decided(decision) => self.on_decided(*decision),
                Output::Evidence(evidence) => self.on_evidence(&evidence.to_bytes()),
            }
        }
    }

    /// Proposes what can be ordered now. What cannot be is dropped if it never can be, kept otherwise.
    fn propose(&mut self, height: Height, round: u32) {
        let mut ledger = self.ledger.clone();
        let mut entries = Vec::new();
        let mut bytes_left = limits::MAX_BATCH_BYTES;
        if let Some(checkpoint) = self.due_checkpoint(&mut ledger) {
            bytes_left -= checkpoint.len();
            entries.push(checkpoint);
        }
        let given = entries.len();
        // An opening names the members, who may be others than when it was put into the pool: it is made anew, and comes
        // before everything that changes them. Else one change in each batch would keep rounds from opening.
        let mut pool = self.due_openings();
        let waiting = std::mem::take(&mut self.ordering.pool).entries.into_values();
        pool.extend(waiting.filter(|signed| !matches!(signed.entry, Entry::Open(_))));
        // Several sweeps, since an entry may only be valid after another.
        loop {
            let before = entries.len();
            pool.retain(|entry| {
                let bytes = entry.to_bytes();
                if bytes.len() > bytes_left || entries.len() == limits::MAX_BATCH_ENTRIES {
                    return true;
                }
                match ledger.apply(entry) {
                    Ok(()) => {
                        bytes_left -= bytes.len();
                        entries.push(bytes);
                        // Kept until it is decided: the proposal may fail.
                        self.ordering.pool.insert(entry.clone());
                        false
                    }
                    Err(Fault::Early { .. } | Fault::Phase(_) | Fault::Unknown(_) | Fault::Quorum { .. }) => true,
                    Err(_) => false,
                }
            });
            if entries.len() == before {
                break;
            }
        }
        pool.into_iter().for_each(|entry| {
            self.ordering.pool.insert(entry);
        });
        // A checkpoint alone is no reason for a batch.
        if entries.len() > given {
            self.feed_consensus(Input::Propose { height, round, entries });
        }
    }

    /// Returns the checkpoint with which a batch has to begin now, applied to `ledger`.
    fn due_checkpoint(&self, ledger: &mut Ledger) -> Option<Vec<u8>> {
        let key = self.config.operator.as_ref()?;
        let every = self.config.checkpoints.every;
        let (checkpoint, _) = self.ordering.height.0.is_multiple_of(every).then(|| ledger.checkpoint())??;
        let signed = SignedEntry::sign(key, self.community, Entry::Checkpoint(checkpoint));
        ledger.apply_verified(&signed).ok()?;
        Some(signed.to_bytes())
    }

    fn on_decided(&mut self, decision: Decision) {
        if !self.commit(decision) {
            return;
        }
        // Before the next height begins: whoever must be asked again stays silent in it.
        self.end_silence();
        let committee = self.ledger.charter().committee();
        self.feed_consensus(Input::Advance(committee));
        let mut ledger = self.ledger.clone();
        if self.ordering.pool.entries.values().any(|entry| ledger.apply(entry).is_ok()) {
            self.feed_consensus(Input::Wake);
        }
    }

    /// Applies a decision that is known to be final. Returns whether it could be.
    pub(super) fn commit(&mut self, decision: Decision) -> bool {
        let mut contributions = Vec::new();
        for bytes in decision.batch.entries() {
            if let Ok(entry) = SignedEntry::from_bytes(bytes) {
                self.ordering.pool.remove(&entry.id());
                if let Entry::Contribution(accepted) = entry.entry {
                    contributions.push(accepted.header);
                }
            }
        }
        let mut ledger = self.ledger.clone();
        if let Err(fault) = apply_certified(&mut ledger, &decision.batch) {
            self.halt(decision.batch.height(), &fault);
            return false;
        }
        let charter_before = Arc::clone(self.ledger.charter());
        let before = std::mem::replace(&mut self.ledger, ledger);
        if checkpoint_of(&decision.batch).is_some() {
            self.effects.push_back(Effect::StoreBlob { bytes: before.to_bytes().into(), ordinal: None });
        }
        let height = decision.batch.height();
        self.effects.push_back(Effect::Commit(Box::new(decision.clone())));
        self.effects.push_back(Effect::Notice(Notice::Height(height)));
        self.ordering.push(decision);
        if !Arc::ptr_eq(&charter_before, self.ledger.charter()) && self.operator().is_none() {
            self.ordering.pool = Pool::default();
        }
        self.recognise_all();
        if self.operator().is_some() {
            let tip = Message::Tip(Tip { height });
            self.effects.push_back(Effect::Publish(tip.seal(self.community)));
        }
        self.ordering.fruitless = 0;
        self.duties.mark_changed();
        self.collected.settle(&self.ledger);
        contributions.iter().for_each(|header| self.drop_earlier(header));
        self.stems.settle(|attempt| Collected::is_logged(&self.ledger, attempt));
        let mut ledger = self.ledger.clone();
        let effects = &mut self.effects;
        self.ordering.relayed.retain(|id, (entry, _)| {
            let settled = is_settled(&mut ledger, entry);
            if settled {
                effects.push_back(Effect::DropEntry(*id));
            }
            !settled
        });
        true
    }

    /// Stops ordering and following: a quorum decided what this node cannot apply. Operators who decide what does not even
    /// decode here know kinds of entries that this version does not.
    fn halt(&mut self, height: Height, fault: &Fault) {
        let what = if matches!(fault, Fault::Encoding(_)) {
            format!("upgrade: at height {height} the log holds an entry that this version does not know ({fault})")
        } else {
            format!("a quorum decided a batch that is invalid here: {fault}")
        };
        self.ordering.stop();
        self.effects.push_back(Effect::Notice(Notice::Halted(what)));
    }

    fn on_evidence(&mut self, bytes: &[u8]) {
        let entry = Entry::Evidence(EvidenceEntry { bytes: bytes.to_vec() });
        self.on_command(Command::Post(entry));
    }

    pub(super) fn send_tip(&mut self, to: NodeId) {
        let height = self.ordering.height();
        self.send(to, &Message::Tip(Tip { height }));
    }

    pub(super) fn on_tip(&mut self, from: NodeId, height: Height) {
        if height > self.ordering.height() && !self.ordering.stuck {
            self.ordering.ask_at = self.ordering.ask_at.min(self.now.plus_millis(ASK_AGAIN_MILLIS));
            // Anybody can claim a height. While an operator is there, others' claims are a reason to ask it, and no more.
            let is_operator = |operator: &Option<PublicKey>| operator.is_some();
            if !self.nodes.get(&from).is_some_and(is_operator) && self.nodes.values().any(is_operator) {
                return;
            }
            self.ordering.ahead = self.ordering.ahead.max(height);
            if self.arriving.is_none() && self.ordering.may_ask(self.now) {
                self.send(from, &Message::LogRequest(Tip { height: self.ordering.height().next() }));
            }
        }
    }

    /// Asks the next operator in turn for what follows.
    fn ask_for_log(&mut self) {
        if self.arriving.is_some() {
            self.ordering.ask_at = self.now.plus_millis(ASK_MILLIS);
            return self.ask_for_landmark();
        }
        if self.ordering.fruitless >= BELIEVED_REQUESTS {
            self.ordering.ahead = self.ordering.height();
        }
        let behind = self.ordering.ahead > self.ordering.height();
        self.ordering.ask_at = self.now.plus_millis(if behind { ASK_AGAIN_MILLIS } else { ASK_MILLIS });
        if behind && !self.ordering.may_ask(self.now) {
            return;
        }
        self.ordering.fruitless = if behind { self.ordering.fruitless + 1 } else { 0 };
        let operators: Vec<NodeId> =
            self.nodes.iter().filter(|(_, operator)| operator.is_some()).map(|(node, _)| *node).collect();
        self.ordering.asked = self.ordering.asked.wrapping_add(1);
        if let Some(node) = operators.get(self.ordering.asked.checked_rem(operators.len()).unwrap_or(0)) {
            self.ordering.asked_of = Some(*node);
            self.send(*node, &Message::LogRequest(Tip { height: self.ordering.height().next() }));
        }
    }

    pub(super) fn on_log_request(&mut self, from: NodeId, height: Height) {
        let height = height.max(Height(1));
        if height > self.ordering.height() {
            return;
        }
        // A request is short and its answer long: whoever asks for more than it can take gets nothing.
        let is_operator = self.nodes.get(&from).is_some_and(Option::is_some);
        if !self.entries.admit_log_request(self.now, from, is_operator) {
            return;
        }
        // What is before the start, others have.
        if height <= self.ordering.start {
            return self.send_nothing(from);
        }
        let oldest = self.ordering.recent.front().map(|decision| decision.batch.height());
        if oldest.is_none_or(|oldest| height < oldest) {
            self.effects.push_back(Effect::SendLog { to: from, from: height });
            return;
        }
        let recent = self.ordering.recent.iter().skip_while(|decision| decision.batch.height() < height);
        let part = LogPart::of(recent.map(|decision| decision.as_ref().clone()));
        self.send(from, &Message::Log(part));
    }

    /// Takes a part of the log.
    ///
    /// # Correctness
    ///
    /// One certificate at the end of the part would prove all of it, for each batch names the one before. All
    /// certificates are checked all the same: each is kept, passed on and shown to verifiers, and one that nobody looked
    /// at would make this node the one that spreads it. They are checked together, for the committee in force, and once more
    /// from where that changes.
    pub(super) fn on_log(&mut self, from: NodeId, part: LogPart) -> Result<(), Fault> {
        if self.ordering.stuck {
            return Ok(());
        }
        if self.arriving.is_some() {
            return self.on_landmark(part);
        }
        if part.decisions.is_empty() {
            // It lacks what it was asked for: the next one may have it.
            if self.ordering.asked_of.take_if(|asked| *asked == from).is_some() {
                self.ordering.awaited.1 = self.now;
                self.ordering.ask_at = self.ordering.ask_at.min(self.now.plus_millis(ASK_AGAIN_MILLIS));
            }
            return Ok(());
        }
        let next = self.ordering.height().next();
        let mut decisions = part.decisions;
        decisions.retain(|decision| decision.batch.height() >= next);
        let mut link = (next, self.ordering.tip);
        for Decision { batch, .. } in &decisions {
            if (batch.height(), batch.previous()) != link {
                return Err(Fault::Mismatch("the log's chain"));
            }
            link = (batch.height().next(), batch.id());
        }
        let mut charter = Arc::clone(self.ledger.charter());
        let mut verified = self.verify_certificates(&decisions);
        for (index, decision) in decisions.iter().enumerate() {
            if !Arc::ptr_eq(&charter, self.ledger.charter()) {
                charter = Arc::clone(self.ledger.charter());
                verified.truncate(index);
                verified.extend(self.verify_certificates(decisions.get(index..).unwrap_or_default()));
            }
            if verified.get(index) != Some(&true) {
                return Err(Fault::Mismatch("a certificate"));
            }
            let decision = decision.clone();
            if self.ordering.consensus.is_some() {
                self.feed_consensus(Input::Sync(Box::new(decision)));
            } else if !self.commit(decision) {
                break;
            }
        }
        if self.ordering.ahead > self.ordering.height() {
            self.on_tip(from, self.ordering.ahead);
        }
        Ok(())
    }

    /// Tells which certificates hold for the committee in force now.
    fn verify_certificates(&self, decisions: &[Decision]) -> Vec<bool> {
        let (committee, community) = (self.ledger.charter().committee(), self.community);
        let holds = |decision: &Decision| decision.certificate.verify(&committee, community, &decision.batch).is_ok();
        decisions.par_iter().map(holds).collect()
    }
}
