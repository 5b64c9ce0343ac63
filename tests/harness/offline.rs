//! A community without a network: the ledger that its entries lead to, and everybody's secrets.

use std::collections::BTreeMap;

use chorus_crypto::{
    ballot::Vote,
    domain,
    seal::SealSecret,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    config::Policy,
    contribution::{CheckedForm, Contributor, Equations, Submission, verify_all},
    fault::Fault,
    id::RoundId,
    ledger::{Ledger, Manifest, RoundRecord},
    log::entry::{
        AcceptedContribution, ClockReading, ContributionHeader, Entry, PollKind, RoundClosing, RoundKey, RoundOpening,
        SignedEntry,
    },
    registry::attestation::Claim,
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::community::{Community, Poll};

/// A community whose log is written by hand.
#[derive(Debug)]
pub struct Town {
    /// The community and its secrets.
    pub community: Community,
    /// The state of its log.
    pub ledger: Ledger,
    /// The operators' sealing keys of each round, in committee order.
    pub keys: BTreeMap<RoundId, Vec<SealSecret>>,
    now: u64,
    rng: ChaCha20Rng,
}

impl Town {
    /// Begins the log of a community.
    pub fn new(community: Community, seed: u64) -> Self {
        let ledger = Ledger::new(community.genesis.clone());
        Self { community, ledger, keys: BTreeMap::new(), now: 0, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// Puts an entry on the log.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses it.
    pub fn say(&mut self, key: &SecretKey, entry: Entry) -> Result<(), Fault> {
        self.ledger.apply(&SignedEntry::sign(key, self.ledger.community(), entry))
    }

    /// Puts an entry of every operator on the log.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses the first of them that it refuses.
    pub fn all_operators_say(&mut self, entry: &Entry) -> Result<(), Fault> {
        let operators = self.community.operators.clone();
        operators.iter().try_for_each(|operator| self.say(operator, entry.clone()))
    }

    /// Lets time pass: all operators read their clocks.
    ///
    /// # Panics
    ///
    /// Panics if the ledger refuses that.
    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
        let clock = Entry::Clock(ClockReading { time: Timestamp::from_millis(self.now) });
        self.all_operators_say(&clock).expect("clocks that run");
    }

    /// Registers a person with the words of the first `attesters` attesters.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses it.
    pub fn register(&mut self, person: usize, attesters: usize) -> Result<(), Fault> {
        let SignedEntry { entry, .. } = self.community.registration(person);
        let Entry::Register(mut registration) = entry else { unreachable!("a registration") };
        let order = self.community.attesters.iter().map(SecretKey::public);
        let first: Vec<PublicKey> = order.take(attesters).collect();
        registration.attestations.retain(|attestation| first.contains(&attestation.attester));
        let key = self.community.people[person].key.clone();
        self.say(&key, Entry::Register(registration))
    }

    /// Registers everybody with the words of all attesters.
    ///
    /// # Panics
    ///
    /// Panics if the ledger refuses an honest entry.
    pub fn register_all(&mut self) {
        let attesters = self.community.attesters.len();
        (0..self.community.people.len())
            .for_each(|person| self.register(person, attesters).expect("an honest registration"));
    }

    /// Returns a person's claim as it stands.
    pub fn claim(&self, person: usize) -> Claim {
        Claim::of(self.community.people[person].key.public(), &self.community.people[person].leaf)
    }

    /// Opens a poll, plans its round, and opens that.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses one of the entries.
    pub fn open(&mut self, poll: &Poll) -> Result<(), Fault> {
        let before = [poll.opening.clone()].into_iter().chain(poll.proposals.clone()).chain([poll.plan.clone()]);
        self.open_round(poll.round, before)
    }

    /// Lets the first operator say what leads to a round, and opens that.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses one of the entries.
    pub fn open_round(&mut self, round: RoundId, before: impl IntoIterator<Item = Entry>) -> Result<(), Fault> {
        let operators = self.community.operators.clone();
        let first = &operators[0];
        before.into_iter().try_for_each(|entry| self.say(first, entry))?;
        let keys: Vec<SealSecret> = operators.iter().map(|_| SealSecret::random(&mut self.rng)).collect();
        for (operator, key) in operators.iter().zip(&keys) {
            self.say(operator, Entry::RoundKey(RoundKey { round, key: key.public() }))?;
        }
        self.pass(1);
        let public: Vec<_> = keys.iter().map(|key| Some(key.public())).collect();
        let snapshot = self.ledger.snapshot(round, &public).root();
        self.say(first, Entry::Open(RoundOpening { round, keys: public, snapshot }))?;
        self.keys.insert(round, keys);
        Ok(())
    }

    /// Returns a round.
    ///
    /// # Panics
    ///
    /// Panics if there is none with this id.
    pub fn round(&self, round: RoundId) -> &RoundRecord {
        &self.ledger.rounds()[&round]
    }

    /// Returns what an open round pins.
    ///
    /// # Panics
    ///
    /// Panics if the round is not open.
    pub fn manifest(&self, round: RoundId) -> &Manifest {
        self.round(round).manifest.as_ref().expect("an open round")
    }

    /// Makes a ballot of a person that agrees with everything.
    ///
    /// # Panics
    ///
    /// Panics if the round does not admit it.
    pub fn ballot(&mut self, round: RoundId, contributor: &Contributor<'_>) -> Submission {
        let votes = vec![Vote::Agree; self.round(round).plan.items().len()];
        contributor.cast(&self.ledger, &self.ledger.rounds()[&round], &votes, &mut self.rng).expect("a ballot")
    }

    /// Checks a contribution as everybody does, lets all operators acknowledge it, and puts it on the log.
    ///
    /// # Errors
    ///
    /// Returns why it is refused.
    pub fn submit(&mut self, submission: &Submission) -> Result<ContributionHeader, Fault> {
        let (form, _) = self.check(submission)?;
        self.accept(form.header.clone())?;
        Ok(form.header)
    }

    /// Says what everybody says about the public part of a contribution.
    ///
    /// # Errors
    ///
    /// Returns why it is refused.
    pub fn check(&self, submission: &Submission) -> Result<(CheckedForm, Equations), Fault> {
        let form = CheckedForm::new(&self.ledger, &submission.body)?;
        let verdict = verify_all(&self.ledger, &[&form], &[7; 32]).pop().ok_or(Fault::Proof)?;
        verdict.map(|equations| (form, equations))
    }

    /// Says what each operator says about its part of a contribution.
    ///
    /// # Errors
    ///
    /// Returns why the public part is refused.
    pub fn check_private(&self, submission: &Submission) -> Result<Vec<Result<(), Fault>>, Fault> {
        let (form, equations) = self.check(submission)?;
        let keys = self.keys.get(&form.header.round).map(Vec::as_slice).unwrap_or_default();
        let private =
            |(operator, key)| form.check_private(&self.ledger, &equations, submission, operator, key).map(drop);
        Ok((1u8..).zip(keys).map(private).collect())
    }

    /// Lets all operators acknowledge a header, and puts it on the log.
    ///
    /// # Errors
    ///
    /// Returns why the log refuses it.
    pub fn accept(&mut self, header: ContributionHeader) -> Result<(), Fault> {
        let bytes = header.acknowledged_bytes(self.ledger.community());
        let operators = self.community.operators.clone();
        let acknowledgements =
            (1u8..).zip(&operators).map(|(number, key)| (number, key.sign(domain::ACKNOWLEDGE, &bytes))).collect();
        self.say(&operators[0], Entry::Contribution(AcceptedContribution { header, acknowledgements }))
    }

    /// Seals a round.
    ///
    /// # Panics
    ///
    /// Panics if the ledger refuses that.
    pub fn seal(&mut self, round: RoundId) {
        let left = self.manifest(round).deadline.as_millis().saturating_sub(self.now);
        self.pass(left + 1);
        let first = self.community.operators[0].clone();
        self.say(&first, Entry::Close(RoundClosing { round })).expect("a closing after the deadline");
    }
}

/// A round that takes contributions.
#[derive(Debug)]
pub struct OpenRound {
    /// The community and its secrets.
    pub community: Community,
    /// The state of its log.
    pub ledger: Ledger,
    /// The poll.
    pub poll: Poll,
    /// The operators' sealing keys, in committee order.
    pub keys: Vec<SealSecret>,
}

impl OpenRound {
    /// Opens a round of a statement poll.
    ///
    /// # Panics
    ///
    /// Panics if the ledger refuses an honest entry.
    pub fn new(seed: u64, operators: usize, people: usize, items: usize) -> Self {
        let mut town = Town::new(Community::new(seed, operators, people, Policy::default()), seed);
        town.register_all();
        let poll = town.community.poll(PollKind::Statement, items, 60_000);
        town.open(&poll).expect("honest entries");
        let keys = town.keys.remove(&poll.round).unwrap_or_default();
        Self { community: town.community, ledger: town.ledger, poll, keys }
    }

    /// Returns the round.
    ///
    /// # Panics
    ///
    /// Never: the round is open.
    pub fn round(&self) -> &RoundRecord {
        &self.ledger.rounds()[&self.poll.round]
    }
}
