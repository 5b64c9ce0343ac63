//! A delta as a contribution: masked in lanes, linked, summed. Auxiliary rows are in none of it.

use super::*;
use crate::{
    link::Link,
    mask::{
        Committee, Expansion, MaskSum, Masking, Shape, SumError, check_sum, masked_digest, open, sum_commitments,
        sum_masked, tests::integer,
    },
};
use curve25519_dalek::ristretto::RistrettoPoint;

/// Six data rows of eleven columns in two scalars, of which the second is not full.
const ROWS: u32 = 6;
const COLUMNS: u32 = 11;

struct Contributed {
    shape: Shape,
    context: [u8; 32],
    masking: Masking,
    witness: Witness,
    commitments: Vec<Point>,
    masked: Vec<Scalar>,
    link: Link,
    proof: Proof,
}

fn absorbed(commitments: &[Point], masked: &[Scalar]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Core, commitments);
    transcript.absorb(Item::Core, &masked_digest(masked));
    transcript
}

fn contribute(statement: &Statement, shape: Shape, entries: &[i32], seed: u8) -> Contributed {
    let mut rng = rng(u64::from(seed));
    let (committee, generators) = (Committee::new(5).expect("valid"), Generators::new(COLUMNS));
    let matrix = Matrix::new(statement.dimensions(), entries).expect("it fits");
    let witness = Witness::new(statement, matrix, &mut rng).expect("in bounds");
    let masking = Masking::new(&committee, &shape, &[seed; 32], &mut rng);
    let mut commitments = vec![masking.commit_mask_row(&generators)];
    commitments.extend(witness.commit(&generators, masking.data_blindings(), Timing::Variable));
    let masked = masking.mask(&witness);
    let mut transcript = absorbed(&commitments, &masked);
    let link = Link::prove(&mut transcript, &masking, &shape, &witness);
    let blindings = masking.data_blindings();
    let proof = Proof::prove(&mut transcript, statement, &witness, &generators, blindings, Timing::Variable, &mut rng);
    Contributed { shape, context: [seed; 32], masking, witness, commitments, masked, link, proof }
}

impl Contributed {
    fn points(&self) -> Vec<RistrettoPoint> {
        self.commitments.iter().map(|point| point.decompress().expect("a commitment")).collect()
    }

    fn expansions(&self) -> Vec<Expansion> {
        let subsets = Committee::new(5).expect("valid").subsets();
        let expand = |(subset, seed)| Expansion::new(seed, &self.context, subset, &self.shape);
        subsets.into_iter().zip(self.masking.seeds()).map(expand).collect()
    }

    fn is_valid(&self, statement: &Statement) -> bool {
        let mut batch = Batch::new(&[4; 32]);
        let first = batch.insert(self.points());
        let mut transcript = absorbed(&self.commitments, &self.masked);
        let gamma = self.link.challenge_and_absorb(&mut transcript);
        let committee = Committee::new(5).expect("valid");
        self.link.check(&committee, &self.shape, &gamma, &mut batch, first).expect("right lengths");
        self.link.check_masked(&self.shape, &gamma, &self.masked).expect("the committed matrix");
        for (index, expansion) in self.expansions().iter().enumerate() {
            self.link.check_seed(index, &gamma, expansion).expect("the masks of the seeds");
        }
        self.proof.verify(&mut transcript, statement, first + 1, &mut batch).expect("right lengths");
        batch.verify()
    }
}

/// Opens the sum of some contributions and checks it.
fn opened(all: &[Contributed]) -> Result<Vec<Vec<i64>>, SumError> {
    let shape = all[0].shape;
    let mut sums = vec![MaskSum::new(&shape); 5];
    for contributed in all {
        sums.iter_mut().zip(contributed.expansions()).for_each(|(sum, expansion)| sum.add(&expansion));
    }
    let opened = open(&shape, &sum_masked(&shape, all.iter().map(|one| one.masked.as_slice()))?, &sums)?;
    let points: Vec<_> = all.iter().map(Contributed::points).collect();
    let commitments = sum_commitments(&shape, points.iter().map(|points| &points[1..]))?;
    check_sum(&Generators::new(COLUMNS), &shape, &opened, &commitments, &[0; 32])?;
    Ok(opened.totals)
}

fn shape(lane_bits: u16) -> Shape {
    Shape::new(ROWS, COLUMNS, lane_bits).expect("valid")
}

#[test]
fn a_delta_in_lanes_passes_link_and_proof_and_its_sum_opens() {
    let statement = statement(ROWS, COLUMNS, 9000);
    let entries: Vec<_> = (0..3).map(|seed| numbers(66, 1000, seed)).collect();
    let all: Vec<_> =
        (1..).zip(&entries).map(|(seed, entries)| contribute(&statement, shape(31), entries, seed)).collect();

    assert!(all.iter().all(|contributed| contributed.is_valid(&statement)));

    let sum = |index: usize| entries.iter().map(|entries| i64::from(entries[index])).sum::<i64>();
    assert_eq!(opened(&all).map(|totals| totals.concat()), Ok((0..66).map(sum).collect::<Vec<_>>()));
}

#[test]
fn integers_are_committed_masked_and_folded_as_scalars_are() {
    let statement = statement(ROWS, COLUMNS, 9000);
    let entries = numbers(66, 1000, 1);
    let contributed = contribute(&statement, shape(31), &entries, 1);
    let scalars: Vec<_> =
        entries.chunks(11).map(|row| row.iter().map(|entry| integer((*entry).into())).collect()).collect();

    let (commitments, masked) = contributed.masking.commit_and_mask(&Generators::new(COLUMNS), &scalars);

    assert_eq!((&commitments, &masked), (&contributed.commitments, &contributed.masked));
    let mut transcript = absorbed(&commitments, &masked);
    assert_eq!(Link::prove(&mut transcript, &contributed.masking, &shape(31), &scalars), contributed.link);
    assert!(contributed.witness.rows().rows() > ROWS as usize);
}

#[test]
fn a_proof_of_another_matrix_than_the_linked_one_is_refused() {
    let statement = statement(ROWS, COLUMNS, 9000);
    let (one, two) = (1, 2);
    let [mut first, second] =
        [one, two].map(|seed| contribute(&statement, shape(31), &numbers(66, 1000, u64::from(seed)), seed));

    first.proof = second.proof;

    assert!(!first.is_valid(&statement));
}

#[test]
fn lanes_are_wide_enough_for_the_largest_sums_and_not_one_bit_wider() {
    let statement = statement(ROWS, COLUMNS, 1000);
    for sign in [1, -1] {
        let entries: Vec<_> = [1000 * sign].into_iter().chain([0; 65]).collect();
        let contributions = |lane_bits| {
            (1..=4).map(|seed| contribute(&statement, shape(lane_bits), &entries, seed)).collect::<Vec<_>>()
        };
        let lane_bits = statement.lane_bits(4);

        let wide = opened(&contributions(lane_bits)).expect("no lane overflows");

        assert_eq!((lane_bits, wide[0][0]), (13, 4000 * i64::from(sign)));
        // The total carries into the next lane: the sum opens as another one, which the commitments do not hold.
        assert_eq!(opened(&contributions(lane_bits - 1)), Err(SumError::Commitment));
    }
}
