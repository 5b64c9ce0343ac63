//! The ballot proof: zero check, linear relations, one opening.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{layout::Layout, statement::Statement, witness::Witness};
use crate::{
    batch::{Batch, Weight},
    group::{Base, Generators, Point, PointError},
    opening::{self, Opening, Owed},
    sumcheck::{Reduction, Sumcheck, Summand, eq_table},
    transcript::{Item, Transcript},
    wire_struct,
};

/// Bound on auxiliary rows: two slacks of 8 bits, for the widest bucket (207 counts) of 500 items.
const MAX_AUXILIARY_ROWS: usize = 16;

/// Why a ballot proof was refused. Describes its sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BallotError {
    /// A part of the proof does not have the length that the layout asks for.
    #[error("{found} {part}, but the layout has {expected}")]
    Length {
        /// Which part.
        part: &'static str,
        /// The length that the layout asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// Bytes that are no group element.
    #[error("a point of the proof: {0}")]
    Point(#[from] PointError),
    /// An equation does not hold. Only the oracle returns this; the vector proof leaves its equations to a batch.
    #[error("{part} {index} does not hold")]
    Equation {
        /// Which kind of equation.
        part: &'static str,
        /// Which one.
        index: usize,
    },
}

impl BallotError {
    pub(super) fn check_length(part: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        if expected == found { Ok(()) } else { Err(Self::Length { part, expected, found }) }
    }
}

/// Proof that committed rows are a ballot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Commitments to the auxiliary rows.
    pub auxiliary: Vec<Point>,
    pub(super) sumcheck: Sumcheck,
    pub(super) opening: opening::Proof,
}
wire_struct!(Proof { auxiliary[MAX_AUXILIARY_ROWS], sumcheck, opening });

impl Proof {
    /// Proves that `witness` is a ballot, for data rows committed to with `blindings`.
    ///
    /// The transcript has absorbed the data commitments. Constant time in the secrets.
    ///
    /// # Panics
    ///
    /// Panics unless the witness is of this layout and has one blinding per data row.
    pub fn prove(
        transcript: &mut Transcript,
        layout: &Layout,
        witness: &Witness,
        blindings: &[Scalar],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let statement = Statement::new(layout);
        assert_eq!(witness.rows().len(), statement.rows(), "the witness is of this layout");
        assert_eq!(blindings.len(), layout.data_rows(), "one blinding per data row");
        transcript.absorb(Item::Layout, layout);
        let secrets = Zeroizing::new([witness.rows(), blindings].concat());
        let mut nonces = transcript.nonces(&secrets, rng);
        let mut row_blindings = Zeroizing::new(Vec::with_capacity(statement.rows()));
        row_blindings.extend_from_slice(blindings);
        row_blindings.extend(witness.auxiliary().iter().map(|_| nonces.next()));

        let commit = |(value, blinding)| Generators::single().commit(core::slice::from_ref(value), blinding).into();
        let auxiliary: Vec<Point> =
            witness.auxiliary().iter().zip(row_blindings.iter().skip(blindings.len())).map(commit).collect();
        let summand = zero_check(transcript, &statement, &auxiliary);
        let (sumcheck, remainder) =
            Sumcheck::prove(transcript, &summand, statement.extend(witness.rows()), Scalar::ZERO, &mut nonces);
        let lambda = transcript.challenge(Item::LinearChallenge);
        let blinding = inner_product(&statement.fold(eq_table(Scalar::ONE, &remainder.point)), &row_blindings);
        let secrets = Opening {
            value: remainder.evaluation,
            blinding,
            // K_ν commits to w(r)² − w(r) and W to w(r).
            square_blinding: remainder.blinding + blinding,
            zero_blinding: inner_product(&statement.linear(&Scalar::ONE, &lambda).rows, &row_blindings),
        };
        Self { auxiliary, sumcheck, opening: opening::Proof::prove(transcript, &secrets, &mut nonces) }
    }

    /// Adds the equations of the proof to `batch`; the ballot is valid if this succeeds and the batch verifies.
    ///
    /// The transcript is where the prover's was; `data` is the index in the batch of the commitment of data row 0, which
    /// the others follow in order.
    ///
    /// # Errors
    ///
    /// Returns a [`BallotError`] if the proof does not fit the layout or contains bytes that are no point. Nothing has
    /// been added to the batch then.
    ///
    /// # Panics
    ///
    /// Panics if the batch does not have a point for every data row from `data` on.
    pub fn verify(
        &self,
        transcript: &mut Transcript,
        layout: &Layout,
        data: usize,
        batch: &mut Batch,
    ) -> Result<(), BallotError> {
        let statement = Statement::new(layout);
        BallotError::check_length("auxiliary rows", layout.auxiliary_rows(), self.auxiliary.len())?;
        BallotError::check_length("rounds", statement.variables(), self.sumcheck.round_count())?;
        let auxiliary = self.auxiliary.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
        let rounds = self.sumcheck.points()?;
        let announced = self.opening.announced()?;

        transcript.absorb(Item::Layout, layout);
        let summand = zero_check(transcript, &statement, &self.auxiliary);
        let reduction = self.sumcheck.reduce(transcript, &summand);
        let lambda = transcript.challenge(Item::LinearChallenge);
        let owed = self.opening.verify(transcript, announced, batch);
        let auxiliary = batch.insert(auxiliary);
        let indices = (data..data + layout.data_rows()).chain(auxiliary..);
        settle_rows(&statement, &reduction.point, &lambda, &owed, indices, batch);
        settle_rounds(&reduction, &owed, rounds, batch);
        Ok(())
    }
}

/// Absorbs the auxiliary commitments and draws the point of the zero check.
fn zero_check(transcript: &mut Transcript, statement: &Statement, auxiliary: &[Point]) -> Summand {
    transcript.absorb_seq(Item::Auxiliary, auxiliary);
    Summand::Bits(transcript.challenges(Item::ZeroCheckChallenge, statement.variables()))
}

/// Adds the terms of `W = Σ_r c_r·C_r`, in W itself and in `Q = K_ν + W`, and those of `Z = Σ_r l_r·C_r + constant·G`.
fn settle_rows(
    statement: &Statement,
    point: &[Scalar],
    lambda: &Scalar,
    owed: &Owed,
    rows: impl Iterator<Item = usize>,
    batch: &mut Batch,
) {
    let value = statement.fold(eq_table(owed.value.0 + owed.square.0, point));
    let zero = statement.linear(&owed.zero.0, lambda);
    for ((row, value), zero) in rows.zip(value).zip(zero.rows) {
        batch.add_weighted(row, value + zero);
    }
    batch.add_fixed(Weight(Scalar::ONE), Base::Column(0), zero.constant);
}

/// Adds the terms of K_ν in `Q = K_ν + W`; K_0 is the identity.
fn settle_rounds(reduction: &Reduction, owed: &Owed, points: Vec<RistrettoPoint>, batch: &mut Batch) {
    let first = batch.insert(points);
    let coefficients = reduction.rounds.iter().flat_map(|(linear, quadratic)| [linear, quadratic]);
    for (index, coefficient) in (first..).zip(coefficients) {
        batch.add(owed.square, index, *coefficient);
    }
}

fn inner_product(left: &[Scalar], right: &[Scalar]) -> Scalar {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
