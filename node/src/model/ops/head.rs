//! Losses over the vocabulary, without ever holding the logits of all tokens: a few rows at a time become logits, then their
//! share of the loss, then the gradient of the hidden state.

use super::{Rows, Weight, math};

/// How many rows become logits at a time: with a vocabulary of 2^16, 16 MB.
const CHUNK: usize = 64;

/// A loss of each row, and the gradient of their weighted sum.
#[derive(Debug)]
pub struct Loss {
    /// The loss of each row.
    pub values: Vec<f32>,
    /// The gradient of the hidden states, if it was wanted.
    pub gradient: Option<Rows>,
}

/// Returns −log p(target) of each row. With `weights`, also the gradient of the sum of the losses, so weighted.
///
/// # Panics
///
/// Panics unless there is a target within the vocabulary for each row.
pub fn cross_entropy(hidden: &Rows, head: &Weight, targets: &[u32], weights: Option<&[f32]>) -> Loss {
    assert_eq!(hidden.rows(), targets.len(), "a target for each row");
    chunked(hidden, head, weights, |row, logits, weight| {
        let target = targets[row] as usize;
        let of_target = logits[target];
        let (max, sum) = math::exponentials(logits);
        if let Some(weight) = weight {
            let factor = weight / sum;
            logits.iter_mut().for_each(|value| *value *= factor);
            logits[target] -= weight;
        }
        max + sum.ln() - of_target
    })
}

/// Returns the divergence KL(teacher ‖ student) of the next token's distributions of each row. With `weights`, also the
/// gradient of their sum, so weighted, by the student's hidden states.
///
/// The teacher is kept as its last hidden states, from which its whole distribution is computed again: exact, and far smaller
/// than the distribution.
///
/// # Panics
///
/// Panics unless the two have as many rows.
pub fn divergence(teacher: &Rows, student: &Rows, head: &Weight, weights: Option<&[f32]>) -> Loss {
    assert_eq!(teacher.rows(), student.rows(), "a teacher's row for each of the student's");
    let mut chunk = (usize::MAX, Rows::zeros(1, 1));
    chunked(student, head, weights, |row, logits, weight| {
        if chunk.0 != row / CHUNK {
            let rows: Vec<usize> = (row..teacher.rows().min(row + CHUNK)).collect();
            chunk = (row / CHUNK, head.forward(&teacher.select(&rows)));
        }
        let expected = chunk.1.row_mut(row % CHUNK);
        // The mean difference of the logits under the teacher, then the difference of the two normalisers.
        let mut differences = expected.to_vec();
        differences.iter_mut().zip(&*logits).for_each(|(t, s)| *t -= s);
        let (teacher_max, teacher_sum) = math::exponentials(expected);
        let (max, sum) = math::exponentials(logits);
        let mean = super::dot(expected, &differences) / teacher_sum;
        if let Some(weight) = weight {
            let (of_student, of_teacher) = (weight / sum, weight / teacher_sum);
            logits.iter_mut().zip(expected).for_each(|(s, t)| *s = *s * of_student - *t * of_teacher);
        }
        mean - (teacher_max - max) - (teacher_sum.ln() - sum.ln())
    })
}

/// Gives each row's logits to `loss`, which returns the loss and, if there is a weight, leaves the gradient in their place.
fn chunked(
    hidden: &Rows,
    head: &Weight,
    weights: Option<&[f32]>,
    mut loss: impl FnMut(usize, &mut [f32], Option<f32>) -> f32,
) -> Loss {
    let mut values = Vec::with_capacity(hidden.rows());
    let mut gradient = weights.map(|_| Vec::with_capacity(hidden.values().len()));
    let columns = hidden.columns();
    for start in (0..hidden.rows()).step_by(CHUNK) {
        let rows: Vec<usize> = (start..hidden.rows().min(start + CHUNK)).collect();
        let mut logits = head.forward(&hidden.select(&rows));
        let count = rows.len();
        for row in rows {
            values.push(loss(row, logits.row_mut(row - start), weights.map(|weights| weights[row])));
        }
        if let Some(gradient) = &mut gradient {
            let mut of_chunk = Rows::zeros(count, columns);
            head.backward(&logits, &mut of_chunk);
            gradient.extend(of_chunk.into_values());
        }
    }
    Loss { values, gradient: gradient.map(|values| Rows::new(columns, values)) }
}
