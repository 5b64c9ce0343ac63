//! Linear layers: the frozen one of the base model, and the low-rank update beside it.

use super::{Rows, Weight, add};

/// A frozen linear layer: `y = x·Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Returns the layer.
    pub const fn new(weight: Weight, bias: Option<Vec<f32>>) -> Self {
        Self { weight, bias }
    }

    /// Returns y.
    pub fn forward(&self, x: &Rows) -> Rows {
        let mut y = self.weight.forward(x);
        if let Some(bias) = &self.bias {
            (0..y.rows()).for_each(|row| add(y.row_mut(row), bias));
        }
        y
    }

    /// Takes the gradient of y to that of x, which is added to `of_x`.
    pub fn backward(&self, gradient: &Rows, of_x: &mut Rows) {
        self.weight.backward(gradient, of_x);
    }
}

/// A low-rank update of a linear layer: `y += s·(x·Aᵀ)·Bᵀ`, of which B is trained.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// r × inputs.
    pub a: Rows,
    /// outputs × r.
    pub b: Rows,
    /// s.
    pub scale: f32,
}

impl LowRank {
    /// Adds the update to y, and returns `u = x·Aᵀ`, which the backward needs.
    pub fn forward(&self, x: &Rows, y: &mut Rows) -> Rows {
        let u = x.times_transposed(&self.a);
        u.view().add_times(self.b.view().transposed(), self.scale, y);
        u
    }

    /// Adds the gradient of B, `s·gᵀ·u`, to `of_b` (row by row), and that of x, `s·(g·B)·A`, to `of_x`, if it is wanted.
    pub fn backward(&self, u: &Rows, gradient: &Rows, of_b: &mut [f32], of_x: Option<&mut Rows>) {
        gradient.view().transposed().add_times_to(u.view(), self.scale, of_b);
        if let Some(of_x) = of_x {
            gradient.view().times(self.b.view()).view().add_times(self.a.view(), self.scale, of_x);
        }
    }
}
