//! Sumcheck with committed messages: a claim about the squares of a committed vector becomes one about one value.
//!
//! Let w be a vector of 2^ν scalars, read as its multilinear extension in ν variables (the first variable is the top bit
//! of the index). The prover holds w; the verifier holds a commitment `K_0` to the claimed sum over the cube of a
//! [`Summand`]. In round i the prover commits to the coefficients of
//!
//! ```text
//! t_i(X) = t_0 + t_1·X + t_2·X² = Σ_x' eq(τ_{>i}, x')·q(r_{<i}, X, x')
//! ```
//!
//! with `T_1 = Com(t_1)` and `T_2 = Com(t_2)` alone. The claim about the previous round *defines* t_0: from
//! `α·t(0) + β·t(1) = c` follows `t_0 = (c − β·(t_1 + t_2))/(α + β)`, where (α, β) is `(1 − τ_i, τ_i)` for a zero check,
//! whose factor `eq(τ_i, X)` is split off, so that messages have degree 2 and not 3 (Gruen, *Some improvements for the
//! PIOP for ZeroCheck*, 2024), and (1, 1) for a plain sum. With the challenge r_i both sides derive a commitment to
//! the next claim `c_i = t_i(r_i)`:
//!
//! ```text
//! K_i = K_{i−1}/(α + β) + (r_i − β/(α + β))·T_1 + (r_i² − β/(α + β))·T_2
//! ```
//!
//! and after ν rounds `K_ν` commits to `q(r)`, a quadratic function of `w(r)`. No round has a check of its own and no
//! message is in the clear: the commitments hide perfectly (the idea of Cramer and Damgård, 1998, as used in Hyrax: Wahby
//! et al., *Doubly-efficient zkSNARKs without trusted setup*, 2018), so a simulator draws them at random.
//!
//! # Soundness
//!
//! If the claim of round i is false, the polynomial that the commitments define differs from the true t_i (which does
//! satisfy the equation, for the true claim), both have degree ≤ 2, and they agree for at most two of the ℓ values of
//! r_i. So a false first claim survives with probability at most 2ν/ℓ, unless the prover breaks the binding of the
//! commitments.

use core::fmt;

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    group::{Generators, Point, PointError},
    transcript::{Item, Nonces, Transcript},
    wire_struct,
};

/// Bound on the variables of a vector: 2^32 entries are more than any statement commits to.
pub const MAX_VARIABLES: usize = 32;

/// What is summed over the cube.
#[derive(Clone, Debug)]
pub enum Summand {
    /// `eq(τ, x)·(w(x)² − w(x))` with τ: for a random τ the sum is zero iff every entry of w is a bit, but for an error
    /// of ν/ℓ.
    Bits(Vec<Scalar>),
    /// A plain sum: of `w(x)²`, the squared norm, or of whatever quadratic the prover of a delta sums.
    Squares {
        /// ν.
        variables: usize,
    },
}

impl Summand {
    /// Returns ν.
    pub const fn variables(&self) -> usize {
        match self {
            Self::Bits(point) => point.len(),
            Self::Squares { variables } => *variables,
        }
    }

    /// Returns `β/(α + β)` and `1/(α + β)` of every round.
    fn divisions(&self) -> Vec<(Scalar, Scalar)> {
        match self {
            Self::Bits(point) => point.iter().map(|coordinate| (*coordinate, Scalar::ONE)).collect(),
            Self::Squares { variables } => {
                let half = Scalar::from(2u8).invert();
                vec![(half, half); *variables]
            }
        }
    }

    /// Returns κ of `q(x) = w(x)² − κ·w(x)`.
    const fn linear_part(&self) -> Scalar {
        match self {
            Self::Bits(_) => Scalar::ONE,
            Self::Squares { .. } => Scalar::ZERO,
        }
    }

    /// Returns `eq(τ_{>1}, x')`, or 1, for every x' of the cube of ν − 1 variables.
    fn first_weights(&self) -> Vec<Scalar> {
        match self {
            Self::Bits(point) => eq_table(Scalar::ONE, point.get(1..).unwrap_or_default()),
            Self::Squares { variables } => vec![Scalar::ONE; 1 << variables.saturating_sub(1)],
        }
    }

    /// Turns the weights of a round into those of the next.
    fn fold_weights(&self, weights: &mut Vec<Scalar>) {
        let half = weights.len() / 2;
        if matches!(self, Self::Bits(_)) {
            // eq(τ, 0) + eq(τ, 1) = 1: the two halves add up to the table in one variable less.
            let (low, high) = weights.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        }
        weights.truncate(half);
    }
}

/// Returns `factor·eq(point, x)` for every x of the cube, in one pass, with
/// `eq(point, x) = Π_i (point_i·x_i + (1 − point_i)(1 − x_i))`.
pub fn eq_table(factor: Scalar, point: &[Scalar]) -> Vec<Scalar> {
    let mut table = Vec::with_capacity(1 << point.len());
    table.push(factor);
    // From the last variable to the first, so that each new variable is the top bit of the index.
    for coordinate in point.iter().rev() {
        for index in 0..table.len() {
            let high = table[index] * coordinate;
            table[index] -= high;
            table.push(high);
        }
    }
    table
}

/// Commitments to the coefficients of one round's polynomial.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Round {
    /// `T_1`.
    pub(crate) linear: Point,
    /// `T_2`.
    pub(crate) quadratic: Point,
}
wire_struct!(Round { linear, quadratic });

/// The prover's messages, one per variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sumcheck {
    pub(crate) rounds: Vec<Round>,
}
wire_struct!(Sumcheck { rounds[MAX_VARIABLES] });

/// What the prover is left with.
pub struct Remainder {
    /// r.
    pub point: Vec<Scalar>,
    /// `w(r)`. Secret.
    pub evaluation: Scalar,
    /// The blinding of `K_ν`. Secret.
    pub blinding: Scalar,
}

impl Drop for Remainder {
    fn drop(&mut self) {
        self.evaluation.zeroize();
        self.blinding.zeroize();
    }
}

impl fmt::Debug for Remainder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remainder").field("point", &self.point).finish_non_exhaustive()
    }
}

/// What the verifier is left with: `K_ν = claim·K_0 + Σ_i (rounds_i.0·T_{i,1} + rounds_i.1·T_{i,2})`.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// r.
    pub point: Vec<Scalar>,
    /// Coefficient of `K_0`.
    pub claim: Scalar,
    /// Coefficients of the commitments of every round.
    pub rounds: Vec<(Scalar, Scalar)>,
}

impl Sumcheck {
    /// Runs the rounds. `claim_blinding` is the blinding of `K_0`: zero where everybody knows the claim.
    ///
    /// Constant time in the vector, but for its length.
    ///
    /// # Panics
    ///
    /// Panics unless the vector has 2^ν entries.
    pub fn prove(
        transcript: &mut Transcript,
        summand: &Summand,
        mut vector: Zeroizing<Vec<Scalar>>,
        claim_blinding: Scalar,
        nonces: &mut Nonces,
    ) -> (Self, Remainder) {
        assert_eq!(vector.len(), 1 << summand.variables(), "one entry per point of the cube");
        let mut weights = summand.first_weights();
        let mut rounds = Rounds::new(transcript, summand, claim_blinding, nonces);
        for _ in 0..summand.variables() {
            let (linear, quadratic) = round_polynomial(&weights, &vector, summand.linear_part());
            let challenge = rounds.next(linear, quadratic);
            bind(&mut vector, &challenge);
            summand.fold_weights(&mut weights);
        }
        let evaluation = vector.first().copied().expect("2^0 entries are left");
        let (proof, point, blinding) = rounds.finish();
        (proof, Remainder { point, evaluation, blinding })
    }

    /// Returns the points of the messages: `T_{1,1}, T_{1,2}, T_{2,1}, …`.
    ///
    /// # Errors
    ///
    /// Returns a [`PointError`] unless all are points.
    pub fn points(&self) -> Result<Vec<RistrettoPoint>, PointError> {
        self.rounds.iter().flat_map(|round| [round.linear, round.quadratic]).map(|point| point.decompress()).collect()
    }

    /// Returns the number of rounds.
    pub const fn round_count(&self) -> usize {
        self.rounds.len()
    }

    /// Replays the rounds and returns how `K_ν` follows from `K_0` and the messages.
    ///
    /// The caller has checked that there are as many rounds as variables; further ones are ignored.
    pub fn reduce(&self, transcript: &mut Transcript, summand: &Summand) -> Reduction {
        let divisions = summand.divisions();
        let point: Vec<_> = self.rounds.iter().map(|round| round.absorb(transcript)).collect();
        let mut claim = Scalar::ONE;
        let mut rounds: Vec<_> = (divisions.iter().zip(&point).rev())
            .map(|((share, inverse), challenge)| {
                let coefficients = (claim * (challenge - share), claim * (challenge * challenge - share));
                claim *= inverse;
                coefficients
            })
            .collect();
        rounds.reverse();
        Reduction { point, claim, rounds }
    }
}

/// The prover's side of the rounds, for provers that compute the polynomials themselves.
pub(crate) struct Rounds<'a> {
    transcript: &'a mut Transcript,
    nonces: &'a mut Nonces,
    divisions: std::vec::IntoIter<(Scalar, Scalar)>,
    blinding: Scalar,
    point: Vec<Scalar>,
    rounds: Vec<Round>,
}

impl<'a> Rounds<'a> {
    /// Starts before the first round; `claim_blinding` is the blinding of `K_0`.
    pub(crate) fn new(
        transcript: &'a mut Transcript,
        summand: &Summand,
        claim_blinding: Scalar,
        nonces: &'a mut Nonces,
    ) -> Self {
        let divisions = summand.divisions().into_iter();
        Self { transcript, nonces, divisions, blinding: claim_blinding, point: Vec::new(), rounds: Vec::new() }
    }

    /// Commits to the coefficients t_1 and t_2 of this round's polynomial; returns the round's challenge.
    ///
    /// # Panics
    ///
    /// Panics if all variables have had their round.
    pub(crate) fn next(&mut self, linear: Scalar, quadratic: Scalar) -> Scalar {
        let (share, inverse) = self.divisions.next().expect("one round per variable");
        let mut blindings = [self.nonces.next(), self.nonces.next()];
        let commit = |value, blinding| Point::from(Generators::single().commit(&[value], blinding));
        let round = Round { linear: commit(linear, &blindings[0]), quadratic: commit(quadratic, &blindings[1]) };
        let challenge = round.absorb(self.transcript);
        let (of_linear, of_quadratic) = (challenge - share, challenge * challenge - share);
        self.blinding = self.blinding * inverse + of_linear * blindings[0] + of_quadratic * blindings[1];
        blindings.zeroize();
        self.point.push(challenge);
        self.rounds.push(round);
        challenge
    }

    /// Returns the messages, r, and the blinding of `K_ν`.
    ///
    /// # Panics
    ///
    /// Panics if a variable has not had its round.
    pub(crate) fn finish(mut self) -> (Sumcheck, Vec<Scalar>, Scalar) {
        assert!(self.divisions.next().is_none(), "one round per variable");
        let blinding = core::mem::take(&mut self.blinding);
        (Sumcheck { rounds: core::mem::take(&mut self.rounds) }, core::mem::take(&mut self.point), blinding)
    }
}

impl Drop for Rounds<'_> {
    fn drop(&mut self) {
        self.blinding.zeroize();
    }
}

impl Round {
    fn absorb(&self, transcript: &mut Transcript) -> Scalar {
        transcript.absorb(Item::Round, self);
        transcript.challenge(Item::RoundChallenge)
    }
}

/// Returns t_1 and t_2: with `slope = w(1, x') − w(0, x')`, `q = (w_0 + slope·X)² − κ·(w_0 + slope·X)`.
fn round_polynomial(weights: &[Scalar], vector: &[Scalar], linear_part: Scalar) -> (Scalar, Scalar) {
    let (low, high) = vector.split_at(vector.len() / 2);
    let (mut linear, mut quadratic) = (Scalar::ZERO, Scalar::ZERO);
    for ((weight, low), high) in weights.iter().zip(low).zip(high) {
        let slope = high - low;
        let weighted = weight * slope;
        linear += weighted * (low + low - linear_part);
        quadratic += weighted * slope;
    }
    (linear, quadratic)
}

/// Sets the first variable of a multilinear extension.
fn bind(vector: &mut Vec<Scalar>, challenge: &Scalar) {
    let half = vector.len() / 2;
    let (low, high) = vector.split_at_mut(half);
    low.iter_mut().zip(high).for_each(|(low, high)| *low += challenge * (*high - *low));
    vector.truncate(half);
}

#[cfg(test)]
mod tests;
