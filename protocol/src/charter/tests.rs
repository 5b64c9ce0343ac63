use chorus_crypto::codec::Decode as _;

use super::*;
use crate::{
    config::Attribute,
    deliberation::tally::Totals,
    id::{CommunityId, PollId, SetId},
    registry::policy::{Admission, Quorum},
    round::report::Outcome,
};

fn charter() -> Charter {
    Charter {
        operators: (1..=4u8).map(|byte| [byte; 32].into()).collect(),
        attesters: vec![Attester { key: [9; 32].into(), organisation: "Library".into() }],
        policy: Policy {
            admission: Admission::Quorum(Quorum::usual(1)),
            attributes: vec![Attribute::new("region", &["north", "south"])],
            ..Policy::default()
        },
        weights: vec![ClassWeights { slot: 0, weights: vec![1, 2, 3] }],
    }
}

fn report(item: BlobId, tally: Tally) -> RoundReport {
    RoundReport {
        community: CommunityId::default(),
        poll: PollId::default(),
        round: RoundId::default(),
        set: SetId::default(),
        ballots: 100,
        items: vec![BlobId::of(b"something else"), item],
        outcome: Outcome::Totals { totals: Totals { items: vec![Tally::default(), tally] } },
    }
}

#[test]
fn the_text_of_an_item_says_what_changes_and_binds_all_of_it() {
    let (old, mut next) = (charter(), charter());
    next.operators = [2u8, 3, 4, 5].map(|byte| [byte; 32].into()).to_vec();
    next.policy.bar_numerator = 8;
    let draft = Draft { number: 3, charter: next };

    let text = draft.item_text(&old);

    let expected = format!(
        "Amendment 3: operator 0505050505050505 joins; operator 0101010101010101 leaves; bar 7/10 → 8/10. [draft {}]",
        draft.id()
    );
    assert_eq!(text, expected);
    assert_eq!(Draft::named_in(&text), Some(draft.id()));
    assert_eq!(Draft::from_bytes(&draft.to_bytes()), Ok(draft.clone()));
    let others = [
        Draft { number: 4, ..draft.clone() },
        Draft { charter: Charter { weights: Vec::new(), ..draft.charter.clone() }, ..draft.clone() },
    ];
    assert!(others.iter().all(|other| other.item(&old) != draft.item(&old)));
}

#[test]
fn two_thirds_of_those_who_decide_carry_a_draft_if_enough_have_seen_it() {
    let (item, policy) = (BlobId::of(b"item"), Policy { min_contributions: 10, ..Policy::default() });
    let vote = |agree, disagree, pass| check_vote(&report(item, Tally { agree, disagree, pass }), item, &policy);

    assert!(vote(8, 4, 0).is_ok());
    assert!(vote(8, 4, 50).is_ok(), "who passes decides nothing");
    assert_eq!(vote(8, 5, 0).err(), Some(NotCarried::Lost { agree: 8, disagree: 5 }));
    assert_eq!(vote(9, 0, 0).err(), Some(NotCarried::TooFew { needed: 10, found: 9 }));
    assert_eq!(vote(0, 0, 20).err(), Some(NotCarried::Lost { agree: 0, disagree: 0 }));
    let elsewhere = report(BlobId::of(b"another"), Tally { agree: 20, disagree: 0, pass: 0 });
    assert_eq!(check_vote(&elsewhere, item, &policy).err(), Some(NotCarried::NotAsked));
}

#[test]
fn a_charter_makes_sense_or_is_refused() {
    let refused = |change: &dyn Fn(&mut Charter)| {
        let mut charter = charter();
        change(&mut charter);
        charter.validate().err()
    };

    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|it| it.operators.truncate(2)), Some(GenesisError::Operators(2)));
    assert_eq!(refused(&|it| it.operators.swap(0, 1)), Some(GenesisError::Keys("operators")));
    let weights = |slot, weights: &[u32]| vec![ClassWeights { slot, weights: weights.to_vec() }];
    for wrong in [weights(0, &[1, 2]), weights(0, &[2, 1, 3]), weights(1, &[1, 2, 3]), weights(0, &[])] {
        assert!(matches!(refused(&|it| it.weights = wrong.clone()), Some(GenesisError::Policy(_))), "{wrong:?}");
    }
    let twice = [charter().weights, charter().weights].concat();
    assert!(refused(&|it| it.weights = twice.clone()).is_some());
}

#[test]
fn attributes_only_grow() {
    let old = charter();
    let with = |attributes: &[Attribute]| {
        let policy = Policy { attributes: attributes.to_vec(), ..Policy::default() };
        Charter { policy, weights: Vec::new(), ..charter() }
    };
    let region = |values: &[&str]| Attribute::new("region", values);

    assert!(old.keeps_attributes_of(&with(&[region(&["north", "south", "east"])])));
    assert!(old.keeps_attributes_of(&with(&[region(&["north", "south"]), Attribute::new("age", &["young"])])));
    assert!(!old.keeps_attributes_of(&with(&[])));
    assert!(!old.keeps_attributes_of(&with(&[region(&["south", "north"])])));
    assert!(!old.keeps_attributes_of(&with(&[Attribute::new("place", &["north", "south"])])));
}
