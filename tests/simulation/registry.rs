//! Membership over time: attestations, rotation, recovery, removal, vouches, classes, anonymous proposals.

use chorus_crypto::{
    credential::{Leaf, LeafSecret, Rotation},
    sign::SecretKey,
};
use chorus_protocol::{
    config::{Attribute, Policy},
    contribution::{ContributeError, Contributor, Level},
    fault::Fault,
    id::RoundId,
    limits,
    log::entry::{
        AnonymousProposal, AttesterRemoval, Census, ClassPlan, ClassSource, Entry, Expulsion, LeafRotation, PollKind,
        Registration, Revocation, SignedEntry, Veto, Vouch,
    },
    registry::{
        attestation::{Attestation, Claim},
        flow::{SeedGroup, Vouching},
        policy::{Admission, Quorum},
    },
    time::Timestamp,
};
use chorus_tests::{
    community::{Community, Person, Poll},
    offline::Town,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const DAY: u64 = 24 * 3_600_000;
const SEED: u64 = 11;

/// Five attesters, of whom four are needed.
fn policy() -> Policy {
    Policy {
        admission: Admission::Quorum(Quorum::usual(5)),
        floor: 3,
        min_contributions: 3,
        group_floor: 6,
        class_floor: 4,
        class_members: 4,
        ..Policy::default()
    }
}

fn town(people: usize, attributes: [u64; 4], policy: Policy) -> Town {
    let mut town = Town::new(Community::with_attesters(SEED, 4, (people, attributes), 5, policy), SEED);
    town.pass(DAY);
    town
}

fn poll(town: &Town, question: &str) -> Poll {
    town.community.poll_by_class(question, (PollKind::Statement, 4, 60_000), None)
}

/// Opens a round and returns it.
fn open(town: &mut Town, question: &str) -> RoundId {
    let poll = poll(town, question);
    town.open(&poll).expect("honest entries");
    poll.round
}

fn leaves(town: &Town, round: RoundId) -> Vec<Leaf> {
    town.manifest(round).snapshot.leaves().to_vec()
}

/// Takes a person out of the community, so that their secrets can be used while the town changes.
fn secrets(town: &Town, person: usize) -> (SecretKey, LeafSecret) {
    let person = &town.community.people[person];
    let leaf = LeafSecret::from_bytes(person.leaf.to_bytes().as_ref()).expect("its own bytes");
    (person.key.clone(), leaf)
}

/// Votes as the holder of a leaf.
fn vote(town: &mut Town, round: RoundId, leaf: &LeafSecret, level: Level) -> Result<(), Fault> {
    let contributor = Contributor { level, ..Contributor::anonymous(leaf) };
    let submission = town.ballot(round, &contributor);
    town.submit(&submission).map(|_| ())
}

/// Rotates a person's leaf and returns the new one.
fn rotate(town: &mut Town, person: usize) -> Result<LeafSecret, Fault> {
    let (key, old) = secrets(town, person);
    let mut rng = ChaCha20Rng::seed_from_u64(77 + person as u64);
    let new = old.rotated(&mut rng);
    let proof = Rotation::prove(&old, &new, &LeafRotation::context(town.community.id(), key.public()), &mut rng);
    town.say(&key, Entry::Rotate(LeafRotation { leaf: new.leaf(), proof }))?;
    Ok(new)
}

#[test]
fn too_few_attesters_admit_nobody_and_one_more_does() {
    let mut town = town(3, [0; 4], policy());
    town.register(0, 4).expect("four words");
    town.register(1, 3).expect("three words are a candidate");
    let round = open(&mut town, "One?");
    assert_eq!(leaves(&town, round), [town.community.people[0].leaf.leaf()]);

    let fourth = town.community.attesters[3].clone();
    let attestation = town.community.attestation(&fourth, town.claim(1));
    town.say(&fourth, Entry::Attest(attestation)).expect("the word that was missing");

    assert!(town.ledger.is_member(&town.community.people[1].key.public()));
    assert_eq!(leaves(&town, round).len(), 1, "a pinned snapshot does not change");
    let second = open(&mut town, "Two?");
    assert_eq!(leaves(&town, second).len(), 2);
    assert!(matches!(town.say(&fourth, Entry::Attest(attestation)), Err(Fault::Duplicate(_))));
}

#[test]
fn nobody_registers_without_a_word_and_no_word_counts_for_another_claim() {
    let mut town = town(2, [0; 4], policy());
    let refused = town.register(0, 0);
    assert_eq!(refused, Err(Fault::NotAllowed("this registration")));

    town.register(0, 4).expect("four words");
    let attester = town.community.attesters[4].clone();
    let (honest, other) = (town.claim(0), town.claim(1));
    for (what, claim) in [
        ("another leaf", Claim { leaf: other.leaf, ..honest }),
        ("other slots", Claim { slots: 1, ..honest }),
        ("a recovery", Claim { recovers: Some(other.key), ..honest }),
    ] {
        let attestation = town.community.attestation(&attester, claim);
        assert_eq!(town.say(&attester, Entry::Attest(attestation)), Err(Fault::Mismatch("what is attested")), "{what}");
    }
    let nobody = town.community.attestation(&attester, other);
    assert_eq!(town.say(&attester, Entry::Attest(nobody)), Err(Fault::Unknown("member")));
    let ever = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
    let stale = Attestation::sign(&attester, town.community.id(), honest, [0; 32], ever);
    assert_eq!(town.say(&attester, Entry::Attest(stale)), Err(Fault::Mismatch("the policy of an attestation")));
}

#[test]
fn an_attestation_counts_from_its_beginning_to_its_end() {
    let mut town = town(1, [0; 4], policy());
    town.register(0, 3).expect("three words for ever");
    let fourth = town.community.attesters[3].clone();
    let policy = town.community.genesis.policy_digest();
    let day = |days: u64| Timestamp::from_millis(days * DAY);
    let attestation = Attestation::sign(&fourth, town.community.id(), town.claim(0), policy, (day(3), day(5)));
    town.say(&fourth, Entry::Attest(attestation)).expect("a word for later");
    let key = town.community.people[0].key.public();

    assert!(!town.ledger.is_member(&key), "day 1");
    town.pass(2 * DAY);
    assert!(town.ledger.is_member(&key), "day 3");
    town.pass(2 * DAY);
    assert!(!town.ledger.is_member(&key), "day 5");
}

#[test]
fn a_word_taken_back_counts_at_the_next_snapshot_and_does_not_come_back() {
    let mut town = town(2, [0; 4], policy());
    town.register(0, 4).expect("four words");
    town.register(1, 5).expect("five words");
    let round = open(&mut town, "One?");
    let (key, leaf) = secrets(&town, 0);
    vote(&mut town, round, &leaf, Level::Anonymous).expect("a member votes");
    let first = town.community.attesters[0].clone();
    let old = town.community.attestation(&first, town.claim(0));
    let revocation = Entry::Revoke(Revocation::of(&old, "seen twice".into()));
    town.say(&first, revocation.clone()).expect("an attester takes its word back");

    assert!(!town.ledger.is_member(&key.public()));
    assert_eq!(town.round(round).contributions.len(), 1, "what was cast stays");
    assert!(vote(&mut town, round, &leaf, Level::Open).is_err(), "the same tag and sequence");
    assert!(matches!(town.say(&first, revocation), Err(Fault::Duplicate(_))));
    assert!(matches!(town.say(&first, Entry::Attest(old)), Err(Fault::Duplicate(_))));
    let second = open(&mut town, "Two?");
    assert_eq!(leaves(&town, second), [town.community.people[1].leaf.leaf()]);
    let refused = Contributor::anonymous(&leaf).cast(&town.ledger, town.round(second), &[], &mut rng(1));
    assert_eq!(refused, Err(ContributeError::NotMember));
    // A fresh word counts again.
    let policy = town.community.genesis.policy_digest();
    let fresh = (Timestamp::from_millis(2 * DAY), Timestamp::from_millis(u64::MAX));
    let again = Attestation::sign(&first, town.community.id(), town.claim(0), policy, fresh);
    town.say(&first, Entry::Attest(again)).expect("a fresh word");
    town.pass(2 * DAY);
    assert!(town.ledger.is_member(&key.public()));
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

#[test]
fn a_removed_attester_counts_through_the_grace_and_no_longer() {
    let mut town = town(2, [0; 4], policy());
    town.register(0, 4).expect("four words");
    let corrupt = town.community.attesters[0].public();
    let removal = Entry::RemoveAttester(AttesterRemoval { attester: corrupt, reason: "sold its word".into() });
    let operators = town.community.operators.clone();
    let (key, stranger) = (town.community.people[0].key.public(), town.community.people[1].key.clone());
    assert!(matches!(town.say(&stranger, removal.clone()), Err(Fault::NotAllowed(_))));
    for operator in &operators[..2] {
        town.say(operator, removal.clone()).expect("an operator's word");
    }
    assert!(matches!(town.say(&operators[0], removal.clone()), Err(Fault::Duplicate(_))));
    assert!(town.ledger.registry().removed_attesters().is_empty(), "two of four operators do not decide");
    town.say(&operators[2], removal).expect("the third");

    assert!(town.ledger.registry().removed_attesters().contains_key(&corrupt));
    assert!(town.ledger.is_member(&key), "grace");
    assert_eq!(town.register(1, 5), Err(Fault::NotAllowed("an attestation")), "no new word of a removed attester");
    town.pass(30 * DAY);
    assert!(!town.ledger.is_member(&key), "after it");
    let fifth = town.community.attesters[4].clone();
    let attestation = town.community.attestation(&fifth, town.claim(0));
    town.say(&fifth, Entry::Attest(attestation)).expect("another attester steps in");
    assert!(town.ledger.is_member(&key));
}

#[test]
fn a_rotation_takes_effect_at_the_next_snapshot_with_the_same_attributes() {
    let mut town = town(2, [2, 0, 0, 0], Policy { attributes: vec![regions()], ..policy() });
    town.register(0, 4).expect("four words");
    let first = open(&mut town, "One?");
    let (key, old) = secrets(&town, 0);
    let new = rotate(&mut town, 0).expect("a member rotates");

    assert_eq!(leaves(&town, first), [old.leaf()]);
    vote(&mut town, first, &old, Level::Anonymous).expect("the round pinned the old leaf");
    assert!(matches!(rotate(&mut town, 0), Err(Fault::Duplicate(_))), "one rotation for each snapshot");
    let second = open(&mut town, "Two?");
    assert_eq!(leaves(&town, second), [new.leaf()]);
    vote(&mut town, second, &new, Level::Anonymous).expect("the new leaf votes");
    assert_eq!(new.attributes(), &[2, 0, 0, 0]);
    assert!(town.ledger.is_member(&key.public()), "attestations follow the person");
    // The old leaf is nobody's for ever.
    let claim = Claim { leaf: old.leaf(), ..Claim::of(SecretKey::from_seed(&[3; 32]).public(), &old) };
    let attestations = vec![town.community.attestation(&town.community.attesters[0], claim)];
    let again = Registration::new(town.community.id(), claim, &old, attestations, &mut rng(2));
    assert!(matches!(town.say(&SecretKey::from_seed(&[3; 32]), Entry::Register(again)), Err(Fault::Duplicate(_))));
}

/// Registers a key that takes over from a member's.
fn recover(town: &mut Town, person: usize) -> (SecretKey, LeafSecret, Result<(), Fault>) {
    let mut rng = rng(500);
    let (key, leaf) = (SecretKey::random(&mut rng), LeafSecret::random([0; 4], &mut rng));
    let recovers = Some(town.community.people[person].key.public());
    let claim = Claim { recovers, ..Claim::of(key.public(), &leaf) };
    let attestations =
        town.community.attesters[..4].iter().map(|attester| town.community.attestation(attester, claim)).collect();
    let registration = Registration::new(town.community.id(), claim, &leaf, attestations, &mut rng);
    let verdict = town.say(&key, Entry::Register(registration));
    (key, leaf, verdict)
}

#[test]
fn a_recovered_key_takes_over_after_three_days_and_never_beside_the_old_one() {
    let mut town = town(1, [0; 4], policy());
    town.register(0, 4).expect("four words");
    let (new, leaf, verdict) = recover(&mut town, 0);
    verdict.expect("four attesters know the person again");
    let old = town.community.people[0].key.public();

    let before = open(&mut town, "Before?");
    assert_eq!(leaves(&town, before), [town.community.people[0].leaf.leaf()]);
    assert!(!town.ledger.is_member(&new.public()));
    town.pass(3 * DAY);
    let after = open(&mut town, "After?");
    assert_eq!(leaves(&town, after), [leaf.leaf()]);
    assert!(town.ledger.is_member(&new.public()) && !town.ledger.is_member(&old));
    let veto = Entry::Veto(Veto { key: new.public() });
    let old = town.community.people[0].key.clone();
    assert!(matches!(town.say(&old, veto), Err(Fault::Duplicate(_))), "too late");
}

#[test]
fn the_owner_of_a_key_vetoes_its_recovery() {
    let mut town = town(2, [0; 4], policy());
    town.register(0, 4).expect("four words");
    town.register(1, 4).expect("four words");
    let (thief, _, verdict) = recover(&mut town, 0);
    verdict.expect("four attesters were deceived");
    let (owner, other) = (town.community.people[0].key.clone(), town.community.people[1].key.clone());
    let veto = Entry::Veto(Veto { key: thief.public() });
    assert!(matches!(town.say(&other, veto.clone()), Err(Fault::NotAllowed(_))));
    town.say(&owner, veto).expect("the owner is there");

    town.pass(4 * DAY);
    let round = open(&mut town, "Who?");
    assert!(town.ledger.is_member(&owner.public()) && !town.ledger.is_member(&thief.public()));
    assert_eq!(leaves(&town, round).len(), 2);
}

#[test]
fn people_leave_and_are_expelled_by_enough_operators() {
    let mut town = town(3, [0; 4], policy());
    town.register_all();
    let (leaver, fake) = (town.community.people[0].key.clone(), town.community.people[1].key.public());
    let leaving = Revocation::leaving(leaver.public(), String::new());
    let dated = Revocation { until: Timestamp::from_millis(1), ..leaving.clone() };
    assert_eq!(town.say(&leaver, Entry::Revoke(dated)), Err(Fault::Mismatch("the time of a departure")));
    town.say(&leaver, Entry::Revoke(leaving)).expect("leaves");
    let expulsion = Entry::Expel(Expulsion { key: fake, reason: "made up".into() });
    let operators = town.community.operators.clone();
    operators[..2].iter().for_each(|operator| town.say(operator, expulsion.clone()).expect("a word"));
    assert!(town.ledger.is_member(&fake));
    town.say(&operators[2], expulsion.clone()).expect("the third");

    assert!(!town.ledger.is_member(&leaver.public()) && !town.ledger.is_member(&fake));
    assert!(matches!(town.say(&operators[3], expulsion), Err(Fault::Duplicate(_))));
    let round = open(&mut town, "Who is left?");
    assert_eq!(leaves(&town, round), [town.community.people[2].leaf.leaf()]);
}

/// A town in which the first two people are seeds, and two vouches are needed.
fn vouching_town(people: usize) -> Town {
    let keys = Community::with_attesters(SEED, 4, (people, [0; 4]), 0, policy()).people;
    let seeds: Vec<SeedGroup> =
        keys[..2].iter().map(|person: &Person| [person.key.public()].into_iter().collect()).collect();
    let vouching = Vouching { tolerated: 0, min_vouches: 2, stock: 3, ..Vouching::recommended(seeds) };
    let policy = Policy { admission: Admission::Vouch(vouching), ..policy() };
    let mut town = Town::new(Community::with_attesters(SEED, 4, (people, [0; 4]), 0, policy), SEED);
    town.pass(DAY);
    (0..2).for_each(|seed| town.register(seed, 0).expect("seeds register themselves"));
    town
}

/// Lets a member register another person.
fn introduce(town: &mut Town, by: usize, person: usize) {
    let SignedEntry { entry, .. } = town.community.registration(person);
    let by = town.community.people[by].key.clone();
    town.say(&by, entry).expect("a member introduces a person");
}

fn vouch_for(town: &mut Town, from: usize, to: usize, stands: bool) -> Result<(), Fault> {
    let (from, key) = (town.community.people[from].key.clone(), town.community.people[to].key.public());
    let number = town.ledger.registry().vouch_words(&from.public(), &key) + 1;
    town.say(&from, Entry::Vouch(Vouch { key, stands, number }))
}

#[test]
fn vouches_of_seeds_admit_and_their_end_excludes() {
    let mut town = vouching_town(4);
    assert_eq!(town.register(2, 0), Err(Fault::NotAllowed("this registration")), "nobody comes in alone");
    introduce(&mut town, 0, 2);
    let key = town.community.people[2].key.public();
    vouch_for(&mut town, 0, 2, true).expect("a seed vouches");
    let one = open(&mut town, "With one?");
    assert_eq!(leaves(&town, one).len(), 2, "the seeds");
    vouch_for(&mut town, 1, 2, true).expect("the other seed vouches");
    let two = open(&mut town, "With two?");
    assert_eq!(leaves(&town, two).len(), 3);

    vouch_for(&mut town, 1, 2, false).expect("and takes it back");
    assert!(town.ledger.is_member(&key), "until the next snapshot");
    let three = open(&mut town, "With one again?");
    assert_eq!(leaves(&town, three).len(), 2);
    assert!(matches!(vouch_for(&mut town, 1, 2, false), Err(Fault::Duplicate(_))));
}

#[test]
fn one_member_introduces_so_many_strangers_and_no_more() {
    let most = limits::MAX_CANDIDATES_PER_MEMBER;
    let mut town = vouching_town(most + 3);
    (2..most + 2).for_each(|person| introduce(&mut town, 0, person));
    let SignedEntry { entry, .. } = town.community.registration(most + 2);
    let (one, other) = (town.community.people[0].key.clone(), town.community.people[1].key.clone());

    assert!(matches!(town.say(&one, entry.clone()), Err(Fault::Bound { .. })));
    assert_eq!(town.say(&other, entry), Ok(()), "another member still can");
}

#[test]
fn vouches_have_a_stock_a_rate_and_an_end() {
    let mut town = vouching_town(7);
    (2..7).for_each(|person| introduce(&mut town, 0, person));
    vouch_for(&mut town, 0, 2, true).expect("the first");
    assert!(matches!(vouch_for(&mut town, 0, 3, true), Err(Fault::Early { what: "the next vouch", .. })));
    assert!(matches!(vouch_for(&mut town, 0, 0, true), Err(Fault::NotAllowed(_))), "for oneself");
    assert!(matches!(vouch_for(&mut town, 5, 6, true), Err(Fault::NotAllowed(_))), "by somebody who is no member");
    for person in 3..5 {
        town.pass(5 * DAY);
        vouch_for(&mut town, 0, person, true).expect("five days later");
    }
    town.pass(5 * DAY);
    assert!(matches!(vouch_for(&mut town, 0, 5, true), Err(Fault::Bound { .. })), "the stock is used up");
    assert!(matches!(vouch_for(&mut town, 0, 2, true), Err(Fault::Duplicate(_))));
    town.pass(356 * DAY);
    vouch_for(&mut town, 0, 5, true).expect("the first vouch has expired");
}

#[test]
fn whoever_vouched_for_a_fake_waits_and_whom_the_fake_vouched_for_stays() {
    let mut town = vouching_town(4);
    for person in 2..4 {
        introduce(&mut town, 0, person);
        (0..2).for_each(|seed| vouch_for(&mut town, seed, person, true).expect("a seed vouches"));
        town.pass(5 * DAY);
    }
    open(&mut town, "Who?");
    vouch_for(&mut town, 3, 2, true).expect("the fake vouches for a real person");
    let (fake, real) = (town.community.people[3].key.public(), town.community.people[2].key.public());
    town.all_operators_say(&Entry::Expel(Expulsion { key: fake, reason: "made up".into() }))
        .expect_err("the fourth word");
    town.pass(10 * DAY);
    open(&mut town, "And now?");

    assert!(!town.ledger.is_member(&fake) && town.ledger.is_member(&real));
    let refused = vouch_for(&mut town, 0, 2, true);
    assert!(matches!(refused, Err(Fault::Duplicate(_))), "that vouch stands");
    vouch_for(&mut town, 0, 2, false).expect("it can be taken back");
    assert!(matches!(vouch_for(&mut town, 0, 2, true), Err(Fault::Early { .. })), "but no new one for a year");
}

fn regions() -> Attribute {
    Attribute::new("region", &["north", "south"])
}

fn by_region(weights: [u32; 3]) -> Option<ClassPlan> {
    Some(ClassPlan { source: ClassSource::Attribute(0), weights: weights.to_vec() })
}

#[test]
fn a_class_opens_when_enough_attesters_have_seen_enough_people() {
    let attributes = vec![regions()];
    let mut town = town(5, [1, 0, 0, 0], Policy { attributes, ..policy() });
    town.register_all();
    let attesters = town.community.attesters.clone();
    let census = |counts: [u32; 2]| Entry::Census(Census { slot: 0, number: 1, counts: counts.to_vec() });
    assert!(matches!(town.say(&attesters[0], census([5, 1])), Err(Fault::Mismatch(_))), "one person is not counted");
    let operator = town.community.operators[0].clone();
    assert!(matches!(town.say(&operator, census([5, 0])), Err(Fault::NotAllowed(_))));
    town.say(&attesters[0], census([5, 50])).expect("a corrupt attester invents the south");
    let poll = |town: &Town, question: &str| {
        town.community.poll_by_class(question, (PollKind::Statement, 4, 60_000), by_region([1, 1, 2]))
    };
    let early = poll(&town, "Early?");
    town.open(&early).expect("a round without classes");
    assert!(town.manifest(early.round).classes.is_empty(), "one attester of five does not open a class");
    town.say(&attesters[1], census([5, 0])).expect("an honest attester");
    let late = poll(&town, "Late?");
    town.open(&late).expect("a round with classes");

    let open: Vec<u16> = town.manifest(late.round).classes.iter().map(|class| class.number).collect();
    assert_eq!(open, [1]);
    let (_, leaf) = secrets(&town, 0);
    let shown = town.ballot(late.round, &Contributor::anonymous(&leaf));
    assert_eq!(town.submit(&shown).expect("accepted").class, 1);
    let (_, leaf) = secrets(&town, 1);
    let hidden = town.ballot(late.round, &Contributor { show_class: false, ..Contributor::anonymous(&leaf) });
    assert_eq!(town.submit(&hidden).expect("accepted").class, 0);
    let greedy = town.community.poll_by_class("Greedy?", (PollKind::Statement, 4, 60_000), by_region([2, 1, 2]));
    assert_eq!(town.open(&greedy), Err(Fault::Mismatch("the classes' weights")), "hiding a class would gain");
}

#[test]
fn a_member_proposes_anonymously_so_often_and_no_more() {
    let mut town = town(3, [0; 4], Policy { anonymous_proposals: 2, ..policy() });
    town.register_all();
    let poll = poll(&town, "What?");
    let operator = town.community.operators[0].clone();
    town.say(&operator, poll.opening.clone()).expect("a poll");
    let propose = |town: &mut Town, leaf: &LeafSecret, number: u8, text: &str| {
        let author = SecretKey::random(&mut rng(number.into()));
        let by = (leaf, number);
        let proposal = AnonymousProposal::make(&town.ledger, poll.poll, text, by, author.public(), &mut rng(8));
        (author, proposal.expect("a member when the poll was opened"))
    };
    let (_, leaf) = secrets(&town, 0);
    let (author, first) = propose(&mut town, &leaf, 0, "Listen first");
    let moved = Entry::ProposeAnonymously(first.clone());
    assert!(matches!(town.say(&operator, moved), Err(Fault::Credential(_))), "it is bound to its author's key");
    for change in [
        &(|it: &mut AnonymousProposal| it.text.push('!')) as &dyn Fn(&mut AnonymousProposal),
        &|it| it.number = 1,
        &|it| it.tag = leaf.tag(&[1; 32]),
    ] {
        let mut changed = first.clone();
        change(&mut changed);
        assert!(town.say(&author, Entry::ProposeAnonymously(changed)).is_err());
    }
    town.say(&author, Entry::ProposeAnonymously(first)).expect("the first");
    let (author, again) = propose(&mut town, &leaf, 0, "Listen twice");
    assert!(matches!(town.say(&author, Entry::ProposeAnonymously(again)), Err(Fault::Duplicate(_))));
    let (author, second) = propose(&mut town, &leaf, 1, "Answer last");
    town.say(&author, Entry::ProposeAnonymously(second)).expect("the second");
    let (author, third) = propose(&mut town, &leaf, 2, "Be brief");
    assert!(matches!(town.say(&author, Entry::ProposeAnonymously(third)), Err(Fault::Bound { .. })));

    let proposers: Vec<_> = town.ledger.polls()[&poll.poll].items.iter().map(|(_, _, by)| *by).collect();
    assert_eq!(proposers.len(), 2);
    assert_ne!(proposers[0], proposers[1], "two numbers of one person are unlinkable");
}
