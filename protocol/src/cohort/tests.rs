use chorus_crypto::group::Point;

use super::*;

fn leaves(count: u32) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> =
        (0..count).map(|index| Leaf::from(Point::from(hash::content(&index.to_be_bytes())))).collect();
    leaves.sort_unstable();
    leaves
}

#[test]
fn everybody_is_dealt_to_one_cohort_and_sizes_differ_by_one_at_most() {
    for (members, cohorts) in [(9, 3), (10, 3), (11, 3), (1_000, 7), (2, 2)] {
        let leaves = leaves(members);

        let dealt = deal(&leaves, [3; 32], cohorts);

        let mut all: Vec<Leaf> = dealt.concat();
        all.sort_unstable();
        assert_eq!(all, leaves);
        let sizes: Vec<usize> = dealt.iter().map(Vec::len).collect();
        assert!(sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0) <= 1, "{sizes:?}");
        assert!(dealt.iter().all(|cohort| cohort.is_sorted()));
    }
    assert_ne!(deal(&leaves(100), [1; 32], 4), deal(&leaves(100), [2; 32], 4), "by the beacon");
}

#[test]
fn a_beacon_depends_on_every_lot_and_whose_it_is() {
    let lots = |lots: &[(u8, u8)]| {
        let lots: Vec<(u8, Digest)> = lots.iter().map(|(operator, lot)| (*operator, [*lot; 32])).collect();
        beacon(&[0; 32], lots.iter().map(|(operator, lot)| (operator, lot)))
    };
    let base = lots(&[(1, 10), (2, 20)]);

    for other in [lots(&[(1, 10)]), lots(&[(1, 11), (2, 20)]), lots(&[(1, 20), (2, 10)]), lots(&[(1, 10), (3, 20)])] {
        assert_ne!(base, other);
    }
}

#[test]
fn a_lot_is_the_operators_own_and_of_one_convening() {
    let (one, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));

    assert_eq!(lot(&one, &[5; 32]), lot(&one, &[5; 32]), "a restart changes nothing");
    assert_ne!(lot(&one, &[5; 32]), lot(&one, &[6; 32]));
    assert_ne!(lot(&one, &[5; 32]), lot(&other, &[5; 32]));
    let of = |key: &SecretKey| commitment(&[5; 32], key.public(), &[9; 32]);
    assert_ne!(of(&one), of(&other), "nobody repeats another's commitment");
}

#[test]
fn sums_that_no_cohort_of_that_size_can_have_are_refused() {
    let tally = |agree, disagree, pass| Tally { agree, disagree, pass };
    let sums = Sums { contributions: 10, unopened: 2, missing: 3, totals: Totals { items: vec![tally(4, 5, 1)] } };
    assert_eq!(sums.check(15, 1), Ok(()));

    assert!(sums.check(14, 1).is_err(), "more people than members");
    assert!(sums.check(15, 2).is_err(), "another number of items");
    for bad in [
        Sums { contributions: 9, ..sums.clone() },
        Sums { missing: u64::MAX, ..sums.clone() },
        Sums { totals: Totals { items: vec![tally(u64::MAX, 5, 1)] }, ..sums.clone() },
    ] {
        assert!(bad.check(15, 1).is_err(), "{bad:?}");
    }
}
