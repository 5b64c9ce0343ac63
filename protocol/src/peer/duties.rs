//! An operator's duties in each round, and what every peer does to follow one.
//!
//! Duties are derived from the ledger each time it changed: whatever the next step is, and this operator has not said
//! yet, it says. So a restart needs no memory of where it was, and an entry that got lost is posted again.

mod cohorts;
mod opening;
mod pass;
mod series;

use chorus_crypto::hash::Digest;

use self::pass::{PassTimes, Shares};
use super::{amending::Amending, *};
use crate::{
    adapter::gate::Standing,
    id::SetId,
    journal::{LockRecord, RoundKeyRecord},
    ledger::{Division, RoundState, Sealed},
    log::entry::{
        Beacon, ClockReading, Erasure, PartitionChoice, PassId, RoundClosing, RoundKey, RoundOpening, RoundResult, Step,
    },
    opening::Uncovering,
    round::{Report, Stage, pca::CentredShare, stage},
};

/// How often duties are looked at while a round runs, in milliseconds.
const TICK_MILLIS: u64 = 250;

/// How old an operator's latest clock reading on the log may become, in milliseconds.
const HEARTBEAT_MILLIS: u64 = 3_600_000;

/// How long this operator waits for seeds before it asks again, in milliseconds.
const ASK_MILLIS: u64 = 1_000;

/// What was made in a step of a round, of inputs with this digest.
type Made<T> = BTreeMap<(RoundId, Step), (Digest, T)>;

#[derive(Default)]
pub(super) struct Duties {
    changed: bool,
    next: Option<Timestamp>,
    keys: BTreeMap<RoundId, SealSecret>,
    erased: BTreeSet<RoundId>,
    locks: BTreeMap<(RoundId, SetId, Lock), Digest>,
    passes: BTreeMap<(RoundId, PassId), PassTimes>,
    asked: BTreeMap<RoundId, Timestamp>,
    posted: BTreeMap<(Digest, &'static str, u16), Timestamp>,
    shares: Option<Shares>,
    dropped: BTreeSet<RoundId>,
    followed: BTreeSet<RoundId>,
    /// Rounds whose bodies were seen to since the start, as an operator in office.
    archived: BTreeSet<RoundId>,
    /// Weighings that did not lead to the adapter stated.
    misweighed: BTreeSet<(RoundId, BlobId)>,
    /// What this operator opened and found in a step, so that no large sum is made twice.
    parts: Made<Vec<(u8, BlobId)>>,
    values: Made<BlobId>,
    /// Openings that wait for masked vectors from the disk, and the shares of ballots that do.
    uncovering: Made<Uncovering>,
    centring: Option<(SetId, Vec<CentredShare>)>,
    /// What follows from rounds that are open to their end.
    concluded: BTreeMap<RoundId, RoundResult>,
    /// What a finished round waits for before it can be followed.
    missing: BTreeMap<RoundId, BlobId>,
    /// The bodies of rounds that are open to their end, until nothing needs them any more: they are on the disk.
    bodies: BTreeMap<RoundId, BTreeSet<BlobId>>,
    pub(super) amending: Amending,
}

/// An entry that is not on the log yet is posted again after this time: it may have been lost.
const REPOST_MILLIS: u64 = 2_000;

impl Duties {
    pub(super) fn resume(records: &[Record]) -> Self {
        let mut duties = Self { changed: true, ..Self::default() };
        for record in records {
            match record {
                Record::RoundKey(record) => {
                    duties.keys.insert(record.round, SealSecret::from_bytes(&record.secret));
                }
                Record::Locked(record) => {
                    duties.locks.insert((record.round, record.set, record.lock), record.inputs);
                }
                Record::Erased(round) => {
                    duties.keys.remove(round);
                    duties.erased.insert(*round);
                }
                Record::Wal(_)
                | Record::WalReset(_)
                | Record::Pledge(_)
                | Record::Acknowledged(_)
                | Record::Restored(_)
                | Record::Resumed(_) => {}
            }
        }
        duties
    }

    pub(super) const fn mark_changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        if self.changed { Some(Timestamp::default()) } else { self.next }
    }

    /// Whether a round's result, or what follows from one, was found here, with this body.
    pub(super) fn has_found(&self, body: &BlobId) -> bool {
        self.concluded.values().any(|own| own.result == *body || own.follows == Some(*body))
    }

    pub(super) fn round_key(&self, round: &RoundId) -> Option<&SealSecret> {
        self.keys.get(round)
    }
}

impl Peer {
    /// Does what each round needs.
    pub(super) fn do_duties(&mut self, rng: &mut impl CryptoRng) {
        let due = self.duties.next.is_some_and(|next| next <= self.now);
        if !self.duties.changed && !due {
            return;
        }
        self.duties.changed = false;
        let in_office = self.speaking_operator().and(self.own_key());
        // One that is an operator and may not speak yet does not follow a round to its end: it has duties there.
        let waits = self.own_key().is_some() && !self.may_speak();
        let ahead = |id: &&RoundId| !self.duties.followed.contains(*id);
        let rounds: Vec<RoundId> = self.ledger.rounds().keys().filter(ahead).copied().collect();
        let mut running = false;
        for id in rounds {
            let Some(round) = self.ledger.rounds().get(&id).cloned() else { continue };
            let state = round.state();
            running = true;
            // An operator that has left has duties in the rounds that began with it; the clocks are those of the others.
            let operator = self.operator_in(&round);
            if let Some(key) = in_office {
                self.tell_time_of(&round, key);
                self.witness(&round);
            }
            match (state, operator) {
                (RoundState::Sealed | RoundState::Finished, None) if waits && self.number_in(&round).is_some() => {}
                (RoundState::Planned, Some(operator)) => self.prepare(&round, operator, rng),
                (RoundState::Sealed | RoundState::Finished, _) => self.follow(&round, operator),
                (RoundState::Planned, None) | (RoundState::Open, _) => {}
            }
        }
        self.keep_weighed();
        self.evict();
        self.weigh_alike();
        running |= self.attend_amendments(in_office);
        if let Some(key) = in_office {
            self.continue_series(key);
        }
        running |= self.archive();
        let tick = running.then(|| self.now.plus_millis(TICK_MILLIS));
        let heartbeat = in_office.map(|key| self.heartbeat(key));
        self.duties.next = tick.into_iter().chain(heartbeat).min();
    }

    /// Sees to it that an operator in office has what an audit of each round asks for, one round at a time: those who held
    /// it first may have left by the time that somebody asks. Returns whether there is more to see to.
    fn archive(&mut self) -> bool {
        if self.operator().is_none() {
            return false;
        }
        let is_due = |id: &&RoundId| !self.duties.archived.contains(*id);
        let mut due = self.duties.followed.iter().filter(is_due);
        let Some(id) = due.next().copied() else { return false };
        let more = due.next().is_some();
        self.duties.archived.insert(id);
        if let Some(round) = self.ledger.rounds().get(&id).filter(|round| round.agreed_result().is_some()) {
            let bodies = round.audited().collect();
            self.effects.push_back(Effect::Archive { ordinal: round.ordinal, bodies });
        }
        more
    }

    /// Lets go of the bodies of rounds that nothing more follows from: whoever asks for them is served from the disk.
    fn evict(&mut self) {
        let ledger = &self.ledger;
        let is_over = |id: &RoundId| {
            let Some(round) = ledger.rounds().get(id) else { return true };
            // An adapter that is to be weighed follows from the sums.
            let weighed = round.weighed_adapter().is_none_or(|adapter| self.blobs.contains_key(&adapter));
            round.agreed_result().is_some() && ledger.standing(round) != Standing::Unweighed && weighed
        };
        let over: Vec<RoundId> = self.duties.bodies.keys().filter(|id| is_over(id)).copied().collect();
        if over.is_empty() {
            return;
        }
        let mut gone = BTreeSet::new();
        for id in over {
            let weighed = self.ledger.rounds().get(&id).and_then(|round| round.weighed_adapter());
            gone.extend(self.duties.bodies.remove(&id).unwrap_or_default().into_iter().chain(weighed));
        }
        let needed = self.bodies_in_use();
        gone.difference(&needed).for_each(|body| {
            self.blobs.remove(body);
        });
    }

    /// The bodies that rounds hold which more follows from: those of rounds that wait to be weighed, and the adapter that a
    /// round starts from until it is at its own end. Rounds are followed in no particular order, least of all after a restart.
    fn bodies_in_use(&self) -> BTreeSet<BlobId> {
        let held = self.duties.bodies.values().flatten().copied();
        let followed = |round: &&Arc<RoundRecord>| !self.duties.concluded.contains_key(&round.id);
        let starts = self.ledger.rounds().values().filter(followed).filter_map(|round| round.plan.deltas()?.start);
        held.chain(starts).collect()
    }

    /// Keeps the log's time from standing still where nothing else needs it: attestations and vouches expire by it.
    /// Returns when to look again.
    fn heartbeat(&mut self, operator: PublicKey) -> Timestamp {
        let due = self.ledger.clock(&operator).plus_millis(HEARTBEAT_MILLIS);
        if due > self.now {
            return due;
        }
        self.say(RoundId::default(), "clock", 0, Entry::Clock(ClockReading { time: self.now }));
        self.now.plus_millis(REPOST_MILLIS)
    }

    /// Whether an own entry may be posted: it was not a moment ago.
    pub(super) fn may_say(&self, about: &impl AsRef<Digest>, what: &'static str, which: u16) -> bool {
        self.duties.posted.get(&(*about.as_ref(), what, which)).is_none_or(|at| *at <= self.now)
    }

    /// Posts an own entry unless it was posted a moment ago.
    pub(super) fn say(&mut self, about: impl AsRef<Digest>, what: &'static str, which: u16, entry: Entry) {
        if self.may_say(&about, what, which) {
            self.said(&about, what, which);
            self.on_command(Command::Post(entry));
        }
    }

    /// Notes that an own entry has just been posted.
    pub(super) fn said(&mut self, about: &impl AsRef<Digest>, what: &'static str, which: u16) {
        self.duties.posted.insert((*about.as_ref(), what, which), self.now.plus_millis(REPOST_MILLIS));
    }

    fn prepare(&mut self, round: &RoundRecord, operator: u8, rng: &mut impl CryptoRng) {
        if !matches!(round.division, Division::Whole) {
            return self.draw(round, operator);
        }
        if !round.offered.contains_key(&operator) {
            if !self.duties.keys.contains_key(&round.id) {
                let secret = SealSecret::random(rng);
                let record = RoundKeyRecord { round: round.id, secret: *secret.to_bytes() };
                self.persist(Record::RoundKey(record));
                self.effects.push_back(Effect::Sync);
                self.duties.keys.insert(round.id, secret);
            }
            if let Some(key) = self.duties.keys.get(&round.id).map(SealSecret::public) {
                self.say(round.id, "key", 0, Entry::RoundKey(RoundKey { round: round.id, key }));
            }
        }
    }

    /// Reads the own clock into the log where a round waits for it.
    fn tell_time_of(&mut self, round: &RoundRecord, own: PublicKey) {
        let clock = Entry::Clock(ClockReading { time: self.now });
        let due = match (round.state(), round.planned_at, &round.manifest) {
            (RoundState::Planned, Some(_), _) if !matches!(round.division, Division::Whole) => {
                round.awaited_moment().is_some_and(|moment| self.is_untold(moment, &own))
            }
            (RoundState::Planned, None, _) => !round.clocks_read.contains(&own),
            (RoundState::Planned, Some(planned_at), _) => {
                let grace = planned_at.plus_millis(round.plan.key_grace_millis);
                round.offered.len() < round.charter.operators.len() && self.is_untold(grace, &own)
            }
            (RoundState::Open, _, Some(manifest)) => self.is_untold(manifest.deadline, &own),
            (RoundState::Open | RoundState::Sealed | RoundState::Finished, _, _) => false,
        };
        if due {
            self.say(round.id, "clock", 0, clock);
        }
    }

    /// Whether the own clock is past a moment of which the log does not know yet.
    fn is_untold(&self, moment: Timestamp, own: &PublicKey) -> bool {
        self.now >= moment && self.ledger.clock(own) < moment
    }

    /// Opens and closes a round when that is due, as every operator in office does.
    fn witness(&mut self, round: &RoundRecord) {
        if self.may_say(&round.id, "open", 0)
            && let Some(opening) = self.due_opening(round)
        {
            self.derive(round.id, "open", opening);
        }
        if let Some(entry) = round.due_of_division(self.ledger.time()) {
            self.derive(round.id, "division", entry);
        }
        let deadline = round.manifest.as_ref().map(|manifest| manifest.deadline);
        if round.state() == RoundState::Open && deadline.is_some_and(|deadline| self.ledger.time() >= deadline) {
            self.derive(round.id, "close", Entry::Close(RoundClosing { round: round.id }));
        }
    }

    /// Returns the entry that opens a planned round, with the members as they are now; none before it may be opened.
    fn due_opening(&self, round: &RoundRecord) -> Option<Entry> {
        let operators = round.charter.sharing().operators();
        let all = round.offered.len() == usize::from(operators);
        let enough = round.offered.len() >= round.charter.quorum();
        let grace = round.planned_at?.plus_millis(round.plan.key_grace_millis);
        if round.manifest.is_some() || !(all || (enough && self.ledger.time() >= grace)) {
            return None;
        }
        let keys: Vec<_> = (1..=operators).map(|operator| round.offered.get(&operator).copied()).collect();
        let snapshot = self.ledger.snapshot(round.id, &keys).root();
        Some(Entry::Open(RoundOpening { round: round.id, keys, snapshot }))
    }

    /// Returns the openings of all rounds that may be opened now, for a batch that is proposed now.
    pub(super) fn due_openings(&self) -> Vec<SignedEntry> {
        let Some(key) = &self.config.operator else { return Vec::new() };
        let due = self.ledger.rounds().values().filter_map(|round| self.due_opening(round));
        due.map(|opening| SignedEntry::sign(key, self.community, opening)).collect()
    }

    /// Takes an entry that all operators derive alike into the own pool.
    fn derive(&mut self, about: impl AsRef<Digest>, what: &'static str, entry: Entry) {
        let at = self.duties.posted.entry((*about.as_ref(), what, 0)).or_default();
        if *at > self.now {
            return;
        }
        *at = self.now.plus_millis(REPOST_MILLIS);
        if let Some(key) = &self.config.operator {
            let signed = SignedEntry::sign(key, self.community, entry);
            let _ = self.pool(signed);
        }
    }

    /// Takes an entry about a round into the own pool, or hands it to the others where not all who order the log are the
    /// round's operators, and so come to it by themselves.
    pub(super) fn submit_derived(&mut self, round: RoundId, signed: SignedEntry) {
        let in_office = &self.ledger.charter().operators;
        if self.ledger.rounds().get(&round).is_some_and(|round| round.charter.operators == *in_office) {
            let _ = self.pool(signed);
        } else {
            self.post(signed);
        }
    }

    /// Follows a sealed round, doing an operator's part in it if this is one.
    fn follow(&mut self, round: &RoundRecord, operator: Option<u8>) {
        if self.duties.followed.contains(&round.id) || (operator.is_none() && self.ordering.is_before_start(&round.id))
        {
            return;
        }
        if operator.is_some() && self.duties.dropped.insert(round.id) {
            self.drop_superseded(round.id);
        }
        if let Some(own) = self.duties.concluded.get(&round.id).cloned() {
            return self.conclude(round, operator, &own);
        }
        // What a finished round still lacks does not change by what others say.
        let missing = self.duties.missing.get(&round.id).filter(|_| round.agreed_result().is_some()).copied();
        if let Some(body) = missing.filter(|body| !self.blobs.contains_key(body)) {
            return self.want(body);
        }
        match stage(&self.ledger, round, &self.blobs) {
            Stage::Collecting => {}
            Stage::Missing(blob) => {
                self.duties.missing.insert(round.id, blob);
                self.want(blob);
            }
            Stage::Contradiction(what) => {
                self.effects.push_back(Effect::Notice(Notice::Contradiction { round: round.id, what }));
                self.duties.followed.insert(round.id);
            }
            Stage::Done(report) => {
                let own = self.finish(round, &report);
                self.conclude(round, operator, &own);
            }
            Stage::Open { step, plan } => {
                if let Some(operator) = operator {
                    self.open_step(round, operator, step, &plan);
                }
            }
            Stage::Pass { id, omega, mu } => {
                if let Some(operator) = operator {
                    self.multiply(round, operator, id, &omega, &mu);
                }
            }
            Stage::Beacon => {
                if let Some(operator) = operator {
                    self.state_beacon(round, operator);
                }
            }
            Stage::Partition { digest } => {
                let Some(set) = round.sealed.as_ref().map(|sealed| sealed.set) else { return };
                if operator.is_some_and(|operator| !round.partitions.contains_key(&operator)) {
                    let choice = PartitionChoice { round: round.id, set, partition: digest };
                    self.say(round.id, "partition", 0, Entry::Partition(choice));
                }
            }
        }
    }

    /// Takes the open-once lock. Once taken with other inputs it is never given again.
    fn lock(&mut self, round: RoundId, set: SetId, lock: Lock, inputs: Digest) -> bool {
        match self.duties.locks.get(&(round, set, lock)) {
            Some(known) => *known == inputs,
            None => {
                self.duties.locks.insert((round, set, lock), inputs);
                self.persist(Record::Locked(LockRecord { round, set, lock, inputs }));
                self.effects.push_back(Effect::Sync);
                true
            }
        }
    }

    /// Whether all seeds that this operator should hold are there; asks for them if not.
    fn has_all_seeds(&mut self, round: RoundId, operator: u8) -> bool {
        // What is kept here need not be asked for.
        if self.intake.is_taking_up() {
            return false;
        }
        let Some(record) = self.ledger.rounds().get(&round) else { return false };
        let Some(sealed) = record.sealed.as_ref() else { return false };
        let needed = record.charter.sharing().held_by(operator).len();
        let complete = |body: &BlobId| self.collected.held.get(body).is_some_and(|held| held.seeds.len() == needed);
        if sealed.contributions.iter().all(|contribution| complete(&contribution.header.body)) {
            return true;
        }
        if self.duties.asked.get(&round).is_none_or(|at| *at <= self.now) {
            self.duties.asked.insert(round, self.now.plus_millis(ASK_MILLIS));
            self.ask_for_missing(round, operator);
        }
        false
    }

    /// Keeps what follows from a round.
    fn finish(&mut self, round: &RoundRecord, report: &Report) -> RoundResult {
        self.duties.shares = None;
        let result = self.keep_blob(report.to_bytes().into(), Some(round.ordinal));
        let (follows, named) = report.follows(&self.ledger);
        let opened = round.opened.values().flat_map(BTreeMap::values).map(|(_, values)| *values);
        let sums =
            round.openings.values().flat_map(BTreeMap::values).flat_map(|opening| opening.sums.values()).copied();
        let start = round.plan.deltas().and_then(|plan| plan.start);
        let mut bodies: BTreeSet<BlobId> = opened.chain(sums).chain(start).chain([result]).collect();
        bodies.extend(named.into_iter().map(|bytes| self.keep_blob(bytes.into(), Some(round.ordinal))));
        self.duties.bodies.insert(round.id, bodies);
        self.duties.missing.remove(&round.id);
        let own = RoundResult { round: round.id, result, follows };
        self.duties.parts.retain(|(of, _), _| *of != round.id);
        self.duties.values.retain(|(of, _), _| *of != round.id);
        self.duties.uncovering.retain(|(of, _), _| *of != round.id);
        self.duties.centring = None;
        self.duties.concluded.insert(round.id, own.clone());
        own
    }

    /// States the result, or compares it; once it stands on the log, erases the round's secrets.
    fn conclude(&mut self, round: &RoundRecord, operator: Option<u8>, own: &RoundResult) {
        if let Some(operator) = operator
            && !round.results.contains_key(&operator)
        {
            self.say(round.id, "result", 0, Entry::Result(own.clone()));
        }
        let Some(agreed) = round.agreed_result() else { return };
        if agreed != own {
            let what = "the result on the log is not the one that follows";
            self.effects.push_back(Effect::Notice(Notice::Contradiction { round: round.id, what }));
        }
        match operator {
            None => {
                self.duties.followed.insert(round.id);
            }
            Some(operator) if round.results.contains_key(&operator) => {
                if self.duties.erased.insert(round.id) {
                    self.duties.keys.remove(&round.id);
                    self.forget(round.id);
                }
                if round.erased.contains(&operator) {
                    self.duties.followed.insert(round.id);
                } else {
                    self.say(round.id, "erased", 0, Entry::Erased(Erasure { round: round.id }));
                }
            }
            Some(_) => {}
        }
    }
}
