//! The gate of the feed-forward part: `y = silu(gate)·up` with `silu(x) = x/(1 + e⁻ˣ)`.

use super::{Rows, math::exp};

/// Returns y.
pub fn forward(gate: &Rows, up: &Rows) -> Rows {
    let mut y = up.clone();
    for (y, gate) in y.values_mut().iter_mut().zip(gate.values()) {
        *y *= gate / (1.0 + exp(-gate));
    }
    y
}

/// Takes the gradient of y to those of the gate and of up.
pub fn backward(gate: &Rows, up: &Rows, gradient: Rows) -> (Rows, Rows) {
    let (mut of_gate, mut of_up) = (gate.clone(), gradient);
    let pairs = of_gate.values_mut().iter_mut().zip(of_up.values_mut());
    for ((gate, g), up) in pairs.zip(up.values()) {
        let x = *gate;
        let sigmoid = 1.0 / (1.0 + exp(-x));
        *gate = *g * up * sigmoid * (1.0 + x * (1.0 - sigmoid));
        *g *= x * sigmoid;
    }
    (of_gate, of_up)
}
