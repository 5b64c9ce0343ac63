//! Any adapter on a frozen A that everybody shares: `s·B·A ≈ B'·A'`, by least squares, with the error told.
//!
//! In a round all participants have the same A', so that the mean of the B' is the mean of the adapters. An adapter that
//! was trained elsewhere has an A of its own. Of all adapters with A', the one nearest to it in the Frobenius norm is
//! `B' = s·B·(A·A'ᵀ)·(A'·A'ᵀ)⁻¹`: with orthonormal rows of A' simply `ΔW·A'ᵀ`. What lies across A' is lost, and for an
//! unrelated A' of small rank that is most of it: a projection is no translation, and whoever imports sees how much is left.
//!
//! No ΔW is ever written out: norms and errors come from the Gram matrices of the factors.

use std::collections::BTreeMap;

use super::{
    eigen,
    matrix::Matrix,
    peft::{Adapter, Factors},
};

/// Why an adapter cannot be projected.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The adapter changes a module that has no shared A.
    #[error("the adapter changes {module}, for which there is no shared A")]
    Module {
        /// The module.
        module: String,
    },
    /// The adapter is of a base model with other dimensions.
    #[error("{module} has {found} inputs in the adapter and {expected} in the shared A; is it of another base model?")]
    Inputs {
        /// The module.
        module: String,
        /// The inputs of the shared A.
        expected: usize,
        /// The inputs of the adapter.
        found: usize,
    },
    /// The rows of a shared A are not independent, or there are none.
    #[error("the rows of the shared A of {module} are not linearly independent")]
    Dependent {
        /// The module.
        module: String,
    },
    /// A module that the adapter leaves as it is, so that nothing tells how many outputs it has.
    #[error("the adapter does not change {module}, and nothing tells its number of outputs")]
    Outputs {
        /// The module.
        module: String,
    },
}

/// A frozen A, and the number of the module's outputs if it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// r × in, of independent rows.
    pub a: Matrix,
    /// How many outputs the module has: needed only where the adapter leaves the module as it is.
    pub outputs: Option<usize>,
}

/// An adapter on the shared A, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// The adapter: A as it was given, s = 1.
    pub adapter: Adapter,
    /// What was lost, by module.
    pub losses: BTreeMap<String, Loss>,
}

/// What a change of factors costs: norms in the Frobenius norm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// The norm of the update as it was.
    pub norm: f64,
    /// The norm of the difference.
    pub error: f64,
}

impl Loss {
    /// Returns the error as a share of the norm; zero if there was nothing to lose.
    pub fn relative(&self) -> f64 {
        if self.norm > 0.0 { self.error / self.norm } else { 0.0 }
    }

    /// Returns the loss of all modules together.
    pub fn sum<'a>(losses: impl IntoIterator<Item = &'a Self>) -> Self {
        let squares = losses
            .into_iter()
            .fold((0.0, 0.0), |(norm, error), loss| (norm + loss.norm * loss.norm, error + loss.error * loss.error));
        Self { norm: squares.0.sqrt(), error: squares.1.sqrt() }
    }
}

/// Below this share of the largest eigenvalue of `A'·A'ᵀ` the rows of A' are taken for dependent.
const MIN_CONDITION: f64 = 1e-10;

/// Returns the adapter on the shared A that is nearest to the given one.
///
/// Modules of `shared` that the adapter leaves as they are get B' = 0.
///
/// # Errors
///
/// Returns a [`ProjectError`] that names the module.
pub fn project(adapter: &Adapter, shared: &BTreeMap<String, Shared>) -> Result<Projection, ProjectError> {
    if let Some(module) = adapter.modules.keys().find(|module| !shared.contains_key(*module)) {
        return Err(ProjectError::Module { module: module.clone() });
    }
    let (mut modules, mut losses) = (BTreeMap::new(), BTreeMap::new());
    for (module, Shared { a, outputs }) in shared {
        let (b, loss) = match adapter.modules.get(module) {
            Some(factors) => nearest(module, adapter.config.scale(factors.rank()), factors, a)?,
            None => {
                let outputs = outputs.ok_or_else(|| ProjectError::Outputs { module: module.clone() })?;
                let b = Matrix::new(outputs, a.rows(), vec![0.0; outputs * a.rows()]);
                (b.expect("as many zeros as fit"), Loss::default())
            }
        };
        modules.insert(module.clone(), Factors { a: a.clone(), b });
        losses.insert(module.clone(), loss);
    }
    let adapter = Adapter::of_factors(adapter.config.base_model_name_or_path.clone(), modules);
    Ok(Projection { adapter, losses })
}

/// Returns B' for one module, and what is lost.
fn nearest(module: &str, scale: f64, factors: &Factors, a: &Matrix) -> Result<(Matrix, Loss), ProjectError> {
    if factors.a.columns() != a.columns() {
        let (expected, found) = (a.columns(), factors.a.columns());
        return Err(ProjectError::Inputs { module: module.to_owned(), expected, found });
    }
    let inverse = inverse(&a.gram_of_rows(), a.rows());
    let inverse = inverse.ok_or_else(|| ProjectError::Dependent { module: module.to_owned() })?;
    let across = factors.a.products_of_rows(a);
    let mut solution = multiply(&across, &inverse, a.rows());
    solution.iter_mut().for_each(|value| *value *= scale);
    let b = factors.b.times_from_right(&solution);
    let norm = scale.abs() * factors.norm();
    let error = difference(scale, factors, &b, a);
    Ok((b, Loss { norm, error }))
}

/// Returns `‖s·B·A − B'·A'‖`.
fn difference(scale: f64, factors: &Factors, b: &Matrix, a: &Matrix) -> f64 {
    let trace = |b: &[f64], a: &[f64]| -> f64 { b.iter().zip(a).map(|(b, a)| b * a).sum() };
    let own = trace(&factors.b.gram_of_columns(), &factors.a.gram_of_rows());
    let other = trace(&b.gram_of_columns(), &a.gram_of_rows());
    let both = trace(&factors.b.products_of_columns(b), &factors.a.products_of_rows(a));
    (scale * scale * own - 2.0 * scale * both + other).max(0.0).sqrt()
}

/// Inverts a symmetric positive definite matrix.
fn inverse(matrix: &[f64], order: usize) -> Option<Vec<f64>> {
    let eigen = eigen::symmetric(matrix, order);
    let (largest, smallest) = (*eigen.values.first()?, *eigen.values.last()?);
    if largest <= 0.0 || smallest < MIN_CONDITION * largest {
        return None;
    }
    let mut inverse = vec![0.0; order * order];
    for (value, vector) in eigen.values.iter().zip(&eigen.vectors) {
        for (row, x) in inverse.chunks_exact_mut(order).zip(vector) {
            row.iter_mut().zip(vector).for_each(|(cell, y)| *cell += x * y / value);
        }
    }
    Some(inverse)
}

/// Returns `M·N` for N of this many columns and as many rows.
fn multiply(left: &[f64], right: &[f64], order: usize) -> Vec<f64> {
    let cell = |row: &[f64], column: usize| (0..order).map(|k| row[k] * right[k * order + column]).sum();
    left.chunks_exact(order).flat_map(|row| (0..order).map(move |column| cell(row, column))).collect()
}

#[cfg(test)]
mod tests;
