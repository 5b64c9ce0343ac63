use proptest::prelude::*;

use super::*;
use crate::{domain, hash::Stream};

/// Values next to every boundary of limbs and of ℓ.
fn edges() -> Vec<Scalar> {
    let two = Scalar::from(2u8);
    let powers = [1u32, 31, 32, 52, 63, 64, 65, 125, 127, 128, 191, 192, 251, 252]
        .map(|exponent| (0..exponent).fold(Scalar::ONE, |power, _| power * two));
    let small = [0u64, 1, 2, u64::MAX].map(Scalar::from);
    let positive = powers.iter().flat_map(|power| [power - Scalar::ONE, *power, power + Scalar::ONE]).chain(small);
    positive.flat_map(|value| [value, -value, value.div_by_2()]).collect()
}

fn agrees(a: Scalar, b: Scalar) {
    let (x, y) = (Field::from(a), Field::from(b));
    assert_eq!(Scalar::from(x), a);
    assert_eq!(Scalar::from(x + y), a + b);
    assert_eq!(Scalar::from(x - y), a - b);
    assert_eq!(Scalar::from(x * y), a * b);
    assert_eq!(Scalar::from(x.square()), a * a);
    assert_eq!(Scalar::from(x.double()), a + a);
    assert_eq!(Scalar::from(-x), -a);
    assert_eq!(x == y, a == b);
}

#[test]
fn all_operations_agree_with_dalek_at_the_edges() {
    for a in edges() {
        for b in edges() {
            agrees(a, b);
        }
    }
    assert_eq!(Scalar::from(Field::ONE), Scalar::ONE);
    assert_eq!(Scalar::from(Field::ZERO), Scalar::ZERO);
}

#[test]
fn all_operations_agree_with_dalek_at_a_hundred_thousand_random_pairs() {
    let mut stream = Stream::new(domain::NONCE, b"field");
    for _ in 0..100_000 {
        agrees(stream.next_scalar(), stream.next_scalar());
    }
}

#[test]
fn as_many_of_the_largest_products_as_are_allowed_do_not_overflow() {
    let largest = Field::from(-Scalar::ONE);
    // The largest representation, whatever it stands for.
    let top = less_order([ORDER[0] - 1, ORDER[1], ORDER[2], ORDER[3]]);
    for element in [largest, top] {
        let mut products = Products::default();
        let mut expected = Field::ZERO;
        for _ in 0..Products::MOST {
            products.add(element, element);
            expected += element * element;
            assert_eq!(products.reduce(), expected);
        }
    }
}

#[test]
fn sums_of_small_products_agree_with_dalek_at_their_largest() {
    let top = less_order([ORDER[0] - 1, ORDER[1], ORDER[2], ORDER[3]]);
    for value in [i32::MIN, -1, 0, 1, i32::MAX] {
        for count in [1i64, 2, 8, 1 << 16] {
            let mut sum = SmallProducts::default();
            (0..count).for_each(|_| sum.add(top, value));

            let result = sum.reduce(SmallProducts::raise(top * Field::from(count)));

            assert_eq!(result, top * Field::from(count) * Field::from(i64::from(value)), "{count} times {value}");
        }
    }
}

#[test]
fn integers_have_the_elements_they_say() {
    for value in [0, 1, -1, i64::MAX, i64::MIN] {
        assert_eq!(Scalar::from(Field::from(value)), crate::mask::tests::integer(value));
        assert_eq!(Field::from(i128::from(value)), Field::from(value));
    }
    let large = (1i128 << 110) - 7;
    assert_eq!(Scalar::from(Field::from(-large)), -Scalar::from(large.unsigned_abs()));
}

proptest! {
    #[test]
    fn inner_products_agree_with_dalek(seed: u64, length in 0usize..70) {
        let mut stream = Stream::new(domain::NONCE, &seed.to_be_bytes());
        let mut vector = || (0..length).map(|_| stream.next_scalar()).collect::<Vec<_>>();
        let (left, right) = (vector(), vector());

        let product = inner_product(&Field::from_scalars(&left), &Field::from_scalars(&right));

        prop_assert_eq!(Scalar::from(product), left.iter().zip(&right).map(|(a, b)| a * b).sum::<Scalar>());
    }

    #[test]
    fn sums_of_small_products_agree_with_dalek(seed: u64, values in proptest::collection::vec(any::<i32>(), 0..40)) {
        let mut stream = Stream::new(domain::NONCE, &seed.to_be_bytes());
        let coefficients: Vec<_> = values.iter().map(|_| Field::from(stream.next_scalar())).collect();
        let mut sum = SmallProducts::default();
        coefficients.iter().zip(&values).for_each(|(coefficient, value)| sum.add(*coefficient, *value));

        let result = sum.reduce(SmallProducts::raise(coefficients.iter().copied().sum()));

        let expected = coefficients.iter().zip(&values).map(|(c, v)| *c * Field::from(i64::from(*v))).sum::<Field>();
        prop_assert_eq!(result, expected);
    }
}
