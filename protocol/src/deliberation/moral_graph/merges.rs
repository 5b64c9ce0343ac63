//! Which card stands for which: people write the same value in different words.

use std::collections::BTreeMap;

use crate::id::BlobId;

/// Cards that were merged into others. No chain of merges leads back to where it began.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Merges {
    into: BTreeMap<BlobId, BlobId>,
}

impl Merges {
    /// Lets `into` stand for `card`, in place of whatever stood for it before. Returns whether that is possible; if a
    /// chain would lead back to `card`, it is not, and nothing changes.
    pub fn merge(&mut self, card: BlobId, into: BlobId) -> bool {
        // The chain from `into` does not change with what stands for `card`, unless it comes by there.
        let is_possible = !self.chain(into).any(|met| met == card);
        if is_possible {
            self.into.insert(card, into);
        }
        is_possible
    }

    /// Lets a card stand for itself.
    pub fn separate(&mut self, card: BlobId) {
        self.into.remove(&card);
    }

    /// Returns the card that stands for `card`: itself, if it was not merged.
    pub fn canonical(&self, card: BlobId) -> BlobId {
        self.chain(card).last().unwrap_or(card)
    }

    /// Returns the cards that were merged, each with the one it was merged into.
    pub const fn all(&self) -> &BTreeMap<BlobId, BlobId> {
        &self.into
    }

    /// Returns `card`, what it was merged into, what that was merged into, and so on.
    fn chain(&self, card: BlobId) -> impl Iterator<Item = BlobId> {
        core::iter::successors(Some(card), |card| self.into.get(card).copied())
    }
}
