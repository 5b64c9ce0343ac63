//! How much of a bundle is checked, and what that shows.

use std::collections::BTreeSet;

use chorus_crypto::{domain, hash};

use crate::id::BlobId;

/// How much is checked. Whatever the level, the log is checked from the founding document on, every body is read and
/// compared with what the log says of it, every opening with the commitments, and every result with what follows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Level {
    /// Everything.
    #[default]
    Full,
    /// Everything but what a contribution proves of itself: its credential, its link, its ballot or delta proof.
    ///
    /// The sums are then those of what was committed to, and the results follow from the sums; that members alone
    /// contributed, once each and nothing but valid ballots, rests on the operators who acknowledged them.
    Sums,
    /// As [`Sums`](Self::Sums), and the proofs of contributions that are drawn by lot.
    Light(Sample),
}

/// Contributions drawn by lot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample {
    /// How many.
    pub count: usize,
    /// What decides the lot.
    ///
    /// # Security
    ///
    /// Whoever could foresee it would put bad proofs where nobody looks: it is drawn after the bundle was written.
    pub seed: [u8; 32],
}

impl Sample {
    /// Draws, each body with the same chance: those with the least hashes.
    fn draw(&self, bodies: impl Iterator<Item = BlobId>) -> BTreeSet<BlobId> {
        let lot = |body: BlobId| (hash::digest(domain::SAMPLE, &(self.seed, body)), body);
        let mut lots: Vec<_> = bodies.map(lot).collect();
        if self.count < lots.len() {
            lots.select_nth_unstable(self.count);
            lots.truncate(self.count);
        }
        lots.into_iter().map(|(_, body)| body).collect()
    }
}

/// Whose proofs are verified.
#[derive(Debug)]
pub(super) enum Lot {
    Everybody,
    Only(BTreeSet<BlobId>),
}

impl Lot {
    pub(super) fn of(level: Level, bodies: impl Iterator<Item = BlobId>) -> Self {
        match level {
            Level::Full => Self::Everybody,
            Level::Sums => Self::Only(BTreeSet::new()),
            Level::Light(sample) => Self::Only(sample.draw(bodies)),
        }
    }

    pub(super) fn falls_on(&self, body: &BlobId) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(chosen) => chosen.contains(body),
        }
    }
}

/// Returns the probability that, of `all` contributions of which `bad` have bad proofs, none of the bad ones is among
/// `checked` that are drawn by lot.
pub fn chance_of_missing(all: u64, bad: u64, checked: u64) -> f64 {
    let all = all.max(bad);
    let checked = checked.min(all);
    // Π (all − bad − i) / (all − i) over the draws, or over the bad ones, whichever are fewer: it is symmetrical. Where good
    // ones run out, a factor is zero.
    let (draws, others) = (checked.min(bad), checked.max(bad));
    (0..draws).map(|draw| all.saturating_sub(others + draw) as f64 / (all - draw) as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_of_missing_is_that_of_drawing_without_putting_back() {
        assert!((chance_of_missing(4, 1, 1) - 0.75).abs() < 1e-12);
        assert!((chance_of_missing(4, 2, 2) - 1.0 / 6.0).abs() < 1e-12);
        assert!((chance_of_missing(4, 1, 3) - chance_of_missing(4, 3, 1)).abs() < 1e-12);
        assert!((chance_of_missing(1_000, 10, 100) - 0.346_9).abs() < 1e-3);
    }

    #[test]
    fn what_everybody_looks_at_is_not_missed_and_what_nobody_does_is() {
        assert_eq!(chance_of_missing(4, 1, 4), 0.0);
        assert_eq!(chance_of_missing(4, 3, 2), 0.0);
        assert_eq!(chance_of_missing(4, 0, 2), 1.0);
        assert_eq!(chance_of_missing(4, 4, 0), 1.0);
        assert_eq!(chance_of_missing(0, 0, 7), 1.0);
        assert_eq!(chance_of_missing(0, 7, 1), 0.0);
    }

    #[test]
    fn a_lot_falls_on_as_many_as_were_asked_for_and_on_each_as_often() {
        let bodies: Vec<BlobId> = (0..20u8).map(|number| BlobId::of(&[number])).collect();
        let mut drawn = vec![0; bodies.len()];

        for seed in 0..200u8 {
            let lot = Lot::of(Level::Light(Sample { count: 5, seed: [seed; 32] }), bodies.iter().copied());
            let fell: Vec<usize> = (0..bodies.len()).filter(|body| lot.falls_on(&bodies[*body])).collect();
            assert_eq!(fell.len(), 5);
            fell.into_iter().for_each(|body| drawn[body] += 1);
        }

        // 50 of 200 are expected, with a standard deviation of 6.
        assert!(drawn.iter().all(|times| (25..=75).contains(times)), "{drawn:?}");
    }

    #[test]
    fn a_lot_over_fewer_than_were_asked_for_falls_on_all() {
        let bodies = [BlobId::of(b"a"), BlobId::of(b"b")];
        let lot = |level| Lot::of(level, bodies.into_iter());

        assert!(bodies.iter().all(|body| lot(Level::Light(Sample { count: 9, seed: [0; 32] })).falls_on(body)));
        assert!(bodies.iter().all(|body| lot(Level::Full).falls_on(body)));
        assert!(!bodies.iter().any(|body| lot(Level::Sums).falls_on(body)));
    }
}
