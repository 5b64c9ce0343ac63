//! What the log says: the state that every peer derives from the same entries, and the rules for the next entry.
//!
//! [`Ledger::apply`] is a pure function of (prefix, entry): no clock, no blobs, no local holdings. An entry that is
//! refused changes nothing. *Log time* is the lower median of the operators' latest clock readings on the log: with at
//! most f liars among n ≥ 3f+1 it lies between two honest readings, and it never runs backwards.

mod amend;
mod cards;
mod cohorts;
mod facilitation;
mod polls;
mod round;
mod series;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{
    codec::{Decode as _, Encode as _, put_seq},
    credential::{MAX_RING, Tag},
    domain,
    hash::{self, Digest},
    seal::SealPublic,
    sign::PublicKey,
};

use self::amend::Governance;
pub use self::amend::{Adopted, MAX_AMENDMENT_BYTES, MAX_HEIGHTS_AHEAD, MAX_STATEMENTS};
pub use self::cards::{CardStatement, Cards};
pub use self::cohorts::{CertifiedResult, CohortStart, Dealt, Divided, Division, StatedConvening};
pub use self::facilitation::{Facilitation, ItemState, Standing as ItemStanding, StatedByOne, Word};
pub use self::polls::{Poll, Proposer};
pub(crate) use self::round::counting;
pub use self::round::{
    Collects, Manifest, OpenClass, Opening, Pass, RoundRecord, RoundState, Sealed, SealedContribution, Verdict,
};
pub use self::series::Series;
pub use self::state::{CHECKPOINT_HEIGHTS, MAX_STATE_BYTES, MIN_CHECKPOINT_HEIGHTS};
use crate::{
    charter::Charter,
    cohort::Origin,
    config::Genesis,
    fault::{Fault, bound},
    id::{CommunityId, PollId, RoundId, SeriesId},
    limits,
    log::{
        batch::Height,
        consensus::Evidence as EquivocationProof,
        entry::{
            ClassPlan, ClassSource, ClockReading, EarlierGroups, Entry, RoundOpening, RoundPlan, SignedEntry, Subject,
        },
    },
    registry::{
        Registry, Scene, Snapshot,
        snapshot::{self, LazyRing},
    },
    time::Timestamp,
};

/// The state that follows from the log.
///
/// A copy shares all that neither changes: copies are how an entry is tried before it is taken, and how others read the
/// state while it goes on.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Where it comes from, if it is a cohort's.
    origin: Option<Origin>,
    genesis: Arc<Genesis>,
    community: CommunityId,
    governance: Governance,
    registry: Arc<Registry>,
    clocks: BTreeMap<PublicKey, Timestamp>,
    polls: Arc<BTreeMap<PollId, Arc<Poll>>>,
    series: Arc<BTreeMap<SeriesId, Arc<Series>>>,
    rounds: Arc<BTreeMap<RoundId, Arc<RoundRecord>>>,
    cards: Arc<Cards>,
    facilitation: Arc<BTreeMap<PollId, Arc<Facilitation>>>,
    convicted: BTreeSet<PublicKey>,
    /// Whether no entry has been applied since the last batch came to its end.
    at_end: bool,
}

impl Ledger {
    /// Returns the state before the first entry.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            origin: None,
            community: genesis.id(),
            governance: Governance::new(genesis.charter()),
            genesis: Arc::new(genesis),
            registry: Arc::default(),
            clocks: BTreeMap::new(),
            polls: Arc::default(),
            series: Arc::default(),
            rounds: Arc::default(),
            cards: Arc::default(),
            facilitation: Arc::default(),
            convicted: BTreeSet::new(),
            at_end: true,
        }
    }

    /// Returns the founding document; that of the root, if this is a cohort.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the community's id.
    pub const fn community(&self) -> CommunityId {
        self.community
    }

    /// Returns the rules in force at the next height. A round keeps those of its [plan](RoundRecord::charter).
    pub const fn charter(&self) -> &Arc<Charter> {
        self.governance.charter()
    }

    /// Returns the height of the last batch that was applied to its end.
    pub const fn height(&self) -> Height {
        self.governance.height()
    }

    /// Returns who has registered, attested and vouched.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns whether somebody is a member now.
    pub fn is_member(&self, key: &PublicKey) -> bool {
        self.registry.is_member(self.charter(), key, self.time())
    }

    /// Returns how many members there are now.
    pub fn count_members(&self) -> usize {
        self.registry.count_members(self.charter(), self.time())
    }

    /// Returns the keys of all members; of a cohort nobody's, whose members are leaves.
    pub fn members(&self) -> Vec<PublicKey> {
        self.registry.members(self.charter(), self.time()).copied().collect()
    }

    /// Returns the polls.
    pub fn polls(&self) -> &BTreeMap<PollId, Arc<Poll>> {
        &self.polls
    }

    /// Returns the series of adapter rounds.
    pub fn series(&self) -> &BTreeMap<SeriesId, Arc<Series>> {
        &self.series
    }

    /// Returns the rounds.
    pub fn rounds(&self) -> &BTreeMap<RoundId, Arc<RoundRecord>> {
        &self.rounds
    }

    /// Returns what operators say about values cards.
    pub fn cards(&self) -> &Cards {
        &self.cards
    }

    /// Returns the operators that the log proves to have signed contradictions.
    pub const fn convicted(&self) -> &BTreeSet<PublicKey> {
        &self.convicted
    }

    /// Returns the latest clock reading of an operator, in office or not: who comes back says none of the old ones again.
    pub fn clock(&self, operator: &PublicKey) -> Timestamp {
        self.clocks.get(operator).copied().unwrap_or_default()
    }

    /// Returns the log's time. Until enough operators of a new charter have read their clocks it stands still.
    pub fn time(&self) -> Timestamp {
        let mut times: Vec<_> = self.charter().operators.iter().map(|operator| self.clock(operator)).collect();
        times.sort_unstable();
        let median = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        median.max(self.governance.since())
    }

    /// Returns the snapshot that a round would pin if it opened now, with the keys of `opening`.
    pub fn snapshot(&self, round: RoundId, keys: &[Option<SealPublic>]) -> Snapshot {
        self.snapshot_after(round.as_ref(), keys).1
    }

    /// Takes a snapshot; returns the registry as it is then.
    fn snapshot_after(&self, subject: &[u8; 32], keys: &[Option<SealPublic>]) -> (Registry, Snapshot) {
        let mut bytes = subject.to_vec();
        put_seq(&mut bytes, keys);
        let mut after = self.registry.as_ref().clone();
        let snapshot = after.take_snapshot(&self.scene(), snapshot::beacon(&bytes));
        (after, snapshot)
    }

    /// Returns a snapshot as polls and rounds hold it: while nobody comes or goes they all hold the same one, and its rings.
    fn shared(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let of_rounds = self.rounds.values().filter_map(|round| Some(&round.manifest.as_ref()?.snapshot));
        let known = of_rounds.chain(self.polls.values().map(|poll| &poll.snapshot));
        let mut equal = known.filter(|known| known.root() == snapshot.root() && ***known == snapshot);
        equal.next().map_or_else(|| Arc::new(snapshot), Arc::clone)
    }

    /// Returns the scope of a member's `number`-th anonymous proposal for a poll; `None` if there is no such poll.
    pub fn proposal_scope(&self, poll: PollId, number: u8) -> Option<Digest> {
        let found = self.polls.get(&poll)?;
        Some(scope(self.community, found.policy, found.snapshot.root(), poll, Purpose::Propose(number)))
    }

    fn scene(&self) -> Scene<'_> {
        let policy = self.governance.policy_digest();
        Scene { charter: self.charter(), community: self.community, policy, now: self.time() }
    }

    /// Lets the registry take an entry.
    fn in_registry(&mut self, apply: impl FnOnce(&mut Registry, &Scene<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let now = self.time();
        let policy = self.governance.policy_digest();
        let scene = Scene { charter: self.governance.charter(), community: self.community, policy, now };
        apply(Arc::make_mut(&mut self.registry), &scene)
    }

    /// Applies the next entry.
    ///
    /// # Errors
    ///
    /// Returns the [`Fault`] for which the entry is refused; the state is then unchanged.
    pub fn apply(&mut self, signed: &SignedEntry) -> Result<(), Fault> {
        signed.verify(self.community)?;
        self.apply_verified(signed)
    }

    /// Applies an entry whose signature has been checked.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_verified(&mut self, signed: &SignedEntry) -> Result<(), Fault> {
        self.take_entry(signed)?;
        self.at_end = false;
        Ok(())
    }

    fn take_entry(&mut self, signed: &SignedEntry) -> Result<(), Fault> {
        let author = signed.author;
        if self.origin.is_some() {
            self.check_in_cohort(&signed.entry)?;
        }
        match &signed.entry {
            Entry::Register(it) => self.in_registry(|registry, scene| registry.register(scene, author, it)),
            Entry::Attest(it) => self.in_registry(|registry, scene| registry.attest(scene, author, it)),
            Entry::Revoke(it) => self.in_registry(|registry, scene| registry.revoke(scene, author, it)),
            Entry::Vouch(it) => self.in_registry(|registry, scene| registry.vouch(scene, author, it)),
            Entry::Rotate(it) => self.in_registry(|registry, scene| registry.rotate(scene, author, it)),
            Entry::Veto(it) => self.in_registry(|registry, _| registry.veto(author, it)),
            Entry::Census(it) => self.in_registry(|registry, scene| registry.count(scene, author, it)),
            Entry::RemoveAttester(it) => {
                self.operator(author, "the removal of an attester")?;
                self.in_registry(|registry, scene| registry.remove_attester(scene, author, it))
            }
            Entry::Expel(it) => {
                self.operator(author, "an expulsion")?;
                self.in_registry(|registry, scene| registry.expel(scene, author, it))
            }
            Entry::Propose(proposal) => self.propose(author, proposal),
            Entry::ProposeAnonymously(proposal) => self.propose_anonymously(author, proposal),
            Entry::Poll(opening) => {
                self.operator(author, "a poll")?;
                self.open_poll(author, opening)
            }
            Entry::Plan(plan) => {
                self.operator(author, "a round's plan")?;
                self.plan_round(author, plan)
            }
            Entry::Clock(reading) => {
                self.operator(author, "a clock reading")?;
                self.read_clock(author, reading)
            }
            Entry::Evidence(evidence) => {
                self.operator(author, "evidence")?;
                self.convict(&evidence.bytes)
            }
            Entry::RoundKey(it) => self.in_round(it.round, author, |round, operator| round.offer_key(operator, it)),
            Entry::Open(it) => self.open_round(author, it),
            Entry::Contribution(it) => {
                self.witnessed(it.header.round, author, |round, context| round.accept(it, context))
            }
            Entry::Close(it) => self.witnessed(it.round, author, |round, context| round.close(context)),
            Entry::Opening(it) => self.in_round(it.round, author, |round, operator| round.on_opening(operator, it)),
            Entry::Opened(it) => self.in_round(it.round, author, |round, operator| round.on_opened(operator, it)),
            Entry::ShareHash(it) => {
                self.in_round(it.round, author, |round, operator| round.on_share_hash(operator, it))
            }
            Entry::Share(it) => self.in_round(it.round, author, |round, operator| round.on_share(operator, author, it)),
            Entry::EndPass(it) => self.in_round(it.round, author, |round, operator| round.on_end_pass(operator, it)),
            Entry::Partition(it) => self.in_round(it.round, author, |round, operator| round.on_partition(operator, it)),
            Entry::Result(it) => self.in_round(it.round, author, |round, operator| round.on_result(operator, it)),
            Entry::Erased(it) => self.in_round(it.round, author, |round, operator| round.on_erased(operator)),
            Entry::Series(manifest) => {
                self.operator(author, "a series of adapter rounds")?;
                self.begin_series(author, manifest)
            }
            Entry::Weigh(it) => {
                self.in_round(it.weighed.round, author, |round, operator| round.on_weighed(operator, it))
            }
            Entry::Beacon(it) => self.in_round(it.round, author, |round, operator| round.on_beacon(operator, it)),
            Entry::Canonical(it) => {
                self.operator(author, "statements about values cards")?;
                self.state_card(CardStatement::canonical(author, it))
            }
            Entry::MergeCards(it) => {
                self.operator(author, "statements about values cards")?;
                self.state_card(CardStatement::merge(author, it))
            }
            Entry::PollRules(it) => {
                self.operator(author, "the rules of a poll")?;
                self.state_rules(author, it)
            }
            Entry::Moderate(it) => {
                self.operator(author, "words on items")?;
                self.moderate(author, it)
            }
            Entry::ProposeWith(it) => self.propose_with(author, it),
            Entry::Assess(it) => self.in_round(it.round, author, |round, operator| round.on_assessment(operator, it)),
            Entry::Amend(it) => self.amend(author, it),
            Entry::Convene(it) => self.convene(author, it),
            Entry::Draw(it) => self.draw(author, it),
            Entry::Deal(it) => self.deal(author, it.round),
            Entry::CohortResult(it) => self.take_cohort_result(it),
            Entry::Checkpoint(it) => {
                self.operator(author, "a checkpoint")?;
                self.check_checkpoint(it)
            }
        }
    }

    fn operator(&self, author: PublicKey, what: &'static str) -> Result<u8, Fault> {
        self.charter().operator(&author).ok_or(Fault::NotAllowed(what))
    }

    /// Lets a round take an operator's entry: an operator of the charter under which it was planned.
    fn in_round(
        &mut self,
        round: RoundId,
        author: PublicKey,
        apply: impl FnOnce(&mut RoundRecord, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let operator = self.operator_of(round, author)?;
        let record = Arc::make_mut(&mut self.rounds).get_mut(&round).ok_or(Fault::Unknown("round"))?;
        apply(Arc::make_mut(record), operator)
    }

    /// Lets a round take an entry that follows from the log or carries its own proof: any operator may say it, of the round
    /// or in office, so that a round comes to its end whoever orders the log by then.
    fn witnessed(
        &mut self,
        round: RoundId,
        author: PublicKey,
        apply: impl FnOnce(&mut RoundRecord, &round::Rules) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.witness(round, author)?;
        let rules = round::Rules { community: self.community, now: self.time() };
        let record = Arc::make_mut(&mut self.rounds).get_mut(&round).ok_or(Fault::Unknown("round"))?;
        apply(Arc::make_mut(record), &rules)
    }

    fn witness(&self, round: RoundId, author: PublicKey) -> Result<(), Fault> {
        match self.charter().operator(&author) {
            Some(_) if self.rounds.contains_key(&round) => Ok(()),
            Some(_) | None => self.operator_of(round, author).map(|_| ()),
        }
    }

    fn operator_of(&self, round: RoundId, author: PublicKey) -> Result<u8, Fault> {
        let Some(record) = self.rounds.get(&round) else {
            self.operator(author, "entries of a round")?;
            return Err(Fault::Unknown("round"));
        };
        record.charter.operator(&author).ok_or(Fault::NotAllowed("entries of a round"))
    }

    fn open_round(&mut self, author: PublicKey, opening: &RoundOpening) -> Result<(), Fault> {
        // First what is cheap: a snapshot costs much where vouches admit.
        self.witness(opening.round, author)?;
        let round = self.rounds.get(&opening.round).ok_or(Fault::Unknown("round"))?;
        if round.manifest.is_some() {
            return Err(Fault::Duplicate("the round's opening"));
        }
        // On a copy: an opening that is refused takes no snapshot.
        let (after, snapshot) = self.snapshot_after(opening.round.as_ref(), &opening.keys);
        let classes = self.classes_at(opening.round, &snapshot);
        let pinned = round::Pinned { snapshot: self.shared(snapshot), classes };
        self.witnessed(opening.round, author, |round, rules| round.open(opening, pinned, rules))?;
        self.registry = Arc::new(after);
        Ok(())
    }

    /// Returns the classes that a round with classes can have under a snapshot: those with enough members for each of its
    /// cohorts.
    fn classes_at(&self, round: RoundId, snapshot: &Snapshot) -> Vec<OpenClass> {
        let Some(record) = self.rounds.get(&round) else { return Vec::new() };
        let Some(plan) = record.plan.classes.as_ref() else { return Vec::new() };
        match &plan.source {
            ClassSource::Attribute(slot) => {
                let values = self.registry.open_values(&record.charter, *slot, snapshot.cohorts().len());
                values.into_iter().map(|number| OpenClass { number, group: None }).collect()
            }
            ClassSource::Groups(groups) => {
                self.earlier_groups(groups, (snapshot, record.charter.policy.floor)).unwrap_or_default()
            }
        }
    }

    /// Returns the groups of an earlier round as rings of tags; none if it pinned another snapshot.
    ///
    /// An anonymous ballot shows group and cohort: with several cohorts a group needs `floor` tags for each of them.
    fn earlier_groups(&self, groups: &EarlierGroups, (snapshot, floor): (&Snapshot, u32)) -> Option<Vec<OpenClass>> {
        let earlier = self.rounds.get(&groups.round)?;
        let (manifest, sealed) = (earlier.manifest.as_ref()?, earlier.sealed.as_ref()?);
        if manifest.root != snapshot.root() {
            return None;
        }
        let cohorts = snapshot.cohorts().len();
        let least = if cohorts > 1 { (floor as usize).saturating_mul(cohorts) } else { 1 };
        let group = |block: u8| {
            let of_block = sealed.contributions.iter().zip(&groups.assignment).filter(|(_, of)| **of == block);
            let tags: Vec<Tag> = of_block.map(|(contribution, _)| contribution.header.tag).collect();
            let ring = (least..=MAX_RING).contains(&tags.len()).then(|| Arc::new(LazyRing::of_tags(tags)))?;
            Some(OpenClass { number: u16::from(block) + 1, group: Some((manifest.scope, ring)) })
        };
        Some((0..groups.k).filter_map(group).collect())
    }

    /// Returns an operator's share of what all of them may have. What is kept for good is bounded as a whole too: operators change.
    fn share_of(&self, all: usize) -> usize {
        all / self.charter().operators.len().max(1)
    }

    fn plan_round(&mut self, operator: PublicKey, plan: &RoundPlan) -> Result<(), Fault> {
        let own = self.rounds.values().filter(|round| round.planned_by == operator);
        let unfinished = own.filter(|round| !round.is_finished()).count();
        bound("unfinished rounds of one operator", self.share_of(limits::MAX_OPEN_ROUNDS), unfinished + 1)?;
        if let Some(classes) = &plan.classes {
            check_classes(self.charter(), &self.rounds, classes)?;
        }
        let id = plan.id(self.community);
        let collects = match &plan.subject {
            Subject::Ballots(ballots) => self.plan_ballots(id, ballots)?,
            Subject::Deltas(deltas) => self.plan_deltas(operator, (id, plan), *deltas)?,
        };
        let ordinal = u32::try_from(self.rounds.len() + 1).unwrap_or(u32::MAX);
        let mut record = RoundRecord::new(id, (operator, plan.clone()), Arc::clone(self.charter()), collects, ordinal);
        record.replaces = plan.deltas().and_then(|deltas| self.adopted(deltas.series)).map(|(_, adapter)| adapter);
        Arc::make_mut(&mut self.rounds).insert(id, Arc::new(record));
        Ok(())
    }

    /// Takes one proof against each operator: more of them would only fill the log.
    fn convict(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let proof = EquivocationProof::from_bytes(bytes)?;
        let culprit = proof.verify(self.community).map_err(|_| Fault::Mismatch("evidence"))?;
        if !self.governance.has_served(&culprit) {
            return Err(Fault::NotAllowed("contradictions that concern nobody"));
        }
        if self.convicted.insert(culprit) { Ok(()) } else { Err(Fault::Duplicate("evidence")) }
    }

    fn read_clock(&mut self, operator: PublicKey, reading: &ClockReading) -> Result<(), Fault> {
        if reading.time <= self.clock(&operator) {
            return Err(Fault::Duplicate("a later clock reading"));
        }
        self.clocks.insert(operator, reading.time);
        let (now, charter) = (self.time(), Arc::clone(self.charter()));
        if self.rounds.values().any(|round| round.waits_for_clocks()) {
            let waiting = Arc::make_mut(&mut self.rounds).values_mut().filter(|round| round.waits_for_clocks());
            waiting.for_each(|round| Arc::make_mut(round).on_clock(operator, now, &charter));
        }
        if self.registry.is_refresh_due(&self.scene()) {
            self.in_registry(|registry, scene| {
                registry.refresh_vouched(scene);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Checks the classes of a plan: there is what tells them apart, and hiding one's class gains nothing.
fn check_classes(
    charter: &Charter,
    rounds: &BTreeMap<RoundId, Arc<RoundRecord>>,
    classes: &ClassPlan,
) -> Result<(), Fault> {
    let count = match &classes.source {
        ClassSource::Attribute(slot) => {
            let attribute = charter.policy.attributes.get(usize::from(*slot)).ok_or(Fault::Unknown("attribute"))?;
            if charter.weights_of(*slot).is_some_and(|fixed| fixed != classes.weights) {
                return Err(Fault::Mismatch("the weights that the charter fixes"));
            }
            attribute.values.len()
        }
        ClassSource::Groups(groups) => {
            let earlier = rounds.get(&groups.round).ok_or(Fault::Unknown("round"))?;
            if !earlier.has_groups() {
                return Err(Fault::NotAllowed("classes by the groups of a round that looks for none"));
            }
            let partition = earlier.partition.ok_or(Fault::Phase("classes by groups that are not fixed"))?;
            if partition_digest(groups.k, &groups.assignment) != partition {
                return Err(Fault::Mismatch("the groups of the earlier round"));
            }
            usize::from(groups.k)
        }
    };
    let [other, weights @ ..] = classes.weights.as_slice() else { return Err(Fault::Mismatch("the classes' weights")) };
    let is_weight = |weight: &u32| *weight >= *other && *weight <= limits::MAX_WEIGHT;
    if weights.len() != count || !weights.iter().all(is_weight) {
        return Err(Fault::Mismatch("the classes' weights"));
    }
    Ok(())
}

/// Returns the digest that pins a partition: how many blocks are groups, and the block of each ballot.
pub fn partition_digest(k: u8, assignment: &[u8]) -> Digest {
    let mut bytes = vec![k];
    chorus_crypto::codec::put_bytes(&mut bytes, assignment);
    hash::content(&bytes)
}

/// What may be said once in a scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A ballot in a round.
    Vote,
    /// An adapter in a round.
    Delta,
    /// The i-th anonymous proposal for a poll.
    Propose(u8),
}

impl core::fmt::Display for Purpose {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Vote => f.write_str("vote"),
            Self::Delta => f.write_str("delta"),
            Self::Propose(number) => write!(f, "propose|{number}"),
        }
    }
}

/// Returns a scope of the credential: who may say what once. `subject` is the id of the round or poll.
pub fn scope(
    community: CommunityId,
    policy: Digest,
    snapshot: Digest,
    subject: impl AsRef<[u8; 32]>,
    purpose: Purpose,
) -> Digest {
    let mut bytes = community.to_bytes();
    policy.encode(&mut bytes);
    snapshot.encode(&mut bytes);
    subject.as_ref().encode(&mut bytes);
    chorus_crypto::codec::put_bytes(&mut bytes, purpose.to_string().as_bytes());
    hash::digest_bytes(domain::SCOPE, &bytes)
}
