//! The mean of adapters, exactly: `ΔW = Σ_i w_i·s_i·B_i·A_i` with weights that add up to one.
//!
//! Averaging A and B apart is not the mean (a product of means is no mean of products), and PEFT's own
//! `add_weighted_adapter(…, "linear")` multiplies both factors by √w, so that n adapters with one A and weights 1/n come out
//! n times too large. Two ways are exact, and the one that gives the smaller adapter is taken:
//!
//! * all adapters share A (a federated round in which A is frozen, or copies of one initialisation): the mean of the B;
//! * else: the factors are stacked, and the rank is the sum of the ranks.

use std::path::PathBuf;

use super::{
    matrix::Matrix,
    peft::{Adapter, Config, Factors},
};

/// Why adapters cannot be averaged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is none.
    #[error("there is no adapter to average")]
    Nothing,
    /// The weights do not fit the adapters, or are no numbers, or add up to nothing.
    #[error("{found} weights for {expected} adapters; they must be finite numbers whose sum is positive")]
    Weights {
        /// Adapters.
        expected: usize,
        /// Weights.
        found: usize,
    },
    /// An adapter adapts other modules than the first one.
    #[error("{adapter} adapts other modules than the first adapter: {module}")]
    Modules {
        /// Which adapter.
        adapter: PathBuf,
        /// A module that only one of them adapts.
        module: String,
    },
    /// A module has other dimensions than in the first adapter: another base model.
    #[error("{adapter}: {module} has other dimensions than in the first adapter; is it of another base model?")]
    Dimensions {
        /// Which adapter.
        adapter: PathBuf,
        /// Which module.
        module: String,
    },
}

/// How the mean was put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// All adapters have one A.
    SharedA,
    /// The factors were stacked.
    Stacked,
}

/// Returns the weighted mean; the weights are divided by their sum.
///
/// # Errors
///
/// Returns a [`MergeError`] that names the adapter.
pub fn mean(adapters: &[(PathBuf, Adapter)], weights: &[f64]) -> Result<(Adapter, Method), MergeError> {
    let [(_, first), others @ ..] = adapters else { return Err(MergeError::Nothing) };
    let sum: f64 = weights.iter().sum();
    if weights.len() != adapters.len() || !weights.iter().all(|weight| weight.is_finite()) || sum <= 0.0 {
        return Err(MergeError::Weights { expected: adapters.len(), found: weights.len() });
    }
    others.iter().try_for_each(|(path, other)| check(path, first, other))?;
    let shares = |module: &String| {
        others
            .iter()
            .all(|(_, other)| other.modules.get(module).map(|it| &it.a) == first.modules.get(module).map(|it| &it.a))
    };
    let method = if first.modules.keys().all(shares) { Method::SharedA } else { Method::Stacked };
    let weights: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
    let mut modules = std::collections::BTreeMap::new();
    for module in first.modules.keys() {
        let parts: Vec<(f64, &Factors)> = adapters
            .iter()
            .zip(&weights)
            .filter_map(|((_, adapter), weight)| {
                let factors = adapter.modules.get(module)?;
                Some((weight * adapter.config.scale(factors.rank()), factors))
            })
            .collect();
        let factors = match method {
            Method::SharedA => shared(&parts),
            Method::Stacked => stacked(&parts),
        };
        modules.insert(module.clone(), factors);
    }
    let rank = modules.values().map(Factors::rank).max().unwrap_or(1);
    let rank = u32::try_from(rank).unwrap_or(u32::MAX);
    let config = Config {
        r: rank,
        // The scales are in the factors: s = 1.
        lora_alpha: rank.into(),
        use_rslora: false,
        rank_pattern: std::collections::BTreeMap::new(),
        ..first.config.clone()
    };
    Ok((Adapter { config, modules }, method))
}

fn check(path: &std::path::Path, first: &Adapter, other: &Adapter) -> Result<(), MergeError> {
    let missing = |a: &Adapter, b: &Adapter| a.modules.keys().find(|module| !b.modules.contains_key(*module)).cloned();
    if let Some(module) = missing(first, other).or_else(|| missing(other, first)) {
        return Err(MergeError::Modules { adapter: path.to_owned(), module });
    }
    let dimensions = |factors: &Factors| (factors.a.columns(), factors.b.rows());
    for (module, factors) in &first.modules {
        if other.modules.get(module).map(dimensions) != Some(dimensions(factors)) {
            return Err(MergeError::Dimensions { adapter: path.to_owned(), module: module.clone() });
        }
    }
    Ok(())
}

/// `(Σ w_i·B_i)·A`, summed in `f64`.
fn shared(parts: &[(f64, &Factors)]) -> Factors {
    let (_, first) = parts[0];
    let mut sums = vec![0.0f64; first.b.values().len()];
    for (weight, factors) in parts {
        for (sum, value) in sums.iter_mut().zip(factors.b.values()) {
            *sum += weight * f64::from(*value);
        }
    }
    let values = sums.into_iter().map(to_f32).collect();
    let b = Matrix::new(first.b.rows(), first.b.columns(), values).expect("as many sums as values");
    Factors { a: first.a.clone(), b }
}

/// `[w_1·B_1 … w_n·B_n]·[A_1; …; A_n]`.
fn stacked(parts: &[(f64, &Factors)]) -> Factors {
    let (_, first) = parts[0];
    let rank: usize = parts.iter().map(|(_, factors)| factors.rank()).sum();
    let a: Vec<f32> = parts.iter().flat_map(|(_, factors)| factors.a.values()).copied().collect();
    let mut b = Vec::with_capacity(first.b.rows() * rank);
    for row in 0..first.b.rows() {
        for (weight, factors) in parts {
            b.extend(factors.b.row(row).iter().map(|value| to_f32(weight * f64::from(*value))));
        }
    }
    let a = Matrix::new(rank, first.a.columns(), a).expect("all have as many columns");
    let b = Matrix::new(first.b.rows(), rank, b).expect("all have as many rows");
    Factors { a, b }
}

#[expect(clippy::cast_possible_truncation, reason = "adapters are stored in single precision")]
const fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    const MODULE: &str = "model.layers.0.self_attn.q_proj";

    fn adapter(rank: u32, alpha: f64, rslora: bool, seed: f32, dimensions: (usize, usize)) -> (PathBuf, Adapter) {
        let matrix = |rows: usize, columns: usize, shift: f32| {
            let value = |index: usize| ((index as f32 * 0.7 + shift).sin() * 3.0).round() / 4.0;
            Matrix::new(rows, columns, (0..rows * columns).map(value).collect()).expect("sized")
        };
        let rank_of = rank as usize;
        let factors = Factors { a: matrix(rank_of, dimensions.0, seed), b: matrix(dimensions.1, rank_of, seed + 1.0) };
        let config = Config { use_rslora: rslora, ..Config::new(None, rank, alpha, vec!["q_proj".into()]) };
        let modules = std::collections::BTreeMap::from([(MODULE.to_owned(), factors)]);
        (PathBuf::from(format!("adapter {seed}")), Adapter { config, modules })
    }

    /// ΔW, written out.
    fn update(adapter: &Adapter) -> Vec<f64> {
        let factors = &adapter.modules[MODULE];
        let scale = adapter.config.scale(factors.rank());
        let cell = |row: usize, column: usize| -> f64 {
            (0..factors.rank())
                .map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column]))
                .sum::<f64>()
                * scale
        };
        (0..factors.b.rows()).flat_map(|row| (0..factors.a.columns()).map(move |column| cell(row, column))).collect()
    }

    fn assert_mean(adapters: &[(PathBuf, Adapter)], weights: &[f64], expected: Method) {
        let (mean, method) = mean(adapters, weights).expect("adapters of one model");
        assert_eq!(method, expected);
        let sum: f64 = weights.iter().sum();
        let updates: Vec<_> = adapters.iter().map(|(_, adapter)| update(adapter)).collect();
        for (index, value) in update(&mean).into_iter().enumerate() {
            let clear: f64 = updates.iter().zip(weights).map(|(update, weight)| update[index] * weight / sum).sum();
            assert!((value - clear).abs() < 1e-5, "{index}: {value} {clear}");
        }
    }

    #[test]
    fn adapters_with_one_a_are_averaged_without_growing() {
        let mut adapters: Vec<_> = (0..4).map(|seed| adapter(2, 4.0, false, seed as f32, (5, 3))).collect();
        let shared = adapters[0].1.modules[MODULE].a.clone();
        for (_, adapter) in &mut adapters {
            adapter.modules.get_mut(MODULE).expect("the module").a = shared.clone();
        }

        assert_mean(&adapters, &[1.0; 4], Method::SharedA);
        assert_mean(&adapters, &[1.0, 2.0, 0.0, 5.0], Method::SharedA);
        let (mean, _) = mean(&adapters, &[1.0; 4]).expect("a mean");
        assert_eq!((mean.config.r, mean.config.scale(2)), (2, 1.0));
    }

    #[test]
    fn what_cannot_be_averaged_is_named() {
        let one = adapter(2, 4.0, false, 0.0, (5, 3));
        assert_eq!(mean(&[], &[]).err(), Some(MergeError::Nothing));
        assert_eq!(mean(std::slice::from_ref(&one), &[]).err(), Some(MergeError::Weights { expected: 1, found: 0 }));
        assert!(matches!(mean(std::slice::from_ref(&one), &[f64::NAN]), Err(MergeError::Weights { .. })));
        assert!(matches!(mean(&[one.clone(), one.clone()], &[1.0, -1.0]), Err(MergeError::Weights { .. })));
        let wide = adapter(2, 4.0, false, 1.0, (6, 3));
        assert!(matches!(mean(&[one.clone(), wide], &[1.0; 2]), Err(MergeError::Dimensions { .. })));
        let mut other = adapter(2, 4.0, false, 1.0, (5, 3));
        let factors = other.1.modules.remove(MODULE).expect("the module");
        other.1.modules.insert("model.layers.1.self_attn.q_proj".into(), factors);
        assert!(matches!(mean(&[one, other], &[1.0; 2]), Err(MergeError::Modules { .. })));
    }

    #[test]
    fn the_mean_is_the_mean_of_the_products() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..64 {
            let mut draw = |bound: u32| rng.next_u32() % bound;
            let count = 2 + draw(4);
            let (mut adapters, mut weights) = (Vec::new(), Vec::new());
            for seed in 0..count {
                let (rank, alpha) = (1 + draw(4), 0.5 + f64::from(draw(64)) / 4.0);
                adapters.push(adapter(rank, alpha, draw(2) == 0, seed as f32, (6, 4)));
                weights.push(0.1 + f64::from(draw(30)) / 10.0);
            }
            assert_mean(&adapters, &weights, Method::Stacked);
        }
    }
}
