//! A second, independent prover of credentials and openings, for whom nothing has to be true.
//!
//! Its nonces come from the generator alone, so that a repeated generator repeats them: what real provers hedge against.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    codec::{Decode as _, Encode, put_seq},
    credential::{
        Holder, Leaf, LeafOpening, LeafSecret, MembershipCommitments, OneOfMany, OpenCredential, RingCredential, SLOTS,
        Statement, Tag,
    },
    domain,
    group::{Base, Point},
    hash::{self, Digest},
    transcript::{Item, Transcript},
};
use rand_core::CryptoRng;

/// What goes into the transcript of a credential.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// What the equations are about.
    pub proved: &'a Statement,
    /// What is said at the beginning.
    pub said: &'a Statement,
    /// The ring's id.
    pub ring: Digest,
    /// What is left out.
    pub skipped: Option<Item>,
}

impl<'a> Words<'a> {
    /// Says what is proved.
    pub const fn honest(statement: &'a Statement, ring: Digest) -> Self {
        Self { proved: statement, said: statement, ring, skipped: None }
    }

    fn absorb(&self, transcript: &mut Transcript, item: Item, value: &impl Encode) {
        if self.skipped != Some(item) {
            transcript.absorb(item, value);
        }
    }
}

/// The opening of a leaf, of which nothing needs to hold: s may be zero.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// s.
    pub secret: Scalar,
    /// a_0..a_3.
    pub attributes: [Scalar; SLOTS],
    /// b.
    pub blinding: Scalar,
}

impl From<&LeafSecret> for Opening {
    fn from(leaf: &LeafSecret) -> Self {
        let bytes = leaf.to_bytes();
        let scalar = |at: usize| {
            let bytes = bytes[at..at + 32].try_into().expect("32 bytes");
            Option::from(Scalar::from_canonical_bytes(bytes)).expect("a reduced scalar")
        };
        let attributes = leaf.attributes().map(Scalar::from);
        Self { secret: scalar(0), attributes, blinding: scalar(LeafSecret::LEN - 32) }
    }
}

/// `G₀, A_0..A_3, H`.
fn bases() -> [RistrettoPoint; SLOTS + 2] {
    let attribute = |slot: usize| Base::LeafAttribute(u8::try_from(slot).expect("few slots"));
    core::array::from_fn(|index| match index {
        0 => Base::LeafSecret.point(),
        _ if index > SLOTS => Base::LeafBlinding.point(),
        _ => attribute(index - 1).point(),
    })
}

fn sum<'a>(
    scalars: impl IntoIterator<Item = &'a Scalar>,
    points: impl IntoIterator<Item = RistrettoPoint>,
) -> RistrettoPoint {
    scalars.into_iter().zip(points).map(|(scalar, point)| point * scalar).sum()
}

impl Opening {
    fn coefficients(&self) -> [Scalar; SLOTS + 2] {
        let [a, b, c, d] = self.attributes;
        [self.secret, a, b, c, d, self.blinding]
    }

    /// Returns the leaf.
    pub fn leaf(&self) -> Leaf {
        Leaf::from(Point::from(sum(&self.coefficients(), bases())))
    }

    /// Returns `τ = s·H2G(scope)`.
    pub fn tag(&self, scope: &Digest) -> Tag {
        Tag::from(Point::from(Tag::base(scope) * self.secret))
    }

    /// Returns the same opening with `rho` more of the blinding.
    pub fn hidden(&self, rho: &Scalar) -> Self {
        Self { blinding: self.blinding + rho, ..*self }
    }

    /// Claims to open `leaf` with `disclosed` slots, as at a registration.
    ///
    /// # Panics
    ///
    /// Never: what it writes reads back.
    pub fn prove_opening(
        &self,
        leaf: &Leaf,
        context: &[u8],
        disclosed: &[(u8, u64)],
        rng: &mut impl CryptoRng,
    ) -> LeafOpening {
        let mut transcript = Transcript::new(domain::LEAF_OPENING);
        transcript.absorb_seq(Item::Statement, context);
        transcript.absorb(Item::Statement, leaf);
        transcript.absorb_seq(Item::Statement, disclosed);
        let masks = Masks::draw(disclosed, rng);
        transcript.absorb(Item::Announcement, &masks.leaf());
        let challenge = transcript.challenge(Item::Challenge);
        let mut bytes = masks.leaf().to_bytes();
        masks.respond(0, &challenge, self).encode(&mut bytes);
        put_seq(&mut bytes, &masks.attributes(&challenge, self));
        masks.respond(SLOTS + 1, &challenge, self).encode(&mut bytes);
        LeafOpening::from_bytes(&bytes).expect("the encoding of an opening")
    }
}

/// The masks of s, of the hidden slots and of b; zero for disclosed slots.
struct Masks {
    values: [Scalar; SLOTS + 2],
    hidden: Vec<usize>,
}

impl Masks {
    fn draw(disclosed: &[(u8, u64)], rng: &mut impl CryptoRng) -> Self {
        let is_hidden = |index: &usize| !disclosed.iter().any(|(slot, _)| usize::from(*slot) + 1 == *index);
        let hidden: Vec<usize> = (1..=SLOTS).filter(is_hidden).collect();
        let mut values = [Scalar::ZERO; SLOTS + 2];
        for index in [0, SLOTS + 1].iter().chain(&hidden) {
            values[*index] = Scalar::random(rng);
        }
        Self { values, hidden }
    }

    fn leaf(&self) -> Point {
        Point::from(sum(&self.values, bases()))
    }

    fn respond(&self, index: usize, challenge: &Scalar, opening: &Opening) -> Scalar {
        self.values[index] + challenge * opening.coefficients()[index]
    }

    fn attributes(&self, challenge: &Scalar, opening: &Opening) -> Vec<Scalar> {
        self.hidden.iter().map(|index| self.respond(*index, challenge, opening)).collect()
    }

    /// Says the statement, and announces leaf and tags.
    fn announce(&self, transcript: &mut Transcript, words: &Words<'_>) -> (Point, Vec<Point>) {
        let tag = |(scope, _): &(Digest, Tag)| Point::from(Tag::base(scope) * self.values[0]);
        let (leaf, tags) = (self.leaf(), words.proved.scopes.iter().map(tag).collect::<Vec<_>>());
        words.absorb(transcript, Item::Announcement, &leaf);
        if words.skipped != Some(Item::Announcement) {
            transcript.absorb_seq(Item::Announcement, &tags);
        }
        (leaf, tags)
    }
}

/// Shows the leaf of the statement, whatever `opening` opens.
pub fn open(
    transcript: &mut Transcript,
    words: &Words<'_>,
    opening: &Opening,
    rng: &mut impl CryptoRng,
) -> OpenCredential {
    words.absorb(transcript, Item::Statement, words.said);
    let masks = Masks::draw(&words.proved.disclosed, rng);
    let (leaf_announcement, tag_announcements) = masks.announce(transcript, words);
    let challenge = transcript.challenge(Item::CredentialChallenge);
    let leaf_index = match words.proved.holder {
        Holder::Open(shown) => shown.index,
        Holder::Ring(_) => 0,
    };
    OpenCredential {
        leaf_index,
        leaf_announcement,
        tag_announcements,
        secret: masks.respond(0, &challenge, opening),
        attributes: masks.attributes(&challenge, opening),
        blinding: masks.respond(SLOTS + 1, &challenge, opening),
    }
}

/// Hides the leaf at `position` of the points of a ring, of which `L′` is said to be `rho·H` away, and opens `L′` with
/// `opening`, true or not.
///
/// # Panics
///
/// Panics if the statement shows its leaf.
pub fn ring(
    transcript: &mut Transcript,
    words: &Words<'_>,
    (opening, rho): (&Opening, &Scalar),
    (points, position): (&[RistrettoPoint], usize),
    rng: &mut impl CryptoRng,
) -> RingCredential {
    let Holder::Ring(holder) = words.proved.holder else { panic!("a ring credential hides its leaf") };
    words.absorb(transcript, Item::Statement, words.said);
    words.absorb(transcript, Item::Ring, &words.ring);
    let masks = Masks::draw(&words.proved.disclosed, rng);
    let prover = Membership::draw(points.len(), position, rng);
    let commitments = prover.commitments(points);
    words.absorb(transcript, Item::Membership, &commitments);
    let (leaf_announcement, tag_announcements) = masks.announce(transcript, words);
    let challenge = transcript.challenge(Item::CredentialChallenge);
    RingCredential {
        holder,
        membership: prover.respond(commitments, &challenge, rho),
        leaf_announcement,
        tag_announcements,
        secret: masks.respond(0, &challenge, opening),
        attributes: masks.attributes(&challenge, opening),
        blinding: masks.respond(SLOTS + 1, &challenge, opening),
        group: None,
    }
}

/// Returns the points of a ring: those of its members, and padding up to `size`.
///
/// # Panics
///
/// Panics if a member is no point.
pub fn ring_points(members: &[Leaf], size: usize) -> Vec<RistrettoPoint> {
    let member = |leaf: &Leaf| leaf.decompress().expect("the leaf of a member");
    members.iter().map(member).chain((members.len()..size).map(padding)).collect()
}

/// Returns the point that pads a ring at a position.
///
/// # Panics
///
/// Panics if the position is beyond any ring.
pub fn padding(position: usize) -> RistrettoPoint {
    let position = u32::try_from(position).expect("rings are small");
    hash::to_group(domain::PADDING, &position.to_be_bytes())
}

/// The masks of a one-out-of-many proof, digit by digit.
struct Membership {
    base: usize,
    digits: Vec<Scalar>,
    masks: Vec<Scalar>,
    blindings: [Scalar; 4],
    lower: Vec<Scalar>,
}

impl Membership {
    fn draw(size: usize, position: usize, rng: &mut impl CryptoRng) -> Self {
        let (base, count): (usize, u32) = if size == 4096 { (8, 4) } else { (4, size.ilog(4)) };
        let digit = |j: u32| (0..base).map(move |i| Scalar::from(u8::from(position / base.pow(j) % base == i)));
        let mut masks = Vec::new();
        for _ in 0..count {
            let rest: Vec<Scalar> = (1..base).map(|_| Scalar::random(rng)).collect();
            masks.push(-rest.iter().sum::<Scalar>());
            masks.extend(rest);
        }
        Self {
            base,
            digits: (0..count).flat_map(digit).collect(),
            masks,
            blindings: core::array::from_fn(|_| Scalar::random(rng)),
            lower: (0..count).map(|_| Scalar::random(rng)).collect(),
        }
    }

    /// The coefficients of `p_i(x) = Π_j (δ_{j,i_j}·x + a_{j,i_j})`, lowest first.
    fn polynomial(&self, mut i: usize) -> Vec<Scalar> {
        let mut polynomial = vec![Scalar::ONE];
        for (digits, masks) in self.digits.chunks(self.base).zip(self.masks.chunks(self.base)) {
            let (slope, constant) = (digits[i % self.base], masks[i % self.base]);
            i /= self.base;
            let mut next = vec![Scalar::ZERO; polynomial.len() + 1];
            for (power, coefficient) in polynomial.iter().enumerate() {
                next[power] += constant * coefficient;
                next[power + 1] += slope * coefficient;
            }
            polynomial = next;
        }
        polynomial
    }

    fn commitments(&self, points: &[RistrettoPoint]) -> MembershipCommitments {
        let blinding = Base::LeafBlinding.point();
        let commit = |values: &[Scalar], by: &Scalar| {
            let bases = (0u16..).map(|entry| Base::RingDigit(entry).point());
            Point::from(sum(values, bases) + blinding * by)
        };
        let entries = || self.masks.iter().zip(&self.digits);
        let products: Vec<Scalar> = entries().map(|(mask, digit)| mask * (Scalar::ONE - digit - digit)).collect();
        let squares: Vec<Scalar> = self.masks.iter().map(|mask| -(mask * mask)).collect();
        let polynomials: Vec<Vec<Scalar>> = (0..points.len()).map(|i| self.polynomial(i)).collect();
        let lower = self.lower.iter().enumerate().map(|(power, by)| {
            let scalars = polynomials.iter().map(|polynomial| &polynomial[power]);
            Point::from(sum(scalars, points.iter().copied()) + blinding * by)
        });
        let [a, b, c, d] = &self.blindings;
        MembershipCommitments {
            masks: commit(&self.masks, a),
            digits: commit(&self.digits, b),
            products: commit(&products, c),
            squares: commit(&squares, d),
            lower: lower.collect(),
        }
    }

    fn respond(&self, commitments: MembershipCommitments, challenge: &Scalar, rho: &Scalar) -> OneOfMany {
        let [a, b, c, d] = &self.blindings;
        let shown = (0..self.digits.len()).filter(|index| index % self.base != 0);
        let mut power = Scalar::ONE;
        let mut blinding = Scalar::ZERO;
        for lower in &self.lower {
            blinding -= lower * power;
            power *= challenge;
        }
        OneOfMany {
            commitments,
            digits: shown.map(|index| self.digits[index] * challenge + self.masks[index]).collect(),
            digit_blinding: b * challenge + a,
            product_blinding: c * challenge + d,
            blinding: blinding - rho * power,
        }
    }
}
