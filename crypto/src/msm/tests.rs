use curve25519_dalek::{scalar::Scalar, traits::MultiscalarMul as _};
use proptest::prelude::*;

use super::*;
use crate::{group::Generators, mask::tests::integer};

const TIMINGS: [Timing; 2] = [Timing::Variable, Timing::Constant];

fn expected(points: &[RistrettoPoint], values: &[i32]) -> RistrettoPoint {
    let scalars: Vec<Scalar> = values.iter().map(|value| integer(i64::from(*value))).collect();
    RistrettoPoint::multiscalar_mul(scalars, points.iter().take(values.len()))
}

#[test]
fn both_ways_agree_with_dalek_at_the_ends_of_every_length() {
    let generators = Generators::new(9);
    let points = generators.column_points();
    for bits in 0..=MAX_BITS {
        let top = i32::try_from((1i64 << bits) - 1).expect("31 bits");
        let half = top / 2;
        let values = [top, -top, half, -half, half + 1, 0, -1, 1 & top, top - half];
        for timing in TIMINGS {
            let mut multiplier = ShortMultiplier::new(points, timing);

            assert_eq!(multiplier.multiply(&values, bits.max(1)), expected(points, &values), "{bits} {timing:?}");
        }
    }
}

#[test]
fn every_width_of_digit_covers_every_integer_it_is_chosen_for() {
    for bits in 1..=12 {
        for width in 2..=MAX_BUCKET_BITS {
            for value in -(1i64 << bits) + 1..1 << bits {
                let mut rest = [value];
                let mut sum = 0;
                for position in 0..digits(bits, width) - 1 {
                    sum += split_digits(&mut rest, width)[0] << (width * position);
                }
                assert!(rest[0].abs() <= 1 << (width - 1), "{value} in {width} bits");
                assert_eq!(sum + (rest[0] << (width * (digits(bits, width) - 1))), value);
            }
        }
    }
}

#[test]
fn no_values_and_zeros_make_the_identity() {
    let generators = Generators::new(3);
    for timing in TIMINGS {
        let mut multiplier = ShortMultiplier::new(generators.column_points(), timing);
        assert_eq!(multiplier.multiply(&[], 8), RistrettoPoint::identity());
        assert_eq!(multiplier.multiply(&[0; 3], 8), RistrettoPoint::identity());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_ways_agree_with_dalek(values in proptest::collection::vec(any::<i32>(), 0..40), bits in 1u32..=31) {
        let generators = Generators::new(40);
        let points = generators.column_points();
        // Shifting keeps the sign and rounds down: the only value that is too large is −2^bits.
        let values: Vec<_> = values.iter().map(|value| (value >> (31 - bits)).max(-(i32::MAX >> (31 - bits)))).collect();
        for timing in TIMINGS {
            let mut multiplier = ShortMultiplier::new(points, timing);

            prop_assert_eq!(multiplier.multiply(&values, bits), expected(points, &values));
        }
    }
}
