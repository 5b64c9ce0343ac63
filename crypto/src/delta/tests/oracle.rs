//! A prover by the definition: one table of every multilinear extension, no shortcut, and rows of any field elements.
//! Tests hold the real prover against it, and forge with it what the real one refuses to prove.

use zeroize::Zeroizing;

use super::*;
use crate::{
    delta::{
        projection::Projection,
        proof::{Auxiliary, Public, Secrets, draw_weights, finish},
        rounds::End,
        statement::variables,
    },
    field::Field,
    sumcheck::{Rounds, Summand},
};

/// What a forger changes.
pub(in crate::delta) struct Twist<'a> {
    /// The projections that are sent.
    pub(in crate::delta) projections: &'a dyn Fn(&mut Vec<i128>),
    /// The values at the end of the sumcheck, given m_0(r) and m_1(r).
    pub(in crate::delta) end: &'a dyn Fn(&mut End, [Scalar; 2]),
    /// The combination of rows that is opened, given the functional `eq(r, ·)` over the columns.
    pub(in crate::delta) vector: &'a dyn Fn(&mut Vec<Field>, &[Field]),
}

pub(in crate::delta) const HONEST: Twist<'_> = Twist { projections: &|_| (), end: &|_, _| (), vector: &|_, _| () };

/// Rows of the matrix and of the four squares, as a prover claims them.
pub(in crate::delta) struct Forgery {
    pub(in crate::delta) statement: Statement,
    pub(in crate::delta) rows: Vec<Vec<Scalar>>,
}

impl Forgery {
    /// Lays out the entries of the matrix and four more numbers.
    pub(in crate::delta) fn new(statement: Statement, entries: &[i128], squares: &[i128]) -> Self {
        let columns = statement.dimensions().columns();
        let scalars =
            |numbers: &[i128]| numbers.iter().map(|number| Field::from(*number).into()).collect::<Vec<Scalar>>();
        let (mut all, mut last) = (scalars(entries), scalars(squares));
        all.resize(statement.dimensions().entries(), Scalar::ZERO);
        last.resize(statement.square_rows() * columns, Scalar::ZERO);
        all.extend(last);
        Self { statement, rows: all.chunks(columns).map(<[_]>::to_vec).collect() }
    }

    /// Sends it, with whatever the forger changes.
    pub(in crate::delta) fn send(&self, twist: &Twist<'_>, rng: &mut ChaCha20Rng) -> Sent {
        let rows = statement_rows(&self.statement);
        let generators = self.generators();
        let blindings: Vec<_> = (0..rows).map(|_| Scalar::random(rng)).collect();
        let commit = |(row, blinding): (&Vec<Scalar>, &Scalar)| Point::from(generators.commit(row, blinding));
        let commitments: Vec<_> = self.rows.iter().zip(&blindings).map(commit).collect();
        let mut transcript = Sent::transcript(0, &commitments);
        let proof = self.prove(&mut transcript, &blindings, twist, rng);
        Sent { statement: self.statement, context: 0, commitments, proof }
    }

    /// Returns the data rows.
    pub(in crate::delta) fn data(&self) -> Vec<Vec<Scalar>> {
        self.rows[..statement_rows(&self.statement)].to_vec()
    }

    /// Proves what can be proved, in a transcript that has absorbed the commitments.
    pub(in crate::delta) fn prove(
        &self,
        transcript: &mut Transcript,
        blindings: &[Scalar],
        twist: &Twist<'_>,
        rng: &mut ChaCha20Rng,
    ) -> Proof {
        let (statement, rows, generators) = (&self.statement, statement_rows(&self.statement), self.generators());
        let commit = |(row, blinding): (&Vec<Scalar>, &Scalar)| Point::from(generators.commit(row, blinding));
        transcript.absorb(Item::Delta, statement);
        let mut nonces = transcript.nonces(blindings, rng);
        let secret = Auxiliary::draw(statement, &mut nonces);
        let mut auxiliary: Vec<_> = self.rows[rows..].iter().zip(secret.blindings.iter()).map(commit).collect();
        auxiliary.extend(secret.commit_masks(statement, &generators));
        transcript.absorb_seq(Item::Auxiliary, &auxiliary);
        let projection = Projection::draw(transcript, statement);
        let mut projections = self.project(&projection, &secret.masks);
        (twist.projections)(&mut projections);
        let weights = draw_weights(transcript, &projections);
        let masks: Vec<_> = secret.masks.iter().map(|mask| Field::from(*mask)).collect();
        let mut end = self.rounds(transcript, &projection, &masks, &weights, &mut nonces);
        let public = Public { statement, projection: &projection, weights: &weights };
        let coefficients = public.coefficients_at(&end.point);
        (twist.end)(&mut end, coefficients);
        let columns = Field::eq_table(&Field::from_scalars(&end.point[..variables(generators.columns())]));
        let combine = |weights: &[Field]| {
            let mut vector = self.combine(weights);
            (twist.vector)(&mut vector, &columns);
            vector
        };
        let secrets = Secrets { matrix: combine, masks: &masks };
        let all = Zeroizing::new([blindings, &secret.blindings].concat());
        let sent = (auxiliary, projections);
        finish(transcript, &public, &generators, &secrets, &all, end, &mut nonces, sent)
    }

    fn generators(&self) -> Generators {
        Generators::new(u32::try_from(self.statement.dimensions().columns()).expect("in range"))
    }

    fn combine(&self, weights: &[Field]) -> Vec<Field> {
        let column = |column: usize| {
            self.rows.iter().zip(weights).map(|(row, weight)| *weight * Field::from(row[column])).sum::<Field>()
        };
        (0..self.statement.dimensions().columns()).map(column).collect()
    }

    /// Returns the masked projections, cut to the bits that are sent.
    fn project(&self, projection: &Projection, masks: &[i128]) -> Vec<i128> {
        let unit = |index: usize, length: usize| {
            let mut unit = vec![Field::ZERO; length];
            unit[index] = Field::ONE;
            unit
        };
        let projected = (0..PROJECTIONS).map(|index| {
            let row = self.combine(&projection.combine_rows(&unit(index / PROJECTED_COLUMNS, PROJECTED_ROWS)));
            let column = &projection.combine_columns(&unit(index, PROJECTIONS))[index / PROJECTED_COLUMNS];
            centred(crate::field::inner_product(&row, column))
        });
        projected.zip(masks).map(|(value, mask)| value.wrapping_add(*mask)).collect()
    }

    /// Sums over whole tables: the polynomial of each round from its values at 0, 1 and −1.
    fn rounds(
        &self,
        transcript: &mut Transcript,
        projection: &Projection,
        masks: &[Field],
        weights: &[Field],
        nonces: &mut crate::transcript::Nonces,
    ) -> End {
        let columns = self.statement.dimensions().columns();
        let (width, height) = (variables(columns), self.statement.row_variables());
        let betas = projection.combine_columns(weights);
        let rank_one = (0..PROJECTED_ROWS).map(|index| {
            let mut unit = vec![Field::ZERO; PROJECTED_ROWS];
            unit[index] = Field::ONE;
            projection.combine_rows(&unit)
        });
        let rank_one: Vec<_> = rank_one.collect();
        let table = |entry: &dyn Fn(usize, usize) -> Scalar| {
            let cell = |index: usize| entry(index & ((1 << height) - 1), index >> height);
            (0..1usize << (width + height)).map(cell).collect::<Vec<_>>()
        };
        let row_major = |values: &[Field], row: usize, column: usize| {
            let value = (column < columns).then(|| values.get(row * columns + column)).flatten();
            value.map_or(Scalar::ZERO, |value| Scalar::from(*value))
        };
        let mut tables = [
            table(&|row, column| self.rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or_default()),
            table(&|row, column| {
                let term = |(a, b): (&Vec<Field>, &Vec<Field>)| {
                    a.get(row).copied().unwrap_or_default() * b.get(column).copied().unwrap_or_default()
                };
                rank_one.iter().zip(&betas).map(term).sum::<Field>().into()
            }),
            table(&|row, column| row_major(masks, row, column)),
            table(&|row, column| row_major(weights, row, column)),
        ];
        let summand = Summand::Squares { variables: self.statement.variables() };
        let mut rounds = Rounds::new(transcript, &summand, Scalar::ZERO, nonces);
        for _ in 0..self.statement.variables() {
            let at = |x: Scalar| -> Scalar {
                let half = tables[0].len() / 2;
                let value = |table: &Vec<Scalar>, index: usize| table[index] + x * (table[index + half] - table[index]);
                let term = |index| {
                    let [w, m, y, n] = tables.each_ref().map(|table| value(table, index));
                    w * w + m * w + n * y
                };
                (0..half).map(term).sum()
            };
            let (zero, one, minus) = (at(Scalar::ZERO), at(Scalar::ONE), at(-Scalar::ONE));
            let halved = |value: Scalar| value.div_by_2();
            let x = rounds.next(halved(one - minus), halved(one + minus) - zero);
            for table in &mut tables {
                let (low, high) = table.split_at(table.len() / 2);
                *table = low.iter().zip(high).map(|(low, high)| low + x * (high - low)).collect();
            }
        }
        let (sumcheck, point, blinding) = rounds.finish();
        End { sumcheck, point, matrix: tables[0][0].into(), masks: tables[2][0].into(), blinding }
    }
}

fn statement_rows(statement: &Statement) -> usize {
    statement.dimensions().rows()
}

/// Returns the centred representative, cut to 128 bits.
fn centred(value: Field) -> i128 {
    let scalar = Scalar::from(value);
    let low = |scalar: &Scalar| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&scalar.as_bytes()[..16]);
        i128::from_le_bytes(bytes)
    };
    let negative = (scalar + scalar).as_bytes()[0] & 1 == 1;
    if negative { low(&-scalar).wrapping_neg() } else { low(&scalar) }
}
