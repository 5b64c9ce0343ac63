//! What operators say about values cards on the log.
//!
//! Which cards mean the same is a judgement, no computation. So one operator makes it, in public, with a reason; the last
//! word on a card counts, any operator can have it, and all earlier ones stay to be read. It decides no vote: the totals
//! of every item are public, and everybody can compute the graph without any merge.

use chorus_crypto::wire_struct;

use crate::{id::BlobId, limits};

/// An operator's word that a card stands for itself: it is canonical, and what merged it no longer counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalCard {
    /// The card: an item of a value poll.
    pub card: BlobId,
    /// Which of the operator's words on this card it is, from 1: nobody can say an older one again in its name.
    pub number: u16,
    /// Why.
    pub reason: String,
}
wire_struct!(CanonicalCard { card, number, reason(limits::MAX_TEXT_BYTES) });

/// An operator's word that a card says the same as another, which stands for both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MergeCards {
    /// The card: an item of a value poll.
    pub card: BlobId,
    /// The card that stands for it: another item of a value poll.
    pub into: BlobId,
    /// Which of the operator's words on the first card it is, from 1.
    pub number: u16,
    /// Why.
    pub reason: String,
}
wire_struct!(MergeCards { card, into, number, reason(limits::MAX_TEXT_BYTES) });
