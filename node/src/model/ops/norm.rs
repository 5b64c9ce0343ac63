//! The root-mean-square norm: `y = x·w/√(mean(x²) + ε)`, row by row.

use super::{Rows, dot};

/// The weight and ε of a norm.
#[derive(Clone, Debug)]
pub struct Norm {
    weight: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// Returns the norm.
    pub const fn new(weight: Vec<f32>, epsilon: f32) -> Self {
        Self { weight, epsilon }
    }

    /// Returns `1/√(mean(x²) + ε)`.
    fn inverse(&self, x: &[f32]) -> f32 {
        1.0 / (dot(x, x) / x.len() as f32 + self.epsilon).sqrt()
    }

    /// Returns y.
    pub fn forward(&self, x: &Rows) -> Rows {
        let mut y = x.clone();
        for row in 0..y.rows() {
            let row = y.row_mut(row);
            let inverse = self.inverse(row);
            row.iter_mut().zip(&self.weight).for_each(|(x, w)| *x *= inverse * w);
        }
        y
    }

    /// Takes the gradient of y to that of x: with `h = g·w` and `c = 1/√…`, `c·h − x·c³·⟨h, x⟩/n`.
    pub fn backward(&self, x: &Rows, mut gradient: Rows) -> Rows {
        for row in 0..x.rows() {
            let (x, g) = (x.row(row), gradient.row_mut(row));
            let inverse = self.inverse(x);
            g.iter_mut().zip(&self.weight).for_each(|(g, w)| *g *= w);
            let pull = dot(g, x) * inverse * inverse * inverse / x.len() as f32;
            g.iter_mut().zip(x).for_each(|(g, x)| *g = *g * inverse - x * pull);
        }
        gradient
    }
}
