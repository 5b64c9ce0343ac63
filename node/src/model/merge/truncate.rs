//! The nearest adapter of a smaller rank: the singular value decomposition of `ΔW`, of which the largest are kept.
//!
//! `ΔW` is never written out. With `A·Aᵀ = U·Λ·Uᵀ` the rows of `V = Λ^(−½)·Uᵀ·A` are orthonormal and `ΔW = C·V` for
//! `C = B·U·Λ^½`; the eigenvectors P of `CᵀC = Λ^½·Uᵀ·(BᵀB)·U·Λ^½` give `ΔW = (C·P)·(PᵀV)`, where the columns of `C·P` are
//! orthogonal and as long as the singular values. Keeping the first R columns is the best there is of rank R (Eckart and
//! Young 1936), and what is lost is what the others weigh. Everything but the last products has the order of the stacked
//! rank.

use crate::model::{
    eigen::{Eigen, dot, symmetric},
    peft::Factors,
    project::Loss,
};

/// Directions of A below this share of the largest eigenvalue are noise of the arithmetic: single precision has 10⁻¹⁴.
const NOISE: f64 = 1e-14;

/// Returns the best factors of at most this rank for `s·B·A`, with s in them, A of orthonormal rows; and what is lost.
pub(super) fn truncate(factors: &Factors, scale: f64, rank: usize) -> (Factors, Loss) {
    let order = factors.rank();
    let (mut a, mut b) = (factors.a.gram_of_rows(), factors.b.gram_of_columns());
    let balance = balance(&mut a, &mut b, order);
    let eigen = symmetric(&a, order);
    let largest = eigen.values.first().copied().unwrap_or(0.0);
    let roots: Vec<f64> =
        eigen.values.iter().take_while(|value| **value > NOISE * largest).map(|value| value.sqrt()).collect();
    let inner = symmetric(&inner_gram(&eigen, &roots, &b), roots.len());
    let rank = rank.min(roots.len());
    // Left of A: Pᵀ·Λ^(−½)·Uᵀ; right of B: U·Λ^½·P, transposed here.
    let mix = |vector: &[f64], weigh: fn(f64) -> f64| -> Vec<f64> {
        let mut sum = vec![0.0; order];
        for ((share, root), direction) in vector.iter().zip(&roots).zip(&eigen.vectors) {
            sum.iter_mut().zip(direction).for_each(|(sum, value)| *sum += share * weigh(*root) * value);
        }
        sum
    };
    let (mut left, mut right) = (Vec::with_capacity(rank * order), vec![0.0; order * rank]);
    for (index, vector) in inner.vectors.iter().take(rank).enumerate() {
        left.extend(mix(vector, |root| 1.0 / root).iter().zip(&balance).map(|(value, balance)| value * balance));
        for (row, value) in mix(vector, |root| root).into_iter().enumerate() {
            right[row * rank + index] = scale * value / balance[row];
        }
    }
    let weight = |values: &[f64]| values.iter().fold(0.0, |sum, value| sum + value.max(0.0));
    let (total, lost) = (weight(&inner.values), weight(&inner.values[rank..]));
    let loss = Loss { norm: scale.abs() * total.sqrt(), error: scale.abs() * lost.sqrt() };
    (Factors { a: factors.a.times_from_left(&left), b: factors.b.times_from_right(&right) }, loss)
}

/// Makes row k of A as long as column k of B, without a change of the product: `a_k·t_k`, `b_k/t_k`. Returns the t.
///
/// Else a direction in which A is short and B long would be taken for noise.
fn balance(a: &mut [f64], b: &mut [f64], order: usize) -> Vec<f64> {
    let factor = |index: usize| {
        let (a, b) = (a[index * order + index], b[index * order + index]);
        if a > 0.0 && b > 0.0 { (b / a).sqrt().sqrt() } else { 1.0 }
    };
    let factors: Vec<f64> = (0..order).map(factor).collect();
    for (row, x) in factors.iter().enumerate() {
        for (column, y) in factors.iter().enumerate() {
            a[row * order + column] *= x * y;
            b[row * order + column] /= x * y;
        }
    }
    factors
}

/// Returns `Λ^½·Uᵀ·G·U·Λ^½`.
fn inner_gram(eigen: &Eigen, roots: &[f64], gram: &[f64]) -> Vec<f64> {
    let order = eigen.vectors.len();
    let mut inner = vec![0.0; roots.len() * roots.len()];
    for (row, (x, root)) in eigen.vectors.iter().zip(roots).enumerate() {
        let image: Vec<f64> = gram.chunks_exact(order).map(|gram| root * dot(gram, x)).collect();
        for (column, (y, root)) in eigen.vectors.iter().zip(roots).take(row + 1).enumerate() {
            let value = root * dot(&image, y);
            inner[row * roots.len() + column] = value;
            inner[column * roots.len() + row] = value;
        }
    }
    inner
}
