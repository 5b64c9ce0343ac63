//! One linear function of a committed vector, opened into a commitment.
//!
//! ```text
//! { (P, E, a; p, ρ_P, v, ρ_E) :  P = ⟨p, G⟩ + ρ_P·B'  ∧  E = v·G₀ + ρ_E·B'  ∧  v = ⟨a, p⟩ }
//! ```
//!
//! A Σ-protocol, compressed (Attema, Cramer, *Compressed Σ-protocol theory*, 2020):
//!
//! 1. The prover commits to a random vector m, `A = ⟨m, G⟩ + μ·B'`, and to its value, `T = ⟨a, m⟩·G₀ + τ·B'`. With the challenge
//!    e, `z = m + e·p` is uniform: it could be sent. `y = ⟨a, z⟩` and `z_ρ = μ + e·ρ_P` are.
//! 2. Instead of z, the prover shows that it knows one with `⟨z, G⟩ = A + e·P − z_ρ·B'` and `⟨a, z⟩ = y`, by halves: with
//!    `Q = ⟨z, G⟩ + ⟨a, z⟩·ξJ`, ξ drawn after y, it sends `L = ⟨z_l, G_h⟩ + ⟨a_h, z_l⟩·ξJ` and
//!    `R = ⟨z_h, G_l⟩ + ⟨a_l, z_h⟩·ξJ`, and with the challenge x both go on with
//!    `z′ = z_l + x·z_h`, `G′ = x·G_l + G_h`, `a′ = x·a_l + a_h`, `Q′ = L + x·Q + x²·R`, until at most four entries
//!    are left, which are sent. (Four entries are as long as two more halvings and one entry.)
//! 3. `T + e·E − y·G₀` commits to zero. That is left to the caller: see [`Proof`](super::Proof).
//!
//! Nothing after step 1 needs hiding, and nothing there is constant time. J is a generator of its own, for G₀ is one of
//! the columns.
//!
//! # Soundness
//!
//! Answers to three challenges x open a Q from openings of Q′ (the matrix with rows 1, x, x² is invertible), as
//! `⟨z, G⟩ + y′·ξJ`, with y′ = ⟨a, z⟩ or else a relation between the generators; two ξ show that y′ = y. Two challenges e
//! give `p = (z − z̄)/(e − ē)` and ρ_P, and, with 3, an opening of E as `(y − ȳ)/(e − ē) = ⟨a, p⟩`.

use curve25519_dalek::{
    ristretto::RistrettoPoint,
    scalar::Scalar,
    traits::{Identity as _, VartimeMultiscalarMul as _},
};
use zeroize::Zeroizing;

use crate::{
    batch::{Batch, Equation, Weight},
    field::{Field, inner_product},
    group::{Base, Generators, Point, PointError},
    sumcheck::MAX_VARIABLES,
    transcript::{Item, Nonces, Transcript},
    wire_struct,
};

/// Entries that are sent rather than halved.
const LAST: usize = 4;

/// One halving.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Halving {
    /// L.
    pub(crate) left: Point,
    /// R.
    pub(crate) right: Point,
}
wire_struct!(Halving { left, right });

/// Proof that E commits to a linear function of what P commits to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VectorProof {
    /// A.
    pub(crate) vector: Point,
    /// T.
    pub(crate) value: Point,
    /// y.
    pub(crate) response: Scalar,
    /// z_ρ.
    pub(crate) blinding_response: Scalar,
    /// L and R of every halving.
    pub(crate) halvings: Vec<Halving>,
    /// The entries of z that are left.
    pub(crate) last: Vec<Scalar>,
}
wire_struct!(VectorProof { vector, value, response, blinding_response, halvings[MAX_VARIABLES], last[LAST] });

/// The points of a [`VectorProof`], decoded.
#[derive(Clone, Debug)]
pub struct Points {
    vector: RistrettoPoint,
    value: RistrettoPoint,
    halvings: Vec<[RistrettoPoint; 2]>,
}

/// What a verifier still has to add to the batch: `commitment·P`, and that `T + e·E − y·G₀` commits to zero.
#[derive(Clone, Copy, Debug)]
#[must_use = "the equations are incomplete without these terms"]
pub struct Owed {
    /// Multiplier of P.
    pub commitment: Weight,
    /// T.
    pub value: RistrettoPoint,
    /// e.
    pub challenge: Scalar,
    /// y.
    pub response: Scalar,
}

impl VectorProof {
    /// Makes the proof; returns it with the blinding of `T + e·E − y·G₀`. `blindings` are ρ_P and ρ_E.
    ///
    /// Constant time in the secrets, but for the vector's length.
    ///
    /// # Panics
    ///
    /// Panics unless `form`, `vector` and `generators` have the same length.
    pub fn prove(
        transcript: &mut Transcript,
        generators: &Generators,
        form: &[Field],
        vector: &[Field],
        blindings: [&Scalar; 2],
        nonces: &mut Nonces,
    ) -> (Self, Scalar) {
        assert_eq!((form.len(), vector.len()), (generators.columns(), generators.columns()), "one entry per column");
        let masks: Zeroizing<Vec<_>> = Zeroizing::new(vector.iter().map(|_| nonces.next()).collect());
        let (mask_blinding, value_blinding) = (Zeroizing::new(nonces.next()), Zeroizing::new(nonces.next()));
        let announced = Point::from(generators.commit(&masks, &mask_blinding));
        let mut response = Zeroizing::new(Field::from_scalars(&masks));
        let value = Zeroizing::new(Scalar::from(inner_product(form, &response)));
        let value = Point::from(Generators::single().commit(&[*value], &value_blinding));
        let challenge = announce(transcript, announced, value);

        let factor = Field::from(challenge);
        response.iter_mut().zip(vector).for_each(|(mask, entry)| *mask += factor * *entry);
        let [blinding, evaluation_blinding] = blindings;
        let blinding_response = *mask_blinding + challenge * blinding;
        let value_response = Scalar::from(inner_product(form, &response));
        let scale = respond(transcript, &value_response, &blinding_response);
        let folded = Folding::new(generators, form, &response, scale).run(transcript);
        let proof = Self {
            vector: announced,
            value,
            response: value_response,
            blinding_response,
            halvings: folded.0,
            last: folded.1,
        };
        transcript.absorb_seq(Item::Response, &proof.last);
        (proof, *value_blinding + challenge * evaluation_blinding)
    }

    /// Returns the points.
    ///
    /// # Errors
    ///
    /// Returns a [`PointError`] unless all are points.
    pub fn points(&self) -> Result<Points, PointError> {
        let pair = |halving: &Halving| Ok([halving.left.decompress()?, halving.right.decompress()?]);
        Ok(Points {
            vector: self.vector.decompress()?,
            value: self.value.decompress()?,
            halvings: self.halvings.iter().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// Returns how many halvings and last entries a vector of `length` entries has.
    pub fn lengths(length: usize) -> (usize, usize) {
        let halvings = length.next_power_of_two().ilog2().saturating_sub(LAST.ilog2());
        (halvings as usize, length.min(LAST))
    }

    /// Adds the equation of step 2, less its term in P, which is the caller's to add as is step 3. `points` is the result of
    /// [`points`](Self::points).
    ///
    /// # Panics
    ///
    /// Panics unless the proof has the [`lengths`](Self::lengths) for the form.
    pub fn verify(&self, transcript: &mut Transcript, form: &[Field], points: &Points, batch: &mut Batch) -> Owed {
        assert_eq!((self.halvings.len(), self.last.len()), Self::lengths(form.len()), "checked by the caller");
        let challenge = announce(transcript, self.vector, self.value);
        let scale = respond(transcript, &self.response, &self.blinding_response);
        let challenges: Vec<_> = self.halvings.iter().map(|halving| halving.absorb(transcript)).collect();
        transcript.absorb_seq(Item::Response, &self.last);

        let weight = batch.equation(Equation::Vector);
        // Q_i = L_i + x_i·Q_{i−1} + x_i²·R_i, from the last to the first.
        let mut factor = Scalar::ONE;
        for ([left, right], x) in points.halvings.iter().zip(&challenges).rev() {
            batch.add_point(weight, *left, factor);
            batch.add_point(weight, *right, factor * x * x);
            factor *= x;
        }
        batch.add_point(weight, points.vector, factor);
        batch.add_fixed(weight, Base::Blinding, -(factor * self.blinding_response));
        let folded_form = self.subtract_last(form, &challenges, weight, batch);
        batch.add_fixed(weight, Base::InnerProduct, scale * (factor * self.response - folded_form));
        let commitment = Weight(weight.0 * factor * challenge);
        Owed { commitment, value: points.value, challenge, response: self.response }
    }

    /// Subtracts `⟨z, G′⟩` of the last entries z; returns `⟨a′, z⟩`.
    fn subtract_last(&self, form: &[Field], challenges: &[Scalar], weight: Weight, batch: &mut Batch) -> Scalar {
        let mut table = vec![Field::ONE];
        for challenge in Field::from_scalars(challenges) {
            // The low half is multiplied by x; later variables are lower bits.
            table = table.iter().flat_map(|factor| [*factor * challenge, *factor]).collect();
        }
        let last = Field::from_scalars(&self.last);
        let coefficients: Vec<_> = table.iter().flat_map(|factor| last.iter().map(|entry| *factor * *entry)).collect();
        for (column, coefficient) in (0..).zip(coefficients.iter().take(form.len())) {
            batch.add_fixed(weight, Base::Column(column), -Scalar::from(*coefficient));
        }
        inner_product(form, &coefficients).into()
    }
}

impl Halving {
    fn absorb(&self, transcript: &mut Transcript) -> Scalar {
        transcript.absorb(Item::Folding, self);
        transcript.challenge(Item::FoldingChallenge)
    }
}

fn announce(transcript: &mut Transcript, vector: Point, value: Point) -> Scalar {
    transcript.absorb_seq(Item::Announcement, &[vector, value]);
    transcript.challenge(Item::Challenge)
}

/// Absorbs y and z_ρ; returns ξ.
fn respond(transcript: &mut Transcript, response: &Scalar, blinding_response: &Scalar) -> Scalar {
    transcript.absorb_seq(Item::Response, &[*response, *blinding_response]);
    transcript.challenge(Item::FoldingChallenge)
}

/// Step 2: public data in variable time.
struct Folding {
    generators: Vec<RistrettoPoint>,
    form: Vec<Field>,
    vector: Vec<Field>,
    base: RistrettoPoint,
}

impl Folding {
    fn new(generators: &Generators, form: &[Field], vector: &[Field], scale: Scalar) -> Self {
        let padded = |vector: &[Field]| {
            let mut padded = vector.to_vec();
            padded.resize(vector.len().next_power_of_two(), Field::ZERO);
            padded
        };
        let (mut generators, base) = (generators.column_points().to_vec(), Base::InnerProduct.point() * scale);
        // What stands beyond the last column is multiplied by zero in vector and form.
        generators.resize(generators.len().next_power_of_two(), RistrettoPoint::identity());
        let (form, mut vector) =
            if form.len() > LAST { (padded(form), padded(vector)) } else { (form.to_vec(), vector.to_vec()) };
        vector.truncate(form.len());
        Self { generators, form, vector, base }
    }

    fn run(mut self, transcript: &mut Transcript) -> (Vec<Halving>, Vec<Scalar>) {
        let mut halvings = Vec::new();
        while self.vector.len() > LAST {
            let halving = self.halving();
            let challenge = halving.absorb(transcript);
            self.fold(&challenge);
            halvings.push(halving);
        }
        (halvings, self.vector.into_iter().map(Scalar::from).collect())
    }

    fn halving(&self) -> Halving {
        let half = self.vector.len() / 2;
        let ((low, high), (form_low, form_high)) = (self.vector.split_at(half), self.form.split_at(half));
        let (generators_low, generators_high) = self.generators.split_at(half);
        let side = |vector: &[Field], generators: &[RistrettoPoint], form: &[Field]| {
            let scalars = vector.iter().copied().chain([inner_product(vector, form)]).map(Scalar::from);
            Point::from(RistrettoPoint::vartime_multiscalar_mul(scalars, generators.iter().chain([&self.base])))
        };
        Halving { left: side(low, generators_high, form_high), right: side(high, generators_low, form_low) }
    }

    fn fold(&mut self, challenge: &Scalar) {
        let half = self.vector.len() / 2;
        let x = Field::from(challenge);
        let (low, high) = self.vector.split_at(half);
        self.vector = low.iter().zip(high).map(|(low, high)| *low + x * *high).collect();
        let (low, high) = self.form.split_at(half);
        self.form = low.iter().zip(high).map(|(low, high)| x * *low + *high).collect();
        let (low, high) = self.generators.split_at(half);
        self.generators = low.iter().zip(high).map(|(low, high)| low * challenge + high).collect();
    }
}

#[cfg(test)]
mod tests;
