//! Which row of a ballot means what, and the table of vote-count buckets.

use core::ops::Range;

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Most items in one poll: a ballot of that size still has fewer than 2^11 rows.
pub const MAX_ITEMS: u16 = 500;

/// Dither bits per axis of the map. A map whose points need more dither is not published.
pub const DITHER_BITS: usize = 20;

/// Rows of the one-hot vote-count bucket. A published bucket is at most log₂ 9 bits about the number of votes.
pub const BUCKETS: usize = 8;

/// Fewest votes for a place on the map, as in Polis; with fewer items, all of them.
pub const FIRST_BUCKET: u16 = 7;

/// Axes of the map.
const AXES: usize = 2;

/// The number of items is out of range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{found} items, but a ballot has 1 to {MAX_ITEMS}")]
pub struct LayoutError {
    /// The number found.
    pub found: u16,
}

/// The rows of a ballot.
///
/// Data rows: for item j the rows 3j (agree), 3j + 1 (disagree) and 3j + 2 (pass); with a map then 20 dither bits of
/// axis x, 20 of axis y, least significant first, and 8 bucket bits. Auxiliary rows, with a map only: the bits of the
/// slack t, then those of t′, least significant first. Data row r is row r + 1 of a contribution, whose row 0 is the
/// link's mask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    items: u16,
    map: bool,
}

impl Layout {
    /// The layout of a poll of `items` items; `map` for statement polls.
    ///
    /// # Errors
    ///
    /// Returns [`LayoutError`] unless there are 1 to [`MAX_ITEMS`] items.
    pub const fn new(items: u16, map: bool) -> Result<Self, LayoutError> {
        if items == 0 || items > MAX_ITEMS { Err(LayoutError { found: items }) } else { Ok(Self { items, map }) }
    }

    /// Returns the number of items S.
    pub const fn items(&self) -> u16 {
        self.items
    }

    /// Returns whether the ballot has dither and bucket rows.
    pub const fn map(&self) -> bool {
        self.map
    }

    /// Returns the number of data rows.
    pub const fn data_rows(&self) -> usize {
        self.vote_rows().end + if self.map { AXES * DITHER_BITS + BUCKETS } else { 0 }
    }

    /// Returns the number of auxiliary rows.
    pub fn auxiliary_rows(&self) -> usize {
        2 * self.slack_bits()
    }

    /// Returns the row of `agree` of item j.
    ///
    /// # Panics
    ///
    /// Panics if there is no such item. The same holds for the rows of `disagree` and `pass`.
    pub const fn agree_row(&self, item: u16) -> usize {
        assert!(item < self.items, "the item is one of the poll's");
        3 * item as usize
    }

    /// Returns the row of `disagree` of item j.
    pub const fn disagree_row(&self, item: u16) -> usize {
        self.agree_row(item) + 1
    }

    /// Returns the row of `pass` of item j.
    pub const fn pass_row(&self, item: u16) -> usize {
        self.agree_row(item) + 2
    }

    /// Returns the row of a dither bit (of value 2^bit) of axis 0 or 1.
    ///
    /// # Panics
    ///
    /// Panics if the layout has no map, or no such axis or bit.
    pub const fn dither_row(&self, axis: usize, bit: usize) -> usize {
        assert!(self.map && axis < AXES && bit < DITHER_BITS, "dither rows belong to a map");
        self.vote_rows().end + axis * DITHER_BITS + bit
    }

    /// Returns the row of bucket k.
    ///
    /// # Panics
    ///
    /// Panics if the layout has no map, or no such bucket.
    pub const fn bucket_row(&self, bucket: usize) -> usize {
        assert!(self.map && bucket < BUCKETS, "bucket rows belong to a map");
        self.vote_rows().end + AXES * DITHER_BITS + bucket
    }

    /// Returns the rows of votes.
    pub(super) const fn vote_rows(&self) -> Range<usize> {
        0..3 * self.items as usize
    }

    /// Returns the bucket rows; none without a map.
    pub(super) const fn bucket_rows(&self) -> Range<usize> {
        let end = self.data_rows();
        if self.map { end - BUCKETS..end } else { end..end }
    }

    /// Returns the number of bits of each slack: enough for the widest bucket and for a count below the first.
    pub(super) fn slack_bits(&self) -> usize {
        if !self.map {
            return 0;
        }
        let edges = bucket_edges(self.items);
        let widest = edges.iter().map(|(low, high)| high - low).max().unwrap_or(0).max(first_count(self.items) - 1);
        (u16::BITS - widest.leading_zeros()) as usize
    }
}

impl Encode for Layout {
    fn encode(&self, out: &mut Vec<u8>) {
        self.items.encode(out);
        self.map.encode(out);
    }
}

impl Decode for Layout {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (items, map) = Decode::decode(input)?;
        Self::new(items, map).map_err(|_| DecodeError::OutOfRange("items of a ballot"))
    }
}

/// Returns m, the least count that has a bucket.
pub(super) fn first_count(items: u16) -> u16 {
    FIRST_BUCKET.min(items)
}

/// Returns `(lo_k, hi_k)`, both included, for each bucket k of vote counts in a poll of 1 to [`MAX_ITEMS`] items.
///
/// The `B = min(8, S − m + 1)` buckets cover m..=S without gap or overlap; m = min(7, S). Bucket k starts at e_k and
/// ends before `e_{k+1}`, where `e_0 = m` and `e_k = max(e_{k−1} + 1, ⌈(m^(B−k)·(S+1)^k)^(1/B)⌉)`: steps of equal ratio
/// from m to S + 1, in integers.
///
/// # Panics
///
/// Panics if there are more than [`MAX_ITEMS`] items. There are no buckets if there are no items.
pub fn bucket_edges(items: u16) -> Vec<(u16, u16)> {
    assert!(items <= MAX_ITEMS, "a poll has at most {MAX_ITEMS} items");
    let first = first_count(items);
    if first == 0 {
        return Vec::new();
    }
    // At most 8, and (S + 1)^8 < 2^72.
    let count = u32::from(items - first + 1).min(BUCKETS as u32);
    let mut low = first;
    (1..=count)
        .map(|k| {
            let target = u128::from(first).pow(count - k) * u128::from(items + 1).pow(k);
            let mut next = low + 1;
            while u128::from(next).pow(count) < target {
                next += 1;
            }
            let edges = (low, next - 1);
            low = next;
            edges
        })
        .collect()
}

/// Returns the bucket of a vote count, if it has one.
pub fn bucket_of(items: u16, count: u16) -> Option<usize> {
    bucket_edges(items).iter().position(|(low, high)| (*low..=*high).contains(&count))
}

#[cfg(test)]
mod tests;
