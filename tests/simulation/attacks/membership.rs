//! Membership turned against people: recoveries, rounds and openings that somebody blocks, words that nobody gave.

use chorus_crypto::{
    credential::LeafSecret,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    config::Attribute,
    ledger::RoundState,
    limits,
    log::entry::{Entry, PollOpening, Registration, Revocation, SignedEntry, Subject, Vouch},
    peer::Command,
    registry::{
        attestation::{Attestation, Claim},
        flow::Vouching,
        policy::{Admission, Quorum},
    },
    time::Timestamp,
};
use chorus_tests::{community::Person, scenario::Scenario};

use super::*;

const DAY: u64 = 24 * 3_600_000;

/// So many people, and five attesters of whom four are needed.
fn attested(people: usize) -> Town {
    let policy = Policy { admission: Admission::Quorum(Quorum::usual(5)), ..Policy::default() };
    let mut town = Town::new(Community::with_attesters(3, 4, (people, [0; 4]), 5, policy), 3);
    town.pass(DAY);
    town.register_all();
    town
}

/// Registers a key that is to take over from the first person's, with the words of these attesters.
fn recover(town: &mut Town, seed: u64, attesters: core::ops::Range<usize>) -> Result<SecretKey, Fault> {
    let (key, leaf) = (SecretKey::random(&mut rng(seed)), LeafSecret::random([0; 4], &mut rng(seed + 1)));
    let claim = Claim { recovers: Some(town.community.people[0].key.public()), ..Claim::of(key.public(), &leaf) };
    let attesters = &town.community.attesters[attesters];
    let attestations = attesters.iter().map(|attester| town.community.attestation(attester, claim)).collect();
    let registration = Registration::new(town.community.id(), claim, &leaf, attestations, &mut rng(seed + 2));
    town.say(&key, Entry::Register(registration)).map(|()| key)
}

fn open(town: &mut Town, question: &str) {
    let poll = town.community.poll_by_class(question, (PollKind::Value, 1, 60_000), None);
    town.open(&poll).expect("honest entries");
}

#[test]
fn one_corrupt_attester_cannot_keep_a_lost_key_from_being_recovered() {
    let mut town = attested(2);
    recover(&mut town, 10, 0..1).expect("a candidate that no quorum admits");

    let owner = recover(&mut town, 20, 1..5).expect("four honest attesters know the owner again");

    town.pass(3 * DAY);
    open(&mut town, "Who?");
    let lost = town.community.people[0].key.public();
    assert!(town.ledger.is_member(&owner.public()) && !town.ledger.is_member(&lost));
}

#[test]
fn of_two_recoveries_that_are_admitted_the_first_takes_over_and_the_other_never_does() {
    let mut town = attested(2);
    let late = (30..60u64).map(|seed| (seed, SecretKey::random(&mut rng(seed)).public()));
    let (smallest, _) = late.min_by_key(|(_, key)| *key).expect("thirty keys");
    let first = recover(&mut town, 60, 0..5).expect("a quorum");
    town.pass(DAY);
    let second = recover(&mut town, smallest, 0..5).expect("a quorum that was deceived");
    assert!(second.public() < first.public(), "the order of keys would decide for the second");

    town.pass(4 * DAY);
    for question in ["Who?", "And now?"] {
        open(&mut town, question);
        assert!(town.ledger.is_member(&first.public()) && !town.ledger.is_member(&second.public()));
        assert_eq!(town.ledger.members().len(), 2);
    }
}

#[test]
fn a_word_for_later_that_was_taken_back_does_not_come_back() {
    let mut town = attested(1);
    let (attester, key) = (town.community.attesters[0].clone(), town.community.people[0].key.clone());
    let first = town.community.attestation(&attester, town.claim(0));
    let revoke = |attestation| Entry::Revoke(Revocation::of(attestation, "seen twice".into()));
    town.say(&attester, revoke(&first)).expect("taken back");
    let day = |days: u64| Timestamp::from_millis(days * DAY);
    let policy = town.community.genesis.policy_digest();
    let later = Attestation::sign(&attester, town.community.id(), town.claim(0), policy, (day(3), day(9)));
    town.say(&attester, Entry::Attest(later)).expect("a fresh word, from day 3 on");
    town.say(&attester, revoke(&later)).expect("taken back as well");

    let again = town.say(&key, Entry::Attest(later));

    assert_eq!(again, Err(Fault::Duplicate("an attestation from before it was taken back")));
}

/// People who say where they live; the first two are seeds, and two vouches admit.
fn vouching_town(attesters: usize) -> Town {
    let region = Attribute::new("region", &["north", "south"]);
    let found = |admission, attributes| {
        let policy = Policy { admission, attributes: vec![region.clone()], ..Policy::default() };
        Community::with_attesters(3, 4, (4, attributes), attesters, policy)
    };
    let keys: Vec<PublicKey> =
        found(Admission::Quorum(Quorum::usual(attesters)), [0; 4]).people.iter().map(|it| it.key.public()).collect();
    let seeds = keys[..2].iter().map(|key| [*key].into_iter().collect()).collect();
    let vouching = Vouching { tolerated: 0, min_vouches: 2, ..Vouching::recommended(seeds) };
    let mut community = found(Admission::Vouch(vouching), [0; 4]);
    let stated: &mut Person = &mut community.people[3];
    stated.leaf = LeafSecret::random([1, 0, 0, 0], &mut rng(9));
    let mut town = Town::new(community, 3);
    town.pass(DAY);
    (0..2).for_each(|seed| town.register(seed, 0).expect("seeds register themselves"));
    for person in 2..4 {
        let SignedEntry { entry, .. } = town.community.registration(person);
        let Entry::Register(mut registration) = entry else { unreachable!("a registration") };
        registration.attestations.clear();
        let seed = town.community.people[0].key.clone();
        town.say(&seed, Entry::Register(registration)).expect("a seed introduces them");
        let key = town.community.people[person].key.public();
        for seed in 0..2 {
            let seed = town.community.people[seed].key.clone();
            town.say(&seed, Entry::Vouch(Vouch { key, stands: true, number: 1 })).expect("a seed vouches");
        }
        town.pass(5 * DAY);
    }
    town
}

#[test]
fn nobody_is_a_member_with_attributes_that_no_attester_checked() {
    let mut town = vouching_town(1);
    open(&mut town, "Who?");
    let [plain, stated] = [2, 3].map(|person: usize| town.community.people[person].key.public());
    assert!(town.ledger.is_member(&plain));
    assert!(!town.ledger.is_member(&stated), "vouches say that somebody is one person, not where they live");

    let attester = town.community.attesters[0].clone();
    let attestation = town.community.attestation(&attester, town.claim(3));
    town.say(&attester, Entry::Attest(attestation)).expect("the attester has checked");

    assert!(town.ledger.is_member(&stated));
}

#[test]
fn one_operator_cannot_use_up_the_rounds_or_polls_of_the_others() {
    let mut town = attested(2);
    let [honest, corrupt] = [0, 1].map(|operator: usize| town.community.operators[operator].clone());
    let poll = |question: String| PollOpening { kind: PollKind::Value, question, context: String::new() };
    let mut refused = None;
    for number in 0..=limits::MAX_POLLS {
        refused = town.say(&corrupt, Entry::Poll(poll(format!("{number}?")))).err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(Fault::Bound { .. })));
    let mut refused = None;
    for number in 0..=limits::MAX_OPEN_ROUNDS {
        let poll = town.community.poll_by_class("Mine?", (PollKind::Value, 1, u64::MAX - number as u64), None);
        if number == 0 {
            town.say(&honest, poll.opening.clone()).expect("an honest operator still opens polls");
            town.say(&honest, poll.proposals[0].clone()).expect("an item");
        }
        let Entry::Plan(mut plan) = poll.plan else { unreachable!("a plan") };
        if let Subject::Ballots(ballots) = &mut plan.subject {
            ballots.number = u32::try_from(number + 1).expect("few");
        }
        refused = town.say(&corrupt, Entry::Plan(plan)).err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(Fault::Bound { .. })));

    open(&mut town, "Ours?");
}

/// An entry by which a person leaves, whose id comes before almost all others: the author is free to choose the words.
fn leaves_first(community: &Community, person: usize) -> SignedEntry {
    let key = &community.people[person].key;
    let leave = |words: u32| {
        let revocation = Revocation::leaving(key.public(), words.to_string());
        SignedEntry::sign(key, community.id(), Entry::Revoke(revocation))
    };
    let comes_first = |entry: &SignedEntry| entry.id().as_ref()[0] < 4;
    (0..4_096).map(leave).find(comes_first).expect("one in sixty-four")
}

#[test]
fn members_who_leave_one_after_the_other_do_not_keep_a_round_from_opening() {
    const PEOPLE: usize = 60;
    let mut play = Scenario { people: PEOPLE, items: 2, ..Scenario::default() }.start();
    assert!(play.plan());
    let mut left = 0;
    let state = |play: &chorus_tests::scenario::Play| play.round().map_or(RoundState::Planned, |it| it.state());
    let operators = 0..play.scenario.operators;

    // The next one leaves as soon as somebody sees that the one before has: no batch is without a change of members.
    while state(&play) == RoundState::Planned && left < PEOPLE - 12 {
        let entry = leaves_first(&play.community, left);
        operators.clone().for_each(|operator| play.network.command(operator, Command::Relay(entry.clone())));
        left += 1;
        let gone = PEOPLE - left;
        let seen = |network: &chorus_tests::network::Network| {
            operators.clone().any(|operator| network.peer(operator).ledger().members().len() <= gone)
        };
        assert!(play.network.run_until(60_000, seen), "they can leave");
    }

    assert_eq!(state(&play), RoundState::Open);
    assert!(left < 24, "the round opened after {left} had left");
}
