//! An adapter's B as a contribution: a vector of bounded length, in fixed point.
//!
//! A value v becomes the integer `v·2^f`, rounded up or down at random so that its expectation is v: sums over many people
//! then have no drift, however coarse the grid. The length of the integers must not exceed the round's bound, which is proved
//! exactly, and rounding can lengthen a vector; [`quantise`] sees to it.

use rand_core::CryptoRng;

/// Most bits after the point.
pub const MAX_FRACTION_BITS: u32 = chorus_protocol::limits::MAX_FRACTION_BITS as u32;

/// Why a vector cannot become a contribution.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// A value is no finite number: the training diverged.
    #[error("a value of the adapter is no finite number")]
    NotFinite,
    /// The grid or the bound is outside of what a contribution can have.
    #[error(
        "{fraction_bits} bits after the point and a bound of {bound}; at most {MAX_FRACTION_BITS}, and 1 to 2^31 − 1"
    )]
    Parameters {
        /// Bits after the point.
        fraction_bits: u32,
        /// The bound.
        bound: u32,
    },
}

/// Returns the Euclidean length.
pub fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Shortens a vector to a length, if it is longer. Returns what it was multiplied by, which the owner should be told: 1 if
/// nothing was changed.
pub fn clip(vector: &mut [f32], bound: f64) -> f64 {
    let norm = norm(vector);
    if norm <= bound {
        return 1.0;
    }
    let factor = bound / norm;
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    factor
}

/// Returns the vector in fixed point, with `Σu² ≤ bound²`.
///
/// Each value is rounded up or down at random, without bias. If the result is too long, which happens only when the vector
/// fills the bound to within the rounding, then numbers that were rounded away from zero are rounded towards it instead, in a
/// random order and no more of them than needed. A vector that is itself longer than the bound is shortened first: [`clip`] it
/// before, to know by how much.
///
/// # Errors
///
/// Returns a [`QuantiseError`].
pub fn quantise(
    vector: &[f32],
    fraction_bits: u32,
    bound: u32,
    rng: &mut impl CryptoRng,
) -> Result<Vec<i32>, QuantiseError> {
    if fraction_bits > MAX_FRACTION_BITS || bound == 0 || bound > i32::MAX as u32 {
        return Err(QuantiseError::Parameters { fraction_bits, bound });
    }
    if !vector.iter().all(|value| value.is_finite()) {
        return Err(QuantiseError::NotFinite);
    }
    let grid = f64::from(1u32 << fraction_bits);
    let length = norm(vector) * grid;
    let scale = if length > f64::from(bound) { grid * (f64::from(bound) / length) } else { grid };
    let mut away = Vec::new();
    let round = |(place, value): (usize, &f32)| {
        let exact = f64::from(*value) * scale;
        let floor = exact.floor();
        let up = f64::from(rng.next_u32()) < (exact - floor) * 2f64.powi(32);
        let rounded = if up { floor + 1.0 } else { floor };
        if rounded.abs() > exact.abs() {
            away.push(place);
        }
        rounded as i32
    };
    let mut numbers: Vec<i32> = vector.iter().enumerate().map(round).collect();
    shorten(&mut numbers, away, bound, rng);
    Ok(numbers)
}

/// Brings numbers within a bound, one step towards zero at a time: first where rounding had gone away from zero.
fn shorten(numbers: &mut [i32], mut away: Vec<usize>, bound: u32, rng: &mut impl CryptoRng) {
    let square = |number: i32| i128::from(number).pow(2);
    let bound = i128::from(bound).pow(2);
    let mut sum: i128 = numbers.iter().map(|number| square(*number)).sum();
    while sum > bound {
        let place = if away.is_empty() {
            // Rounding errors of the arithmetic alone: the largest number is the one that a step changes least.
            let largest = (0..numbers.len()).max_by_key(|place| numbers[*place].unsigned_abs());
            largest.expect("a sum above the bound has a number that is not zero")
        } else {
            // A position below a length, uniform up to one in 2³²/length.
            let position = (u64::from(rng.next_u32()) * away.len() as u64) >> 32;
            away.swap_remove(position as usize)
        };
        let before = numbers[place];
        numbers[place] -= before.signum();
        sum += square(numbers[place]) - square(before);
    }
}

/// Returns the vector that fixed-point numbers stand for: sums of contributions, too.
pub fn dequantise(numbers: &[i64], fraction_bits: u32) -> Vec<f32> {
    let step = 2f64.powi(-(fraction_bits.min(i32::MAX as u32) as i32));
    numbers.iter().map(|number| (*number as f64 * step) as f32).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
    use rand_core::Rng as _;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn squares(numbers: &[i32]) -> u128 {
        numbers.iter().map(|number| i128::from(*number).unsigned_abs().pow(2)).sum()
    }

    #[test]
    fn clipping_shortens_to_the_bound_and_tells_the_factor() {
        let mut vector = vec![3.0, 4.0];
        assert_eq!((clip(&mut vector, 5.0), &*vector), (1.0, &[3.0, 4.0][..]));
        assert_eq!(clip(&mut vector, 2.5), 0.5);
        assert_eq!(vector, [1.5, 2.0]);
    }

    #[test]
    fn rounding_has_no_bias() {
        let mut rng = rng();
        let vector = [0.3, -0.3, 0.96875, -1.99, 0.0, 1.0].map(|value: f32| value / 4.0);
        let mut sums = [0i64; 6];
        for _ in 0..100_000 {
            let numbers = quantise(&vector, 2, 1_000, &mut rng).expect("a vector");
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += i64::from(number));
        }
        for (mean, value) in dequantise(&sums, 2).into_iter().zip(vector) {
            // Five standard deviations of a mean of 100,000 coins, in quarters.
            assert!((mean / 100_000.0 - value).abs() < 5.0 * 0.5 / 316.0 / 4.0, "{mean} for {value}");
        }
    }

    #[test]
    fn the_bound_holds_whatever_the_vector() {
        let mut rng = rng();
        for round in 0..300 {
            let length = 1 + round * 7;
            let mut vector: Vec<f32> = (0..length).map(|_| rng.next_u32() as f32 / 2f32.powi(31) - 1.0).collect();
            let bound = 1 + rng.next_u32() % 5_000;
            // Shorter than, exactly as long as, and longer than the bound.
            let target = f64::from(bound) / 1024.0 * [0.99, 1.0, 30.0][round % 3];
            let factor = target / norm(&vector);
            vector.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);

            let numbers = quantise(&vector, 10, bound, &mut rng).expect("a vector");

            assert!(squares(&numbers) <= u128::from(bound).pow(2));
        }
    }

    #[test]
    fn no_more_is_taken_off_than_needed() {
        let mut rng = rng();
        let mut vector: Vec<f32> = (0..20_000).map(|_| rng.next_u32() as f32 / 2f32.powi(31) - 1.0).collect();
        clip(&mut vector, 1.0);
        let numbers = quantise(&vector, 16, 1 << 16, &mut rng).expect("a vector");
        let (missing, largest) = ((1u128 << 32) - squares(&numbers), numbers.iter().max().copied().unwrap_or(0));
        // Either rounding fell short by itself (its spread is some 2^16), or the last step brought it just below.
        assert!(missing < 10 << 16, "{missing}");
        assert!(largest > 0);
    }

    #[test]
    fn numbers_read_back_to_within_a_step() {
        let vector = [0.123, -0.77, 0.5];
        let numbers = quantise(&vector, 16, 1 << 16, &mut rng()).expect("a vector");
        let wide: Vec<i64> = numbers.iter().map(|number| i64::from(*number)).collect();
        assert!(dequantise(&wide, 16).iter().zip(vector).all(|(a, b)| (a - b).abs() <= 2f32.powi(-16)));
    }

    #[test]
    fn what_is_no_number_or_no_bound_is_refused() {
        let refuse = |vector: &[f32], bits, bound| quantise(vector, bits, bound, &mut rng()).expect_err("refused");
        assert_eq!(refuse(&[f32::NAN], 16, 1), QuantiseError::NotFinite);
        assert_eq!(refuse(&[f32::INFINITY], 16, 1), QuantiseError::NotFinite);
        for (fraction_bits, bound) in [(25, 1), (16, 0), (16, 1 << 31)] {
            assert_eq!(refuse(&[0.0], fraction_bits, bound), QuantiseError::Parameters { fraction_bits, bound });
        }
        assert_eq!(quantise(&[1e30, -1e30], 24, i32::MAX as u32, &mut rng()).map(|it| it.len()), Ok(2));
    }
}
