//! How much of something a peer may ask for: a bucket of tokens that fills with time.

use crate::time::Timestamp;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Tokens that come back each second.
    pub(super) per_second: u64,
    /// Tokens of a full bucket: what may be asked for at once.
    pub(super) burst: u64,
}

/// A bucket. A new one is full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Thousandths of a token that were taken and have not come back.
    taken: u64,
    at: Timestamp,
}

impl Bucket {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { taken: 0, at: now }
    }

    /// Takes `cost` tokens, or none and returns `false` if there are not as many.
    pub(super) fn take(&mut self, now: Timestamp, cost: u64, rate: Rate) -> bool {
        let passed = now.as_millis().saturating_sub(self.at.as_millis());
        self.taken = self.taken.saturating_sub(passed.saturating_mul(rate.per_second));
        self.at = self.at.max(now);
        let taken = self.taken.saturating_add(cost.saturating_mul(1_000));
        let fits = taken <= rate.burst.saturating_mul(1_000);
        if fits {
            self.taken = taken;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_its_rate_after_that() {
        let rate = Rate { per_second: 2, burst: 5 };
        let start = Timestamp::from_millis(1_000_000);
        let mut bucket = Bucket::new(start);

        assert!((0..5).all(|_| bucket.take(start, 1, rate)));
        assert!(!bucket.take(start, 1, rate));
        assert!(!bucket.take(start.plus_millis(499), 1, rate));
        assert!(bucket.take(start.plus_millis(500), 1, rate));
        assert!(bucket.take(start.plus_millis(60_000), 5, rate));
        assert!(!bucket.take(start.plus_millis(60_000), 1, rate));
    }
}
