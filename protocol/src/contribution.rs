//! One contribution: assembled by a participant, checked by everybody, acknowledged by operators.
//!
//! A participant sends one [`Submission`] and may go offline for ever. Its public [`Body`] goes into the audit bundle;
//! the masked vector E and the sealed seeds reach the operators only and are deleted after the result.
//!
//! Transcript order: manifest digest · operator set · core · H(boxes) · eligibility (scopes and tags, holder,
//! disclosed slots, group, root) → γ → folds → proof of the ballot or delta → credential, whose challenge therefore depends
//! on everything.

mod assemble;
mod check;
mod stand_in;

use std::sync::Arc;

use chorus_crypto::{
    Scalar,
    ballot::{self, Layout},
    codec::{Encode, put_seq},
    credential::{Credential, CredentialHolder, Holder, ShownLeaf, Statement, Tag},
    delta, domain,
    group::Point,
    hash::{self, Digest},
    link::Link,
    mask::Shape,
    sign::{PublicKey, Signature},
    transcript::{Item, Transcript},
    wire_enum, wire_struct,
};

pub use self::{
    assemble::{ContributeError, Contributor, Level},
    check::{CheckedForm, Equations, Verdicts, Verification, split_seeds, verify_all, verify_decoded},
    stand_in::Template,
};
use crate::{
    fault::Fault,
    id::{CommunityId, RoundId},
    ledger::{Collects, Manifest, RoundRecord},
    limits,
    log::entry::{ClassSource, ContributionHeader, PollKind},
    registry::snapshot::LazyRing,
};

/// What a contribution carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// Nothing: the contributor's earlier contribution is taken back.
    Withdrawal,
    /// A ballot.
    Ballot(Box<BallotContent>),
    /// A delta.
    Delta(Box<DeltaContent>),
}
wire_enum!(Content { 0 => Withdrawal, 1 => Ballot(it), 2 => Delta(it) });

/// A committed, proved and masked ballot.
pub type BallotContent = Committed<ballot::Proof>;

/// A committed, proved and masked delta.
pub type DeltaContent = Committed<delta::Proof>;

/// A matrix, committed, proved and masked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed<P> {
    /// Rows, columns and lanes of the committed matrix.
    pub shape: Shape,
    /// `C_0 … C_D`: the link's mask row, then the data rows.
    pub commitments: Vec<Point>,
    /// `h_T` for every T.
    pub seed_digests: Vec<Digest>,
    /// `H(E)`.
    pub masked: Digest,
    /// `H(boxes)`.
    pub boxes: Digest,
    /// The masked vector is the committed one.
    pub link: Link,
    /// The committed ballot is valid, or the committed delta within its bound.
    pub proof: P,
}
macro_rules! committed_wire {
    ($($content:ident),*) => {$(
        wire_struct!($content {
            shape,
            commitments[limits::MAX_ROWS],
            seed_digests[limits::MAX_SUBSETS],
            masked,
            boxes,
            link,
            proof,
        });
    )*};
}
committed_wire!(BallotContent, DeltaContent);

/// The public part of a contribution.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body {
    /// The round.
    pub round: RoundId,
    /// The contributor's tag.
    pub tag: Tag,
    /// Which attempt this is.
    pub sequence: u8,
    /// Whether the contributor consents to a public point on the opinion map: about 10 bits of the ballot, of which
    /// everybody can tell whose they are if the credential is open. False for a withdrawal.
    pub on_map: bool,
    /// The class whose sum the contribution goes into: a value that the credential discloses, or a group that it proves. 0 is
    /// "other".
    pub class: u16,
    /// What is contributed.
    pub content: Content,
    /// Proof that one member of the snapshot says so.
    pub credential: Credential,
}
wire_struct!(Body { round, tag, sequence, on_map, class, content, credential });

impl Body {
    /// Returns the round that an encoded body names, without looking at the rest.
    pub(crate) fn round_of(bytes: &[u8]) -> Option<RoundId> {
        let (round, _) = bytes.split_first_chunk::<{ RoundId::LEN }>()?;
        Some(RoundId::from(*round))
    }
}

/// What a participant sends to the operators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Submission {
    /// The encoded public body.
    pub body: Vec<u8>,
    /// The masked vector E, (1 + D) × packed scalars; empty for a withdrawal.
    pub masked: Vec<Scalar>,
    /// The sealed seeds of each operator; none for an operator without a key in this round.
    pub boxes: Vec<Option<SealedBox>>,
}
wire_struct!(Submission { body{limits::MAX_BODY_BYTES}, masked[limits::MAX_MASKED], boxes[limits::MAX_OPERATORS] });

impl Submission {
    /// Returns about how many bytes it takes to hold.
    pub fn size(&self) -> usize {
        self.body.len() + 32 * self.masked.len() + self.boxes.iter().flatten().map(|it| it.bytes.len()).sum::<usize>()
    }
}

/// The seeds of all T that an operator holds, sealed to its round key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedBox {
    /// HPKE ciphertext.
    pub bytes: Vec<u8>,
}
wire_struct!(SealedBox { bytes{limits::MAX_BOX_BYTES} });

/// What the contributions of a round look like.
#[derive(Clone, Debug)]
pub enum Format {
    /// Ballots with this layout.
    Ballots(Layout),
    /// Matrices with this bound on their norm, in this shape.
    Deltas(delta::Statement, Shape),
}

impl Format {
    /// Returns the format of a round's contributions.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if the round has no items or too many, or an adapter of no possible size.
    pub fn of(round: &RoundRecord) -> Result<Self, Fault> {
        match &round.collects {
            Collects::Ballots(_) => layout(round).map(Self::Ballots),
            Collects::Deltas(manifest) => manifest.format().map(|(statement, shape)| Self::Deltas(statement, shape)),
        }
    }

    /// Returns whether contributions of this kind are collected.
    const fn admits(&self, content: &Content) -> bool {
        match (self, content) {
            (_, Content::Withdrawal)
            | (Self::Ballots(_), Content::Ballot(_))
            | (Self::Deltas(..), Content::Delta(_)) => true,
            (Self::Ballots(_), Content::Delta(_)) | (Self::Deltas(..), Content::Ballot(_)) => false,
        }
    }

    /// Returns the shape that contributions are committed to and masked in.
    ///
    /// # Panics
    ///
    /// Never: a layout has at most `MAX_ROWS` rows.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Ballots(layout) => Shape::ballot(u32::try_from(layout.data_rows()).expect("at most MAX_ROWS")),
            Self::Deltas(_, shape) => *shape,
        }
    }
}

/// The layout of a round's ballots.
///
/// # Errors
///
/// Returns [`Fault::Bound`] if the round has no items or too many.
pub fn layout(round: &RoundRecord) -> Result<Layout, Fault> {
    let found = round.plan.items().len();
    let out_of_bounds = Fault::Bound { what: "items", bound: limits::MAX_ITEMS as u64, found: found as u64 };
    let items = u16::try_from(found).map_err(|_| out_of_bounds.clone())?;
    Layout::new(items, round.collects == Collects::Ballots(PollKind::Statement)).map_err(|_| out_of_bounds)
}

/// Returns the context of a contribution: community, round, tag, sequence.
pub fn context(community: CommunityId, round: RoundId, tag: &Tag, sequence: u8) -> Digest {
    let mut bytes = community.to_bytes();
    round.encode(&mut bytes);
    tag.encode(&mut bytes);
    sequence.encode(&mut bytes);
    hash::digest_bytes(domain::CONTEXT, &bytes)
}

/// What ballots and deltas have in common.
struct Bound<'a> {
    shape: &'a Shape,
    commitments: &'a [Point],
    seed_digests: &'a [Digest],
    masked: &'a Digest,
    boxes: &'a Digest,
    link: &'a Link,
}

impl<P> Committed<P> {
    fn bound(&self) -> Bound<'_> {
        let Self { shape, commitments, seed_digests, masked, boxes, link, proof: _ } = self;
        Bound { shape, commitments, seed_digests, masked, boxes, link }
    }
}

impl Content {
    /// Returns what is committed to; none for a withdrawal.
    fn bound(&self) -> Option<Bound<'_>> {
        match self {
            Self::Withdrawal => None,
            Self::Ballot(content) => Some(content.bound()),
            Self::Delta(content) => Some(content.bound()),
        }
    }
}

impl Bound<'_> {
    /// Returns the digest of the core: context, consent and class, commitments, seed digests, H(E).
    fn core(&self, context: &Digest, choices: Choices) -> Digest {
        core_digest(context, choices, self.shape, self.commitments, self.seed_digests, self.masked)
    }
}

/// What a contributor chooses besides votes: consent to a point on the map, and the class shown.
type Choices = (bool, u16);

fn core_digest(
    context: &Digest,
    choices: Choices,
    shape: &Shape,
    commitments: &[Point],
    seeds: &[Digest],
    masked: &Digest,
) -> Digest {
    let mut bytes = context.to_bytes();
    choices.encode(&mut bytes);
    shape.encode(&mut bytes);
    put_seq(&mut bytes, commitments);
    put_seq(&mut bytes, seeds);
    masked.encode(&mut bytes);
    hash::digest_bytes(domain::CORE, &bytes)
}

fn boxes_digest(boxes: &[Option<SealedBox>]) -> Digest {
    let mut bytes = Vec::new();
    put_seq(&mut bytes, boxes);
    hash::content(&bytes)
}

fn box_context(core: &Digest, operator: u8, key: &impl Encode) -> Vec<u8> {
    let mut bytes = core.to_vec();
    operator.encode(&mut bytes);
    key.encode(&mut bytes);
    bytes
}

fn begin(manifest: &Manifest, operators: &[PublicKey]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Manifest, &manifest.digest);
    transcript.absorb_seq(Item::Operators, operators);
    transcript
}

fn absorb_content(transcript: &mut Transcript, context: &Digest, core: &Digest, boxes: &Digest, statement: &Statement) {
    transcript.absorb(Item::Core, &(*context, *core));
    transcript.absorb(Item::Boxes, boxes);
    transcript.absorb(Item::Eligibility, statement);
}

/// What marks a withdrawal in place of a core and of boxes.
const WITHDRAWN: Digest = [0; 32];

/// The holder that a credential shows: a leaf of the snapshot, or a hidden one of a cohort.
fn holder(manifest: &Manifest, credential: &Credential) -> Result<Holder, Fault> {
    let outside = Fault::NotAllowed("a contribution of a leaf outside the snapshot");
    match credential.holder() {
        CredentialHolder::Open { leaf_index: index } => {
            let leaf = manifest.snapshot.leaves().get(index as usize).copied().ok_or(outside)?;
            Ok(Holder::Open(ShownLeaf { index, leaf }))
        }
        CredentialHolder::Ring(hidden) => {
            manifest.snapshot.cohorts().get(hidden.cohort as usize).ok_or(outside)?;
            Ok(Holder::Ring(hidden))
        }
    }
}

/// What a credential must disclose or claim to be of a class.
enum Shown<'r> {
    Nothing,
    Value(u8, u64),
    Group(Digest, &'r Arc<LazyRing>),
}

/// Finds what the class of a contribution stands for.
fn shown<'r>(round: &'r RoundRecord, manifest: &'r Manifest, class: u16) -> Result<Shown<'r>, Fault> {
    if class == 0 {
        return Ok(Shown::Nothing);
    }
    let open = manifest.class(class).ok_or(Fault::Mismatch("the class"))?;
    match (round.plan.classes.as_ref().map(|plan| &plan.source), &open.group) {
        (Some(ClassSource::Attribute(slot)), None) => Ok(Shown::Value(*slot, class.into())),
        (Some(ClassSource::Groups(_)), Some((scope, ring))) => Ok(Shown::Group(*scope, ring)),
        (None | Some(ClassSource::Attribute(_) | ClassSource::Groups(_)), _) => Err(Fault::Mismatch("the class")),
    }
}

/// One operator's signature under a contribution's header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acknowledgement {
    /// What is acknowledged.
    pub header: ContributionHeader,
    /// The operator, 1..=n.
    pub operator: u8,
    /// Its signature.
    pub signature: Signature,
}
wire_struct!(Acknowledgement { header, operator, signature });
