//! Byzantine agreement on the next batch, as a state machine without input or output of its own.
//!
//! # What it is
//!
//! Tendermint ([Buchman, Kwon, Milosevic 2018](https://arxiv.org/abs/1807.04938)) as implemented by the Malachite core
//! crates, behind a narrow interface of ours: [`Input`]s go in, [`Output`]s come out, time is an argument, and no type
//! of the engine is visible outside. Of n operators up to f = ⌊(n−1)/3⌋ may be faulty in any way; then no two batches
//! are ever decided at one height, and while more than 2n/3 operators can talk to each other, something is. Signatures,
//! encodings, certificates, records and evidence are ours, so the engine could be exchanged under the same log.
//!
//! ```text
//!          Wake, or an authenticated message of this height
//!   Idle ────────────────────────────────────────────────▶ Running ── quorum, or Sync ──▶ Decided
//!    ▲                                                                                       │
//!    └──────────────────── Advance: stored, applied, next committee known ───────────────────┘
//! ```
//!
//! Heights start on demand. An idle log has no timers and sends nothing, and no batch is decided unless an operator
//! proposed one; so hosts should gossip entries to all operators, that whoever's turn it is has something to propose.
//!
//! # The host's loop
//!
//! Outputs are performed one by one, in order; what they lead to is a new input. This is all of it for a community of
//! one operator; with more, `Send` goes to the others, and their bytes come back as [`Input::Message`].
//!
//! ```
//! use chorus_crypto::sign::SecretKey;
//! use chorus_protocol::{
//!     id::{BatchId, CommunityId},
//!     log::{
//!         batch::{Batch, Height},
//!         certificate::Committee,
//!         consensus::{Config, Consensus, ConsensusError, Decision, Input, Output, Refusal, Resume, Timeouts},
//!     },
//!     time::Timestamp,
//! };
//!
//! /// Stands for the host's store, network and mempool.
//! #[derive(Default)]
//! struct Host { wal: Vec<Vec<u8>>, pledged: Option<Height>, log: Vec<Decision>, pending: Vec<Vec<u8>> }
//!
//! fn drive(host: &mut Host, node: &mut Consensus, now: Timestamp, committee: &Committee, input: Input) {
//!     let rules = |batch: &Batch| !batch.entries().is_empty(); // a pure function of the log and the batch
//!     let mut inputs = vec![input];
//!     while let Some(input) = inputs.pop() {
//!         match node.handle(now, input, &rules) {
//!             Ok(()) => {}
//!             Err(ConsensusError::Refused(Refusal::Stale(_))) => { /* answer the sender with that decision */ }
//!             Err(ConsensusError::Refused(Refusal::Ahead(_))) => { /* ask the sender for the running height's */ }
//!             Err(ConsensusError::Refused(_)) => { /* count it against the sender */ }
//!             Err(error) => panic!("stop the node: {error}"),
//!         }
//!         while let Some(output) = node.poll_output() {
//!             match output {
//!                 Output::WalAppend(record) => host.wal.push(record),
//!                 Output::WalSync => { /* fsync; if it fails, stop */ }
//!                 Output::WalReset(_) => host.wal.clear(),
//!                 Output::Pledge(height) => host.pledged = Some(height), // durably, before going on
//!                 Output::Send(_bytes) => { /* to all other operators */ }
//!                 Output::ProposalWanted { height, round } if !host.pending.is_empty() => {
//!                     inputs.push(Input::Propose { height, round, entries: host.pending.clone() });
//!                     break;
//!                 }
//!                 Output::ProposalWanted { .. } => {}
//!                 Output::Decided(decision) => {
//!                     host.pending.retain(|entry| !decision.batch.entries().contains(entry));
//!                     host.log.push(*decision); // durably, and applied to the ledger, before going on
//!                     inputs.push(Input::Advance(committee.clone()));
//!                     break;
//!                 }
//!                 Output::Evidence(_) => { /* becomes a log entry */ }
//!             }
//!         }
//!     }
//!     // Arm one timer for node.next_deadline(), and feed Input::Tick when it fires.
//! }
//!
//! let (key, now) = (SecretKey::from_seed(&[1; 32]), Timestamp::from_millis(0));
//! let committee = Committee::new([key.public()])?;
//! let mut host = Host { pending: vec![b"entry".to_vec()], ..Host::default() };
//! let config = Config { community: CommunityId::default(), key, timeouts: Timeouts::default() };
//! let resume = Resume {
//!     height: Height::GENESIS,
//!     batch: BatchId::default(),
//!     committee: committee.clone(),
//!     records: &host.wal,
//!     pledged: host.pledged,
//! };
//! let mut node = Consensus::new(config, now, resume)?;
//!
//! drive(&mut host, &mut node, now, &committee, Input::Wake);
//!
//! let Decision { batch, certificate } = &host.log[0];
//! certificate.verify(&committee, CommunityId::default(), batch)?;
//! assert_eq!(batch.entries(), [b"entry".to_vec()]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! [`Consensus::new`] may leave outputs as well: poll them before the first input.
//!
//! # Duties around the write-ahead log
//!
//! A record is appended before its consequences leave the node, and [`Output::WalSync`] stands before the
//! [`Output::Send`] or [`Output::Decided`] that depends on it. A host that performs outputs in order therefore wakes up
//! after any crash with every statement it ever sent, says the same again, and never another. The rules:
//!
//! 1. If an append, sync, pledge or store fails, stop the node. Never skip to the next output.
//! 2. Hand *all* records to [`Consensus::new`], in order; it ignores those of heights already decided. A torn last
//!    record is the store's to drop.
//! 3. Store a decision durably before [`Input::Advance`]: the reset of the log follows.
//! 4. [`Output::Pledge`] is kept apart from the records, for instance with the key. If the records of a pledged height
//!    are missing, the log was lost or an old copy was restored, and the key stays silent until that height is past. If
//!    the pledge is lost as well, nothing protects the key: come back with a new one.
//!
//! Behind this stands a second lock: the signer remembers the digest of what it signed in each step, from its own
//! records, and halts the node rather than sign another ([`Halt::Contradiction`]).
//!
//! # What is checked before the engine sees anything
//!
//! Messages decode within bounds and only in canonical form; the signer is an operator of the height and the signature
//! verifies strictly; a proposal comes from the operator whose turn it is, and its batch follows the log and passes the
//! caller's [`Validity`]; bundles of votes hold as a whole. Messages of the next height are kept, a few per operator;
//! others are refused with the [`Refusal`] that says why. A refusal changes nothing, except that an authenticated
//! message of an idle height starts it.
//!
//! # What a follower checks
//!
//! It walks the log from the founding document on: `batch.previous()` is the id of the batch before;
//! [`Certificate::verify`](super::certificate::Certificate::verify) holds for the committee of that height; the entries
//! are valid; entries that change the committee take effect at the height they state. Certificates of one height differ
//! between operators, so only (height, id) is ever compared. A node whose key is not in the committee may use
//! [`Consensus`] too, with [`Input::Sync`]: it is silent by itself.
//!
//! # Why not otherwise
//!
//! *Decisions of others bypass the engine.* The engine has a path for them, but it can block on a certified value that
//! it once called invalid ([1482](https://github.com/circlefin/malachite/issues/1482)). A verified certificate needs no
//! engine: it ends the height, and the next one starts the engine afresh. If our rules forbid what a quorum decided,
//! the node halts visibly ([`Halt::DecidedInvalid`]).
//!
//! *Whole proposals, judged here.* The engine's mode for whole proposals calls every one valid
//! ([953](https://github.com/circlefin/malachite/issues/953)); so it runs in the other mode, and each proposal is
//! followed by our verdict. The engine does not authenticate verdicts, which is why proposals are checked before it.
//!
//! *Known upstream, and accepted.* A member that equivocates can delay a height by hiding a lock, up to round 10, from
//! where the engine defends itself ([956](https://github.com/circlefin/malachite/issues/956)). The engine is unaudited.
//! It reads the clock once per height, for a feature that is off. It votes before it publishes its proposal, so peers
//! see the prevote of the proposer first. Evidence covers the running height only: votes that arrive after a decision
//! are refused as stale.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use arc_malachitebft_core_consensus::{
    Input as EngineInput, LocallyProposedValue, Params, ProposedValue, State, ValuePayload, process,
};
use arc_malachitebft_core_types::{
    Round, SignedMessage, ThresholdParams, Validity as Verdict, ValueOrigin, VoteExtensionPolicy,
};
use chorus_crypto::{codec::Decode, sign::PublicKey};

pub(crate) use self::context::Member;
use self::{
    context::{Chorus, Value},
    message::{Bundle, BundleKind, Message, SignedProposal},
    record::{Record, polka_certificate},
    shell::{Shell, normalised, round_certificate},
    signer::Signer,
};
use super::{
    batch::{Batch, Height},
    certificate::Committee,
};
use crate::{id::BatchId, time::Timestamp};

mod context;
mod error;
mod evidence;
mod interface;
pub(crate) mod message;
mod record;
mod shell;
mod signer;
#[cfg(test)]
mod tests;

pub use self::{
    error::{ConsensusError, Halt, Refusal, ResumeError},
    evidence::{Evidence, EvidenceError, Pair},
    interface::{Config, Input, Output, Resume, Timeouts, Validity},
    message::{Decision, ProposalHead, Signed, Statement, Vote},
    signer::Step,
};

/// Messages of one sender that are kept for the next height while this one is not stored yet.
const EARLY_MESSAGES: usize = 8;

/// Proposals among them: they are the large ones.
const EARLY_PROPOSALS: usize = 2;

/// Rounds ahead of the running one in which the engine listens.
const FAR_ROUNDS: u32 = 10;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing to order: no timers, no messages.
    Idle,
    /// The engine is at work.
    Running,
    /// Decided; the host has not advanced yet.
    Decided,
}

/// One operator's, or follower's, part in the agreement on one height after the other.
pub struct Consensus {
    engine: State<Chorus>,
    shell: Shell,
    committee: Committee,
    phase: Phase,
    /// The id of the batch before the running height, or of the running height once decided.
    tip: BatchId,
    /// Up to this height the key may have signed something that no record tells of.
    abstain_until: Option<Height>,
    early: BTreeMap<PublicKey, VecDeque<Message>>,
    reported: BTreeSet<(PublicKey, u32, Step)>,
}

impl Consensus {
    /// Resumes after the last durable decision, replaying the records of the height after it.
    ///
    /// # Errors
    ///
    /// Returns a [`ResumeError`] if a record is corrupt or replay contradicts what was signed.
    ///
    /// # Security
    ///
    /// If `pledged` names a height for which `records` tells of no signature, the write-ahead log was lost or an old
    /// copy was restored. The node then only listens until a later height, for it no longer knows what it signed.
    pub fn new(config: Config, now: Timestamp, resume: Resume<'_>) -> Result<Self, ResumeError> {
        let height = resume.height.next();
        let decode = |(index, bytes): (usize, &Vec<u8>)| {
            Record::from_bytes(bytes).map_err(|error| ResumeError::Record { index, error })
        };
        let records = resume.records.iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()?;
        let known = records.iter().map(Record::height).filter(|known| *known > height);
        let pledged = known.chain(resume.pledged).max().unwrap_or_default();
        let records: Vec<Record> = records.into_iter().filter(|record| record.height() == height).collect();

        let address = Member(config.key.public());
        let mut signer = Signer::new(config.key, config.community);
        for record in &records {
            if let Record::Pledged(pledged) = record {
                signer.restore(pledged)?;
            }
        }
        let lost = pledged > height || (pledged == height && !signer.has_signed_at(height));
        let params = Params {
            address,
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let shell = Shell {
            community: config.community,
            signer,
            timeouts: config.timeouts,
            now,
            height,
            active: false,
            replaying: false,
            unsynced: !records.is_empty(),
            pledged,
            wanted: None,
            timers: Vec::new(),
            decided: None,
            evidence: Vec::new(),
            halt: None,
            outputs: VecDeque::new(),
        };
        let mut consensus = Self {
            engine: State::new(Chorus, height, resume.committee.clone(), params, 1, 1),
            shell,
            committee: resume.committee,
            phase: Phase::Idle,
            tip: resume.batch,
            abstain_until: lost.then_some(pledged),
            early: BTreeMap::new(),
            reported: BTreeSet::new(),
        };
        consensus.enlist();
        if records.is_empty() && !resume.records.is_empty() {
            if lost {
                consensus.shell.outputs.push_back(Output::Pledge(pledged));
            }
            consensus.shell.outputs.push_back(Output::WalReset(height));
        }
        if !records.is_empty() && consensus.shell.active {
            consensus.replay(records)?;
        }
        Ok(consensus)
    }

    /// Advances by one input. `validity` must know the log up to the running height.
    ///
    /// # Errors
    ///
    /// Returns a [`ConsensusError`]; a refused input changes nothing. After [`ConsensusError::Halted`] every call
    /// returns the same.
    pub fn handle(&mut self, now: Timestamp, input: Input, validity: &dyn Validity) -> Result<(), ConsensusError> {
        if let Some(halt) = &self.shell.halt {
            return Err(halt.clone().into());
        }
        self.shell.now = self.shell.now.max(now);
        match input {
            Input::Wake => Ok(self.start()?),
            Input::Message(bytes) => self.on_message(Message::from_bytes(&bytes).map_err(Refusal::from)?, validity),
            Input::Propose { height, round, entries } => self.on_propose((height, round), entries, validity),
            Input::Sync(decision) => self.on_sync(*decision, validity),
            Input::Advance(committee) => self.on_advance(committee, validity),
            Input::Tick => Ok(self.on_tick()?),
        }
    }

    /// Returns the next thing to do, if any. What it says must be done before the next one is asked for.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shell.outputs.pop_front()
    }

    /// Returns when [`Input::Tick`] is due. `None` while idle.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.shell.timers.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Returns the running height: the first that is not decided, or the decided one until the host advances.
    pub const fn height(&self) -> Height {
        self.shell.height
    }

    /// Returns the running round; `None` unless a height is running.
    pub fn round(&self) -> Option<u32> {
        if self.phase == Phase::Running { self.engine.round().as_u32() } else { None }
    }

    /// Tells whether this key signs at the running height: it is an operator, and knows what it signed before.
    pub const fn is_active(&self) -> bool {
        self.shell.active
    }

    /// Keeps the key silent up to a height, from the next height on that begins, or at once if none is running.
    ///
    /// A later call may lower the height: whoever calls knows up to where the key may have signed.
    pub fn stay_silent_until(&mut self, height: Height) {
        self.abstain_until = Some(height);
        if self.phase != Phase::Running {
            self.enlist();
        }
    }

    /// Decides whether this key signs at the running height.
    fn enlist(&mut self) {
        let abstains = self.abstain_until.is_some_and(|until| self.shell.height <= until);
        self.engine.params.enabled = !abstains;
        self.shell.active = !abstains && self.committee.contains(&self.engine.address().0);
    }

    fn start(&mut self) -> Result<(), Halt> {
        if self.phase != Phase::Idle {
            return Ok(());
        }
        self.phase = Phase::Running;
        // Never as a "restart": that is for a log that was wiped on purpose, and lets the engine vote twice.
        let (height, committee) = (self.shell.height, self.committee.clone());
        self.step(EngineInput::StartHeight(height, committee, false, None, VoteExtensionPolicy::Disabled))
    }

    fn replay(&mut self, records: Vec<Record>) -> Result<(), Halt> {
        let inputs: Vec<_> = records.into_iter().filter_map(Record::into_input).collect();
        self.shell.replaying = true;
        self.start()?;
        self.engine.index_wal_entries(&inputs);
        for input in inputs.iter().cloned() {
            if self.phase == Phase::Running {
                self.step(input)?;
            }
        }
        self.engine.reset_entries_index();
        self.shell.replaying = false;
        self.resume_proposing(&inputs)
    }

    /// Says again what this node proposed in the running round, proposes what it was about to, or asks for a batch if
    /// there was none yet. Votes are said again by replay itself.
    fn resume_proposing(&mut self, inputs: &[EngineInput<Chorus>]) -> Result<(), Halt> {
        let own = *self.engine.address();
        let round = self.engine.round();
        if self.phase != Phase::Running {
            return Ok(());
        }
        for input in inputs {
            if let EngineInput::Proposal(proposal) = input
                && proposal.message.head.signer == own
                && Round::new(proposal.message.head.round) == round
            {
                self.shell.send(&Message::Proposal(proposal.clone().into()));
            }
        }
        let waiting = self.engine.driver.step_is_propose();
        let Some(wanted) = self.shell.wanted.filter(|_| waiting) else { return Ok(()) };
        let judged = inputs.iter().find_map(|input| match input {
            EngineInput::ProposedValue(value, _) if value.proposer == own && value.round == round => Some(&value.value),
            _ => None,
        });
        match judged {
            Some(value) => self.propose(wanted, value.clone()),
            None => {
                self.shell.request();
                Ok(())
            }
        }
    }

    fn on_message(&mut self, message: Message, validity: &dyn Validity) -> Result<(), ConsensusError> {
        let (height, running) = (message.height(), self.shell.height);
        if height < running || (height == running && self.phase == Phase::Decided) {
            return Err(Refusal::Stale(height).into());
        }
        if height > running.next() {
            return Err(Refusal::Ahead(height).into());
        }
        self.authenticate(&message)?;
        if height > running {
            return Ok(self.keep_early(message)?);
        }
        self.start()?;
        match message {
            Message::Vote(vote) => {
                self.check_round(vote.statement.round)?;
                self.step(EngineInput::Vote(vote.into()))?;
            }
            Message::Proposal(proposal) => self.on_proposal(proposal, validity)?,
            Message::Bundle(bundle) => self.on_bundle(&bundle)?,
        }
        Ok(())
    }

    /// Refuses whatever is not signed by those who may say it.
    fn authenticate(&self, message: &Message) -> Result<(), Refusal> {
        let community = self.shell.community;
        let member = |key: PublicKey| {
            if self.committee.contains(&key) { Ok(()) } else { Err(Refusal::Stranger(key)) }
        };
        match message {
            Message::Vote(vote) => {
                member(vote.statement.signer())?;
                vote.verify(community).map_err(|_| Refusal::Signature)
            }
            Message::Proposal(SignedProposal { head, .. }) => {
                let statement = &head.statement;
                let (proposer, height, round) = (statement.signer(), statement.height, statement.round);
                member(proposer)?;
                head.verify(community).map_err(|_| Refusal::Signature)?;
                // Whose turn it is at the next height, only the next committee tells.
                if height == self.shell.height && self.committee.proposer(height, round) != proposer {
                    return Err(Refusal::OutOfTurn { proposer, height, round });
                }
                Ok(())
            }
            Message::Bundle(bundle) if self.shell.holds(bundle, &self.committee) => Ok(()),
            Message::Bundle(_) => Err(Refusal::Bundle),
        }
    }

    fn check_round(&self, round: u32) -> Result<(), Refusal> {
        let running = self.engine.round().as_u32().unwrap_or_default();
        if round > running.saturating_add(FAR_ROUNDS) { Err(Refusal::FarRound(round)) } else { Ok(()) }
    }

    /// Keeps an authenticated message for the next height. Bundles are not kept: they will be sent again.
    fn keep_early(&mut self, message: Message) -> Result<(), Refusal> {
        let sender = match &message {
            Message::Vote(vote) => vote.statement.signer(),
            Message::Proposal(proposal) => proposal.head.statement.signer(),
            Message::Bundle(_) => return Ok(()),
        };
        let kept = self.early.entry(sender).or_default();
        if kept.contains(&message) {
            return Ok(());
        }
        let is_proposal = |message: &Message| matches!(message, Message::Proposal(_));
        let proposals = kept.iter().filter(|kept| is_proposal(kept)).count();
        if kept.len() >= EARLY_MESSAGES || (is_proposal(&message) && proposals >= EARLY_PROPOSALS) {
            return Err(Refusal::Crowding(sender));
        }
        kept.push_back(message);
        Ok(())
    }

    fn on_proposal(&mut self, proposal: SignedProposal, validity: &dyn Validity) -> Result<(), ConsensusError> {
        let SignedProposal { head, value } = proposal.clone();
        let (height, round) = (head.statement.height, Round::new(head.statement.round));
        self.check_round(head.statement.round)?;
        let known = self.engine.full_proposal_at_round_and_value(&height, round, &value);
        if known.is_some_and(|known| known.proposal.message.head == head.statement) {
            return Ok(()); // a proposal sent again must not be logged again
        }
        let verdict = Verdict::from_bool(self.follows(&value.batch) && validity.is_valid(&value.batch));
        self.step(EngineInput::Proposal(SignedMessage::from(proposal)))?;
        if self.phase == Phase::Running {
            let judged = ProposedValue {
                height,
                round,
                valid_round: head.statement.valid_round.into(),
                proposer: head.statement.signer,
                value,
                validity: verdict,
            };
            self.step(EngineInput::ProposedValue(judged, ValueOrigin::Consensus))?;
        }
        Ok(())
    }

    fn on_bundle(&mut self, bundle: &Bundle) -> Result<(), Halt> {
        match bundle.kind {
            BundleKind::Polka => match polka_certificate(bundle) {
                Some(polka) => self.step(EngineInput::PolkaCertificate(polka)),
                None => Ok(()),
            },
            BundleKind::Precommits | BundleKind::Skip => {
                self.step(EngineInput::RoundCertificate(round_certificate(bundle)))
            }
        }
    }

    fn on_propose(
        &mut self,
        (height, round): (Height, u32),
        entries: Vec<Vec<u8>>,
        validity: &dyn Validity,
    ) -> Result<(), ConsensusError> {
        if self.phase != Phase::Running || height != self.shell.height || self.shell.wanted != Some(round) {
            return Ok(());
        }
        let batch = Batch::new(height, self.tip, entries)?;
        if !validity.is_valid(&batch) {
            return Err(ConsensusError::InvalidProposal);
        }
        Ok(self.propose(round, Value::new(Arc::new(batch)))?)
    }

    fn propose(&mut self, round: u32, value: Value) -> Result<(), Halt> {
        self.shell.wanted = None;
        let height = self.shell.height;
        self.step(EngineInput::Propose(LocallyProposedValue::new(height, Round::new(round), value)))
    }

    /// Takes over what a quorum decided without us. The engine need not hear of it: the next height starts it afresh.
    fn on_sync(&mut self, decision: Decision, validity: &dyn Validity) -> Result<(), ConsensusError> {
        let (height, running) = (decision.certificate.height, self.shell.height);
        if height < running || (height == running && self.phase == Phase::Decided) {
            return Err(Refusal::Stale(height).into());
        }
        if height > running {
            return Err(Refusal::Ahead(height).into());
        }
        let verified = decision.certificate.verify(&self.committee, self.shell.community, &decision.batch);
        verified.map_err(Refusal::from)?;
        if !self.follows(&decision.batch) || !validity.is_valid(&decision.batch) {
            return Err(self.stop(Halt::DecidedInvalid(height)).into());
        }
        self.decide(decision);
        Ok(())
    }

    fn on_advance(&mut self, committee: Committee, validity: &dyn Validity) -> Result<(), ConsensusError> {
        let decided = self.shell.height;
        if self.phase != Phase::Decided {
            return Err(ConsensusError::Undecided(decided));
        }
        self.phase = Phase::Idle;
        self.committee = committee;
        self.shell.height = decided.next();
        self.shell.signer.forget_before(self.shell.height);
        self.shell.unsynced = false;
        self.reported.clear();
        self.enlist();
        self.shell.outputs.push_back(Output::WalReset(self.shell.height));
        for message in core::mem::take(&mut self.early).into_values().flatten() {
            match self.on_message(message, validity) {
                // The next committee may know better who may speak; what it refuses is dropped.
                Ok(()) | Err(ConsensusError::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn on_tick(&mut self) -> Result<(), Halt> {
        // A timer set while one fires is not due yet: waits last at least a millisecond.
        while let Some(index) = self.due() {
            let (_, timeout) = self.shell.timers.remove(index);
            self.step(EngineInput::TimeoutElapsed(timeout))?;
        }
        Ok(())
    }

    /// Returns the place of the timer that is due first, if any is.
    fn due(&self) -> Option<usize> {
        let earliest = self.shell.timers.iter().enumerate().min_by_key(|(_, (deadline, _))| *deadline);
        earliest.filter(|(_, (deadline, _))| *deadline <= self.shell.now).map(|(index, _)| index)
    }

    fn follows(&self, batch: &Batch) -> bool {
        batch.height() == self.shell.height && batch.previous() == self.tip
    }

    /// Feeds the engine one input and takes over what it did. On a halt nothing of it leaves this node.
    fn step(&mut self, input: EngineInput<Chorus>) -> Result<(), Halt> {
        let before = self.shell.outputs.len();
        let Self { engine, shell, .. } = self;
        let result: Result<(), arc_malachitebft_core_consensus::Error<Chorus>> = process!(
            input: input,
            state: engine,
            metrics: &(),
            with: effect => Ok::<_, core::convert::Infallible>(shell.perform(effect))
        );
        if let Err(error) = result {
            self.shell.halt.get_or_insert(Halt::Engine(error.to_string()));
        }
        if let Some(halt) = self.shell.halt.clone() {
            self.shell.outputs.truncate(before);
            return Err(self.stop(halt));
        }
        self.report_evidence();
        if let Some(certificate) = self.shell.decided.take() {
            let (_, value) = self.engine.decided_value().expect("the engine keeps what it decided");
            let certificate = normalised(&self.committee, &certificate);
            self.decide(Decision { batch: Arc::unwrap_or_clone(value.batch), certificate });
        }
        Ok(())
    }

    fn decide(&mut self, decision: Decision) {
        self.phase = Phase::Decided;
        self.tip = decision.certificate.value;
        self.shell.timers.clear();
        self.shell.wanted = None;
        self.shell.outputs.push_back(Output::Decided(Box::new(decision)));
    }

    fn stop(&mut self, halt: Halt) -> Halt {
        self.shell.timers.clear();
        self.shell.halt = Some(halt.clone());
        halt
    }

    /// Reports what the engine noticed, once per signer and step.
    fn report_evidence(&mut self) {
        let driver = &self.engine.driver;
        if !driver.votes().evidence().is_empty() || !driver.proposals().evidence().is_empty() {
            let evidence = arc_malachitebft_core_consensus::MisbehaviorEvidence {
                votes: driver.votes().evidence().clone(),
                proposals: driver.proposals().evidence().clone(),
            };
            self.shell.collect(&evidence);
        }
        for evidence in core::mem::take(&mut self.shell.evidence) {
            let (accused, _, round, step) = evidence.accused();
            if self.reported.insert((accused, round, step)) {
                self.shell.outputs.push_back(Output::Evidence(Box::new(evidence)));
            }
        }
    }
}

impl core::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Consensus")
            .field("height", &self.shell.height)
            .field("round", &self.round())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
