//! The proofs of a contribution, made and verified: `cargo bench -p chorus-crypto`. `RAYON_NUM_THREADS=1` changes
//! nothing here: all of it runs on one core.

use std::sync::Arc;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    ballot::{self, Layout, Vote},
    batch::Batch,
    credential::{Credential, HiddenLeaf, Hiding, Holder, Leaf, LeafSecret, Ring, Rings, Statement},
    delta::{self, Dimensions, Matrix},
    domain,
    group::{Generators, Point},
    mask::{Committee, Expansion, Masking, Shape},
    msm::{ShortMultiplier, Timing},
    noise::Sampler,
    transcript::{Item, Transcript},
};
use divan::{Bencher, black_box};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

fn main() {
    divan::main();
}

const ITEMS: [u16; 3] = [50, 100, 200];
const BATCH: usize = 64;
const DELTA_BATCH: usize = 16;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn transcript(commitments: &[Point]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Statement, commitments);
    transcript
}

/// A ballot with its commitments.
struct Ballot {
    layout: Layout,
    witness: ballot::Witness,
    blindings: Vec<Scalar>,
    commitments: Vec<Point>,
}

impl Ballot {
    fn new(items: u16) -> Self {
        let (mut rng, layout) = (rng(), Layout::new(items, true).expect("few items"));
        let choices = [Vote::Unseen, Vote::Agree, Vote::Disagree, Vote::Pass];
        let votes: Vec<_> = (0..items).map(|_| choices[(rng.next_u32() % 4) as usize]).collect();
        let witness = ballot::Witness::new(&layout, &votes, &mut rng).expect("one vote an item");
        let blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(&mut rng)).collect();
        let commitments = witness.commit(&blindings);
        Self { layout, witness, blindings, commitments }
    }

    fn prove(&self, rng: &mut ChaCha20Rng) -> ballot::Proof {
        let mut transcript = transcript(&self.commitments);
        ballot::Proof::prove(&mut transcript, &self.layout, &self.witness, &self.blindings, rng)
    }
}

#[divan::bench(args = ITEMS)]
fn ballot_commit(bencher: Bencher<'_, '_>, items: u16) {
    let ballot = Ballot::new(items);
    bencher.bench_local(|| ballot.witness.commit(&ballot.blindings));
}

#[divan::bench(args = ITEMS)]
fn ballot_prove(bencher: Bencher<'_, '_>, items: u16) {
    let (ballot, mut rng) = (Ballot::new(items), rng());
    bencher.bench_local(|| ballot.prove(&mut rng));
}

/// Decompression included; the time is that of all in the batch.
#[divan::bench(args = ITEMS, sample_count = 20)]
fn ballot_verify_batch_of_64(bencher: Bencher<'_, '_>, items: u16) {
    let ballot = Ballot::new(items);
    let proof = ballot.prove(&mut rng());
    bencher.counter(BATCH).bench_local(|| {
        let mut batch = Batch::new(&[1; 32]);
        for _ in 0..BATCH {
            let first = batch.insert(ballot.commitments.iter().map(|point| point.decompress().expect("a point")));
            proof.verify(&mut transcript(&ballot.commitments), &ballot.layout, first, &mut batch).expect("lengths");
        }
        assert!(batch.verify(), "an honest ballot");
    });
}

/// A delta of 2^`exponent` entries with its commitments.
struct Delta {
    statement: delta::Statement,
    witness: delta::Witness,
    generators: Generators,
    blindings: Vec<Scalar>,
    commitments: Vec<Point>,
}

impl Delta {
    fn new(exponent: u32) -> Self {
        let mut rng = rng();
        let dimensions = Dimensions::near_square(1 << exponent).expect("a size that there is");
        let values: Vec<i32> =
            (0..dimensions.entries()).map(|_| (rng.next_u32() >> 17).cast_signed() - 16_384).collect();
        let matrix = Matrix::new(&dimensions, &values).expect("as many numbers");
        let bound = u32::try_from(matrix.squared_norm().isqrt() + 1).expect("below 2^32");
        let columns = u32::try_from(dimensions.columns()).expect("at most 2^14");
        let statement = delta::Statement::new(dimensions, bound).expect("a bound");
        let blindings: Vec<_> = (0..dimensions.rows()).map(|_| Scalar::random(&mut rng)).collect();
        let witness = delta::Witness::new(&statement, matrix, &mut rng).expect("within the bound");
        let generators = Generators::new(columns);
        let commitments = witness.commit(&generators, &blindings, Timing::Variable);
        Self { statement, witness, generators, blindings, commitments }
    }

    fn prove(&self, rng: &mut ChaCha20Rng) -> delta::Proof {
        let mut transcript = transcript(&self.commitments);
        let (generators, blindings) = (&self.generators, &self.blindings);
        delta::Proof::prove(
            &mut transcript,
            &self.statement,
            &self.witness,
            generators,
            blindings,
            Timing::Variable,
            rng,
        )
    }
}

#[divan::bench(args = [14, 17], sample_count = 10)]
fn delta_commit(bencher: Bencher<'_, '_>, exponent: u32) {
    let delta = Delta::new(exponent);
    bencher.bench_local(|| delta.witness.commit(&delta.generators, &delta.blindings, Timing::Variable));
}

#[divan::bench(args = [14, 17], sample_count = 10)]
fn delta_prove(bencher: Bencher<'_, '_>, exponent: u32) {
    let (delta, mut rng) = (Delta::new(exponent), rng());
    bencher.bench_local(|| delta.prove(&mut rng));
}

#[divan::bench(args = [14, 17], sample_count = 20)]
fn delta_verify(bencher: Bencher<'_, '_>, exponent: u32) {
    let delta = Delta::new(exponent);
    let proof = delta.prove(&mut rng());
    bencher.bench_local(|| {
        let mut batch = Batch::new(&[1; 32]);
        let first = batch.insert(delta.commitments.iter().map(|point| point.decompress().expect("a point")));
        proof.verify(&mut transcript(&delta.commitments), &delta.statement, first, &mut batch).expect("lengths");
        assert!(batch.verify(), "an honest delta");
    });
}

/// Decompression included, the link not; the time is that of all in the batch.
#[divan::bench(args = [14, 17, 20], sample_count = 10)]
fn delta_verify_batch_of_16(bencher: Bencher<'_, '_>, exponent: u32) {
    let delta = Delta::new(exponent);
    let proof = delta.prove(&mut rng());
    bencher.counter(DELTA_BATCH).bench_local(|| {
        let mut batch = Batch::new(&[1; 32]);
        for _ in 0..DELTA_BATCH {
            let first = batch.insert(delta.commitments.iter().map(|point| point.decompress().expect("a point")));
            proof.verify(&mut transcript(&delta.commitments), &delta.statement, first, &mut batch).expect("lengths");
        }
        assert!(batch.verify(), "an honest delta");
    });
}

/// One of a ring, with what makes a credential.
struct Member {
    ring: Arc<Ring>,
    secret: LeafSecret,
    hiding: Hiding,
    statement: Statement,
}

impl Member {
    fn new(members: usize) -> Self {
        let mut rng = rng();
        let secrets: Vec<LeafSecret> = (0..members).map(|_| LeafSecret::random([1, 2, 3, 4], &mut rng)).collect();
        let mut leaves: Vec<Leaf> = secrets.iter().map(LeafSecret::leaf).collect();
        leaves.sort_unstable();
        let secret = secrets.into_iter().next().expect("a ring is not empty");
        let hiding = Hiding::random(&mut rng);
        let statement = Statement {
            scopes: vec![([7; 32], secret.tag(&[7; 32]))],
            holder: Holder::Ring(HiddenLeaf { cohort: 0, leaf: hiding.leaf(&secret) }),
            disclosed: Vec::new(),
            group: None,
            snapshot_root: [8; 32],
        };
        Self { ring: Arc::new(Ring::of_leaves(&leaves).expect("a size of rings")), secret, hiding, statement }
    }

    fn begin(&self) -> Transcript {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        transcript.absorb(Item::Eligibility, &self.statement);
        transcript
    }

    fn rings(&self) -> Rings<'_> {
        Rings { leaves: Some(&self.ring), group: None }
    }

    fn prove(&self, rng: &mut ChaCha20Rng) -> Credential {
        Credential::prove_ring(&mut self.begin(), &self.statement, &self.secret, &self.hiding, self.rings(), rng)
    }
}

#[divan::bench(args = [256, 1_024, 4_096], sample_count = 10)]
fn credential_prove(bencher: Bencher<'_, '_>, members: usize) {
    let (member, mut rng) = (Member::new(members), rng());
    bencher.bench_local(|| member.prove(&mut rng));
}

/// The time is that of all in the batch.
#[divan::bench(args = [256, 1_024, 4_096], sample_count = 10)]
fn credential_verify_batch_of_64(bencher: Bencher<'_, '_>, members: usize) {
    let member = Member::new(members);
    let credential = member.prove(&mut rng());
    bencher.counter(BATCH).bench_local(|| {
        let mut batch = Batch::new(&[1; 32]);
        for index in 0..BATCH {
            let mut one = Batch::new(&[index as u8; 32]);
            credential.verify(&mut member.begin(), &member.statement, member.rings(), &mut one).expect("lengths");
            batch.merge(one);
        }
        assert!(batch.verify(), "an honest credential");
    });
}

/// Of a ballot of a hundred items among five operators.
#[divan::bench]
fn expand_a_mask(bencher: Bencher<'_, '_>) {
    let layout = Layout::new(100, true).expect("few items");
    let shape = Shape::ballot(u32::try_from(layout.data_rows()).expect("few rows"));
    let committee = Committee::new(5).expect("a size that is allowed");
    let masking = Masking::new(&committee, &shape, &[5; 32], &mut rng());
    let (seed, subset) = (&masking.seeds()[0], committee.subsets()[0]);
    bencher.bench_local(|| Expansion::new(black_box(seed), &[5; 32], subset, &shape));
}

/// 2^14 entries, at the variance of one person's share.
#[divan::bench(args = [32, 1_000, 1 << 30])]
fn add_noise(bencher: Bencher<'_, '_>, variance: u64) {
    let sampler = Sampler::new(variance).expect("a variance that there is");
    let (mut rng, entries) = (rng(), vec![0; 1 << 14]);
    bencher
        .counter(entries.len())
        .bench_local(|| sampler.perturb(black_box(&entries), i32::MAX as u32, &mut rng).expect("a wide bound"));
}

/// Scalars of 16 bits, by signed buckets.
#[divan::bench(args = [128, 1_024, 8_192])]
fn short_multiplication(bencher: Bencher<'_, '_>, points: usize) {
    let mut rng = rng();
    let values: Vec<i32> = (0..points).map(|_| (rng.next_u32() >> 17).cast_signed() - 16_384).collect();
    let points: Vec<_> = (0..points).map(|_| RistrettoPoint::mul_base(&Scalar::random(&mut rng))).collect();
    let mut msm = ShortMultiplier::new(&points, Timing::Variable);
    bencher.bench_local(|| msm.multiply(black_box(&values), 16));
}
