//! A community made from a seed: operators, an attester, members, and the nodes they run.

use chorus_crypto::{
    ballot::Vote,
    credential::{LeafSecret, SLOTS},
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    config::{Genesis, Policy},
    id::{BlobId, CommunityId, PollId, RoundId},
    log::entry::{
        BallotPlan, ClassPlan, Entry, PollKind, PollOpening, Proposal, Registration, RoundPlan, SignedEntry, Subject,
    },
    registry::{
        attestation::{Attestation, Claim},
        policy::Attester,
    },
    time::Timestamp,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A member of the community with all their secrets.
#[derive(Debug)]
pub struct Person {
    /// The accountable key.
    pub key: SecretKey,
    /// The opening of the leaf.
    pub leaf: LeafSecret,
    /// The person's own randomness.
    pub rng: ChaCha20Rng,
}

/// A founding document and all the secrets behind it.
#[derive(Debug)]
pub struct Community {
    /// The document.
    pub genesis: Genesis,
    /// The operators' keys, in the order of the document.
    pub operators: Vec<SecretKey>,
    /// Keys of those who may become operators.
    pub candidates: Vec<SecretKey>,
    /// The attesters' keys, in the order of the document.
    pub attesters: Vec<SecretKey>,
    /// The members.
    pub people: Vec<Person>,
}

/// Returns the generator of one thing that a seed decides.
pub(crate) fn rng(seed: u64, what: &str, index: usize) -> ChaCha20Rng {
    let mut bytes = seed.to_be_bytes().to_vec();
    bytes.extend_from_slice(what.as_bytes());
    bytes.extend_from_slice(&(index as u64).to_be_bytes());
    ChaCha20Rng::from_seed(chorus_crypto::hash::content(&bytes))
}

impl Community {
    /// Founds a community with one attester.
    pub fn new(seed: u64, operators: usize, people: usize, policy: Policy) -> Self {
        Self::with_attesters(seed, operators, (people, [0; SLOTS]), 1, policy)
    }

    /// Founds a community of people with the same attributes, and attesters of which each is an organisation.
    pub fn with_attesters(
        seed: u64,
        operators: usize,
        (people, attributes): (usize, [u64; SLOTS]),
        attesters: usize,
        policy: Policy,
    ) -> Self {
        Self::of(seed, operators, (people, &|_| attributes), attesters, policy)
    }

    /// As [`with_attesters`](Self::with_attesters), with attributes of each person's own.
    pub fn of(
        seed: u64,
        operators: usize,
        (people, attributes): (usize, &dyn Fn(usize) -> [u64; SLOTS]),
        attesters: usize,
        policy: Policy,
    ) -> Self {
        let mut operators: Vec<SecretKey> =
            (0..operators).map(|index| SecretKey::random(&mut rng(seed, "operator", index))).collect();
        operators.sort_by_key(SecretKey::public);
        let mut attesters: Vec<SecretKey> =
            (0..attesters).map(|index| SecretKey::random(&mut rng(seed, "attester", index))).collect();
        attesters.sort_by_key(SecretKey::public);
        let attester = |key: &SecretKey| Attester { key: key.public(), organisation: key.public().to_string() };
        let person = |index| {
            let mut rng = rng(seed, "person", index);
            Person { key: SecretKey::random(&mut rng), leaf: LeafSecret::random(attributes(index), &mut rng), rng }
        };
        let genesis = Genesis {
            name: "Harbour".into(),
            purpose: "An assistant for the people of a small harbour town".into(),
            operators: operators.iter().map(SecretKey::public).collect(),
            attesters: attesters.iter().map(attester).collect(),
            policy,
        };
        let candidates = Vec::new();
        Self { genesis, operators, candidates, attesters, people: (0..people).map(person).collect() }
    }

    /// Makes keys of people who may become operators.
    #[must_use]
    pub fn with_candidates(mut self, seed: u64, candidates: usize) -> Self {
        self.candidates = (0..candidates).map(|index| SecretKey::random(&mut rng(seed, "candidate", index))).collect();
        self
    }

    /// Returns the community's id.
    pub fn id(&self) -> CommunityId {
        self.genesis.id()
    }

    /// Returns the entry that makes a person a member.
    pub fn registration(&mut self, person: usize) -> SignedEntry {
        let community = self.id();
        let claim = Claim::of(self.people[person].key.public(), &self.people[person].leaf);
        let attestations = self.attesters.iter().map(|attester| self.attestation(attester, claim)).collect();
        let person = &mut self.people[person];
        let registration = Registration::new(community, claim, &person.leaf, attestations, &mut person.rng);
        SignedEntry::sign(&person.key, community, Entry::Register(registration))
    }

    /// Returns an attester's word on a claim, valid for ever.
    pub fn attestation(&self, attester: &SecretKey, claim: Claim) -> Attestation {
        let ever = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
        Attestation::sign(attester, self.id(), claim, self.genesis.policy_digest(), ever)
    }

    /// Returns the opening of a poll of `items` synthetic items, the proposals, and the plan of its first round.
    pub fn poll(&self, kind: PollKind, items: usize, duration_millis: u64) -> Poll {
        self.poll_by_class("What should the assistant do?", (kind, items, duration_millis), None)
    }

    /// As [`poll`](Self::poll), with another question and with classes.
    pub fn poll_by_class(
        &self,
        question: &str,
        (kind, items, duration_millis): (PollKind, usize, u64),
        classes: Option<ClassPlan>,
    ) -> Poll {
        let texts = (0..items).map(|item| format!("The assistant should follow principle {item}.")).collect();
        self.poll_of(question, (kind, texts, duration_millis), classes)
    }

    /// As [`poll_by_class`](Self::poll_by_class), with these items.
    pub fn poll_of(
        &self,
        question: &str,
        (kind, texts, duration_millis): (PollKind, Vec<String>, u64),
        classes: Option<ClassPlan>,
    ) -> Poll {
        let community = self.id();
        let opening = PollOpening { kind, question: question.into(), context: String::new() };
        let poll = opening.id(community);
        let plan = RoundPlan {
            subject: Subject::Ballots(BallotPlan {
                poll,
                number: 1,
                items: texts.iter().map(|text| BlobId::of(text.as_bytes())).collect(),
            }),
            duration_millis,
            key_grace_millis: 5_000,
            classes,
        };
        let round = plan.id(community);
        let proposals = texts.into_iter().map(|text| Entry::Propose(Proposal { poll, text })).collect();
        Poll { poll, round, opening: Entry::Poll(opening), proposals, plan: Entry::Plan(plan) }
    }

    /// Returns the operators' public keys.
    pub fn operator_keys(&self) -> Vec<PublicKey> {
        self.genesis.operators.clone()
    }
}

/// A poll ready to be posted.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Its id.
    pub poll: PollId,
    /// The id of its first round.
    pub round: RoundId,
    /// The entry that opens it.
    pub opening: Entry,
    /// The entries that propose its items.
    pub proposals: Vec<Entry>,
    /// The entry that plans its first round.
    pub plan: Entry,
}

/// Votes of a seeded population of `people` on `items`, in two or three camps with some noise.
pub fn population(seed: u64, people: usize, items: usize, camps: usize) -> Vec<Vec<Vote>> {
    let mut rng = rng(seed, "population", 0);
    let mut draw = |bound: u32| rng.next_u32() % bound;
    let leaning: Vec<Vec<u32>> = (0..camps).map(|_| (0..items).map(|_| 5 + 90 * draw(2)).collect()).collect();
    let shared: Vec<bool> = (0..items).map(|_| draw(4) == 0).collect();
    (0..people)
        .map(|person| {
            (0..items)
                .map(|item| {
                    let agree = if shared[item] { 92 } else { leaning[person % camps][item] };
                    match draw(100) {
                        seen if seen < 12 => Vote::Unseen,
                        seen if seen < 20 => Vote::Pass,
                        _ if draw(100) < agree => Vote::Agree,
                        _ => Vote::Disagree,
                    }
                })
                .collect()
        })
        .collect()
}
