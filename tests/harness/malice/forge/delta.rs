//! Somebody who contributes a delta by the letter, but for the bound on its norm, or for the seeds that some operators get.

use chorus_crypto::{
    codec::Encode as _,
    credential::{Credential, Holder, LeafSecret, ShownLeaf, Statement},
    delta::{self, Matrix, Proof, Witness},
    group::Generators,
    link::Link,
    mask::{Masking, masked_digest},
    msm::Timing,
};
use chorus_protocol::{
    contribution::{Body, Content, DeltaContent, Format, Submission, context},
    ledger::{Ledger, RoundRecord},
};
use rand_core::CryptoRng;

use super::{boxes, boxes_digest, core_digest, opening_transcript};

/// What is not as it should be.
#[derive(Clone, Copy, Debug)]
pub struct Forgery<'a> {
    /// The bound that the norm keeps, and its four squares fill.
    pub kept: u32,
    /// The bound that goes into the transcript.
    pub claimed: u32,
    /// The operators (1..=n) whose boxes hold other seeds than those that mask the delta.
    pub astray: &'a [u8],
}

impl Forgery<'_> {
    /// Nothing is forged, if this is the round's bound.
    pub const fn none(bound: u32) -> Self {
        Self { kept: bound, claimed: bound, astray: &[] }
    }
}

/// Contributes a delta, and shows whose it is.
///
/// # Panics
///
/// Panics if the round is no open one of deltas, the leaf is not in its snapshot, or the entries do not keep the bound.
pub fn contribute(
    (ledger, round): (&Ledger, &RoundRecord),
    leaf: &LeafSecret,
    entries: &[i32],
    forgery: Forgery<'_>,
    rng: &mut impl CryptoRng,
) -> Submission {
    let manifest = round.manifest.as_ref().expect("the round is open");
    let Ok(Format::Deltas(norm, shape)) = Format::of(round) else { panic!("a round of deltas") };
    let dimensions = *norm.dimensions();
    let [kept, claimed] =
        [forgery.kept, forgery.claimed].map(|bound| delta::Statement::new(dimensions, bound).expect("a bound"));
    let tag = leaf.tag(&manifest.scope);
    let context = context(ledger.community(), round.id, &tag, 0);
    let matrix = Matrix::new(&dimensions, entries).expect("as many entries");
    let witness = Witness::new(&kept, matrix, rng).expect("within the bound that it keeps");
    let masking = Masking::new(&ledger.charter().sharing(), &shape, &context, rng);
    let generators = Generators::new(shape.columns);
    let mut commitments = vec![masking.commit_mask_row(&generators)];
    commitments.extend(witness.commit(&generators, masking.data_blindings(), Timing::Variable));
    let masked = masking.mask(&witness);
    let (seed_digests, digest) = (masking.seed_digests(), masked_digest(&masked));
    let core = core_digest(&(context, (false, 0)), &shape, &commitments, &seed_digests, &digest);
    let boxes = boxes((ledger, round), &core, &masking, forgery.astray, rng);

    let index = manifest.snapshot.index(&leaf.leaf()).expect("a member");
    let statement = Statement {
        scopes: vec![(manifest.scope, tag)],
        holder: Holder::Open(ShownLeaf { index, leaf: leaf.leaf() }),
        disclosed: Vec::new(),
        group: None,
        snapshot_root: manifest.root,
    };
    let of_boxes = boxes_digest(&boxes);
    let mut transcript = opening_transcript(ledger, manifest, &(context, core), &of_boxes, &statement);
    let link = Link::prove(&mut transcript, &masking, &shape, &witness);
    let blindings = masking.data_blindings();
    let proof = Proof::prove(&mut transcript, &claimed, &witness, &generators, blindings, Timing::Variable, rng);
    let credential = Credential::prove_open(&mut transcript, &statement, leaf, rng);
    let content = DeltaContent { shape, commitments, seed_digests, masked: digest, boxes: of_boxes, link, proof };
    let content = Content::Delta(Box::new(content));
    let body = Body { round: round.id, tag, sequence: 0, on_map: false, class: 0, content, credential };
    Submission { body: body.to_bytes(), masked, boxes }
}
