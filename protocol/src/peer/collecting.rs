//! Collecting: contributions arrive, are [verified](super::verifying) together, acknowledged once, and become entries.
//!
//! An operator acknowledges a contribution when proofs, link and credential hold, its own seeds agree, and the whole
//! body is durable ([`Effect::StorePrivate`] before [`Effect::Sync`] before the acknowledgement leaves). It
//! acknowledges one body per tag and sequence.

use std::sync::Arc;

use chorus_crypto::{credential::Tag, seal::seal};

use super::{recalling::Recalled, *};
use crate::{
    contribution::{Acknowledgement, CheckedForm, Equations, Format, SealedBox, Submission, split_seeds, verify_all},
    fault::bound,
    journal::AcknowledgedRecord,
    ledger::RoundState,
    limits,
    log::entry::{AcceptedContribution, ContributionHeader},
    message::{Handover, SubmissionRequest},
};
use chorus_crypto::{domain, sign::Signature};

/// How long contributions gather before they are verified together, in milliseconds.
const GATHER_MILLIS: u64 = 20;

/// How long an operator that acknowledged a contribution may take to pass it on before the next is asked.
const ASK_NEXT_MILLIS: u64 = 500;

/// How often an operator is asked for a contribution that it only lists: anybody can list what is nowhere.
const LISTED_PATIENCE: u8 = 6;

/// Contributions asked for that nobody acknowledged and somebody lists: apart from those that were acknowledged, so that a liar
/// who invents them keeps none of those out.
const MAX_LISTED_LACKING: usize = 256;

/// How long an operator that is asked for a body or seeds after the seal may take before somebody is asked again.
const ASK_AGAIN_MILLIS: u64 = 1_000;

/// How often that time doubles.
const DOUBLINGS: u32 = 4;

/// The time in which bytes pass, in milliseconds, over the slowest uplink that Chorus is made for: 2 Mbit/s.
pub(super) const fn transfer_millis(bytes: usize) -> u64 {
    bytes as u64 / 250
}

/// A contribution whose public part holds.
pub(super) struct Held {
    pub(super) form: Arc<CheckedForm>,
    pub(super) equations: Equations,
    /// The whole of it, if there was room for it in memory: it is on the disk as well.
    submission: Option<Arc<Submission>>,
    /// How many bytes it has.
    size: usize,
    /// Seeds that were checked, by index of T.
    pub(super) seeds: BTreeMap<usize, Seed>,
}

/// A contribution that others acknowledged: they are asked for it in turn, as one of them may withhold it.
struct Lacking {
    /// Which attempt it is, if somebody acknowledged it: of what another operator only lists, nobody knows.
    attempt: Option<Attempt>,
    /// How often it may still be asked for.
    patience: u8,
    request: SubmissionRequest,
    acknowledgers: VecDeque<NodeId>,
    ask_at: Timestamp,
}

/// When other operators were last asked for what is lacking of a sealed contribution, and how often.
#[derive(Clone, Copy, Default)]
struct Asked {
    next: Timestamp,
    times: u32,
}

/// One attempt of one person in one round: at most one body is acknowledged for it.
pub(super) type Attempt = (RoundId, Tag, u8);

pub(super) const fn attempt(header: &ContributionHeader) -> Attempt {
    (header.round, header.tag, header.sequence)
}

#[derive(Default)]
pub(super) struct Collected {
    /// Bytes of what is held in memory as a whole.
    held_bytes: usize,
    /// What is being read, or was and is about to be used.
    pub(super) recalled: Recalled,
    pub(super) held: BTreeMap<BlobId, Held>,
    acknowledged: BTreeMap<Attempt, BlobId>,
    /// The body held of each tag and sequence number.
    attempts: BTreeMap<Attempt, BlobId>,
    /// What each operator acknowledged under a tag and sequence number: the first header stands, for itself alone, so
    /// that a liar who is first cannot keep the others' acknowledgements from being counted.
    acknowledgements: BTreeMap<Attempt, BTreeMap<u8, (ContributionHeader, Signature)>>,
    /// Contributions that others acknowledged and this operator lacks.
    lacking: BTreeMap<BlobId, Lacking>,
    /// Operators that wait for seeds.
    handovers: Vec<(NodeId, SubmissionRequest)>,
    /// What was asked for after the seal.
    asked: BTreeMap<BlobId, Asked>,
    /// When a whole contribution may be sent to an operator again: one that asks all the time is not answered all the time.
    answered: BTreeMap<(NodeId, BlobId), Timestamp>,
}

impl Collected {
    pub(super) fn resume(&mut self, records: &[Record]) {
        for record in records {
            if let Record::Acknowledged(record) = record {
                self.acknowledged.insert((record.round, record.tag, record.sequence), record.body);
            }
        }
    }

    /// Returns a contribution as a whole, if it is in memory.
    pub(super) fn whole(&self, body: &BlobId) -> Option<Arc<Submission>> {
        self.held.get(body)?.submission.clone()
    }

    /// Lets go of what is held of a contribution. Returns whether something was.
    pub(super) fn let_go(&mut self, body: &BlobId) -> bool {
        let Some(held) = self.held.remove(body) else { return false };
        self.held_bytes -= held.submission.map_or(0, |_| held.size);
        self.recalled.forget(body);
        true
    }

    /// Returns how many bytes of contributions are held in memory as a whole.
    pub(super) fn bytes_in_memory(&self) -> usize {
        self.held_bytes + self.recalled.bytes()
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.lacking.values().map(|lacking| lacking.ask_at).min()
    }

    /// Stops asking for a body that does not hold, and forgets who acknowledged it: no honest operator did.
    pub(super) fn give_up(&mut self, body: &BlobId) {
        let Some(Lacking { attempt: Some(attempt), .. }) = self.lacking.remove(body) else { return };
        if let Some(said) = self.acknowledgements.get_mut(&attempt) {
            said.retain(|_, (header, _)| header.body != *body);
            if said.is_empty() {
                self.acknowledgements.remove(&attempt);
            }
        }
    }

    /// Returns the bodies held of a round.
    pub(super) fn ids_of(&self, round: RoundId) -> BTreeSet<BlobId> {
        let of_round = self.attempts.iter().skip_while(|((of, _, _), _)| *of < round);
        let of_round = of_round.take_while(|((of, _, _), _)| *of == round).map(|(_, body)| *body);
        of_round.filter(|body| self.held.contains_key(body)).collect()
    }

    /// Asks an operator for a contribution that it says it holds.
    pub(super) fn ask_for(&mut self, round: RoundId, body: BlobId, operator: u8, from: NodeId, now: Timestamp) {
        let listed = self.lacking.values().filter(|lacking| lacking.attempt.is_none()).count();
        if listed < MAX_LISTED_LACKING {
            let request = SubmissionRequest { round, body, operator, held: false };
            let acknowledgers = VecDeque::from([from]);
            let lacking = Lacking { attempt: None, patience: LISTED_PATIENCE, request, acknowledgers, ask_at: now };
            self.lacking.entry(body).or_insert(lacking);
        }
    }

    /// Stops asking for a body that has come.
    pub(super) fn is_found(&mut self, body: &BlobId) {
        self.lacking.remove(body);
    }

    /// Whether the log has settled what becomes of an attempt.
    pub(super) fn is_logged(ledger: &Ledger, (round, tag, sequence): &Attempt) -> bool {
        ledger.rounds().get(round).is_none_or(|round| {
            round.sealed.is_some() || round.contributions.get(tag).is_some_and(|known| known.contains_key(sequence))
        })
    }

    /// Lets go of what the log has settled.
    pub(super) fn settle(&mut self, ledger: &Ledger) {
        self.acknowledgements.retain(|attempt, _| !Self::is_logged(ledger, attempt));
        let is_open = |round: &RoundId| ledger.rounds().get(round).is_some_and(|round| round.sealed.is_none());
        self.lacking.retain(|_, lacking| match &lacking.attempt {
            Some(attempt) => !Self::is_logged(ledger, attempt),
            None => is_open(&lacking.request.round),
        });
    }
}

impl Peer {
    /// Asks for what is lacking, and answers those who wait for seeds.
    pub(super) fn hand_round(&mut self, rng: &mut impl CryptoRng) {
        self.ask_for_lacking();
        for (to, request) in std::mem::take(&mut self.collected.handovers) {
            if let Some(handover) = self.hand_over(&request, rng) {
                let (round, body) = (request.round, request.body);
                if request.held || handover.submission.is_some() {
                    self.send(to, &Message::Handover(handover));
                } else {
                    let handover = Some(Box::new(handover));
                    self.effects.push_back(Effect::SendPrivate { to, round, body, handover });
                }
            }
        }
    }

    /// Lets in what could still be of use: one body per tag and sequence number while the round is open, and the bodies
    /// of the sealed set after that. So nobody can make an operator hold more, and nothing superseded comes back.
    pub(super) fn admit(&self, form: &CheckedForm) -> Result<(), Fault> {
        let header = &form.header;
        if self.recovery.bars(&header.round) {
            return Err(Fault::Phase("a contribution to a round that began before this operator was put back"));
        }
        let round = self.ledger.rounds().get(&header.round).ok_or(Fault::Unknown("round"))?;
        self.operator_in(round).ok_or(Fault::NotAllowed("a contribution to a round of other operators"))?;
        // Its contributions are let go of by then: without this, whoever sends one again has it verified again.
        if round.state() == RoundState::Finished {
            return Err(Fault::Phase("a contribution"));
        }
        let logged = round.contributions.get(&header.tag).and_then(|known| known.last_key_value());
        match &round.sealed {
            Some(_) if round.sealed_bodies().all(|sealed| *sealed != header.body) => {
                Err(Fault::Phase("a contribution"))
            }
            Some(_) => Ok(()),
            None if logged.is_some_and(|(last, _)| *last > header.sequence) => {
                Err(Fault::Phase("a contribution after which a later one is on the log"))
            }
            None if self.collected.attempts.contains_key(&attempt(header))
                || self.collected.acknowledged.get(&attempt(header)).is_some_and(|body| *body != header.body) =>
            {
                Err(Fault::Duplicate("a contribution with this tag and sequence"))
            }
            None => Ok(()),
        }
    }

    /// The acknowledgement of a contribution that is held, if it may still be of use.
    pub(super) fn acknowledge_again(&mut self, body: &BlobId) -> Option<Acknowledgement> {
        let held = self.collected.held.get(body)?;
        let header = held.form.header.clone();
        let round = self.ledger.rounds().get(&header.round)?;
        let operator = self.operator_in(round)?;
        let logged = round.contributions.get(&header.tag).is_some_and(|known| known.contains_key(&header.sequence));
        let complete = header.is_withdrawal() || !held.seeds.is_empty();
        (complete && !logged && round.sealed.is_none()).then(|| self.acknowledge(operator, header)).flatten()
    }

    /// Asks for contributions that others acknowledged and that have not come by themselves.
    fn ask_for_lacking(&mut self) {
        let held = &self.collected.held;
        self.collected.lacking.retain(|body, lacking| lacking.patience > 0 && !held.contains_key(body));
        let mut requests = Vec::new();
        for lacking in self.collected.lacking.values_mut().filter(|lacking| lacking.ask_at <= self.now) {
            lacking.ask_at = self.now.plus_millis(ASK_NEXT_MILLIS);
            if lacking.attempt.is_none() {
                lacking.patience -= 1;
            }
            lacking.acknowledgers.rotate_left(1);
            requests.extend(lacking.acknowledgers.back().map(|node| (*node, lacking.request)));
        }
        for (node, request) in requests {
            self.send(node, &Message::SubmissionRequest(request));
        }
    }

    /// Keeps a contribution whose equations hold; acknowledges it if its seeds hold too.
    pub(super) fn hold(
        &mut self,
        form: Arc<CheckedForm>,
        equations: Equations,
        submission: Arc<Submission>,
    ) -> Result<Option<Acknowledgement>, Fault> {
        // Once more: another one may have been held since it was let in.
        self.admit(&form)?;
        let header = form.header.clone();
        let round = self.ledger.rounds().get(&header.round).ok_or(Fault::Unknown("round"))?;
        let operator = self.operator_in(round).ok_or(Fault::Unknown("operator"))?;
        let held = round.charter.sharing().held_by(operator);
        let (sealed, ordinal) = (round.sealed.is_some(), round.ordinal);
        form.check_masked(&equations, &submission)?;
        let own = self
            .duties
            .round_key(&header.round)
            .map(|key| form.check_private(&self.ledger, &equations, &submission, operator, key));
        let seeds: BTreeMap<usize, Seed> = match &own {
            Some(Ok(_)) => held.into_iter().zip(own.and_then(Result::ok).unwrap_or_default()).collect(),
            // The public part holds: after the seal the seeds come from those who could open their boxes.
            Some(Err(fault)) => {
                // Whoever passed it on could not look into the box.
                let fault = fault.clone();
                self.refuse(self.config.node, fault);
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        let complete = header.is_withdrawal() || !seeds.is_empty();
        let body = header.body;
        // On the disk only: whoever verifies asks for it there.
        let bytes = submission.body.as_slice().into();
        self.effects.push_back(Effect::StoreBlob { bytes, ordinal: Some(ordinal) });
        self.effects.push_back(Effect::StorePrivate { round: header.round, body, submission: Arc::clone(&submission) });
        let size = submission.size();
        let fits = self.collected.held_bytes.saturating_add(size) <= self.config.held_bytes;
        let submission = fits.then_some(submission);
        self.collected.held_bytes += if fits { size } else { 0 };
        self.collected.attempts.insert(attempt(&header), body);
        self.collected.held.insert(body, Held { form, equations, submission, size, seeds });
        self.duties.mark_changed();
        if !complete || sealed {
            return Ok(None);
        }
        Ok(self.acknowledge(operator, header))
    }

    fn acknowledge(&mut self, operator: u8, header: ContributionHeader) -> Option<Acknowledgement> {
        let key = self.config.operator.as_ref()?;
        let of = (header.round, header.tag, header.sequence);
        match self.collected.acknowledged.get(&of) {
            Some(body) if *body != header.body => return None,
            Some(_) => {}
            None => {
                self.collected.acknowledged.insert(of, header.body);
                let (round, tag, sequence) = of;
                let record = AcknowledgedRecord { round, tag, sequence, body: header.body };
                self.effects.push_back(Effect::Persist(Record::Acknowledged(record)));
            }
        }
        let signature = key.sign(domain::ACKNOWLEDGE, &header.acknowledged_bytes(self.community));
        Some(Acknowledgement { header, operator, signature })
    }

    pub(super) fn on_acknowledgement(&mut self, from: NodeId, acknowledgement: Acknowledgement) -> Result<(), Fault> {
        if self.config.operator.is_none() {
            return Ok(());
        }
        let header = &acknowledgement.header;
        let round = self.ledger.rounds().get(&header.round).ok_or(Fault::Unknown("round"))?;
        let key = round.charter.operator_key(acknowledgement.operator).ok_or(Fault::Unknown("operator"))?;
        let bytes = header.acknowledged_bytes(self.community);
        key.verify(domain::ACKNOWLEDGE, &bytes, &acknowledgement.signature)?;
        if self.number_in(round).is_none() {
            return Err(Fault::NotAllowed("an acknowledgement in a round of other operators"));
        }
        // Who sends it cannot know that this key is silent.
        let Some(own) = self.operator_in(round) else { return Ok(()) };
        let known = round.contributions.get(&header.tag).is_some_and(|known| known.contains_key(&header.sequence));
        if known || round.sealed.is_some() {
            return Ok(());
        }
        if !self.collected.held.contains_key(&header.body) {
            // What is neither here nor asked for is not remembered: a liar can invent tags without end. Whoever
            // contributed sends again, and is acknowledged again.
            if !self.collected.lacking.contains_key(&header.body) {
                let asked = self.collected.lacking.values().filter(|lacking| lacking.attempt.is_some()).count();
                bound("contributions asked for", limits::MAX_PENDING, asked + 1)?;
            }
            let request = SubmissionRequest { round: header.round, body: header.body, operator: own, held: false };
            let ask_at = self.now.plus_millis(GATHER_MILLIS);
            let attempt = Some(attempt(header));
            let lacking = Lacking { attempt, patience: 1, request, acknowledgers: VecDeque::new(), ask_at };
            let lacking = self.collected.lacking.entry(header.body).or_insert(lacking);
            if !lacking.acknowledgers.contains(&from) && lacking.acknowledgers.len() < limits::MAX_OPERATORS {
                lacking.acknowledgers.push_back(from);
            }
        }
        self.count_acknowledgement(acknowledgement);
        Ok(())
    }

    /// Counts; with enough, the contribution becomes an entry.
    pub(super) fn count_acknowledgement(&mut self, acknowledgement: Acknowledgement) {
        let Acknowledgement { header, operator, signature } = acknowledgement;
        let said = self.collected.acknowledgements.entry(attempt(&header)).or_default();
        said.entry(operator).or_insert_with(|| (header.clone(), signature));
        let agreeing = said.iter().filter(|(_, (said, _))| *said == header);
        let acknowledgements: Vec<_> = agreeing.map(|(operator, (_, signature))| (*operator, *signature)).collect();
        let needed = self.ledger.rounds().get(&header.round).map(|round| round.charter.quorum());
        if needed != Some(acknowledgements.len()) {
            return;
        }
        let round = header.round;
        let entry = Entry::Contribution(AcceptedContribution { header, acknowledgements });
        if let Some(key) = &self.config.operator {
            let signed = SignedEntry::sign(key, self.community, entry);
            self.submit_derived(round, signed);
        }
    }

    pub(super) fn on_submission_request(&mut self, from: NodeId, request: SubmissionRequest) -> Result<(), Fault> {
        // Masked vectors and boxes are the operators' alone; and a large answer is not for whoever asks.
        let round = self.ledger.rounds().get(&request.round).ok_or(Fault::Unknown("round"))?;
        let asker = self.nodes.get(&from).copied().flatten().and_then(|key| round.charter.operator(&key));
        if asker != Some(request.operator) {
            return Err(Fault::NotAllowed("a request for a contribution"));
        }
        let Some(held) = self.collected.held.get(&request.body) else { return Ok(()) };
        if held.form.header.round != request.round {
            return Err(Fault::Mismatch("the round of a contribution"));
        }
        if !request.held {
            let pause = self.now.plus_millis(ASK_NEXT_MILLIS / 2 + transfer_millis(held.size) / 4);
            let (now, answered) = (self.now, &mut self.collected.answered);
            answered.retain(|_, until| *until > now);
            if answered.insert((from, request.body), pause).is_some() {
                return Ok(());
            }
        }
        if round.sealed.is_none() {
            let (round, body) = (request.round, request.body);
            match held.submission.clone() {
                Some(submission) => self.send(from, &Message::Submission(Arc::unwrap_or_clone(submission))),
                None => self.effects.push_back(Effect::SendPrivate { to: from, round, body, handover: None }),
            }
        } else if self.collected.handovers.len() < limits::MAX_PENDING {
            self.collected.handovers.push((from, request));
        }
        Ok(())
    }

    /// The seeds that both hold, sealed to the other operator's round key: only after the seal, only for a contribution
    /// that was verified.
    fn hand_over(&self, request: &SubmissionRequest, rng: &mut impl CryptoRng) -> Option<Handover> {
        let held = self.collected.held.get(&request.body)?;
        let round = self.ledger.rounds().get(&request.round)?;
        let index = usize::from(request.operator).checked_sub(1)?;
        let key = round.manifest.as_ref()?.keys.get(index)?.as_ref()?;
        let theirs = round.charter.sharing().held_by(request.operator);
        let common: Vec<(usize, &Seed)> =
            theirs.into_iter().filter_map(|set| Some((set, held.seeds.get(&set)?))).collect();
        let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(32 * common.len()));
        common.iter().for_each(|(_, seed)| plain.extend_from_slice(seed.expose()));
        let aad = handover_context(&held.form.header, request.operator);
        let bytes = seal(key, &aad, &plain, rng).ok()?;
        let subsets = common.iter().filter_map(|(set, _)| u8::try_from(*set).ok()).collect();
        let submission = held.submission.as_deref().filter(|_| !request.held).cloned();
        let (body, operator) = (request.body, request.operator);
        Some(Handover { body, submission, operator, subsets, seeds: SealedBox { bytes } })
    }

    pub(super) fn on_handover(&mut self, handover: Handover) -> Result<(), Fault> {
        let body = handover.body;
        let is_of = |round: &&Arc<RoundRecord>| round.sealed_bodies().any(|sealed| *sealed == body);
        let round = self.ledger.rounds().values().find(is_of);
        let round = round.ok_or(Fault::Phase("a handover of what is not sealed"))?;
        if self.number_in(round) != Some(handover.operator) {
            return Err(Fault::Mismatch("the operator of a handover"));
        }
        let Some(operator) = self.operator_in(round) else { return Ok(()) };
        let held_by_this = round.charter.sharing().held_by(operator);
        if let Some(submission) = handover.submission.filter(|_| !self.collected.held.contains_key(&body)) {
            let form = CheckedForm::new(&self.ledger, &submission.body)?;
            self.admit(&form)?;
            if form.header.body != body {
                return Err(Fault::Mismatch("the body of a handover"));
            }
            // A hash of the whole body: the core alone leaves the responses free, to be made for the weights.
            let verdict = verify_all(&self.ledger, &[&form], body.as_ref()).pop().ok_or(Fault::Proof)??;
            self.hold(Arc::new(form), verdict, Arc::new(submission))?;
        }
        let held = self.collected.held.get_mut(&body).ok_or(Fault::Unknown("contribution"))?;
        let key = self.duties.round_key(&held.form.header.round).ok_or(Fault::Phase("a handover"))?;
        let plain = key
            .open(&handover_context(&held.form.header, operator), &handover.seeds.bytes)
            .map_err(|_| Fault::Seeds("the box does not open"))?;
        let seeds = split_seeds(&plain, handover.subsets.len()).ok_or(Fault::Seeds("another number of seeds"))?;
        for (subset, seed) in handover.subsets.iter().map(|set| usize::from(*set)).zip(seeds) {
            if !held_by_this.contains(&subset) {
                return Err(Fault::Seeds("a seed of a set that does not hold it"));
            }
            held.form.check_seed(&self.ledger, &held.equations, subset, &seed)?;
            held.seeds.insert(subset, seed);
        }
        self.duties.mark_changed();
        Ok(())
    }

    /// Asks the other operators for what is lacking here of a sealed round: one operator after the other for a body, since
    /// one answer is enough and may be large; all of them for seeds, since each has others. Asks more and more rarely.
    pub(super) fn ask_for_missing(&mut self, round: RoundId, operator: u8) {
        let Some(record) = self.ledger.rounds().get(&round) else { return };
        let Some(sealed) = &record.sealed else { return };
        let needed = record.charter.sharing().held_by(operator).len();
        let charter = Arc::clone(&record.charter);
        let masked = Format::of(record).map_or(0, |format| 32 * (format.shape().rows() + 1) * format.shape().packed());
        let now = self.now;
        let mut requests = Vec::new();
        for body in sealed.contributions.iter().map(|contribution| contribution.header.body) {
            let held = self.collected.held.get(&body).map(|held| held.seeds.len());
            let asked = self.collected.asked.entry(body).or_default();
            if held.is_some_and(|seeds| seeds >= needed) || asked.next > now {
                continue;
            }
            let pause = (ASK_AGAIN_MILLIS << asked.times.min(DOUBLINGS))
                + if held.is_none() { transfer_millis(limits::MAX_BODY_BYTES / 2 + masked) } else { 0 };
            requests.push((SubmissionRequest { round, body, operator, held: held.is_some() }, asked.times));
            *asked = Asked { next: now.plus_millis(pause), times: asked.times.saturating_add(1) };
        }
        let operators: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, key)| key.is_some_and(|key| charter.operator(&key).is_some()))
            .map(|(node, _)| *node)
            .collect();
        for (request, times) in requests {
            let message = Message::SubmissionRequest(request);
            if request.held {
                self.send_to_operators_of(round, &message);
            } else if let Some(node) = operators.get((times as usize).checked_rem(operators.len()).unwrap_or(0)) {
                self.send(*node, &message);
            }
        }
    }

    /// Lets go of the earlier attempts of whoever has just been logged with a later one: the log does not go back.
    pub(super) fn drop_earlier(&mut self, header: &ContributionHeader) {
        let (round, tag, sequence) = attempt(header);
        let earlier = self.collected.attempts.range((round, tag, 0)..(round, tag, sequence));
        let bodies: Vec<BlobId> = earlier.map(|(_, body)| *body).collect();
        for body in bodies {
            if self.collected.let_go(&body) {
                self.effects.push_back(Effect::ErasePrivate { round, body });
            }
        }
    }

    /// Lets go of superseded contributions at the seal. What counts stays, withdrawals too: an audit asks for their bodies.
    pub(super) fn drop_superseded(&mut self, round: RoundId) {
        let Some(record) = self.ledger.rounds().get(&round).filter(|round| round.sealed.is_some()) else { return };
        let kept: BTreeSet<BlobId> = record.counting().map(|contribution| contribution.header.body).collect();
        let gone: Vec<BlobId> = self
            .collected
            .held
            .iter()
            .filter(|(body, held)| held.form.header.round == round && !kept.contains(body))
            .map(|(body, _)| *body)
            .collect();
        for body in gone {
            self.collected.let_go(&body);
            self.effects.push_back(Effect::ErasePrivate { round, body });
        }
    }

    /// Forgets everything secret about a round.
    pub(super) fn forget(&mut self, round: RoundId) {
        let collected = &mut self.collected;
        collected.asked.retain(|body, _| collected.held.get(body).is_some_and(|held| held.form.header.round != round));
        let of_round = |held: &Held| held.form.header.round == round;
        let gone: Vec<BlobId> =
            collected.held.iter().filter(|(_, held)| of_round(held)).map(|(body, _)| *body).collect();
        for body in gone {
            collected.let_go(&body);
        }
        self.collected.acknowledged.retain(|(of, _, _), _| *of != round);
        self.collected.attempts.retain(|(of, _, _), _| *of != round);
        self.persist(Record::Erased(round));
        self.effects.push_back(Effect::Sync);
        self.effects.push_back(Effect::EraseRound(round));
    }
}

fn handover_context(header: &ContributionHeader, operator: u8) -> Vec<u8> {
    let mut bytes = header.to_bytes();
    operator.encode(&mut bytes);
    bytes
}
