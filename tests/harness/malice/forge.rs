//! A second, independent contributor, who can be told to cheat: everything it makes is as consistent as a cheat can be.

use chorus_crypto::{
    Scalar,
    ballot::{Proof, Vote, Witness},
    codec::{Encode, put_seq},
    credential::{Credential, Holder, LeafSecret, ShownLeaf, Statement},
    domain,
    group::{Base, Generators, Point},
    hash::{self, Digest},
    link::Link,
    mask::{Masking, Shape, masked_digest},
    seal::seal,
    transcript::{Item, Transcript},
};
use chorus_protocol::{
    contribution::{BallotContent, Body, Content, SealedBox, Submission, context, layout},
    ledger::{Ledger, Manifest, RoundRecord},
};
use rand_core::CryptoRng;

/// Where a forger departs from the protocol.
#[derive(Clone, Debug)]
pub enum Cheat {
    /// Nowhere: the result must be acknowledged, or the other cheats are refused for the wrong reason.
    None,
    /// The blinding of one data row is not the sum of the PRG_ρ, and one ζ_T is adapted so that the sums agree.
    Blinding,
    /// The committed and masked ballot names another vote-count bucket than the one that is proved.
    Bucket,
    /// The seed digests are somebody else's.
    SeedDigests(Vec<Digest>),
}

/// Casts a ballot with a cheat in it.
///
/// # Panics
///
/// Panics if the round is not open, or the person no member.
pub fn forge(
    ledger: &Ledger,
    round: &RoundRecord,
    (leaf, sequence): (&LeafSecret, u8),
    votes: &[Vote],
    cheat: &Cheat,
    rng: &mut impl CryptoRng,
) -> Submission {
    let manifest = round.manifest.as_ref().expect("the round is open");
    let tag = leaf.tag(&manifest.scope);
    let index = manifest.snapshot.index(&leaf.leaf()).expect("a member");
    let statement = Statement {
        scopes: vec![(manifest.scope, tag)],
        holder: Holder::Open(ShownLeaf { index, leaf: leaf.leaf() }),
        disclosed: Vec::new(),
        group: None,
        snapshot_root: manifest.root,
    };
    let context = context(ledger.community(), round.id, &tag, sequence);
    let layout = layout(round).expect("a round has items");
    let shape = Shape::ballot(u32::try_from(layout.data_rows()).expect("few rows"));
    let masking = Masking::new(ledger.sharing(), &shape, &context, rng);
    let witness = Witness::new(&layout, votes, rng).expect("as many votes as items");
    let mut data: Vec<Vec<Scalar>> = witness.data().iter().map(|bit| vec![*bit]).collect();
    if matches!(cheat, Cheat::Bucket) {
        // The one bit set moves to the next bucket.
        data[layout.bucket_row(0)..=layout.bucket_row(7)].rotate_right(1);
    }
    let (mut commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
    let mut blindings = masking.data_blindings().to_vec();
    let excess = Scalar::from(5u8);
    if matches!(cheat, Cheat::Blinding) {
        let honest = commitments[1].decompress().expect("a commitment is a point");
        commitments[1] = Point::from(honest + Base::Blinding.point() * excess);
        blindings[0] += excess;
    }
    let seed_digests = match cheat {
        Cheat::SeedDigests(digests) => digests.clone(),
        Cheat::None | Cheat::Blinding | Cheat::Bucket => masking.seed_digests(),
    };
    let masked_digest = masked_digest(&masked);
    let core = core_digest(&(context, (true, 0)), &shape, &commitments, &seed_digests, &masked_digest);
    let boxes = boxes(ledger, round, &core, &masking, rng);
    let mut bytes = Vec::new();
    put_seq(&mut bytes, &boxes);
    let boxes_digest = hash::content(&bytes);

    let mut transcript = opening_transcript(ledger, manifest, &(context, core), &boxes_digest, &statement);
    let mut link = Link::prove(&mut transcript.clone(), &masking, &shape, &data);
    if matches!(cheat, Cheat::Blinding) {
        let gamma = transcript.clone().challenge(Item::LinkChallenge);
        link.blinding += gamma * excess;
        link.folds[0].blinding += gamma * excess;
    }
    link.challenge_and_absorb(&mut transcript);
    let proof = Proof::prove(&mut transcript, &layout, &witness, &blindings, rng);
    let credential = Credential::prove_open(&mut transcript, &statement, leaf, rng);
    let content =
        BallotContent { shape, commitments, seed_digests, masked: masked_digest, boxes: boxes_digest, link, proof };
    let content = Content::Ballot(Box::new(content));
    let body = Body { round: round.id, tag, sequence, on_map: true, class: 0, content, credential };
    Submission { body: body.to_bytes(), masked, boxes }
}

/// Returns the transcript of a contribution up to the challenge of its link.
pub fn opening_transcript(
    ledger: &Ledger,
    manifest: &Manifest,
    core: &(Digest, Digest),
    boxes: &Digest,
    statement: &Statement,
) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Manifest, &manifest.digest);
    transcript.absorb_seq(Item::Operators, &ledger.genesis().operators);
    transcript.absorb(Item::Core, core);
    transcript.absorb(Item::Boxes, boxes);
    transcript.absorb(Item::Eligibility, statement);
    transcript
}

/// Returns the digest of a core: context and consent, shape, commitments, seed digests, H(E).
pub fn core_digest(
    (context, choices): &(Digest, (bool, u16)),
    shape: &Shape,
    commitments: &[Point],
    seed_digests: &[Digest],
    masked: &Digest,
) -> Digest {
    let mut core = context.to_bytes();
    choices.encode(&mut core);
    shape.encode(&mut core);
    put_seq(&mut core, commitments);
    put_seq(&mut core, seed_digests);
    masked.encode(&mut core);
    hash::digest_bytes(domain::CORE, &core)
}

/// Returns what a box is bound to.
pub fn box_context(core: &Digest, operator: u8, key: &impl Encode) -> Vec<u8> {
    let mut bound = core.to_vec();
    operator.encode(&mut bound);
    key.encode(&mut bound);
    bound
}

fn boxes(
    ledger: &Ledger,
    round: &RoundRecord,
    core: &Digest,
    masking: &Masking,
    rng: &mut impl CryptoRng,
) -> Vec<Option<SealedBox>> {
    let keys = round.manifest.as_ref().map(|manifest| manifest.keys.clone()).unwrap_or_default();
    let mut boxes = Vec::with_capacity(keys.len());
    for (operator, key) in (1u8..).zip(keys) {
        let sealed = key.map(|key| {
            let held = ledger.sharing().held_by(operator);
            let seeds: Vec<u8> = held.iter().flat_map(|index| *masking.seeds()[*index].expose()).collect();
            let bytes = seal(&key, &box_context(core, operator, &key), &seeds, rng).expect("a usable key");
            SealedBox { bytes }
        });
        boxes.push(sealed);
    }
    boxes
}
