//! Audit bundles of virtual communities: as they are, and as operators would forge them who all work together.

use std::{collections::BTreeMap, sync::Arc};

use chorus_crypto::{
    ballot::Vote as CastVote,
    codec::{Decode as _, Encode as _},
    domain,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    audit::{self, Bundle, WriteError},
    config::{Genesis, Policy},
    contribution::Contributor,
    id::{BatchId, BlobId, RoundId, SetId},
    ledger::Ledger,
    log::{
        batch::{Batch, Height},
        certificate::{Certificate, Committee},
        consensus::{Decision, Statement as _, Vote},
        entry::{AcceptedContribution, ContributionHeader, Entry, Evidence, PollKind, SignedEntry},
    },
    peer::Command,
};

use crate::{
    community::Community,
    scenario::{Play, Scenario},
};

impl Play {
    /// Returns the audit bundle of the log as a node has it.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be shown: a sealed round has no result yet, or the node lacks a blob.
    pub fn bundle(&self, host: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let blobs = |id: &BlobId| self.network.blob(host, id).map(|bytes| bytes.to_vec());
        let decisions: Vec<Arc<Decision>> = self.network.decisions(host).iter().cloned().map(Arc::new).collect();
        audit::write(&mut bytes, &self.community.genesis, &decisions, blobs).expect("the log can be shown");
        bytes
    }
}

/// The seed of the key with which somebody proposes anonymously in tests.
pub const MOMENT: [u8; 32] = [8; 32];

/// A log in the hands of people who hold every key of the community: whatever they write, they can sign and certify.
#[derive(Clone, Debug)]
pub struct Corrupt {
    /// The founding document.
    pub genesis: Genesis,
    /// The entries of each batch.
    pub log: Vec<Vec<SignedEntry>>,
    /// Everything that the log may name.
    pub blobs: BTreeMap<BlobId, Vec<u8>>,
    keys: BTreeMap<PublicKey, SecretKey>,
    sets: BTreeMap<RoundId, SetId>,
}

impl Corrupt {
    /// Takes a bundle over.
    ///
    /// # Panics
    ///
    /// Panics if the bundle does not hold entries.
    pub fn new(community: &Community, bundle: &Bundle) -> Self {
        let people = community.people.iter().map(|person| &person.key);
        // Whoever proposes anonymously signs with a key of the moment; tests make it from this seed.
        let moment = SecretKey::from_seed(&MOMENT);
        let keys = community.operators.iter().chain(&community.attesters).chain(people).chain([&moment]);
        let entry = |bytes: &Vec<u8>| SignedEntry::from_bytes(bytes).expect("an entry");
        let entries = |decision: &Decision| decision.batch.entries().iter().map(entry).collect();
        let mut corrupt = Self {
            genesis: bundle.genesis.clone(),
            log: bundle.decisions.iter().map(entries).collect(),
            blobs: bundle.blobs.iter().cloned().collect(),
            keys: keys.map(|key| (key.public(), key.clone())).collect(),
            sets: BTreeMap::new(),
        };
        let set = |(id, round): (&RoundId, &Arc<chorus_protocol::ledger::RoundRecord>)| {
            Some((*id, round.sealed.as_ref()?.set))
        };
        corrupt.sets = corrupt.ledger().rounds().iter().filter_map(set).collect();
        corrupt
    }

    /// Returns the state that the log leads to, passing over what is against the rules.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new(self.genesis.clone());
        for (height, entries) in (1..).map(Height).zip(&self.log) {
            for entry in entries {
                let _ = ledger.apply_verified(entry);
            }
            ledger.complete(height);
        }
        ledger
    }

    /// Returns the entries, to be changed; [`bundle`](Self::bundle) signs them again.
    pub fn entries(&mut self) -> impl Iterator<Item = &mut SignedEntry> {
        self.log.iter_mut().flatten()
    }

    /// Adds a body that the log may name.
    pub fn keep(&mut self, bytes: Vec<u8>) -> BlobId {
        let id = BlobId::of(&bytes);
        self.blobs.insert(id, bytes);
        id
    }

    /// Returns a contribution with the acknowledgements of all operators that are needed.
    pub fn acknowledge(&self, header: ContributionHeader) -> AcceptedContribution {
        let bytes = header.acknowledged_bytes(self.genesis.id());
        let needed = self.genesis.charter().quorum();
        let keys = self.genesis.operators.iter().filter_map(|key| self.keys.get(key)).take(needed);
        let acknowledgements = (1..).zip(keys.map(|key| key.sign(domain::ACKNOWLEDGE, &bytes))).collect();
        AcceptedContribution { header, acknowledgements }
    }

    /// Returns the bundle of the log: every entry signed anew where the author's key is known, every batch certified,
    /// and the digest of a sealed set replaced wherever the log names it, should it have changed.
    ///
    /// What breaks a rule of the log is written all the same, with the blobs in the order of their ids.
    ///
    /// # Panics
    ///
    /// Panics if the entries do not fit their batches, or the log names a blob that is not kept.
    pub fn bundle(&self) -> Vec<u8> {
        let decisions: Vec<Arc<Decision>> = self.decisions().into_iter().map(Arc::new).collect();
        let mut bytes = Vec::new();
        match audit::write(&mut bytes, &self.genesis, &decisions, |id| self.blobs.get(id).cloned()) {
            Ok(_) => bytes,
            Err(WriteError::Log(_)) => {
                let decisions = decisions.iter().map(|decision| decision.as_ref().clone()).collect();
                let blobs = self.blobs.iter().map(|(id, bytes)| (*id, bytes.clone())).collect();
                Bundle { genesis: self.genesis.clone(), decisions, blobs }.to_bytes()
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn decisions(&self) -> Vec<Decision> {
        let community = self.genesis.id();
        let mut ledger = Ledger::new(self.genesis.clone());
        let mut previous = BatchId::from(*community.as_ref());
        let mut decisions = Vec::new();
        for (height, entries) in (1..).map(Height).zip(&self.log) {
            let committee = ledger.charter().committee();
            let mut encoded = Vec::new();
            for entry in entries {
                let mut said = entry.entry.clone();
                self.reseal(&ledger, &mut said);
                let signed = match self.keys.get(&entry.author) {
                    Some(key) => SignedEntry::sign(key, community, said),
                    None => SignedEntry { entry: said, ..entry.clone() },
                };
                let _ = ledger.apply(&signed);
                encoded.push(signed.to_bytes());
            }
            let batch = Batch::new(height, previous, encoded).expect("entries fit a batch");
            previous = batch.id();
            decisions.push(self.certify_by(&committee, batch));
            ledger.complete(height);
        }
        decisions
    }

    fn reseal(&self, ledger: &Ledger, entry: &mut Entry) {
        let (round, set) = match entry {
            Entry::Opening(it) => (it.round, &mut it.set),
            Entry::Opened(it) => (it.round, &mut it.set),
            Entry::ShareHash(it) => (it.round, &mut it.set),
            Entry::Partition(it) => (it.round, &mut it.set),
            _ => return,
        };
        let sealed = ledger.rounds().get(&round).and_then(|round| round.sealed.as_ref());
        if let Some(sealed) = sealed.filter(|_| self.sets.get(&round) == Some(set)) {
            *set = sealed.set;
        }
    }

    /// Certifies a batch with the signatures of a quorum of the founding operators.
    ///
    /// # Panics
    ///
    /// Panics if the operators make no committee.
    pub fn certify(&self, batch: Batch) -> Decision {
        self.certify_by(&self.genesis.charter().committee(), batch)
    }

    /// Certifies a batch with the signatures of a quorum of a committee.
    ///
    /// # Panics
    ///
    /// Panics if the operators make no committee.
    pub fn certify_by(&self, committee: &Committee, batch: Batch) -> Decision {
        let (height, value) = (batch.height(), batch.id());
        let sign = |operator: PublicKey| {
            let preimage = Vote::precommit(height, 0, value, operator).preimage(self.genesis.id());
            Some((operator, self.keys.get(&operator)?.sign(Vote::DOMAIN, &preimage)))
        };
        let signatures = committee.operators().filter_map(sign).take(committee.quorum()).collect();
        Decision { batch, certificate: Certificate { height, round: 0, value, signatures } }
    }
}

/// Returns evidence that `key` precommitted two batches of one height.
pub fn equivocation(community: &Community, key: &SecretKey) -> Evidence {
    let vote = |value: u8| {
        let vote = Vote::precommit(Height(1), 0, BatchId::from([value; 32]), key.public());
        let mut bytes = vote.to_bytes();
        key.sign(Vote::DOMAIN, &vote.preimage(community.id())).encode(&mut bytes);
        bytes
    };
    let mut bytes = vec![0];
    bytes.extend(vote(1));
    bytes.extend(vote(2));
    Evidence { bytes }
}

/// Plays a community that is so small that the checker in Python reads its bundle whole in seconds: four members vote on two
/// values, one of them twice, and one takes the ballot back.
///
/// # Panics
///
/// Panics if the round does not come to its end.
pub fn small() -> (Community, Vec<u8>) {
    let policy = Policy { min_contributions: 3, floor: 3, ..Policy::default() };
    let scenario = Scenario {
        operators: 4,
        followers: 1,
        people: 5,
        items: 2,
        kind: PollKind::Value,
        duration_millis: 5_000,
        policy,
        ..Scenario::default()
    };
    let mut play = scenario.start();
    assert!(play.open(), "the round opens: {:?}", play.network.notices);
    for person in 0..play.community.people.len() {
        let votes = play.votes[person].clone();
        play.vote(person, 0, &votes);
    }
    play.vote(0, 1, &[CastVote::Agree, CastVote::Pass]);
    let host = play.host_of(1);
    let (ledger, person) = (play.network.peer(host).ledger(), &mut play.community.people[1]);
    let contributor = Contributor { sequence: 1, ..Contributor::anonymous(&person.leaf) };
    let submission = contributor.withdraw(ledger, &ledger.rounds()[&play.poll.round], &mut person.rng);
    play.network.command(host, Command::Contribute(submission.expect("a member may withdraw")));
    assert!(play.finish().is_some(), "a result: {:?}", play.network.notices);
    let bytes = play.bundle(0);
    (play.community, bytes)
}
