//! How many votes a ballot cast, known only to one of eight geometric buckets.
//!
//! Polis stretches a point by `√(items / votes)`, so that somebody who voted on little is not drawn to the middle.
//! The exact count would single people out; a bucket one eighth of the (logarithmic) range wide is enough.

use num_bigint::BigUint;

/// Buckets at most.
pub const MAX_BUCKETS: usize = 8;

/// Votes from which a ballot gets a point, if the poll has that many items.
pub const MIN_VOTES: u16 = 7;

/// The buckets of a poll: ranges `(lo, hi)`, both ends included, that cover `min(7, items)..=items`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketEdges {
    items: u16,
    ranges: Vec<(u16, u16)>,
}

impl BucketEdges {
    /// Returns the buckets of a poll of `items` items.
    ///
    /// With `m = min(7, items)`, bucket k starts at `⌊(m^(8−k)·(items+1)^k)^(1/8)⌋`, an integer root; ranges that
    /// would be empty are left out, so a small poll has fewer.
    pub fn new(items: u16) -> Self {
        let least = MIN_VOTES.min(items);
        let mut ranges = Vec::with_capacity(MAX_BUCKETS);
        if items > 0 {
            let starts: Vec<u16> = (0..=8).map(|k| start(least, items, k)).collect();
            let range = |pair: &[u16]| (pair[0] < pair[1]).then(|| (pair[0], pair[1] - 1));
            ranges.extend(starts.windows(2).filter_map(range));
        }
        Self { items, ranges }
    }

    /// Returns the ranges `(lo, hi)`, ascending.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges
    }

    /// Returns the bucket of a ballot with `count` votes, or `None` if it has too few (or more than there are items).
    pub fn bucket_of(&self, count: usize) -> Option<usize> {
        let count = u16::try_from(count).ok()?;
        self.ranges.iter().position(|&(lo, hi)| (lo..=hi).contains(&count))
    }

    /// Returns the square root of items ÷ votes, votes taken as the geometric mean of the bucket's ends.
    pub fn stretch(&self, bucket: usize) -> Option<f64> {
        let &(lo, hi) = self.ranges.get(bucket)?;
        let votes = (f64::from(lo) * f64::from(hi)).sqrt();
        Some((f64::from(self.items) / votes).sqrt())
    }
}

/// Returns where bucket `k` starts.
fn start(least: u16, items: u16, k: u32) -> u16 {
    let power = BigUint::from(least).pow(8 - k) * BigUint::from(u32::from(items) + 1).pow(k);
    u16::try_from(power.nth_root(8)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_count_once() {
        for items in 0..=500u16 {
            let edges = BucketEdges::new(items);
            let counts: Vec<u16> = edges.ranges().iter().flat_map(|&(lo, hi)| lo..=hi).collect();
            let expected: Vec<u16> = if items == 0 { Vec::new() } else { (items.min(7)..=items).collect() };
            assert_eq!(counts, expected, "{items} items");
            assert!(edges.ranges().len() <= MAX_BUCKETS);
            for (bucket, &(lo, hi)) in edges.ranges().iter().enumerate() {
                assert_eq!(edges.bucket_of(lo.into()), Some(bucket));
                assert_eq!(edges.bucket_of(hi.into()), Some(bucket));
            }
        }
    }

    #[test]
    fn the_edges_of_common_polls_are_these() {
        let fifty = [(7, 7), (8, 10), (11, 13), (14, 17), (18, 23), (24, 30), (31, 38), (39, 50)];

        assert_eq!(BucketEdges::new(5).ranges(), [(5, 5)]);
        assert_eq!(BucketEdges::new(16).ranges(), [(7, 7), (8, 8), (9, 9), (10, 11), (12, 12), (13, 14), (15, 16)]);
        assert_eq!(BucketEdges::new(50).ranges(), fifty);
        assert_eq!(BucketEdges::new(50).bucket_of(6), None);
        assert_eq!(BucketEdges::new(50).bucket_of(51), None);
    }

    #[test]
    fn fewer_votes_stretch_more() {
        let edges = BucketEdges::new(50);
        let stretches: Vec<f64> = (0..edges.ranges().len()).filter_map(|bucket| edges.stretch(bucket)).collect();

        assert!(stretches.is_sorted_by(|a, b| a > b));
        assert_eq!(edges.stretch(8), None);
    }
}
