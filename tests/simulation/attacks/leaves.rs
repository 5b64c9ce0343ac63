//! 7: leaves that are nobody's own, padding, and attributes that nobody checked.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    credential::{Leaf, LeafSecret, Rotation},
    group::Point,
    sign::SecretKey,
};
use chorus_protocol::{
    log::entry::{ClassPlan, ClassSource, Entry, LeafRotation, Registration, SignedEntry},
    registry::attestation::Claim,
};
use chorus_tests::malice::forge::credential::{Opening, padding};

use super::*;

/// A community with one attribute, whose people have value 1 of it.
fn founded(people: usize) -> Town {
    Town::new(Community::with_attesters(3, 1, (people, [1, 0, 0, 0]), 1, two_regions()), 3)
}

/// Registers a leaf with an opening that is claimed for it; all attesters say yes. On a copy of the log.
fn register(town: &Town, leaf: Leaf, slots: u8, opening: &Opening) -> Result<(), Fault> {
    let key = SecretKey::random(&mut rng(77));
    let community = town.community.id();
    let claim = Claim { key: key.public(), leaf, slots, recovers: None };
    let attesters = town.community.attesters.iter();
    let attestations = attesters.map(|attester| town.community.attestation(attester, claim)).collect();
    let context = Registration::opening_context(community, &claim);
    let opening = opening.prove_opening(&leaf, &context, &Registration::zero_slots(slots), &mut rng(5));
    let entry = Entry::Register(Registration { claim, opening, attestations });
    town.ledger.clone().apply(&SignedEntry::sign(&key, community, entry))
}

fn fresh(attributes: [u64; 4]) -> Opening {
    Opening::from(&LeafSecret::random(attributes, &mut rng(9)))
}

fn point(leaf: &Leaf) -> RistrettoPoint {
    leaf.decompress().expect("a leaf")
}

#[test]
fn attack_07_nobody_registers_a_point_that_pads_rings() {
    let town = founded(2);
    let honest = fresh([0; 4]);
    assert_eq!(register(&town, honest.leaf(), 0, &honest), Ok(()));
    for position in [0, 1, 2, 15, 4_095] {
        let leaf = Leaf::from(Point::from(padding(position)));
        assert_eq!(register(&town, leaf, 0, &honest), BAD_CREDENTIAL, "{position}");
    }
}

#[test]
fn attack_07_nobody_registers_a_leaf_made_of_others() {
    let mut town = founded(2);
    town.register_all();
    let [alice, bob] = [0, 1].map(|person: usize| town.community.people[person].leaf.leaf());
    let offset = fresh([0; 4]);
    assert_eq!(register(&town, offset.leaf(), 0, &offset), Ok(()));
    for (what, leaf) in [
        ("a sum", point(&alice) + point(&bob)),
        ("a difference", point(&alice) - point(&bob)),
        ("an offset", point(&alice) + point(&offset.leaf())),
        ("a multiple", point(&alice) * Scalar::from(2u8)),
        ("a negative", -point(&alice)),
    ] {
        let leaf = Leaf::from(Point::from(leaf));
        assert_eq!(register(&town, leaf, 1, &offset), BAD_CREDENTIAL, "{what}");
    }
    assert_eq!(register(&town, alice, 1, &offset), Err(Fault::Duplicate("this registration")));
}

#[test]
fn attack_07_nobody_takes_over_the_opening_of_somebody_elses_leaf() {
    let mut town = founded(2);
    let Entry::Register(alice) = town.community.registration(0).entry else { panic!("a registration") };
    let mallory = SecretKey::random(&mut rng(4));
    let claim = Claim { key: mallory.public(), ..alice.claim };
    let attestations = vec![town.community.attestation(&town.community.attesters[0], claim)];
    let stolen = Registration { claim, attestations, ..alice.clone() };

    assert_eq!(town.say(&mallory, Entry::Register(stolen)), BAD_CREDENTIAL);

    let key = town.community.people[0].key.clone();
    assert_eq!(town.say(&key, Entry::Register(alice)), Ok(()));
}

#[test]
fn attack_07_a_slot_that_nobody_checked_is_zero() {
    let town = founded(2);
    let checked = fresh([2, 0, 0, 0]);
    assert_eq!(register(&town, checked.leaf(), 1, &checked), Ok(()));

    assert_eq!(register(&town, checked.leaf(), 0, &checked), BAD_CREDENTIAL, "the attribute, unchecked");
    for slot in 1..4 {
        let mut attributes = [2, 0, 0, 0];
        attributes[slot] = 5;
        let hidden = fresh(attributes);
        assert_eq!(register(&town, hidden.leaf(), 1, &hidden), BAD_CREDENTIAL, "slot {slot} is no attribute");
        let claimed = register(&town, hidden.leaf(), 1 | 1 << slot, &hidden);
        assert_eq!(claimed, Err(Fault::Mismatch("the slots of a leaf")), "slot {slot} is said to be one");
    }
}

#[test]
fn attack_07_no_slot_changes_at_a_rotation() {
    let mut town = founded(2);
    town.register_all();
    let person = &town.community.people[0];
    let (key, old) = (person.key.clone(), &person.leaf);
    let context = LeafRotation::context(town.community.id(), key.public());
    let rotation = |new: &LeafSecret| {
        let proof = Rotation::prove(old, new, &context, &mut rng(6));
        Entry::Rotate(LeafRotation { leaf: new.leaf(), proof })
    };
    let honest = rotation(&old.rotated(&mut rng(7)));
    let others = [[2, 0, 0, 0], [0; 4], [1, 1, 0, 0], [1, 0, 0, 9]];
    let changed: Vec<Entry> = others.map(|slots| rotation(&LeafSecret::random(slots, &mut rng(8)))).into();
    let elsewhere = Rotation::prove(old, &old.rotated(&mut rng(9)), b"another community", &mut rng(6));
    let elsewhere = Entry::Rotate(LeafRotation { leaf: old.rotated(&mut rng(9)).leaf(), proof: elsewhere });

    for (entry, slots) in changed.into_iter().zip(others) {
        assert_eq!(town.say(&key, entry), BAD_CREDENTIAL, "{slots:?}");
    }
    assert_eq!(town.say(&key, elsewhere), BAD_CREDENTIAL);
    let stranger = town.community.people[1].key.clone();
    assert_eq!(town.say(&stranger, honest.clone()), BAD_CREDENTIAL, "somebody else's rotation");
    assert_eq!(town.say(&key, honest), Ok(()));
}

#[test]
fn attack_07_nobody_proves_to_be_a_padding_position_or_a_sum_of_leaves() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    let honest = forger(&town, poll.round, 0, Level::Anonymous);
    assert_eq!(verdict(&town, &cast(&honest, 1)), Ok(()));
    for position in [3, 7, 15] {
        let padding = Forger { position: Some(position), ..honest.clone() };
        assert_eq!(verdict(&town, &cast(&padding, 1)), BAD_CREDENTIAL, "position {position}");
    }
    let stranger = fresh([0; 4]);
    for position in [0, 1, 2, 3] {
        let nobody = Forger { opening: stranger, position: Some(position), ..honest.clone() };
        assert_eq!(verdict(&town, &cast(&nobody, 1)), BAD_CREDENTIAL, "a stranger at {position}");
    }
    // L′ = Alice's leaf and a known offset: there is no opening of it, and no leaf that differs from it by ρ·H.
    let known = Opening { secret: honest.opening.secret + stranger.secret, ..honest.opening };
    for level in LEVELS {
        let offset = Forger { opening: known, level, ..honest.clone() };
        assert_eq!(verdict(&town, &cast(&offset, 1)), BAD_CREDENTIAL, "{level:?}");
        let other = Forger { leaf: town.community.people[1].leaf.leaf(), level, ..honest.clone() };
        assert_eq!(verdict(&town, &cast(&other, 1)), BAD_CREDENTIAL, "somebody else's leaf, {level:?}");
    }
}

#[test]
fn attack_07_nobody_shows_a_class_they_are_not_in() {
    let mut town = founded(3);
    town.register_all();
    let census = chorus_protocol::log::entry::Census { slot: 0, number: 1, counts: vec![2, 2] };
    let attester = town.community.attesters[0].clone();
    town.say(&attester, Entry::Census(census)).expect("a census");
    let classes = ClassPlan { source: ClassSource::Attribute(0), weights: vec![1, 2, 2] };
    let poll = town.community.poll_by_class("Where?", (PollKind::Value, 1, 60_000), Some(classes));
    town.open(&poll).expect("honest entries");
    for level in LEVELS {
        let own = Forger { class: 1, ..forger(&town, poll.round, 0, level) };
        assert_eq!(verdict(&town, &cast(&own, 1)), Ok(()), "{level:?}");
        let hidden = Forger { class: 0, ..own.clone() };
        assert_eq!(verdict(&town, &cast(&hidden, 1)), Ok(()), "{level:?}");

        let other = Forger { class: 2, ..own.clone() };
        assert_eq!(verdict(&town, &cast(&other, 1)), BAD_CREDENTIAL, "{level:?}");
        let none = with(&cast(&own, 1), &Body { class: 2, ..body(&cast(&own, 1)) });
        assert_eq!(verdict(&town, &none), Err(Fault::Proof), "{level:?}");
        let closed = Forger { class: 3, ..own };
        assert_eq!(verdict(&town, &cast(&closed, 1)), Err(Fault::Mismatch("the class")), "{level:?}");
    }
}
