use super::*;
use crate::mask::{
    Seed,
    tests::{Sample, shapes},
};

/// The shares of all operators, in order.
fn shares(sample: &Sample) -> Vec<Vec<Scalar>> {
    let expansions = sample.expansions();
    let share = |operator| {
        let held: Vec<_> =
            sample.committee.held_by(operator).into_iter().map(|index| (index, &expansions[index])).collect();
        shares_of(&sample.committee, operator, &sample.shape, &sample.masked, &held).expect("held").to_vec()
    };
    (1..=sample.committee.operators()).map(share).collect()
}

fn points(shares: &[Vec<Scalar>]) -> Vec<(u8, &[Scalar])> {
    (1..).zip(shares.iter().map(Vec::as_slice)).collect()
}

fn keys(committee: &Committee) -> Vec<SetKey> {
    let key = |index: u8| SetKey::new(b"set", &[Seed::from_bytes(&[index; 32])]);
    (0..committee.subset_count()).map(|index| key(u8::try_from(index).expect("few"))).collect()
}

fn held<'a>(committee: &Committee, operator: u8, keys: &'a [SetKey]) -> Vec<(usize, &'a SetKey)> {
    committee.held_by(operator).into_iter().map(|index| (index, &keys[index])).collect()
}

#[test]
fn shares_of_a_mask_reconstruct_to_the_packed_data() {
    for operators in [1, 4, 5, 7] {
        for shape in shapes() {
            let sample = Sample::new(operators, shape, 1);
            let f = usize::from(sample.committee.faulty());
            let shares = shares(&sample);
            let expected: Vec<_> = sample.data.iter().flat_map(|row| crate::mask::pack(&shape, row)).collect();

            let found = reconstruct(&points(&shares), f, 2 * f + 1).expect("consistent");

            assert_eq!(found.values_at_zero, expected);
            assert!(found.liars.is_empty());
        }
    }
}

#[test]
fn the_share_of_one_scalar_is_a_coordinate_of_the_shares_of_all() {
    let sample = Sample::new(5, shapes()[0], 1);
    let (shares, expansions) = (shares(&sample), sample.expansions());
    for operator in 1..=5 {
        let parts = sample.committee.subsets().into_iter().zip(expansions.iter().map(|mask| mask.values(4)[0]));
        let share = share_of(&sample.committee, operator, &sample.masked[4], parts);
        assert_eq!(share, shares[usize::from(operator) - 1][3]);
    }
}

/// The products of the shares of two contributions, coordinate by coordinate, re-randomised.
fn products(operators: u8) -> (Committee, Vec<Vec<Scalar>>, Vec<Scalar>) {
    let (a, b) = (Sample::new(operators, shapes()[0], 1), Sample::new(operators, shapes()[0], 2));
    let keys = keys(&a.committee);
    let product = |(operator, (a_shares, b_shares)): (u8, (Vec<Scalar>, Vec<Scalar>))| {
        let zero = zero_share(&a.committee, operator, &held(&a.committee, operator, &keys), b"pass 1", a_shares.len());
        let zero = zero.expect("held");
        a_shares.iter().zip(b_shares).zip(zero.iter()).map(|((a, b), zero)| a * b + zero).collect()
    };
    let products = (1..).zip(shares(&a).into_iter().zip(shares(&b))).map(product).collect();
    let expected = a.data.iter().flatten().zip(b.data.iter().flatten()).map(|(a, b)| a * b).collect();
    (a.committee, products, expected)
}

#[test]
fn products_of_shares_reconstruct_on_degree_2f() {
    for operators in [1, 4, 5, 7] {
        let (committee, products, expected) = products(operators);
        let f = usize::from(committee.faulty());

        let found = reconstruct(&points(&products), 2 * f, 3 * f + 1).expect("consistent");

        assert_eq!((found.values_at_zero, found.liars), (expected, vec![]));
    }
}

#[test]
fn one_liar_of_five_is_corrected_and_named_and_one_of_four_is_detected() {
    let (_, honest, expected) = products(5);
    for liar in 0..5 {
        for coordinate in [0, 8] {
            let mut products = honest.clone();
            products[liar][coordinate] += Scalar::ONE;
            let found = reconstruct(&points(&products), 2, 4).expect("four of five agree");
            assert_eq!(found.values_at_zero, expected);
            assert_eq!(found.liars, [u8::try_from(liar).expect("few") + 1]);
        }
        // A share of another length, and one that does not arrive.
        let mut products = honest.clone();
        products[liar].pop();
        let found = reconstruct(&points(&products), 2, 4).expect("four of five agree");
        assert_eq!((found.values_at_zero, found.liars.len()), (expected.clone(), 1));
        let mut arrived = points(&honest);
        arrived.remove(liar);
        assert_eq!(reconstruct(&arrived, 2, 4).map(|found| found.values_at_zero), Ok(expected.clone()));
    }
    let (_, honest, _) = products(4);
    for liar in 0..4 {
        let mut products = honest.clone();
        products[liar][3] += Scalar::ONE;
        let refused = reconstruct(&points(&products), 2, 4);
        assert_eq!(refused, Err(ReconstructError::Inconsistent { needed: 4, found: 4 }));
    }
}

#[test]
fn two_liars_of_seven_are_corrected_on_degree_f_and_detected_on_degree_2f() {
    let sample = Sample::new(7, shapes()[0], 1);
    let mut shares = shares(&sample);
    shares[1][0] += Scalar::ONE;
    shares[5][2] -= Scalar::ONE;
    let expected: Vec<_> = sample.data.iter().flatten().copied().collect();

    let found = reconstruct(&points(&shares), 2, 5).expect("five of seven agree");
    assert_eq!((found.values_at_zero, found.liars), (expected, vec![2, 6]));

    let (_, mut products, _) = products(7);
    products[1][0] += Scalar::ONE;
    assert_eq!(reconstruct(&points(&products), 4, 7), Err(ReconstructError::Inconsistent { needed: 7, found: 7 }));
}

#[test]
fn opposite_lies_in_two_coordinates_do_not_cancel() {
    let (_, mut products, _) = products(4);
    products[2][0] += Scalar::ONE;
    products[2][1] -= Scalar::ONE;

    assert!(reconstruct(&points(&products), 2, 4).is_err());
}

#[test]
fn shares_that_determine_nothing_are_refused() {
    let value = [Scalar::ONE];
    let line: Vec<Vec<_>> = [1u8, 2, 3, 9, 10].map(|value| vec![Scalar::from(value)]).to_vec();

    assert_eq!(reconstruct(&[(0, &value)], 0, 1), Err(ReconstructError::Operator(0)));
    assert_eq!(reconstruct(&[(8, &value)], 0, 1), Err(ReconstructError::Operator(8)));
    assert_eq!(reconstruct(&[(1, &value), (1, &value)], 0, 1), Err(ReconstructError::Operator(1)));
    assert_eq!(reconstruct(&[(1, &value)], 1, 1), Err(ReconstructError::Needed { degree: 1, needed: 1 }));
    assert_eq!(reconstruct(&[], 0, 1), Err(ReconstructError::Inconsistent { needed: 1, found: 0 }));
    assert_eq!(reconstruct(&[(1, &value)], 9, 10), Err(ReconstructError::Inconsistent { needed: 10, found: 1 }));
    // 1, 2, 3 lie on one line, and so do 9, 10 with any one of them on none: two points always do.
    assert_eq!(reconstruct(&points(&line), 1, 2), Err(ReconstructError::Ambiguous));
    assert_eq!(reconstruct(&points(&line), 1, 3).map(|found| found.liars), Ok(vec![4, 5]));
}

#[test]
fn parts_that_the_operator_does_not_hold_are_refused() {
    let sample = Sample::new(4, shapes()[0], 1);
    let expansions = sample.expansions();
    let all: Vec<_> = expansions.iter().enumerate().collect();
    let share = |operator, masked, held: &[_]| shares_of(&sample.committee, operator, &sample.shape, masked, held);

    assert!(matches!(share(1, &sample.masked, &all), Err(ShareError::Held { .. })));
    assert!(matches!(share(1, &sample.masked, &all[..3]), Err(ShareError::Held { .. })));
    assert!(share(1, &sample.masked, &all[1..]).is_ok());
    assert_eq!(share(5, &sample.masked, &all), Err(ShareError::Operator(5)));
    assert_eq!(share(0, &sample.masked, &all), Err(ShareError::Operator(0)));
    assert!(matches!(share(1, &sample.masked[1..], &all[1..]), Err(ShareError::Length { .. })));
}

#[test]
fn sharings_of_zero_are_fresh_for_each_label_and_vanish_at_zero() {
    for operators in [4, 5, 7] {
        let committee = Committee::new(operators).expect("valid");
        let (keys, f) = (keys(&committee), usize::from(committee.faulty()));
        let shares = |label: &[u8]| -> Vec<Vec<_>> {
            let share = |operator| zero_share(&committee, operator, &held(&committee, operator, &keys), label, 3);
            (1..=operators).map(|operator| share(operator).expect("held").to_vec()).collect()
        };
        let first = shares(b"1");

        let found = reconstruct(&points(&first), 2 * f, 2 * f + 1).expect("consistent");

        assert_eq!(found.values_at_zero, [Scalar::ZERO; 3]);
        assert!(first.iter().zip(shares(b"2")).all(|(a, b)| *a != b));
        // Of degree 2f, no less: lower degrees do not fit.
        assert!(reconstruct(&points(&first), 2 * f - 1, 2 * f + 1).is_err());
    }
}

#[test]
fn noise_is_the_same_for_everybody_and_within_one_term_per_set() {
    for operators in [1, 4, 5, 7] {
        let committee = Committee::new(operators).expect("valid");
        let (keys, f) = (keys(&committee), usize::from(committee.faulty()));
        let bounds = [0, 5, 1 << 40];
        let share = |operator| noise_share(&committee, operator, &held(&committee, operator, &keys), b"n", &bounds);
        let shares: Vec<Vec<_>> = (1..=operators).map(|operator| share(operator).expect("held").to_vec()).collect();

        let found = reconstruct(&points(&shares), f, 2 * f + 1).expect("consistent");

        let total = |at: usize| -> i64 {
            let noise = |key: &SetKey| {
                let mut stream = key.stream_of(domain::SET_NOISE, b"n");
                bounds[..=at].iter().map(|bound| stream.next_within(*bound)).last().expect("one")
            };
            keys.iter().map(noise).sum()
        };
        let expected: Vec<_> = (0..3).map(|at| signed(total(at))).collect();
        assert_eq!(found.values_at_zero, expected);
        assert_eq!(total(0), 0);
        assert!(total(1).unsigned_abs() <= 5 * keys.len() as u64);
    }
}

#[test]
fn a_share_of_another_length_is_a_lie_even_if_the_difference_is_zeros() {
    let five = Scalar::from(5u8);
    let share = vec![five, Scalar::ZERO];
    for wrong in [vec![five], vec![five, Scalar::ZERO, Scalar::ZERO]] {
        // A constant polynomial: everybody's share is the same.
        let shares = [&share[..], &share[..], &share[..], &wrong[..]].map(<[_]>::to_vec);

        let found = reconstruct(&points(&shares), 1, 3).expect("three agree");

        assert_eq!((found.values_at_zero, found.liars), (share.clone(), vec![4]));
    }
}
