//! The largest eigenvalues of a symmetric operator: Lanczos' iteration, in which every vector is made orthogonal to all
//! before it (Golub and Van Loan, *Matrix Computations*, 4th edition, §10.3).

use crate::deliberation::linear::dot;

/// How far the image of an eigenvector may be from a multiple of it, in parts of the largest eigenvalue: for the first
/// two, which are used, and for the others, which are only named. The error of an eigenvalue is the square of it.
const TOLERANCE: [f64; 2] = [1e-12, 1e-4];

/// What is left of a vector after all others were taken out of it is rounding, if it is shorter than this part.
const NOTHING: f64 = 1e-13;

/// Steps between two looks at whether it is done.
const LOOK: usize = 8;

/// Rounds of implicit shifts for an eigenvalue: three are usual.
const SHIFTS: usize = 60;

/// Returns the `wanted` largest eigenvalues of `apply`, largest first, each with its unit eigenvector.
///
/// It begins with the first of `starts`, and where the space that this one leads to is exhausted with the next: so every
/// eigenvector that lies in the space of all of them is found in an operator of few dimensions. In a large one an
/// eigenvalue that occurs twice, to the last digits, may be found once.
pub(super) fn largest(
    wanted: usize,
    starts: impl IntoIterator<Item = Vec<f64>>,
    apply: impl Fn(&[f64]) -> Vec<f64>,
) -> Vec<(f64, Vec<f64>)> {
    let mut starts = starts.into_iter();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut triangle = Tridiagonal::default();
    let mut next = fresh(&mut starts, &basis);
    while let Some(direction) = next.take() {
        let image = apply(&direction);
        triangle.diagonal.push(dot(&image, &direction));
        basis.push(direction);
        let length = dot(&image, &image).sqrt();
        let (rest, beta) = without(&basis, image);
        if beta <= length * NOTHING {
            next = fresh(&mut starts, &basis);
            triangle.beside.push(0.0);
        } else if basis.len().is_multiple_of(LOOK) && triangle.is_settled(beta, wanted) {
            break;
        } else {
            next = Some(scaled(rest, beta));
            triangle.beside.push(beta);
        }
    }
    let size = basis.len();
    let (values, components) = triangle.eigen((0..size).map(|row| unit(size, row)).collect());
    let combined = |place: usize| {
        let mut sum = vec![0.0; basis.first().map_or(0, Vec::len)];
        for (direction, of_direction) in basis.iter().zip(&components) {
            sum.iter_mut().zip(direction).for_each(|(sum, entry)| *sum += entry * of_direction[place]);
        }
        sum
    };
    descending(&values).into_iter().take(wanted).map(|place| (values[place], combined(place))).collect()
}

/// Returns the next start without what is known, as a unit vector; none if no start leads anywhere new.
fn fresh(starts: &mut impl Iterator<Item = Vec<f64>>, basis: &[Vec<f64>]) -> Option<Vec<f64>> {
    starts.find_map(|start| {
        let before = dot(&start, &start).sqrt();
        let (rest, length) = without(basis, start);
        (length > before * NOTHING.sqrt()).then(|| scaled(rest, length))
    })
}

/// Takes the vectors of an orthonormal basis out of a vector, twice against rounding; returns the rest and its length.
fn without(basis: &[Vec<f64>], mut vector: Vec<f64>) -> (Vec<f64>, f64) {
    for _ in 0..2 {
        for direction in basis {
            let along = dot(direction, &vector);
            vector.iter_mut().zip(direction).for_each(|(entry, q)| *entry -= along * q);
        }
    }
    let length = dot(&vector, &vector).sqrt();
    (vector, length)
}

fn scaled(mut vector: Vec<f64>, length: f64) -> Vec<f64> {
    vector.iter_mut().for_each(|entry| *entry /= length);
    vector
}

fn unit(size: usize, place: usize) -> Vec<f64> {
    (0..size).map(|index| if index == place { 1.0 } else { 0.0 }).collect()
}

/// Returns the places of values, the largest value first.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order
}

/// A symmetric tridiagonal matrix.
#[derive(Clone, Debug, Default)]
struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Beside the diagonal: as many, or one more, which is left out.
    beside: Vec<f64>,
}

impl Tridiagonal {
    /// Whether the largest eigenvalues will change no more, if `beta` is what comes next beside the diagonal.
    fn is_settled(&self, beta: f64, wanted: usize) -> bool {
        let size = self.diagonal.len();
        let (values, last) = self.clone().eigen(vec![unit(size, size - 1)]);
        let order = descending(&values);
        let scale = order.first().map_or(0.0, |&place| values[place].abs());
        let residual = |place: &usize| beta * last[0][*place].abs();
        let [used, named] = TOLERANCE;
        size >= wanted
            && order.iter().take(2).all(|place| residual(place) <= used * scale)
            && order.iter().take(wanted).all(|place| residual(place) <= named * scale)
    }

    /// Returns the eigenvalues, and the product of `rows` and the matrix of eigenvectors: with the rows of the unit matrix,
    /// the components of all eigenvectors. By the QL algorithm with implicit shifts (Golub and Van Loan, §8.3).
    fn eigen(self, mut rows: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (mut d, mut e) = (self.diagonal, self.beside);
        e.resize(d.len(), 0.0);
        for at in 0..d.len() {
            for _ in 0..SHIFTS {
                let is_split = |i: &usize| e[*i].abs() <= f64::EPSILON * (d[*i].abs() + d[*i + 1].abs());
                let end = (at..d.len() - 1).find(is_split).unwrap_or(d.len() - 1);
                if end == at {
                    break;
                }
                shift(&mut d, &mut e, &mut rows, at, end);
            }
        }
        (d, rows)
    }
}

/// One implicit shift on the block from `at` to `end`, from its end upwards.
fn shift(d: &mut [f64], e: &mut [f64], rows: &mut [Vec<f64>], at: usize, end: usize) {
    let half = (d[at + 1] - d[at]) / (2.0 * e[at]);
    let root = (half * half + 1.0).sqrt();
    let mut g = d[end] - d[at] + e[at] / (half + root.copysign(half));
    let (mut sine, mut cosine, mut taken) = (1.0, 1.0, 0.0);
    for i in (at..end).rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let radius = (f * f + g * g).sqrt();
        e[i + 1] = radius;
        if radius == 0.0 {
            d[i + 1] -= taken;
            e[end] = 0.0;
            return;
        }
        (sine, cosine) = (f / radius, g / radius);
        g = d[i + 1] - taken;
        let turned = (d[i] - g) * sine + 2.0 * cosine * b;
        taken = sine * turned;
        d[i + 1] = g + taken;
        g = cosine * turned - b;
        for row in rows.iter_mut() {
            let (left, right) = (row[i], row[i + 1]);
            (row[i], row[i + 1]) = (cosine * left - sine * right, sine * left + cosine * right);
        }
    }
    d[at] -= taken;
    e[at] = g;
    e[end] = 0.0;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliberation::linear::symmetric_eigen;

    fn apply(matrix: &[Vec<f64>]) -> impl Fn(&[f64]) -> Vec<f64> {
        |vector| matrix.iter().map(|row| dot(row, vector)).collect()
    }

    #[test]
    fn an_eigenvalue_that_occurs_twice_is_found_twice() {
        let diagonal = [3.0, 3.0, 2.0, 2.0, 0.0, 0.0];
        let matrix: Vec<Vec<f64>> = (0..6).map(|row| scaled(unit(6, row), 1.0 / diagonal[row])).collect();
        let matrix: Vec<Vec<f64>> = matrix
            .into_iter()
            .map(|row| row.into_iter().map(|it| if it.is_finite() { it } else { 0.0 }).collect())
            .collect();
        let starts = (1..=4).map(|number| (0..6).map(|row| 1.0 + f64::from((row * number * 7) % 5)).collect());

        let found: Vec<f64> = largest(4, starts, apply(&matrix)).into_iter().map(|(value, _)| value).collect();

        assert!(found.iter().zip([3.0, 3.0, 2.0, 2.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn nothing_comes_of_no_start_or_of_zeros() {
        assert!(largest(4, [], <[f64]>::to_vec).is_empty());
        assert!(largest(4, [vec![0.0; 3]], <[f64]>::to_vec).is_empty());
    }

    proptest! {
        #[test]
        fn it_finds_what_rotations_find(
            entries in proptest::collection::vec(-100.0..100.0f64, 40 * 41 / 2),
            size in 1_usize..=40,
        ) {
            let at = |i: usize, j: usize| { let (i, j) = (i.max(j), i.min(j)); entries[i * (i + 1) / 2 + j] };
            let matrix: Vec<Vec<f64>> = (0..size).map(|i| (0..size).map(|j| at(i, j)).collect()).collect();
            let starts = (0..4).map(|number| (0..size).map(|row| 1.0 + ((row * 31 + number * 17) % 7) as f64).collect());

            let found = largest(4, starts, apply(&matrix));

            let exact = symmetric_eigen(&matrix);
            prop_assert_eq!(found.len(), size.min(4));
            for ((value, vector), (expected, _)) in found.iter().zip(&exact) {
                prop_assert!((value - expected).abs() < 1e-9, "{value} {expected}");
                prop_assert!((dot(vector, vector) - 1.0).abs() < 1e-9);
            }
            let (value, vector) = &found[0];
            let apart = apply(&matrix)(vector).iter().zip(vector).map(|(a, b)| (a - value * b).abs()).fold(0.0, f64::max);
            prop_assert!(apart < 1e-6, "{apart}");
        }
    }
}
