//! A filled-in ballot: the secret rows.

use core::fmt;

use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar, traits::Identity as _};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _, ConstantTimeGreater as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::layout::{BUCKETS, Layout, bucket_edges, first_count};
use crate::{
    group::{Base, Generators, Point},
    wire_enum,
};

/// An answer to one item.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Vote {
    /// The item was not seen, or not answered.
    #[default]
    Unseen,
    /// In favour.
    Agree,
    /// Against.
    Disagree,
    /// Seen, without an opinion.
    Pass,
}
wire_enum!(Vote { 0 => Unseen, 1 => Agree, 2 => Disagree, 3 => Pass });

/// A ballot does not fit its layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WitnessError {
    /// One vote per item is needed.
    #[error("{found} votes for {expected} items")]
    Votes {
        /// The number of items.
        expected: usize,
        /// The number of votes.
        found: usize,
    },
}

/// The secret rows of a ballot: data rows and slack bits.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Witness {
    rows: Vec<Scalar>,
    #[zeroize(skip)]
    data_rows: usize,
    count: u16,
}

impl Witness {
    /// Fills in a ballot. The dither bits are drawn from `rng`; running time does not depend on the votes.
    ///
    /// # Errors
    ///
    /// Returns [`WitnessError::Votes`] unless there is one vote per item.
    pub fn new(layout: &Layout, votes: &[Vote], rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, WitnessError> {
        let expected = usize::from(layout.items());
        if votes.len() != expected {
            return Err(WitnessError::Votes { expected, found: votes.len() });
        }
        let mut rows = Vec::with_capacity(layout.data_rows() + layout.auxiliary_rows());
        let mut count = 0u16;
        for vote in votes {
            for choice in [Vote::Agree, Vote::Disagree, Vote::Pass] {
                let chosen = (*vote as u8).ct_eq(&(choice as u8)).unwrap_u8();
                count += u16::from(chosen);
                rows.push(Scalar::from(chosen));
            }
        }
        if layout.map() {
            push_dither(&mut rows, rng);
            push_buckets(&mut rows, layout, count);
        }
        Ok(Self { rows, data_rows: layout.data_rows(), count })
    }

    /// Makes a witness of any rows, valid or not. [`commit`](Self::commit) is not for it: it takes rows for bits.
    pub(super) fn from_rows(layout: &Layout, rows: Vec<Scalar>) -> Self {
        assert_eq!(rows.len(), layout.data_rows() + layout.auxiliary_rows(), "one entry per row");
        Self { rows, data_rows: layout.data_rows(), count: 0 }
    }

    /// Returns the data rows.
    pub fn data(&self) -> &[Scalar] {
        self.rows.get(..self.data_rows).expect("data rows come first")
    }

    /// Returns the auxiliary rows.
    pub(super) fn auxiliary(&self) -> &[Scalar] {
        self.rows.get(self.data_rows..).expect("auxiliary rows come last")
    }

    /// Returns all rows.
    pub(super) fn rows(&self) -> &[Scalar] {
        &self.rows
    }

    /// Returns how many items are agreed to, disagreed with or passed.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Commits to the data rows with the given blindings, one per row. Constant time.
    ///
    /// # Panics
    ///
    /// Panics unless there is one blinding per data row.
    pub fn commit(&self, blindings: &[Scalar]) -> Vec<Point> {
        assert_eq!(blindings.len(), self.data_rows, "one blinding per data row");
        commit_bits(self.data(), blindings)
    }
}

/// Returns `Com(bit; blinding)` for each row, at less than half the price of general commitments: the value costs a
/// selection, and compressing doubles of halved points needs one inversion for all.
fn commit_bits(bits: &[Scalar], blindings: &[Scalar]) -> Vec<Point> {
    let half = Scalar::from(2u8).invert();
    let one = Base::Column(0).point() * half;
    let halved = bits.iter().zip(blindings).map(|(bit, blinding)| {
        let [lowest, ..] = *bit.as_bytes();
        let value = RistrettoPoint::conditional_select(&RistrettoPoint::identity(), &one, Choice::from(lowest & 1));
        value + Generators::single().blind(&(blinding * half))
    });
    let halved: Vec<_> = halved.collect();
    RistrettoPoint::double_and_compress_batch(&halved).iter().map(|point| Point::from(point.to_bytes())).collect()
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("data_rows", &self.data_rows).finish_non_exhaustive()
    }
}

fn push_dither(rows: &mut Vec<Scalar>, rng: &mut (impl CryptoRng + ?Sized)) {
    let mut bytes = [0; 2 * super::DITHER_BITS / 8];
    rng.fill_bytes(&mut bytes);
    rows.extend(bytes.iter().flat_map(|byte| (0..8).map(move |bit| Scalar::from(byte >> bit & 1))));
    bytes.zeroize();
}

/// Appends the bucket of `count` and the slack bits, without a branch on `count`.
fn push_buckets(rows: &mut Vec<Scalar>, layout: &Layout, count: u16) {
    let edges = bucket_edges(layout.items());
    let (mut low, mut high) = (0, first_count(layout.items()) - 1);
    for k in 0..BUCKETS {
        let (edge_low, edge_high) = edges.get(k).copied().unwrap_or_default();
        let outside = edge_low.ct_gt(&count) | count.ct_gt(&edge_high) | Choice::from(u8::from(k >= edges.len()));
        low.conditional_assign(&edge_low, !outside);
        high.conditional_assign(&edge_high, !outside);
        rows.push(Scalar::from((!outside).unwrap_u8()));
    }
    for slack in [count - low, high - count] {
        rows.extend((0..layout.slack_bits()).map(|bit| Scalar::from(slack >> bit & 1)));
    }
}
