//! Leaves: what a member registers, and the proof that its opening is known.

use core::fmt;
use std::sync::LazyLock;

use curve25519_dalek::{
    ristretto::RistrettoPoint,
    scalar::Scalar,
    traits::{MultiscalarMul as _, VartimeMultiscalarMul as _},
};
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    credential::{CredentialError, Tag},
    domain,
    group::{Base, Point, is_identity},
    hash::Digest,
    transcript::{Item, Transcript},
    wire_struct,
};

/// Attribute slots of a leaf: region, age band, expertise, weight class.
pub const SLOTS: usize = 4;

/// A member's public leaf `L`, as it stands in the registry. Not yet known to be a valid point.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Leaf(Point);

impl Leaf {
    /// Returns the point.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::Point`] if it is not a point, or is the identity.
    pub fn decompress(&self) -> Result<RistrettoPoint, CredentialError> {
        self.0.decompress_non_identity().map_err(|error| CredentialError::Point { what: "leaf", error })
    }

    /// Returns the encoding.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl From<Point> for Leaf {
    fn from(point: Point) -> Self {
        Self(point)
    }
}

impl Encode for Leaf {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Leaf {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Point::decode(input)?))
    }
}

/// `G₀, A_0..A_3, H`, derived once per process.
static BASES: LazyLock<[RistrettoPoint; SLOTS + 2]> =
    LazyLock::new(|| core::array::from_fn(|index| base(index).point()));

/// The base of coefficient `index` of a leaf.
pub(super) fn base(index: usize) -> Base {
    match index {
        0 => Base::LeafSecret,
        _ if index > SLOTS => Base::LeafBlinding,
        _ => Base::LeafAttribute(u8::try_from(index - 1).expect("a leaf has fewer than 256 slots")),
    }
}

/// Returns `Σ coefficient·base` in constant time.
pub(super) fn commit(coefficients: &[Scalar; SLOTS + 2]) -> RistrettoPoint {
    RistrettoPoint::multiscalar_mul(coefficients, BASES.iter())
}

/// The opening `(s; a_0..a_3; b)` of a leaf. Wiped on drop.
///
/// # Security
///
/// s decides a member's tags: whoever has it can vote for the member and recognise its past votes.
#[derive(ZeroizeOnDrop)]
pub struct LeafSecret {
    secret: Scalar,
    attributes: [u64; SLOTS],
    blinding: Scalar,
}

impl LeafSecret {
    /// The length of an encoded opening in bytes.
    pub const LEN: usize = 32 + 8 * SLOTS + 32;

    /// Draws a new secret and blinding for `attributes`.
    pub fn random(attributes: [u64; SLOTS], rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        // Zero would make every tag the identity. It is drawn with probability 2^-252.
        let mut secret = Scalar::random(rng);
        while secret == Scalar::ZERO {
            secret = Scalar::random(rng);
        }
        Self { secret, attributes, blinding: Scalar::random(rng) }
    }

    /// Returns the attributes.
    pub fn attributes(&self) -> &[u64; SLOTS] {
        &self.attributes
    }

    /// Returns the leaf.
    pub fn leaf(&self) -> Leaf {
        Leaf(commit(&self.coefficients()).into())
    }

    /// Returns `τ = s·H2G(scope)`. Constant time.
    pub fn tag(&self, scope: &Digest) -> Tag {
        Tag::new(Tag::base(scope) * self.secret)
    }

    /// Returns `s ‖ a_0..a_3 ‖ b`, for the keystore.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LEN]> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        let (secret, rest) = bytes.split_at_mut(32);
        let (attributes, blinding) = rest.split_at_mut(8 * SLOTS);
        secret.copy_from_slice(self.secret.as_bytes());
        for (bytes, attribute) in attributes.chunks_exact_mut(8).zip(&self.attributes) {
            bytes.copy_from_slice(&attribute.to_be_bytes());
        }
        blinding.copy_from_slice(self.blinding.as_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] for another length, scalars that are not reduced or a secret of zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let secret = Scalar::decode(&mut input)?;
        let mut attributes = [0; SLOTS];
        for attribute in &mut attributes {
            *attribute = u64::decode(&mut input)?;
        }
        let blinding = Scalar::decode(&mut input)?;
        input.finish()?;
        if secret == Scalar::ZERO {
            return Err(DecodeError::OutOfRange("leaf secret"));
        }
        Ok(Self { secret, attributes, blinding })
    }

    /// Proves knowledge of the opening, bound to `context`: at registration the community's id, the member's
    /// verification key and the epoch, in an injective encoding.
    pub fn prove_opening(&self, context: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> LeafOpening {
        let witness = self.coefficients();
        let mut transcript = opening_transcript(&self.leaf(), context);
        let mut nonces = transcript.nonces(witness.as_ref(), rng);
        let masks = Zeroizing::new(core::array::from_fn(|_| nonces.next()));
        let announcement = Point::from(commit(&masks));
        transcript.absorb(Item::Announcement, &announcement);
        let challenge = transcript.challenge(Item::Challenge);
        let responses = masks.iter().zip(witness.iter()).map(|(mask, value)| mask + challenge * value).collect();
        LeafOpening { announcement, responses }
    }

    /// Returns the coefficients of [`BASES`].
    pub(super) fn coefficients(&self) -> Zeroizing<[Scalar; SLOTS + 2]> {
        let [a, b, c, d] = self.attributes.map(Scalar::from);
        Zeroizing::new([self.secret, a, b, c, d, self.blinding])
    }
}

impl fmt::Debug for LeafSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafSecret").finish_non_exhaustive()
    }
}

/// Proof of `{ (L; s, a, b) : L = s·G₀ + Σ a_j·A_j + b·H }`, so that nobody registers a leaf made from others' leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeafOpening {
    announcement: Point,
    responses: Vec<Scalar>,
}
wire_struct!(LeafOpening { announcement, responses[SLOTS + 2] });

impl LeafOpening {
    /// Verifies the proof for `leaf` under `context`.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::Point`], [`CredentialError::Length`] or [`CredentialError::Proof`].
    pub fn verify(&self, leaf: &Leaf, context: &[u8]) -> Result<(), CredentialError> {
        let leaf_point = leaf.decompress()?;
        let announcement =
            self.announcement.decompress().map_err(|error| CredentialError::Point { what: "announcement", error })?;
        if self.responses.len() != SLOTS + 2 {
            let (expected, found) = (SLOTS + 2, self.responses.len());
            return Err(CredentialError::Length { what: "responses", expected, found });
        }
        let mut transcript = opening_transcript(leaf, context);
        transcript.absorb(Item::Announcement, &self.announcement);
        let challenge = transcript.challenge(Item::Challenge);
        let scalars = self.responses.iter().copied().chain([-Scalar::ONE, -challenge]);
        let points = BASES.iter().copied().chain([announcement, leaf_point]);
        let holds = is_identity(&RistrettoPoint::vartime_multiscalar_mul(scalars, points));
        if holds { Ok(()) } else { Err(CredentialError::Proof) }
    }
}

fn opening_transcript(leaf: &Leaf, context: &[u8]) -> Transcript {
    let mut transcript = Transcript::new(domain::LEAF_OPENING);
    transcript.absorb_seq(Item::Statement, context);
    transcript.absorb(Item::Statement, leaf);
    transcript
}
