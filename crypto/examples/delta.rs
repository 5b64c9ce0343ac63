//! Measures the delta proof: `cargo run --release -p chorus-crypto --example delta -- 20 16` for 2^20 signed entries of 16
//! bits, with a further `0` in constant time. Time on one core, bytes of commitments and proof, and the most memory the
//! process ever held.

use std::time::Instant;

use chorus_crypto::{
    Scalar,
    batch::Batch,
    codec::Encode as _,
    delta::{Dimensions, Matrix, Proof, Statement, Witness},
    domain,
    group::{Generators, Point},
    hash::Stream,
    msm::Timing,
    transcript::{Item, Transcript},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let exponent = arguments.next().unwrap_or(Ok(14))?;
    let bits = arguments.next().unwrap_or(Ok(16))?;
    let timing = if std::env::args().any(|argument| argument == "0") { Timing::Constant } else { Timing::Variable };
    let dimensions = Dimensions::near_square(1 << exponent)?;
    let mut stream = Stream::new(domain::NONCE, b"delta");
    // The sum of four uniform numbers looks enough like a normal one.
    let part =
        |stream: &mut Stream| i64::try_from(stream.next_u64() >> (66 - bits)).map(|part| part - (1 << (bits - 3)));
    let mut number = || -> Result<i32, Box<dyn std::error::Error>> {
        let sum = (0..4).map(|_| part(&mut stream)).sum::<Result<i64, _>>()?;
        Ok(i32::try_from(sum)?)
    };
    let numbers = (0..dimensions.entries()).map(|_| number()).collect::<Result<Vec<_>, _>>()?;
    let matrix = Matrix::new(&dimensions, &numbers)?;
    let bound = u32::try_from(matrix.squared_norm().isqrt() + 12_345)?;
    let statement = Statement::new(dimensions, bound)?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    println!("{} × {} entries of {bits} bits, bound {bound}", dimensions.rows(), dimensions.columns());

    let generators = timed("generators", || Generators::new(dimensions.columns() as u32));
    let witness = timed("four squares", || Witness::new(&statement, matrix, &mut rng))?;
    let blindings: Vec<_> = (0..dimensions.rows()).map(|_| Scalar::random(&mut rng)).collect();
    let commitments = timed("commit", || witness.commit(&generators, &blindings, timing));
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Core, &commitments);
    let start = transcript.clone();
    let proof = timed("prove", || {
        Proof::prove(&mut transcript, &statement, &witness, &generators, &blindings, timing, &mut rng)
    });
    println!("commitments {} B, proof {} B", 32 * commitments.len(), proof.to_bytes().len());
    let verify = |count: u64| -> Result<bool, Box<dyn std::error::Error>> {
        let mut batch = Batch::new(&[7; 32]);
        for _ in 0..count {
            let points = commitments.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
            let data = batch.insert(points);
            proof.verify(&mut start.clone(), &statement, data, &mut batch)?;
        }
        Ok(batch.verify())
    };
    assert!(verify(1)?, "an honest proof holds");
    assert!(timed("verify", || verify(1))?, "an honest proof holds");
    assert!(timed("verify 16 in a batch", || verify(16))?, "honest proofs hold");
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a measurement, outside of the library")]
fn timed<T>(what: &str, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}
