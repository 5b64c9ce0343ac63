//! The eigenvalues of small symmetric matrices: all that singular values of products of thin factors need.
//!
//! Householder reflections to a tridiagonal matrix, then the QL iteration with implicit shifts (Golub and Van Loan, *Matrix
//! Computations*, §8.3), in `f64` and in a fixed order: the same bits on every machine. Of order n it takes ≈ 10·n³
//! operations, where Jacobi's rotations would take many times that for the order 100 to 500 of stacked adapters.

/// What the QL iteration may take for one eigenvalue: two are usual; the rest would be neglected.
const MAX_ITERATIONS: usize = 64;

/// What is negligible beside the largest entry of the matrix, however small its neighbours are.
const NEGLIGIBLE: f64 = 1e-150;

/// The eigenvalues and eigenvectors of a symmetric matrix, in order of falling eigenvalues.
#[derive(Clone, Debug)]
pub(super) struct Eigen {
    /// The eigenvalues.
    pub(super) values: Vec<f64>,
    /// The eigenvector of each eigenvalue: orthonormal.
    pub(super) vectors: Vec<Vec<f64>>,
}

/// Returns the eigenvalues of a symmetric matrix of finite numbers, given row by row.
///
/// # Panics
///
/// Panics if the matrix is not square.
pub(super) fn symmetric(matrix: &[f64], order: usize) -> Eigen {
    assert_eq!(matrix.len(), order * order, "a square matrix");
    // To the size of one: squares neither overflow nor vanish, and what is negligible can be told.
    let size = matrix.iter().fold(0.0f64, |size, value| size.max(value.abs()));
    if size == 0.0 {
        return Eigen { values: vec![0.0; order], vectors: accumulate(&[], order) };
    }
    let scaled = |row: &[f64]| row.iter().map(|value| value / size).collect();
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(order).map(scaled).collect();
    let reflections = tridiagonalise(&mut rows);
    let mut values: Vec<f64> = (0..order).map(|index| rows[index][index]).collect();
    let mut beside: Vec<f64> = (1..order).map(|index| rows[index][index - 1]).chain([0.0]).collect();
    let mut vectors = accumulate(&reflections, order);
    diagonalise(&mut values, &mut beside, &mut vectors);
    let mut sorted: Vec<(f64, Vec<f64>)> = values.into_iter().map(|value| value * size).zip(vectors).collect();
    sorted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (values, vectors) = sorted.into_iter().unzip();
    Eigen { values, vectors }
}

/// Four sums at a time: one would wait for itself at every step.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + last_a.iter().zip(last_b).map(|(a, b)| a * b).sum::<f64>()
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Makes the matrix tridiagonal by reflections `1 − 2·v·vᵀ`; the k-th v, of length one or zero, begins at k + 1.
fn tridiagonalise(rows: &mut [Vec<f64>]) -> Vec<Vec<f64>> {
    let order = rows.len();
    let mut reflections = Vec::with_capacity(order);
    for k in 0..order.saturating_sub(2) {
        let mut v: Vec<f64> = rows[k + 1..].iter().map(|row| row[k]).collect();
        let length = dot(&v, &v).sqrt();
        let beyond = dot(&v[1..], &v[1..]);
        if beyond == 0.0 {
            reflections.push(vec![0.0; v.len()]);
            continue;
        }
        // The sign that adds, not cancels.
        v[0] += length.copysign(v[0]);
        let norm = (v[0] * v[0] + beyond).sqrt();
        v.iter_mut().for_each(|value| *value /= norm);
        rows[k + 1][k] -= 2.0 * v[0] * dot_column(rows, k, &v);
        // A − v·wᵀ − w·vᵀ with w = 2·(A·v − (vᵀ·A·v)·v).
        let mut w: Vec<f64> = rows[k + 1..].iter().map(|row| 2.0 * dot(&row[k + 1..], &v)).collect();
        let along = dot(&w, &v);
        add(&mut w, -along, &v);
        for (index, row) in rows[k + 1..].iter_mut().enumerate() {
            let row = &mut row[k + 1..];
            add(row, -v[index], &w);
            add(row, -w[index], &v);
        }
        reflections.push(v);
    }
    reflections
}

fn dot_column(rows: &[Vec<f64>], column: usize, v: &[f64]) -> f64 {
    rows[column + 1..].iter().zip(v).map(|(row, v)| row[column] * v).sum()
}

/// Returns the product of the reflections, transposed.
fn accumulate(reflections: &[Vec<f64>], order: usize) -> Vec<Vec<f64>> {
    let unit = |row| (0..order).map(|column| if row == column { 1.0 } else { 0.0 }).collect();
    let mut vectors: Vec<Vec<f64>> = (0..order).map(unit).collect();
    for (k, v) in reflections.iter().enumerate().rev() {
        // Rows up to k still are those of the unit matrix.
        for row in &mut vectors[k + 1..] {
            let along = dot(&row[k + 1..], v);
            add(&mut row[k + 1..], -2.0 * along, v);
        }
    }
    vectors
}

/// Makes the tridiagonal matrix diagonal by rotations, which are applied to the vectors too.
fn diagonalise(values: &mut [f64], beside: &mut [f64], vectors: &mut [Vec<f64>]) {
    let order = values.len();
    for low in 0..order {
        for _ in 0..MAX_ITERATIONS {
            let negligible =
                |at: usize| beside[at].abs() <= f64::EPSILON * (values[at].abs() + values[at + 1].abs()) + NEGLIGIBLE;
            let Some(high) = (low..order).find(|at| at + 1 == order || negligible(*at)) else { break };
            if high == low {
                break;
            }
            sweep(values, beside, vectors, low, high);
        }
    }
}

/// One implicitly shifted QL step on the block from `low` to `high`.
fn sweep(values: &mut [f64], beside: &mut [f64], vectors: &mut [Vec<f64>], low: usize, high: usize) {
    // Wilkinson's shift: the eigenvalue of the leading 2 × 2 block that is nearer to its corner.
    let half = (values[low + 1] - values[low]) / (2.0 * beside[low]);
    let shift = values[low] - beside[low] / (half + half.hypot(1.0).copysign(half));
    let mut bulge = values[high] - shift;
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    for at in (low..high).rev() {
        let (across, along) = (sine * beside[at], cosine * beside[at]);
        let length = across.hypot(bulge);
        beside[at + 1] = length;
        if length == 0.0 {
            // The block falls apart here: the rest is left to the next step.
            values[at + 1] -= moved;
            beside[high] = 0.0;
            return;
        }
        (sine, cosine) = (across / length, bulge / length);
        let upper = values[at + 1] - moved;
        let step = (values[at] - upper) * sine + 2.0 * cosine * along;
        moved = sine * step;
        values[at + 1] = upper + moved;
        bulge = cosine * step - along;
        let (front, back) = vectors.split_at_mut(at + 1);
        for (x, y) in front[at].iter_mut().zip(&mut back[0]) {
            (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
        }
    }
    values[low] -= moved;
    beside[low] = bulge;
    beside[high] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    /// Checks `M·v = λ·v`, that the vectors are orthonormal, and the order.
    fn assert_solves(matrix: &[f64], order: usize) {
        let Eigen { values, vectors } = symmetric(matrix, order);
        let size = matrix.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for (index, (value, vector)) in values.iter().zip(&vectors).enumerate() {
            for (row, component) in matrix.chunks_exact(order).zip(vector) {
                assert!(
                    (dot(row, vector) - value * component).abs() <= 1e-13 * size * order as f64,
                    "{order}: {value}"
                );
            }
            for (other, another) in vectors.iter().enumerate() {
                let expected = if index == other { 1.0 } else { 0.0 };
                assert!((dot(vector, another) - expected).abs() < 1e-12, "{order}: {index} {other}");
            }
        }
    }

    fn random(order: usize, rng: &mut ChaCha20Rng, mut draw: impl FnMut(&mut ChaCha20Rng) -> f64) -> Vec<f64> {
        let mut matrix = vec![0.0; order * order];
        for row in 0..order {
            for column in 0..=row {
                matrix[row * order + column] = draw(rng);
                matrix[column * order + row] = matrix[row * order + column];
            }
        }
        matrix
    }

    #[test]
    fn random_matrices_are_solved() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for order in [0, 1, 2, 3, 4, 7, 20, 65] {
            let matrix = random(order, &mut rng, |rng| f64::from(rng.next_u32()) / 1e9 - 2.0);
            assert_solves(&matrix, order);
        }
    }

    #[test]
    fn matrices_full_of_zeros_and_repetitions_are_solved() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for round in 0..200 {
            let order = 1 + round % 9;
            let matrix =
                random(order, &mut rng, |rng| [0.0, 0.0, 0.0, 1.0, -1.0, 1e-150, 1e150][rng.next_u32() as usize % 7]);
            assert_solves(&matrix, order);
        }
        assert_solves(&[1.0; 49], 7);
        assert_solves(&[0.0; 49], 7);
    }

    #[test]
    fn known_eigenvalues_are_found() {
        // The second difference on a line of n points: 2 − 2·cos(kπ/(n+1)).
        let order = 12;
        let cell = |row: usize, column: usize| [2.0, -1.0].get(row.abs_diff(column)).copied().unwrap_or(0.0);
        let matrix: Vec<f64> = (0..order * order).map(|index| cell(index / order, index % order)).collect();
        let mut expected: Vec<f64> =
            (1..=order).map(|k| 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / (order + 1) as f64).cos()).collect();
        expected.reverse();
        for (found, expected) in symmetric(&matrix, order).values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{found} {expected}");
        }
    }
}
