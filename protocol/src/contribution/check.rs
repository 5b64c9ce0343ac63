//! What everybody does with a contribution: decode it, check its equations, and, as an operator, its seeds.

use std::sync::Arc;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::{Batch, Equation},
    codec::Decode as _,
    credential::{CredentialError, Holder, Rings, Statement},
    domain,
    group::Point,
    hash::{self, Digest},
    mask::{Committee, Expansion, Mask, Seed, masked_digest, seed_digest},
    seal::SealSecret,
    transcript::Transcript,
};
use rayon::prelude::*;

use super::{
    Body, Content, Format, Shown, Submission, WITHDRAWN, absorb_content, begin, box_context, boxes_digest, context,
    holder, shown,
};
use crate::{
    fault::Fault,
    id::BlobId,
    ledger::{Ledger, Manifest, RoundRecord},
    limits,
    log::entry::ContributionHeader,
};

/// A body that decodes and fits its round; its equations are not checked yet.
#[derive(Clone, Debug)]
pub struct CheckedForm {
    /// The body.
    pub body: Body,
    /// What the log keeps of it.
    pub header: ContributionHeader,
    context: Digest,
    format: Format,
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
        let format = Format::of(round)?;
        shown(round, manifest, body.class)?;
        if body.on_map && !round.has_map() {
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
            Content::Ballot(_) | Content::Delta(_) => {
                let bound = body.content.bound().filter(|_| format.admits(&body.content));
                let bound = bound.ok_or(Fault::Mismatch("what is contributed"))?;
                if *bound.shape != format.shape() || bound.commitments.len() != bound.shape.rows() + 1 {
                    return Err(Fault::Mismatch("the contribution's shape"));
                }
                if bound.seed_digests.len() != round.charter.sharing().subset_count() {
                    return Err(Fault::Mismatch("the number of seeds"));
                }
                (bound.core(&context, (body.on_map, body.class)), bound.seed_digests.to_vec())
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
        Ok(Self { body, header, context, format })
    }

    /// Adds the equations of link, ballot proof and credential to `batch`, and checks what is not an equation
    /// between points.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] for what fails at once; the rest fails when the batch is verified.
    pub fn add_equations(&self, ledger: &Ledger, batch: &mut Batch) -> Result<Equations, Fault> {
        self.add_decoded(ledger, self.decode()?, batch)
    }

    /// As [`add_equations`](Self::add_equations), with the [decoded](Self::decode) commitments.
    fn add_decoded(&self, ledger: &Ledger, points: Vec<RistrettoPoint>, batch: &mut Batch) -> Result<Equations, Fault> {
        let (equations, mut transcript, statement) = self.add_content(ledger, points, batch)?;
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
        let (equations, mut transcript, statement) = self.add_content(ledger, self.decode()?, &mut content)?;
        if !content.verify() {
            return Err(Fault::Proof);
        }
        let mut credential = Batch::new(&hash::digest(domain::BATCH, &(*seed, 1u64)));
        self.add_credential(ledger, &mut transcript, &statement, &mut credential)?;
        if credential.verify() { Ok(equations) } else { Err(CredentialError::Proof.into()) }
    }

    /// Returns the first equation, in the order in which they are added, that does not hold; none if all do, or if what
    /// is not an equation fails.
    pub fn false_equation(&self, ledger: &Ledger) -> Option<Equation> {
        for number in 0.. {
            let mut batch = Batch::only(number);
            self.add_equations(ledger, &mut batch).ok()?;
            let name = batch.chosen()?;
            if !batch.verify() {
                return Some(name);
            }
        }
        None
    }

    /// Returns the commitments as group elements, that of the link's mask row first; none for a withdrawal.
    ///
    /// # Errors
    ///
    /// Returns [`Fault::Point`] if one of them is none.
    pub fn decode(&self) -> Result<Vec<RistrettoPoint>, Fault> {
        let commitments = self.body.content.bound().map_or(&[][..], |bound| bound.commitments);
        Ok(commitments.iter().map(Point::decompress).collect::<Result<_, _>>()?)
    }

    /// Adds the equations of link and proof; returns the transcript that the credential signs.
    fn add_content(
        &self,
        ledger: &Ledger,
        points: Vec<RistrettoPoint>,
        batch: &mut Batch,
    ) -> Result<(Equations, Transcript, Statement), Fault> {
        let round = ledger.rounds().get(&self.body.round).ok_or(Fault::Unknown("round"))?;
        let manifest = round.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        let statement = self.statement(round, manifest)?;
        let mut transcript = begin(manifest, &round.charter.operators);
        let Some(bound) = self.body.content.bound() else {
            absorb_content(&mut transcript, &self.context, &WITHDRAWN, &WITHDRAWN, &statement);
            return Ok((Equations { gamma: Scalar::ZERO }, transcript, statement));
        };
        let first = batch.insert(points);
        absorb_content(&mut transcript, &self.context, &self.header.core, bound.boxes, &statement);
        let gamma = bound.link.challenge_and_absorb(&mut transcript);
        bound.link.check(&round.charter.sharing(), bound.shape, &gamma, batch, first)?;
        match (&self.body.content, &self.format) {
            (Content::Ballot(content), Format::Ballots(layout)) => {
                content.proof.verify(&mut transcript, layout, first + 1, batch)?;
            }
            (Content::Delta(content), Format::Deltas(norm, _)) => {
                content.proof.verify(&mut transcript, norm, first + 1, batch)?;
            }
            (Content::Withdrawal | Content::Ballot(_) | Content::Delta(_), Format::Ballots(_) | Format::Deltas(..)) => {
                return Err(Fault::Mismatch("what is contributed"));
            }
        }
        Ok((Equations { gamma }, transcript, statement))
    }

    /// Returns the equations as they are once everything else holds.
    pub(super) fn presumed(&self, ledger: &Ledger) -> Result<Equations, Fault> {
        let Some(bound) = self.body.content.bound() else { return Ok(Equations { gamma: Scalar::ZERO }) };
        let round = ledger.rounds().get(&self.body.round).ok_or(Fault::Unknown("round"))?;
        let manifest = round.manifest.as_ref().ok_or(Fault::Phase("a contribution"))?;
        let mut transcript = begin(manifest, &round.charter.operators);
        let statement = self.statement(round, manifest)?;
        absorb_content(&mut transcript, &self.context, &self.header.core, bound.boxes, &statement);
        Ok(Equations { gamma: bound.link.challenge_and_absorb(&mut transcript) })
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
        if self.body.content == Content::Withdrawal {
            return if submission.masked.is_empty() && submission.boxes.is_empty() {
                Ok(Vec::new())
            } else {
                Err(Fault::Mismatch("a withdrawal's masks"))
            };
        }
        self.check_masked(equations, submission)?;
        let held = self.sharing(ledger)?.held_by(operator);
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

    /// How the masks of the round are shared.
    fn sharing(&self, ledger: &Ledger) -> Result<Committee, Fault> {
        let round = ledger.rounds().get(&self.body.round).ok_or(Fault::Unknown("round"))?;
        Ok(round.charter.sharing())
    }

    /// Checks that the private part is as long as the public one says, which costs nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if the masked vector has another length or there are more boxes than operators.
    pub fn check_lengths(&self, submission: &Submission) -> Result<(), Fault> {
        let rows = self.body.content.bound().map_or(0, |content| content.commitments.len() * content.shape.packed());
        if submission.masked.len() != rows {
            return Err(Fault::Mismatch("the masked vector's length"));
        }
        crate::fault::bound("sealed boxes", limits::MAX_OPERATORS, submission.boxes.len())
    }

    /// Checks that E is the vector that was committed to.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if its length, digest or fold differs.
    pub fn check_masked(&self, equations: &Equations, submission: &Submission) -> Result<(), Fault> {
        let Some(content) = self.body.content.bound() else { return Ok(()) };
        if submission.masked.len() != content.commitments.len() * content.shape.packed() {
            return Err(Fault::Mismatch("the masked vector's length"));
        }
        if masked_digest(&submission.masked) != *content.masked {
            return Err(Fault::Mismatch("the masked vector"));
        }
        if boxes_digest(&submission.boxes) != *content.boxes {
            return Err(Fault::Mismatch("the boxes"));
        }
        Ok(content.link.check_masked(content.shape, &equations.gamma, &submission.masked)?)
    }

    /// Checks one seed of T (by index) against its digest and its folds.
    ///
    /// # Errors
    ///
    /// Returns a [`Fault`] if it is not the seed committed to, or if `z_T` or `ζ_T` was not computed from it.
    pub fn check_seed(&self, ledger: &Ledger, equations: &Equations, subset: usize, seed: &Seed) -> Result<(), Fault> {
        let Some(content) = self.body.content.bound() else { return Ok(()) };
        let set = *self.sharing(ledger)?.subsets().get(subset).ok_or(Fault::Unknown("subset"))?;
        if content.seed_digests.get(subset) != Some(&seed_digest(&self.context, set, seed)) {
            return Err(Fault::Seeds("a seed is not the one committed to"));
        }
        let fold = Mask::new(seed, &self.context, set, content.shape).fold(&equations.gamma);
        Ok(content.link.check_fold(subset, &fold)?)
    }

    /// Expands one seed of T (by index) that has been checked.
    pub fn expand(&self, ledger: &Ledger, subset: usize, seed: &Seed) -> Option<Expansion> {
        let content = self.body.content.bound()?;
        let set = *self.sharing(ledger).ok()?.subsets().get(subset)?;
        Some(Expansion::new(seed, &self.context, set, content.shape))
    }

    /// Returns the commitments to the data rows; none for a withdrawal.
    pub fn data_commitments(&self) -> &[Point] {
        self.body.content.bound().and_then(|content| content.commitments.get(1..)).unwrap_or_default()
    }

    /// Returns what contributions of its round look like.
    pub const fn format(&self) -> &Format {
        &self.format
    }
}

/// Splits an opened box into its seeds.
pub fn split_seeds(bytes: &[u8], count: usize) -> Option<Vec<Seed>> {
    if bytes.len() != 32 * count {
        return None;
    }
    bytes.chunks_exact(32).map(|chunk| chunk.try_into().ok().map(Seed::from_bytes)).collect()
}

/// Bodies whose equations wait to be verified, with all that this takes: it may be done on any thread.
#[derive(Clone, Debug)]
pub struct Verification {
    pub(super) ledger: Ledger,
    pub(super) forms: Vec<Arc<CheckedForm>>,
    pub(super) seed: [u8; 32],
}

impl Verification {
    /// Puts bodies together. `seed` is as for [`verify_all`], and names this verification among all others.
    pub const fn new(ledger: Ledger, forms: Vec<Arc<CheckedForm>>, seed: [u8; 32]) -> Self {
        Self { ledger, forms, seed }
    }

    /// Returns what it verifies.
    pub fn bodies(&self) -> impl ExactSizeIterator<Item = BlobId> {
        self.forms.iter().map(|form| form.header.body)
    }

    /// Verifies, on all cores of the pool that it is called in.
    pub fn run(&self) -> Verdicts {
        let forms: Vec<&CheckedForm> = self.forms.iter().map(AsRef::as_ref).collect();
        Verdicts { seed: self.seed, verdicts: verify_all(&self.ledger, &forms, &self.seed) }
    }
}

/// Verifications of the same bodies with the same weights are the same.
impl PartialEq for Verification {
    fn eq(&self, other: &Self) -> bool {
        self.seed == other.seed && self.bodies().eq(other.bodies())
    }
}

impl Eq for Verification {}

/// What a [`Verification`] found.
#[derive(Clone, Debug)]
pub struct Verdicts {
    pub(super) seed: [u8; 32],
    pub(super) verdicts: Vec<Result<Equations, Fault>>,
}

impl Verdicts {
    /// Returns the verdict of each body, in order, if this is what that verification found.
    pub(crate) fn of(self, seed: &[u8; 32]) -> Option<Vec<Result<Equations, Fault>>> {
        (self.seed == *seed).then_some(self.verdicts)
    }
}

/// Bodies whose equations are verified by one multi-scalar multiplication: enough that its buckets pay, and not so many
/// that a bad one among them costs much.
const VERIFY_TOGETHER: core::ops::RangeInclusive<usize> = 16..=128;

/// Verifies the equations of many bodies at once and, where that fails, each alone; on all cores.
///
/// `seed` must not have been known to the contributors: fresh randomness, or a hash of all bodies. Returns the
/// equations of those that hold and the fault of those that do not, in order.
pub fn verify_all(ledger: &Ledger, forms: &[&CheckedForm], seed: &[u8; 32]) -> Vec<Result<Equations, Fault>> {
    verify_keeping(ledger, forms, seed, |equations, _| equations)
}

/// As [`verify_all`], and returns the [decoded](CheckedForm::decode) commitments of those that hold.
pub fn verify_decoded(
    ledger: &Ledger,
    forms: &[&CheckedForm],
    seed: &[u8; 32],
) -> Vec<Result<Vec<RistrettoPoint>, Fault>> {
    verify_keeping(ledger, forms, seed, |_, points| points.to_vec())
}

/// Verifies, and keeps of each body what `keep` makes of it, its equations and its commitments.
fn verify_keeping<T: Send>(
    ledger: &Ledger,
    forms: &[&CheckedForm],
    seed: &[u8; 32],
    keep: impl Fn(Equations, &[RistrettoPoint]) -> T + Sync,
) -> Vec<Result<T, Fault>> {
    let share = forms.len().div_ceil(rayon::current_num_threads());
    let together = share.clamp(*VERIFY_TOGETHER.start(), *VERIFY_TOGETHER.end());
    let chunks: Vec<_> = forms.chunks(together).enumerate().collect();
    chunks
        .into_par_iter()
        .flat_map_iter(|(number, chunk)| {
            verify_chunk(ledger, chunk, &hash::digest(domain::BATCH, &(*seed, number as u64)), &keep)
        })
        .collect()
}

fn verify_chunk<T>(
    ledger: &Ledger,
    forms: &[&CheckedForm],
    seed: &[u8; 32],
    keep: &impl Fn(Equations, &[RistrettoPoint]) -> T,
) -> Vec<Result<T, Fault>> {
    // Each body has weights of its own: with shared ones, errors in two bodies could cancel.
    let seed_of = |index: usize| hash::digest(domain::BATCH, &(*seed, index as u64));
    let mut batch = Batch::new(seed);
    let mut verdicts = Vec::with_capacity(forms.len());
    for (index, form) in forms.iter().enumerate() {
        let mut alone = Batch::new(&seed_of(index));
        let verdict = form.decode().and_then(|points| {
            let equations = form.add_decoded(ledger, points.clone(), &mut alone)?;
            Ok(keep(equations, &points))
        });
        if verdict.is_ok() {
            batch.merge(alone);
        }
        verdicts.push(verdict);
    }
    if !batch.verify() {
        for (index, (form, verdict)) in forms.iter().zip(&mut verdicts).enumerate() {
            if verdict.is_ok()
                && let Err(fault) = form.verify_parts(ledger, &seed_of(index))
            {
                *verdict = Err(fault);
            }
        }
    }
    verdicts
}
