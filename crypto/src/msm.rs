//! Sums `Σ_c u_c·G_c` of many points with short signed integers: the row commitments of a delta.
//!
//! dalek's multi-scalar multiplication takes a negative small scalar for one of 253 bits, and its windows stop at 8 bits.
//! Here an integer of b bits is written in ⌈(b + 1)/k⌉ signed digits to the base 2^k. There are two ways to add up the
//! points of one digit:
//!
//! - [`Timing::Variable`]: *buckets* (Pippenger, *On the evaluation of powers and monomials*, 1980; signed digits halve
//!   their number): each point is added to, or taken from, the bucket of its digit's absolute value, and
//!   `Σ_j j·bucket_j` is a running sum. One addition for each digit that is not zero.
//! - [`Timing::Constant`]: 1..=8 times each point in a table, every entry of which is read to select one. Four times as
//!   many additions for integers of 16 bits, and a selection for each.
//!
//! # Security
//!
//! `Variable` takes digits for the largest of the integers, adds a point only if its digit is not zero, and to a bucket
//! whose address is the digit: its running time depends on the largest integer and on how many digits are zero, its
//! memory accesses on all digits. It says nothing to who only sees
//! messages, as long as these are not sent the moment they are made. It says much to another program on the same
//! processor. `Constant` depends on the numbers of points and of bits alone.

use core::fmt;

use curve25519_dalek::{ristretto::RistrettoPoint, traits::Identity as _};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize as _, Zeroizing};

/// Most bits of an integer's absolute value.
pub const MAX_BITS: u32 = 31;

/// Bits of a digit of the constant-time way: eight multiples of a point make a table that stays in the cache.
const TABLE_BITS: u32 = 4;

/// Multiples of a point in a table: the largest absolute value of a digit.
const TABLE: usize = 1 << (TABLE_BITS - 1);

/// Most bits of a digit of the bucket way: 2^11 buckets of 160 bytes still fit the second cache.
const MAX_BUCKET_BITS: u32 = 12;

/// What running time and memory accesses may depend on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timing {
    /// On the integers. For a machine of one's own: five times as fast.
    Variable,
    /// On the numbers of points and bits alone. For a machine that is shared with others.
    Constant,
}

/// Points to be multiplied by short integers, again and again.
pub struct ShortMultiplier<'a> {
    points: &'a [RistrettoPoint],
    tables: Vec<[RistrettoPoint; TABLE]>,
    buckets: Vec<Option<RistrettoPoint>>,
    timing: Timing,
}

impl<'a> ShortMultiplier<'a> {
    /// Prepares the points.
    pub fn new(points: &'a [RistrettoPoint], timing: Timing) -> Self {
        let tables = match timing {
            Timing::Variable => Vec::new(),
            Timing::Constant => points.iter().map(multiples).collect(),
        };
        Self { points, tables, buckets: Vec::new(), timing }
    }

    /// Returns `Σ_c values_c·points_c` for integers with absolute values below `2^bits`.
    ///
    /// # Panics
    ///
    /// Panics if there are more values than points, or `bits` is over [`MAX_BITS`]. In constant time a value that is too
    /// large gives a wrong sum.
    pub fn multiply(&mut self, values: &[i32], bits: u32) -> RistrettoPoint {
        assert!(values.len() <= self.points.len(), "at most one value per point");
        assert!(bits <= MAX_BITS, "integers of at most {MAX_BITS} bits");
        let (bits, width) = match self.timing {
            Timing::Variable => {
                let longest = values.iter().map(|value| u32::BITS - value.unsigned_abs().leading_zeros()).max();
                let bits = longest.unwrap_or_default();
                (bits, bucket_bits(values.len(), bits))
            }
            Timing::Constant => (bits, TABLE_BITS),
        };
        let mut rest: Zeroizing<Vec<i64>> = Zeroizing::new(values.iter().copied().map(i64::from).collect());
        let last = digits(bits, width) - 1;
        let mut sums = Vec::with_capacity(last as usize + 1);
        sums.extend((0..last).map(|_| self.sum(&split_digits(&mut rest, width), width)));
        // What is left is the top digit: at most 2^(width − 1) in absolute value.
        sums.push(self.sum(&rest, width));
        let shift = |total: RistrettoPoint| (0..width).fold(total, |total, _| total + total);
        let total = sums.iter().rev().fold(RistrettoPoint::identity(), |total, sum| shift(total) + sum);
        sums.zeroize();
        total
    }

    /// Returns `Σ_c digits_c·points_c`.
    fn sum(&mut self, digits: &[i64], width: u32) -> RistrettoPoint {
        match self.timing {
            Timing::Variable => self.sum_buckets(digits, width),
            Timing::Constant => self.sum_tables(digits),
        }
    }

    fn sum_buckets(&mut self, digits: &[i64], width: u32) -> RistrettoPoint {
        self.buckets.clear();
        self.buckets.resize(1 << (width - 1), None);
        for (digit, point) in digits.iter().zip(self.points) {
            let Some(index) = magnitude(*digit).checked_sub(1) else { continue };
            match (&mut self.buckets[index], *digit < 0) {
                (Some(bucket), false) => *bucket += point,
                (Some(bucket), true) => *bucket -= point,
                (empty, false) => *empty = Some(*point),
                (empty, true) => *empty = Some(-point),
            }
        }
        // Σ_j j·bucket_j = Σ_j Σ_{i ≥ j} bucket_i
        let (mut above, mut total): (Option<RistrettoPoint>, Option<RistrettoPoint>) = (None, None);
        for bucket in self.buckets.iter().rev() {
            above = sum_of(above, *bucket);
            total = sum_of(total, above);
        }
        total.unwrap_or_else(RistrettoPoint::identity)
    }

    fn sum_tables(&self, digits: &[i64]) -> RistrettoPoint {
        let mut total = RistrettoPoint::identity();
        for (digit, table) in digits.iter().zip(&self.tables) {
            let magnitude = digit.unsigned_abs();
            let mut term = RistrettoPoint::identity();
            for (multiple, point) in (1u64..).zip(table) {
                term.conditional_assign(point, magnitude.ct_eq(&multiple));
            }
            let negated = -term;
            term.conditional_assign(&negated, Choice::from(u8::from(*digit < 0)));
            total += term;
        }
        total
    }
}

impl Drop for ShortMultiplier<'_> {
    fn drop(&mut self) {
        self.buckets.zeroize();
    }
}

impl fmt::Debug for ShortMultiplier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortMultiplier").field("timing", &self.timing).finish_non_exhaustive()
    }
}

/// Returns 1..=8 times a point.
fn multiples(point: &RistrettoPoint) -> [RistrettoPoint; TABLE] {
    let mut multiple = RistrettoPoint::identity();
    core::array::from_fn(|_| {
        multiple += point;
        multiple
    })
}

/// Returns the number of digits: one bit more than the magnitude, for the sign.
const fn digits(bits: u32, width: u32) -> u32 {
    (bits + 1).div_ceil(width)
}

/// Returns the width with the fewest additions: one per digit, and two per bucket.
fn bucket_bits(points: usize, bits: u32) -> u32 {
    let additions = |width: &u32| digits(bits, *width) as usize * (points + (1 << width));
    (2..=MAX_BUCKET_BITS).min_by_key(additions).expect("the range is not empty")
}

/// Splits off the lowest digits, in `−2^(width−1)..2^(width−1)`.
fn split_digits(rest: &mut [i64], width: u32) -> Zeroizing<Vec<i64>> {
    let half = 1i64 << (width - 1);
    let split = |value: &mut i64| {
        let digit = ((*value + half) & (2 * half - 1)) - half;
        *value = (*value - digit) >> width;
        digit
    };
    Zeroizing::new(rest.iter_mut().map(split).collect())
}

fn magnitude(digit: i64) -> usize {
    usize::try_from(digit.unsigned_abs()).unwrap_or(usize::MAX)
}

fn sum_of(a: Option<RistrettoPoint>, b: Option<RistrettoPoint>) -> Option<RistrettoPoint> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
