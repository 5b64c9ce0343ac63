//! The rotary position embedding in half-split order: the i-th and the (i + d/2)-th entry of a head are the two coordinates
//! that position p turns by the angle `p·θ^(−2i/d)`.

use std::f64::consts::PI;

use crate::model::checkpoint::{Config, RopeScaling};

/// The sines and cosines of all angles up to a longest text.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Half the width of a head.
    half: usize,
    /// For each position, the cosines, then the sines.
    table: Vec<f32>,
}

impl Rope {
    /// Returns the table for texts of at most `positions` tokens.
    pub fn new(config: &Config, positions: usize) -> Self {
        let half = config.head_dim / 2;
        let frequencies: Vec<f64> = (0..half).map(|i| frequency(config, i)).collect();
        let mut table = Vec::with_capacity(2 * half * positions);
        for position in 0..positions {
            let angles = frequencies.iter().map(|frequency| position as f64 * frequency);
            table.extend(angles.clone().map(|angle| angle.cos() as f32));
            table.extend(angles.map(|angle| angle.sin() as f32));
        }
        Self { half, table }
    }

    /// Returns how long a text may be.
    pub fn positions(&self) -> usize {
        self.table.len() / (2 * self.half)
    }

    /// Turns a head's vector at a position.
    pub(crate) fn turn(&self, position: usize, head: &mut [f32]) {
        self.rotate(position, head, 1.0);
    }

    /// Turns it back: the inverse of [`turn`](Self::turn), and its transpose.
    pub(crate) fn turn_back(&self, position: usize, head: &mut [f32]) {
        self.rotate(position, head, -1.0);
    }

    fn rotate(&self, position: usize, head: &mut [f32], sign: f32) {
        let (cosines, sines) = self.table[2 * self.half * position..][..2 * self.half].split_at(self.half);
        let (first, second) = head.split_at_mut(self.half);
        for (((x, y), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
            let sine = sign * sine;
            (*x, *y) = (*x * cosine - *y * sine, *y * cosine + *x * sine);
        }
    }
}

/// Returns the angle per position of the i-th pair.
pub(crate) fn frequency(config: &Config, i: usize) -> f64 {
    let frequency = config.rope_theta.powf(-2.0 * i as f64 / config.head_dim as f64);
    match config.rope_scaling {
        None => frequency,
        Some(RopeScaling::Linear { factor }) => frequency / factor,
        Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings }) => {
            // How many turns the pair makes in the context of the first training: few turns are stretched, many are not,
            // and in between the two are mixed.
            let turns = original_max_position_embeddings as f64 * frequency / (2.0 * PI);
            let smooth = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
            (1.0 - smooth) * frequency / factor + smooth * frequency
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::tests::toy;

    #[test]
    fn a_turn_back_undoes_a_turn() {
        let rope = Rope::new(&toy(), 100);
        let before: Vec<f32> = (0..8).map(|i| i as f32 - 3.0).collect();
        let mut head = before.clone();
        rope.turn(97, &mut head);
        assert!(head.iter().zip(&before).any(|(a, b)| (a - b).abs() > 0.1));
        rope.turn_back(97, &mut head);
        assert!(head.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn scaling_leaves_fast_pairs_alone_and_divides_slow_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let plain = Config { head_dim: 64, rope_theta: 500_000.0, ..toy() };
        let scaled = Config { rope_scaling: Some(scaling), ..plain.clone() };
        let ratio = |i| frequency(&plain, i) / frequency(&scaled, i);
        assert!((ratio(0) - 1.0).abs() < 1e-12 && (ratio(31) - 8.0).abs() < 1e-12);
        assert!((0..31).all(|i| ratio(i) <= ratio(i + 1)) && (0..31).any(|i| (1.1..7.9).contains(&ratio(i))));
        let linear = Config { rope_scaling: Some(RopeScaling::Linear { factor: 4.0 }), ..plain.clone() };
        assert!((frequency(&plain, 5) / frequency(&linear, 5) - 4.0).abs() < 1e-12);
    }
}
