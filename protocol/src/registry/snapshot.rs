//! Snapshots: the list of leaves that a round pins, its Merkle root, and the rings it is dealt out to.

use std::sync::{Arc, OnceLock};

use chorus_crypto::{
    credential::{Leaf, MAX_RING, Ring, Tag},
    domain::{self, Domain},
    hash::{self, Digest},
};

use super::merkle;

/// The ring of some leaves or tags, put together when it is first needed.
pub struct LazyRing {
    members: Members,
    ring: OnceLock<Option<Arc<Ring>>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Members {
    Leaves(Vec<Leaf>),
    Tags(Vec<Tag>),
}

impl LazyRing {
    /// Returns the ring of some leaves.
    pub const fn of_leaves(leaves: Vec<Leaf>) -> Self {
        Self { members: Members::Leaves(leaves), ring: OnceLock::new() }
    }

    /// Returns the ring of some tags.
    pub const fn of_tags(tags: Vec<Tag>) -> Self {
        Self { members: Members::Tags(tags), ring: OnceLock::new() }
    }

    /// Returns the ring; `None` if it has no members, too many, or one that is no point.
    pub fn get(&self) -> Option<&Arc<Ring>> {
        let make = || match &self.members {
            Members::Leaves(leaves) => Ring::of_leaves(leaves),
            Members::Tags(tags) => Ring::of_tags(tags),
        };
        self.ring.get_or_init(|| make().ok().map(Arc::new)).as_ref()
    }

    /// Returns how many members it has.
    pub fn len(&self) -> usize {
        match &self.members {
            Members::Leaves(leaves) => leaves.len(),
            Members::Tags(tags) => tags.len(),
        }
    }

    /// Returns its tags; none if it is made of leaves.
    pub fn tags(&self) -> &[Tag] {
        match &self.members {
            Members::Leaves(_) => &[],
            Members::Tags(tags) => tags,
        }
    }

    /// Returns whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a leaf is a member.
    pub fn has_leaf(&self, leaf: &Leaf) -> bool {
        matches!(&self.members, Members::Leaves(leaves) if leaves.binary_search(leaf).is_ok())
    }

    /// Returns whether a tag is a member.
    pub fn has_tag(&self, tag: &Tag) -> bool {
        matches!(&self.members, Members::Tags(tags) if tags.contains(tag))
    }
}

impl core::fmt::Debug for LazyRing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LazyRing").field("members", &self.len()).finish_non_exhaustive()
    }
}

impl PartialEq for LazyRing {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl Eq for LazyRing {}

/// The members' leaves at one moment, and the cohorts they are dealt out to.
///
/// Up to 4,096 leaves are one cohort, and its ring is filled up to 16, 64, 256, 1,024 or 4,096 points. More are dealt out
/// by the order of `H("registry/cohort", beacon ‖ L)` to as few cohorts as hold them, of sizes that differ by one at
/// most: so none is smaller than 2,048.
#[derive(Debug, Eq, PartialEq)]
pub struct Snapshot {
    leaves: Vec<Leaf>,
    cohorts: Vec<LazyRing>,
    root: Digest,
    policy: Digest,
    /// What decided who shares a cohort, if there are several.
    beacon: Option<Digest>,
}

impl Snapshot {
    /// Takes a snapshot of `leaves`, which are distinct, under the policy with digest `policy`.
    ///
    /// `beacon` decides who shares a cohort. It must not be known when leaves are registered.
    pub fn new(mut leaves: Vec<Leaf>, policy: Digest, beacon: Digest) -> Self {
        leaves.sort_unstable();
        let count = u64::try_from(leaves.len()).expect("lists are shorter than 2^64");
        let root = hash::digest(domain::SNAPSHOT, &((policy, count), merkle::root(&leaves)));
        let cohorts = deal(&leaves, beacon);
        let beacon = (cohorts.len() > 1).then_some(beacon);
        Self { cohorts, leaves, root, policy, beacon }
    }

    /// Returns the leaves, ascending.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Returns the digest that pins the snapshot: over the policy, the number of leaves and their Merkle root.
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// Returns the digest of the policy under which it was taken.
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// Returns what decided who shares a cohort; none if there is one cohort only.
    pub const fn beacon(&self) -> Option<Digest> {
        self.beacon
    }

    /// Returns the index of a leaf.
    pub fn index(&self, leaf: &Leaf) -> Option<u32> {
        self.leaves.binary_search(leaf).ok().and_then(|index| u32::try_from(index).ok())
    }

    /// Returns the cohorts.
    pub fn cohorts(&self) -> &[LazyRing] {
        &self.cohorts
    }

    /// Returns the number of the cohort that a leaf is in.
    pub fn cohort_of(&self, leaf: &Leaf) -> Option<u32> {
        let cohort = self.cohorts.iter().position(|cohort| cohort.has_leaf(leaf))?;
        u32::try_from(cohort).ok()
    }

    /// Returns the ring of a cohort.
    pub fn ring(&self, cohort: u32) -> Option<&Arc<Ring>> {
        self.cohorts.get(cohort as usize)?.get()
    }

    /// Proves that the leaf at `index` is one of the snapshot's.
    pub fn inclusion(&self, index: usize) -> Option<merkle::InclusionProof> {
        merkle::InclusionProof::new(&self.leaves, index)
    }
}

/// Returns the number of cohorts of so many members.
pub fn cohorts_of(members: usize) -> usize {
    members.div_ceil(MAX_RING).max(1)
}

fn deal(leaves: &[Leaf], beacon: Digest) -> Vec<LazyRing> {
    let cohorts = cohorts_of(leaves.len());
    if cohorts == 1 {
        return vec![LazyRing::of_leaves(leaves.to_vec())];
    }
    deal_out(leaves, (domain::COHORT, beacon), cohorts).into_iter().map(LazyRing::of_leaves).collect()
}

/// Deals leaves out by the order of their digests with a beacon, in parts whose sizes differ by one at most; the leaves of
/// each part are in ascending order.
pub(crate) fn deal_out(leaves: &[Leaf], (label, beacon): (Domain, Digest), parts: usize) -> Vec<Vec<Leaf>> {
    let mut order: Vec<(Digest, Leaf)> =
        leaves.iter().map(|leaf| (hash::digest(label, &(beacon, *leaf)), *leaf)).collect();
    order.sort_unstable();
    let parts = parts.max(1);
    let (size, larger) = (leaves.len() / parts, leaves.len() % parts);
    let mut rest = order.as_slice();
    (0..parts)
        .map(|part| {
            let (these, others) = rest.split_at(size + usize::from(part < larger));
            rest = others;
            let mut members: Vec<Leaf> = these.iter().map(|(_, leaf)| *leaf).collect();
            members.sort_unstable();
            members
        })
        .collect()
}

/// Returns the beacon that follows from what is only known when a round opens.
pub fn beacon(bytes: &[u8]) -> Digest {
    hash::digest_bytes(domain::COHORT, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_crypto::group::Point;

    fn leaves(count: u32) -> Vec<Leaf> {
        (0..count).map(|index| Leaf::from(Point::from(hash::content(&index.to_be_bytes())))).collect()
    }

    #[test]
    fn everybody_is_in_one_cohort_and_none_is_small() {
        for count in [1, 60, 4_096, 4_097, 8_192, 8_193, 16_384] {
            let snapshot = Snapshot::new(leaves(count), [1; 32], [2; 32]);
            let sizes: Vec<usize> = snapshot.cohorts().iter().map(LazyRing::len).collect();
            assert_eq!(sizes.iter().sum::<usize>(), count as usize);
            assert_eq!(sizes.len(), cohorts_of(count as usize));
            assert!(sizes.iter().all(|size| *size <= MAX_RING && (count <= 4_096 || *size >= 2_048)), "{sizes:?}");
            for leaf in snapshot.leaves() {
                assert_eq!(snapshot.cohorts().iter().filter(|cohort| cohort.has_leaf(leaf)).count(), 1);
            }
        }
    }

    #[test]
    fn the_root_depends_on_leaves_and_policy_and_the_cohorts_on_the_beacon() {
        let snapshot = |count, policy, beacon| Snapshot::new(leaves(count), [policy; 32], [beacon; 32]);
        let base = snapshot(5_000, 1, 1);
        let mut backwards = leaves(5_000);
        backwards.reverse();

        assert_eq!(Snapshot::new(backwards, [1; 32], [1; 32]), base);
        assert_ne!(snapshot(4_999, 1, 1).root(), base.root());
        assert_ne!(snapshot(5_000, 2, 1).root(), base.root());
        assert_eq!(snapshot(5_000, 1, 2).root(), base.root());
        assert_ne!(snapshot(5_000, 1, 2).cohorts(), base.cohorts());
    }
}
