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
    credential::{
        CredentialError, Tag, check_slots, expect_length, hidden_slots,
        knowledge::{Masks, announced, coefficients},
    },
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

impl From<Leaf> for Point {
    fn from(leaf: Leaf) -> Self {
        leaf.0
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
    /// verification key and the epoch, in an injective encoding. Shows the values of the slots `disclosed`: to everybody
    /// those that nobody has attested, which are zero, to an attester the one that it is to attest.
    ///
    /// # Panics
    ///
    /// Panics if `disclosed` are not strictly ascending slots of a leaf.
    pub fn prove_opening(&self, context: &[u8], disclosed: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> LeafOpening {
        let value = |slot: &u8| self.attributes.get(usize::from(*slot)).map(|value| (*slot, *value));
        let disclosed: Option<Vec<_>> = disclosed.iter().map(value).collect();
        let disclosed = disclosed.filter(|slots| check_slots(slots).is_ok()).expect("ascending slots of a leaf");
        let witness = self.coefficients();
        let mut transcript = opening_transcript(&self.leaf(), context, &disclosed);
        let masks = Masks::draw(&disclosed, &mut transcript.nonces(witness.as_ref(), rng));
        let announcement = masks.leaf();
        transcript.absorb(Item::Announcement, &announcement);
        let responses = masks.respond(&transcript.challenge(Item::Challenge), &witness);
        LeafOpening {
            announcement,
            secret: responses.secret,
            attributes: responses.attributes,
            blinding: responses.blinding,
        }
    }

    /// Returns a secret with the same attributes, and a new s and b: other tags from now on, in no relation to the old.
    pub fn rotated(&self, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::random(self.attributes, rng)
    }

    /// Returns the leaf with `rho` more of the blinding base. Constant time.
    pub(super) fn hidden(&self, rho: &Scalar) -> Leaf {
        let mut coefficients = self.coefficients();
        coefficients[SLOTS + 1] += rho;
        Leaf(commit(&coefficients).into())
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

/// Proof of `{ (L, (a_j)_{j shown}; s, (a_j)_{j hidden}, b) : L = s·G₀ + Σ a_j·A_j + b·H }`, so that nobody registers a
/// leaf made from others' leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeafOpening {
    announcement: Point,
    secret: Scalar,
    /// Those of hidden slots, ascending.
    attributes: Vec<Scalar>,
    blinding: Scalar,
}
wire_struct!(LeafOpening { announcement, secret, attributes[SLOTS], blinding });

impl LeafOpening {
    /// Verifies the proof for `leaf` with the values of `disclosed` slots under `context`.
    ///
    /// # Errors
    ///
    /// Returns [`CredentialError::Point`], [`CredentialError::Disclosed`], [`CredentialError::Length`] or
    /// [`CredentialError::Proof`].
    pub fn verify(&self, leaf: &Leaf, context: &[u8], disclosed: &[(u8, u64)]) -> Result<(), CredentialError> {
        check_slots(disclosed)?;
        let leaf_point = leaf.decompress()?;
        let announcement = announced(&self.announcement)?;
        expect_length("responses", hidden_slots(disclosed).count(), self.attributes.len())?;
        let mut transcript = opening_transcript(leaf, context, disclosed);
        transcript.absorb(Item::Announcement, &self.announcement);
        let challenge = transcript.challenge(Item::Challenge);
        let coefficients = coefficients(disclosed, &self.secret, &self.attributes, &self.blinding, &challenge);
        holds(coefficients, [(announcement, -Scalar::ONE), (leaf_point, -challenge)])
    }
}

/// Checks one equation: `Σ coefficient·base + Σ coefficient·point = 0`.
pub(super) fn holds(
    fixed: impl IntoIterator<Item = (Base, Scalar)>,
    points: impl IntoIterator<Item = (RistrettoPoint, Scalar)>,
) -> Result<(), CredentialError> {
    let fixed = fixed.into_iter().map(|(base, scalar)| (base.point(), scalar));
    let (points, scalars): (Vec<_>, Vec<_>) = fixed.chain(points).unzip();
    let sum = RistrettoPoint::vartime_multiscalar_mul(scalars, points);
    if is_identity(&sum) { Ok(()) } else { Err(CredentialError::Proof) }
}

fn opening_transcript(leaf: &Leaf, context: &[u8], disclosed: &[(u8, u64)]) -> Transcript {
    let mut transcript = Transcript::new(domain::LEAF_OPENING);
    transcript.absorb_seq(Item::Statement, context);
    transcript.absorb(Item::Statement, leaf);
    transcript.absorb_seq(Item::Statement, disclosed);
    transcript
}
