use super::*;
use crate::{
    config::{Attribute, Policy},
    registry::policy::{Admission, Attester, Quorum},
};

/// A community with five attesters, of whom one may be corrupt, where a class has three members.
fn charter() -> Charter {
    let attribute = Attribute::new("region", &["north", "south"]);
    let attester = |byte: u8| Attester { key: [byte; 32].into(), organisation: String::new() };
    let admission = Admission::Quorum(Quorum::usual(5));
    Charter {
        operators: vec![[9; 32].into()],
        attesters: (1..=5).map(attester).collect(),
        policy: Policy { admission, attributes: vec![attribute], class_members: 3, ..Policy::default() },
        weights: Vec::new(),
    }
}

/// What two attesters say of how many people live where.
fn census(counts: [[u32; 2]; 2]) -> Registry {
    let of = |(byte, counts): (u8, [u32; 2])| ((0, PublicKey::from([byte; 32])), (1, counts.to_vec()));
    Registry { census: (1..).zip(counts).map(of).collect(), ..Registry::default() }
}

#[test]
fn a_value_is_shown_only_with_enough_people_for_every_cohort() {
    let registry = census([[12, 5], [9, 6]]);
    let open = |cohorts| registry.open_values(&charter(), 0, cohorts);

    assert_eq!(open(1), [1, 2]);
    assert_eq!(open(2), [1], "five are no six");
    assert_eq!(open(3), [1]);
    assert_eq!(open(4), [0; 0], "nine are no twelve, though another attester has seen twelve");
    assert_eq!(open(0), open(1), "nobody is one cohort as well");
}
