//! The no-wrap test: random rows and columns, and what a matrix gives on them.
//!
//! Entries of a random row a_s and of its two columns b_{s,t} are 0 with probability 1/2, and ±1 with 1/4 each.

use zeroize::Zeroizing;

use super::{
    fixed::Matrix,
    statement::{PROJECTED_COLUMNS, PROJECTED_ROWS, Statement},
};
use crate::{
    domain,
    field::Field,
    hash::Stream,
    transcript::{Item, Transcript},
};

/// Columns projected at a time: the sums of all 189 rows over them stay in the first cache.
const TILE: usize = 32;

/// A vector of −1, 0 and 1, as the positions of the ones and of the minus ones.
struct Signs {
    plus: Vec<u32>,
    minus: Vec<u32>,
}

impl Signs {
    fn draw(stream: &mut Stream, length: usize) -> Self {
        let mut bytes = vec![0; length.div_ceil(4)];
        stream.fill(&mut bytes);
        // No branch, for none could be foreseen: each position is written to both, and stays where it belongs.
        let (mut plus, mut minus) = (vec![0; length], vec![0; length]);
        let (mut pluses, mut minuses) = (0, 0);
        let codes = bytes.iter().flat_map(|byte| [0, 2, 4, 6].map(|shift| byte >> shift & 3));
        for (index, code) in (0u32..).zip(codes.take(length)) {
            (plus[pluses], minus[minuses]) = (index, index);
            pluses += usize::from(code == 0);
            minuses += usize::from(code == 1);
        }
        plus.truncate(pluses);
        minus.truncate(minuses);
        Self { plus, minus }
    }

    /// Returns `Σ_i signs_i·values_i`.
    fn sum(&self, values: &[Field]) -> Field {
        let at = |indices: &[u32]| indices.iter().map(|index| values[*index as usize]).sum::<Field>();
        at(&self.plus) - at(&self.minus)
    }

    /// Returns `Σ_i signs_i·values_i`.
    fn sum_integers(&self, values: &[i64]) -> i128 {
        let at = |indices: &[u32]| indices.iter().map(|index| i128::from(values[*index as usize])).sum::<i128>();
        at(&self.plus) - at(&self.minus)
    }

    /// Adds `weight·signs` to a vector.
    fn add_to(&self, sums: &mut [Field], weight: Field) {
        self.plus.iter().for_each(|index| sums[*index as usize] += weight);
        self.minus.iter().for_each(|index| sums[*index as usize] -= weight);
    }
}

/// The vectors of one proof.
pub(super) struct Projection {
    rows: Vec<Signs>,
    columns: Vec<[Signs; PROJECTED_COLUMNS]>,
    height: usize,
    width: usize,
}

impl Projection {
    /// Draws the vectors, after the commitments were absorbed.
    pub(super) fn draw(transcript: &mut Transcript, statement: &Statement) -> Self {
        let seed = transcript.challenge(Item::ProjectionChallenge);
        let mut stream = Stream::new(domain::PROJECTION, seed.as_bytes());
        let (height, width) = (statement.norm_rows(), statement.dimensions().columns());
        let rows = (0..PROJECTED_ROWS).map(|_| Signs::draw(&mut stream, height)).collect();
        let pair = |stream: &mut Stream| core::array::from_fn(|_| Signs::draw(stream, width));
        let columns = (0..PROJECTED_ROWS).map(|_| pair(&mut stream)).collect();
        Self { rows, columns, height, width }
    }

    /// Returns `a_sᵀ·U` for every s. Secret.
    pub(super) fn project_rows(&self, matrix: &Matrix) -> Zeroizing<Vec<Vec<i64>>> {
        let mut sums = Zeroizing::new(vec![vec![0i64; self.width]; PROJECTED_ROWS]);
        let signs = self.by_row();
        let mut tile = Zeroizing::new(vec![[0i64; TILE]; PROJECTED_ROWS]);
        for first in (0..self.width).step_by(TILE) {
            tile.fill([0; TILE]);
            for (row, (plus, minus)) in matrix.row_slices().zip(&signs) {
                let mut entries = [0i64; TILE];
                entries.iter_mut().zip(&row[first..]).for_each(|(wide, entry)| *wide = i64::from(*entry));
                for index in plus {
                    tile[*index].iter_mut().zip(&entries).for_each(|(sum, entry)| *sum += entry);
                }
                for index in minus {
                    tile[*index].iter_mut().zip(&entries).for_each(|(sum, entry)| *sum -= entry);
                }
            }
            for (sums, tile) in sums.iter_mut().zip(tile.iter()) {
                sums[first..].iter_mut().zip(tile).for_each(|(sum, value)| *sum = *value);
            }
        }
        sums
    }

    /// Returns, for every row of the matrix, the projections it is added to and those it is taken from.
    fn by_row(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut signs = vec![(Vec::new(), Vec::new()); self.height];
        for (index, vector) in self.rows.iter().enumerate() {
            vector.plus.iter().for_each(|row| signs[*row as usize].0.push(index));
            vector.minus.iter().for_each(|row| signs[*row as usize].1.push(index));
        }
        signs
    }

    /// Returns `a_sᵀ·U·b_{s,t}` for every s and t, from [`project_rows`](Self::project_rows). Secret.
    pub(super) fn project_columns(&self, rows: &[Vec<i64>]) -> Zeroizing<Vec<i128>> {
        let pairs = rows.iter().zip(&self.columns);
        Zeroizing::new(pairs.flat_map(|(row, columns)| columns.iter().map(|signs| signs.sum_integers(row))).collect())
    }

    /// Returns `β_s = Σ_t weight_{s,t}·b_{s,t}` for every s.
    pub(super) fn combine_columns(&self, weights: &[Field]) -> Vec<Vec<Field>> {
        (self.columns.iter().zip(weights.chunks_exact(PROJECTED_COLUMNS)))
            .map(|(columns, weights)| {
                let mut sums = vec![Field::ZERO; self.width];
                columns.iter().zip(weights).for_each(|(signs, weight)| signs.add_to(&mut sums, *weight));
                sums
            })
            .collect()
    }

    /// Returns `Σ_t weight_{s,t}·⟨b_{s,t}, values⟩` for every s.
    pub(super) fn evaluate_columns(&self, weights: &[Field], values: &[Field]) -> Vec<Field> {
        (self.columns.iter().zip(weights.chunks_exact(PROJECTED_COLUMNS)))
            .map(|(columns, weights)| {
                columns.iter().zip(weights).map(|(signs, weight)| *weight * signs.sum(values)).sum()
            })
            .collect()
    }

    /// Returns `Σ_s weight_s·a_s`.
    pub(super) fn combine_rows(&self, weights: &[Field]) -> Vec<Field> {
        let mut sums = vec![Field::ZERO; self.height];
        self.rows.iter().zip(weights).for_each(|(signs, weight)| signs.add_to(&mut sums, *weight));
        sums
    }

    /// Returns `Σ_s weight_s·⟨a_s, values⟩`.
    pub(super) fn evaluate_rows(&self, weights: &[Field], values: &[Field]) -> Field {
        self.rows.iter().zip(weights).map(|(signs, weight)| *weight * signs.sum(values)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_two_bits_of_the_stream_from_the_lowest_on() {
        let stream = || Stream::new(domain::PROJECTION, &[1; 32]);
        let mut bytes = [0; 16];
        stream().fill(&mut bytes);
        let bits = u128::from_le_bytes(bytes);
        for length in [0, 1, 37, 64] {
            let signs = Signs::draw(&mut stream(), length as usize);
            let coded = |code| (0..length).filter(|index| bits >> (2 * index) & 3 == code).collect::<Vec<u32>>();

            assert_eq!((signs.plus, signs.minus), (coded(0), coded(1)));
        }
        assert!((0..4).all(|code| (0..64).any(|index| bits >> (2 * index) & 3 == code)), "every code is met");
    }
}
