//! What the log says: the state that every peer derives from the same entries, and the rules for the next entry.
//!
//! [`Ledger::apply`] is a pure function of (prefix, entry): no clock, no blobs, no local holdings. An entry that is
//! refused changes nothing. *Log time* is the lower median of the operators' latest clock readings on the log: with at
//! most f liars among n ≥ 3f+1 it lies between two honest readings, and it never runs backwards.

mod round;

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    credential::Leaf,
    domain,
    hash::{self, Digest},
    mask::Committee,
    sign::PublicKey,
};

pub use self::round::{Manifest, Opening, Pass, RoundRecord, RoundState, Sealed, SealedContribution};
use crate::{
    config::Genesis,
    fault::Fault,
    id::{BlobId, CommunityId, PollId, RoundId},
    limits,
    log::consensus::Evidence as EquivocationProof,
    log::entry::{ClockReading, Entry, PollOpening, Proposal, Registration, RoundPlan, SignedEntry},
    time::Timestamp,
};

/// A member of the community.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The hiding leaf.
    pub leaf: Leaf,
    /// Who attested.
    pub attester: PublicKey,
}

/// A poll and the items proposed for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Poll {
    /// What it asks.
    pub opening: PollOpening,
    /// The items in the order of their proposal: id, text, author.
    pub items: Vec<(BlobId, String, PublicKey)>,
    /// Its rounds, in order.
    pub rounds: Vec<RoundId>,
}

/// The state that follows from the log.
#[derive(Clone, Debug)]
pub struct Ledger {
    genesis: Genesis,
    community: CommunityId,
    sharing: Committee,
    members: BTreeMap<PublicKey, Member>,
    leaves: BTreeSet<Leaf>,
    clocks: BTreeMap<u8, Timestamp>,
    polls: BTreeMap<PollId, Poll>,
    rounds: BTreeMap<RoundId, RoundRecord>,
    convicted: BTreeSet<PublicKey>,
}

/// An ordered list of leaves: the ring of a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The leaves, ascending.
    pub leaves: Vec<Leaf>,
}

impl Snapshot {
    /// Returns the digest that pins the snapshot.
    pub fn root(&self) -> Digest {
        let mut bytes = Vec::new();
        chorus_crypto::codec::put_seq(&mut bytes, &self.leaves);
        hash::digest_bytes(domain::SNAPSHOT, &bytes)
    }

    /// Returns the index of a leaf.
    pub fn index(&self, leaf: &Leaf) -> Option<u32> {
        self.leaves.binary_search(leaf).ok().and_then(|index| u32::try_from(index).ok())
    }
}

impl Ledger {
    /// Returns the state before the first entry.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            community: genesis.id(),
            sharing: genesis.sharing(),
            genesis,
            members: BTreeMap::new(),
            leaves: BTreeSet::new(),
            clocks: BTreeMap::new(),
            polls: BTreeMap::new(),
            rounds: BTreeMap::new(),
            convicted: BTreeSet::new(),
        }
    }

    /// Returns the founding document.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the community's id.
    pub const fn community(&self) -> CommunityId {
        self.community
    }

    /// Returns how masks are shared among the operators.
    pub const fn sharing(&self) -> &Committee {
        &self.sharing
    }

    /// Returns how many operators an acknowledged contribution needs: n − f.
    pub fn acknowledgements_needed(&self) -> usize {
        usize::from(self.sharing.operators() - self.sharing.faulty())
    }

    /// Returns how many equal statements contain an honest one: f + 1.
    pub fn honest_witness(&self) -> usize {
        usize::from(self.sharing.faulty()) + 1
    }

    /// Returns the members by key.
    pub const fn members(&self) -> &BTreeMap<PublicKey, Member> {
        &self.members
    }

    /// Returns the polls.
    pub const fn polls(&self) -> &BTreeMap<PollId, Poll> {
        &self.polls
    }

    /// Returns the rounds.
    pub const fn rounds(&self) -> &BTreeMap<RoundId, RoundRecord> {
        &self.rounds
    }

    /// Returns the operators that the log proves to have signed contradictions.
    pub const fn convicted(&self) -> &BTreeSet<PublicKey> {
        &self.convicted
    }

    /// Returns the latest clock reading of an operator (1..=n).
    pub fn clock(&self, operator: u8) -> Timestamp {
        self.clocks.get(&operator).copied().unwrap_or_default()
    }

    /// Returns the log's time.
    pub fn time(&self) -> Timestamp {
        let mut times: Vec<_> = (1..=self.sharing.operators()).map(|operator| self.clock(operator)).collect();
        times.sort_unstable();
        times.get((times.len() - 1) / 2).copied().unwrap_or_default()
    }

    /// Returns the registry as it stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { leaves: self.leaves.iter().copied().collect() }
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
        let author = signed.author;
        match &signed.entry {
            Entry::Register(registration) => self.register(author, registration),
            Entry::Propose(proposal) => self.propose(author, proposal),
            Entry::Poll(opening) => {
                self.operator(author, "a poll")?;
                self.open_poll(opening)
            }
            Entry::Plan(plan) => {
                self.operator(author, "a round's plan")?;
                self.plan_round(plan)
            }
            Entry::Clock(reading) => {
                let operator = self.operator(author, "a clock reading")?;
                self.read_clock(operator, reading)
            }
            Entry::Evidence(evidence) => {
                self.operator(author, "evidence")?;
                self.convict(&evidence.bytes)
            }
            Entry::RoundKey(it) => self.in_round(it.round, author, |round, operator, _| round.offer_key(operator, it)),
            Entry::Open(it) => {
                let snapshot = self.snapshot();
                self.in_round(it.round, author, |round, _, context| round.open(it, snapshot, context))
            }
            Entry::Contribution(it) => {
                self.in_round(it.header.round, author, |round, _, context| round.accept(it, context))
            }
            Entry::Close(it) => self.in_round(it.round, author, |round, _, context| round.close(context)),
            Entry::Opening(it) => {
                self.in_round(it.round, author, |round, operator, context| round.on_opening(operator, it, context))
            }
            Entry::Opened(it) => self.in_round(it.round, author, |round, operator, _| round.on_opened(operator, it)),
            Entry::ShareHash(it) => {
                self.in_round(it.round, author, |round, operator, _| round.on_share_hash(operator, it))
            }
            Entry::Share(it) => self
                .in_round(it.round, author, |round, operator, context| round.on_share(operator, author, it, context)),
            Entry::EndPass(it) => self.in_round(it.round, author, |round, operator, _| round.on_end_pass(operator, it)),
            Entry::Partition(it) => {
                self.in_round(it.round, author, |round, operator, context| round.on_partition(operator, it, context))
            }
            Entry::Result(it) => {
                self.in_round(it.round, author, |round, operator, context| round.on_result(operator, it, context))
            }
            Entry::Erased(it) => self.in_round(it.round, author, |round, operator, _| round.on_erased(operator)),
        }
    }

    fn operator(&self, author: PublicKey, what: &'static str) -> Result<u8, Fault> {
        self.genesis.operator(&author).ok_or(Fault::NotAllowed(what))
    }

    fn in_round(
        &mut self,
        round: RoundId,
        author: PublicKey,
        apply: impl FnOnce(&mut RoundRecord, u8, &round::Rules<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let operator = self.operator(author, "entries of a round")?;
        let now = self.time();
        let rules = round::Rules { genesis: &self.genesis, community: self.community, sharing: &self.sharing, now };
        let record = self.rounds.get_mut(&round).ok_or(Fault::Unknown("round"))?;
        apply(record, operator, &rules)
    }

    fn register(&mut self, author: PublicKey, registration: &Registration) -> Result<(), Fault> {
        if author != registration.key && author != registration.attester {
            return Err(Fault::NotAllowed("somebody else's registration"));
        }
        if self.genesis.attesters.binary_search(&registration.attester).is_err() {
            return Err(Fault::NotAllowed("an attestation"));
        }
        bound("members", limits::MAX_MEMBERS, self.members.len() + 1)?;
        if self.members.contains_key(&registration.key) || self.leaves.contains(&registration.leaf) {
            return Err(Fault::Duplicate("this registration"));
        }
        let attested = Registration::attested_bytes(self.community, registration.key, &registration.leaf);
        registration.attester.verify(domain::ATTESTATION, &attested, &registration.attestation)?;
        let context = Registration::opening_context(self.community, registration.key);
        registration.opening.verify(&registration.leaf, &context)?;
        self.leaves.insert(registration.leaf);
        self.members.insert(registration.key, Member { leaf: registration.leaf, attester: registration.attester });
        Ok(())
    }

    fn open_poll(&mut self, opening: &PollOpening) -> Result<(), Fault> {
        if opening.question.trim().is_empty() {
            return Err(Fault::Mismatch("a poll's question"));
        }
        bound("polls", limits::MAX_POLLS, self.polls.len() + 1)?;
        let id = opening.id(self.community);
        if self.polls.contains_key(&id) {
            return Err(Fault::Duplicate("this poll"));
        }
        self.polls.insert(id, Poll { opening: opening.clone(), items: Vec::new(), rounds: Vec::new() });
        Ok(())
    }

    fn propose(&mut self, author: PublicKey, proposal: &Proposal) -> Result<(), Fault> {
        let privileged = self.genesis.operator(&author).is_some();
        if !privileged && !self.members.contains_key(&author) {
            return Err(Fault::NotAllowed("an item"));
        }
        let poll = self.polls.get_mut(&proposal.poll).ok_or(Fault::Unknown("poll"))?;
        bound("items", limits::MAX_ITEMS, poll.items.len() + 1)?;
        let own = poll.items.iter().filter(|(_, _, by)| *by == author).count();
        if !privileged {
            bound("items of one member", limits::MAX_PROPOSALS_PER_MEMBER, own + 1)?;
        }
        if proposal.text.trim().is_empty() {
            return Err(Fault::Mismatch("an item's text"));
        }
        let id = BlobId::of(proposal.text.as_bytes());
        if poll.items.iter().any(|(known, _, _)| *known == id) {
            return Err(Fault::Duplicate("this item"));
        }
        poll.items.push((id, proposal.text.clone(), author));
        Ok(())
    }

    fn plan_round(&mut self, plan: &RoundPlan) -> Result<(), Fault> {
        let unfinished = self.rounds.values().filter(|round| !round.is_finished(self.sharing.faulty())).count();
        bound("unfinished rounds", limits::MAX_OPEN_ROUNDS, unfinished + 1)?;
        let poll = self.polls.get_mut(&plan.poll).ok_or(Fault::Unknown("poll"))?;
        if usize::try_from(plan.number) != Ok(poll.rounds.len() + 1) {
            return Err(Fault::Mismatch("the round's number"));
        }
        let known: BTreeSet<_> = poll.items.iter().map(|(id, _, _)| *id).collect();
        let chosen: BTreeSet<_> = plan.items.iter().copied().collect();
        if plan.items.is_empty() || chosen.len() != plan.items.len() || !chosen.is_subset(&known) {
            return Err(Fault::Mismatch("the round's items"));
        }
        let id = plan.id(self.community);
        let ordinal = u32::try_from(self.rounds.len() + 1).unwrap_or(u32::MAX);
        poll.rounds.push(id);
        self.rounds.insert(id, RoundRecord::new(id, plan.clone(), poll.opening.kind, ordinal));
        Ok(())
    }

    /// Takes one proof against each operator: more of them would only fill the log.
    fn convict(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let proof = EquivocationProof::from_bytes(bytes)?;
        let culprit = proof.verify(self.community).map_err(|_| Fault::Mismatch("evidence"))?;
        self.operator(culprit, "contradictions that concern nobody")?;
        if self.convicted.insert(culprit) { Ok(()) } else { Err(Fault::Duplicate("evidence")) }
    }

    fn read_clock(&mut self, operator: u8, reading: &ClockReading) -> Result<(), Fault> {
        if reading.time <= self.clock(operator) {
            return Err(Fault::Duplicate("a later clock reading"));
        }
        self.clocks.insert(operator, reading.time);
        let (now, enough) = (self.time(), self.acknowledgements_needed());
        self.rounds.values_mut().for_each(|round| round.on_clock(operator, now, enough));
        Ok(())
    }
}

fn bound(what: &'static str, bound: usize, found: usize) -> Result<(), Fault> {
    if found > bound { Err(Fault::Bound { what, bound: bound as u64, found: found as u64 }) } else { Ok(()) }
}

/// Returns a scope of the credential: who may say what once.
pub fn scope(community: CommunityId, policy: Digest, snapshot: Digest, round: RoundId, purpose: &str) -> Digest {
    let mut bytes = community.to_bytes();
    policy.encode(&mut bytes);
    snapshot.encode(&mut bytes);
    round.encode(&mut bytes);
    chorus_crypto::codec::put_bytes(&mut bytes, purpose.as_bytes());
    hash::digest_bytes(domain::SCOPE, &bytes)
}
