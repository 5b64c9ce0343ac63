//! Base-2 logarithms and entropies in integers: no mathematics library, the same bits everywhere.
//!
//! For counts `cᵢ` with sum `T`, `H = log₂ T − (1/T)·Σ cᵢ·log₂ cᵢ`. A logarithm is taken digit by digit: squaring a number in
//! [1, 2) doubles its logarithm, and whether the square reaches 2 is the next binary digit.

use crate::deliberation::linear::real;

/// Binary digits of a logarithm and of an entropy after the point.
const DIGITS: u32 = 56;

/// Returns `log₂ n` in units of 2⁻⁵⁶, and 0 for 0.
///
/// Too small by less than 2⁻⁵⁵: the digits left out are worth less than one unit, and the squares, cut to 63 digits
/// after the point, lose 2⁻⁶² of their value each, hence Σ 2⁻ᵏ · 2⁻⁶² · log₂ e < 2⁻⁶⁰ in all. Exact for powers of two.
pub fn log2(n: u64) -> u64 {
    let Some(whole) = n.checked_ilog2() else { return 0 };
    // In [2⁶³, 2⁶⁴): n with its point after the first digit.
    let mut mantissa = n << (63 - whole);
    let mut digits = 0u64;
    for _ in 0..DIGITS {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = (square >> 127) as u64;
        digits = digits << 1 | carry;
        mantissa = (square >> (63 + carry)) as u64;
    }
    (u64::from(whole) << DIGITS) + digits
}

/// The entropy of some counts, in units of 2⁻⁵⁶ bits; off by less than 2⁻⁵⁴ bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub struct Entropy(u64);

impl Entropy {
    /// Returns the entropy of counts; 0 of none.
    pub fn of(counts: &[u64]) -> Self {
        let total = counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        if total == 0 {
            return Self(0);
        }
        let weighted = |count: u64| u128::from(count) * u128::from(log2(count));
        // Less than 2^64 · 2^62. Counts whose sum does not fit 64 bits are no counts of people; they give 0 at worst.
        let spread = weighted(total)
            .saturating_sub(counts.iter().fold(0u128, |sum, count| sum.saturating_add(weighted(*count))));
        Self(u64::try_from(spread / u128::from(total)).unwrap_or(u64::MAX))
    }

    /// Returns whether it is at most so many hundredths of a bit: an exact comparison of the value that is held.
    pub const fn is_at_most(self, hundredths: u32) -> bool {
        100 * (self.0 as u128) <= (hundredths as u128) << DIGITS
    }

    /// Returns it in bits.
    pub fn bits(self) -> f64 {
        real(self.0.into()) / real(1 << DIGITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_mathematics_library_and_exact_for_powers_of_two() {
        for n in (1..2_000).chain([u64::MAX, u64::MAX - 1, 1 << 63, 0x1234_5678_9abc]) {
            let found = real(log2(n).into()) / real(1 << DIGITS);
            assert!((found - real(n.into()).log2()).abs() < 2e-14, "{n}: {found}");
        }
        assert!((0..64).all(|power| log2(1 << power) == power << DIGITS));
        assert_eq!(log2(0), 0);
    }

    #[test]
    fn a_logarithm_is_a_known_integer() {
        // log₂ 3 = 1.95c01a39fbd687a08… in hexadecimal.
        assert_eq!(log2(3), 0x01_95c0_1a39_fbd6_87);
    }

    #[test]
    fn entropies_of_equal_counts_are_exact() {
        assert_eq!(Entropy::of(&[7, 7, 7, 7]).bits(), 2.0);
        assert_eq!(Entropy::of(&[0, 9, 0]).bits(), 0.0);
        assert_eq!(Entropy::of(&[]).bits(), 0.0);
        assert!(Entropy::of(&[1, 1]).is_at_most(100));
        assert!(!Entropy::of(&[1, 1]).is_at_most(99));
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let _ = Entropy::of(&[u64::MAX; 5]).bits();
        let _ = Entropy::of(&[u64::MAX / 5; 5]).bits();
    }
}
