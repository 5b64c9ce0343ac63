//! The opinion map: one or two axes from the last noisy product, and the linear functional that places a ballot.
//!
//! An axis is a short integer vector P, so that a ballot's point is an integer combination of its bits that anybody
//! can check against its commitments. Its loadings are clipped, so that no point tells one vote apart from the rest,
//! and each point carries the ballot's own dither, uniform over a range at least as wide as the largest effect of one
//! vote and about as wide as the spread of all points.

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    wire_struct,
};

use super::{
    StageError,
    linear::{
        IntMatrix, cholesky, dot, fix_sign, integer, orthonormal, real, solve_lower, solve_upper, symmetric_eigen,
    },
    same_size,
    tally::{VOTE_UNIT, Vote},
};
use crate::limits::MAX_ITEMS;

/// Axes of a map.
pub const MAX_AXES: usize = 2;

/// Dither bits that every statement ballot carries for each axis. An axis that needs more has no map.
pub const MAX_DITHER_BITS: u32 = 20;

/// The largest loading: four bits and a sign say as much about an axis as the noise leaves.
pub const MAX_LOADING: i64 = 15;

/// A Ritz value this many times smaller than the second takes no part in the axes: dividing by its root would let the
/// noise of its column pass for variance.
const WEAK: f64 = 8.0;

/// Fixed-point unit in which the clipping is decided.
const FINE_UNIT: i64 = 1 << 20;

/// One axis of the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Axis {
    /// P, one loading per item in −15..=15.
    pub loadings: Vec<i64>,
    /// k: the dither is uniform in −2^(k−1)..2^(k−1).
    pub dither_bits: u32,
}

impl Encode for Axis {
    fn encode(&self, out: &mut Vec<u8>) {
        put_seq(out, &self.loadings);
        self.dither_bits.encode(out);
    }
}

impl Decode for Axis {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let axis = Self { loadings: input.seq(MAX_ITEMS)?, dither_bits: Decode::decode(input)? };
        if axis.is_bounded() { Ok(axis) } else { Err(DecodeError::OutOfRange("axis")) }
    }
}

/// The axes on which all ballots with enough votes are placed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Map {
    /// One or two axes, that of the larger variance first.
    pub axes: Vec<Axis>,
}
wire_struct!(Map { axes[MAX_AXES] });

/// An exact fraction of two integers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fraction {
    /// The dividend.
    pub numerator: i128,
    /// The divisor, positive.
    pub denominator: i128,
}
wire_struct!(Fraction { numerator, denominator });

impl Fraction {
    /// Returns the quotient as a real number.
    pub fn approximate(self) -> f64 {
        real(self.numerator) / real(self.denominator)
    }
}

impl Axis {
    /// Returns the axis along `q` with variance `lambda / ballots`, unless too few items carry it or its dither would
    /// not fit.
    fn new(mut q: Vec<f64>, lambda: f64, ballots: usize) -> Option<Self> {
        fix_sign(&mut q);
        let loadings = clipped_loadings(&q)?;
        let square: i64 = loadings.iter().map(|p| p * p).sum();
        let largest = loadings.iter().map(|p| p.abs()).max().unwrap_or(0);
        // 2^k ≥ ½σ̂ is compared as 4·4^k ≥ σ̂².
        let variance = real(square.into()) * lambda / real(ballots.max(1).try_into().ok()?);
        let wide = |k: &u32| {
            let width = 1_i64 << k;
            width >= VOTE_UNIT * largest && 4.0 * real((width * width).into()) >= variance
        };
        let dither_bits = (1..=MAX_DITHER_BITS).find(wide)?;
        Some(Self { loadings, dither_bits })
    }

    /// Returns whether loadings and dither are in the ranges that keep all arithmetic on them from overflowing.
    fn is_bounded(&self) -> bool {
        self.loadings.iter().all(|p| (-MAX_LOADING..=MAX_LOADING).contains(p))
            && (1..=MAX_DITHER_BITS).contains(&self.dither_bits)
    }

    /// Returns the coefficients of an item's agree, disagree and pass bit in the point of a ballot.
    pub fn coefficients(&self, mu: &[i64]) -> Vec<[i64; 3]> {
        self.loadings.iter().zip(mu).map(|(p, &mu)| Vote::ALL.map(|vote| p * vote.centred(mu))).collect()
    }

    /// Returns the dither that the `k` lowest bits of `bits` stand for: `Σ_{b<k} 2^b·D_b − 2^(k−1)`.
    pub const fn dither(&self, bits: u32) -> i64 {
        let mask = (1_i64 << self.dither_bits) - 1;
        (bits as i64 & mask) - self.dither_offset()
    }

    /// Returns 2^(k−1), the constant that centres the dither.
    pub const fn dither_offset(&self) -> i64 {
        1 << (self.dither_bits - 1)
    }

    /// Returns `Σ_j P_j·x̃_j` of a ballot: its point before the dither.
    pub fn project(&self, centred: &[i64]) -> i64 {
        self.loadings.iter().zip(centred).map(|(p, x)| p * x).sum()
    }

    /// Returns `‖P‖²`.
    pub fn square(&self) -> i64 {
        self.loadings.iter().map(|p| p.saturating_mul(*p)).fold(0, i64::saturating_add)
    }

    /// Returns the largest point, by absolute value, that any ballot can have.
    pub fn largest_point(&self) -> i64 {
        let reach: i64 = self.loadings.iter().map(|p| p.saturating_abs()).fold(0, i64::saturating_add);
        reach.saturating_mul(2 * VOTE_UNIT).saturating_add(self.dither_offset())
    }

    /// Returns the share of the variance of all ballots that lies along this axis:
    /// `(Σ points² − dither variance) ÷ (‖P‖²·trace)`, exactly.
    ///
    /// `points` are the opened coordinates of all ballots that have one, `trace` is
    /// [`Totals::trace`](super::tally::Totals::trace). The expected square of a dither is (4^k + 2)/12. Operators who
    /// chose poorer axes than the product allows cannot hide it from this number.
    pub fn explained(&self, points: impl IntoIterator<Item = i64>, trace: u128) -> Fraction {
        let dither = (1_i128 << (2 * self.dither_bits)) + 2;
        let one = |point: i64| (12 * i128::from(point)).saturating_mul(point.into()) - dither;
        let numerator = points.into_iter().map(one).fold(0, i128::saturating_add);
        let trace = i128::try_from(trace).unwrap_or(i128::MAX);
        let denominator = (12 * i128::from(self.square())).saturating_mul(trace).max(1);
        Fraction { numerator, denominator }
    }
}

impl Map {
    /// Derives the map from the last pass of the PCA of `ballots` ballots, or `None` if it supports none.
    ///
    /// Rayleigh–Ritz on the span of Ω finds the best combinations of its columns. A second one on their products, which
    /// are one power step further (Nyström's approximation `Y·(ΩᵀY)⁻¹·Yᵀ` of the matrix), gives the values λ̂ and the
    /// axes q: on real polls it takes the second axis nearer to the exact one than the first alone does.
    ///
    /// # Errors
    ///
    /// Returns [`StageError::Shape`] if `omega` and `product` differ in size.
    pub fn from_last_pass(omega: &IntMatrix, product: &IntMatrix, ballots: usize) -> Result<Option<Self>, StageError> {
        same_size("rows of the product", omega.rows(), product.rows())?;
        same_size("columns of the product", omega.columns().len(), product.columns().len())?;
        let Some((values, vectors)) = ritz(omega, product) else { return Ok(None) };
        let mut axes: Vec<Axis> = Vec::with_capacity(MAX_AXES);
        for (lambda, q) in values.into_iter().zip(vectors) {
            match Axis::new(q, lambda, ballots) {
                Some(axis) if axes.iter().all(|first| far_apart(&first.loadings, &axis.loadings)) => axes.push(axis),
                Some(_) | None => {}
            }
        }
        Ok((!axes.is_empty()).then_some(Self { axes }))
    }

    /// Returns whether this is a map that [`from_last_pass`](Self::from_last_pass) could return for `items` items:
    /// what a decoded map must satisfy before it is used.
    pub fn is_valid(&self, items: usize) -> bool {
        let fits = |axis: &Axis| axis.loadings.len() == items && axis.is_bounded() && spread(&axis.loadings);
        let apart = match self.axes.as_slice() {
            [_] => true,
            [x, y] => far_apart(&x.loadings, &y.loadings),
            _ => false,
        };
        apart && self.axes.iter().all(fits)
    }

    /// Returns the coordinates of an opened point in votes, stretched by [`BucketEdges::stretch`]: what groups are
    /// made of. Axes are divided by ‖P‖, so that both have the same unit; a missing second axis is 0.
    ///
    /// [`BucketEdges::stretch`]: super::bucket::BucketEdges::stretch
    pub fn place(&self, point: &[i64], stretch: f64) -> [f64; 2] {
        let mut placed = [0.0; MAX_AXES];
        for ((place, axis), &coordinate) in placed.iter_mut().zip(&self.axes).zip(point) {
            let unit = real(VOTE_UNIT.into()) * real(axis.square().into()).sqrt();
            *place = real(coordinate.into()) / unit * stretch;
        }
        placed
    }
}

/// Returns the (at most two) largest values λ̂ and their orthonormal vectors.
fn ritz(omega: &IntMatrix, product: &IntMatrix) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let reals = |matrix: &IntMatrix| -> Vec<Vec<f64>> {
        matrix.columns().iter().map(|column| column.iter().map(|&entry| real(entry)).collect()).collect()
    };
    let (omega, product) = (reals(omega), reals(product));
    let gram: Vec<Vec<f64>> = omega.iter().map(|a| omega.iter().map(|b| dot(a, b)).collect()).collect();
    let lower = cholesky(&gram)?;
    // T = L⁻¹·½(ΩᵀY + YᵀΩ)·L⁻ᵀ for ΩᵀΩ = L·Lᵀ.
    let form = |a: usize, b: usize| 0.5 * (dot(&omega[a], &product[b]) + dot(&omega[b], &product[a]));
    let size = omega.len();
    let half: Vec<Vec<f64>> =
        (0..size).map(|b| solve_lower(&lower, &(0..size).map(|a| form(a, b)).collect::<Vec<_>>())).collect();
    let transposed = |i: usize| half.iter().map(|column| column[i]).collect::<Vec<_>>();
    let small: Vec<Vec<f64>> = (0..size).map(|i| solve_lower(&lower, &transposed(i))).collect();
    let pairs = symmetric_eigen(&small);
    let second = pairs.get(1).map_or(0.0, |(value, _)| *value);
    let strong = pairs.into_iter().filter(|(value, _)| *value > 0.0 && *value * WEAK >= second);
    let combine = |columns: &[Vec<f64>], weights: &[f64], by: f64| -> Vec<f64> {
        let row = |j: usize| columns.iter().zip(weights).fold(0.0, |sum, (column, weight)| sum + column[j] * weight);
        (0..omega[0].len()).map(|j| row(j) / by).collect()
    };
    // b = Y·L⁻ᵀ·z/√λ for each eigenpair (λ, z) of T: then B·Bᵀ approximates the matrix, and BᵀB has its eigenvalues.
    let root: Vec<Vec<f64>> =
        strong.map(|(value, z)| combine(&product, &solve_upper(&lower, &z), value.sqrt())).collect();
    let inner: Vec<Vec<f64>> = root.iter().map(|a| root.iter().map(|b| dot(a, b)).collect()).collect();
    let mut pairs = symmetric_eigen(&inner);
    pairs.truncate(MAX_AXES);
    pairs.retain(|(value, _)| *value > 0.0);
    let vectors: Vec<Vec<f64>> = pairs.iter().map(|(value, z)| combine(&root, z, value.sqrt())).collect();
    // Only a vector after the first can depend on others and be dropped here.
    Some((pairs.into_iter().map(|(value, _)| value).collect(), orthonormal(&vectors)))
}

/// Returns `round(15·q/max|q|)` with q clipped at the largest c for which enough items share the axis.
fn clipped_loadings(q: &[f64]) -> Option<Vec<i64>> {
    let largest = q.iter().fold(0.0, |largest: f64, entry| largest.max(entry.abs()));
    if largest == 0.0 {
        return None;
    }
    let fine: Vec<i64> = q.iter().map(|entry| integer(entry / largest * real(FINE_UNIT.into()))).collect();
    let clip = |c: i64| fine.iter().map(|x| (*x).clamp(-c, c)).collect::<Vec<_>>();
    // Participation never grows with c (clipping flattens), so the largest c is found by bisection.
    let (mut good, mut bad) = (0, FINE_UNIT + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if spread(&clip(middle)) { good = middle } else { bad = middle }
    }
    // Rounding to integers can undo a little of it: then clip further, a sixteenth at a time.
    while good > 0 {
        let loadings: Vec<i64> = clip(good).iter().map(|x| round_quotient(MAX_LOADING * x, good)).collect();
        if spread(&loadings) {
            return Some(loadings);
        }
        good -= (good / 16).max(1);
    }
    None
}

/// Returns whether the participation `(ΣP²)²/ΣP⁴` is at least `max(6, items/16)`, and P is not zero.
fn spread(p: &[i64]) -> bool {
    let power = |exponent: u32| -> u128 { p.iter().map(|x| u128::from(x.unsigned_abs()).pow(exponent)).sum() };
    let (second, fourth) = (power(2), power(4));
    let bound = (p.len() as u128).max(96);
    fourth > 0 && 16 * second * second >= bound * fourth
}

/// Returns whether `|cos(a, b)| ≤ ¼`.
fn far_apart(a: &[i64], b: &[i64]) -> bool {
    let inner = |a: &[i64], b: &[i64]| -> i128 { a.iter().zip(b).map(|(a, b)| i128::from(*a) * i128::from(*b)).sum() };
    16 * inner(a, b).pow(2) <= inner(a, a) * inner(b, b)
}

/// Returns `numerator / denominator` to the nearest integer, ties away from zero, for a positive denominator.
const fn round_quotient(numerator: i64, denominator: i64) -> i64 {
    let rounded = (2 * numerator.abs() + denominator) / (2 * denominator);
    numerator.signum() * rounded
}

#[cfg(test)]
mod tests;
