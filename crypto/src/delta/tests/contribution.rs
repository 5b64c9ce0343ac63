//! A delta as a contribution: masked in lanes, linked, summed. Auxiliary rows are in none of it.

use super::*;
use crate::{
    group::Base,
    link::{Link, LinkError},
    mask::{
        Committee, Expansion, Mask, MaskSum, Masking, Shape, SumError, check_sum, masked_digest, open, sum_commitments,
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
    commitments: Vec<Point>,
    masked: Vec<Scalar>,
    link: Link,
    proof: Proof,
}

/// Why a contribution is refused.
#[derive(Debug, PartialEq)]
enum Refused {
    Link(LinkError),
    Delta(DeltaError),
    /// The equations that do not hold.
    Equations(Vec<&'static str>),
}

const ALL_EQUATIONS: [&str; 5] = ["link", "folding", "value", "square", "zero"];

fn absorbed(context: &[u8; 32], commitments: &[Point], masked: &[Scalar]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Core, context);
    transcript.absorb_seq(Item::Core, commitments);
    transcript.absorb(Item::Core, &masked_digest(masked));
    transcript
}

fn masking(shape: Shape, seed: u8, rng: &mut ChaCha20Rng) -> Masking {
    Masking::new(&Committee::new(5).expect("valid"), &shape, &[seed; 32], rng)
}

fn contribute(statement: &Statement, shape: Shape, entries: &[i32], seed: u8) -> Contributed {
    let mut rng = rng(u64::from(seed));
    let generators = Generators::new(COLUMNS);
    let matrix = Matrix::new(statement.dimensions(), entries).expect("it fits");
    let witness = Witness::new(statement, matrix, &mut rng).expect("in bounds");
    let (masking, context) = (masking(shape, seed, &mut rng), [seed; 32]);
    let mut commitments = vec![masking.commit_mask_row(&generators)];
    commitments.extend(witness.commit(&generators, masking.data_blindings(), Timing::Variable));
    let masked = masking.mask(&witness);
    let mut transcript = absorbed(&context, &commitments, &masked);
    let link = Link::prove(&mut transcript, &masking, &shape, &witness);
    let blindings = masking.data_blindings();
    let proof = Proof::prove(&mut transcript, statement, &witness, &generators, blindings, Timing::Variable, &mut rng);
    Contributed { shape, context, masking, commitments, masked, link, proof }
}

/// What a contributor sends who proves whatever can be proved about rows that do not satisfy the statement.
fn forge(forgery: &Forgery, twist: &Twist<'_>, shape: Shape, seed: u8) -> Contributed {
    let mut rng = rng(u64::from(seed));
    let (masking, context, data) = (masking(shape, seed, &mut rng), [seed; 32], forgery.data());
    let (commitments, masked) = masking.commit_and_mask(&Generators::new(COLUMNS), &data);
    let mut transcript = absorbed(&context, &commitments, &masked);
    let link = Link::prove(&mut transcript, &masking, &shape, &data);
    let proof = forgery.prove(&mut transcript, masking.data_blindings(), twist, &mut rng);
    Contributed { shape, context, masking, commitments, masked, link, proof }
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

    /// Every check there is: the public ones with `batch`, and those of the holders of every seed.
    fn check(&self, statement: &Statement, batch: &mut Batch) -> Result<(), Refused> {
        let first = batch.insert(self.points());
        let mut transcript = absorbed(&self.context, &self.commitments, &self.masked);
        let gamma = self.link.challenge_and_absorb(&mut transcript);
        let committee = Committee::new(5).expect("valid");
        self.link.check(&committee, &self.shape, &gamma, batch, first).map_err(Refused::Link)?;
        self.link.check_masked(&self.shape, &gamma, &self.masked).map_err(Refused::Link)?;
        for (index, expansion) in self.expansions().iter().enumerate() {
            self.link.check_seed(index, &gamma, expansion).map_err(Refused::Link)?;
        }
        self.proof.verify(&mut transcript, statement, first + 1, batch).map_err(Refused::Delta)
    }

    fn verdict(&self, statement: &Statement) -> Result<(), Refused> {
        let mut batch = Batch::new(&[4; 32]);
        self.check(statement, &mut batch)?;
        if batch.verify() {
            return Ok(());
        }
        let fails = |equation: usize| {
            let mut batch = Batch::only(equation);
            self.check(statement, &mut batch).expect("as before");
            !batch.verify()
        };
        let broken = (0..).zip(ALL_EQUATIONS).filter(|(equation, _)| fails(*equation));
        Err(Refused::Equations(broken.map(|(_, name)| name).collect()))
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

    assert!(all.iter().all(|contributed| contributed.verdict(&statement) == Ok(())));

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
    let mut transcript = absorbed(&contributed.context, &commitments, &masked);
    assert_eq!(Link::prove(&mut transcript, &contributed.masking, &shape(31), &scalars), contributed.link);
}

/// 66 entries and four squares that add up to 9000².
fn honest() -> Forgery {
    Forgery::new(statement(ROWS, COLUMNS, 9000), &[4000, -4000], &[7000])
}

/// The first entries and the squares of a forgery, for the bound 9000.
fn of(entries: &[i128], squares: &[i128]) -> Forgery {
    Forgery::new(statement(ROWS, COLUMNS, 9000), entries, squares)
}

#[test]
fn a_forger_who_does_not_lie_is_accepted() {
    assert_eq!(forge(&honest(), &HONEST, shape(31), 1).verdict(&honest().statement), Ok(()));
}

#[test]
fn a_norm_of_one_more_than_the_bound_is_refused() {
    let statement = honest().statement;
    let witness =
        Matrix::new(statement.dimensions(), &[9001]).map(|matrix| Witness::new(&statement, matrix, &mut rng(1)));
    assert_eq!(witness.expect("it fits").map(drop), Err(WitnessError::Norm(9000)));

    // No squares make up for it: not over the integers, and not four integers that add up to −18001 in the field, which
    // are too large to be projected.
    let refused = forge(&of(&[9001], &[]), &HONEST, shape(31), 1).verdict(&statement);
    assert_eq!(refused, Err(Refused::Equations(vec!["square"])));
    let at_the_bound = forge(&of(&[9000], &[]), &HONEST, shape(31), 1).verdict(&statement);
    assert_eq!(at_the_bound, Ok(()));
}

#[test]
fn one_huge_coordinate_is_refused() {
    // Its square and another number's add up to nothing: in the field the norm is right.
    let statement = honest().statement;
    for bits in [112, 118, 124] {
        let mut forgery = of(&[0, 1 << bits], &[9000]);
        let large = forgery.rows[0][1];
        forgery.rows[ROWS as usize][1] = root_of_minus_one() * large;

        let refused = forge(&forgery, &HONEST, shape(31), 1).verdict(&statement);
        assert!(matches!(refused, Err(Refused::Delta(DeltaError::Projection(_)))), "{bits}: {refused:?}");

        // With projections that are small, and not those of the matrix.
        let small = |projections: &mut Vec<i128>| projections.iter_mut().for_each(|value| *value %= ACCEPTED);
        let refused = forge(&forgery, &Twist { projections: &small, ..HONEST }, shape(31), 1).verdict(&statement);
        assert_eq!(refused, Err(Refused::Equations(vec!["square"])), "{bits}");
    }
}

#[test]
fn squares_that_wrap_around_the_order_are_refused() {
    let statement = statement(ROWS, COLUMNS, 1000);
    let refused = forge(&Forgery::new(statement, &WRAPPED, &[]), &HONEST, shape(31), 1).verdict(&statement);

    assert!(matches!(refused, Err(Refused::Delta(DeltaError::Projection(_)))), "{refused:?}");
}

#[test]
fn a_coordinate_just_below_the_order_is_the_negative_number_it_stands_for() {
    let mut forgery = of(&[0, -4000], &[7000]);
    // ℓ − 4000, as an integer.
    forgery.rows[0][0] = Scalar::ZERO - Scalar::from(4000u32);
    let wrapped = forge(&forgery, &HONEST, shape(31), 1);

    assert_eq!(wrapped.verdict(&forgery.statement), Ok(()));
    assert_eq!(opened(&[wrapped]).map(|totals| totals[0][..2].to_vec()), Ok(vec![-4000, -4000]));
    // And counts as such.
    forgery.rows[0][0] -= Scalar::ONE;
    let refused = forge(&forgery, &HONEST, shape(31), 1).verdict(&forgery.statement);
    assert_eq!(refused, Err(Refused::Equations(vec!["square"])));
}

#[test]
fn a_wrong_seed_for_one_operator_is_refused_by_the_holders_of_its_set_alone() {
    let mut contributed = forge(&honest(), &HONEST, shape(31), 1);
    let other = masking(shape(31), 1, &mut rng(77));
    let committee = Committee::new(5).expect("valid");
    for (index, subset) in committee.subsets().into_iter().enumerate() {
        let mut transcript = absorbed(&contributed.context, &contributed.commitments, &contributed.masked);
        let gamma = contributed.link.challenge_and_absorb(&mut transcript);
        let wrong = Mask::new(&other.seeds()[index], &contributed.context, subset, &contributed.shape);

        let found = contributed.link.check_fold(index, &wrong.fold(&gamma));

        assert_eq!(found, Err(LinkError::SeedValues(index)));
        assert_ne!(other.seed_digests()[index], contributed.masking.seed_digests()[index]);
    }
    // The seed that masks is not the one that was sealed to everybody.
    contributed.masking = other;
    assert_eq!(contributed.verdict(&honest().statement), Err(Refused::Link(LinkError::SeedValues(0))));
}

#[test]
fn somebody_elses_proof_is_refused() {
    let statement = honest().statement;
    let entries = numbers(66, 1000, 1);
    let [mut first, second] = [1, 2].map(|seed| contribute(&statement, shape(31), &entries, seed));

    // The same matrix under other blindings.
    first.proof = second.proof.clone();
    assert!(matches!(first.verdict(&statement), Err(Refused::Equations(_))));

    // Everything copied, masks and all, under another context: tag, round or sequence number.
    let copied = Contributed { context: [3; 32], ..second };
    let mut batch = Batch::new(&[4; 32]);
    let refused = copied.check(&statement, &mut batch);
    assert_eq!(refused, Err(Refused::Link(LinkError::Masked)));
}

#[test]
fn a_masked_vector_of_another_matrix_than_the_proved_one_is_refused() {
    let statement = honest().statement;
    let mut contributed = contribute(&statement, shape(31), &numbers(66, 1000, 1), 1);
    let packed = contributed.shape.packed();
    contributed.masked[packed] += Scalar::ONE;

    assert_eq!(contributed.verdict(&statement), Err(Refused::Link(LinkError::Masked)));
}

#[test]
fn a_link_to_other_rows_than_the_committed_ones_breaks_its_equation_alone() {
    // Masked, linked and proved honestly, but one commitment that the link folds is another's.
    let (forgery, shape) = (honest(), shape(31));
    let mut rng = rng(1);
    let (masking, context, data) = (masking(shape, 1, &mut rng), [1; 32], forgery.data());
    let (mut commitments, masked) = masking.commit_and_mask(&Generators::new(COLUMNS), &data);
    commitments[0] = (commitments[0].decompress().expect("a commitment") + Base::Column(3).point()).into();
    let mut transcript = absorbed(&context, &commitments, &masked);
    let link = Link::prove(&mut transcript, &masking, &shape, &data);
    let proof = forgery.prove(&mut transcript, masking.data_blindings(), &HONEST, &mut rng);

    let refused = Contributed { shape, context, masking, commitments, masked, link, proof }.verdict(&forgery.statement);

    assert_eq!(refused, Err(Refused::Equations(vec!["link"])));
}

#[test]
fn lanes_hold_the_largest_sums_and_an_overflow_of_one_bit_is_refused() {
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
