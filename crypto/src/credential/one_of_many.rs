//! One-out-of-many: a commitment to zero stands at a secret position of a ring.
//!
//! ```text
//! { (P_0..P_{N−1}, Q; k, r) : P_k − Q = −r·H },  N = n^m
//! ```
//!
//! The n-ary form (Bootle, Cerulli, Chaidos, Ghadafi, Groth, Petit, *Short accountable ring signatures based on DDH*,
//! 2015) of the protocol of Groth and Kohlweiss (2015). Let δ_{j,i} say whether digit j of k is i. The prover commits
//! to all δ and to masks a with `Σ_i a_{j,i} = 0`, and after the challenge x shows `f_{j,i} = δ_{j,i}·x + a_{j,i}`. Then
//! `p_i(x) = Π_j f_{j,i_j}` has degree m in x for i = k only, and
//! `Σ_i p_i(x)·P_i = x^m·P_k + (lower powers)`, whose lower powers the `X_t` take away.
//!
//! Digit entry (j, i) is committed with generator `D_{j·n+i}`; the base of all blindings is H, that of a leaf's.

use core::iter;

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar, traits::MultiscalarMul as _};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::{
    batch::{Batch, Equation},
    credential::{
        CredentialError, expect_length,
        ring::{Ring, Shape},
    },
    group::{Base, Point},
    transcript::Nonces,
    wire_struct,
};

/// Most digits of a position.
const MAX_DIGITS: usize = 5;
/// Most responses: m·(n − 1) at the largest shape.
const MAX_RESPONSES: usize = 28;

/// The first message of a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MembershipCommitments {
    /// `A = Com(a)`.
    pub masks: Point,
    /// `B = Com(δ)`.
    pub digits: Point,
    /// `C = Com(a·(1 − 2δ))`, entry by entry.
    pub products: Point,
    /// `D = Com(−a²)`, entry by entry.
    pub squares: Point,
    /// `X_t = Σ_i p_{i,t}·P_i + r_t·H` for t < m, where p_{i,t} is the coefficient of x^t in p_i.
    pub lower: Vec<Point>,
}
wire_struct!(MembershipCommitments { masks, digits, products, squares, lower[MAX_DIGITS] });

/// A proof that one of a ring's points differs from another point by a multiple of H.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OneOfMany {
    /// What is committed to before the challenge.
    pub commitments: MembershipCommitments,
    /// `f_{j,i}` for i ≥ 1, digit by digit; `f_{j,0} = x − Σ_{i≥1} f_{j,i}`.
    pub digits: Vec<Scalar>,
    /// `z_A = r_B·x + r_A`.
    pub digit_blinding: Scalar,
    /// `z_C = r_C·x + r_D`.
    pub product_blinding: Scalar,
    /// `z = −r·x^m − Σ_t r_t·x^t`.
    pub blinding: Scalar,
}
wire_struct!(OneOfMany { commitments, digits[MAX_RESPONSES], digit_blinding, product_blinding, blinding });

/// A prover between its first message and the challenge.
pub(super) struct Prover {
    shape: Shape,
    /// δ_{j,i}, digit by digit.
    digits: Zeroizing<Vec<Scalar>>,
    /// a_{j,i}, digit by digit.
    masks: Zeroizing<Vec<Scalar>>,
    /// r_A, r_B, r_C, r_D.
    blindings: Zeroizing<[Scalar; 4]>,
    /// r_t.
    lower: Zeroizing<Vec<Scalar>>,
}

impl Prover {
    /// Commits to `position` of `ring`. The time depends on the ring's shape alone.
    pub(super) fn commit(ring: &Ring, position: usize, nonces: &mut Nonces) -> (Self, MembershipCommitments) {
        let shape = ring.shape();
        let position = u32::try_from(position).expect("a ring has at most 4,096 positions");
        let digits = Zeroizing::new(digits(shape, position));
        let masks = Zeroizing::new(masks(shape, nonces));
        let prover = Self {
            shape,
            digits,
            masks,
            blindings: Zeroizing::new(core::array::from_fn(|_| nonces.next())),
            lower: Zeroizing::new((0..shape.digits()).map(|_| nonces.next()).collect()),
        };
        let commitments = prover.commitments(ring);
        (prover, commitments)
    }

    fn commitments(&self, ring: &Ring) -> MembershipCommitments {
        let [mask_blinding, digit_blinding, product_blinding, square_blinding] = &*self.blindings;
        let entries = || self.masks.iter().zip(self.digits.iter());
        let product = |(mask, digit): (&Scalar, &Scalar)| mask * (Scalar::ONE - (digit + digit));
        let products = Zeroizing::new(entries().map(product).collect::<Vec<_>>());
        let squares = Zeroizing::new(self.masks.iter().map(|mask| -(mask * mask)).collect::<Vec<_>>());
        let coefficients = coefficients(self.shape, &self.digits, &self.masks);
        let blinding_base = Base::LeafBlinding.point();
        let lower = self.lower.iter().enumerate().map(|(power, blinding)| {
            let scalars = coefficients.chunks_exact(self.shape.digits() + 1).map(|polynomial| &polynomial[power]);
            // `chain` keeps the exact lengths that the multiplication compares.
            Point::from(RistrettoPoint::multiscalar_mul(
                scalars.chain(iter::once(blinding)),
                ring.points().iter().chain(iter::once(&blinding_base)),
            ))
        });
        MembershipCommitments {
            masks: commit(&self.masks, mask_blinding),
            digits: commit(&self.digits, digit_blinding),
            products: commit(&products, product_blinding),
            squares: commit(&squares, square_blinding),
            lower: lower.collect(),
        }
    }

    /// Answers the challenge, where the ring's point at the position is `Q − r·H`.
    pub(super) fn respond(self, commitments: MembershipCommitments, challenge: &Scalar, r: &Scalar) -> OneOfMany {
        let [mask_blinding, digit_blinding, product_blinding, square_blinding] = &*self.blindings;
        let response = |index: usize| self.digits[index] * challenge + self.masks[index];
        let shown = (0..self.digits.len()).filter(|index| index % self.shape.base() != 0);
        let mut power = Scalar::ONE;
        let mut blinding = Zeroizing::new(Scalar::ZERO);
        for lower in self.lower.iter() {
            *blinding -= lower * power;
            power *= challenge;
        }
        OneOfMany {
            commitments,
            digits: shown.map(response).collect(),
            digit_blinding: digit_blinding * challenge + mask_blinding,
            product_blinding: product_blinding * challenge + square_blinding,
            blinding: *blinding - r * power,
        }
    }
}

/// δ_{j,i}, without a branch or an index that depends on the position.
fn digits(shape: Shape, position: u32) -> Vec<Scalar> {
    let bit = |is: Choice| Scalar::conditional_select(&Scalar::ZERO, &Scalar::ONE, is);
    // Never grown, so that no copy of it stays behind.
    let mut digits = Vec::with_capacity(shape.digits() * shape.base());
    for j in 0..shape.digits() {
        let digit = shape.digit(position, j);
        digits.extend((0..).take(shape.base()).map(|i: u32| bit(digit.ct_eq(&i))));
    }
    digits
}

/// a_{j,i}: random for i ≥ 1, and `a_{j,0} = −Σ_{i≥1} a_{j,i}`.
fn masks(shape: Shape, nonces: &mut Nonces) -> Vec<Scalar> {
    let mut masks = Vec::with_capacity(shape.digits() * shape.base());
    for _ in 0..shape.digits() {
        let first = masks.len();
        masks.push(Scalar::ZERO);
        for _ in 1..shape.base() {
            let mask = nonces.next();
            masks[first] -= mask;
            masks.push(mask);
        }
    }
    masks
}

/// The m + 1 coefficients of every `p_i(x) = Π_j (δ_{j,i_j}·x + a_{j,i_j})`, lowest first, position by position.
///
/// A tree from the most significant digit: one multiplication by a linear factor for each node.
fn coefficients(shape: Shape, digits: &[Scalar], masks: &[Scalar]) -> Zeroizing<Vec<Scalar>> {
    let mut level = Zeroizing::new(vec![Scalar::ONE]);
    for (degree, j) in (0..shape.digits()).rev().enumerate() {
        let factors = j * shape.base()..(j + 1) * shape.base();
        let mut next = Zeroizing::new(Vec::with_capacity(level.len() / (degree + 1) * shape.base() * (degree + 2)));
        for polynomial in level.chunks_exact(degree + 1) {
            for (mask, digit) in masks[factors.clone()].iter().zip(&digits[factors.clone()]) {
                let is = digit.ct_eq(&Scalar::ONE);
                let mut carried = Scalar::ZERO;
                for coefficient in polynomial {
                    next.push(mask * coefficient + carried);
                    carried = Scalar::conditional_select(&Scalar::ZERO, coefficient, is);
                }
                next.push(carried);
            }
        }
        level = next;
    }
    level
}

/// `Σ values_i·D_i + blinding·H`. Constant time.
fn commit(values: &[Scalar], blinding: &Scalar) -> Point {
    let bases = (0..).take(values.len()).map(|entry| Base::RingDigit(entry).point());
    let scalars = values.iter().chain(iter::once(blinding));
    RistrettoPoint::multiscalar_mul(scalars, bases.chain(iter::once(Base::LeafBlinding.point()))).into()
}

/// The points of a proof's commitments.
pub(super) struct Decompressed {
    masks: RistrettoPoint,
    digits: RistrettoPoint,
    products: RistrettoPoint,
    squares: RistrettoPoint,
    lower: Vec<RistrettoPoint>,
}

impl OneOfMany {
    /// Checks the proof's form for a ring, and decompresses its points.
    pub(super) fn decompress(&self, ring: &Ring) -> Result<Decompressed, CredentialError> {
        let shape = ring.shape();
        expect_length("commitments of membership", shape.digits(), self.commitments.lower.len())?;
        expect_length("responses of membership", shape.digits() * (shape.base() - 1), self.digits.len())?;
        let point = |point: &Point| {
            point.decompress().map_err(|error| CredentialError::Point { what: "commitment of membership", error })
        };
        Ok(Decompressed {
            masks: point(&self.commitments.masks)?,
            digits: point(&self.commitments.digits)?,
            products: point(&self.commitments.products)?,
            squares: point(&self.commitments.squares)?,
            lower: self.commitments.lower.iter().map(point).collect::<Result<_, _>>()?,
        })
    }

    /// Adds the three equations to `batch`, where point `target` of it is Q.
    pub(super) fn verify(
        &self,
        points: Decompressed,
        ring: &Ring,
        target: usize,
        challenge: &Scalar,
        batch: &mut Batch,
    ) {
        let factors = self.factors(ring.shape(), challenge);
        // Com(f; z_A) − x·B − A = 0
        let digits = batch.equation(Equation::RingDigits);
        // Com(f·(x − f); z_C) − x·C − D = 0
        let products = batch.equation(Equation::RingProducts);
        for (entry, factor) in (0..).zip(&factors) {
            batch.add_fixed(digits, Base::RingDigit(entry), *factor);
            batch.add_fixed(products, Base::RingDigit(entry), factor * (challenge - factor));
        }
        batch.add_fixed(digits, Base::LeafBlinding, self.digit_blinding);
        batch.add_point(digits, points.digits, -challenge);
        batch.add_point(digits, points.masks, -Scalar::ONE);
        batch.add_fixed(products, Base::LeafBlinding, self.product_blinding);
        batch.add_point(products, points.products, -challenge);
        batch.add_point(products, points.squares, -Scalar::ONE);

        // Σ_i p_i(x)·P_i − x^m·Q − Σ_t x^t·X_t − z·H = 0
        let members = batch.equation(Equation::RingMember);
        add_products(ring.shape(), &factors, members.0, batch.shared(ring.shared()));
        let mut power = Scalar::ONE;
        for lower in points.lower {
            batch.add_point(members, lower, -power);
            power *= challenge;
        }
        batch.add(members, target, -power);
        batch.add_fixed(members, Base::LeafBlinding, -self.blinding);
    }

    /// f_{j,i} for all i, digit by digit.
    fn factors(&self, shape: Shape, challenge: &Scalar) -> Vec<Scalar> {
        let mut factors = Vec::with_capacity(shape.digits() * shape.base());
        for shown in self.digits.chunks_exact(shape.base() - 1) {
            factors.push(challenge - shown.iter().sum::<Scalar>());
            factors.extend(shown);
        }
        factors
    }
}

/// Adds `weight·Π_j f_{j,i_j}` to the sum of every position i.
///
/// A tree from the most significant digit: N + N/n + N/n² + … multiplications instead of N·m.
fn add_products(shape: Shape, factors: &[Scalar], weight: Scalar, sums: &mut [Scalar]) {
    let (last, others) = factors.split_at(shape.base());
    let mut level = vec![weight];
    for factors in others.chunks_exact(shape.base()).rev() {
        level = level.iter().flat_map(|product| factors.iter().map(move |factor| product * factor)).collect();
    }
    for (product, sums) in level.iter().zip(sums.chunks_exact_mut(shape.base())) {
        for (factor, sum) in last.iter().zip(sums) {
            *sum += product * factor;
        }
    }
}

#[cfg(test)]
mod tests;
