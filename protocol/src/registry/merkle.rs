//! The Merkle tree over a snapshot's leaves: shaped as in RFC 6962 §2.1, hashed with BLAKE3.
//!
//! ```text
//! node of one leaf     H("registry/leaf", L)
//! node of more         H("registry/node", left ‖ right), left over the largest power of two below their number
//! ```

use chorus_crypto::{
    credential::Leaf,
    domain,
    hash::{self, Digest},
    wire_struct,
};

/// The siblings on the way from a leaf to the root, from below.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// The leaf's place.
    pub index: u32,
    /// How many leaves there are.
    pub count: u32,
    /// The siblings.
    pub siblings: Vec<Digest>,
}
wire_struct!(InclusionProof { index, count, siblings[32] });

/// Returns the root over `leaves`; of none, the digest of nothing.
pub fn root(leaves: &[Leaf]) -> Digest {
    match leaves {
        [] => hash::digest_bytes(domain::REGISTRY_NODE, &[]),
        [leaf] => hash::digest(domain::REGISTRY_LEAF, leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            hash::digest(domain::REGISTRY_NODE, &(root(left), root(right)))
        }
    }
}

/// The size of the left subtree of `count` ≥ 2 leaves: the largest power of two below it.
const fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

impl InclusionProof {
    /// Proves that the leaf at `index` belongs to the tree; `None` if there is no such leaf.
    pub fn new(leaves: &[Leaf], index: usize) -> Option<Self> {
        leaves.get(index)?;
        let mut siblings = Vec::new();
        let (mut subtree, mut place) = (leaves, index);
        while subtree.len() > 1 {
            let (left, right) = subtree.split_at(split(subtree.len()));
            let is_left = place < left.len();
            siblings.push(root(if is_left { right } else { left }));
            (subtree, place) = if is_left { (left, place) } else { (right, place - left.len()) };
        }
        siblings.reverse();
        Some(Self { index: u32::try_from(index).ok()?, count: u32::try_from(leaves.len()).ok()?, siblings })
    }

    /// Returns the root that follows from `leaf` and the siblings; `None` if there are too few or too many of them.
    ///
    /// The root alone does not bind the number of leaves: compare what the [snapshot's](super::Snapshot::root) root covers,
    /// which is (policy, number of leaves, this root).
    pub fn root(&self, leaf: &Leaf) -> Option<Digest> {
        if self.index >= self.count {
            return None;
        }
        // Whether the way up comes from the left, from the root down.
        let mut turns = Vec::new();
        let (mut count, mut place) = (self.count as usize, self.index as usize);
        while count > 1 {
            let left = split(count);
            turns.push(place < left);
            (count, place) = if place < left { (left, place) } else { (count - left, place - left) };
        }
        if turns.len() != self.siblings.len() {
            return None;
        }
        let up = turns.into_iter().rev().zip(&self.siblings);
        Some(up.fold(hash::digest(domain::REGISTRY_LEAF, leaf), |node, (is_left, sibling)| {
            let pair = if is_left { (node, *sibling) } else { (*sibling, node) };
            hash::digest(domain::REGISTRY_NODE, &pair)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_crypto::group::Point;

    fn leaves(count: u8) -> Vec<Leaf> {
        (0..count).map(|byte| Leaf::from(Point::from([byte; 32]))).collect()
    }

    #[test]
    fn every_leaf_of_every_tree_proves_its_place_and_no_other() {
        for count in 1..=33u8 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = InclusionProof::new(&leaves, index).expect("in the tree");
                assert_eq!(proof.root(leaf), Some(root), "{index} of {count}");
                for other in leaves.iter().filter(|other| *other != leaf) {
                    assert_ne!(proof.root(other), Some(root));
                }
                let mut moved = proof.clone();
                moved.index = (moved.index + 1) % moved.count;
                assert!(count == 1 || moved.root(leaf) != Some(root));
                let mut short = proof.clone();
                assert!(short.siblings.pop().is_none() || short.root(leaf).is_none());
            }
            assert!(InclusionProof::new(&leaves, count.into()).is_none());
        }
    }

    #[test]
    fn roots_of_different_lists_differ() {
        let roots: std::collections::BTreeSet<_> = (0..=33).map(|count| root(&leaves(count))).collect();
        assert_eq!(roots.len(), 34);
    }
}
