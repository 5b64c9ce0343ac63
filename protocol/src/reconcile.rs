//! What two operators hold of an open round, compared in few bytes.
//!
//! ```text
//! A ─ digest of all ─▶ B          equal: nothing more is said
//! A ◀ 256 digests ──── B          one for each first byte of an id
//! A ─ ids of the buckets that differ ─▶ B
//! A ◀ ids that A lacks ──────────────── B          each asks for what it lacks
//! ```
//!
//! Digests are plain BLAKE3 over the ids in ascending order: sums of hashes would be shorter to keep up to date, but ids
//! can be ground until they add up. All of this is a hint: what a round accepts is what the log says.

use std::collections::BTreeSet;

use chorus_crypto::hash::{self, Digest};

use crate::{id::BlobId, limits};

/// Buckets: one for each first byte of an id.
pub const BUCKETS: usize = 256;

/// The ids that an operator holds.
pub type Ids = BTreeSet<BlobId>;

/// Returns the digest of some ids, which come in ascending order.
fn digest_of<'a>(ids: impl Iterator<Item = &'a BlobId>) -> Digest {
    let bytes: Vec<u8> = ids.flat_map(|id| *id.as_ref()).collect();
    hash::content(&bytes)
}

fn bucket(ids: &Ids, first: u8) -> impl Iterator<Item = &BlobId> {
    let (mut least, mut most) = ([0; 32], [0xFF; 32]);
    (least[0], most[0]) = (first, first);
    ids.range(BlobId::from(least)..=BlobId::from(most))
}

/// Returns the digest of all ids.
pub fn digest(ids: &Ids) -> Digest {
    digest_of(ids.iter())
}

/// Returns the digest of each bucket.
pub fn buckets(ids: &Ids) -> Vec<Digest> {
    (0..=u8::MAX).map(|first| digest_of(bucket(ids, first))).collect()
}

/// Returns the buckets that differ from `theirs`, and the own ids in them: as many buckets as fit one message.
pub fn differing(ids: &Ids, theirs: &[Digest]) -> (Vec<u8>, Vec<BlobId>) {
    let (mut which, mut listed) = (Vec::new(), Vec::new());
    let own = buckets(ids);
    for (first, _) in (0..=u8::MAX).zip(own.iter().zip(theirs)).filter(|(_, (own, theirs))| own != theirs) {
        let of_bucket: Vec<BlobId> = bucket(ids, first).copied().collect();
        if listed.len() + of_bucket.len() > limits::MAX_LISTED {
            break;
        }
        which.push(first);
        listed.extend(of_bucket);
    }
    (which, listed)
}

/// Returns what the other side lacks of some buckets, and what it has that is not here.
pub fn compare(ids: &Ids, which: &[u8], theirs: &[BlobId]) -> (Vec<BlobId>, Vec<BlobId>) {
    let theirs: Ids = theirs.iter().copied().collect();
    let own = which.iter().flat_map(|first| bucket(ids, *first));
    let they_lack = own.filter(|id| !theirs.contains(id)).take(limits::MAX_LISTED).copied().collect();
    (they_lack, theirs.iter().filter(|id| !ids.contains(id)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(numbers: impl IntoIterator<Item = u32>) -> Ids {
        numbers.into_iter().map(|number| BlobId::of(&number.to_be_bytes())).collect()
    }

    #[test]
    fn each_side_learns_exactly_what_it_lacks() {
        let (left, right) = (ids(0..1_000), ids(20..1_020));

        assert_ne!(digest(&left), digest(&right));
        let (which, listed) = differing(&left, &buckets(&right));
        let (left_lacks, right_lacks) = compare(&right, &which, &listed);

        assert_eq!(left_lacks.into_iter().collect::<Ids>(), ids(1_000..1_020));
        assert_eq!(right_lacks.into_iter().collect::<Ids>(), ids(0..20));
    }

    proptest! {
        #[test]
        fn what_is_named_is_lacked_and_equal_sets_name_nothing(left in proptest::collection::vec(0u32..200, 0..80), right in proptest::collection::vec(0u32..200, 0..80)) {
            let (left, right) = (ids(left), ids(right));

            let (which, listed) = differing(&left, &buckets(&right));
            let (left_lacks, right_lacks) = compare(&right, &which, &listed);

            prop_assert_eq!(digest(&left) == digest(&right), left == right);
            prop_assert_eq!(left_lacks.into_iter().collect::<Ids>(), right.difference(&left).copied().collect::<Ids>());
            prop_assert_eq!(right_lacks.into_iter().collect::<Ids>(), left.difference(&right).copied().collect::<Ids>());
        }
    }
}
