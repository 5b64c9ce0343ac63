//! The prover's side of the sumcheck: columns first, then rows.
//!
//! The sum is `Σ_x w_0(x)² + m_0(x)·w_0(x) + m_1(x)·w_1(x)`, where w_0 is the matrix with its four squares, w_1 the masks of
//! the projections, `m_0 = Σ_s a_s ⊗ β_s` and m_1 the weights. No table as large as the matrix is ever made of field
//! elements:
//!
//! - m_0 has rank 189, so that in the rounds of the columns `Σ m_0·w_0 = Σ_s ⟨a_sᵀ·U, β_s⟩`: 189 sums over C entries;
//! - the first three rounds of `Σ w_0²` follow from the 8 × 8 inner products between the eight blocks of columns, which are
//!   sums of products of small integers and below B² < 2^62;
//! - after these an eighth as many field elements are left as there were integers, each the sum of eight products with
//!   small integers, reduced once.

use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{fixed::Matrix, projection::Projection, statement::Statement};
use crate::{
    field::{Field, Products, SmallProducts},
    sumcheck::{Rounds, Sumcheck},
};

/// Rounds that are computed from integers: more of them take more products than they save.
const INTEGER_ROUNDS: usize = 3;

/// Coefficients t_1 and t_2 of a round's polynomial.
type Polynomial = (Field, Field);

/// What the prover is left with.
#[derive(ZeroizeOnDrop)]
pub(super) struct End {
    #[zeroize(skip)]
    pub(super) sumcheck: Sumcheck,
    /// r: columns, then rows.
    #[zeroize(skip)]
    pub(super) point: Vec<Scalar>,
    /// `w_0(r)`.
    pub(super) matrix: Field,
    /// `w_1(r)`.
    pub(super) masks: Field,
    /// The blinding of `K_ν`.
    pub(super) blinding: Scalar,
}

/// Two vectors, the first of them secret, and the sum of their products.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Pair {
    pub(super) left: Vec<Field>,
    pub(super) right: Vec<Field>,
}

impl Pair {
    /// Pads both vectors to `2^variables` entries.
    pub(super) fn new(left: impl Iterator<Item = Field>, right: impl Iterator<Item = Field>, variables: usize) -> Self {
        Self { left: padded(left, 1 << variables), right: padded(right, 1 << variables) }
    }

    pub(super) fn polynomial(&self) -> Polynomial {
        // Two products per position in the first sum.
        const CHUNK: usize = Products::MOST / 2;
        let half = self.left.len() / 2;
        let ((low, high), (other_low, other_high)) = (self.left.split_at(half), self.right.split_at(half));
        let chunks =
            (low.chunks(CHUNK).zip(high.chunks(CHUNK))).zip(other_low.chunks(CHUNK).zip(other_high.chunks(CHUNK)));
        add_all(chunks.map(|((low, high), (other_low, other_high))| {
            let (mut linear, mut quadratic) = (Products::default(), Products::default());
            for ((low, high), (other_low, other_high)) in low.iter().zip(high).zip(other_low.iter().zip(other_high)) {
                let (slope, other_slope) = (*high - *low, *other_high - *other_low);
                linear.add(*low, other_slope);
                linear.add(slope, *other_low);
                quadratic.add(slope, other_slope);
            }
            (linear.reduce(), quadratic.reduce())
        }))
    }

    pub(super) fn bind(&mut self, challenge: Field) {
        bind_rows(&mut self.left, 1, challenge);
        bind_rows(&mut self.right, 1, challenge);
    }

    /// Returns the only entries left.
    pub(super) fn last(&self) -> (Field, Field) {
        (self.left[0], self.right[0])
    }
}

/// Fills up with zeros. There is room for all at once: a vector that grows leaves what it held behind.
fn padded(entries: impl Iterator<Item = Field>, length: usize) -> Vec<Field> {
    let mut padded = Vec::with_capacity(length);
    padded.extend(entries);
    padded.resize(length, Field::ZERO);
    padded
}

/// Runs all rounds. `projected` is `a_sᵀ·U` for every s, `masks` one integer per projection and `weights` one weight.
pub(super) fn prove(
    mut rounds: Rounds<'_>,
    statement: &Statement,
    matrix: &Matrix,
    projection: &Projection,
    projected: &[Vec<i64>],
    masks: &[Field],
    weights: &[Field],
) -> End {
    let (columns, variables) = (matrix.columns(), statement.column_variables());
    let betas = projection.combine_columns(weights);
    let linear = projected
        .iter()
        .zip(betas)
        .map(|(row, beta)| Pair::new(row.iter().map(|value| Field::from(*value)), beta.into_iter(), variables));
    let masked = masks.chunks(columns).zip(weights.chunks(columns));
    let masked = masked.map(|(masks, weights)| Pair::new(masks.iter().copied(), weights.iter().copied(), variables));
    let mut pairs: Vec<_> = linear.chain(masked).collect();
    let mut next = |pairs: &mut [Pair], squares: Polynomial| {
        let (linear, quadratic) = add_all(pairs.iter().map(Pair::polynomial).chain([squares]));
        let challenge = Field::from(rounds.next(linear.into(), quadratic.into()));
        pairs.iter_mut().for_each(|pair| pair.bind(challenge));
        challenge
    };

    let integer_rounds = variables.min(INTEGER_ROUNDS);
    let mut gram = Gram::new(matrix, integer_rounds, variables);
    let mut challenges = Vec::with_capacity(integer_rounds);
    for _ in 0..integer_rounds {
        let challenge = next(&mut pairs, gram.polynomial());
        gram.bind(challenge);
        challenges.push(challenge);
    }
    let mut rows = bind_integers(matrix, &challenges, variables);
    for _ in integer_rounds..variables {
        let polynomial = square_polynomial(&rows, matrix.rows());
        let challenge = next(&mut pairs, polynomial);
        bind_rows(&mut rows, matrix.rows(), challenge);
    }

    let ends: Zeroizing<Vec<_>> = Zeroizing::new(pairs.iter().map(Pair::last).collect::<Vec<_>>());
    let (betas, masked) = ends.split_at(projected.len());
    let coefficients = projection.combine_rows(&betas.iter().map(|(_, beta)| *beta).collect::<Vec<_>>());
    let (masks, weights) = (masked.iter().map(|(mask, _)| *mask), masked.iter().map(|(_, weight)| *weight));
    let variables = statement.row_variables();
    let mut pairs =
        [Pair::new(rows.iter().copied(), coefficients.into_iter(), variables), Pair::new(masks, weights, variables)];
    for _ in 0..variables {
        let polynomial = square_polynomial(&pairs[0].left, 1);
        next(&mut pairs, polynomial);
    }
    let [(matrix, _), (masks, _)] = [pairs[0].last(), pairs[1].last()];
    let (sumcheck, point, blinding) = rounds.finish();
    End { sumcheck, point, matrix, masks, blinding }
}

fn add_all(polynomials: impl Iterator<Item = Polynomial>) -> Polynomial {
    polynomials.fold((Field::ZERO, Field::ZERO), |sum, term| (sum.0 + term.0, sum.1 + term.1))
}

/// The inner products between the blocks of columns that the first variables tell apart.
struct Gram {
    side: usize,
    products: Zeroizing<Vec<Field>>,
}

impl Gram {
    fn new(matrix: &Matrix, rounds: usize, variables: usize) -> Self {
        let (side, width) = (1usize << rounds, 1usize << (variables - rounds));
        let mut sums = Zeroizing::new(vec![0i64; side * side]);
        for row in matrix.row_slices() {
            // The last blocks are shorter, or empty, if the number of columns is no power of two.
            let block = |index: usize| &row[(index * width).min(row.len())..((index + 1) * width).min(row.len())];
            for i in 0..side {
                for j in i..side {
                    let product = |(a, b): (&i32, &i32)| i64::from(*a) * i64::from(*b);
                    sums[i * side + j] += block(i).iter().zip(block(j)).map(product).sum::<i64>();
                }
            }
        }
        let at = |(i, j): (usize, usize)| Field::from(sums[i.min(j) * side + i.max(j)]);
        let products = (0..side * side).map(|index| at((index / side, index % side))).collect();
        Self { side, products: Zeroizing::new(products) }
    }

    fn at(&self, i: usize, j: usize) -> Field {
        self.products[i * self.side + j]
    }

    /// With blocks x and x + half the low and high halves: `t_1 = 2·Σ ⟨low, slope⟩` and `t_2 = Σ ⟨slope, slope⟩`.
    fn polynomial(&self) -> Polynomial {
        let half = self.side / 2;
        add_all((0..half).map(|x| {
            let (low, mixed, high) = (self.at(x, x), self.at(x, x + half), self.at(x + half, x + half));
            let linear = mixed - low;
            (linear.double(), high - mixed - linear)
        }))
    }

    fn bind(&mut self, challenge: Field) {
        let half = self.side / 2;
        let rest = Field::ONE - challenge;
        let bound = (0..half * half).map(|index| {
            let (i, j) = (index / half, index % half);
            let at = |i, j| rest * self.at(i, j) + challenge * self.at(i, j + half);
            rest * at(i, j) + challenge * at(i + half, j)
        });
        *self = Self { side: half, products: Zeroizing::new(bound.collect()) };
    }
}

/// Sets the first variables of every row of a matrix of integers.
fn bind_integers(matrix: &Matrix, challenges: &[Field], variables: usize) -> Zeroizing<Vec<Field>> {
    let width = 1usize << (variables - challenges.len());
    let weights = Field::eq_table(challenges);
    // The weights add up to one.
    let raised = SmallProducts::raise(Field::ONE);
    let mut bound = Zeroizing::new(Vec::with_capacity(matrix.rows() * width));
    for row in matrix.row_slices() {
        bound.extend((0..width).map(|column| {
            let mut sum = SmallProducts::default();
            for (block, weight) in weights.iter().enumerate() {
                sum.add(*weight, row.get(block * width + column).copied().unwrap_or_default());
            }
            sum.reduce(raised)
        }));
    }
    bound
}

/// Returns the polynomial of `Σ w²` over `count` rows of equal length.
fn square_polynomial(rows: &[Field], count: usize) -> Polynomial {
    let length = rows.len() / count;
    let (linear, quadratic) = add_all(rows.chunks_exact(length).flat_map(|row| {
        let (low, high) = row.split_at(length / 2);
        low.chunks(Products::MOST).zip(high.chunks(Products::MOST)).map(|(low, high)| {
            let (mut linear, mut quadratic) = (Products::default(), Products::default());
            for (low, high) in low.iter().zip(high) {
                let slope = *high - *low;
                linear.add(*low, slope);
                quadratic.add(slope, slope);
            }
            (linear.reduce(), quadratic.reduce())
        })
    }));
    (linear.double(), quadratic)
}

/// Sets the first variable of each of `count` rows of equal length.
fn bind_rows(rows: &mut Vec<Field>, count: usize, challenge: Field) {
    let length = rows.len() / count;
    let half = length / 2;
    for row in 0..count {
        for column in 0..half {
            // What is written stands before all that is still to be read.
            let (low, high) = (rows[row * length + column], rows[row * length + half + column]);
            rows[row * half + column] = low + challenge * (high - low);
        }
    }
    rows[count * half..].zeroize();
    rows.truncate(count * half);
}
