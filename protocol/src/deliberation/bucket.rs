//! How many votes a ballot cast, known only to one of eight geometric buckets.
//!
//! Polis stretches a point by `√(items / votes)`, so that somebody who voted on little is not drawn to the middle.
//! The exact count would single people out; a bucket one eighth of the (logarithmic) range wide is enough.

use chorus_crypto::ballot::bucket_edges;

/// Votes from which a ballot gets a point, if the poll has that many items.
pub const MIN_VOTES: u16 = chorus_crypto::ballot::FIRST_BUCKET;

/// The buckets of a poll: ranges `(lo, hi)`, both ends included, that cover `min(7, items)..=items`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketEdges {
    items: u16,
    ranges: Vec<(u16, u16)>,
}

impl BucketEdges {
    /// Returns the buckets of a poll of `items` items: those that every ballot proves its own to be one of
    /// ([`bucket_edges`]). A small poll has fewer than eight.
    ///
    /// # Panics
    ///
    /// Panics if there are more items than a poll may have.
    pub fn new(items: u16) -> Self {
        Self { items, ranges: bucket_edges(items) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_outside_the_poll_have_no_bucket() {
        assert_eq!(BucketEdges::new(5).ranges(), [(5, 5)]);
        assert_eq!(BucketEdges::new(50).bucket_of(7), Some(0));
        assert_eq!(BucketEdges::new(50).bucket_of(50), Some(7));
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
