//! One round as the log tells it: keys, opening, accepted contributions, seal, openings, passes, result.

mod adapter;
mod pass;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{
    codec::{Encode as _, put_seq},
    credential::Tag,
    domain,
    hash::{self, Digest},
    seal::SealPublic,
    sign::PublicKey,
};

pub use self::{adapter::Verdict, pass::Pass};
use super::{Division, Purpose, scope};
use crate::{
    adapter::{
        entry::{GroupScore, WeighedAdapter},
        manifest::AdapterManifest,
    },
    charter::Charter,
    fault::{Fault, bound},
    id::{BlobId, CommunityId, RoundId, SetId},
    limits,
    log::entry::{
        AcceptedContribution, ContributionHeader, MaskOpening, OpenedValues, PartitionChoice, PassId, PollKind,
        RoundKey, RoundOpening, RoundPlan, RoundResult, Step,
    },
    registry::{Snapshot, snapshot::LazyRing},
    time::Timestamp,
};

/// What the rules of a round depend on besides the round.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) community: CommunityId,
    pub(super) now: Timestamp,
}

/// What the state of the community pins when a round opens.
pub(super) struct Pinned {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) classes: Vec<OpenClass>,
}

/// A class that contributions to a round may show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenClass {
    /// Its number: the value of an attribute, or 1 + an opinion group.
    pub number: u16,
    /// For an opinion group: the scope of its members' tags, and their ring.
    pub group: Option<(Digest, Arc<LazyRing>)>,
}

/// What was pinned when the round opened. Its digest is the first thing a contribution's transcript absorbs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The sealing key of each operator; none for one that takes no part.
    pub keys: Vec<Option<SealPublic>>,
    /// The members.
    pub snapshot: Arc<Snapshot>,
    /// The snapshot's root.
    pub root: Digest,
    /// The classes that may be shown, ascending; contributions of other classes are "other".
    pub classes: Vec<OpenClass>,
    /// The scope of a vote in this round.
    pub scope: Digest,
    /// The digest of plan, keys, root and classes.
    pub digest: Digest,
    /// From which log time on the round may close.
    pub deadline: Timestamp,
}

impl Manifest {
    /// Returns the class with this number, if contributions may show it.
    pub fn class(&self, number: u16) -> Option<&OpenClass> {
        self.classes.iter().find(|class| class.number == number)
    }
}

/// What a round collects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Collects {
    /// Ballots of a poll of this kind.
    Ballots(PollKind),
    /// Deltas of a series with this manifest.
    Deltas(Arc<AdapterManifest>),
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum RoundState {
    /// Operators offer their keys.
    Planned,
    /// Contributions are taken.
    Open,
    /// The accepted set is fixed; sums are being opened.
    Sealed,
    /// f + 1 operators have stated one result.
    Finished,
}

/// A contribution of the sealed set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedContribution {
    /// The contribution.
    pub header: ContributionHeader,
    /// The operators whose acknowledgements stand on the log.
    pub acknowledged_by: Vec<u8>,
}

/// Returns the contribution that counts among a tag's: the latest. It is in the sealed set, or a withdrawal that took one out
/// of it.
pub(crate) fn counting(attempts: &BTreeMap<u8, SealedContribution>) -> Option<&SealedContribution> {
    attempts.values().next_back()
}

/// The one accepted set of a round, in order of tags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// The set's digest: over (tag, sequence, core) of each contribution.
    pub set: SetId,
    /// The contributions, ascending by tag.
    pub contributions: Vec<SealedContribution>,
}

/// One operator's opening of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// The digest of what was opened.
    pub inputs: Digest,
    /// The sums by index of T.
    pub sums: BTreeMap<u8, BlobId>,
}

/// A round as the log tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundRecord {
    /// The round's id.
    pub id: RoundId,
    /// The plan.
    pub plan: RoundPlan,
    /// The rules under which it was planned; they hold to its end. Operators are numbered by them.
    pub charter: Arc<Charter>,
    /// The operator who planned it.
    pub planned_by: PublicKey,
    /// What it collects.
    pub collects: Collects,
    /// Whether it is divided among cohorts. A divided round is planned until its cohorts' results are closed.
    pub division: Division,
    /// The adapter that the community used when an adapter round was planned: what the round's own would replace.
    pub replaces: Option<BlobId>,
    /// Which round of the community this is, from 1: the version of the constitution it leads to.
    pub ordinal: u32,
    /// The log's time once n − f operators had read their clocks since the plan, or since the division: an idle log's time stands
    /// still, so that neither the wait for keys nor the deadline could be counted from it before.
    pub planned_at: Option<Timestamp>,
    /// Who has read their clock since then.
    pub clocks_read: BTreeSet<PublicKey>,
    /// The keys offered so far.
    pub offered: BTreeMap<u8, SealPublic>,
    /// What was pinned at the opening.
    pub manifest: Option<Manifest>,
    /// Accepted contributions by tag and sequence. Copies of the state share those of everybody to whom nothing has happened
    /// since: every batch is tried on one.
    pub contributions: BTreeMap<Tag, Arc<BTreeMap<u8, SealedContribution>>>,
    /// The sealed set.
    pub sealed: Option<Sealed>,
    /// Openings by step and operator.
    pub openings: BTreeMap<Step, BTreeMap<u8, Opening>>,
    /// Opened values by step and operator: digest of inputs, values.
    pub opened: BTreeMap<Step, BTreeMap<u8, (Digest, BlobId)>>,
    /// Passes of the secret PCA.
    pub passes: BTreeMap<PassId, Pass>,
    /// Partitions stated, by operator.
    pub partitions: BTreeMap<u8, Digest>,
    /// The partition that f + 1 operators stated; no other is admitted after it.
    pub partition: Option<Digest>,
    /// Results stated, by operator.
    pub results: BTreeMap<u8, RoundResult>,
    /// The first result that f + 1 operators stated; no later statement changes it.
    pub(super) agreed: Option<RoundResult>,
    /// Operators that erased their secrets.
    pub erased: BTreeSet<u8>,
    /// What splits the set into cohorts, by operator and index of T.
    pub beacons: BTreeMap<u8, BTreeMap<u8, Digest>>,
    /// What f + 1 operators state of every T, all together; nothing changes it.
    pub beacon: Option<Digest>,
    /// Other weighings of the classes of a finished adapter round, by operator, and how often each has stated one.
    pub weighed: BTreeMap<u8, (WeighedAdapter, u8)>,
    /// How the round's adapter did, by operator.
    pub assessments: BTreeMap<u8, Vec<GroupScore>>,
    /// What the first n − f assessments came to.
    pub verdict: Option<Verdict>,
    /// The seeds of all contributions that were accepted, by the first byte of their digests: copies of the state share what
    /// nothing was added to.
    pub(super) seed_digests: BTreeMap<u8, Arc<BTreeSet<Digest>>>,
}

impl RoundRecord {
    pub(super) fn new(
        id: RoundId,
        (planned_by, plan): (PublicKey, RoundPlan),
        charter: Arc<Charter>,
        collects: Collects,
        ordinal: u32,
    ) -> Self {
        Self {
            id,
            plan,
            charter,
            planned_by,
            collects,
            division: Division::Whole,
            replaces: None,
            ordinal,
            planned_at: None,
            clocks_read: BTreeSet::new(),
            offered: BTreeMap::new(),
            manifest: None,
            contributions: BTreeMap::new(),
            sealed: None,
            openings: BTreeMap::new(),
            opened: BTreeMap::new(),
            passes: BTreeMap::new(),
            partitions: BTreeMap::new(),
            partition: None,
            results: BTreeMap::new(),
            agreed: None,
            erased: BTreeSet::new(),
            beacons: BTreeMap::new(),
            beacon: None,
            weighed: BTreeMap::new(),
            assessments: BTreeMap::new(),
            verdict: None,
            seed_digests: BTreeMap::new(),
        }
    }

    /// Returns where the round stands.
    pub const fn state(&self) -> RoundState {
        if self.agreed.is_some() {
            RoundState::Finished
        } else if self.sealed.is_some() {
            RoundState::Sealed
        } else if self.manifest.is_some() {
            RoundState::Open
        } else {
            RoundState::Planned
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.agreed.is_some()
    }

    /// Returns whether contributors may consent to a point on an opinion map.
    pub const fn has_map(&self) -> bool {
        matches!(self.collects, Collects::Ballots(_)) && self.plan.classes.is_none()
    }

    /// Returns whether the blocks of its partition, if it comes to one, are opinion groups.
    pub(super) const fn has_groups(&self) -> bool {
        matches!(self.collects, Collects::Ballots(PollKind::Statement)) && self.plan.classes.is_none()
    }

    /// Returns the contributions that count, by tag: of each tag the latest, a withdrawal too.
    pub fn counting(&self) -> impl Iterator<Item = &SealedContribution> {
        self.contributions.values().filter_map(|attempts| counting(attempts))
    }

    /// Returns the bodies that whoever verifies the round asks for, once it has a result: what counts, and what was stated.
    pub fn audited(&self) -> impl Iterator<Item = BlobId> {
        self.counting().map(|counting| counting.header.body).chain(self.stated())
    }

    /// Returns the opened values, the result, and what follows from it, as far as they are agreed.
    pub fn stated(&self) -> impl Iterator<Item = BlobId> {
        let values = Step::ALL.into_iter().filter_map(|step| Some(self.agreed_values(step)?.1));
        let result =
            self.agreed_result().into_iter().flat_map(|result| [Some(result.result), result.follows]).flatten();
        values.chain(result).chain(self.weighed_adapter())
    }

    /// Returns the bodies of the sealed set; none before the seal.
    pub fn sealed_bodies(&self) -> impl Iterator<Item = &BlobId> {
        self.sealed.iter().flat_map(|sealed| &sealed.contributions).map(|one| &one.header.body)
    }

    /// Returns the result that f + 1 operators state.
    pub const fn agreed_result(&self) -> Option<&RoundResult> {
        self.agreed.as_ref()
    }

    /// Returns how many contributions open something.
    pub fn least(&self) -> usize {
        let policy = &self.charter.policy;
        let floor = self.adapter().map_or(0, |adapter| adapter.floor(policy));
        policy.min_contributions.max(floor) as usize
    }

    /// Returns the fewest contributions whose sum may be opened.
    pub fn floor(&self) -> usize {
        let policy = &self.charter.policy;
        self.adapter().map_or(policy.floor, |adapter| adapter.floor(policy)) as usize
    }

    /// Returns the digest of inputs and the values that f + 1 operators state for a step.
    pub fn agreed_values(&self, step: Step) -> Option<(Digest, BlobId)> {
        agreed(self.opened.get(&step)?.values(), self.charter.faulty()).copied()
    }

    /// Returns the sum of masks of T (by index) that f + 1 operators opened in a step.
    pub fn agreed_sum(&self, step: Step, inputs: &Digest, subset: u8) -> Option<BlobId> {
        let openings = self.openings.get(&step)?.values().filter(|opening| opening.inputs == *inputs);
        agreed(openings.filter_map(|opening| opening.sums.get(&subset)), self.charter.faulty()).copied()
    }

    /// Returns whether the log's time is not fresh yet since the plan.
    pub(super) const fn waits_for_clocks(&self) -> bool {
        self.planned_at.is_none()
    }

    /// Notes that an operator read its clock, at log time `now`: n − f of those in office make the log's time a fresh one.
    pub(super) fn on_clock(&mut self, operator: PublicKey, now: Timestamp, in_office: &Charter) {
        if self.waits_for_clocks() {
            self.clocks_read.insert(operator);
            let read = self.clocks_read.iter().filter(|key| in_office.operator(key).is_some()).count();
            self.planned_at = (read >= in_office.quorum()).then_some(now);
        }
    }

    pub(super) fn offer_key(&mut self, operator: u8, offer: &RoundKey) -> Result<(), Fault> {
        if self.manifest.is_some() {
            return Err(Fault::Phase("a round key"));
        }
        if !self.division.is_whole() {
            return Err(Fault::NotAllowed("a key of a divided round"));
        }
        // Nobody could seal to it, so that nobody could contribute.
        if !offer.key.is_usable() {
            return Err(Fault::Mismatch("a round key"));
        }
        insert_once(&mut self.offered, operator, offer.key, "a round key")
    }

    pub(super) fn open(&mut self, opening: &RoundOpening, pinned: Pinned, rules: &Rules) -> Result<(), Fault> {
        if self.manifest.is_some() {
            return Err(Fault::Duplicate("the round's opening"));
        }
        let operators = self.charter.sharing().operators();
        let expected: Vec<_> = (1..=operators).map(|operator| self.offered.get(&operator).copied()).collect();
        if opening.keys != expected {
            return Err(Fault::Mismatch("the operators' keys"));
        }
        let needed = usize::from(operators - self.charter.faulty());
        if self.offered.len() < needed {
            return Err(Fault::Quorum { needed, found: self.offered.len() });
        }
        let planned_at = self.planned_at.ok_or(Fault::Phase("an opening before the clocks were read"))?;
        let grace = planned_at.plus_millis(self.plan.key_grace_millis);
        if self.offered.len() < usize::from(operators) && rules.now < grace {
            return Err(Fault::Early { what: "an opening without every key", from: grace, now: rules.now });
        }
        let Pinned { snapshot, classes } = pinned;
        if opening.snapshot != snapshot.root() {
            return Err(Fault::Mismatch("the snapshot"));
        }
        let deadline = rules.now.plus_millis(self.plan.duration_millis);
        self.manifest = Some(self.pinned(rules.community, opening.keys.clone(), (snapshot, classes), deadline));
        Ok(())
    }

    /// Returns what an opening pins.
    pub(super) fn pinned(
        &self,
        community: CommunityId,
        keys: Vec<Option<SealPublic>>,
        (snapshot, classes): (Arc<Snapshot>, Vec<OpenClass>),
        deadline: Timestamp,
    ) -> Manifest {
        let purpose = match &self.collects {
            Collects::Ballots(_) => Purpose::Vote,
            Collects::Deltas(_) => Purpose::Delta,
        };
        let root = snapshot.root();
        let scope = scope(community, self.charter.policy_digest(), root, self.id, purpose);
        let mut bytes = self.plan.to_bytes();
        put_seq(&mut bytes, &keys);
        root.encode(&mut bytes);
        put_seq(&mut bytes, &classes.iter().map(|class| class.number).collect::<Vec<_>>());
        let digest = hash::digest_bytes(domain::OBJECT, &bytes);
        Manifest { keys, snapshot, root, classes, scope, digest, deadline }
    }

    pub(super) fn accept(&mut self, accepted: &AcceptedContribution, rules: &Rules) -> Result<(), Fault> {
        let manifest = self.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        if self.sealed.is_some() {
            return Err(Fault::Phase("a contribution"));
        }
        let header = &accepted.header;
        check_acknowledgements(accepted, &self.charter, rules.community)?;
        bound("sequence number", limits::MAX_SEQUENCE.into(), header.sequence.into())?;
        if !header.is_withdrawal() && header.seed_digests.len() != self.charter.sharing().subset_count() {
            return Err(Fault::Mismatch("the number of seeds"));
        }
        let is_shown = header.class == 0 || manifest.class(header.class).is_some();
        if !is_shown || (header.class != 0 && header.is_withdrawal()) || (header.on_map && !self.has_map()) {
            return Err(Fault::Mismatch("the class"));
        }
        let known = self.contributions.get(&header.tag);
        if known.is_none() {
            let capacity = self.adapter().map_or(usize::MAX, |adapter| adapter.encoding.capacity());
            let most = manifest.snapshot.leaves().len().min(limits::MAX_MEMBERS).min(capacity);
            bound("distinct tags", most, self.contributions.len() + 1)?;
        }
        if known.is_some_and(|known| known.contains_key(&header.sequence)) {
            return Err(Fault::Duplicate("a contribution with this tag and sequence"));
        }
        let fresh: BTreeSet<_> = header.seed_digests.iter().copied().collect();
        if fresh.len() != header.seed_digests.len() || fresh.iter().any(|digest| self.is_used(digest)) {
            return Err(Fault::SeedReused);
        }
        self.take(SealedContribution {
            header: header.clone(),
            acknowledged_by: accepted.acknowledgements.iter().map(|(operator, _)| *operator).collect(),
        });
        Ok(())
    }

    /// Whether a contribution that was accepted has a seed with this digest.
    fn is_used(&self, digest: &Digest) -> bool {
        self.seed_digests.get(&first(digest)).is_some_and(|alike| alike.contains(digest))
    }

    /// Takes a contribution that has been checked.
    pub(super) fn take(&mut self, contribution: SealedContribution) {
        let header = &contribution.header;
        for digest in &header.seed_digests {
            let alike = self.seed_digests.entry(first(digest)).or_default();
            Arc::make_mut(alike).insert(*digest);
        }
        let attempts = self.contributions.entry(header.tag).or_default();
        Arc::make_mut(attempts).insert(header.sequence, contribution);
    }

    pub(super) fn close(&mut self, rules: &Rules) -> Result<(), Fault> {
        if self.sealed.is_some() {
            return Err(Fault::Duplicate("the round's closing"));
        }
        if !self.division.is_whole() {
            return self.close_divided(rules.now);
        }
        let manifest = self.manifest.as_ref().ok_or(Fault::Phase("a closing"))?;
        if rules.now < manifest.deadline {
            return Err(Fault::Early { what: "a closing", from: manifest.deadline, now: rules.now });
        }
        self.sealed = Some(self.seal());
        Ok(())
    }

    /// Returns the set that a closing seals: the last word of everybody who did not take theirs back.
    pub(super) fn seal(&self) -> Sealed {
        if let Some(divided) = self.divided() {
            return self.sealed_cohorts(divided);
        }
        let latest = self.contributions.values().filter_map(|attempts| attempts.values().next_back());
        let contributions: Vec<_> = latest.filter(|latest| !latest.header.is_withdrawal()).cloned().collect();
        let mut bytes = self.id.to_bytes();
        for SealedContribution { header, .. } in &contributions {
            header.tag.encode(&mut bytes);
            header.sequence.encode(&mut bytes);
            header.core.encode(&mut bytes);
        }
        Sealed { set: hash::digest_bytes(domain::SEALED_SET, &bytes).into(), contributions }
    }

    fn sealed_as(&self, set: SetId) -> Result<&Sealed, Fault> {
        if !self.division.is_whole() {
            return Err(Fault::NotAllowed("an opening of a divided round"));
        }
        let sealed = self.sealed.as_ref().ok_or(Fault::Phase("an opening"))?;
        if sealed.set == set { Ok(sealed) } else { Err(Fault::Mismatch("the sealed set")) }
    }

    pub(super) fn on_opening(&mut self, operator: u8, opening: &MaskOpening) -> Result<(), Fault> {
        let sealed = self.sealed_as(opening.set)?;
        let minimum = self.least();
        if sealed.contributions.len() < minimum {
            return Err(Fault::Quorum { needed: minimum, found: sealed.contributions.len() });
        }
        if opening.step == Step::Groups && self.partition.is_none() {
            return Err(Fault::Phase("an opening of groups before the partition"));
        }
        let subsets: Vec<_> = opening.sums.iter().map(|(subset, _)| usize::from(*subset)).collect();
        if subsets != self.charter.sharing().held_by(operator) {
            return Err(Fault::Mismatch("the subsets that the operator holds"));
        }
        let opening_of = Opening { inputs: opening.inputs, sums: opening.sums.iter().copied().collect() };
        insert_once(self.openings.entry(opening.step).or_default(), operator, opening_of, "an opening")
    }

    pub(super) fn on_opened(&mut self, operator: u8, opened: &OpenedValues) -> Result<(), Fault> {
        self.sealed_as(opened.set)?;
        let values = (opened.inputs, opened.values);
        if self.agreed_values(opened.step).is_some_and(|agreed| agreed != values) {
            return Err(Fault::Duplicate("values of this step"));
        }
        insert_once(self.opened.entry(opened.step).or_default(), operator, values, "opened values")
    }

    pub(super) fn on_partition(&mut self, operator: u8, choice: &PartitionChoice) -> Result<(), Fault> {
        self.sealed_as(choice.set)?;
        if self.partition.is_some_and(|fixed| fixed != choice.partition) {
            return Err(Fault::Duplicate("a partition of this set"));
        }
        insert_once(&mut self.partitions, operator, choice.partition, "a partition")?;
        if self.partition.is_none() {
            self.partition = agreed(self.partitions.values(), self.charter.faulty()).copied();
        }
        Ok(())
    }

    pub(super) fn on_result(&mut self, operator: u8, result: &RoundResult) -> Result<(), Fault> {
        if self.sealed.is_none() {
            return Err(Fault::Phase("a result"));
        }
        insert_once(&mut self.results, operator, result.clone(), "a result")?;
        if self.agreed.is_none() {
            self.agreed = agreed(self.results.values(), self.charter.faulty()).cloned();
        }
        Ok(())
    }

    pub(super) fn on_erased(&mut self, operator: u8) -> Result<(), Fault> {
        if self.results.is_empty() {
            return Err(Fault::Phase("an erasure"));
        }
        if self.erased.insert(operator) { Ok(()) } else { Err(Fault::Duplicate("an erasure")) }
    }
}

const fn first(digest: &Digest) -> u8 {
    let [first, ..] = *digest;
    first
}

fn check_acknowledgements(
    accepted: &AcceptedContribution,
    charter: &Charter,
    community: CommunityId,
) -> Result<(), Fault> {
    let needed = charter.quorum();
    let acknowledgements = &accepted.acknowledgements;
    if acknowledgements.len() < needed {
        return Err(Fault::Quorum { needed, found: acknowledgements.len() });
    }
    if !acknowledgements.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(Fault::Mismatch("the order of acknowledgements"));
    }
    let bytes = accepted.header.acknowledged_bytes(community);
    for (operator, signature) in acknowledgements {
        let key = charter.operator_key(*operator).ok_or(Fault::Unknown("operator"))?;
        key.verify(domain::ACKNOWLEDGE, &bytes, signature)?;
    }
    Ok(())
}

/// Returns the value that more than `faulty` of the statements agree on. With at most `faulty` liars and honest
/// statements that agree, there is at most one.
fn agreed<'a, T: Ord>(statements: impl Iterator<Item = &'a T>, faulty: u8) -> Option<&'a T> {
    let mut counts = BTreeMap::new();
    for statement in statements {
        let count = counts.entry(statement).or_insert(0usize);
        *count += 1;
        if *count > usize::from(faulty) {
            return Some(statement);
        }
    }
    None
}

pub(super) fn insert_once<V>(
    map: &mut BTreeMap<u8, V>,
    operator: u8,
    value: V,
    what: &'static str,
) -> Result<(), Fault> {
    match map.entry(operator) {
        std::collections::btree_map::Entry::Occupied(_) => Err(Fault::Duplicate(what)),
        std::collections::btree_map::Entry::Vacant(slot) => {
            slot.insert(value);
            Ok(())
        }
    }
}
