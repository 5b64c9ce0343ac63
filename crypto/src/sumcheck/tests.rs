use proptest::prelude::*;

use super::*;
use crate::domain;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// Evaluates the multilinear extension by its definition.
fn evaluate(vector: &[Scalar], point: &[Scalar]) -> Scalar {
    (vector.iter().enumerate())
        .map(|(index, value)| {
            let factors = point.iter().enumerate().map(|(variable, coordinate)| {
                let bit = index >> (point.len() - 1 - variable) & 1;
                if bit == 1 { *coordinate } else { Scalar::ONE - coordinate }
            });
            value * factors.product::<Scalar>()
        })
        .sum()
}

/// Runs prover and verifier; returns whether the derived commitment opens to the final claim, with `claim` as the
/// verifier's first one.
fn holds(summand: &Summand, vector: &[Scalar], claim: Scalar) -> bool {
    let transcript = || Transcript::new(domain::CONTRIBUTION);
    let mut nonces = transcript().nonces(vector, &mut ChaCha20Rng::seed_from_u64(1));
    let claim_blinding = nonces.next();
    let vector = Zeroizing::new(vector.to_vec());
    let first = Generators::single().commit(&[claim], &claim_blinding);
    let (proof, remainder) = Sumcheck::prove(&mut transcript(), summand, vector.clone(), claim_blinding, &mut nonces);
    let reduction = proof.reduce(&mut transcript(), summand);
    assert_eq!(reduction.point, remainder.point);
    assert_eq!(remainder.evaluation, evaluate(&vector, &remainder.point));

    let coefficients = reduction.rounds.iter().flat_map(|(linear, quadratic)| [linear, quadratic]);
    let points = proof.points().expect("valid points");
    let last = first * reduction.claim
        + points.iter().zip(coefficients).map(|(point, coefficient)| point * coefficient).sum::<RistrettoPoint>();
    let value = remainder.evaluation;
    last == Generators::single().commit(&[value * value - summand.linear_part() * value], &remainder.blinding)
}

fn scalars(values: &[u64]) -> Vec<Scalar> {
    values.iter().map(|value| Scalar::from(*value)).collect()
}

#[test]
fn a_vector_of_bits_passes_the_zero_check_and_others_do_not() {
    let point = scalars(&[0xDEAD_BEEF, 0x1234_5678_9ABC, 77]);
    let summand = Summand::Bits(point);
    let bits = scalars(&[0, 1, 1, 0, 1, 0, 0, 0]);
    assert!(holds(&summand, &bits, Scalar::ZERO));

    for index in 0..8 {
        for value in [Scalar::from(2u8), -Scalar::ONE, Scalar::from(2u8).invert()] {
            let mut vector = bits.clone();
            vector[index] = value;
            assert!(!holds(&summand, &vector, Scalar::ZERO), "{index}");
        }
    }
}

#[test]
fn the_sum_over_the_cube_is_the_only_claim_that_holds() {
    let point = scalars(&[5, 6, 7]);
    let vector = scalars(&[3, 1, 4, 1, 5, 9, 2, 6]);
    let weights = eq_table(Scalar::ONE, &point);
    let sum: Scalar = weights.iter().zip(&vector).map(|(weight, value)| weight * (value * value - value)).sum();
    assert!(holds(&Summand::Bits(point.clone()), &vector, sum));
    assert!(!holds(&Summand::Bits(point), &vector, sum + Scalar::ONE));

    let norm = Scalar::from(3u64 * 3 + 1 + 16 + 1 + 25 + 81 + 4 + 36);
    assert!(holds(&Summand::Squares { variables: 3 }, &vector, norm));
    assert!(!holds(&Summand::Squares { variables: 3 }, &vector, norm + Scalar::ONE));
}

#[test]
fn a_single_entry_needs_no_round() {
    assert!(holds(&Summand::Bits(Vec::new()), &scalars(&[1]), Scalar::ZERO));
    assert!(!holds(&Summand::Bits(Vec::new()), &scalars(&[2]), Scalar::ZERO));
    assert!(holds(&Summand::Squares { variables: 0 }, &scalars(&[3]), Scalar::from(9u8)));
}

#[test]
fn messages_of_equal_vectors_share_nothing() {
    let vector = Zeroizing::new(scalars(&[1, 0]));
    let summand = Summand::Bits(scalars(&[9]));
    let prove = |seed| {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        let mut nonces = transcript.nonces(&vector, &mut ChaCha20Rng::seed_from_u64(seed));
        Sumcheck::prove(&mut transcript, &summand, vector.clone(), Scalar::ZERO, &mut nonces).0
    };
    let (one, two) = (prove(1), prove(2));

    assert_ne!(one.rounds[0].linear, two.rounds[0].linear);
    assert_ne!(one.rounds[0].quadratic, two.rounds[0].quadratic);
}

proptest! {
    #[test]
    fn the_eq_table_evaluates_multilinear_extensions(
        point in proptest::collection::vec(any::<u64>(), 0..5),
        values in proptest::collection::vec(any::<u64>(), 16),
    ) {
        let point = scalars(&point);
        let vector = &scalars(&values)[..1 << point.len()];
        let table = eq_table(Scalar::ONE, &point);

        let sum: Scalar = table.iter().zip(vector).map(|(weight, value)| weight * value).sum();

        prop_assert_eq!(sum, evaluate(vector, &point));
        prop_assert_eq!(table.iter().sum::<Scalar>(), Scalar::ONE);
        let factor = Scalar::from(7u8);
        let scaled: Vec<_> = table.iter().map(|value| factor * value).collect();
        prop_assert_eq!(eq_table(factor, &point), scaled);
    }
}
