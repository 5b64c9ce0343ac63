//! The public side of the secret PCA: how large it may be, its matrices Ω and the amplitude of its noise.
//!
//! The operators jointly open `Σ_i x̃_i (x̃_iᵀ Ω) + noise` for a public matrix Ω: a noisy power iteration (Hardt and
//! Price, *The noisy power method*, 2014) in which every intermediate matrix is on the log. Columns × passes is held
//! far below the number of items and of ballots, so that the opened products never come near determining the matrix.

use chorus_crypto::{domain, hash::Stream};

use super::{
    StageError,
    linear::{IntMatrix, MAX_COLUMNS, fix_sign, integer, orthonormal},
};

/// Passes of the largest plan. Rayleigh–Ritz on four columns needs no more on real polls.
pub const MAX_PASSES: usize = 3;

/// Items below which a poll has totals only: so few leave no room between a map and the ballots.
pub const MIN_ITEMS: usize = 16;

/// Ω holds `round(2¹²·q)`: fine enough that rounding is lost in the noise.
const OMEGA_UNIT: f64 = 4096.0;

/// How many columns a pass has, and how many passes there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PcaPlan {
    /// Columns of Ω: at least 2, at most [`MAX_COLUMNS`].
    pub columns: usize,
    /// Products opened: at least 2, at most [`MAX_PASSES`].
    pub passes: usize,
}

impl PcaPlan {
    /// Plans the PCA of `ballots` ballots on `items` items, or returns `None` if only totals may be opened.
    ///
    /// The plan with the largest columns × passes that is at most `min(items, ballots)/4`; of equals the one with
    /// more passes.
    pub fn new(items: usize, ballots: usize, group_floor: usize) -> Option<Self> {
        if ballots < group_floor || items < MIN_ITEMS {
            return None;
        }
        let budget = items.min(ballots) / 4;
        let plans = (2..=MAX_COLUMNS).flat_map(|columns| (2..=MAX_PASSES).map(move |passes| Self { columns, passes }));
        plans.filter(|plan| plan.size() <= budget).max_by_key(|plan| (plan.size(), plan.passes))
    }

    const fn size(&self) -> usize {
        self.columns * self.passes
    }
}

/// Returns Ω₁: small signed integers from the hash stream of `seed`, which the seal of the round determines.
///
/// # Errors
///
/// Returns [`StageError::OutOfRange`] unless `columns` is 1..=[`MAX_COLUMNS`].
pub fn omega_first(seed: [u8; 32], items: usize, columns: usize) -> Result<IntMatrix, StageError> {
    let mut stream = Stream::new(domain::OMEGA, &seed);
    let mut entry = || loop {
        let mut byte = [0];
        stream.fill(&mut byte);
        let [value] = byte.map(u8::cast_signed);
        // −128 has no counterpart: without it the entries are symmetric about zero.
        if value != i8::MIN {
            return i128::from(value);
        }
    };
    let columns = (0..columns.min(MAX_COLUMNS + 1)).map(|_| (0..items).map(|_| entry()).collect()).collect();
    IntMatrix::from_columns(items, columns)
}

/// Returns the next Ω: `round(2¹²·q)` for the orthonormal columns q of the product that was opened, each turned so
/// that the first of its largest entries is positive. `None` if the product is zero; fewer columns if it lacks rank.
pub fn omega_next(product: &IntMatrix) -> Option<IntMatrix> {
    let quantised = |mut q: Vec<f64>| {
        fix_sign(&mut q);
        q.iter().map(|entry| i128::from(integer(entry * OMEGA_UNIT))).collect()
    };
    let columns: Vec<Vec<i128>> = orthonormal(&product.to_reals()).into_iter().map(quantised).collect();
    IntMatrix::from_columns(product.rows(), columns).ok()
}

/// Returns the amplitude of the noise of each column: `a_c = 2¹⁰·⌈‖Ω_c‖₂⌉`, about the effect of one vote.
///
/// Each set of operators adds a term that is uniform in −a_c..=a_c. This is a heuristic, not differential privacy.
pub fn noise_amplitude(omega: &IntMatrix) -> Vec<u64> {
    let amplitude = |column: &Vec<i128>| {
        let square: u128 = column.iter().map(|entry| entry.unsigned_abs().min(1 << 32).pow(2)).sum();
        let floor = square.isqrt();
        let ceil = if floor * floor == square { floor } else { floor + 1 };
        u64::try_from(ceil << 10).unwrap_or(u64::MAX)
    };
    omega.columns().iter().map(amplitude).collect()
}

/// Returns the part of one ballot in a product: `x̃ (x̃ᵀ Ω)`, column by column.
pub fn ballot_product(centred: &[i64], omega: &IntMatrix) -> Vec<Vec<i128>> {
    let one = |column: &Vec<i128>| {
        let along: i128 = centred.iter().zip(column).map(|(&x, &entry)| i128::from(x) * entry).sum();
        centred.iter().map(|&x| i128::from(x) * along).collect()
    };
    omega.columns().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(items: usize, ballots: usize) -> Option<(usize, usize)> {
        PcaPlan::new(items, ballots, 40).map(|plan| (plan.columns, plan.passes))
    }

    #[test]
    fn the_plan_stays_below_a_quarter_of_items_and_ballots() {
        assert_eq!(plan(50, 204), Some((4, 3)));
        assert_eq!(plan(16, 40), Some((2, 2)));
        assert_eq!(plan(24, 100), Some((2, 3)));
        assert_eq!(plan(33, 100), Some((4, 2)));
        assert_eq!(plan(500, 40), Some((3, 3)));
        assert_eq!(plan(500, 39), None);
        assert_eq!(plan(15, 1000), None);
        for (items, ballots) in (16..64).flat_map(|items| (40..64).map(move |ballots| (items, ballots))) {
            let (columns, passes) = plan(items, ballots).expect("large enough");
            assert!(4 * columns * passes <= items.min(ballots));
        }
    }

    #[test]
    fn the_first_matrix_depends_on_the_seed_alone() {
        let first = omega_first([1; 32], 20, 4).expect("four columns");

        assert_eq!(omega_first([1; 32], 20, 4), Ok(first.clone()));
        assert_ne!(omega_first([2; 32], 20, 4), Ok(first.clone()));
        assert!(first.columns().iter().flatten().all(|entry| entry.abs() <= 127));
        assert!(omega_first([1; 32], 20, 5).is_err());
        assert!(omega_first([1; 32], 20, usize::MAX).is_err());
    }

    #[test]
    fn the_next_matrix_is_orthonormal_in_its_unit_and_loses_dependent_columns() {
        let product = IntMatrix::from_columns(3, vec![vec![-3, 0, 4], vec![6, 0, -8], vec![0, 7, 0]]).expect("small");

        let next = omega_next(&product).expect("not zero");

        assert_eq!(next.columns(), [vec![-2458, 0, 3277], vec![0, 4096, 0]]);
        assert_eq!(omega_next(&IntMatrix::from_columns(2, vec![vec![0, 0]]).expect("small")), None);
    }

    #[test]
    fn noise_is_scaled_by_the_rounded_up_length_of_the_column() {
        let omega = IntMatrix::from_columns(2, vec![vec![3, 4], vec![1, -1], vec![0, 0]]).expect("small");

        assert_eq!(noise_amplitude(&omega), [5 << 10, 2 << 10, 0]);
    }
}
