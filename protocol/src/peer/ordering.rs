//! Ordering: the pool of entries, the consensus that orders them, and the log that others catch up from.

mod catching_up;
mod pool;

use std::sync::Arc;

pub(super) use self::pool::Entries;
use self::pool::{Pool, is_settled};
use super::*;
use crate::{
    limits,
    log::{
        batch::Batch,
        consensus::{Config as ConsensusConfig, Consensus, ConsensusError, Input, Output, Refusal, Resume},
        entry::Evidence as EvidenceEntry,
    },
    message::{ConsensusBytes, Tip},
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

impl Peer {
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

    pub(super) fn on_consensus(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        let refused = self.feed_consensus(Input::Message(bytes));
        match refused {
            None => Ok(()),
            Some(ConsensusError::Refused(Refusal::Ahead(height))) => {
                self.ordering.ahead = self.ordering.ahead.max(Height(height.0.saturating_sub(1)));
                self.ordering.ask_soon(self.now);
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
}
