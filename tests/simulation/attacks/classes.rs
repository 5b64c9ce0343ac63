//! 9: small classes, differences of two sums, attributes beside a map, weights that single somebody out.
//!
//! That a class is of one mind is no secret that a sum could keep: blocks have a least size, and nothing else.

use chorus_crypto::credential::LeafSecret;
use chorus_protocol::{
    contribution::Contributor,
    id::{BlobId, SetId},
    limits,
    log::entry::{Census, ClassPlan, ClassSource, Entry, MaskOpening, PartitionChoice, RoundClosing, Step},
    opening::{Block, OpeningError, OpeningPlan, SumPlan},
    registry::policy::{Admission, Quorum},
    round::classes::{OTHER, class_blocks},
};

use super::*;

/// People of the North (1) and the South (2), so many of each, in a community where a class has two members.
fn founded(attesters: usize, (north, south): (usize, usize)) -> Town {
    let policy = Policy { admission: Admission::Quorum(Quorum::usual(attesters)), ..two_regions() };
    let mut community = Community::with_attesters(3, 1, (north + south, [1, 0, 0, 0]), attesters, policy);
    for (index, person) in community.people.iter_mut().enumerate().skip(north) {
        person.leaf = LeafSecret::random([2, 0, 0, 0], &mut rng(100 + index as u64));
    }
    let mut town = Town::new(community, 3);
    town.register_all();
    town
}

/// What an attester says of how many live where.
fn count(town: &mut Town, attester: usize, counts: [u32; 2]) -> Result<(), Fault> {
    let key = town.community.attesters[attester].clone();
    town.say(&key, Entry::Census(Census { slot: 0, number: 1, counts: counts.into() }))
}

fn by_region(town: &Town, weights: &[u32]) -> Poll {
    let classes = ClassPlan { source: ClassSource::Attribute(0), weights: weights.into() };
    town.community.poll_by_class("Where?", (PollKind::Value, 1, 60_000), Some(classes))
}

fn open_classes(town: &Town, poll: &Poll) -> Vec<u16> {
    town.manifest(poll.round).classes.iter().map(|class| class.number).collect()
}

#[test]
fn attack_09_a_class_of_one_is_never_shown() {
    let mut town = founded(1, (3, 1));
    assert_eq!(count(&mut town, 0, [3, 1]), Err(Fault::Mismatch("the counts of a census")), "one is not said");
    assert_eq!(count(&mut town, 0, [3, 0]), Ok(()));
    let poll = by_region(&town, &[1, 1, 5]);
    town.open(&poll).expect("honest entries");
    assert_eq!(open_classes(&town, &poll), [1]);

    // The only one of the South would have a weight of their own: they are "other".
    let southerner = &town.community.people[3].leaf;
    let ballot = Contributor::anonymous(southerner)
        .cast(&town.ledger, town.round(poll.round), &[Vote::Agree], &mut rng(1))
        .expect("a ballot");
    assert_eq!((body(&ballot).class, verdict(&town, &ballot)), (OTHER, Ok(())));
    for level in LEVELS {
        let shown = Forger { class: 2, ..forger(&town, poll.round, 3, level) };
        assert_eq!(verdict(&town, &cast(&shown, 1)), Err(Fault::Mismatch("the class")), "{level:?}");
        let honest = Forger { class: 1, ..forger(&town, poll.round, 0, level) };
        assert_eq!(verdict(&town, &cast(&honest, 1)), Ok(()), "{level:?}");
    }
}

#[test]
fn attack_09_a_corrupt_attester_alone_opens_no_class() {
    let mut town = founded(4, (3, 1));
    count(&mut town, 0, [9, 9]).expect("a census");
    let lie = by_region(&town, &[1, 1, 1]);
    town.open(&lie).expect("honest entries");
    assert_eq!(open_classes(&town, &lie), [0u16; 0]);

    count(&mut town, 1, [3, 0]).expect("a census");
    let poll = town.community.poll_by_class(
        "And then?",
        (PollKind::Value, 1, 60_000),
        Some(ClassPlan { source: ClassSource::Attribute(0), weights: vec![1, 1, 1] }),
    );
    town.open(&poll).expect("honest entries");
    assert_eq!(open_classes(&town, &poll), [1]);
    let operator = town.community.operators[0].clone();
    let census = Entry::Census(Census { slot: 0, number: 1, counts: vec![9, 9] });
    assert_eq!(town.say(&operator, census), Err(Fault::NotAllowed("a census")));
}

#[test]
fn attack_09_no_block_singles_out_a_ballot() {
    let sizes = |classes: &[(u16, usize)]| {
        let classes: Vec<u16> = classes.iter().flat_map(|(class, count)| vec![*class; *count]).collect();
        let blocks = class_blocks(&classes, 20, 10);
        blocks.iter().map(|block| (block.class, block.ballots.len())).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[(1, 30), (2, 20), (OTHER, 10)]), [(0, 10), (1, 30), (2, 20)], "large enough as they are");
    assert_eq!(sizes(&[(1, 30), (2, 1), (OTHER, 10)]), [(0, 11), (1, 30)], "a class of one");
    assert_eq!(sizes(&[(1, 30), (2, 20), (OTHER, 1)]), [(0, 21), (1, 30)], "an \"other\" of one");
    assert_eq!(sizes(&[(1, 30), (2, 20), (3, 1)]), [(0, 21), (1, 30)], "one who is \"other\" alone");
    assert_eq!(sizes(&[(1, 19), (2, 1)]), [(0, 20)], "classes that are too small together");
}

fn block(ballots: core::ops::Range<u32>) -> Block {
    Block { ballots: ballots.collect() }
}

#[test]
fn attack_09_no_opening_is_of_a_small_or_overlapping_set() {
    let plan = |blocks: Vec<Block>| OpeningPlan::Sums(SumPlan { rows: 3, blocks }).check_floor(10);

    assert_eq!(plan(vec![block(0..10), block(10..25)]), Ok(()));
    let small = OpeningError::Floor { block: 1, floor: 10, found: 1 };
    assert_eq!(plan(vec![block(0..10), block(10..11)]), Err(small));
    // The difference of these two would be one ballot.
    let difference = OpeningError::Floor { block: 1, floor: 10, found: 1 };
    assert_eq!(plan(vec![block(0..24), block(0..25)]), Err(difference));
    let twice = OpeningError::Floor { block: 0, floor: 10, found: 10 };
    assert_eq!(plan(vec![Block { ballots: (0..10).chain([9]).collect() }]), Err(twice));
}

/// A sealed round of three ballots, and what its operator opens.
fn sealed() -> (Town, Poll, MaskOpening) {
    let mut town = founded(1, (3, 1));
    let poll = town.community.poll(PollKind::Value, 1, 60_000);
    town.open(&poll).expect("honest entries");
    for person in 0..3 {
        let ballot = cast(&forger(&town, poll.round, person, Level::Anonymous), person as u64);
        town.submit(&ballot).expect("an honest ballot");
    }
    town.seal(poll.round);
    let set = town.round(poll.round).sealed.as_ref().expect("sealed").set;
    let held = town.ledger.charter().sharing().held_by(1);
    let sums = held.into_iter().map(|subset| (u8::try_from(subset).expect("few"), BlobId::of(b"sums"))).collect();
    let opening = MaskOpening { round: poll.round, set, step: Step::Totals, inputs: [1; 32], sums };
    (town, poll, opening)
}

#[test]
fn attack_09_nothing_is_opened_twice_or_of_two_sets() {
    let (mut town, poll, opening) = sealed();
    let operator = town.community.operators[0].clone();
    let other = SetId::from([7; 32]);
    let another_set = Entry::Opening(MaskOpening { set: other, ..opening.clone() });
    assert_eq!(town.say(&operator, another_set), Err(Fault::Mismatch("the sealed set")));
    assert_eq!(town.say(&operator, Entry::Opening(opening.clone())), Ok(()));
    let again = Entry::Opening(MaskOpening { inputs: [2; 32], ..opening.clone() });
    assert_eq!(town.say(&operator, again), Err(Fault::Duplicate("an opening")));

    let partition = PartitionChoice { round: poll.round, set: opening.set, partition: [1; 32] };
    assert_eq!(town.say(&operator, Entry::Partition(partition.clone())), Ok(()));
    let second = PartitionChoice { partition: [2; 32], ..partition };
    assert_eq!(town.say(&operator, Entry::Partition(second)), Err(Fault::Duplicate("a partition of this set")));
}

#[test]
fn attack_09_a_sealed_set_is_not_changed_to_be_opened_again() {
    let (mut town, poll, opening) = sealed();
    let operator = town.community.operators[0].clone();
    let late = cast(&forger(&town, poll.round, 3, Level::Anonymous), 9);
    assert_eq!(town.submit(&late).map(drop), Err(Fault::Phase("a contribution")));
    let changed = cast(&Forger { sequence: 1, ..forger(&town, poll.round, 0, Level::Open) }, 10);
    assert_eq!(town.submit(&changed).map(drop), Err(Fault::Phase("a contribution")));
    let closing = Entry::Close(RoundClosing { round: poll.round });
    assert_eq!(town.say(&operator, closing), Err(Fault::Duplicate("the round's closing")));
    assert_eq!(town.round(poll.round).sealed.as_ref().map(|sealed| sealed.set), Some(opening.set));
}

#[test]
fn attack_09_a_set_below_the_least_size_is_not_opened() {
    let mut town = founded(1, (3, 1));
    let poll = town.community.poll(PollKind::Value, 1, 60_000);
    town.open(&poll).expect("honest entries");
    let ballot = cast(&forger(&town, poll.round, 0, Level::Anonymous), 1);
    town.submit(&ballot).expect("an honest ballot");
    town.seal(poll.round);
    let (_, _, opening) = sealed();
    let set = town.round(poll.round).sealed.as_ref().expect("sealed").set;
    let operator = town.community.operators[0].clone();

    let refused = town.say(&operator, Entry::Opening(MaskOpening { round: poll.round, set, ..opening }));

    assert_eq!(refused, Err(Fault::Quorum { needed: 2, found: 1 }));
}

#[test]
fn attack_09_no_attribute_is_shown_beside_a_point_on_the_map() {
    let mut town = founded(1, (3, 2));
    count(&mut town, 0, [3, 2]).expect("a census");
    let mapped = town.community.poll(PollKind::Statement, 2, 60_000);
    town.open(&mapped).expect("honest entries");
    let classes = by_region(&town, &[1, 1, 1]);
    town.open(&classes).expect("honest entries");
    for level in LEVELS {
        let on_map = forger(&town, mapped.round, 0, level);
        assert_eq!(verdict(&town, &cast(&on_map, 1)), Ok(()));
        let both = Forger { class: 1, ..on_map };
        assert_eq!(verdict(&town, &cast(&both, 1)), Err(Fault::Mismatch("the class")), "{level:?}");

        let shown = cast(&Forger { class: 1, ..forger(&town, classes.round, 0, level) }, 1);
        assert_eq!(verdict(&town, &shown), Ok(()));
        let both = with(&shown, &Body { on_map: true, ..body(&shown) });
        assert!(matches!(verdict(&town, &both), Err(Fault::Mismatch(_))), "{level:?}");
    }
}

#[test]
fn attack_09_nobody_gains_weight_by_hiding_their_class() {
    let mut town = founded(1, (3, 2));
    count(&mut town, 0, [3, 2]).expect("a census");
    let heavy = limits::MAX_WEIGHT + 1;
    for weights in [&[2, 1, 3][..], &[5, 5, 4], &[1, 1], &[1, 1, 1, 1], &[], &[0, 0, heavy]] {
        let poll = by_region(&town, weights);
        assert_eq!(town.open(&poll), Err(Fault::Mismatch("the classes' weights")), "{weights:?}");
        // The poll itself stands.
        town = founded(1, (3, 2));
        count(&mut town, 0, [3, 2]).expect("a census");
    }
    let poll = by_region(&town, &[1, 1, 3]);
    assert_eq!(town.open(&poll), Ok(()));
}
