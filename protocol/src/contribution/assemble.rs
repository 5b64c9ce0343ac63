//! What a participant does: commit, mask, prove, and show the credential.

use std::sync::Arc;

use chorus_crypto::{
    Scalar,
    ballot::{self, Vote, Witness},
    codec::Encode as _,
    credential::{
        Credential, GroupClaim, HiddenLeaf, Hiding, Holder, LeafSecret, Ring, Rings, ShownLeaf, Statement, Tag,
    },
    delta,
    group::{Generators, Point},
    hash::Digest,
    link::Link,
    mask::{self, Data, Masking, Seed, masked_digest},
    msm::Timing,
    seal::seal,
    transcript::Transcript,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Body, Committed, Content, Format, SealedBox, Submission, WITHDRAWN, absorb_content, begin, box_context,
    boxes_digest, context, core_digest,
};
use crate::{
    adapter::manifest::AdapterManifest,
    charter::Charter,
    fault::Fault,
    id::RoundId,
    ledger::{Collects, Ledger, Manifest, RoundRecord},
    limits,
    log::entry::ClassSource,
};

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
    /// The round collects something else.
    #[error("the round collects {0}")]
    Kind(&'static str),
    /// A delta does not fit the series.
    #[error("{found} entries where the adapter has {expected}")]
    Entries {
        /// The entries of the adapter.
        expected: usize,
        /// The entries found.
        found: usize,
    },
    /// A delta is too large.
    #[error("the delta's norm is over the bound of {bound} units: scale it down")]
    Norm {
        /// The bound.
        bound: u32,
    },
    /// The participant has changed their mind too often.
    #[error("at most {} changes are admitted in a round", limits::MAX_SEQUENCE)]
    Sequence,
    /// Something could not be computed from what the log holds.
    #[error("{0}")]
    Internal(&'static str),
}

/// How a contribution shows that a member made it. The tag is the same in both, so nobody speaks twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
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
        let mut draws = Draws::new(rng);
        let prepared = self.prepare_classified(ledger, round, &mut draws.proofs)?;
        let format = Format::of(round).map_err(not_of_the_round)?;
        let Format::Ballots(layout) = format else { return Err(ContributeError::Kind("deltas")) };
        let expected = round.plan.items().len();
        if votes.len() != expected {
            return Err(ContributeError::Votes { expected, found: votes.len() });
        }
        let shape = format.shape();
        let masking = Masking::new(&round.charter.sharing(), &shape, &prepared.context, &mut draws.masks);
        let witness = Witness::new(&layout, votes, &mut draws.dither)
            .map_err(|_| ContributeError::Internal("votes do not encode"))?;
        let data: Zeroizing<Vec<Vec<Scalar>>> = Zeroizing::new(witness.data().iter().map(|bit| vec![*bit]).collect());
        let (commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
        let committed = Matrix { masking: &masking, data: &*data, commitments, masked };
        let (content, credential, parts) = self.bind(&prepared, committed, &mut draws, |transcript, rng| {
            ballot::Proof::prove(transcript, &layout, &witness, masking.data_blindings(), rng)
        })?;
        let body = self.body(&prepared, round.id, Content::Ballot(Box::new(content)), credential);
        Ok(parts.submission(&body))
    }

    /// Contributes a delta: `entries` in units of the series' fixed point, in the order of its manifest.
    ///
    /// Every call draws fresh seeds; to send a contribution again, send the same bytes. The time it takes depends on the
    /// entries ([`Timing::Variable`]).
    ///
    /// # Errors
    ///
    /// Returns why the round does not admit it.
    pub fn contribute(
        &self,
        ledger: &Ledger,
        round: &RoundRecord,
        entries: &[i32],
        rng: &mut impl CryptoRng,
    ) -> Result<Submission, ContributeError> {
        let mut draws = Draws::new(rng);
        let prepared = self.prepare_classified(ledger, round, &mut draws.proofs)?;
        let (Collects::Deltas(manifest), Format::Deltas(norm, shape)) =
            (&round.collects, Format::of(round).map_err(not_of_the_round)?)
        else {
            return Err(ContributeError::Kind("ballots"));
        };
        let (expected, found) = (manifest.entries(), entries.len());
        if expected != found {
            return Err(ContributeError::Entries { expected, found });
        }
        let entries = noisy(manifest, &norm, entries, &mut draws.dither)?;
        let matrix = delta::Matrix::new(norm.dimensions(), &entries)
            .map_err(|_| ContributeError::Internal("the entries do not fill the matrix"))?;
        let witness = delta::Witness::new(&norm, matrix, &mut draws.proofs)
            .map_err(|_| ContributeError::Norm { bound: norm.bound() })?;
        let masking = Masking::new(&round.charter.sharing(), &shape, &prepared.context, &mut draws.masks);
        let generators = Generators::new(shape.columns);
        let mut commitments = vec![masking.commit_mask_row(&generators)];
        commitments.extend(witness.commit(&generators, masking.data_blindings(), Timing::Variable));
        let masked = masking.mask(&witness);
        let committed = Matrix { masking: &masking, data: &witness, commitments, masked };
        let (content, credential, parts) = self.bind(&prepared, committed, &mut draws, |transcript, rng| {
            let blindings = masking.data_blindings();
            delta::Proof::prove(transcript, &norm, &witness, &generators, blindings, Timing::Variable, rng)
        })?;
        let body = self.body(&prepared, round.id, Content::Delta(Box::new(content)), credential);
        Ok(parts.submission(&body))
    }

    /// Seals the seeds, links the masked matrix to the committed one, proves, and shows the credential.
    fn bind<P>(
        &self,
        prepared: &Prepared<'_>,
        matrix: Matrix<'_, impl Data + ?Sized>,
        draws: &mut Draws,
        prove: impl FnOnce(&mut Transcript, &mut ChaCha20Rng) -> P,
    ) -> Result<(Committed<P>, Credential, Parts), ContributeError> {
        let Matrix { masking, data, commitments, masked } = matrix;
        let (shape, context) = (*masking.shape(), &prepared.context);
        let (seed_digests, masked_digest) = (masking.seed_digests(), masked_digest(&masked));
        let choices = (prepared.on_map, prepared.class);
        let core = core_digest(context, choices, &shape, &commitments, &seed_digests, &masked_digest);
        let boxes =
            seal_seeds(prepared.charter.sharing(), prepared.manifest, &core, masking.seeds(), &mut draws.boxes)?;
        let boxes_digest = boxes_digest(&boxes);

        let mut transcript = begin(prepared.manifest, &prepared.charter.operators);
        absorb_content(&mut transcript, context, &core, &boxes_digest, &prepared.statement);
        let link = Link::prove(&mut transcript, masking, &shape, data);
        let proof = prove(&mut transcript, &mut draws.proofs);
        let credential = self.prove(&mut transcript, prepared, &mut draws.proofs)?;

        let content =
            Committed { shape, commitments, seed_digests, masked: masked_digest, boxes: boxes_digest, link, proof };
        Ok((content, credential, Parts { masked, boxes }))
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
        let mut transcript = begin(prepared.manifest, &prepared.charter.operators);
        absorb_content(&mut transcript, &prepared.context, &WITHDRAWN, &WITHDRAWN, &prepared.statement);
        let credential = self.prove(&mut transcript, &prepared, rng)?;
        let body = self.body(&prepared, round.id, Content::Withdrawal, credential);
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
        Ok(Prepared {
            manifest,
            charter: &round.charter,
            statement,
            context,
            hiding,
            tag,
            on_map: false,
            class: 0,
            group: None,
        })
    }

    /// As [`prepare`](Self::prepare), for a contribution that is no withdrawal.
    fn prepare_classified<'r>(
        &self,
        ledger: &Ledger,
        round: &'r RoundRecord,
        rng: &mut impl CryptoRng,
    ) -> Result<Prepared<'r>, ContributeError> {
        let mut prepared = self.prepare(ledger, round, rng)?;
        prepared.on_map = self.on_map && round.has_map();
        self.classify(round, &mut prepared);
        Ok(prepared)
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

    fn body(&self, prepared: &Prepared<'_>, round: RoundId, content: Content, credential: Credential) -> Body {
        let (tag, on_map, class) = (prepared.tag, prepared.on_map, prepared.class);
        Body { round, tag, sequence: self.sequence, on_map, class, content, credential }
    }
}

/// What a person can say of themselves in a round.
struct Prepared<'r> {
    manifest: &'r Manifest,
    charter: &'r Charter,
    statement: Statement,
    context: Digest,
    hiding: Hiding,
    tag: Tag,
    on_map: bool,
    class: u16,
    group: Option<Arc<Ring>>,
}

/// Generators of random numbers for each purpose, so that masks and dither do not depend on which operators have keys.
struct Draws {
    masks: ChaCha20Rng,
    dither: ChaCha20Rng,
    boxes: ChaCha20Rng,
    proofs: ChaCha20Rng,
}

impl Draws {
    fn new(rng: &mut impl CryptoRng) -> Self {
        let mut fork = || ChaCha20Rng::from_rng(rng);
        Self { masks: fork(), dither: fork(), boxes: fork(), proofs: fork() }
    }
}

/// A matrix that is committed to and masked.
struct Matrix<'a, D: ?Sized> {
    masking: &'a Masking,
    data: &'a D,
    commitments: Vec<Point>,
    masked: Vec<Scalar>,
}

/// What goes to the operators besides the body.
struct Parts {
    masked: Vec<Scalar>,
    boxes: Vec<Option<SealedBox>>,
}

impl Parts {
    fn submission(self, body: &Body) -> Submission {
        Submission { body: body.to_bytes(), masked: self.masked, boxes: self.boxes }
    }
}

/// Returns the entries with the series' noise, if it has some.
fn noisy(
    manifest: &AdapterManifest,
    norm: &delta::Statement,
    entries: &[i32],
    rng: &mut ChaCha20Rng,
) -> Result<Zeroizing<Vec<i32>>, ContributeError> {
    let Some(noise) = manifest.noise else { return Ok(Zeroizing::new(entries.to_vec())) };
    let squares: u128 = entries.iter().map(|entry| u128::from(entry.unsigned_abs()).pow(2)).sum();
    if squares > u128::from(noise.clip).pow(2) {
        return Err(ContributeError::Norm { bound: noise.clip });
    }
    let sampler = noise.sampler().map_err(not_of_the_round)?;
    let noisy = sampler.perturb(entries, norm.bound(), rng);
    noisy.map_err(|_| ContributeError::Internal("the bound leaves no room for the noise"))
}

pub(super) fn not_of_the_round(_: Fault) -> ContributeError {
    ContributeError::Internal("the round's plan makes no contribution")
}

pub(super) fn seal_seeds(
    sharing: mask::Committee,
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
        let held = sharing.held_by(operator);
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
