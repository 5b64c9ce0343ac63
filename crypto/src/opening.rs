//! What a sumcheck ends in: one Σ-protocol for a committed square and a commitment to zero.
//!
//! With `G = G₀` and the blinding base `B'`, a [`Proof`] shows
//!
//! ```text
//! { (W, Q, Z; v, ρ_W, ρ_Q, ρ_Z) :  W = v·G + ρ_W·B'  ∧  Q = v²·G + ρ_Q·B'  ∧  Z = ρ_Z·B' }
//! ```
//!
//! The square is shown as `Q = v·W + (ρ_Q − v·ρ_W)·B'`: a statement that is linear in the secrets once W is public
//! (Cramer, Damgård, *Zero-knowledge proofs for finite field arithmetic*, 1998). All three parts share one
//! challenge, so they hold for one and the same v, and two accepting answers to one announcement yield the secrets.
//!
//! [`VectorProof`] shows that a commitment holds a linear function of a committed vector: what the evaluation of a matrix
//! whose rows are committed to comes down to.

mod vector;

pub use vector::{Halving, Owed as VectorOwed, Points as VectorPoints, VectorProof};

use core::fmt;

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    batch::{Batch, Equation, Weight},
    group::{Base, Generators, Point, PointError},
    transcript::{Item, Nonces, Transcript},
    wire_struct,
};

/// The secrets of a [`Proof`].
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Opening {
    /// v: what W commits to.
    pub value: Scalar,
    /// ρ_W.
    pub blinding: Scalar,
    /// ρ_Q.
    pub square_blinding: Scalar,
    /// ρ_Z.
    pub zero_blinding: Scalar,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

/// Proof that Q commits to the square of what W commits to, and that Z commits to zero.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// `A = a·G + α·B'`.
    pub(crate) value: Point,
    /// `A' = a·W + β·B'`.
    pub(crate) square: Point,
    /// `A″ = δ·B'`.
    pub(crate) zero: Point,
    /// `z = a + e·v`.
    pub(crate) value_response: Scalar,
    /// `z₁ = α + e·ρ_W`.
    pub(crate) blinding_response: Scalar,
    /// `z₂ = β + e·(ρ_Q − v·ρ_W)`.
    pub(crate) square_response: Scalar,
    /// `z₃ = δ + e·ρ_Z`.
    pub(crate) zero_response: Scalar,
}
wire_struct!(Proof { value, square, zero, value_response, blinding_response, square_response, zero_response });

/// What a verifier still has to add to the batch for the equations of a [`Proof`] to be complete:
/// `value·W + square·Q + zero·Z`, with these as weights.
#[derive(Clone, Copy, Debug)]
#[must_use = "the equations are incomplete without these terms"]
pub struct Owed {
    /// Multiplier of W.
    pub value: Weight,
    /// Multiplier of Q.
    pub square: Weight,
    /// Multiplier of Z.
    pub zero: Weight,
}

impl Proof {
    /// Makes the proof. Constant time in the secrets.
    pub fn prove(transcript: &mut Transcript, opening: &Opening, nonces: &mut Nonces) -> Self {
        let generators = Generators::single();
        let [mut a, mut alpha, mut beta, mut delta] = core::array::from_fn(|_| nonces.next());
        let value = Point::from(generators.commit(&[a], &alpha));
        // a·W + β·B' = (a·v)·G + (a·ρ_W + β)·B', from the fixed tables.
        let square = Point::from(generators.commit(&[a * opening.value], &(a * opening.blinding + beta)));
        let zero = Point::from(generators.blind(&delta));
        let challenge = announce(transcript, &[value, square, zero]);
        let proof = Self {
            value,
            square,
            zero,
            value_response: a + challenge * opening.value,
            blinding_response: alpha + challenge * opening.blinding,
            square_response: beta + challenge * (opening.square_blinding - opening.value * opening.blinding),
            zero_response: delta + challenge * opening.zero_blinding,
        };
        proof.absorb_responses(transcript);
        [&mut a, &mut alpha, &mut beta, &mut delta].into_iter().for_each(Zeroize::zeroize);
        proof
    }

    /// Returns the announced points `A`, `A'`, `A″`.
    ///
    /// # Errors
    ///
    /// Returns a [`PointError`] unless all are points.
    pub fn announced(&self) -> Result<[RistrettoPoint; 3], PointError> {
        Ok([self.value.decompress()?, self.square.decompress()?, self.zero.decompress()?])
    }

    /// Adds the three equations, less their terms in W, Q and Z, which are the caller's to add:
    ///
    /// ```text
    /// z·G + z₁·B' − A  − e·W         = 0
    ///       z₂·B' − A' − e·Q + z·W   = 0
    ///       z₃·B' − A″ − e·Z         = 0
    /// ```
    ///
    /// `announced` is the result of [`announced`](Self::announced).
    pub fn verify(&self, transcript: &mut Transcript, announced: [RistrettoPoint; 3], batch: &mut Batch) -> Owed {
        let challenge = announce(transcript, &[self.value, self.square, self.zero]);
        self.absorb_responses(transcript);
        let responses = [self.blinding_response, self.square_response, self.zero_response];
        let weights: [Weight; 3] = [Equation::Value, Equation::Square, Equation::Zero].map(|name| batch.equation(name));
        for ((weight, point), response) in weights.into_iter().zip(announced).zip(responses) {
            batch.add_point(weight, point, -Scalar::ONE);
            batch.add_fixed(weight, Base::Blinding, response);
        }
        let [value, square, zero] = weights;
        batch.add_fixed(value, Base::Column(0), self.value_response);
        Owed {
            value: Weight(square.0 * self.value_response - value.0 * challenge),
            square: Weight(-(square.0 * challenge)),
            zero: Weight(-(zero.0 * challenge)),
        }
    }

    fn absorb_responses(&self, transcript: &mut Transcript) {
        transcript.absorb_seq(
            Item::Response,
            &[self.value_response, self.blinding_response, self.square_response, self.zero_response],
        );
    }
}

fn announce(transcript: &mut Transcript, announcements: &[Point; 3]) -> Scalar {
    transcript.absorb_seq(Item::Announcement, announcements);
    transcript.challenge(Item::Challenge)
}
