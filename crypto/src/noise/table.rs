//! The base distribution `P(x) ∝ exp(−x²/64)`, variance 32, as thresholds of its absolute value.
//!
//! Everything is computed in integers of 128 bits, in one order: the same table on all machines. With fractions of 2^-128,
//! `q = exp(−1/64)` is off by at most 20 units (a series of 17 terms, each rounded down), and as `w_k = q^(k²)` by
//! `w_{k+1} = w_k·q^(2k+1)`, w_k is off by a factor within `20·k²·2^-128` and, counted in 2^-123, by two units for each
//! step. All thresholds together move the distribution by less than 2^-116. Numbers beyond ±66 are not drawn: their
//! probability is `2·Σ_{k≥67} exp(−k²/64)/14.18 < 2^-103.8`.

use std::sync::LazyLock;

/// s²: the variance of a base draw.
pub(super) const BASE_VARIANCE: u64 = 32;

/// The largest number drawn.
pub(super) const LARGEST: usize = 66;

/// Bits by which weights are shifted, so that their sum `s·√(2π)` = 14.18 is below 2^127 units.
const SHIFT: u32 = 5;

/// `⌊2^127·P(|x| ≥ k)⌋` for k = 1..=66.
pub(super) type Thresholds = [u128; LARGEST];

/// Returns the table.
pub(super) fn thresholds() -> &'static Thresholds {
    static TABLE: LazyLock<Thresholds> = LazyLock::new(compute);
    &TABLE
}

/// Returns the number that 128 uniform bits give: the lowest is the sign. Constant time.
#[inline]
pub(super) fn draw(table: &Thresholds, bits: u128) -> i64 {
    let (uniform, sign) = (bits >> 1, (bits & 1 == 1).into());
    let below = |threshold: &u128| i64::from(uniform.overflowing_sub(*threshold).1);
    let magnitude: i64 = table.iter().map(below).sum();
    let sign: i64 = sign;
    (magnitude ^ -sign) + sign
}

fn compute() -> Thresholds {
    let q = exp_of_minus_one_over(2 * u128::from(BASE_VARIANCE));
    let square = high(q, q);
    let (mut weight, mut ratio) = (1u128 << (u128::BITS - SHIFT), q);
    let mut weights = [0; LARGEST + 1];
    for place in &mut weights {
        *place = weight;
        weight = high(weight, ratio);
        ratio = high(ratio, square);
    }
    let [zero, others @ ..] = weights;
    let total = zero + 2 * others.iter().sum::<u128>();
    let mut above = 0;
    let mut table = others;
    for place in table.iter_mut().rev() {
        above += 2 * *place;
        *place = fraction(above, total);
    }
    table
}

/// Returns `2^128·exp(−1/x)` for `x ≥ 2`.
fn exp_of_minus_one_over(x: u128) -> u128 {
    // 1 − exp(−1/x) = 1/x − 1/2x² + 1/6x³ − …
    let (mut term, mut complement) = (u128::MAX / x + 1, 0u128);
    for k in 2.. {
        if term == 0 {
            break;
        }
        complement = if k % 2 == 0 { complement + term } else { complement - term };
        term /= x * k;
    }
    complement.wrapping_neg()
}

/// Returns `⌊2^127·numerator/denominator⌋` for a proper fraction of numbers below 2^127.
fn fraction(numerator: u128, denominator: u128) -> u128 {
    let (mut quotient, mut rest) = (0, numerator);
    for _ in 1..u128::BITS {
        rest <<= 1;
        quotient <<= 1;
        if rest >= denominator {
            rest -= denominator;
            quotient |= 1;
        }
    }
    quotient
}

/// Returns the upper half of a product.
fn high(a: u128, b: u128) -> u128 {
    let half = u128::from(u64::MAX);
    let ((a, a_low), (b, b_low)) = ((a >> 64, a & half), (b >> 64, b & half));
    let (first, second) = (a * b_low, a_low * b);
    let middle = ((a_low * b_low) >> 64) + (first & half) + (second & half);
    a * b + (first >> 64) + (second >> 64) + (middle >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_halves_of_products_are_exact() {
        for (a, b, expected) in [(u128::MAX, u128::MAX, u128::MAX - 1), (1 << 127, 6, 3), (u128::MAX, 1, 0)] {
            assert_eq!(high(a, b), expected);
        }
    }

    #[test]
    fn the_exponential_is_the_true_one_but_for_twenty_units() {
        // ⌊2^128·0.984496437005408405986988829697020369707861003180350567476940…⌋, by arbitrary precision.
        let exact: u128 = 0xfc07_f55f_f77d_2493_e885_eeaa_756a_d523;

        assert!(exp_of_minus_one_over(64).abs_diff(exact) <= 20);
    }

    #[test]
    fn thresholds_are_the_tails_of_the_distribution() {
        let weight = |k: i32| (-f64::from(k * k) / 64.0).exp();
        let total: f64 = (-200..=200).map(weight).sum();
        for (k, threshold) in (1..).zip(thresholds()) {
            let expected = 2.0 * (k..200).map(weight).sum::<f64>() / total;
            let found = *threshold as f64 / 2f64.powi(127);
            assert!((found - expected).abs() < 1e-15 + 1e-4 * expected, "{k}: {found} {expected}");
        }
        assert!(thresholds().iter().rev().is_sorted() && thresholds()[LARGEST - 1] > 0);
    }

    #[test]
    fn every_number_is_drawn_on_its_side_of_its_threshold() {
        let table = thresholds();
        for (k, threshold) in (1i64..).zip(table) {
            assert_eq!(draw(table, (threshold - 1) << 1), k);
            assert_eq!(draw(table, ((threshold - 1) << 1) | 1), -k);
            assert_eq!(draw(table, threshold << 1), k - 1);
        }
        assert_eq!([draw(table, u128::MAX), draw(table, 0), draw(table, 1)], [0, 66, -66]);
    }
}
