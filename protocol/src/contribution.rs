//! One contribution: assembled by a participant, checked by everybody, acknowledged by operators.
//!
//! A participant sends one [`Submission`] and may go offline for ever. Its public [`Body`] goes into the audit bundle;
//! the masked vector E and the sealed seeds reach the operators only and are deleted after the result.
//!
//! Transcript order: manifest digest · operator set · core · H(boxes) · eligibility (root, leaf, scopes and tags,
//! disclosed slots) → γ → folds → ballot proof → credential, whose challenge therefore depends on everything.

use std::sync::Arc;

use chorus_crypto::{
    Scalar,
    ballot::{self, Layout, Vote, Witness},
    batch::Batch,
    codec::{Decode as _, Encode, put_seq},
    credential::{
        Credential, CredentialError, CredentialHolder, GroupClaim, HiddenLeaf, Hiding, Holder, LeafSecret, Ring, Rings,
        ShownLeaf, Statement, Tag,
    },
    domain,
    group::{Generators, Point},
    hash::{self, Digest},
    link::Link,
    mask::{Expansion, Masking, Seed, Shape, masked_digest, seed_digest},
    seal::{SealSecret, seal},
    sign::{PublicKey, Signature},
    transcript::{Item, Transcript},
    wire_enum, wire_struct,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rand_core::CryptoRng;
use rayon::prelude::*;

use crate::{
    fault::Fault,
    id::{BlobId, CommunityId, RoundId},
    ledger::{Ledger, Manifest, RoundRecord},
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
}
wire_enum!(Content { 0 => Withdrawal, 1 => Ballot(it) });

/// A committed, proved and masked ballot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BallotContent {
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
    /// The committed ballot is valid.
    pub proof: ballot::Proof,
}
wire_struct!(BallotContent {
    shape,
    commitments[limits::MAX_ROWS],
    seed_digests[limits::MAX_SUBSETS],
    masked,
    boxes,
    link,
    proof,
});

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
    /// The class whose sum the ballot goes into: a value that the credential discloses, or a group that it proves. 0 is
    /// "other".
    pub class: u16,
    /// What is contributed.
    pub content: Content,
    /// Proof that one member of the snapshot says so.
    pub credential: Credential,
}
wire_struct!(Body { round, tag, sequence, on_map, class, content, credential });

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
wire_struct!(Submission { body{limits::MAX_BODY_BYTES}, masked[limits::MAX_ROWS], boxes[limits::MAX_OPERATORS] });

/// The seeds of all T that an operator holds, sealed to its round key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedBox {
    /// HPKE ciphertext.
    pub bytes: Vec<u8>,
}
wire_struct!(SealedBox { bytes{limits::MAX_BOX_BYTES} });

/// Why a participant could not contribute.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContributeError {
    /// The round takes no contributions now.
    #[error("the round is not open")]
    NotOpen,
    /// The participant's leaf is not in the round's snapshot.
    #[error("you were not a member when the round opened")]
    NotMember,
    /// The votes do not fit the round's items.
    #[error("{found} votes for {expected} items")]
    Votes {
        /// The number of items.
        expected: usize,
        /// The number of votes.
        found: usize,
    },
    /// The participant has changed their mind too often.
    #[error("at most {} changes are admitted in a round", limits::MAX_SEQUENCE)]
    Sequence,
    /// Something could not be computed from what the log holds.
    #[error("{0}")]
    Internal(&'static str),
}

/// The layout of a round's ballots.
///
/// # Errors
///
/// Returns [`Fault::Bound`] if the round has no items or too many.
pub fn layout(round: &RoundRecord) -> Result<Layout, Fault> {
    let found = round.plan.items.len();
    let out_of_bounds = Fault::Bound { what: "items", bound: limits::MAX_ITEMS as u64, found: found as u64 };
    let items = u16::try_from(found).map_err(|_| out_of_bounds.clone())?;
    Layout::new(items, round.kind == PollKind::Statement).map_err(|_| out_of_bounds)
}

/// Returns the context of a contribution: community, round, tag, sequence.
pub fn context(community: CommunityId, round: RoundId, tag: &Tag, sequence: u8) -> Digest {
    let mut bytes = community.to_bytes();
    round.encode(&mut bytes);
    tag.encode(&mut bytes);
    sequence.encode(&mut bytes);
    hash::digest_bytes(domain::CONTEXT, &bytes)
}

impl BallotContent {
    /// Returns the digest of the core: context, consent and class, commitments, seed digests, H(E).
    fn core(&self, context: &Digest, choices: Choices) -> Digest {
        core_digest(context, choices, &self.shape, &self.commitments, &self.seed_digests, &self.masked)
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

/// How a contribution shows that a member made it. The tag is the same in both, so nobody speaks twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One member of the cohort, and nobody learns which.
    #[default]
    Anonymous,
    /// This member.
    Open,
}

/// A person's secrets and what they want to say in a round.
#[derive(Debug)]
pub struct Contributor<'a> {
    /// The opening of the person's leaf.
    pub leaf: &'a LeafSecret,
    /// Which attempt this is, from 0.
    pub sequence: u8,
    /// How the person shows to be a member.
    pub level: Level,
    /// Whether the person consents to a public point on the opinion map. Without effect in a round with classes.
    pub on_map: bool,
    /// Whether the person shows their class in a round with classes; else they are "other".
    pub show_class: bool,
}

impl<'a> Contributor<'a> {
    /// Returns somebody who contributes for the first time, anonymously, on the map, with their class.
    pub const fn anonymous(leaf: &'a LeafSecret) -> Self {
        Self { leaf, sequence: 0, level: Level::Anonymous, on_map: true, show_class: true }
    }
}

impl Contributor<'_> {
    /// Casts a ballot: commits, masks, seals the seeds, proves, and shows the credential.
    ///
    /// Every call draws fresh seeds; to send a contribution again, send the same bytes.
    ///
    /// # Errors
    ///
    /// Returns why the round does not admit it.
    pub fn cast(
        &self,
        ledger: &Ledger,
        round: &RoundRecord,
        votes: &[Vote],
        rng: &mut impl CryptoRng,
    ) -> Result<Submission, ContributeError> {
        // Generators of their own, so that masks and dither do not depend on which operators have keys.
        let mut fork = || ChaCha20Rng::from_rng(rng);
        let (mut for_masks, mut for_dither, mut for_boxes, mut for_proofs) = (fork(), fork(), fork(), fork());
        let mut prepared = self.prepare(ledger, round, &mut for_proofs)?;
        self.classify(round, &mut prepared);
        let (manifest, context) = (prepared.manifest, prepared.context);
        let expected = round.plan.items.len();
        if votes.len() != expected {
            return Err(ContributeError::Votes { expected, found: votes.len() });
        }
        let internal = |_| ContributeError::Internal("the round's items do not make a ballot");
        let layout = layout(round).map_err(internal)?;
        let data_rows = u32::try_from(layout.data_rows()).map_err(|_| ContributeError::Internal("too many rows"))?;
        let shape = Shape::ballot(data_rows);
        let sharing = ledger.sharing();
        let masking = Masking::new(sharing, &shape, &context, &mut for_masks);
        let witness = Witness::new(&layout, votes, &mut for_dither)
            .map_err(|_| ContributeError::Internal("votes do not encode"))?;
        let data: Vec<Vec<Scalar>> = witness.data().iter().map(|bit| vec![*bit]).collect();
        let (commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
        let seed_digests = masking.seed_digests();
        let masked_digest = masked_digest(&masked);
        let on_map = self.on_map && round.plan.classes.is_none();
        let choices = (on_map, prepared.class);
        let core = core_digest(&context, choices, &shape, &commitments, &seed_digests, &masked_digest);
        let boxes = seal_seeds(ledger, manifest, &core, masking.seeds(), &mut for_boxes)?;
        let boxes_digest = boxes_digest(&boxes);

        let mut transcript = begin(manifest, &ledger.genesis().operators);
        absorb_content(&mut transcript, &context, &core, &boxes_digest, &prepared.statement);
        let link = Link::prove(&mut transcript, &masking, &shape, &data);
        let blindings = masking.blindings().get(1..).unwrap_or_default();
        let proof = ballot::Proof::prove(&mut transcript, &layout, &witness, blindings, &mut for_proofs);
        let credential = self.prove(&mut transcript, &prepared, &mut for_proofs)?;

        let content =
            BallotContent { shape, commitments, seed_digests, masked: masked_digest, boxes: boxes_digest, link, proof };
        let body = self.body(&prepared, round.id, on_map, Content::Ballot(Box::new(content)), credential);
        Ok(Submission { body: body.to_bytes(), masked, boxes })
    }

    /// Takes an earlier contribution back.
    ///
    /// # Errors
    ///
    /// As [`cast`](Self::cast).
    pub fn withdraw(
        &self,
        ledger: &Ledger,
        round: &RoundRecord,
        rng: &mut impl CryptoRng,
    ) -> Result<Submission, ContributeError> {
        let prepared = self.prepare(ledger, round, rng)?;
        let mut transcript = begin(prepared.manifest, &ledger.genesis().operators);
        absorb_content(&mut transcript, &prepared.context, &WITHDRAWN, &WITHDRAWN, &prepared.statement);
        let credential = self.prove(&mut transcript, &prepared, rng)?;
        let body = self.body(&prepared, round.id, false, Content::Withdrawal, credential);
        Ok(Submission { body: body.to_bytes(), masked: Vec::new(), boxes: Vec::new() })
    }

    /// Finds out what the person can say of themselves in this round.
    fn prepare<'r>(
        &self,
        ledger: &Ledger,
        round: &'r RoundRecord,
        rng: &mut impl CryptoRng,
    ) -> Result<Prepared<'r>, ContributeError> {
        let manifest = round.manifest.as_ref().filter(|_| round.sealed.is_none()).ok_or(ContributeError::NotOpen)?;
        if self.sequence > limits::MAX_SEQUENCE {
            return Err(ContributeError::Sequence);
        }
        let leaf = self.leaf.leaf();
        let index = manifest.snapshot.index(&leaf).ok_or(ContributeError::NotMember)?;
        let hiding = Hiding::random(rng);
        let holder = match self.level {
            Level::Open => Holder::Open(ShownLeaf { index, leaf }),
            Level::Anonymous => {
                let cohort = manifest.snapshot.cohort_of(&leaf).ok_or(ContributeError::NotMember)?;
                Holder::Ring(HiddenLeaf { cohort, leaf: hiding.leaf(self.leaf) })
            }
        };
        let tag = self.leaf.tag(&manifest.scope);
        let context = context(ledger.community(), round.id, &tag, self.sequence);
        let statement = Statement {
            scopes: vec![(manifest.scope, tag)],
            holder,
            disclosed: Vec::new(),
            group: None,
            snapshot_root: manifest.root,
        };
        Ok(Prepared { manifest, statement, context, hiding, tag, class: 0, group: None })
    }

    /// Adds the class that the person is in to what they say of themselves, if the round has one for them.
    fn classify(&self, round: &RoundRecord, prepared: &mut Prepared<'_>) {
        let Some(plan) = round.plan.classes.as_ref().filter(|_| self.show_class) else { return };
        match &plan.source {
            ClassSource::Attribute(slot) => {
                let Some(value) = self.leaf.attributes().get(usize::from(*slot)).copied() else { return };
                let Some(class) = u16::try_from(value).ok().filter(|class| prepared.manifest.class(*class).is_some())
                else {
                    return;
                };
                prepared.class = class;
                prepared.statement.disclosed = vec![(*slot, value)];
            }
            ClassSource::Groups(_) if self.level == Level::Open => {}
            ClassSource::Groups(_) => {
                let own = prepared.manifest.classes.iter().find_map(|class| {
                    let (scope, ring) = class.group.as_ref()?;
                    ring.has_tag(&self.leaf.tag(scope)).then_some((class.number, *scope, ring))
                });
                let Some((number, scope, ring)) = own else { return };
                let Some(ring) = ring.get() else { return };
                let commitment = prepared.hiding.group_commitment(self.leaf, &scope);
                prepared.class = number;
                prepared.statement.group = Some(GroupClaim { scope, ring: *ring.id(), commitment });
                prepared.group = Some(Arc::clone(ring));
            }
        }
    }

    /// Shows the credential, at the end of everything else.
    fn prove(
        &self,
        transcript: &mut Transcript,
        prepared: &Prepared<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Credential, ContributeError> {
        let statement = &prepared.statement;
        match statement.holder {
            Holder::Open(_) => Ok(Credential::prove_open(transcript, statement, self.leaf, rng)),
            Holder::Ring(hidden) => {
                let leaves = prepared.manifest.snapshot.ring(hidden.cohort);
                let rings = Rings { leaves, group: prepared.group.as_ref() };
                rings.leaves.ok_or(ContributeError::Internal("the cohort makes no ring"))?;
                Ok(Credential::prove_ring(transcript, statement, self.leaf, &prepared.hiding, rings, rng))
            }
        }
    }

    fn body(
        &self,
        prepared: &Prepared<'_>,
        round: RoundId,
        on_map: bool,
        content: Content,
        credential: Credential,
    ) -> Body {
        let (tag, class) = (prepared.tag, prepared.class);
        Body { round, tag, sequence: self.sequence, on_map, class, content, credential }
    }
}

/// What a person can say of themselves in a round.
struct Prepared<'r> {
    manifest: &'r Manifest,
    statement: Statement,
    context: Digest,
    hiding: Hiding,
    tag: Tag,
    class: u16,
    group: Option<Arc<Ring>>,
}

fn seal_seeds(
    ledger: &Ledger,
    manifest: &Manifest,
    core: &Digest,
    seeds: &[Seed],
    rng: &mut impl CryptoRng,
) -> Result<Vec<Option<SealedBox>>, ContributeError> {
    let mut boxes = Vec::with_capacity(manifest.keys.len());
    for (operator, key) in (1u8..).zip(&manifest.keys) {
        let Some(key) = key else {
            boxes.push(None);
            continue;
        };
        let held = ledger.sharing().held_by(operator);
        let bytes = seal(key, &box_context(core, operator, key), &join_seeds(seeds, &held), rng)
            .map_err(|_| ContributeError::Internal("an operator's round key is not usable"))?;
        boxes.push(Some(SealedBox { bytes }));
    }
    Ok(boxes)
}

fn join_seeds(seeds: &[Seed], held: &[usize]) -> zeroize::Zeroizing<Vec<u8>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(32 * held.len()));
    for seed in held.iter().filter_map(|index| seeds.get(*index)) {
        bytes.extend_from_slice(seed.expose());
    }
    bytes
}

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

/// A body that decodes and fits its round; its equations are not checked yet.
#[derive(Clone, Debug)]
pub struct CheckedForm {
    /// The body.
    pub body: Body,
    /// What the log keeps of it.
    pub header: ContributionHeader,
    context: Digest,
    layout: Layout,
}

/// The equations of a body, added to a batch; γ is the link's challenge.
#[derive(Clone, Copy, Debug)]
pub struct Equations {
    gamma: Scalar,
}

impl CheckedForm {
    /// Decodes a body and checks everything about it that is not an equation between points.
    ///
    /// # Errors
    ///
    /// Returns the first [`Fault`] found.
    pub fn new(ledger: &Ledger, bytes: &[u8]) -> Result<Self, Fault> {
        let body = Body::from_bytes(bytes)?;
        let round = ledger.rounds().get(&body.round).ok_or(Fault::Unknown("round"))?;
        let manifest = round.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        let layout = layout(round)?;
        shown(round, manifest, body.class)?;
        if body.on_map && round.plan.classes.is_some() {
            return Err(Fault::Mismatch("a point on the map in a round without one"));
        }
        if body.sequence > limits::MAX_SEQUENCE {
            return Err(Fault::Bound {
                what: "sequence number",
                bound: limits::MAX_SEQUENCE.into(),
                found: body.sequence.into(),
            });
        }
        let context = context(ledger.community(), body.round, &body.tag, body.sequence);
        let (core, seed_digests) = match &body.content {
            Content::Withdrawal if body.on_map || body.class != 0 => {
                return Err(Fault::Mismatch("a withdrawal on the map or of a class"));
            }
            Content::Withdrawal => (WITHDRAWN, Vec::new()),
            Content::Ballot(content) => {
                let rows = layout.data_rows();
                if usize::try_from(content.shape.data_rows) != Ok(rows)
                    || content.shape != Shape::ballot(content.shape.data_rows)
                    || content.commitments.len() != rows + 1
                {
                    return Err(Fault::Mismatch("the ballot's shape"));
                }
                if content.seed_digests.len() != ledger.sharing().subset_count() {
                    return Err(Fault::Mismatch("the number of seeds"));
                }
                (content.core(&context, (body.on_map, body.class)), content.seed_digests.clone())
            }
        };
        holder(manifest, &body.credential)?;
        let header = ContributionHeader {
            round: body.round,
            tag: body.tag,
            sequence: body.sequence,
            on_map: body.on_map,
            class: body.class,
            body: BlobId::of(bytes),
            core,
            seed_digests,
        };
        Ok(Self { body, header, context, layout })
    }

    /// Adds the equations of link, ballot proof and credential to `batch`, and checks what is not an equation
    /// between points.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] for what fails at once; the rest fails when the batch is verified.
    pub fn add_equations(&self, ledger: &Ledger, batch: &mut Batch) -> Result<Equations, Fault> {
        let (equations, mut transcript, statement) = self.add_content(ledger, batch)?;
        self.add_credential(ledger, &mut transcript, &statement, batch)?;
        Ok(equations)
    }

    /// Verifies the content and then the credential, each alone, to tell which of them does not hold.
    ///
    /// `seed` is as for [`verify_all`].
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Proof`] if link or ballot proof do not hold and [`Fault::Credential`] if only the credential
    /// does not.
    pub fn verify_parts(&self, ledger: &Ledger, seed: &[u8; 32]) -> Result<Equations, Fault> {
        let mut content = Batch::new(&hash::digest(domain::BATCH, &(*seed, 0u64)));
        let (equations, mut transcript, statement) = self.add_content(ledger, &mut content)?;
        if !content.verify() {
            return Err(Fault::Proof);
        }
        let mut credential = Batch::new(&hash::digest(domain::BATCH, &(*seed, 1u64)));
        self.add_credential(ledger, &mut transcript, &statement, &mut credential)?;
        if credential.verify() { Ok(equations) } else { Err(CredentialError::Proof.into()) }
    }

    /// Adds the equations of link and ballot proof; returns the transcript that the credential signs.
    fn add_content(&self, ledger: &Ledger, batch: &mut Batch) -> Result<(Equations, Transcript, Statement), Fault> {
        let round = ledger.rounds().get(&self.body.round).ok_or(Fault::Unknown("round"))?;
        let manifest = round.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        let statement = self.statement(round, manifest)?;
        let mut transcript = begin(manifest, &ledger.genesis().operators);
        let gamma = match &self.body.content {
            Content::Withdrawal => {
                absorb_content(&mut transcript, &self.context, &WITHDRAWN, &WITHDRAWN, &statement);
                Scalar::ZERO
            }
            Content::Ballot(content) => {
                let points: Result<Vec<_>, _> = content.commitments.iter().map(Point::decompress).collect();
                let first = batch.insert(points?);
                absorb_content(&mut transcript, &self.context, &self.header.core, &content.boxes, &statement);
                let gamma = content.link.challenge_and_absorb(&mut transcript);
                content.link.check(ledger.sharing(), &content.shape, &gamma, batch, first)?;
                content.proof.verify(&mut transcript, &self.layout, first + 1, batch)?;
                gamma
            }
        };
        Ok((Equations { gamma }, transcript, statement))
    }

    /// Adds the equations of the credential.
    fn add_credential(
        &self,
        ledger: &Ledger,
        transcript: &mut Transcript,
        statement: &Statement,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        let round = ledger.rounds().get(&self.body.round).ok_or(Fault::Unknown("round"))?;
        let manifest = round.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        let leaves = match statement.holder {
            Holder::Open(_) => None,
            Holder::Ring(hidden) => manifest.snapshot.ring(hidden.cohort),
        };
        let group = match shown(round, manifest, self.body.class)? {
            Shown::Group(_, ring) => ring.get(),
            Shown::Nothing | Shown::Value(..) => None,
        };
        Ok(self.body.credential.verify(transcript, statement, Rings { leaves, group }, batch)?)
    }

    fn statement(&self, round: &RoundRecord, manifest: &Manifest) -> Result<Statement, Fault> {
        let credential = &self.body.credential;
        let claim = credential.group().copied();
        let (disclosed, group) = match (shown(round, manifest, self.body.class)?, claim) {
            (Shown::Nothing, None) => (Vec::new(), None),
            (Shown::Value(slot, value), None) => (vec![(slot, value)], None),
            (Shown::Group(scope, ring), Some(claim)) if claim.scope == scope => {
                let ring = ring.get().ok_or(Fault::Mismatch("the class"))?;
                if claim.ring != *ring.id() {
                    return Err(Fault::Mismatch("the ring of a group"));
                }
                (Vec::new(), Some(claim))
            }
            (Shown::Nothing | Shown::Value(..) | Shown::Group(..), _) => return Err(Fault::Mismatch("the class")),
        };
        Ok(Statement {
            scopes: vec![(manifest.scope, self.body.tag)],
            holder: holder(manifest, credential)?,
            disclosed,
            group,
            snapshot_root: manifest.root,
        })
    }

    /// Checks the masked vector and an operator's own seeds; returns the seeds.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if E or the seeds are not those committed to, or if their folds differ.
    pub fn check_private(
        &self,
        ledger: &Ledger,
        equations: &Equations,
        submission: &Submission,
        operator: u8,
        key: &SealSecret,
    ) -> Result<Vec<Seed>, Fault> {
        let Content::Ballot(_) = &self.body.content else {
            return if submission.masked.is_empty() && submission.boxes.is_empty() {
                Ok(Vec::new())
            } else {
                Err(Fault::Mismatch("a withdrawal's masks"))
            };
        };
        self.check_masked(equations, submission)?;
        let held = ledger.sharing().held_by(operator);
        let index = usize::from(operator).checked_sub(1).ok_or(Fault::Unknown("operator"))?;
        let sealed =
            submission.boxes.get(index).and_then(Option::as_ref).ok_or(Fault::Seeds("no box for this operator"))?;
        let context = box_context(&self.header.core, operator, &key.public());
        let plain = key.open(&context, &sealed.bytes).map_err(|_| Fault::Seeds("the box does not open"))?;
        let seeds = split_seeds(&plain, held.len()).ok_or(Fault::Seeds("the box holds another number of seeds"))?;
        for (subset, seed) in held.iter().zip(&seeds) {
            self.check_seed(ledger, equations, *subset, seed)?;
        }
        Ok(seeds)
    }

    /// Checks that E is the vector that was committed to.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if its length, digest or fold differs.
    pub fn check_masked(&self, equations: &Equations, submission: &Submission) -> Result<(), Fault> {
        let Content::Ballot(content) = &self.body.content else { return Ok(()) };
        if submission.masked.len() != content.commitments.len() * content.shape.packed() {
            return Err(Fault::Mismatch("the masked vector's length"));
        }
        if masked_digest(&submission.masked) != content.masked {
            return Err(Fault::Mismatch("the masked vector"));
        }
        if boxes_digest(&submission.boxes) != content.boxes {
            return Err(Fault::Mismatch("the boxes"));
        }
        Ok(content.link.check_masked(&content.shape, &equations.gamma, &submission.masked)?)
    }

    /// Checks one seed of T (by index) against its digest and its folds.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if it is not the seed committed to, or if `z_T` or `ζ_T` was not computed from it.
    pub fn check_seed(&self, ledger: &Ledger, equations: &Equations, subset: usize, seed: &Seed) -> Result<(), Fault> {
        let Content::Ballot(content) = &self.body.content else { return Ok(()) };
        let set = *ledger.sharing().subsets().get(subset).ok_or(Fault::Unknown("subset"))?;
        if content.seed_digests.get(subset) != Some(&seed_digest(&self.context, set, seed)) {
            return Err(Fault::Seeds("a seed is not the one committed to"));
        }
        let expansion = Expansion::new(seed, &self.context, set, &content.shape);
        Ok(content.link.check_seed(subset, &equations.gamma, &expansion)?)
    }

    /// Expands one seed of T (by index) that has been checked.
    pub fn expand(&self, ledger: &Ledger, subset: usize, seed: &Seed) -> Option<Expansion> {
        let Content::Ballot(content) = &self.body.content else { return None };
        let set = *ledger.sharing().subsets().get(subset)?;
        Some(Expansion::new(seed, &self.context, set, &content.shape))
    }

    /// Returns the commitments to the data rows; none for a withdrawal.
    pub fn data_commitments(&self) -> &[Point] {
        match &self.body.content {
            Content::Withdrawal => &[],
            Content::Ballot(content) => content.commitments.get(1..).unwrap_or_default(),
        }
    }

    /// Returns the layout of the ballot.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Splits an opened box into its seeds.
pub fn split_seeds(bytes: &[u8], count: usize) -> Option<Vec<Seed>> {
    if bytes.len() != 32 * count {
        return None;
    }
    bytes.chunks_exact(32).map(|chunk| chunk.try_into().ok().map(Seed::from_bytes)).collect()
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

/// Bodies whose equations are verified by one multi-scalar multiplication: enough that its buckets pay, and not so many
/// that a bad one among them costs much.
const VERIFY_TOGETHER: core::ops::RangeInclusive<usize> = 16..=128;

/// Verifies the equations of many bodies at once and, where that fails, each alone; on all cores.
///
/// `seed` must not have been known to the contributors: fresh randomness, or a hash of all bodies. Returns the
/// equations of those that hold and the fault of those that do not, in order.
pub fn verify_all(ledger: &Ledger, forms: &[&CheckedForm], seed: &[u8; 32]) -> Vec<Result<Equations, Fault>> {
    let share = forms.len().div_ceil(rayon::current_num_threads());
    let together = share.clamp(*VERIFY_TOGETHER.start(), *VERIFY_TOGETHER.end());
    let chunks: Vec<_> = forms.chunks(together).enumerate().collect();
    chunks
        .into_par_iter()
        .flat_map_iter(|(number, chunk)| {
            verify_chunk(ledger, chunk, &hash::digest(domain::BATCH, &(*seed, number as u64)))
        })
        .collect()
}

fn verify_chunk(ledger: &Ledger, forms: &[&CheckedForm], seed: &[u8; 32]) -> Vec<Result<Equations, Fault>> {
    // Each body has weights of its own: with shared ones, errors in two bodies could cancel.
    let seed_of = |index: usize| hash::digest(domain::BATCH, &(*seed, index as u64));
    let mut batch = Batch::new(seed);
    let mut verdicts = Vec::with_capacity(forms.len());
    for (index, form) in forms.iter().enumerate() {
        let mut alone = Batch::new(&seed_of(index));
        let verdict = form.add_equations(ledger, &mut alone);
        if verdict.is_ok() {
            batch.merge(alone);
        }
        verdicts.push(verdict);
    }
    if !batch.verify() {
        for (index, (form, verdict)) in forms.iter().zip(&mut verdicts).enumerate() {
            if verdict.is_ok() {
                *verdict = form.verify_parts(ledger, &seed_of(index));
            }
        }
    }
    verdicts
}
