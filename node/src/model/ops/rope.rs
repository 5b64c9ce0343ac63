//! The rotary position embedding in half-split order: the i-th and the (i + d/2)-th entry of a head are the two coordinates
//! that position p turns by the angle `p·θ^(−2i/d)`.

use crate::model::{checkpoint::Config, rope::frequencies};

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
        let frequencies = frequencies(config);
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
}
