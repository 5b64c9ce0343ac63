//! The relation, as linear algebra over the rows: virtual entries and linear relations.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use super::layout::{Layout, bucket_edges, first_count};

/// The relation for one layout. Rows are data rows, then auxiliary rows; entries are rows, then virtual entries.
pub(super) struct Statement {
    layout: Layout,
    edges: Vec<(u16, u16)>,
    slack_bits: usize,
}

/// One linear relation: `Σ_r rows_r·u_r + constant = 0`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) rows: Vec<Scalar>,
    pub(super) constant: Scalar,
}

impl Statement {
    pub(super) fn new(layout: &Layout) -> Self {
        let edges = if layout.map() { bucket_edges(layout.items()) } else { Vec::new() };
        Self { layout: *layout, edges, slack_bits: layout.slack_bits() }
    }

    /// Returns the number of rows.
    pub(super) const fn rows(&self) -> usize {
        self.layout.data_rows() + 2 * self.slack_bits
    }

    /// Returns the number of real and virtual entries.
    pub(super) fn entries(&self) -> usize {
        self.rows() + usize::from(self.layout.items()) + usize::from(self.layout.map())
    }

    /// Returns ν, the number of variables of the padded vector.
    pub(super) fn variables(&self) -> usize {
        self.entries().next_power_of_two().ilog2() as usize
    }

    /// Returns w: the rows, the virtual entries s_j and Σ b_k, zeros.
    pub(super) fn extend(&self, rows: &[Scalar]) -> Zeroizing<Vec<Scalar>> {
        let mut entries = Zeroizing::new(Vec::with_capacity(1 << self.variables()));
        entries.extend_from_slice(rows);
        entries.extend(rows[self.layout.vote_rows()].chunks_exact(3).map(|votes| votes.iter().sum::<Scalar>()));
        if self.layout.map() {
            entries.push(rows[self.layout.bucket_rows()].iter().sum());
        }
        entries.resize(1 << self.variables(), Scalar::ZERO);
        entries
    }

    /// The transpose of [`extend`](Self::extend): returns the coefficient of each row in `Σ_x coefficients_x·w(x)`.
    pub(super) fn fold(&self, mut coefficients: Vec<Scalar>) -> Vec<Scalar> {
        let (rows, sums) = coefficients.split_at_mut(self.rows());
        for (votes, sum) in rows[self.layout.vote_rows()].chunks_exact_mut(3).zip(&*sums) {
            votes.iter_mut().for_each(|vote| *vote += sum);
        }
        let buckets = sums.get(usize::from(self.layout.items())).copied().unwrap_or(Scalar::ZERO);
        rows[self.layout.bucket_rows()].iter_mut().for_each(|bucket| *bucket += buckets);
        coefficients.truncate(self.rows());
        coefficients
    }

    /// Returns `factor·(lower + λ·upper + λ²·b_B + λ³·b_{B+1} + …)` of relations (4) and (5); nothing without a map.
    pub(super) fn linear(&self, factor: &Scalar, lambda: &Scalar) -> Linear {
        let mut rows = vec![Scalar::ZERO; self.rows()];
        if !self.layout.map() {
            return Linear { rows, constant: Scalar::ZERO };
        }
        let scaled = factor * lambda;
        let below = Scalar::from(first_count(self.layout.items()) - 1);
        rows[self.layout.vote_rows()].fill(factor - scaled);
        let buckets = &mut rows[self.layout.bucket_rows()];
        let (used, unused) = buckets.split_at_mut(self.edges.len());
        for (row, (low, high)) in used.iter_mut().zip(&self.edges) {
            *row = scaled * (Scalar::from(*high) - below) - factor * Scalar::from(*low);
        }
        let mut power = scaled * lambda;
        for row in unused {
            // An unused bucket has lo = hi = 0 in (4), so that (5) is what forbids it.
            *row = power - scaled * below;
            power *= lambda;
        }
        let (lower, upper) = rows[self.layout.data_rows()..].split_at_mut(self.slack_bits);
        for (bit, (lower, upper)) in lower.iter_mut().zip(upper).enumerate() {
            let value = Scalar::from(1u64 << bit);
            (*lower, *upper) = (-(factor * value), -(scaled * value));
        }
        Linear { rows, constant: scaled * below }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Stream;

    #[test]
    fn the_padded_vector_is_the_shortest_that_holds_all_entries() {
        for items in 1..=super::super::layout::MAX_ITEMS {
            for map in [false, true] {
                let layout = Layout::new(items, map).expect("in range");
                let virtual_entries = usize::from(items) + usize::from(map);
                let entries = layout.data_rows() + layout.auxiliary_rows() + virtual_entries;
                let variables = Statement::new(&layout).variables();

                assert!(entries <= 1 << variables && entries > 1 << (variables - 1), "{items} items, map: {map}");
            }
        }
    }

    proptest! {
        #[test]
        fn folding_coefficients_is_the_transpose_of_extending_rows(items in 1u16..40, map: bool, seed: u64) {
            let statement = Statement::new(&Layout::new(items, map).expect("in range"));
            let mut stream = Stream::new(crate::domain::NONCE, &seed.to_be_bytes());
            let rows: Vec<_> = (0..statement.rows()).map(|_| stream.next_scalar()).collect();
            let coefficients: Vec<_> = (0..1 << statement.variables()).map(|_| stream.next_scalar()).collect();
            let product = |left: &[Scalar], right: &[Scalar]| -> Scalar {
                left.iter().zip(right).map(|(left, right)| left * right).sum()
            };

            let entries = statement.extend(&rows);

            prop_assert!(statement.entries() <= entries.len() && entries.len() < 2 * statement.entries());
            prop_assert_eq!(product(&coefficients, &entries), product(&statement.fold(coefficients.clone()), &rows));
        }
    }
}
