//! Verification of many equations at once.
//!
//! Every equation a verifier checks has the form `Σ k_i·P_i = 0`. A [`Batch`] multiplies each by its own random
//! 128-bit weight and adds them all up: one multi-scalar multiplication, in which a point that several equations
//! mention stands once, and a generator or a point of a ring stands once for all contributions. If any equation is false, the sum is zero
//! with probability at most 2^-128 over the weights (Bellare, Garay, Rabin, *Fast batch verification*, 1998, §3).
//!
//! # Security
//!
//! The weights must be unknown to whoever made the proofs when they were made: seed a batch with fresh randomness, or
//! with a hash of everything it verifies.

use core::fmt;
use std::{collections::BTreeMap, sync::Arc};

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar, traits::VartimeMultiscalarMul as _};

use crate::{
    domain,
    group::{Base, is_identity},
    hash::{Digest, Stream},
};

/// Many points that many equations refer to, such as those of a ring. A batch holds one copy of them, and batches that
/// are merged add up their coefficients.
///
/// # Correctness
///
/// Equal ids must mean equal points: the id is a digest that determines every one of them.
#[derive(Debug)]
pub struct SharedPoints {
    id: Digest,
    points: Vec<RistrettoPoint>,
}

impl SharedPoints {
    /// Names points by a digest that determines them.
    pub fn new(id: Digest, points: Vec<RistrettoPoint>) -> Self {
        Self { id, points }
    }

    /// Returns the id.
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// Returns the points.
    pub fn points(&self) -> &[RistrettoPoint] {
        &self.points
    }
}

/// What an equation says: for a verifier that names the one that does not hold. The letters are those of the README.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
#[non_exhaustive]
pub enum Equation {
    /// The fold of the link opens the fold of the commitments.
    Fold,
    /// The value that the sumcheck came to opens the fold of the rows.
    Value,
    /// The last message of the sumcheck is the square of that value, as the statement asks.
    Square,
    /// The linear relations of the statement hold.
    Zero,
    /// A vector opens the fold of the rows, and its product with the public form is the value.
    Vector,
    /// A linear function of one contribution's rows has the published value.
    Functional,
    /// The holder knows the opening of the leaf.
    Leaf,
    /// The tag is made of the leaf's secret.
    Tag,
    /// The digits of a position in a ring are committed to.
    RingDigits,
    /// Each of these digits is a bit.
    RingProducts,
    /// The re-randomised point is the one at that position.
    RingMember,
    /// The group's tag is made of the leaf's secret.
    GroupTag,
}

impl fmt::Display for Equation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fold => "the link's fold does not open the fold of the commitments",
            Self::Value => "the value of the sumcheck does not open the fold of the rows",
            Self::Square => "the last message of the sumcheck does not fit that value",
            Self::Zero => "a linear relation between rows does not hold",
            Self::Vector => "the vector does not open the fold of the rows",
            Self::Functional => "a linear function of the rows has another value",
            Self::Leaf => "the opening of the leaf is not known",
            Self::Tag => "the tag is not made of the leaf's secret",
            Self::RingDigits => "the digits of the position in the ring are not those committed to",
            Self::RingProducts => "a digit of the position in the ring is no bit",
            Self::RingMember => "the hidden point is not the one at that position of the ring",
            Self::GroupTag => "the group's tag is not made of the leaf's secret",
        })
    }
}

/// Equations between points, to be checked together.
#[derive(Debug)]
pub struct Batch {
    weights: Stream,
    fixed: BTreeMap<Base, Scalar>,
    scalars: Vec<Scalar>,
    points: Vec<RistrettoPoint>,
    shared: BTreeMap<Digest, (Arc<SharedPoints>, Vec<Scalar>)>,
    only: Option<Chosen>,
}

/// The one equation that counts.
#[derive(Debug)]
struct Chosen {
    /// Equations before it.
    before: usize,
    /// What it says, once it was started.
    name: Option<Equation>,
}

/// The weight of one equation. Multiply each coefficient of the equation by it.
#[derive(Clone, Copy, Debug)]
pub struct Weight(pub Scalar);

impl Batch {
    /// Starts a batch whose weights follow from `seed`.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self {
            weights: Stream::new(domain::BATCH, seed),
            fixed: BTreeMap::new(),
            scalars: Vec::new(),
            points: Vec::new(),
            shared: BTreeMap::new(),
            only: None,
        }
    }

    /// Starts a new equation and returns its weight.
    pub fn equation(&mut self, name: Equation) -> Weight {
        if let Some(chosen) = &mut self.only {
            let is_chosen = chosen.before == 0;
            if is_chosen {
                chosen.name = Some(name);
            }
            // After the chosen one it wraps, and is not zero again.
            chosen.before = chosen.before.wrapping_sub(1);
            return Weight(Scalar::from(u8::from(is_chosen)));
        }
        Weight(self.weights.next_weight())
    }

    /// Starts a batch in which one equation alone counts, the others having weight zero: which of several is false?
    pub fn only(equation: usize) -> Self {
        Self { only: Some(Chosen { before: equation, name: None }), ..Self::new(&[0; 32]) }
    }

    /// Returns what the one equation that [counts](Self::only) says, if there have been so many.
    pub fn chosen(&self) -> Option<Equation> {
        self.only.as_ref().and_then(|chosen| chosen.name)
    }

    /// Adds points that equations can refer to; returns the index of the first.
    pub fn insert(&mut self, points: impl IntoIterator<Item = RistrettoPoint>) -> usize {
        let first = self.points.len();
        self.points.extend(points);
        self.scalars.resize(self.points.len(), Scalar::ZERO);
        first
    }

    /// Adds `weight · coefficient · points[index]`.
    ///
    /// # Panics
    ///
    /// Panics if no point was inserted at `index`.
    pub fn add(&mut self, weight: Weight, index: usize, coefficient: Scalar) {
        self.scalars[index] += weight.0 * coefficient;
    }

    /// Adds `coefficient · points[index]`, where the coefficient has its equations' weights in it already.
    ///
    /// # Panics
    ///
    /// Panics if no point was inserted at `index`.
    pub fn add_weighted(&mut self, index: usize, coefficient: Scalar) {
        self.scalars[index] += coefficient;
    }

    /// Adds `weight · coefficient · base`.
    pub fn add_fixed(&mut self, weight: Weight, base: Base, coefficient: Scalar) {
        *self.fixed.entry(base).or_insert(Scalar::ZERO) += weight.0 * coefficient;
    }

    /// Adds `weight · coefficient · point` for a point that no other equation mentions.
    pub fn add_point(&mut self, weight: Weight, point: RistrettoPoint, coefficient: Scalar) {
        let index = self.insert([point]);
        self.add(weight, index, coefficient);
    }

    /// Returns the coefficients of shared points, in the points' order, to add to: with the equations' weights in them.
    ///
    /// # Panics
    ///
    /// Panics if another number of points has been shared under the same id.
    pub fn shared(&mut self, points: &Arc<SharedPoints>) -> &mut [Scalar] {
        let count = points.points.len();
        let fresh = || (Arc::clone(points), vec![Scalar::ZERO; count]);
        let (_, coefficients) = self.shared.entry(points.id).or_insert_with(fresh);
        assert_eq!(coefficients.len(), count, "an id determines its points");
        coefficients
    }

    /// Adds all equations of another batch, which must have been started from another seed.
    pub fn merge(&mut self, other: Self) {
        for (base, scalar) in other.fixed {
            *self.fixed.entry(base).or_insert(Scalar::ZERO) += scalar;
        }
        self.scalars.extend(other.scalars);
        self.points.extend(other.points);
        for (points, coefficients) in other.shared.into_values() {
            for (sum, coefficient) in self.shared(&points).iter_mut().zip(coefficients) {
                *sum += coefficient;
            }
        }
    }

    /// Takes the negated point wherever the negated coefficient is short: a small negative number is a long scalar, and
    /// a short one takes half as many additions. Openings of linear functions have many.
    fn shorten(&mut self) {
        for (scalar, point) in self.scalars.iter_mut().zip(&mut self.points) {
            let negated = -*scalar;
            if is_short(&negated) {
                *scalar = negated;
                *point = -*point;
            }
        }
    }

    /// Returns whether all equations hold.
    #[must_use]
    pub fn verify(mut self) -> bool {
        self.shorten();
        let (bases, fixed): (Vec<_>, Vec<_>) = self.fixed.iter().map(|(base, scalar)| (base.point(), *scalar)).unzip();
        let shared = || self.shared.values();
        let scalars: Vec<_> =
            fixed.iter().chain(&self.scalars).chain(shared().flat_map(|(_, scalars)| scalars)).collect();
        let points: Vec<_> =
            bases.iter().chain(&self.points).chain(shared().flat_map(|(points, _)| &points.points)).collect();
        is_identity(&RistrettoPoint::vartime_multiscalar_mul(scalars, points))
    }
}

/// Whether a scalar is below 2^192: a weight of 128 bits times a coefficient of an integer's length.
fn is_short(scalar: &Scalar) -> bool {
    scalar.as_bytes().get(24..).is_some_and(|top| top.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_negative_coefficients_count_as_what_they_are() {
        let point = Base::Blinding.point() * Scalar::from(6u8);
        let batch = |third: u64| {
            let mut batch = Batch::new(&[1; 32]);
            let weight = batch.equation(Equation::Fold);
            let first = batch.insert([point, point, Base::Column(0).point()]);
            batch.add(weight, first, -Scalar::from(5u8));
            batch.add(weight, first + 1, Scalar::from(5u8));
            batch.add(weight, first + 2, -Scalar::from(third));
            batch
        };

        assert!(batch(0).verify());
        assert!(!batch(1).verify());
        let mut shortened = batch(0);
        shortened.shorten();
        assert!(shortened.scalars.iter().all(is_short));
        assert_eq!(shortened.points[..2], [-point, point]);
    }

    #[test]
    fn the_one_equation_that_counts_is_named_and_the_others_are_not_looked_at() {
        let batch = |equation: usize| {
            let mut batch = Batch::only(equation);
            for (name, left) in [(Equation::Fold, 0u64), (Equation::Leaf, 1), (Equation::Tag, 0)] {
                let weight = batch.equation(name);
                batch.add_fixed(weight, Base::Blinding, Scalar::from(left));
            }
            (batch.chosen(), batch.verify())
        };

        assert_eq!(batch(0), (Some(Equation::Fold), true));
        assert_eq!(batch(1), (Some(Equation::Leaf), false));
        assert_eq!(batch(2), (Some(Equation::Tag), true));
        assert_eq!(batch(3).0, None);
    }

    fn batch_with(error: u64) -> Batch {
        let mut batch = Batch::new(&[1; 32]);
        let point = Base::Blinding.point() * Scalar::from(6u8);
        for factor in [2u64, 3] {
            let weight = batch.equation(Equation::Fold);
            batch.add_fixed(weight, Base::Blinding, Scalar::from(6 * factor + error));
            batch.add_point(weight, point, -Scalar::from(factor));
        }
        batch
    }

    #[test]
    fn a_batch_holds_iff_all_equations_hold() {
        assert!(batch_with(0).verify());
        assert!(!batch_with(1).verify());
    }

    #[test]
    fn merged_batches_add_up_the_coefficients_of_shared_points() {
        let shared = Arc::new(SharedPoints::new([7; 32], vec![Base::Column(0).point(), Base::Blinding.point()]));
        let batch = |seed: u8, error: u64| {
            let mut batch = Batch::new(&[seed; 32]);
            let weight = batch.equation(Equation::Fold);
            batch.shared(&shared)[1] += weight.0 * Scalar::from(5u8);
            batch.add_fixed(weight, Base::Blinding, -Scalar::from(5 + error));
            batch
        };

        let mut merged = batch(1, 0);
        merged.merge(batch(2, 0));

        assert_eq!(merged.shared.len(), 1);
        assert!(merged.verify());
        for (first, second) in [(1, 0), (0, 1)] {
            let mut merged = batch(1, first);
            merged.merge(batch(2, second));
            assert!(!merged.verify());
        }
    }

    #[test]
    fn opposite_errors_in_two_equations_do_not_cancel() {
        let mut batch = Batch::new(&[2; 32]);
        for error in [Scalar::ONE, -Scalar::ONE] {
            let weight = batch.equation(Equation::Fold);
            batch.add_fixed(weight, Base::Blinding, error);
        }

        assert!(!batch.verify());
    }
}
