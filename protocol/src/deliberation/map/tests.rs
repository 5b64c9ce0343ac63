use chorus_crypto::codec::{Decode as _, Encode as _};
use proptest::prelude::*;

use super::*;

fn matrix(columns: Vec<Vec<i128>>) -> IntMatrix {
    IntMatrix::from_columns(columns[0].len(), columns).expect("small")
}

/// Eighteen items in three blocks of six: ballots differ most along the first block, less along the second.
fn two_axes() -> (IntMatrix, IntMatrix) {
    let block =
        |from: usize| -> Vec<i128> { (0..18).map(|item| i128::from((from..from + 6).contains(&item))).collect() };
    let scaled = |from: usize, by: i128| block(from).iter().map(|x| x * by).collect();
    let omega = matrix(vec![block(0), block(6)]);
    let product = matrix(vec![scaled(0, 9_000_000), scaled(6, 4_000_000)]);
    (omega, product)
}

#[test]
fn the_axes_are_the_dominant_directions_in_order() {
    let (omega, product) = two_axes();

    let map = Map::from_last_pass(&omega, &product, 100).expect("same size").expect("two clear axes");

    let loaded = |axis: usize| map.axes[axis].loadings.iter().map(|p| p / 15).collect::<Vec<_>>();
    assert_eq!(loaded(0), [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(loaded(1), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    // σ̂² = 6·15²·9·10⁶/100: half of σ̂ is 5511, and 2¹³ is the next power of two.
    assert_eq!(map.axes[0].dither_bits, 13);
    assert!(map.is_valid(18));
    assert_eq!(Map::from_bytes(&map.to_bytes()), Ok(map.clone()));
    let mut steep = map.clone();
    steep.axes[0].loadings[0] = 16;
    assert!(Map::from_bytes(&steep.to_bytes()).is_err());
    let mut bare = map;
    bare.axes[1].dither_bits = 0;
    assert!(Map::from_bytes(&bare.to_bytes()).is_err());
}

#[test]
fn an_axis_that_few_items_carry_is_flattened_until_six_share_it() {
    let q = [1.0, 0.5, 0.2, 0.1, 0.1, 0.1, 0.1, 0.01];

    let loadings = clipped_loadings(&q).expect("eight items are enough");

    assert!(spread(&loadings));
    assert_eq!(loadings, [15, 15, 15, 10, 10, 10, 10, 1]);
    assert_eq!(clipped_loadings(&[1.0, 1.0, 1.0, 1.0, 1.0]), None);
    assert_eq!(clipped_loadings(&[0.0; 9]), None);
}

#[test]
fn axes_that_are_not_far_apart_make_one_axis() {
    assert!(far_apart(&[4, 0], &[0, 3]));
    assert!(far_apart(&[1, 0, 0], &[1, 3, 3]));
    // Exactly a quarter, and a little more.
    assert!(far_apart(&[1; 16], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(!far_apart(&[1; 15], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn no_map_comes_from_nothing_or_from_noise_of_the_wrong_sign() {
    let (omega, product) = two_axes();
    let negative = matrix(product.columns().iter().map(|column| column.iter().map(|x| -x).collect()).collect());
    let zero = matrix(vec![vec![0; 18]; 2]);

    assert_eq!(Map::from_last_pass(&omega, &negative, 100), Ok(None));
    assert_eq!(Map::from_last_pass(&omega, &zero, 100), Ok(None));
    assert_eq!(Map::from_last_pass(&zero, &product, 100), Ok(None));
    assert!(Map::from_last_pass(&omega, &matrix(vec![vec![0; 17]; 2]), 100).is_err());
    assert!(Map::from_last_pass(&omega, &matrix(vec![vec![0; 18]]), 100).is_err());
}

#[test]
fn a_spread_beyond_twenty_dither_bits_has_no_map() {
    let (omega, product) = two_axes();
    let huge = matrix(product.columns().iter().map(|column| column.iter().map(|x| x << 20).collect()).collect());

    assert_eq!(Map::from_last_pass(&omega, &huge, 100), Ok(None));
}

#[test]
fn the_coefficients_of_the_bits_add_up_to_the_point() {
    let axis = Axis { loadings: vec![3, -2, 15], dither_bits: 9 };
    let mu = [8, -32, 0];
    let ballot = [Some(Vote::Agree), Some(Vote::Pass), None];
    let centred = crate::deliberation::matrix::VoteMatrix::centred(&ballot, &mu);

    let coefficients = axis.coefficients(&mu);

    assert_eq!(axis.project(&centred), coefficients[0][0] + coefficients[1][2]);
    assert_eq!(axis.project(&centred), 3 * 24 - 2 * 32);
    assert_eq!([axis.dither(0), axis.dither(511), axis.dither(512)], [-256, 255, -256]);
}

#[test]
fn explained_variance_takes_the_dither_away_again() {
    // Points that are dither alone, each value once: nothing is explained.
    let axis = Axis { loadings: vec![15; 6], dither_bits: 9 };
    let dither = (0..512).map(|bits| axis.dither(bits));

    assert_eq!(axis.explained(dither, 1000).numerator, 0);
    assert!(axis.explained([i64::MAX; 3], u128::MAX).denominator > 0);
}

proptest! {
    #[test]
    fn whatever_is_opened_the_map_is_valid_or_absent(
        omega in proptest::collection::vec(-4096..4096i128, 48),
        product in proptest::collection::vec(-(1i128 << 60)..(1i128 << 60), 48),
        ballots in 1usize..10_000,
    ) {
        let columns = |entries: &[i128]| matrix(entries.chunks(24).map(<[i128]>::to_vec).collect());

        let map = Map::from_last_pass(&columns(&omega), &columns(&product), ballots).expect("same size");

        if let Some(map) = map {
            prop_assert!(map.is_valid(24));
        }
    }
}
