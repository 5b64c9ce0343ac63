//! From replicated seeds to Shamir shares, without a message; and back, correcting errors.
//!
//! Operator j's share of a masked scalar is `E + Σ_{T∌j} PRG(σ_T)·f_T(j)`: the value at j of the polynomial
//! `E + Σ_T PRG(σ_T)·f_T` of degree f, which is the data at 0. Products of two shares lie on a polynomial of degree 2f.
//! Adding a sharing of zero, `Σ_T Σ_{i=1..f} PRF_i(K_T)·X^i·f_T`, makes that polynomial uniform among those with the
//! same value at 0; adding noise, `Σ_T PRF(K_T)·f_T`, moves that value by a sum of one term per T, each unknown to the
//! operators in T.

use core::fmt;

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::{
    codec::{Encode as _, put_seq},
    domain,
    hash::Stream,
    mask::{Committee, Expansion, MAX_OPERATORS, SetKey, Shape, Subset, sum::signed},
};

/// A share cannot be computed from what was given: a mistake of the caller.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Not an operator of the committee.
    #[error("there is no operator {0}")]
    Operator(u8),
    /// The parts are not those of exactly the sets the operator holds.
    #[error("parts of the sets {found:?} where the operator holds {expected:?}")]
    Held {
        /// Indices of the sets held, see [`Committee::held_by`].
        expected: Vec<usize>,
        /// Indices given.
        found: Vec<usize>,
    },
    /// The masked vector or a mask has another length.
    #[error("{found} scalars where the shape says {expected}")]
    Length {
        /// The length the shape asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
}

/// Pairs each part with the coefficient `f_T(operator)`; the parts must be those of exactly the sets held.
fn with_coefficients<'a, P>(
    committee: &Committee,
    operator: u8,
    parts: &[(usize, &'a P)],
) -> Result<Vec<(Scalar, &'a P)>, ShareError> {
    if !(1..=committee.operators()).contains(&operator) {
        return Err(ShareError::Operator(operator));
    }
    let expected = committee.held_by(operator);
    let found: Vec<_> = parts.iter().map(|(index, _)| *index).collect();
    if expected != found {
        return Err(ShareError::Held { expected, found });
    }
    let subsets = committee.subsets();
    let pair = |(index, part): &(usize, &'a P)| (committee.share_coefficient(subsets[*index], operator), *part);
    Ok(parts.iter().map(pair).collect())
}

/// Returns operator `operator`'s share of one masked scalar from the masks it holds.
///
/// Parts of sets that the operator is in count as zero, as they must.
pub fn share_of(
    committee: &Committee,
    operator: u8,
    masked: &Scalar,
    parts: impl IntoIterator<Item = (Subset, Scalar)>,
) -> Scalar {
    let share = |(subset, mask): (Subset, Scalar)| mask * committee.share_coefficient(subset, operator);
    masked + parts.into_iter().map(share).sum::<Scalar>()
}

/// Returns operator `operator`'s shares of all data rows of one contribution, row-major, `shape.packed()` to a row.
///
/// `held` pairs the index of each set held, in the order of [`Committee::held_by`], with its mask.
///
/// # Errors
///
/// Returns a [`ShareError`] unless the masks are those of exactly the sets held and all lengths match.
pub fn shares_of(
    committee: &Committee,
    operator: u8,
    shape: &Shape,
    masked: &[Scalar],
    held: &[(usize, &Expansion)],
) -> Result<Zeroizing<Vec<Scalar>>, ShareError> {
    let lengths = core::iter::once(masked.len()).chain(held.iter().map(|(_, mask)| mask.all_values().len()));
    for found in lengths {
        if found != shape.scalars() {
            return Err(ShareError::Length { expected: shape.scalars(), found });
        }
    }
    let held = with_coefficients(committee, operator, held)?;
    let mut shares = Zeroizing::new(masked[shape.packed()..].to_vec());
    for (coefficient, mask) in held {
        let values = &mask.all_values()[shape.packed()..];
        shares.iter_mut().zip(values).for_each(|(share, value)| *share += coefficient * value);
    }
    Ok(shares)
}

/// Returns operator `operator`'s shares of `count` sharings of zero of degree 2f, from the keys `K_T` it holds.
///
/// All holders must use the same `label`, and never the same for two different things that are masked.
///
/// # Errors
///
/// Returns a [`ShareError`] unless the keys are those of exactly the sets held.
pub fn zero_share(
    committee: &Committee,
    operator: u8,
    held: &[(usize, &SetKey)],
    label: &[u8],
    count: usize,
) -> Result<Zeroizing<Vec<Scalar>>, ShareError> {
    let mut shares = Zeroizing::new(vec![Scalar::ZERO; count]);
    for (coefficient, key) in with_coefficients(committee, operator, held)? {
        let mut stream = key.stream_of(domain::SET_ZERO, label);
        for share in shares.iter_mut() {
            let mut power = coefficient;
            for _ in 0..committee.faulty() {
                power *= Scalar::from(operator);
                *share += stream.next_scalar() * power;
            }
        }
    }
    Ok(shares)
}

/// Returns operator `operator`'s shares of noise: at coordinate c, one term uniform in ±`bounds[c]` for every T.
///
/// # Errors
///
/// Returns a [`ShareError`] unless the keys are those of exactly the sets held.
///
/// # Panics
///
/// Panics if a bound is over `i64::MAX`.
pub fn noise_share(
    committee: &Committee,
    operator: u8,
    held: &[(usize, &SetKey)],
    label: &[u8],
    bounds: &[u64],
) -> Result<Zeroizing<Vec<Scalar>>, ShareError> {
    let mut shares = Zeroizing::new(vec![Scalar::ZERO; bounds.len()]);
    for (coefficient, key) in with_coefficients(committee, operator, held)? {
        let mut stream = key.stream_of(domain::SET_NOISE, label);
        for (share, bound) in shares.iter_mut().zip(bounds) {
            *share += signed(stream.next_within(*bound)) * coefficient;
        }
    }
    Ok(shares)
}

/// Why shares were not put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconstructError {
    /// An operator number is 0 or over [`MAX_OPERATORS`], or stands twice.
    #[error("operator {0} is no operator or was given twice")]
    Operator(u8),
    /// `needed` shares do not determine a polynomial of that degree.
    #[error("{needed} shares do not determine a polynomial of degree {degree}")]
    Needed {
        /// The degree asked for.
        degree: usize,
        /// The number of shares asked for.
        needed: usize,
    },
    /// No `needed` of the shares lie on one polynomial. More shares, or another attempt, may help.
    #[error("no {needed} of {found} shares lie on one polynomial")]
    Inconsistent {
        /// The number of shares asked for.
        needed: usize,
        /// The number given.
        found: usize,
    },
    /// Two different polynomials have `needed` shares each: more than f operators lied.
    #[error("two polynomials fit the shares")]
    Ambiguous,
}

/// What shares are shares of.
#[derive(Clone, Eq, PartialEq)]
pub struct Reconstruction {
    /// The value at 0 of the polynomial of each coordinate.
    pub values_at_zero: Vec<Scalar>,
    /// The operators whose shares do not lie on the polynomials, in ascending order.
    pub liars: Vec<u8>,
}

impl fmt::Debug for Reconstruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconstruction").field("liars", &self.liars).finish_non_exhaustive()
    }
}

/// Finds the polynomials of degree ≤ `degree`, one per coordinate, on which at least `needed` of the shares lie.
///
/// A share agrees iff all its coordinates do; one with another number of coordinates never agrees. With at most seven
/// operators every choice of `degree + 1` of them can be tried: first on one linear combination of all coordinates,
/// with coefficients from a hash of all shares, then, for what passes, on every coordinate.
///
/// # Errors
///
/// Returns a [`ReconstructError`] if there is no such polynomial, or more than one.
pub fn reconstruct(
    points: &[(u8, &[Scalar])],
    degree: usize,
    needed: usize,
) -> Result<Reconstruction, ReconstructError> {
    check_operators(points)?;
    if needed <= degree {
        return Err(ReconstructError::Needed { degree, needed });
    }
    let combined = combine(points);
    let mut found: Option<u8> = None;
    for base in choices(points.len(), degree + 1) {
        if found.is_some_and(|agreeing| base & !agreeing == 0) {
            continue;
        }
        let Some(agreeing) = agreement(points, &combined, base, needed) else { continue };
        if found.replace(agreeing).is_some() {
            return Err(ReconstructError::Ambiguous);
        }
    }
    let agreeing = found.ok_or(ReconstructError::Inconsistent { needed, found: points.len() })?;
    let base: Vec<_> = members(points, agreeing).take(degree + 1).collect();
    let weights = lagrange(&base, 0);
    let length = base.first().map_or(0, |(_, share)| share.len());
    let values_at_zero = (0..length).map(|at| interpolate(&weights, &base, at)).collect();
    let mut liars: Vec<_> = members(points, !agreeing).map(|(operator, _)| operator).collect();
    liars.sort_unstable();
    Ok(Reconstruction { values_at_zero, liars })
}

type Share<'a> = (u8, &'a [Scalar]);

fn check_operators(points: &[Share<'_>]) -> Result<(), ReconstructError> {
    let mut seen = std::collections::BTreeSet::new();
    for (operator, _) in points {
        if !(1..=MAX_OPERATORS).contains(operator) || !seen.insert(operator) {
            return Err(ReconstructError::Operator(*operator));
        }
    }
    Ok(())
}

/// One scalar per share: `Σ_k c_k·share_k` with 128-bit c from a hash of all shares.
///
/// A quick look only: shares that agree in it are compared entry by entry, so that nothing hangs on the c.
fn combine(points: &[Share<'_>]) -> Vec<Scalar> {
    let mut input = Vec::new();
    for (operator, share) in points {
        operator.encode(&mut input);
        put_seq(&mut input, share);
    }
    let mut stream = Stream::new(domain::SHARE_CHECK, &input);
    let length = points.iter().map(|(_, share)| share.len()).max().unwrap_or(0);
    let weights: Vec<_> = (0..length).map(|_| stream.next_weight()).collect();
    points.iter().map(|(_, share)| share.iter().zip(&weights).map(|(value, weight)| value * weight).sum()).collect()
}

/// The sets of `size` out of `count` ≤ 7 indices, as bit masks.
fn choices(count: usize, size: usize) -> impl Iterator<Item = u8> {
    let end = u8::try_from(1u32 << count).expect("at most seven shares were let in");
    (0..end).filter(move |set| set.count_ones() as usize == size)
}

fn members<'p, 'a>(points: &'p [Share<'a>], set: u8) -> impl Iterator<Item = Share<'a>> + 'p {
    points.iter().enumerate().filter(move |(index, _)| set >> index & 1 == 1).map(|(_, share)| *share)
}

/// Returns all shares on the polynomials through those of `base`, if there are `needed` of them.
fn agreement(points: &[Share<'_>], combined: &[Scalar], base: u8, needed: usize) -> Option<u8> {
    let chosen: Vec<_> = members(points, base).collect();
    let length = chosen.first()?.1.len();
    if chosen.iter().any(|(_, share)| share.len() != length) {
        return None;
    }
    let chosen_combined: Vec<_> =
        combined.iter().enumerate().filter(|(index, _)| base >> index & 1 == 1).map(|(_, value)| *value).collect();
    let mut agreeing = base;
    for (index, (operator, share)) in points.iter().enumerate() {
        // What the polynomials were made of lies on them.
        if base >> index & 1 == 1 || share.len() != length {
            continue;
        }
        let weights = lagrange(&chosen, *operator);
        let expected: Scalar = weights.iter().zip(&chosen_combined).map(|(weight, value)| weight * value).sum();
        if combined.get(index) == Some(&expected)
            && share.iter().enumerate().all(|(at, value)| interpolate(&weights, &chosen, at) == *value)
        {
            agreeing |= 1 << index;
        }
    }
    (agreeing.count_ones() as usize >= needed).then_some(agreeing)
}

/// Lagrange coefficients: the weights with which the values at the base's operators give the value at `x`.
fn lagrange(base: &[Share<'_>], x: u8) -> Vec<Scalar> {
    let x = Scalar::from(x);
    let weight = |own: &Share<'_>| {
        let others = || base.iter().filter(|(other, _)| *other != own.0).map(|(other, _)| Scalar::from(*other));
        let numerator: Scalar = others().map(|other| x - other).product();
        let denominator: Scalar = others().map(|other| Scalar::from(own.0) - other).product();
        numerator * denominator.invert()
    };
    base.iter().map(weight).collect()
}

fn interpolate(weights: &[Scalar], base: &[Share<'_>], at: usize) -> Scalar {
    weights.iter().zip(base).map(|(weight, (_, share))| weight * share[at]).sum()
}

#[cfg(test)]
mod tests;
