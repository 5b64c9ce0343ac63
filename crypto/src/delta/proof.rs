//! The delta proof: projections, one sumcheck, one opened evaluation.

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    projection::Projection,
    rounds::{self, End},
    statement::{ACCEPTED, MASK_BITS, PROJECTIONS, Statement},
    witness::Witness,
};
use crate::{
    batch::{Batch, Weight},
    field::{Field, inner_product},
    group::{Base, Generators, Point, PointError},
    msm::Timing,
    opening::{self, Opening, VectorOwed, VectorProof},
    sumcheck::{Rounds, Sumcheck, Summand},
    transcript::{Item, Nonces, Transcript},
    wire_struct,
};

/// Bound on auxiliary rows: a matrix of one column has four for the squares, and one for each mask.
pub(super) const MAX_AUXILIARY_ROWS: usize = super::statement::SQUARES + PROJECTIONS;

/// Why a delta proof was refused. Describes its sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// A part of the proof does not have the length that the statement asks for.
    #[error("{found} {part}, but the statement has {expected}")]
    Length {
        /// Which part.
        part: &'static str,
        /// The length that the statement asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// Bytes that are no group element.
    #[error("a point of the proof: {0}")]
    Point(#[from] PointError),
    /// A masked projection is too large.
    #[error("projection {0} is not below the accepted limit")]
    Projection(usize),
}

/// Proof that the squares of a committed matrix add up to at most B².
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Commitments to the rows of the four squares, then of the masks.
    pub auxiliary: Vec<Point>,
    pub(super) projections: Vec<i128>,
    pub(super) sumcheck: Sumcheck,
    /// E_0 and E_1: commitments to `w_0(r)` and `w_1(r)`.
    pub(super) evaluations: (Point, Point),
    pub(super) vector: VectorProof,
    pub(super) opening: opening::Proof,
}
wire_struct!(Proof {
    auxiliary[MAX_AUXILIARY_ROWS], projections[PROJECTIONS], sumcheck, evaluations, vector, opening
});

/// The prover's auxiliary rows. The masks are integers below 2^108.
pub(super) struct Auxiliary {
    pub(super) masks: Zeroizing<Vec<i128>>,
    pub(super) blindings: Zeroizing<Vec<Scalar>>,
}

impl Auxiliary {
    pub(super) fn draw(statement: &Statement, nonces: &mut Nonces) -> Self {
        let mask = |_| nonces.next_integer(MASK_BITS);
        let masks = (0..PROJECTIONS).map(mask).collect();
        let blindings = (0..statement.auxiliary_rows()).map(|_| nonces.next()).collect();
        Self { masks: Zeroizing::new(masks), blindings: Zeroizing::new(blindings) }
    }

    /// Returns the commitments to the rows of the masks.
    pub(super) fn commit_masks(&self, statement: &Statement, generators: &Generators) -> Vec<Point> {
        let scalars = Zeroizing::new(self.masks.iter().map(|mask| signed(*mask)).collect::<Vec<_>>());
        let blindings = self.blindings.iter().skip(statement.square_rows());
        let rows = scalars.chunks(generators.columns()).zip(blindings);
        rows.map(|(row, blinding)| Point::from(generators.commit(row, blinding))).collect()
    }
}

impl Proof {
    /// Proves that `witness` satisfies its statement, for rows committed to with `blindings`.
    ///
    /// The transcript has absorbed the commitments of the rows. What the running time depends on: `timing`; besides the
    /// commitment to the four squares, nothing here takes time that depends on a secret.
    ///
    /// # Panics
    ///
    /// Panics unless the witness is of this statement, with one blinding per row and one generator per column.
    pub fn prove(
        transcript: &mut Transcript,
        statement: &Statement,
        witness: &Witness,
        generators: &Generators,
        blindings: &[Scalar],
        timing: Timing,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        assert_eq!(blindings.len(), statement.dimensions().rows(), "one blinding per row");
        assert_eq!(witness.rows().rows(), statement.norm_rows(), "a witness of this statement");
        transcript.absorb(Item::Delta, statement);
        // The commitments determine the matrix and have been absorbed; with the blindings they are a witness to hash.
        let mut nonces = transcript.nonces(blindings, rng);
        let rows = Auxiliary::draw(statement, &mut nonces);
        let mut auxiliary = witness.commit_squares(generators, &rows.blindings, timing);
        auxiliary.extend(rows.commit_masks(statement, generators));
        transcript.absorb_seq(Item::Auxiliary, &auxiliary);

        let projection = Projection::draw(transcript, statement);
        let projected = projection.project_rows(witness.rows());
        let projections: Vec<_> = projection
            .project_columns(&projected)
            .iter()
            .zip(rows.masks.iter())
            .map(|(value, mask)| value + mask)
            .collect();
        let weights = draw_weights(transcript, &projections);
        let masks: Zeroizing<Vec<_>> = Zeroizing::new(rows.masks.iter().map(|mask| Field::from(*mask)).collect());
        let summand = Summand::Squares { variables: statement.variables() };
        let rounds = Rounds::new(transcript, &summand, Scalar::ZERO, &mut nonces);
        let end = rounds::prove(rounds, statement, witness.rows(), &projection, &projected, &masks, &weights);
        let secrets = Secrets { matrix: |weights: &[Field]| witness.rows().combine_rows(weights), masks: &masks };
        let row_blindings = Zeroizing::new([blindings, &rows.blindings].concat());
        let public = Public { statement, projection: &projection, weights: &weights };
        finish(transcript, &public, generators, &secrets, &row_blindings, end, &mut nonces, (auxiliary, projections))
    }

    /// Adds the equations of the proof to `batch`; the delta is within its bound if this succeeds and the batch verifies.
    ///
    /// The transcript is where the prover's was; `data` is the index in the batch of the commitment of row 0, which the
    /// others follow in order.
    ///
    /// # Errors
    ///
    /// Returns a [`DeltaError`] if the proof does not fit the statement, contains bytes that are no point, or a projection
    /// that is too large. Nothing has been added to the batch then.
    ///
    /// # Panics
    ///
    /// Panics if the batch does not have a point for every row from `data` on.
    pub fn verify(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        data: usize,
        batch: &mut Batch,
    ) -> Result<(), DeltaError> {
        self.check_lengths(statement)?;
        self.check_projections()?;
        self.add_equations(transcript, statement, data, batch)
    }

    /// Checks that all masked projections are accepted.
    fn check_projections(&self) -> Result<(), DeltaError> {
        let large = |value: &i128| value.unsigned_abs() >= ACCEPTED.unsigned_abs();
        self.projections.iter().position(large).map_or(Ok(()), |index| Err(DeltaError::Projection(index)))
    }

    /// Adds the equations between points.
    pub(super) fn add_equations(
        &self,
        transcript: &mut Transcript,
        statement: &Statement,
        data: usize,
        batch: &mut Batch,
    ) -> Result<(), DeltaError> {
        let auxiliary = self.auxiliary.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
        let rounds = self.sumcheck.points()?;
        let evaluations = [self.evaluations.0.decompress()?, self.evaluations.1.decompress()?];
        let vector = self.vector.points()?;
        let announced = self.opening.announced()?;

        transcript.absorb(Item::Delta, statement);
        transcript.absorb_seq(Item::Auxiliary, &self.auxiliary);
        let projection = Projection::draw(transcript, statement);
        let weights = draw_weights(transcript, &self.projections);
        let claim = statement.claim(&self.projections, &weights[0]);
        let reduction = self.sumcheck.reduce(transcript, &Summand::Squares { variables: statement.variables() });
        let public = Public { statement, projection: &projection, weights: &weights };
        let tables = Tables::new(statement, &reduction.point);
        let delta = combine_evaluations(transcript, &self.evaluations);
        let vector = self.vector.verify(transcript, &tables.columns, &vector, batch);
        let opening = self.opening.verify(transcript, announced, batch);

        let auxiliary = batch.insert(auxiliary);
        settle_rows(statement, &tables.rows, &delta, &vector, (data, auxiliary), batch);
        settle_evaluations(evaluations, public.coefficients(&tables), &delta, &vector, &opening, batch);
        // K_ν stands in Q with its claim and its rounds.
        batch.add_fixed(opening.square, Base::Column(0), reduction.claim * Scalar::from(claim));
        let first = batch.insert(rounds);
        let coefficients = reduction.rounds.iter().flat_map(|(linear, quadratic)| [linear, quadratic]);
        (first..).zip(coefficients).for_each(|(index, coefficient)| batch.add(opening.square, index, *coefficient));
        Ok(())
    }

    fn check_lengths(&self, statement: &Statement) -> Result<(), DeltaError> {
        let (halvings, last) = VectorProof::lengths(statement.dimensions().columns());
        let parts = [
            ("auxiliary rows", statement.auxiliary_rows(), self.auxiliary.len()),
            ("projections", PROJECTIONS, self.projections.len()),
            ("rounds", statement.variables(), self.sumcheck.round_count()),
            ("halvings", halvings, self.vector.halvings.len()),
            ("last entries", last, self.vector.last.len()),
        ];
        parts.into_iter().try_for_each(|(part, expected, found)| {
            if expected == found { Ok(()) } else { Err(DeltaError::Length { part, expected, found }) }
        })
    }
}

/// What both sides know after the projections.
pub(super) struct Public<'a> {
    pub(super) statement: &'a Statement,
    pub(super) projection: &'a Projection,
    pub(super) weights: &'a [Field],
}

impl Public<'_> {
    /// Returns `m_0(r)` and `m_1(r)`.
    #[cfg(test)]
    pub(super) fn coefficients_at(&self, point: &[Scalar]) -> [Scalar; 2] {
        self.coefficients(&Tables::new(self.statement, point))
    }

    /// Returns `m_0(r)` and `m_1(r)`.
    fn coefficients(&self, tables: &Tables) -> [Scalar; 2] {
        let betas = self.projection.evaluate_columns(self.weights, &tables.columns);
        let matrix = self.projection.evaluate_rows(&betas, &tables.rows);
        let rows = self.weights.chunks(self.statement.dimensions().columns()).zip(&tables.rows);
        let masks: Field = rows.map(|(weights, row)| *row * inner_product(weights, &tables.columns)).sum();
        [matrix.into(), masks.into()]
    }
}

/// `eq(r, ·)` of the columns that exist, and of all rows.
struct Tables {
    columns: Vec<Field>,
    rows: Vec<Field>,
}

impl Tables {
    fn new(statement: &Statement, point: &[Scalar]) -> Self {
        let (columns, rows) = point.split_at(statement.column_variables());
        let mut columns = Field::eq_table(&Field::from_scalars(columns));
        columns.truncate(statement.dimensions().columns());
        Self { columns, rows: Field::eq_table(&Field::from_scalars(rows)) }
    }
}

/// The prover's rows, as far as the end of the proof needs them.
pub(super) struct Secrets<'a, F: Fn(&[Field]) -> Vec<Field>> {
    /// Returns `Σ_r weights_r·row_r` over the rows of the matrix and of the four squares.
    pub(super) matrix: F,
    pub(super) masks: &'a [Field],
}

/// From the end of the sumcheck on. `blindings` are those of all rows, data rows first.
#[expect(clippy::too_many_arguments, reason = "the second half of a function that tests enter in the middle")]
pub(super) fn finish(
    transcript: &mut Transcript,
    public: &Public<'_>,
    generators: &Generators,
    secrets: &Secrets<'_, impl Fn(&[Field]) -> Vec<Field>>,
    blindings: &[Scalar],
    end: End,
    nonces: &mut Nonces,
    (auxiliary, projections): (Vec<Point>, Vec<i128>),
) -> Proof {
    let statement = public.statement;
    let tables = Tables::new(statement, &end.point);
    let coefficients = public.coefficients(&tables);
    let mut evaluation_blindings = Zeroizing::new([nonces.next(), nonces.next()]);
    let [first, second] = *evaluation_blindings;
    let commit = |value: Field, blinding| Point::from(Generators::single().commit(&[value.into()], blinding));
    let evaluations = (commit(end.matrix, &first), commit(end.masks, &second));
    let delta = combine_evaluations(transcript, &evaluations);

    let factor = Field::from(delta);
    let norm_rows = statement.norm_rows();
    let mut vector = Zeroizing::new((secrets.matrix)(&tables.rows[..norm_rows]));
    for (row, weight) in secrets.masks.chunks(statement.dimensions().columns()).zip(&tables.rows) {
        vector.iter_mut().zip(row).for_each(|(sum, mask)| *sum += factor * *weight * *mask);
    }
    let blinding = |blindings: &[Scalar]| {
        inner_product(&Zeroizing::new(Field::from_scalars(blindings)), &tables.rows[..blindings.len()])
    };
    let (norm, masks) = blindings.split_at(norm_rows);
    let vector_blinding = Zeroizing::new(Scalar::from(blinding(norm) + factor * blinding(masks)));
    let value_blinding = Zeroizing::new(first + delta * second);
    let (vector, zero_blinding) = VectorProof::prove(
        transcript,
        generators,
        &tables.columns,
        &vector,
        [&vector_blinding, &value_blinding],
        nonces,
    );
    let secrets = Opening {
        value: end.matrix.into(),
        blinding: first,
        square_blinding: end.blinding - coefficients[0] * first - coefficients[1] * second,
        zero_blinding,
    };
    evaluation_blindings.fill(Scalar::ZERO);
    let opening = opening::Proof::prove(transcript, &secrets, nonces);
    Proof { auxiliary, projections, sumcheck: end.sumcheck.clone(), evaluations, vector, opening }
}

/// Absorbs the projections and draws λ; returns its powers from the first on, one per projection.
pub(super) fn draw_weights(transcript: &mut Transcript, projections: &[i128]) -> Vec<Field> {
    transcript.absorb_seq(Item::Projections, projections);
    let lambda = Field::from(transcript.challenge(Item::LinearChallenge));
    lambda.powers().skip(1).take(PROJECTIONS).collect()
}

/// Absorbs E_0 and E_1 and draws δ.
fn combine_evaluations(transcript: &mut Transcript, evaluations: &(Point, Point)) -> Scalar {
    transcript.absorb(Item::Evaluations, evaluations);
    transcript.challenge(Item::EvaluationChallenge)
}

/// Adds the terms of `P = Σ_r eq_r·C_r + δ·Σ_k eq_k·C′_k`: rows of the matrix and of the four squares, then of the masks.
fn settle_rows(
    statement: &Statement,
    weights: &[Field],
    delta: &Scalar,
    owed: &VectorOwed,
    (data, auxiliary): (usize, usize),
    batch: &mut Batch,
) {
    let (rows, squares) = (statement.dimensions().rows(), statement.square_rows());
    let indices = (data..data + rows).chain(auxiliary..auxiliary + squares);
    for (index, weight) in indices.zip(weights) {
        batch.add(owed.commitment, index, Scalar::from(*weight));
    }
    let masks = auxiliary + squares..auxiliary + statement.auxiliary_rows();
    for (index, weight) in masks.zip(weights) {
        batch.add(owed.commitment, index, delta * Scalar::from(*weight));
    }
}

/// Adds the terms of E_0, E_1 and T in `W = E_0`, `Q = K_ν − m_0·E_0 − m_1·E_1` and `Z = T + e·(E_0 + δ·E_1) − y·G₀`.
fn settle_evaluations(
    [matrix, masks]: [RistrettoPoint; 2],
    [of_matrix, of_masks]: [Scalar; 2],
    delta: &Scalar,
    vector: &VectorOwed,
    opening: &opening::Owed,
    batch: &mut Batch,
) {
    let (square, zero) = (opening.square.0, opening.zero.0 * vector.challenge);
    batch.add_point(Weight(opening.value.0 - square * of_matrix + zero), matrix, Scalar::ONE);
    batch.add_point(Weight(zero * delta - square * of_masks), masks, Scalar::ONE);
    batch.add_point(opening.zero, vector.value, Scalar::ONE);
    batch.add_fixed(opening.zero, Base::Column(0), -vector.response);
}

/// Returns the scalar of an integer. Constant time.
fn signed(value: i128) -> Scalar {
    Field::from(value).into()
}
