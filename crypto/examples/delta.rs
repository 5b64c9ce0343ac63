//! Measures deltas as contributions.

use std::{hint::black_box, time::Instant};

use chorus_crypto::{
    Scalar,
    batch::Batch,
    codec::Encode as _,
    delta::{Dimensions, Matrix, Proof, Statement, Witness},
    domain,
    group::{Generators, Point},
    hash::Stream,
    link::Link,
    mask::{self, CommitmentSum, Committee, Mask, MaskSum, MaskedSum, Masking, Shape, Unmasking, masked_digest},
    msm::Timing,
    transcript::{Item, Transcript},
};
use curve25519_dalek::ristretto::RistrettoPoint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const CONTEXT: [u8; 32] = [5; 32];
const CONTRIBUTORS: i64 = 1_000;

fn timed<T>(what: &str, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    println!("  {what}: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn numbers(count: usize) -> Vec<i32> {
    let mut stream = Stream::new(domain::NONCE, b"delta");
    let mut number = || (0..4).map(|_| (stream.next_u64() >> 50) as i32 - (1 << 13)).sum();
    (0..count).map(|_| number()).collect()
}

fn absorbed(commitments: &[Point], masked: &[Scalar]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Core, commitments);
    transcript.absorb(Item::Core, &masked_digest(masked));
    transcript
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let exponent: u32 = arguments.next().unwrap_or("14".into()).parse()?;
    let operators: u8 = arguments.next().unwrap_or("5".into()).parse()?;
    let dimensions = Dimensions::near_square(1 << exponent)?;
    let (rows, columns) = (dimensions.rows() as u32, dimensions.columns() as u32);
    println!("{rows} x {columns}, {operators} operators");
    let numbers = numbers(1 << exponent);
    let matrix = Matrix::new(&dimensions, &numbers)?;
    let bound = u32::try_from(matrix.squared_norm().isqrt() + 12_345)?;
    let statement = Statement::new(dimensions, bound)?;
    let shape = Shape::new(rows, columns, 31)?;
    let committee = Committee::new(operators)?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let generators = timed("generators", || Generators::new(columns));

    let all = Instant::now();
    let witness = timed("four squares", || Witness::new(&statement, matrix, &mut rng))?;
    let masking = timed("masking", || Masking::new(&committee, &shape, &CONTEXT, &mut rng));
    let first = timed("mask row", || masking.commit_mask_row(&generators));
    let mut commitments = vec![first];
    commitments.extend(timed("commit", || witness.commit(&generators, masking.data_blindings(), Timing::Variable)));
    let masked = timed("mask", || masking.mask(&witness));
    let mut transcript = timed("absorb", || absorbed(&commitments, &masked));
    let link = timed("link", || Link::prove(&mut transcript, &masking, &shape, &witness));
    let proof = timed("prove", || {
        Proof::prove(
            &mut transcript,
            &statement,
            &witness,
            &generators,
            masking.data_blindings(),
            Timing::Variable,
            &mut rng,
        )
    });
    println!("ALL: {:.1} ms", all.elapsed().as_secs_f64() * 1e3);
    let (fold, proof_bytes, sent) = (link.to_bytes().len(), proof.to_bytes().len(), 32 * commitments.len());
    println!("proof {proof_bytes} commitments {sent} fold {fold} masked {}", 32 * masked.len());

    let start = Transcript::new(domain::CONTRIBUTION);
    let _ = start;
    let verify = |count: usize| -> Result<bool, Box<dyn std::error::Error>> {
        let mut batch = Batch::new(&[7; 32]);
        let digest = [0; 32];
        for _ in 0..count {
            let points = commitments.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
            let first = batch.insert(points);
            let mut transcript = Transcript::new(domain::CONTRIBUTION);
            transcript.absorb_seq(Item::Core, &commitments);
            transcript.absorb(Item::Core, &digest);
            let gamma = link.challenge_and_absorb(&mut transcript);
            link.check(&committee, &shape, &gamma, &mut batch, first)?;
            proof.verify(&mut transcript, &statement, first + 1, &mut batch)?;
        }
        Ok(batch.verify())
    };
    let _ = verify(1)?;
    let _ = timed("verify", || verify(1))?;
    let _ = timed("verify 16", || verify(16))?;

    let mut transcript = absorbed(&commitments, &masked);
    let gamma = link.challenge_and_absorb(&mut transcript);
    timed("digest", || black_box(masked_digest(&masked)));
    timed("check masked", || link.check_masked(&shape, &gamma, &masked))?;
    let mut total = MaskedSum::new(&shape);
    timed("add masked", || total.add(&masked))?;
    timed("add masked", || total.add(&masked))?;
    let mut sums: Vec<_> = committee.subsets().iter().map(|_| MaskSum::new(&shape)).collect();
    let subsets = committee.subsets();
    let held = committee.held_by(1);
    let masks: Vec<_> =
        subsets.iter().zip(masking.seeds()).map(|(subset, seed)| Mask::new(seed, &CONTEXT, *subset, &shape)).collect();
    for _ in 0..3 {
        timed("OPERATOR, one pass", || {
            held.iter()
                .try_for_each(|index| link.check_fold(*index, &masks[*index].fold_and_add(&gamma, &mut sums[*index])))
        })?;
        timed("operator, fold", || {
            held.iter().try_for_each(|index| link.check_fold(*index, &masks[*index].fold(&gamma)))
        })?;
        timed("operator, add", || held.iter().for_each(|index| sums[*index].add_mask(&masks[*index])));
    }

    drop(sums);
    let mut total = MaskedSum::new(&shape);
    total.add(&masked)?;
    let mut unmasking = Unmasking::new(total);
    for mask in &masks {
        let mut sum = MaskSum::new(&shape);
        sum.add_mask(mask);
        timed("remove", || unmasking.remove(&sum))?;
    }
    let mut opened = timed("unpack", || unmasking.finish())?;
    opened.totals.iter_mut().flatten().for_each(|total| *total *= CONTRIBUTORS);
    opened.blindings.iter_mut().for_each(|blinding| *blinding *= Scalar::from(CONTRIBUTORS as u64));
    let points: Vec<RistrettoPoint> =
        timed("decompress", || commitments[1..].iter().map(|point| point.decompress().expect("ok")).collect());
    let mut sum = CommitmentSum::new(&shape);
    timed("sum commitments", || (0..CONTRIBUTORS).try_for_each(|_| sum.add(&points)))?;
    timed("check sum", || mask::check_sum(&generators, &shape, &opened, sum.points(), &[0; 32]))?;
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}
