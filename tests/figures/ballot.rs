//! Figures of the ballot proof alone: link, credential and seeds of a contribution are not in them.
//!
//! Times are the least of several runs on one core.

use std::time::Instant;

use chorus_crypto::{
    Scalar,
    ballot::{Layout, Proof, Vote, Witness, oracle::agreement},
    batch::Batch,
    codec::Encode as _,
    domain,
    group::Point,
    transcript::{Item, Transcript},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::figure::Figure;

/// Ballots in one batch.
const BATCH: usize = 64;
/// Repetitions of each measurement.
const RUNS: usize = 5;

/// Measures the ballot proof, and compares it with the oracle on `cases` witnesses.
pub(crate) fn figures(cases: u32) -> Vec<Figure> {
    let mut figures: Vec<_> = [50, 100, 200].into_iter().flat_map(of_size).collect();
    let found = agreement(&mut ChaCha20Rng::seed_from_u64(1), cases);
    figures.push(Figure {
        name: format!("proof and oracle disagree, of {} witnesses ({} valid)", found.cases, found.valid),
        value: f64::from(found.disagreements) / f64::from(found.cases.max(1)),
        unit: "ratio",
        bound: Some("= 0".into()),
        holds: Some(found.disagreements == 0),
    });
    figures
}

fn of_size(items: u16) -> Vec<Figure> {
    let layout = Layout::new(items, true).expect("in range");
    let ballots: Vec<_> = (0..BATCH as u64).map(|seed| Ballot::new(layout, seed)).collect();
    let first = ballots.first().expect("a batch is not empty");
    let commit = least(|| drop(first.witness.commit(&first.blindings)));
    let prove = least(|| drop(first.prove(&mut ChaCha20Rng::seed_from_u64(1))));
    let verify = least(|| {
        let mut batch = Batch::new(&[1; 32]);
        ballots.iter().for_each(|ballot| ballot.add_to(&mut batch));
        assert!(batch.verify(), "honest ballots verify");
    }) / BATCH as f64;
    [
        ("commit", commit, "s"),
        ("prove", prove, "s"),
        ("verify, each of 64, decompression included", verify, "s"),
        ("commitments", (32 * first.commitments.len()) as f64, "B"),
        ("proof", first.proof.to_bytes().len() as f64, "B"),
    ]
    .into_iter()
    .map(|(name, value, unit)| Figure::new(format!("{items} items, ballot proof alone: {name}"), value, unit))
    .collect()
}

struct Ballot {
    layout: Layout,
    witness: Witness,
    blindings: Vec<Scalar>,
    commitments: Vec<Point>,
    proof: Proof,
}

impl Ballot {
    fn new(layout: Layout, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let choices = [Vote::Unseen, Vote::Agree, Vote::Disagree, Vote::Pass];
        let votes: Vec<_> = (0..layout.items()).map(|_| choices[(rng.next_u32() % 4) as usize]).collect();
        let witness = Witness::new(&layout, &votes, &mut rng).expect("one vote per item");
        let blindings: Vec<_> = (0..layout.data_rows()).map(|_| Scalar::random(&mut rng)).collect();
        let commitments = witness.commit(&blindings);
        let proof = prove(&layout, &witness, &blindings, &commitments, &mut rng);
        Self { layout, witness, blindings, commitments, proof }
    }

    fn prove(&self, rng: &mut ChaCha20Rng) -> Proof {
        prove(&self.layout, &self.witness, &self.blindings, &self.commitments, rng)
    }

    fn add_to(&self, batch: &mut Batch) {
        let first = batch.insert(self.commitments.iter().map(|point| point.decompress().expect("honest")));
        let mut transcript = transcript(&self.commitments);
        self.proof.verify(&mut transcript, &self.layout, first, batch).expect("well-formed");
    }
}

fn prove(
    layout: &Layout,
    witness: &Witness,
    blindings: &[Scalar],
    commitments: &[Point],
    rng: &mut ChaCha20Rng,
) -> Proof {
    Proof::prove(&mut transcript(commitments), layout, witness, blindings, rng)
}

fn transcript(commitments: &[Point]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Statement, commitments);
    transcript
}

/// Returns the least time of several runs, in seconds.
fn least(mut action: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        action();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}
