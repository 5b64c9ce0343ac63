//! Rings: the leaves of a cohort, or the tags of an opinion group, among which one proves to have one.
//!
//! A one-out-of-many proof needs `N = n^m` points. A ring is padded with points hashed to the group, of which nobody
//! knows an opening: a padding position is a member that can prove nothing.

use core::fmt;
use std::sync::Arc;

use curve25519_dalek::ristretto::RistrettoPoint;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::{
    batch::SharedPoints,
    codec::Encode as _,
    credential::{CredentialError, Leaf, Tag},
    domain,
    group::Point,
    hash::{self, Digest},
};

/// Most members of a ring: with 4,096 a proof takes a quarter of a second to make and a millisecond to check.
pub const MAX_RING: usize = 4096;

/// How positions of a ring are written: m digits to the base n = 2^bits, the least significant first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Shape {
    bits: u32,
    digits: usize,
}

impl Shape {
    /// All shapes, ascending: the smallest proofs for their sizes among those that are cheap to make.
    const ALL: [Self; 5] = [Self::new(2, 2), Self::new(2, 3), Self::new(2, 4), Self::new(2, 5), Self::new(3, 4)];

    const fn new(bits: u32, digits: usize) -> Self {
        Self { bits, digits }
    }

    /// The base n.
    pub(super) const fn base(self) -> usize {
        1 << self.bits
    }

    /// The number m of digits.
    pub(super) const fn digits(self) -> usize {
        self.digits
    }

    /// The size N.
    pub(super) const fn size(self) -> usize {
        1 << (self.bits as usize * self.digits)
    }

    /// Digit j of a position. The time does not depend on the position.
    pub(super) const fn digit(self, position: u32, j: usize) -> u32 {
        (position >> (self.bits as usize * j)) & ((1 << self.bits) - 1)
    }
}

/// Of what the members are. Decides the id, so that a ring of leaves is never taken for one of tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Leaves = 1,
    Tags = 2,
}

/// Points among which a proof hides one: leaves of a snapshot's cohort, or tags of a group.
pub struct Ring {
    kind: Kind,
    shape: Shape,
    members: usize,
    points: Arc<SharedPoints>,
}

impl Ring {
    /// Makes the ring of a cohort's leaves, in the order given.
    ///
    /// A leaf that stands twice hides its holder no better, and harms nobody.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::RingSize`] for no leaf or more than [`MAX_RING`], and [`CredentialError::Point`] for
    /// a leaf that is not a point or is the identity.
    pub fn of_leaves(leaves: &[Leaf]) -> Result<Self, CredentialError> {
        Self::new(Kind::Leaves, leaves.len(), leaves.iter().map(|leaf| Ok((*leaf.as_bytes(), leaf.decompress()?))))
    }

    /// Makes the ring of a group's tags, in the order given.
    ///
    /// # Security
    ///
    /// Only of tags whose credentials have been verified, so that somebody knows the secret of each and nobody else does.
    ///
    /// # Errors
    ///
    /// As [`of_leaves`](Self::of_leaves).
    pub fn of_tags(tags: &[Tag]) -> Result<Self, CredentialError> {
        Self::new(Kind::Tags, tags.len(), tags.iter().map(|tag| Ok((*tag.as_bytes(), tag.decompress()?))))
    }

    fn new(
        kind: Kind,
        count: usize,
        members: impl Iterator<Item = Result<([u8; 32], RistrettoPoint), CredentialError>>,
    ) -> Result<Self, CredentialError> {
        let fits = |shape: &Shape| (1..=shape.size()).contains(&count);
        let shape = Shape::ALL.into_iter().find(fits).ok_or(CredentialError::RingSize(count))?;
        let mut input = vec![kind as u8];
        for number in [shape.base(), shape.digits()] {
            u8::try_from(number).expect("bases and digits are at most 8").encode(&mut input);
        }
        u32::try_from(count).expect("a ring has at most 4,096 members").encode(&mut input);
        let mut points = Vec::with_capacity(shape.size());
        for member in members {
            let (encoding, point) = member?;
            encoding.encode(&mut input);
            points.push(point);
        }
        let padding = |position: usize| {
            let position = u32::try_from(position).expect("a ring has at most 4,096 positions");
            hash::to_group(domain::PADDING, &position.to_be_bytes())
        };
        points.extend((count..shape.size()).map(padding));
        let id = hash::digest_bytes(domain::RING, &input);
        Ok(Self { kind, shape, members: count, points: Arc::new(SharedPoints::new(id, points)) })
    }

    /// Returns the digest of kind, shape and members, which determines every point.
    pub fn id(&self) -> &Digest {
        self.points.id()
    }

    /// Returns the number of members.
    #[expect(clippy::len_without_is_empty, reason = "a ring has members")]
    pub const fn len(&self) -> usize {
        self.members
    }

    /// Returns the number N of points, padding included.
    pub const fn size(&self) -> usize {
        self.shape.size()
    }

    /// Returns the position of a member. The time does not depend on which one it is.
    pub fn position(&self, point: &Point) -> Option<usize> {
        let point = point.decompress().ok()?;
        let mut found = u32::MAX;
        for (position, member) in (0..).zip(self.points().iter().take(self.members)) {
            found.conditional_assign(&position, member.ct_eq(&point));
        }
        if found == u32::MAX { None } else { usize::try_from(found).ok() }
    }

    pub(super) fn points(&self) -> &[RistrettoPoint] {
        self.points.points()
    }

    pub(super) const fn shared(&self) -> &Arc<SharedPoints> {
        &self.points
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn expect(&self, kind: Kind, what: &'static str) -> Result<(), CredentialError> {
        if self.kind == kind { Ok(()) } else { Err(CredentialError::Ring(what)) }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("kind", &self.kind)
            .field("members", &self.members)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
