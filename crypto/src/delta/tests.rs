use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;
use crate::{
    batch::Batch,
    codec::{Decode as _, Encode as _},
    domain,
    group::{Generators, Point},
    hash::Stream,
    msm::Timing,
    transcript::{Item, Transcript},
};
use curve25519_dalek::scalar::Scalar;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(super) fn statement(rows: u32, columns: u32, bound: u32) -> Statement {
    Statement::new(Dimensions::new(rows, columns).expect("in range"), bound).expect("in range")
}

/// Numbers in `−range..=range`.
pub(super) fn numbers(count: usize, range: u32, seed: u64) -> Vec<i32> {
    let mut stream = Stream::new(domain::NONCE, &seed.to_be_bytes());
    let range = i64::from(range);
    let number = |_| i64::try_from(stream.next_u64() >> 1).expect("63 bits") % (2 * range + 1) - range;
    (0..count).map(number).map(|number| i32::try_from(number).expect("in range")).collect()
}

/// A delta on its way: commitments and proof, under a transcript that starts with `context`.
pub(super) struct Sent {
    pub(super) statement: Statement,
    pub(super) context: u8,
    pub(super) commitments: Vec<Point>,
    pub(super) proof: Proof,
}

impl Sent {
    fn new(statement: Statement, numbers: &[i32], seed: u64) -> Self {
        let mut rng = rng(seed);
        let matrix = Matrix::new(statement.dimensions(), numbers).expect("it fits");
        Self::of(statement, &Witness::new(&statement, matrix, &mut rng).expect("in bounds"), Timing::Variable, &mut rng)
    }

    pub(super) fn of(statement: Statement, witness: &Witness, timing: Timing, rng: &mut ChaCha20Rng) -> Self {
        let generators = Generators::new(u32::try_from(statement.dimensions().columns()).expect("in range"));
        let blindings: Vec<_> = (0..statement.dimensions().rows()).map(|_| Scalar::random(rng)).collect();
        let commitments = witness.commit(&generators, &blindings, timing);
        let mut transcript = Self::transcript(0, &commitments);
        let proof = Proof::prove(&mut transcript, &statement, witness, &generators, &blindings, timing, rng);
        Self { statement, context: 0, commitments, proof }
    }

    pub(super) fn transcript(context: u8, commitments: &[Point]) -> Transcript {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        transcript.absorb(Item::Manifest, &context);
        transcript.absorb_seq(Item::Core, commitments);
        transcript
    }

    fn add_to(&self, batch: &mut Batch) -> Result<(), DeltaError> {
        let points = self.commitments.iter().map(Point::decompress).collect::<Result<Vec<_>, _>>()?;
        let first = batch.insert(points);
        let mut transcript = Self::transcript(self.context, &self.commitments);
        self.proof.verify(&mut transcript, &self.statement, first, batch)
    }

    pub(super) fn is_valid(&self) -> bool {
        let mut batch = Batch::new(&[9; 32]);
        self.add_to(&mut batch).is_ok() && batch.verify()
    }
}

/// One column, one row, one entry, and neither side a power of two.
const SHAPES: [(u32, u32); 11] =
    [(1, 1), (5, 1), (1, 2), (2, 3), (3, 4), (1, 5), (7, 8), (9, 11), (33, 16), (20, 100), (3, 400)];

#[test]
fn deltas_of_every_shape_are_provable() {
    for (rows, columns) in SHAPES {
        let entries = rows as usize * columns as usize;
        for (range, bound) in [(100, 100_000), (0, 1), (1, 2000), (1, (1 << 31) - 1)] {
            let sent = Sent::new(statement(rows, columns, bound), &numbers(entries, range, 1), 2);

            assert!(sent.is_valid(), "{rows} × {columns}, {range} within {bound}");
            assert_eq!(Proof::from_bytes(&sent.proof.to_bytes()).as_ref(), Ok(&sent.proof));
        }
    }
}
