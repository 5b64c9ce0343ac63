//! Random folds at the price of one modular reduction per 15 products.
//!
//! A fold needs the sum of products of rows with powers of γ, not the products. With the powers in Montgomery form the
//! rows stay as they are, as the limbs of their integers ([`Field::unscaled`]), and fifteen products are added up
//! before one reduction. Rows come one after the other, in pieces of any length, so that a mask is folded while it is
//! being expanded. Constant time: no branch or index depends on a value.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::field::{Field, Products};

/// The fold `Σ_r γ^r·row_r` of rows that are still coming.
pub(crate) struct RowFold {
    gamma: Field,
    /// γ^r of the row that is being added.
    power: Field,
    /// Rows whose products have not been reduced.
    pending: usize,
    /// Where in its row the next value stands.
    column: usize,
    products: Zeroizing<Vec<Products>>,
    sums: Zeroizing<Vec<Field>>,
}

impl RowFold {
    /// Starts the fold of rows of `packed` ≥ 1 values with the powers of a public challenge.
    pub(crate) fn new(gamma: &Scalar, packed: usize) -> Self {
        Self {
            gamma: gamma.into(),
            power: Field::ONE,
            pending: 0,
            column: 0,
            products: Zeroizing::new(vec![Products::default(); packed]),
            sums: Zeroizing::new(vec![Field::ZERO; packed]),
        }
    }

    /// Adds the next values, unscaled.
    pub(crate) fn extend(&mut self, mut values: &[Field]) {
        while !values.is_empty() {
            let (now, later) = values.split_at(values.len().min(self.products.len() - self.column));
            let products = self.products.iter_mut().skip(self.column);
            products.zip(now).for_each(|(product, value)| product.add(*value, self.power));
            self.column += now.len();
            values = later;
            if self.column == self.products.len() {
                self.end_row();
            }
        }
    }

    fn end_row(&mut self) {
        self.column = 0;
        self.power = self.power * self.gamma;
        self.pending += 1;
        if self.pending == Products::MOST {
            self.reduce();
        }
    }

    fn reduce(&mut self) {
        self.pending = 0;
        for (sum, product) in self.sums.iter_mut().zip(self.products.iter_mut()) {
            *sum += core::mem::take(product).reduce();
        }
    }

    /// Returns the fold, one scalar per packed column.
    pub(crate) fn finish(mut self) -> Vec<Scalar> {
        debug_assert_eq!(self.column, 0, "whole rows");
        self.reduce();
        self.sums.iter().map(|sum| sum.into_unscaled()).collect()
    }
}

/// Returns `Σ_r γ^r·row_r` for rows of `packed` scalars each.
pub(crate) fn fold(gamma: &Scalar, rows: &[Scalar], packed: usize) -> Vec<Scalar> {
    const PIECE: usize = 128;
    let mut fold = RowFold::new(gamma, packed);
    let mut values = Zeroizing::new([Field::ZERO; PIECE]);
    for piece in rows.chunks(PIECE) {
        values.iter_mut().zip(piece).for_each(|(value, scalar)| *value = Field::unscaled(scalar));
        fold.extend(&values[..piece.len()]);
    }
    fold.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain, hash::Stream};

    #[test]
    fn a_fold_is_what_horners_rule_gives_however_the_rows_arrive() {
        let mut stream = Stream::new(domain::NONCE, b"fold");
        for (count, packed) in [(1, 1), (40, 1), (15, 3), (16, 3), (31, 129), (2, 300)] {
            let gamma = stream.next_scalar();
            let rows: Vec<_> = (0..count * packed).map(|_| stream.next_scalar()).collect();
            let mut expected = vec![Scalar::ZERO; packed];
            for row in rows.chunks_exact(packed).rev() {
                expected.iter_mut().zip(row).for_each(|(sum, value)| *sum = *sum * gamma + value);
            }

            let values: Vec<_> = rows.iter().map(Field::unscaled).collect();
            let mut by_sevens = RowFold::new(&gamma, packed);
            values.chunks(7).for_each(|piece| by_sevens.extend(piece));

            assert_eq!(fold(&gamma, &rows, packed), expected);
            assert_eq!(by_sevens.finish(), expected);
        }
    }
}
