//! The mean of adapters, exactly: `ΔW = Σ_i w_i·s_i·B_i·A_i` with weights that add up to one.
//!
//! Averaging A and B apart is not the mean (a product of means is no mean of products), and PEFT's own
//! `add_weighted_adapter(…, "linear")` multiplies both factors by √w, so that n adapters with one A and weights 1/n come out
//! n times too large. Two ways are exact, and the one that gives the smaller adapter is taken:
//!
//! * all adapters share A (a federated round in which A is frozen, or copies of one initialisation): the mean of the B;
//! * else: the factors are stacked, and the rank is the sum of the ranks.
//!
//! Whoever wants a smaller rank than that gets the nearest adapter of that rank ([`truncate`]), and is told what it costs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    matrix::{Matrix, to_f32},
    peft::{Adapter, Factors, PeftError, Source},
    project::Loss,
};

mod truncate;

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

/// An adapter and the folder that it comes from.
pub type Named = (PathBuf, Adapter);

/// Reads adapters from their folders, on all cores, in order.
///
/// # Errors
///
/// Returns the [`PeftError`] of the first folder that is no adapter.
pub fn read(folders: &[PathBuf]) -> Result<(Vec<Named>, Vec<Source>), PeftError> {
    let read = |folder: &PathBuf| {
        let (adapter, source) = Adapter::read_with_source(folder)?;
        Ok(((folder.clone(), adapter), source))
    };
    in_parallel(folders, read).into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.into_iter().unzip())
}

/// Returns the weighted mean; the weights are divided by their sum.
///
/// # Errors
///
/// Returns a [`MergeError`] that names the adapter.
pub fn mean(adapters: &[Named], weights: &[f64]) -> Result<(Adapter, Method), MergeError> {
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
    let mut modules = BTreeMap::new();
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
    Ok((Adapter::of_factors(first.config.base_model_name_or_path.clone(), modules), method))
}

/// Returns the nearest adapter of at most this rank, with s = 1 and rows of A that are orthonormal; and by module what it
/// costs. The modules are shared out among as many threads as there are cores.
pub fn truncate(adapter: &Adapter, rank: usize) -> (Adapter, BTreeMap<String, Loss>) {
    let modules: Vec<(&String, &Factors)> = adapter.modules.iter().collect();
    let one = |(module, factors): &(&String, &Factors)| {
        let (factors, loss) = truncate::truncate(factors, adapter.config.scale(factors.rank()), rank);
        ((*module).clone(), factors, loss)
    };
    let (mut truncated, mut losses) = (BTreeMap::new(), BTreeMap::new());
    for (module, factors, loss) in in_parallel(&modules, one) {
        truncated.insert(module.clone(), factors);
        losses.insert(module, loss);
    }
    (Adapter::of_factors(adapter.config.base_model_name_or_path.clone(), truncated), losses)
}

/// Applies a function to each item, on all cores; the order stays.
fn in_parallel<T: Sync, R: Send>(items: &[T], function: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    let function = &function;
    std::thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || <[T]>::iter(part).map(function).collect::<Vec<R>>());
        let parts: Vec<_> = items.chunks(share).map(spawn).collect();
        parts.into_iter().flat_map(|part| part.join().expect("nothing in there panics")).collect()
    })
}

fn check(path: &Path, first: &Adapter, other: &Adapter) -> Result<(), MergeError> {
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

#[cfg(test)]
mod tests;
