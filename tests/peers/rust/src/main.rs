//! What peers of Chorus from the Rust registry cost: one JSON object a line, `{"operation", "seconds", "bytes"}`.
//!
//! One core; times are the least of several runs.

use std::{sync::Arc, time::Instant};

use curve25519_dalek::RistrettoPoint;
use prio::{
    codec::Encode,
    vdaf::{Aggregator, Client, prio3::Prio3},
};
use rand_core::OsRng;
use triptych::{Transcript, TriptychInputSet, TriptychParameters, TriptychProof, TriptychStatement, TriptychWitness};

/// Repetitions of each measurement.
const RUNS: usize = 5;
/// Aggregators that hold a share each.
const AGGREGATORS: u8 = 5;

fn main() {
    // A hundred answers: agree or not, disagree or not.
    sum_vector("Prio3SumVec, 200 bits", 1, 200, 14);
    // As many numbers of 16 bits as a delta of 2^14 entries has.
    sum_vector("Prio3SumVec, 2^14 numbers of 16 bits", (1 << 16) - 1, 1 << 14, 512);
    // The bases that are quickest to prove with.
    ring(1_024, (4, 5), 256);
    ring(4_096, (8, 4), 128);
}

fn report(operation: &str, seconds: f64, bytes: Option<usize>) {
    let bytes = bytes.map_or("null".to_owned(), |bytes| bytes.to_string());
    println!(r#"{{"operation": "{operation}", "seconds": {seconds}, "bytes": {bytes}}}"#);
}

fn least(mut action: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        action();
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}

/// A vector whose entries are proved to be at most `most`, shared among aggregators.
fn sum_vector(name: &str, most: u128, length: usize, chunk: usize) {
    let vdaf = Prio3::new_sum_vec(AGGREGATORS, most, length, chunk).expect("sensible parameters");
    let measurement: Vec<u128> = (0..length as u128).map(|index| index * 7919 % (most + 1)).collect();
    let (nonce, key, context) = ([7; 16], [9; 32], b"peers");
    let made = least(|| drop(vdaf.shard(context, &measurement, &nonce).expect("within the bound")));
    let (public, shares) = vdaf.shard(context, &measurement, &nonce).expect("within the bound");
    let bytes: usize = shares.iter().map(|share| share.get_encoded().expect("encodes").len()).sum();
    report(&format!("{name}: make"), made, Some(bytes));
    let first = |share: usize| {
        vdaf.verify_init(&key, context, share, &(), &nonce, &public, &shares[share]).expect("an honest share")
    };
    // What the leader does, whose share is the long one; the others expand theirs first.
    let leader = least(|| drop(first(0)));
    let helper = least(|| drop(first(1)));
    let verified = least(|| {
        let inits = (0..usize::from(AGGREGATORS)).map(first).map(|(_, share)| share);
        vdaf.verifier_shares_to_message(context, &(), inits).expect("an honest measurement");
    });
    report(&format!("{name}: leader"), leader, None);
    report(&format!("{name}: helper"), helper, None);
    report(&format!("{name}: all aggregators"), verified, None);
}

/// A linkable ring signature.
fn ring(size: u32, (base, digits): (u32, u32), batch: usize) {
    let parameters = Arc::new(TriptychParameters::new(base, digits).expect("sensible parameters"));
    assert_eq!(parameters.get_N(), size);
    let witness = TriptychWitness::random(&parameters, &mut OsRng);
    let keys: Vec<RistrettoPoint> = (0..size)
        .map(|place| {
            if place == witness.get_l() {
                witness.compute_verification_key()
            } else {
                RistrettoPoint::random(&mut OsRng)
            }
        })
        .collect();
    let keys = Arc::new(TriptychInputSet::new(&keys).expect("enough keys"));
    let statement =
        TriptychStatement::new(&parameters, &keys, &witness.compute_linking_tag()).expect("a statement");
    let begin = || Transcript::new(b"peers");
    let prove = || TriptychProof::prove(&witness, &statement, &mut begin()).expect("a proof");
    let made = least(|| drop(prove()));
    let proof = prove();
    report(&format!("Triptych, ring of {size}: make"), made, Some(proof.to_bytes().len()));
    let alone = least(|| proof.verify(&statement, &mut begin()).expect("an honest proof"));
    report(&format!("Triptych, ring of {size}: verify alone"), alone, None);
    let (statements, proofs) = (vec![statement.clone(); batch], vec![proof.clone(); batch]);
    let together = least(|| {
        let mut transcripts: Vec<Transcript> = (0..batch).map(|_| begin()).collect();
        TriptychProof::verify_batch(&statements, &proofs, &mut transcripts).expect("honest proofs");
    });
    report(&format!("Triptych, ring of {size}: verify, each in a batch of {batch}"), together / batch as f64, None);
}
