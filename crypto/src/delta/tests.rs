use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;
use crate::{
    batch::Batch,
    codec::{Decode as _, Encode as _},
    domain,
    field::Field,
    group::{Generators, Point},
    hash::Stream,
    msm::Timing,
    transcript::{Item, Transcript},
};
use curve25519_dalek::scalar::Scalar;

mod contribution;
mod oracle;

use oracle::{Forgery, HONEST, Twist};

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
#[test]
fn the_prover_sends_the_bytes_that_the_definition_gives() {
    for (rows, columns) in SHAPES {
        let statement = statement(rows, columns, 70_000);
        let entries = numbers(statement.dimensions().entries(), 900, 3);
        let matrix = Matrix::new(statement.dimensions(), &entries).expect("it fits");
        let mut rng = rng(4);
        let witness = Witness::new(&statement, matrix, &mut rng).expect("in bounds");
        let all: Vec<_> = witness.rows().entries().iter().map(|entry| i128::from(*entry)).collect();
        let (entries, squares) = all.split_at(statement.dimensions().entries());

        let slow = Forgery::new(statement, entries, squares).send(&HONEST, &mut rng.clone());

        for timing in [Timing::Variable, Timing::Constant] {
            let fast = Sent::of(statement, &witness, timing, &mut rng.clone());
            assert_eq!(fast.commitments, slow.commitments);
            assert!(fast.proof == slow.proof, "{rows} × {columns}, {timing:?}");
        }
    }
}

/// 2 × 3 entries and four squares with ‖U‖² + Σ s² = 25 + 75 = 10².
fn forgery() -> Forgery {
    Forgery::new(statement(2, 3, 10), &[3, 0, 0, 0, -4, 0], &[5, 5, 5, 0])
}

#[test]
fn the_honest_use_of_the_forger_is_valid() {
    assert!(forgery().send(&HONEST, &mut rng(1)).is_valid());
}

#[test]
fn a_norm_that_is_not_the_bound_exactly_is_refused() {
    for (entries, squares) in [
        ([3, 0, 0, 0, -4, 1], [5, 5, 5, 0]), // one more
        ([3, 0, 0, 0, -4, 0], [5, 5, 4, 3]), // four squares that add up to the same
        ([3, 0, 0, 0, -4, 0], [5, 5, 5, 1]), // four squares of another number
        ([11, 0, 0, 0, 0, 0], [0, 0, 0, 0]), // over the bound, with no squares to help
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0]),
    ] {
        let sent = Forgery::new(statement(2, 3, 10), &entries, &squares).send(&HONEST, &mut rng(1));

        let norm: i128 = entries.iter().chain(&squares).map(|number| number * number).sum();
        assert_eq!(sent.is_valid(), norm == 100, "{norm}");
    }
}

/// Four integers whose squares add up to `ℓ + 1000²`.
const WRAPPED: [i128; 4] = [1 << 126, 0x4918_7d6a_c003_d5f2, 0x4_32e9_df30, 0x1_1f9d_4093];

/// Verifies without the limit on projections.
fn equations_hold(sent: &Sent) -> bool {
    let mut batch = Batch::new(&[9; 32]);
    let points: Vec<_> = sent.commitments.iter().map(|point| point.decompress().expect("a commitment")).collect();
    let first = batch.insert(points);
    let mut transcript = Sent::transcript(sent.context, &sent.commitments);
    sent.proof.add_equations(&mut transcript, &sent.statement, first, &mut batch).is_ok() && batch.verify()
}

#[test]
fn squares_that_wrap_around_the_order_fail_at_the_projections_alone() {
    let wrapped =
        |data: &[i128], squares: &[i128]| Forgery::new(statement(2, 3, 1000), data, squares).send(&HONEST, &mut rng(1));
    // In the matrix, in the four squares, and in both.
    for sent in [wrapped(&WRAPPED, &[]), wrapped(&[], &WRAPPED), wrapped(&WRAPPED[..1], &WRAPPED[1..])] {
        assert!(equations_hold(&sent));
        assert!(matches!(sent.add_to(&mut Batch::new(&[9; 32])), Err(DeltaError::Projection(_))));
    }
}

#[test]
fn a_large_entry_whose_projections_are_sent_as_small_ones_is_refused() {
    for bits in [111, 113, 126] {
        // The squares add up to what the statement says in the field, for −1 is a square.
        let mut forgery = Forgery::new(statement(2, 3, 1000), &[0, 1 << bits], &[1000]);
        let large = forgery.rows[0][1];
        forgery.rows[2][1] = root_of_minus_one() * large;
        let small = |projections: &mut Vec<i128>| projections.iter_mut().for_each(|value| *value %= ACCEPTED);

        let sent = forgery.send(&Twist { projections: &small, ..HONEST }, &mut rng(1));

        assert_eq!(sent.broken(), ["square"], "{bits}");
    }
}

/// Returns a square root of −1: 2^((ℓ − 1)/4), for 2 is no square.
fn root_of_minus_one() -> Scalar {
    // ℓ − 1 is a multiple of four, so that halving it in the field halves the integer.
    let quarter = (-Scalar::ONE).div_by_2().div_by_2();
    let bits = quarter.to_bytes().into_iter().rev().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let root = bits.fold(Scalar::ONE, |power, bit| power * power * Scalar::from(1 + bit));
    assert_eq!(root * root, -Scalar::ONE);
    root
}

#[test]
fn projections_are_accepted_below_the_limit_and_not_at_it() {
    let sent = |value: i128| {
        let mut sent = forgery().send(&HONEST, &mut rng(1));
        sent.proof.projections[7] = value;
        sent.add_to(&mut Batch::new(&[9; 32]))
    };

    assert_eq!([sent(ACCEPTED - 1), sent(1 - ACCEPTED)], [Ok(()), Ok(())]);
    for value in [ACCEPTED, -ACCEPTED, i128::MIN, i128::MAX] {
        assert_eq!(sent(value), Err(DeltaError::Projection(7)));
    }
}

/// The equations of a delta proof, in the order in which they join a batch.
const EQUATIONS: [&str; 4] = ["folding", "value", "square", "zero"];

impl Sent {
    /// Returns the equations that do not hold.
    fn broken(&self) -> Vec<&'static str> {
        let holds = |equation: usize| {
            let mut batch = Batch::only(equation);
            self.add_to(&mut batch).expect("the right lengths, and small projections");
            batch.verify()
        };
        (0..).zip(EQUATIONS).filter(|(equation, _)| !holds(*equation)).map(|(_, name)| name).collect()
    }
}

#[test]
fn all_equations_of_an_honest_proof_hold() {
    assert_eq!(forgery().send(&HONEST, &mut rng(1)).broken(), EQUATIONS[..0]);
    assert_eq!(sent().broken(), EQUATIONS[..0]);
}

#[test]
fn another_norm_than_the_bound_breaks_the_square_alone() {
    for (entries, squares) in [([3, 0, 0, 0, -4, 1], [5, 5, 5, 0]), ([11, 0, 0, 0, 0, 0], [0, 0, 0, 0])] {
        let sent = Forgery::new(statement(2, 3, 10), &entries, &squares).send(&HONEST, &mut rng(1));

        assert_eq!(sent.broken(), ["square"]);
    }
}

#[test]
fn another_projection_than_the_matrix_has_breaks_the_square_alone() {
    for index in [0, 1, 200, PROJECTIONS - 1] {
        let changed = |projections: &mut Vec<i128>| projections[index] += 1;

        assert_eq!(forgery().send(&Twist { projections: &changed, ..HONEST }, &mut rng(1)).broken(), ["square"]);
    }
}

#[test]
fn evaluations_that_fit_the_sumcheck_and_not_the_rows_break_the_zero_alone() {
    // w_1 makes up for a false w_0, so that only the opening of the rows can tell.
    let shift = |end: &mut rounds::End, [of_matrix, of_masks]: [Scalar; 2]| {
        let (old, new) = (Scalar::from(end.matrix), Scalar::from(end.matrix) + Scalar::ONE);
        let change = new * new - old * old + of_matrix * (new - old);
        end.matrix = new.into();
        end.masks = (Scalar::from(end.masks) - change * of_masks.invert()).into();
    };

    assert_eq!(forgery().send(&Twist { end: &shift, ..HONEST }, &mut rng(1)).broken(), ["zero"]);
}

#[test]
fn masks_that_make_up_for_another_norm_break_the_zero_alone() {
    let statement = statement(2, 3, 10);
    // The sum of squares is one too many: what is halved in each round, the masks take off at the end.
    let excess = Scalar::from(1u64 << statement.variables()).invert();
    let make_up = |end: &mut rounds::End, [_, of_masks]: [Scalar; 2]| {
        end.masks = (Scalar::from(end.masks) - excess * of_masks.invert()).into();
    };
    let forgery = Forgery::new(statement, &[3, 0, 0, 0, -4, 1], &[5, 5, 5, 0]);

    assert_eq!(forgery.send(&Twist { end: &make_up, ..HONEST }, &mut rng(1)).broken(), ["zero"]);
}

#[test]
fn a_sumcheck_that_ends_in_another_commitment_breaks_the_square_alone() {
    let blinding = |end: &mut rounds::End, _: [Scalar; 2]| end.blinding += Scalar::ONE;

    assert_eq!(forgery().send(&Twist { end: &blinding, ..HONEST }, &mut rng(1)).broken(), ["square"]);
}

#[test]
fn another_vector_of_the_same_value_than_the_rows_give_breaks_the_folding_alone() {
    let other = |vector: &mut Vec<Field>, form: &[Field]| {
        vector[0] += form[1];
        vector[1] -= form[0];
    };

    assert_eq!(forgery().send(&Twist { vector: &other, ..HONEST }, &mut rng(1)).broken(), ["folding"]);
}

fn sent() -> Sent {
    Sent::new(statement(9, 11, 5000), &numbers(99, 100, 1), 2)
}

#[test]
fn each_last_response_stands_in_one_equation() {
    // No challenge depends on them.
    let changes: [(&str, Change); 3] = [
        ("value", |proof| proof.opening.blinding_response += Scalar::ONE),
        ("square", |proof| proof.opening.square_response += Scalar::ONE),
        ("zero", |proof| proof.opening.zero_response += Scalar::ONE),
    ];
    for (expected, change) in changes {
        let mut sent = sent();
        change(&mut sent.proof);
        assert_eq!(sent.broken(), [expected]);
    }
}

#[test]
fn commitments_to_other_rows_than_the_proofs_break_the_folding() {
    // Absorbed as they are: the proof is made for these commitments, of other rows.
    let mut rng = rng(3);
    let honest = forgery();
    let blindings: Vec<_> = (0..2).map(|_| Scalar::random(&mut rng)).collect();
    let generators = Generators::new(3);
    for (row, column) in [(0, 0), (1, 2)] {
        let mut data = honest.data();
        data[row][column] += Scalar::ONE;
        let commit = |(row, blinding): (&Vec<Scalar>, &Scalar)| Point::from(generators.commit(row, blinding));
        let commitments: Vec<_> = data.iter().zip(&blindings).map(commit).collect();
        let proof = honest.prove(&mut Sent::transcript(0, &commitments), &blindings, &HONEST, &mut rng);

        let sent = Sent { statement: honest.statement, context: 0, commitments, proof };

        assert_eq!(sent.broken(), ["folding"]);
    }
}

#[test]
fn every_byte_of_a_proof_matters() {
    let honest = sent();
    let bytes = honest.proof.to_bytes();
    let decoded = (0..bytes.len()).step_by(29).filter_map(|index| {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        Proof::from_bytes(&changed).ok()
    });
    let mut count = 0;
    for proof in decoded {
        assert!(!Sent { proof, commitments: honest.commitments.clone(), ..honest }.is_valid());
        count += 1;
    }
    assert!(count > 200, "{count} changed proofs decode");
}

type Change = fn(&mut Proof);

#[test]
fn a_proof_of_another_length_is_refused_before_anything_is_added() {
    let changes: [(&str, Change); 10] = [
        ("auxiliary rows", |proof| proof.auxiliary.truncate(proof.auxiliary.len() - 1)),
        ("auxiliary rows", |proof| proof.auxiliary.push(proof.auxiliary[0])),
        ("projections", |proof| proof.projections.truncate(proof.projections.len() - 1)),
        ("projections", |proof| proof.projections.push(0)),
        ("rounds", |proof| proof.sumcheck.rounds.truncate(1)),
        ("rounds", |proof| proof.sumcheck.rounds.push(proof.sumcheck.rounds[0].clone())),
        ("halvings", |proof| proof.vector.halvings.clear()),
        ("halvings", |proof| proof.vector.halvings.push(proof.vector.halvings[0].clone())),
        ("last entries", |proof| proof.vector.last.truncate(proof.vector.last.len() - 1)),
        ("last entries", |proof| proof.vector.last.push(Scalar::ONE)),
    ];
    for (expected, change) in changes {
        let mut sent = sent();
        change(&mut sent.proof);

        let result = sent.add_to(&mut Batch::new(&[9; 32]));

        assert!(matches!(result, Err(DeltaError::Length { part, .. }) if part == expected), "{expected}: {result:?}");
    }
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    let bad = Point::from([0xFF; 32]);
    let changes: [fn(&mut Proof, Point); 9] = [
        |proof, bad| proof.auxiliary[1] = bad,
        |proof, bad| proof.sumcheck.rounds[2].linear = bad,
        |proof, bad| proof.evaluations.0 = bad,
        |proof, bad| proof.evaluations.1 = bad,
        |proof, bad| proof.vector.vector = bad,
        |proof, bad| proof.vector.value = bad,
        |proof, bad| proof.vector.halvings[0].right = bad,
        |proof, bad| proof.opening.value = bad,
        |proof, bad| proof.opening.zero = bad,
    ];
    for change in changes {
        let mut sent = sent();
        change(&mut sent.proof, bad);
        assert!(matches!(sent.add_to(&mut Batch::new(&[9; 32])), Err(DeltaError::Point(_))));
    }
}

#[test]
fn a_proof_holds_for_its_own_statement_commitments_and_transcript_only() {
    let honest = sent();
    assert!(honest.is_valid());
    let others = Sent::new(honest.statement, &numbers(99, 100, 1), 3);

    assert!(!Sent { context: 1, ..sent() }.is_valid());
    assert!(!Sent { statement: statement(9, 11, 4999), ..sent() }.is_valid());
    assert!(!Sent { commitments: others.commitments.clone(), ..sent() }.is_valid());
    let mut swapped = sent();
    swapped.commitments.swap(3, 4);
    assert!(!swapped.is_valid());
    // As many rows, and halvings, and variables.
    assert!(!Sent { statement: statement(9, 12, 5000), ..sent() }.is_valid());
}

#[test]
fn the_whole_transcript_is_the_same_on_both_sides() {
    let sent = sent();
    let mut rng = rng(2);
    let matrix = Matrix::new(sent.statement.dimensions(), &numbers(99, 100, 1)).expect("it fits");
    let witness = Witness::new(&sent.statement, matrix, &mut rng).expect("in bounds");
    let generators = Generators::new(11);
    let blindings: Vec<_> = (0..9).map(|_| Scalar::random(&mut rng)).collect();
    let mut prover = Sent::transcript(0, &sent.commitments);
    let proof =
        Proof::prove(&mut prover, &sent.statement, &witness, &generators, &blindings, Timing::Variable, &mut rng);
    let mut verifier = Sent::transcript(0, &sent.commitments);
    let mut batch = Batch::new(&[1; 32]);
    let first = batch.insert(sent.commitments.iter().map(|point| point.decompress().expect("a commitment")));

    assert_eq!(proof.verify(&mut verifier, &sent.statement, first, &mut batch), Ok(()));

    assert_eq!(prover.challenge(Item::Challenge), verifier.challenge(Item::Challenge));
}

#[test]
fn a_batch_with_one_bad_delta_is_refused() {
    let honest = [sent(), Sent::new(statement(3, 16, 900), &numbers(48, 100, 5), 6), sent()];
    let verifies = |deltas: &[&Sent]| {
        let mut batch = Batch::new(&[3; 32]);
        deltas.iter().for_each(|sent| assert_eq!(sent.add_to(&mut batch), Ok(())));
        batch.verify()
    };
    let bad = Forgery::new(statement(2, 3, 10), &[3, 0, 0, 0, -4, 1], &[5, 5, 5, 0]).send(&HONEST, &mut rng(1));

    assert!(verifies(&[&honest[0], &honest[1], &honest[2]]));
    for position in 0..4 {
        let mut all: Vec<_> = honest.iter().collect();
        all.insert(position, &bad);
        assert!(!verifies(&all));
    }
}

/// Asserts that two proofs have no point, no response and no masked projection in common.
fn assert_disjoint(one: &Proof, two: &Proof) {
    let scalars = |proof: &Proof| {
        let opening = &proof.opening;
        let responses =
            [opening.value_response, opening.blinding_response, opening.square_response, opening.zero_response];
        let vector = [proof.vector.response, proof.vector.blinding_response];
        [&responses[..], &vector, &proof.vector.last].concat()
    };
    let points = |proof: &Proof| {
        let rounds = proof.sumcheck.rounds.iter().flat_map(|round| [round.linear, round.quadratic]);
        let halvings = proof.vector.halvings.iter().flat_map(|halving| [halving.left, halving.right]);
        let opening = [proof.opening.value, proof.opening.square, proof.opening.zero];
        let single = [proof.evaluations.0, proof.evaluations.1, proof.vector.vector, proof.vector.value];
        let all = proof.auxiliary.iter().copied().chain(rounds).chain(halvings);
        all.chain(opening).chain(single).collect::<std::collections::BTreeSet<_>>()
    };

    assert_eq!(points(one).intersection(&points(two)).count(), 0);
    assert!(scalars(one).iter().all(|scalar| !scalars(two).contains(scalar)));
    assert!(one.projections.iter().all(|value| !two.projections.contains(value)));
}

#[test]
fn two_proofs_of_one_delta_share_nothing() {
    let statement = statement(9, 11, 5000);
    let entries = numbers(99, 100, 1);
    let (one, two) = (Sent::new(statement, &entries, 2), Sent::new(statement, &entries, 3));
    assert!(one.commitments.iter().all(|point| !two.commitments.contains(point)));
    assert_disjoint(&one.proof, &two.proof);

    // Even of the same commitments: with other randomness, or in another place from a generator that is broken and repeats
    // itself.
    let matrix = Matrix::new(statement.dimensions(), &entries).expect("it fits");
    let witness = Witness::new(&statement, matrix, &mut rng(2)).expect("in bounds");
    let (generators, blindings) = (Generators::new(11), vec![Scalar::from(5u8); 9]);
    let commitments = witness.commit(&generators, &blindings, Timing::Variable);
    let prove = |context, seed| {
        let mut transcript = Sent::transcript(context, &commitments);
        let rng = &mut rng(seed);
        Proof::prove(&mut transcript, &statement, &witness, &generators, &blindings, Timing::Variable, rng)
    };
    assert!(prove(0, 4) == prove(0, 4), "a proof is a function of transcript, witness and randomness");
    assert_disjoint(&prove(0, 4), &prove(0, 5));
    assert_disjoint(&prove(0, 4), &prove(1, 4));
}

#[test]
fn masked_projections_fill_the_range_of_the_masks() {
    let sent = sent();
    let in_range = |value: &&i128| (0..1i128 << MASK_BITS).contains(*value);
    let upper = sent.proof.projections.iter().filter(|value| **value >> (MASK_BITS - 1) == 1).count();

    assert!(sent.proof.projections.iter().filter(in_range).count() == PROJECTIONS);
    assert!((120..PROJECTIONS - 120).contains(&upper), "{upper} of {PROJECTIONS} are in the upper half");
}

#[test]
fn a_matrix_that_does_not_satisfy_the_statement_makes_no_witness() {
    let statement = statement(2, 3, 5);
    let witness = |dimensions: Dimensions, numbers: &[i32]| {
        Witness::new(&statement, Matrix::new(&dimensions, numbers).expect("it fits"), &mut rng(1)).map(|_| ())
    };
    let dimensions = *statement.dimensions();
    let turned = Dimensions::new(3, 2).expect("in range");

    assert_eq!(witness(dimensions, &[3, 4]), Ok(()));
    assert_eq!(witness(dimensions, &[3, 4, 0, 0, 0, 1]), Err(WitnessError::Norm(5)));
    assert_eq!(witness(dimensions, &[i32::MIN; 6]), Err(WitnessError::Norm(5)));
    let expected = WitnessError::Dimensions { rows: 2, columns: 3, found_rows: 3, found_columns: 2 };
    assert_eq!(witness(turned, &[3, 4]), Err(expected));
    assert!(matches!(Matrix::new(&dimensions, &[0; 7]), Err(DimensionsError::Entries(7))));
}

#[test]
fn statements_out_of_range_do_not_exist() {
    let dimensions = Dimensions::new(2, 3).expect("in range");
    assert_eq!(Statement::new(dimensions, 0), Err(BoundError(0)));
    assert_eq!(Statement::new(dimensions, 1 << 31), Err(BoundError(1 << 31)));
    assert_eq!(Dimensions::new(0, 1), Err(DimensionsError::Side { rows: 0, columns: 1 }));
    assert_eq!(Dimensions::new(1, 1 << 15), Err(DimensionsError::Side { rows: 1, columns: 1 << 15 }));
    assert_eq!(Dimensions::new(1 << 14, 1 << 10), Err(DimensionsError::Entries(1 << 24)));
    let statement = statement(2, 3, 1 << 30);
    assert_eq!(Statement::from_bytes(&statement.to_bytes()), Ok(statement));
    let mut bytes = statement.to_bytes();
    bytes[8] = 0x80;
    assert!(Statement::from_bytes(&bytes).is_err());
}

#[test]
fn a_proof_has_room_for_what_one_column_needs_and_no_more() {
    let most = [1, 2, 3, 1 << 14].map(|columns| statement(1, columns, 1).auxiliary_rows());

    assert_eq!(most.into_iter().max(), Some(proof::MAX_AUXILIARY_ROWS));
}

#[test]
fn near_square_matrices_hold_their_entries() {
    let sides = |entries| Dimensions::near_square(entries).map(|found| (found.rows(), found.columns()));
    let expected = [(1, (1, 1)), (2, (1, 2)), (5, (2, 4)), (1 << 14, (128, 128)), (1 << 17, (256, 512))];
    for (entries, expected) in expected.into_iter().chain([(100_000, (196, 512)), (1 << 23, (2048, 4096))]) {
        assert_eq!(sides(entries), Ok(expected));
    }
    assert_eq!(sides(0), Err(DimensionsError::Entries(0)));
    assert_eq!(sides(MAX_ENTRIES + 1), Err(DimensionsError::Entries(MAX_ENTRIES + 1)));
}

#[test]
fn no_sum_of_squares_of_accepted_entries_wraps_around_the_order() {
    // Entries up to 4·ACCEPTED = 2^112, as many as the largest matrix and its squares' rows have, plus B² < 2^62.
    let entries = MAX_ENTRIES + 4 + crate::mask::MAX_COLUMNS as usize;
    let bits = 2 * (ACCEPTED.ilog2() + 2) + entries.next_power_of_two().ilog2();
    assert!(entries <= 1 << 24 && bits < 252, "{bits} bits");
    // The chance that a larger entry survives all projections.
    let survival = f64::from(u32::try_from(PROJECTED_ROWS).expect("small")) * (0.5 + 0.5f64.powi(3)).log2();
    assert!(survival < -128.0, "2^{survival}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_deltas_are_provable_and_their_proofs_round_trip(
        rows in 1u32..20, columns in 1u32..70, range in 0u32..1000, slack in 0u32..1000, seed: u64,
    ) {
        let dimensions = Dimensions::new(rows, columns).expect("in range");
        let numbers = numbers(dimensions.entries(), range, seed);
        let norm = Matrix::new(&dimensions, &numbers).expect("it fits").squared_norm().isqrt();
        let bound = u32::try_from(norm).expect("small") + 1 + slack;

        let sent = Sent::new(statement(rows, columns, bound), &numbers, seed);

        prop_assert!(sent.is_valid());
        prop_assert_eq!(Proof::from_bytes(&sent.proof.to_bytes()), Ok(sent.proof));
    }

    #[test]
    fn what_decodes_re_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(proof) = Proof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
        }
    }
}
