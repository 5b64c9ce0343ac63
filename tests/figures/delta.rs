//! Figures of deltas as contributions: commitments, masks, link, proof, and what operators and verifiers do with them.
//!
//! One core: nothing here starts a thread. Times are the least of several runs (of one to make 2^23 entries), with five
//! operators, lanes of 31 bits and entries of 16 bits, sign included. Credential and sealing are those of every contribution: `figures ballot`.

use std::time::Instant;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::Batch,
    codec::Encode as _,
    delta::{Dimensions, Matrix, Proof, Statement, Witness},
    domain,
    group::{Generators, Point},
    link::Link,
    mask::{self, CommitmentSum, Committee, Mask, MaskSum, MaskedSum, Masking, Shape, Unmasking, masked_digest},
    msm::Timing,
    transcript::{Item, Transcript},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{
    figure::Figure,
    table::{Printed, Table},
};

const OPERATORS: u8 = 5;
const CONTEXT: [u8; 32] = [5; 32];
/// Contributions in a batch.
const BATCH: usize = 16;
/// Contributions in a sum.
const CONTRIBUTORS: u32 = 1_000;
/// Repetitions of each measurement.
const RUNS: usize = 3;

/// Measures deltas of 2^14 to 2^23 entries, smallest first: the most memory ever held is that of the last.
pub(crate) fn figures() -> Vec<Printed> {
    let columns = [
        "entries",
        "R × C",
        "commit",
        "mask and link",
        "prove",
        "all told",
        "commitments and proof",
        "fold",
        "upload",
        "verify",
        "each in a batch",
        "operator",
        "own seeds alone",
        "sum of 1,000",
        "memory",
    ];
    let mut table = Table::new("A delta among 5 operators, on one core: seconds and bytes", &columns);
    let mut figures = Vec::new();
    for exponent in [14, 17, 20, 23] {
        let measured = Measured::new(exponent, CONTRIBUTORS);
        table.row(measured.row());
        figures.extend(measured.bounded());
    }
    core::iter::once(table.into()).chain(figures.into_iter().map(Printed::from)).collect()
}

/// One contribution, from both sides.
struct Delta {
    statement: Statement,
    shape: Shape,
    committee: Committee,
    generators: Generators,
    masking: Masking,
    commitments: Vec<Point>,
    masked: Vec<Scalar>,
    /// H(E), which the core of a contribution says: computing it again is the operators' work.
    digest: [u8; 32],
    link: Link,
    proof: Proof,
}

/// What one size costs: seconds and bytes.
pub(crate) struct Measured {
    exponent: u32,
    sides: String,
    pub(crate) commit: f64,
    pub(crate) mask: f64,
    pub(crate) prove: f64,
    proof_bytes: usize,
    fold_bytes: usize,
    pub(crate) upload_bytes: usize,
    pub(crate) verify: f64,
    pub(crate) batched: f64,
    pub(crate) operator: f64,
    /// Of that, the masks of its own seeds.
    pub(crate) masks: f64,
    pub(crate) sum: f64,
    decompress: f64,
    memory: f64,
}

impl Measured {
    /// Measures a delta of 2^`exponent` entries, and the sum of so many.
    pub(crate) fn new(exponent: u32, contributors: u32) -> Self {
        let runs = if exponent > 20 { 1 } else { RUNS };
        let earlier: Vec<_> = (1..runs).map(|_| Delta::made(exponent).1).collect();
        let (delta, last) = Delta::made(exponent);
        let [commit, mask, prove] =
            earlier.into_iter().fold(last, |least, run| core::array::from_fn(|part| least[part].min(run[part])));
        let dimensions = delta.statement.dimensions();
        let proof_bytes = 32 * delta.commitments.len() + delta.proof.to_bytes().len();
        let fold_bytes = delta.link.to_bytes().len();
        let (sum, decompress) = (0..RUNS)
            .map(|_| delta.sum(contributors))
            .fold((f64::INFINITY, f64::INFINITY), |a, b| (a.0.min(b.0), a.1.min(b.1)));
        Self {
            exponent,
            sides: format!("{} × {}", dimensions.rows(), dimensions.columns()),
            commit,
            mask,
            prove,
            proof_bytes,
            fold_bytes,
            upload_bytes: proof_bytes + fold_bytes + 32 * delta.masked.len(),
            verify: least(|| assert!(delta.verify(1), "an honest delta verifies")),
            batched: least(|| assert!(delta.verify(BATCH), "honest deltas verify")) / BATCH as f64,
            operator: delta.operator(),
            masks: delta.masks(),
            sum,
            decompress,
            memory: peak(),
        }
    }

    /// Seconds to make it, all told.
    pub(crate) fn all(&self) -> f64 {
        self.commit + self.mask + self.prove
    }

    fn row(&self) -> Vec<String> {
        let seconds = |value: f64| format!("{value:.4} s");
        let bytes = |value: usize| format!("{value} B");
        vec![
            format!("2^{}", self.exponent),
            self.sides.clone(),
            seconds(self.commit),
            seconds(self.mask),
            seconds(self.prove),
            seconds(self.all()),
            bytes(self.proof_bytes),
            bytes(self.fold_bytes),
            bytes(self.upload_bytes),
            seconds(self.verify),
            seconds(self.batched),
            seconds(self.operator),
            seconds(self.masks),
            seconds(self.sum),
            format!("{:.0} B", self.memory),
        ]
    }

    /// The numbers that bounds are claimed for.
    fn bounded(&self) -> Vec<Figure> {
        let figure = |name: &str, value: f64, unit: &'static str| {
            Figure::new(format!("delta of 2^{} entries, 5 operators: {name}", self.exponent), value, unit)
        };
        let made = figure("commit, mask, link and prove", self.all(), "s");
        match self.exponent {
            17 => vec![made.at_most(0.25)],
            20 => vec![
                made.at_most(1.2),
                figure("commitments and proof", self.proof_bytes as f64, "B").at_most(45_000.0),
                figure("upload", self.upload_bytes as f64, "B").at_most(4_400_000.0),
                figure("verify, alone", self.verify, "s").at_most(0.020),
                figure("verify, each in a batch of 16", self.batched, "s").at_most(0.012),
                figure("operator: own seeds, link, masked vector, running sums", self.operator, "s").at_most(0.025),
                figure("sum of 1,000: commitments added up, opened, checked", self.sum, "s").at_most(1.0),
                figure("… decoding their commitments, for who has checked no proof", self.decompress, "s"),
            ],
            23 => vec![figure("most memory, all of the above", self.memory, "B").at_most(2e9)],
            _ => Vec::new(),
        }
    }
}

impl Delta {
    /// Makes a contribution; returns the seconds of committing, of masking and linking, and of proving.
    fn made(exponent: u32) -> (Self, [f64; 3]) {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(exponent));
        let dimensions = Dimensions::near_square(1 << exponent).expect("a size that there is");
        let matrix = Matrix::new(&dimensions, &numbers(dimensions.entries(), &mut rng)).expect("as many numbers");
        let bound = u32::try_from(matrix.squared_norm().isqrt() + 12_345).expect("below 2^31");
        let statement = Statement::new(dimensions, bound).expect("a bound");
        let side = |side: usize| u32::try_from(side).expect("at most 2^14");
        let (rows, columns) = (side(dimensions.rows()), side(dimensions.columns()));
        let shape = Shape::new(rows, columns, 31).expect("a shape");
        let committee = Committee::new(OPERATORS).expect("a committee");
        let generators = Generators::new(columns);

        let (mut masked_in, mut committed_in, mut proved_in) = (0.0, 0.0, 0.0);
        let witness = timed(&mut proved_in, || Witness::new(&statement, matrix, &mut rng)).expect("within the bound");
        let masking = timed(&mut masked_in, || Masking::new(&committee, &shape, &CONTEXT, &mut rng));
        let commitments = timed(&mut committed_in, || {
            let rows = witness.commit(&generators, masking.data_blindings(), Timing::Variable);
            [vec![masking.commit_mask_row(&generators)], rows].concat()
        });
        let masked = timed(&mut masked_in, || masking.mask(&witness));
        let digest = timed(&mut masked_in, || masked_digest(&masked));
        let mut transcript = transcript(&commitments, &digest);
        let link = timed(&mut masked_in, || Link::prove(&mut transcript, &masking, &shape, &witness));
        let blindings = masking.data_blindings();
        let proof = timed(&mut proved_in, || {
            Proof::prove(&mut transcript, &statement, &witness, &generators, blindings, Timing::Variable, &mut rng)
        });
        let delta = Self { statement, shape, committee, generators, masking, commitments, masked, digest, link, proof };
        (delta, [committed_in, masked_in, proved_in])
    }

    /// What anybody does with `count` contributions, from their bytes on.
    fn verify(&self, count: usize) -> bool {
        let mut batch = Batch::new(&[7; 32]);
        for _ in 0..count {
            let first = batch.insert(self.points());
            let mut transcript = transcript(&self.commitments, &self.digest);
            let gamma = self.link.challenge_and_absorb(&mut transcript);
            self.link.check(&self.committee, &self.shape, &gamma, &mut batch, first).expect("the right lengths");
            self.proof.verify(&mut transcript, &self.statement, first + 1, &mut batch).expect("the right lengths");
        }
        batch.verify()
    }

    fn points(&self) -> Vec<RistrettoPoint> {
        self.commitments.iter().map(|point| point.decompress().expect("a commitment")).collect()
    }

    /// Returns the seconds of what operator 1 does with one contribution besides [`verify`](Self::verify).
    fn operator(&self) -> f64 {
        let held = self.committee.held_by(1);
        let mut sums: Vec<_> = held.iter().map(|_| MaskSum::new(&self.shape)).collect();
        let mut total = MaskedSum::new(&self.shape);
        let (subsets, seeds) = (self.committee.subsets(), self.masking.seeds());
        least(|| {
            let mut transcript = transcript(&self.commitments, &masked_digest(&self.masked));
            let gamma = self.link.challenge_and_absorb(&mut transcript);
            self.link.check_masked(&self.shape, &gamma, &self.masked).expect("the committed matrix");
            for (index, sum) in held.iter().zip(&mut sums) {
                let mask = Mask::new(&seeds[*index], &CONTEXT, subsets[*index], &self.shape);
                self.link.check_fold(*index, &mask.fold_and_add(&gamma, sum)).expect("an honest seed");
            }
            total.add(&self.masked).expect("one shape");
        })
    }

    /// Returns the seconds in which operator 1 adds the masks of its own seeds to its sums.
    fn masks(&self) -> f64 {
        let held = self.committee.held_by(1);
        let mut sums: Vec<_> = held.iter().map(|_| MaskSum::new(&self.shape)).collect();
        let (subsets, seeds) = (self.committee.subsets(), self.masking.seeds());
        least(|| {
            for (index, sum) in held.iter().zip(&mut sums) {
                sum.add_mask(&Mask::new(&seeds[*index], &CONTEXT, subsets[*index], &self.shape));
            }
        })
    }

    /// Returns the seconds of opening and checking a sum of so many, and of decoding the commitments in it.
    fn sum(&self, contributors: u32) -> (f64, f64) {
        let mut decoding = 0.0;
        let points = timed(&mut decoding, || self.points());
        let mut total = MaskedSum::new(&self.shape);
        total.add(&self.masked).expect("one shape");
        let mask_sums = self.committee.subsets().into_iter().zip(self.masking.seeds()).map(|(subset, seed)| {
            let mut sum = MaskSum::new(&self.shape);
            sum.add_mask(&Mask::new(seed, &CONTEXT, subset, &self.shape));
            sum
        });
        let (mut seconds, mut unmasking) = (0.0, Unmasking::new(total));
        for sum in mask_sums {
            timed(&mut seconds, || unmasking.remove(&sum)).expect("one shape");
        }
        let mut opened = timed(&mut seconds, || unmasking.finish()).expect("small enough");
        // The same contribution, as often as there are contributors.
        opened.totals.iter_mut().flatten().for_each(|total| *total *= i64::from(contributors));
        opened.blindings.iter_mut().for_each(|blinding| *blinding *= Scalar::from(contributors));
        let mut sum = CommitmentSum::new(&self.shape);
        timed(&mut seconds, || (0..contributors).try_for_each(|_| sum.add(&points[1..]))).expect("one shape");
        let check = || mask::check_sum(&self.generators, &self.shape, &opened, sum.points(), &[0; 32]);
        timed(&mut seconds, check).expect("the sum of what was committed to");
        (seconds, decoding * f64::from(contributors))
    }
}

fn transcript(commitments: &[Point], masked: &[u8; 32]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Core, commitments);
    transcript.absorb(Item::Core, masked);
    transcript
}

/// Numbers of 16 bits, sign included: sums of four uniform ones look enough like normal ones.
fn numbers(count: usize, rng: &mut ChaCha20Rng) -> Vec<i32> {
    let mut part = || (rng.next_u32() >> 18).cast_signed() - (1 << 13);
    (0..count).map(|_| (0..4).map(|_| part()).sum()).collect()
}

/// Adds the seconds that an action takes.
fn timed<T>(seconds: &mut f64, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    *seconds += start.elapsed().as_secs_f64();
    result
}

/// Returns the least time of several runs, in seconds.
fn least(mut action: impl FnMut()) -> f64 {
    let time = |_| {
        let mut seconds = 0.0;
        timed(&mut seconds, &mut action);
        seconds
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}

/// Returns the most memory this process ever held, in bytes; not a number where the system does not say.
pub(crate) fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0)
}
