//! AdamW (Loshchilov and Hutter 2019).

use zeroize::Zeroize as _;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The running means of the gradient and of its square.
pub(super) struct AdamW {
    step: usize,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl AdamW {
    /// Returns the optimiser of so many values, before its first step.
    pub(super) fn new(values: usize) -> Self {
        Self { step: 0, first: vec![0.0; values], second: vec![0.0; values] }
    }

    /// Returns the optimiser as it was after a step.
    pub(super) const fn resumed(step: usize, first: Vec<f32>, second: Vec<f32>) -> Self {
        Self { step, first, second }
    }

    /// Returns the running means.
    pub(super) fn moments(&self) -> (&[f32], &[f32]) {
        (&self.first, &self.second)
    }

    /// Moves values against a gradient.
    pub(super) fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f64, weight_decay: f64) {
        self.step += 1;
        let power = self.step as f64;
        let (first_share, second_share) = (1.0 - FIRST_DECAY.powf(power), 1.0 - SECOND_DECAY.powf(power));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, g), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let g = f64::from(*g);
            *first = (FIRST_DECAY * f64::from(*first) + (1.0 - FIRST_DECAY) * g) as f32;
            *second = (SECOND_DECAY * f64::from(*second) + (1.0 - SECOND_DECAY) * g * g) as f32;
            let direction = (f64::from(*first) / first_share) / ((f64::from(*second) / second_share).sqrt() + EPSILON);
            let before = f64::from(*value);
            *value = (before - rate * (direction + weight_decay * before)) as f32;
        }
    }
}

/// The means say what the examples pull at: wiped.
impl Drop for AdamW {
    fn drop(&mut self) {
        self.first.zeroize();
        self.second.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_against_the_sign() {
        let mut values = [1.0, 1.0, 1.0];
        AdamW::new(3).step(&mut values, &[5.0, -0.01, 0.0], 0.1, 0.0);
        assert!(values.iter().zip([0.9, 1.1, 1.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_parabola_is_descended_and_decay_pulls_to_zero() {
        let mut optimiser = AdamW::new(1);
        let mut value = [5.0f32];
        for _ in 0..2_000 {
            let gradient = [2.0 * (value[0] - 3.0)];
            optimiser.step(&mut value, &gradient, 0.01, 0.0);
        }
        assert!((value[0] - 3.0).abs() < 1e-2);
        AdamW::new(1).step(&mut value, &[0.0], 0.1, 0.5);
        assert!((value[0] - 2.85).abs() < 1e-2);
    }
}
