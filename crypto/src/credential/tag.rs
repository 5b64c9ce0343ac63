//! Tags: one pseudonym per person and scope.

use core::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    credential::CredentialError,
    group::{Base, Point},
    hash::Digest,
};

/// `τ = s·H2G(scope)`: the same person and scope give the same tag. Not yet known to be a valid point.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Tag(Point);

impl Tag {
    pub(super) fn new(point: RistrettoPoint) -> Self {
        Self(point.into())
    }

    /// Returns the base of a scope's tags, `H2G(scope)`.
    pub fn base(scope: &Digest) -> RistrettoPoint {
        Base::Scope(*scope).point()
    }

    /// Returns the point.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::Point`] if it is not a point, or is the identity: the tag of no secret.
    pub fn decompress(&self) -> Result<RistrettoPoint, CredentialError> {
        self.0.decompress_non_identity().map_err(|error| CredentialError::Point { what: "tag", error })
    }

    /// Returns the encoding.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl From<Point> for Tag {
    fn from(point: Point) -> Self {
        Self(point)
    }
}

impl From<Tag> for Point {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl Encode for Tag {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Tag {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Point::decode(input)?))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.as_bytes();
        write!(f, "Tag({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
