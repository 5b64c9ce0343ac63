//! Who is a member, as the log tells it: registrations, attestations, vouches, rotation, recovery, revocation.
//!
//! Nothing here is final until a [`Snapshot`] is taken: a round pins one when it opens, and whatever is said later takes
//! effect at the next one. What was cast under a snapshot stays.
//!
//! A person is in a snapshot iff they have registered, have neither left nor been expelled, are not recovered by another
//! key, and the community's [admission rule](policy::Admission) holds for them at that moment. If their leaf has attributes,
//! enough attesters to contain an honest one must have checked them, also where vouches alone admit: whoever discloses a
//! slot would else disclose what they like.

pub mod attestation;
pub mod entry;
pub mod flow;
pub mod merkle;
pub mod policy;
pub mod proposal;
pub mod snapshot;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{
    credential::{Leaf, SLOTS},
    hash::Digest,
    sign::PublicKey,
};

pub use self::snapshot::Snapshot;
use self::{
    attestation::{Attestation, Claim},
    entry::{AttesterRemoval, Census, Expulsion, LeafRotation, Registration, Revocation, Veto, Vouch},
    flow::Vouching,
};
use crate::{
    charter::Charter,
    fault::{Fault, bound, in_turn},
    id::CommunityId,
    limits,
    time::Timestamp,
};

/// How often the effect of new vouches is computed between snapshots, in milliseconds of log time.
const REFRESH_MILLIS: u64 = 3_600_000;

/// What the rules depend on besides the registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) charter: &'a Charter,
    pub(crate) community: CommunityId,
    pub(crate) policy: Digest,
    pub(crate) now: Timestamp,
}

impl Scene<'_> {
    /// Whether n − f operators are of one mind; the words of those who have left since do not count.
    fn is_decided_by(&self, votes: &BTreeSet<PublicKey>) -> bool {
        votes.iter().filter(|key| self.charter.operator(key).is_some()).count() >= self.charter.quorum()
    }
}

/// Why somebody who registered is no member any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Departure {
    /// They left.
    Left,
    /// n − f operators called them no distinct person.
    Expelled,
    /// They took another key.
    Recovered(PublicKey),
}

/// Another key that is to take over from a lost one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recovery {
    /// From which log time on it can.
    pub due: Timestamp,
    /// Whether the owner of the old key denied the loss.
    pub vetoed: bool,
    /// Whether it has taken over.
    pub done: bool,
}

/// Somebody who registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// Key, current leaf, slots.
    pub claim: Claim,
    /// The attestations that have not been taken back.
    pub attestations: BTreeMap<PublicKey, Attestation>,
    /// Why they are gone, if they are.
    pub departure: Option<Departure>,
    /// Whether this key takes over from another.
    pub recovery: Option<Recovery>,
    /// Who answers for the registration: an attester, a member, or a seed itself.
    sponsor: PublicKey,
    /// When attesters took their word back: an attestation that begins before does not count again.
    withdrawn: BTreeMap<PublicKey, Timestamp>,
    /// The number of snapshots at the last rotation: one rotation takes effect at each.
    rotated: Option<u64>,
}

impl Person {
    const fn is_active(&self) -> bool {
        let waits = match self.recovery {
            Some(recovery) => !recovery.done,
            None => false,
        };
        self.departure.is_none() && !waits
    }
}

/// Who is a member, as the log tells it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registry {
    people: BTreeMap<PublicKey, Arc<Person>>,
    /// Every leaf that was ever registered.
    leaves: BTreeSet<Leaf>,
    /// Live vouches, voucher first, and when they were given.
    vouches: BTreeMap<(PublicKey, PublicKey), Timestamp>,
    /// How many words each member has ever said about vouching for another.
    vouch_words: BTreeMap<(PublicKey, PublicKey), u32>,
    last_vouch: BTreeMap<PublicKey, Timestamp>,
    penalised: BTreeMap<PublicKey, Timestamp>,
    /// Those whom vouches admitted when that was last computed.
    vouched: Arc<BTreeSet<PublicKey>>,
    refreshed: Timestamp,
    removals: BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    removed: BTreeMap<PublicKey, Timestamp>,
    expulsions: BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    /// The latest counts of each attester, and how many it has given.
    census: BTreeMap<(u8, PublicKey), (u32, Vec<u32>)>,
    snapshots: u64,
    /// Whether its leaves are the members, and stay so: a cohort's.
    fixed: bool,
}

impl Registry {
    /// Returns everybody who registered, members or not.
    pub fn people(&self) -> impl Iterator<Item = (&PublicKey, &Person)> {
        self.people.iter().map(|(key, person)| (key, person.as_ref()))
    }

    /// Returns somebody who registered.
    pub fn person(&self, key: &PublicKey) -> Option<&Person> {
        self.people.get(key).map(Arc::as_ref)
    }

    /// Returns the registry of a cohort: these leaves are its members, whatever becomes of the people elsewhere.
    pub(crate) fn fixed(leaves: impl IntoIterator<Item = Leaf>) -> Self {
        Self { leaves: leaves.into_iter().collect(), fixed: true, ..Self::default() }
    }

    /// Returns the registry that was read of a cohort.
    pub(crate) fn into_fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    /// Returns how many members there are now.
    pub fn count_members(&self, charter: &Charter, now: Timestamp) -> usize {
        if self.fixed { self.leaves.len() } else { self.members(charter, now).count() }
    }

    /// Returns every leaf that was ever registered.
    pub(crate) const fn leaves(&self) -> &BTreeSet<Leaf> {
        &self.leaves
    }

    /// Returns the attesters that were removed, and when.
    pub const fn removed_attesters(&self) -> &BTreeMap<PublicKey, Timestamp> {
        &self.removed
    }

    /// Returns the vouches that stand: (voucher, for whom), and since when.
    pub const fn vouches(&self) -> &BTreeMap<(PublicKey, PublicKey), Timestamp> {
        &self.vouches
    }

    /// Returns how many words somebody has said about vouching for another.
    pub fn vouch_words(&self, from: &PublicKey, to: &PublicKey) -> u32 {
        self.vouch_words.get(&(*from, *to)).copied().unwrap_or_default()
    }

    /// Returns how often an attester has given counts for a slot.
    pub fn censuses(&self, slot: u8, attester: &PublicKey) -> u32 {
        self.census.get(&(slot, *attester)).map_or(0, |(number, _)| *number)
    }

    /// Returns from which log time on somebody may vouch again, as far as earlier vouches and penalties decide.
    pub fn next_vouch(&self, key: &PublicKey, vouching: &Vouching) -> Timestamp {
        let rested = self.last_vouch.get(key).map(|last| last.plus_millis(vouching.interval_millis));
        rested.max(self.penalised.get(key).copied()).unwrap_or_default()
    }

    /// Returns whether somebody is a member now. Vouches count as of the last time that their effect was computed.
    pub fn is_member(&self, charter: &Charter, key: &PublicKey, now: Timestamp) -> bool {
        self.people.get(key).is_some_and(|person| person.is_active() && self.is_admitted(charter, person, now))
    }

    /// Returns the keys of all members.
    pub fn members(&self, charter: &Charter, now: Timestamp) -> impl Iterator<Item = &PublicKey> {
        let is_in = move |person: &Person| person.is_active() && self.is_admitted(charter, person, now);
        self.people.iter().filter(move |(_, person)| is_in(person)).map(|(key, _)| key)
    }

    fn is_admitted(&self, charter: &Charter, person: &Person, now: Timestamp) -> bool {
        let grace = charter.policy.grace_millis;
        let counts = |attester: &PublicKey| {
            let trusted = self.removed.get(attester).is_none_or(|at| now < at.plus_millis(grace));
            trusted && person.attestations.get(attester).is_some_and(|attestation| attestation.is_valid_at(now))
        };
        let attested =
            |quorum: &policy::Quorum| quorum.is_met(charter.attesters.iter().filter(|attester| counts(&attester.key)));
        let honest = usize::from(charter.policy.admission.faulty_attesters()) + 1;
        let checked = || charter.attesters.iter().filter(|attester| counts(&attester.key)).count() >= honest;
        (person.claim.slots == 0 || checked())
            && charter.policy.admission.admits(&attested, &|_| self.vouched.contains(&person.claim.key))
    }

    /// Takes a snapshot: completes recoveries, and returns the members' leaves.
    pub(crate) fn take_snapshot(&mut self, scene: &Scene<'_>, beacon: Digest) -> Snapshot {
        if self.fixed {
            self.snapshots += 1;
            return Snapshot::new(self.leaves.iter().copied().collect(), scene.policy, beacon);
        }
        self.refresh_vouched(scene);
        self.complete_recoveries(scene);
        self.snapshots += 1;
        let keys: Vec<PublicKey> = self.members(scene.charter, scene.now).copied().collect();
        let leaves = keys.iter().filter_map(|key| Some(self.people.get(key)?.claim.leaf)).collect();
        Snapshot::new(leaves, scene.policy, beacon)
    }

    /// Returns whether the effect of vouches has not been computed for long.
    pub(crate) fn is_refresh_due(&self, scene: &Scene<'_>) -> bool {
        let has_vouches = scene.charter.policy.admission.vouching().is_some();
        !self.fixed && has_vouches && scene.now >= self.refreshed.plus_millis(REFRESH_MILLIS)
    }

    /// Computes the effect of vouches.
    pub(crate) fn refresh_vouched(&mut self, scene: &Scene<'_>) {
        let Some(vouching) = scene.charter.policy.admission.vouching() else { return };
        self.refreshed = scene.now;
        let (now, lasts) = (scene.now, vouching.expiry_millis);
        self.vouches.retain(|_, given| now < given.plus_millis(lasts));
        let is_active = |key: &PublicKey| self.people.get(key).is_some_and(|person| person.is_active());
        let may_take_over = |key: &PublicKey| self.people.get(key).is_some_and(|person| person.departure.is_none());
        let live = self.vouches.keys().filter(|(from, to)| is_active(from) && may_take_over(to)).copied().collect();
        self.vouched = Arc::new(flow::accepted(vouching, &live));
    }

    fn complete_recoveries(&mut self, scene: &Scene<'_>) {
        let mut due: Vec<(Timestamp, PublicKey, PublicKey)> = self
            .people
            .values()
            .filter(|person| {
                let waits = |recovery: Recovery| !recovery.vetoed && !recovery.done && recovery.due <= scene.now;
                person.departure.is_none()
                    && person.recovery.is_some_and(waits)
                    && self.is_admitted(scene.charter, person, scene.now)
            })
            .filter_map(|person| Some((person.recovery?.due, person.claim.recovers?, person.claim.key)))
            .collect();
        due.sort_unstable();
        for (_, old, new) in due {
            // Somebody else may have been faster, or the old key may have left.
            if !self.people.get(&old).is_some_and(|person| person.is_active()) {
                continue;
            }
            self.change(old, |person| person.departure = Some(Departure::Recovered(new)));
            self.change(new, |person| {
                if let Some(recovery) = &mut person.recovery {
                    recovery.done = true;
                }
            });
        }
    }

    fn change(&mut self, key: PublicKey, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.people.get_mut(&key) {
            change(Arc::make_mut(person));
        }
    }

    fn active(&self, key: &PublicKey, what: &'static str) -> Result<&Person, Fault> {
        let person = self.people.get(key).ok_or(Fault::Unknown("member"))?;
        if person.is_active() { Ok(person) } else { Err(Fault::NotAllowed(what)) }
    }

    fn is_trusted_attester(&self, scene: &Scene<'_>, key: &PublicKey) -> bool {
        scene.charter.attester(key).is_some() && !self.removed.contains_key(key)
    }

    fn check_attestation(&self, scene: &Scene<'_>, claim: &Claim, attestation: &Attestation) -> Result<(), Fault> {
        if !self.is_trusted_attester(scene, &attestation.attester) {
            return Err(Fault::NotAllowed("an attestation"));
        }
        if attestation.claim != *claim {
            return Err(Fault::Mismatch("what is attested"));
        }
        if attestation.policy != scene.policy {
            return Err(Fault::Mismatch("the policy of an attestation"));
        }
        if attestation.valid_from >= attestation.expires {
            return Err(Fault::Mismatch("the time of an attestation"));
        }
        attestation.verify(scene.community)
    }

    pub(crate) fn register(
        &mut self,
        scene: &Scene<'_>,
        author: PublicKey,
        registration: &Registration,
    ) -> Result<(), Fault> {
        let claim = &registration.claim;
        let sponsor = self.sponsor(scene, author, registration)?;
        self.has_room_for(scene, sponsor)?;
        bound("registrations", limits::MAX_REGISTRATIONS, self.people.len() + 1)?;
        bound("leaves", limits::MAX_LEAVES, self.leaves.len() + 1)?;
        if self.people.contains_key(&claim.key) || self.leaves.contains(&claim.leaf) {
            return Err(Fault::Duplicate("this registration"));
        }
        let defined = scene.charter.policy.attributes.len();
        if (defined..SLOTS.max(8)).any(|slot| u32::from(claim.slots) >> slot & 1 == 1) {
            return Err(Fault::Mismatch("the slots of a leaf"));
        }
        let recovery = claim.recovers.map(|old| self.begin_recovery(scene, old)).transpose()?;
        let mut attestations = BTreeMap::new();
        for attestation in &registration.attestations {
            self.check_attestation(scene, claim, attestation)?;
            if attestations.insert(attestation.attester, *attestation).is_some() {
                return Err(Fault::Mismatch("attestations of one attester"));
            }
        }
        let context = Registration::opening_context(scene.community, claim);
        registration.opening.verify(&claim.leaf, &context, &Registration::zero_slots(claim.slots))?;
        self.leaves.insert(claim.leaf);
        let person = Person {
            claim: *claim,
            attestations,
            departure: None,
            recovery,
            sponsor,
            withdrawn: BTreeMap::new(),
            rotated: None,
        };
        self.people.insert(claim.key, Arc::new(person));
        Ok(())
    }

    /// Returns who answers for a registration: whoever registers brings an attester's word, is a seed, or is registered by a
    /// member who can vouch. Else anybody could fill the registry.
    fn sponsor(&self, scene: &Scene<'_>, author: PublicKey, registration: &Registration) -> Result<PublicKey, Fault> {
        let key = registration.claim.key;
        let mut attesters = registration.attestations.iter().map(|attestation| attestation.attester);
        let vouching = scene.charter.policy.admission.vouching();
        let by_member = || vouching.is_some() && self.is_voucher(scene, &author);
        if attesters.clone().any(|attester| attester == author) || by_member() {
            return Ok(author);
        }
        if author != key {
            return Err(Fault::NotAllowed("this registration"));
        }
        let is_seed = vouching.is_some_and(|vouching| vouching.is_seed(&key));
        attesters.next().or(is_seed.then_some(key)).ok_or(Fault::NotAllowed("this registration"))
    }

    /// Keeps one sponsor from filling the registry with people whom nobody else admits.
    fn has_room_for(&self, scene: &Scene<'_>, sponsor: PublicKey) -> Result<(), Fault> {
        let most = match scene.charter.attester(&sponsor) {
            Some(_) => limits::MAX_CANDIDATES_PER_ATTESTER,
            None => limits::MAX_CANDIDATES_PER_MEMBER,
        };
        let waits =
            |person: &&Arc<Person>| person.sponsor == sponsor && !self.is_admitted(scene.charter, person, scene.now);
        bound("people of one sponsor who are not admitted", most, self.people.values().filter(waits).count() + 1)
    }

    /// Begins a recovery, also beside others of the same key: anybody with one attester's word can begin one, and would
    /// else keep the owner from it. The first that is admitted in time takes over.
    fn begin_recovery(&self, scene: &Scene<'_>, old: PublicKey) -> Result<Recovery, Fault> {
        self.active(&old, "the recovery of a key that is no member's")?;
        Ok(Recovery { due: scene.now.plus_millis(scene.charter.policy.veto_millis), vetoed: false, done: false })
    }

    pub(crate) fn attest(
        &mut self,
        scene: &Scene<'_>,
        author: PublicKey,
        attestation: &Attestation,
    ) -> Result<(), Fault> {
        let key = attestation.claim.key;
        if author != attestation.attester && author != key {
            return Err(Fault::NotAllowed("somebody else's attestation"));
        }
        let person = self.people.get(&key).ok_or(Fault::Unknown("member"))?;
        if person.departure.is_some() {
            return Err(Fault::NotAllowed("an attestation of somebody who is gone"));
        }
        self.check_attestation(scene, &person.claim, attestation)?;
        let attester = attestation.attester;
        if person.withdrawn.get(&attester).is_some_and(|at| attestation.valid_from <= *at) {
            return Err(Fault::Duplicate("an attestation from before it was taken back"));
        }
        // The last one begins last: once it is taken back, none of those before counts again.
        let is_later =
            |known: &Attestation| known.expires < attestation.expires && known.valid_from <= attestation.valid_from;
        if !person.attestations.get(&attester).is_none_or(is_later) {
            return Err(Fault::Duplicate("this attestation"));
        }
        self.change(key, |person| {
            person.attestations.insert(attester, *attestation);
        });
        Ok(())
    }

    pub(crate) fn revoke(
        &mut self,
        scene: &Scene<'_>,
        author: PublicKey,
        revocation: &Revocation,
    ) -> Result<(), Fault> {
        let key = revocation.key;
        let person = self.people.get(&key).ok_or(Fault::Unknown("member"))?;
        if author == key {
            if person.departure.is_some() {
                return Err(Fault::Duplicate("the departure"));
            }
            if revocation.until != Timestamp::default() {
                return Err(Fault::Mismatch("the time of a departure"));
            }
            self.change(key, |person| person.departure = Some(Departure::Left));
            return Ok(());
        }
        if scene.charter.attester(&author).is_none() {
            return Err(Fault::NotAllowed("a revocation"));
        }
        if person.attestations.get(&author).is_none_or(|stands| stands.valid_from > revocation.until) {
            return Err(Fault::Duplicate("the revocation of an attestation"));
        }
        // One that was to count later must not be said again either.
        let until = scene.now.max(revocation.until);
        self.change(key, |person| {
            person.attestations.remove(&author);
            person.withdrawn.insert(author, until);
        });
        Ok(())
    }

    /// Whether somebody may vouch: a member, or a seed that has registered.
    fn is_voucher(&self, scene: &Scene<'_>, key: &PublicKey) -> bool {
        let is_seed = scene.charter.policy.admission.vouching().is_some_and(|vouching| vouching.is_seed(key));
        let is_active = || self.people.get(key).is_some_and(|person| person.is_active());
        (is_seed && is_active()) || self.is_member(scene.charter, key, scene.now)
    }

    pub(crate) fn vouch(&mut self, scene: &Scene<'_>, author: PublicKey, vouch: &Vouch) -> Result<(), Fault> {
        let vouching = scene
            .charter
            .policy
            .admission
            .vouching()
            .ok_or(Fault::NotAllowed("a vouch in a community without them"))?;
        let (edge, now) = ((author, vouch.key), scene.now);
        in_turn(self.vouch_words(&author, &vouch.key), vouch.number, "word on a vouch")?;
        if !vouch.stands {
            self.vouches.remove(&edge).ok_or(Fault::Duplicate("the end of a vouch"))?;
            self.vouch_words.insert(edge, vouch.number);
            return Ok(());
        }
        if !self.is_voucher(scene, &author) || author == vouch.key {
            return Err(Fault::NotAllowed("a vouch"));
        }
        let person = self.people.get(&vouch.key).ok_or(Fault::Unknown("member"))?;
        if person.departure.is_some() {
            return Err(Fault::NotAllowed("a vouch for somebody who is gone"));
        }
        if self.vouches.get(&edge).is_some_and(|given| now < given.plus_millis(vouching.expiry_millis)) {
            return Err(Fault::Duplicate("this vouch"));
        }
        let early = |what, from| if now < from { Err(Fault::Early { what, from, now }) } else { Ok(()) };
        if let Some(until) = self.penalised.get(&author) {
            early("a vouch of somebody who vouched for an expelled member", *until)?;
        }
        if let Some(last) = self.last_vouch.get(&author) {
            early("the next vouch", last.plus_millis(vouching.interval_millis))?;
        }
        let is_live = |given: &Timestamp| now < given.plus_millis(vouching.expiry_millis);
        let from = (author, PublicKey::from([0; 32]))..=(author, PublicKey::from([0xFF; 32]));
        let live = self.vouches.range(from).filter(|(_, given)| is_live(given)).count();
        bound("vouches of one member", vouching.stock.into(), live + 1)?;
        self.vouches.insert(edge, now);
        self.vouch_words.insert(edge, vouch.number);
        self.last_vouch.insert(author, now);
        Ok(())
    }

    pub(crate) fn rotate(
        &mut self,
        scene: &Scene<'_>,
        author: PublicKey,
        rotation: &LeafRotation,
    ) -> Result<(), Fault> {
        let person = self.active(&author, "a rotation")?;
        if person.rotated == Some(self.snapshots) {
            return Err(Fault::Duplicate("a rotation since the last snapshot"));
        }
        if self.leaves.contains(&rotation.leaf) {
            return Err(Fault::Duplicate("this leaf"));
        }
        // Leaves are kept for ever, so that no leaf is ever two people's.
        bound("leaves", limits::MAX_LEAVES, self.leaves.len() + 1)?;
        let context = LeafRotation::context(scene.community, author);
        rotation.proof.verify(&person.claim.leaf, &rotation.leaf, &context)?;
        self.leaves.insert(rotation.leaf);
        let snapshots = self.snapshots;
        self.change(author, |person| {
            person.claim.leaf = rotation.leaf;
            person.claim.recovers = None;
            person.rotated = Some(snapshots);
        });
        Ok(())
    }

    pub(crate) fn veto(&mut self, author: PublicKey, veto: &Veto) -> Result<(), Fault> {
        let person = self.people.get(&veto.key).ok_or(Fault::Unknown("recovery"))?;
        if person.claim.recovers != Some(author) {
            return Err(Fault::NotAllowed("a veto of somebody else's recovery"));
        }
        match person.recovery {
            Some(recovery) if !recovery.vetoed && !recovery.done => {
                self.change(veto.key, |person| {
                    person.recovery = Some(Recovery { vetoed: true, ..recovery });
                });
                Ok(())
            }
            Some(_) | None => Err(Fault::Duplicate("the veto, or the end of the recovery")),
        }
    }

    /// Takes an operator's word against an attester; n − f of those in office decide.
    pub(crate) fn remove_attester(
        &mut self,
        scene: &Scene<'_>,
        operator: PublicKey,
        removal: &AttesterRemoval,
    ) -> Result<(), Fault> {
        if scene.charter.attester(&removal.attester).is_none() {
            return Err(Fault::Unknown("attester"));
        }
        let votes = self.removals.entry(removal.attester).or_default();
        if !votes.insert(operator) {
            return Err(Fault::Duplicate("the removal of this attester"));
        }
        if scene.is_decided_by(votes) {
            self.removed.entry(removal.attester).or_insert(scene.now);
        }
        Ok(())
    }

    /// Takes an operator's word against a member; n − f of those in office decide. Whoever vouched for an expelled member may not
    /// vouch for a time; whomever that member vouched for loses that vouch and nothing else.
    pub(crate) fn expel(&mut self, scene: &Scene<'_>, operator: PublicKey, expulsion: &Expulsion) -> Result<(), Fault> {
        let key = expulsion.key;
        let person = self.people.get(&key).ok_or(Fault::Unknown("member"))?;
        if person.departure == Some(Departure::Expelled) {
            return Err(Fault::Duplicate("the expulsion"));
        }
        let votes = self.expulsions.entry(key).or_default();
        if !votes.insert(operator) {
            return Err(Fault::Duplicate("the expulsion of this member"));
        }
        if !scene.is_decided_by(votes) {
            return Ok(());
        }
        self.change(key, |person| person.departure = Some(Departure::Expelled));
        if let Some(vouching) = scene.charter.policy.admission.vouching() {
            let until = scene.now.plus_millis(vouching.penalty_millis);
            let vouchers: Vec<PublicKey> =
                self.vouches.keys().filter(|(_, to)| *to == key).map(|(from, _)| *from).collect();
            self.penalised.extend(vouchers.into_iter().map(|voucher| (voucher, until)));
        }
        self.vouches.retain(|(from, to), _| *from != key && *to != key);
        Ok(())
    }

    pub(crate) fn count(&mut self, scene: &Scene<'_>, author: PublicKey, census: &Census) -> Result<(), Fault> {
        if !self.is_trusted_attester(scene, &author) {
            return Err(Fault::NotAllowed("a census"));
        }
        let policy = &scene.charter.policy;
        let attribute = policy.attributes.get(usize::from(census.slot)).ok_or(Fault::Unknown("attribute"))?;
        let is_coarse = |count: &u32| *count == 0 || *count >= policy.class_members;
        if census.counts.len() != attribute.values.len() || !census.counts.iter().all(is_coarse) {
            return Err(Fault::Mismatch("the counts of a census"));
        }
        in_turn(self.censuses(census.slot, &author), census.number, "census")?;
        let said = (census.slot, author);
        if self.census.get(&said).is_some_and(|(_, counts)| *counts == census.counts) {
            return Err(Fault::Duplicate("this census"));
        }
        self.census.insert(said, (census.number, census.counts.clone()));
        Ok(())
    }

    /// Returns the values (1, 2, …) of an attribute that may be disclosed among so many cohorts: f + 1 attesters have each
    /// checked at least `class_members` people with the value for each of them, of whom one attester is honest. A ring
    /// credential shows class and cohort, and people fall to cohorts by chance.
    pub fn open_values(&self, charter: &Charter, slot: u8, cohorts: usize) -> Vec<u16> {
        let Some(attribute) = charter.policy.attributes.get(usize::from(slot)) else { return Vec::new() };
        let faulty = usize::from(charter.policy.admission.faulty_attesters());
        let counts: Vec<&Vec<u32>> = self
            .census
            .iter()
            .filter(|((of, attester), _)| {
                *of == slot && !self.removed.contains_key(attester) && charter.attester(attester).is_some()
            })
            .map(|(_, (_, counts))| counts)
            .collect();
        let cohorts = u32::try_from(cohorts.max(1)).unwrap_or(u32::MAX);
        let least = charter.policy.class_members.saturating_mul(cohorts);
        let is_open = |index: &u16| {
            let enough = |counts: &&&Vec<u32>| counts.get(usize::from(*index)).is_some_and(|count| *count >= least);
            counts.iter().filter(enough).count() > faulty
        };
        (0u16..).take(attribute.values.len()).filter(is_open).map(|index| index + 1).collect()
    }
}

#[cfg(test)]
mod tests;
