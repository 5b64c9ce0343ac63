//! The exponential, in a form that compiles to vector instructions.

/// Returns eˣ with a relative error below 2·10⁻⁷; 0 and infinity are never returned, but the ends of the range.
///
/// `x = n·ln 2 + f` with `|f| ≤ ½·ln 2`; 2ⁿ goes into the exponent, and eᶠ is a polynomial (the coefficients of the Cephes
/// library's `expf`).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding this moves the integer part to the lowest bits of the fraction, rounded.
    const ROUNDING: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    // ln 2 in two parts, the first of few bits, so that n times it is exact.
    let f = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * f + 1.398_199_9e-3;
    let p = p * f + 8.333_452e-3;
    let p = p * f + 4.166_579_6e-2;
    let p = p * f + 1.666_666_5e-1;
    let p = p * f + 0.5;
    let p = p * f * f + f + 1.0;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUNDING.to_bits() as i32).wrapping_add(127);
    p * f32::from_bits((exponent as u32) << 23)
}

/// Returns the greatest value, or −∞ of none.
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 8];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |max, value| if *value > max { *value } else { max });
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

/// Replaces each value by its exponential relative to the greatest, and returns the greatest and the sum.
pub(crate) fn exponentials(values: &mut [f32]) -> (f32, f32) {
    let max = max(values);
    values.iter_mut().for_each(|value| *value = exp(*value - max));
    (max, sum(values))
}

/// Returns the sum, in eight interleaved sums.
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Replaces values by their softmax.
pub(crate) fn softmax(values: &mut [f32]) {
    let (_, sum) = exponentials(values);
    let factor = 1.0 / sum;
    values.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for i in -8_600..8_700 {
            let x = i as f32 / 100.0 + 0.003;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-7, "{x}: {} for {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) > 0.0 && exp(1e9).is_finite());
    }

    #[test]
    fn the_greatest_and_the_sum_take_all_values_into_account() {
        for count in 1..40 {
            for place in 0..count {
                let mut values = vec![-1.0; count];
                values[place] = 2.5;
                assert_eq!((max(&values), sum(&values)), (2.5, 2.5 - (count - 1) as f32));
            }
        }
    }
}
