//! 5: one person, two voices: over a rotation, two snapshots, two cohorts, two levels, two purposes, two quorums.

use std::sync::Arc;

use chorus_crypto::{
    batch::Batch,
    credential::{Credential, HiddenLeaf, Hiding, Holder, Leaf, LeafSecret, Rings, Rotation, Statement},
    domain,
    group::Point,
    hash::{self, Digest},
    sign::{PublicKey, SecretKey},
    transcript::{Item, Transcript},
};
use chorus_protocol::{
    config::GenesisError,
    contribution::{ContributeError, Contributor},
    ledger::{Purpose, scope},
    log::entry::{AnonymousProposal, Entry, LeafRotation, Registration},
    registry::{
        Snapshot,
        attestation::Claim,
        policy::{Admission, AdmissionError, Quorum},
    },
};
use chorus_tests::malice::forge::credential::{Opening, Words, ring, ring_points};

use super::*;

/// Gives a person a fresh leaf, and returns it.
fn rotate(town: &mut Town, person: usize, seed: u64) -> Result<LeafSecret, Fault> {
    let (key, old) = (town.community.people[person].key.clone(), &town.community.people[person].leaf);
    let new = old.rotated(&mut rng(seed));
    let context = LeafRotation::context(town.community.id(), key.public());
    let proof = Rotation::prove(old, &new, &context, &mut rng(seed + 1));
    town.say(&key, Entry::Rotate(LeafRotation { leaf: new.leaf(), proof })).map(|()| new)
}

fn votes_of(town: &Town, round: RoundId, leaf: &LeafSecret) -> Result<Submission, ContributeError> {
    let votes = agree(town, round);
    Contributor::anonymous(leaf).cast(&town.ledger, town.round(round), &votes, &mut rng(12))
}

fn counted(town: &Town, round: RoundId) -> usize {
    town.round(round).sealed.as_ref().expect("sealed").contributions.len()
}

#[test]
fn attack_05_nobody_votes_twice_over_a_rotation() {
    let (mut town, poll) = town(1, 3, (PollKind::Value, 1));
    let new = rotate(&mut town, 0, 40).expect("an honest rotation");
    let old = &town.community.people[0].leaf;
    let ballot = votes_of(&town, poll.round, old).expect("the leaf of the snapshot");
    assert_eq!(votes_of(&town, poll.round, &new), Err(ContributeError::NotMember));
    for level in LEVELS {
        // The new secret, in the old leaf's place or in anybody's.
        for position in [None, Some(0), Some(1), Some(2)] {
            let honest = forger(&town, poll.round, 0, level);
            let both = Forger { opening: Opening::from(&new), position, ..honest };
            assert_eq!(verdict(&town, &cast(&both, 3)), BAD_CREDENTIAL, "{level:?}, {position:?}");
        }
    }
    town.submit(&ballot).expect("an honest ballot");
    town.seal(poll.round);
    assert_eq!(counted(&town, poll.round), 1);

    let next = town.community.poll_by_class("And then?", (PollKind::Value, 1, 60_000), None);
    town.open(&next).expect("honest entries");
    let old = &town.community.people[0].leaf;
    assert_eq!(votes_of(&town, next.round, old), Err(ContributeError::NotMember));
    let ballot = votes_of(&town, next.round, &new).expect("the new leaf");
    town.submit(&ballot).expect("an honest ballot");
    town.seal(next.round);
    assert_eq!(counted(&town, next.round), 1);
}

#[test]
fn attack_05_nobody_has_two_leaves_in_a_snapshot() {
    let (mut town, poll) = town(1, 3, (PollKind::Value, 1));
    rotate(&mut town, 0, 40).expect("an honest rotation");
    let again = rotate(&mut town, 0, 50).map(drop);
    assert_eq!(again, Err(Fault::Duplicate("a rotation since the last snapshot")));

    let next = town.community.poll_by_class("And then?", (PollKind::Value, 1, 60_000), None);
    town.open(&next).expect("honest entries");

    assert_eq!(town.manifest(poll.round).snapshot.leaves().len(), 3);
    assert_eq!(town.manifest(next.round).snapshot.leaves().len(), 3);
}

#[test]
fn attack_05_nobody_votes_under_another_rounds_snapshot() {
    let (mut town, poll) = town(1, 3, (PollKind::Value, 1));
    let new = rotate(&mut town, 0, 40).expect("an honest rotation");
    let next = town.community.poll_by_class("And then?", (PollKind::Value, 1, 60_000), None);
    town.open(&next).expect("honest entries");
    let (earlier, later) = (town.manifest(poll.round), town.manifest(next.round));
    assert_ne!(earlier.root, later.root);
    let old = &town.community.people[0].leaf;
    for level in LEVELS {
        let own = Forger::new(&town.ledger, town.round(next.round), &new, level);
        assert_eq!(verdict(&town, &cast(&own, 3)), Ok(()), "{level:?}");
        // The old leaf speaks in the new round: from the new leaf's place, and under the scope of the old snapshot.
        for scope in [later.scope, earlier.scope] {
            let ghost = Forger { opening: Opening::from(old), scope, ..own.clone() };
            assert_eq!(verdict(&town, &cast(&ghost, 3)), BAD_CREDENTIAL, "{level:?}");
        }
    }
}

#[test]
fn attack_05_open_and_anonymous_are_one_voice() {
    let (mut town, poll) = town(1, 3, (PollKind::Value, 1));
    let open = cast(&forger(&town, poll.round, 0, Level::Open), 1);
    let hidden = cast(&forger(&town, poll.round, 0, Level::Anonymous), 2);
    let changed = cast(&Forger { sequence: 1, ..forger(&town, poll.round, 0, Level::Anonymous) }, 3);
    assert_eq!(body(&open).tag, body(&hidden).tag);

    town.submit(&open).expect("an honest ballot");
    let twice = town.submit(&hidden).map(drop);
    assert_eq!(twice, Err(Fault::Duplicate("a contribution with this tag and sequence")));
    town.submit(&changed).expect("a change of mind");

    town.seal(poll.round);
    assert_eq!(counted(&town, poll.round), 1);
}

#[test]
fn attack_05_nobody_votes_in_two_cohorts() {
    let scope: Digest = [3; 32];
    let me = LeafSecret::random([0; 4], &mut rng(1));
    let point = |index: u32| Leaf::from(Point::from(hash::to_group(domain::NONCE, &index.to_be_bytes())));
    let leaves: Vec<Leaf> = (0..4_096).map(point).chain([me.leaf()]).collect();
    let snapshot = Snapshot::new(leaves, [1; 32], [2; 32]);
    assert_eq!(snapshot.cohorts().len(), 2);
    let own = snapshot.cohort_of(&me.leaf()).expect("a member");
    let other = 1 - own;
    assert!(!snapshot.cohorts()[other as usize].has_leaf(&me.leaf()));
    let statement = |cohort, leaf| Statement {
        scopes: vec![(scope, me.tag(&scope))],
        holder: Holder::Ring(HiddenLeaf { cohort, leaf }),
        disclosed: Vec::new(),
        group: None,
        snapshot_root: snapshot.root(),
    };
    let transcript = |statement: &Statement| {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        transcript.absorb(Item::Eligibility, statement);
        transcript
    };
    let holds = |credential: &Credential, statement: &Statement, cohort: u32| {
        let rings = Rings { leaves: snapshot.ring(cohort), group: None };
        let mut batch = Batch::new(&[5; 32]);
        credential.verify(&mut transcript(statement), statement, rings, &mut batch).expect("well formed");
        batch.verify()
    };

    let hiding = Hiding::random(&mut rng(2));
    let honest = statement(own, hiding.leaf(&me));
    let rings = Rings { leaves: snapshot.ring(own), group: None };
    let credential = Credential::prove_ring(&mut transcript(&honest), &honest, &me, &hiding, rings, &mut rng(3));
    assert!(holds(&credential, &honest, own));
    // The same credential in the other cohort, and one made for it.
    assert!(!holds(&credential, &honest, other));
    let rho = chorus_crypto::Scalar::from(6u8);
    let opening = Opening::from(&me);
    let forged = statement(other, opening.hidden(&rho).leaf());
    let there = snapshot.ring(other).expect("a ring");
    let members = |cohort: u32| {
        let of = |leaf: &&Leaf| snapshot.cohorts()[cohort as usize].has_leaf(leaf);
        snapshot.leaves().iter().filter(of).copied().collect::<Vec<_>>()
    };
    let points = ring_points(&members(other), there.size());
    let words = Words::honest(&forged, *there.id());
    let secret = (&opening.hidden(&rho), &rho);
    let credential = ring(&mut transcript(&forged), &words, secret, (&points, 17), &mut rng(4));
    assert!(!holds(&Credential::Ring(Box::new(credential)), &forged, other));
    // Whatever the cohort, a tag is of the scope alone: a second ballot would be a change of mind.
    assert_eq!(opening.tag(&scope), me.tag(&scope));
    assert!(Arc::ptr_eq(there, snapshot.ring(other).expect("a ring")));
}

#[test]
fn attack_05_a_vote_is_no_proposal_and_a_proposal_no_vote() {
    let (mut town, poll) = town(1, 3, (PollKind::Value, 1));
    let leaf = Opening::from(&town.community.people[0].leaf);
    let author = SecretKey::random(&mut rng(8));
    let propose = |town: &Town, number| {
        let leaf = &town.community.people[0].leaf;
        let (text, key) = (format!("Item {number}"), author.public());
        AnonymousProposal::make(&town.ledger, poll.poll, &text, (leaf, number), key, &mut rng(9)).expect("a member")
    };
    let honest = propose(&town, 0);
    let vote = leaf.tag(&town.manifest(poll.round).scope);
    let second = propose(&town, 1);
    assert!(honest.tag != vote && second.tag != vote && honest.tag != second.tag);

    let mut say = |proposal: AnonymousProposal| town.say(&author, Entry::ProposeAnonymously(proposal));
    assert_eq!(say(AnonymousProposal { tag: vote, ..honest.clone() }), BAD_CREDENTIAL);
    assert_eq!(say(AnonymousProposal { number: 1, ..honest.clone() }), BAD_CREDENTIAL, "the tag of number 0");
    assert_eq!(say(AnonymousProposal { tag: second.tag, ..honest.clone() }), BAD_CREDENTIAL);
    assert_eq!(say(honest.clone()), Ok(()));
    let again = AnonymousProposal { text: "Something else".into(), ..honest };
    assert_eq!(say(again), Err(Fault::Duplicate("an anonymous item with this number")));
    let beyond = propose(&town, 3);
    let refused = town.say(&author, Entry::ProposeAnonymously(beyond));
    assert_eq!(refused, Err(Fault::Bound { what: "anonymous items of one member", bound: 3, found: 4 }));

    let (community, policy) = (town.community.id(), town.community.genesis.policy_digest());
    let root = town.ledger.polls()[&poll.poll].snapshot.root();
    let proposing = scope(community, policy, root, poll.poll, Purpose::Propose(0));
    for level in LEVELS {
        let ballot = Forger { scope: proposing, ..forger(&town, poll.round, 0, level) };
        assert_eq!(verdict(&town, &cast(&ballot, 1)), BAD_CREDENTIAL, "{level:?}");
    }
}

#[test]
fn attack_05_a_quorum_that_could_admit_one_person_twice_founds_no_community() {
    let founded = |needed, faulty| {
        let quorum = Quorum { needed, faulty, per_organisation: u8::MAX };
        let policy = Policy { admission: Admission::Quorum(quorum), ..Policy::default() };
        Community::with_attesters(3, 1, (1, [0; 4]), 5, policy).genesis.validate()
    };
    assert_eq!(founded(4, 1), Ok(()));
    assert_eq!(founded(5, 2), Ok(()));
    for (k, faulty) in [(3, 1), (4, 3), (2, 0)] {
        let refused = AdmissionError::Quorum { k, n: 5, faulty };
        assert_eq!(founded(k, faulty), Err(GenesisError::Admission(refused)));
    }
}

/// Registers a claim of a person with a second key and leaf, attested by some attesters.
fn register(town: &mut Town, seed: u64, attesters: &[SecretKey]) -> PublicKey {
    let (key, leaf) = (SecretKey::random(&mut rng(seed)), LeafSecret::random([0; 4], &mut rng(seed + 1)));
    let claim = Claim::of(key.public(), &leaf);
    let attestations = attesters.iter().map(|attester| town.community.attestation(attester, claim)).collect();
    let registration = Registration::new(town.community.id(), claim, &leaf, attestations, &mut rng(seed + 2));
    town.say(&key, Entry::Register(registration)).expect("attested by somebody");
    key.public()
}

#[test]
fn attack_05_two_quorums_of_attesters_admit_one_person_once() {
    let policy = Policy { admission: Admission::Quorum(Quorum::usual(5)), ..Policy::default() };
    let mut admitted = Vec::new();
    for first in 1..=4usize {
        let mut town = Town::new(Community::with_attesters(3, 1, (1, [0; 4]), 5, policy.clone()), 3);
        let attesters = town.community.attesters.clone();
        let (corrupt, honest) = attesters.split_first().expect("five attesters");
        // The corrupt attester signs for both keys, each honest one for one person once.
        let (some, others) = honest.split_at(first);
        let with_corrupt = |some: &[SecretKey]| [std::slice::from_ref(corrupt), some].concat();
        let keys = [register(&mut town, 10, &with_corrupt(some)), register(&mut town, 20, &with_corrupt(others))];
        admitted.push(keys.iter().filter(|key| town.ledger.is_member(key)).count());
    }

    assert_eq!(admitted, [1, 0, 1, 1], "with 1, 2, 3 and 4 of the honest attesters behind the first key");
}
