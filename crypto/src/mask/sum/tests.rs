use super::*;
use crate::{
    batch::Batch,
    mask::{
        Fold, OpenedRow,
        tests::{Sample, integer, shapes},
    },
};

const SET: Digest = [9; 32];

/// Contributions of one shape, their sums as the operators publish them, and the plain totals.
struct Round {
    shape: Shape,
    generators: Generators,
    masked: Vec<Scalar>,
    mask_sums: Vec<MaskSum>,
    commitments: Vec<RistrettoPoint>,
    totals: Vec<Vec<i64>>,
}

impl Round {
    fn new(operators: u8, shape: Shape, contributors: u8) -> Self {
        let samples: Vec<_> = (0..contributors).map(|seed| Sample::new(operators, shape, seed)).collect();
        let mut mask_sums = vec![MaskSum::new(&shape); samples[0].committee.subset_count()];
        let mut totals = vec![vec![0; shape.width()]; shape.rows()];
        for sample in &samples {
            mask_sums.iter_mut().zip(sample.expansions()).for_each(|(sum, expansion)| sum.add(&expansion));
            for (total, entry) in totals.iter_mut().flatten().zip(sample.entries.iter().flatten()) {
                *total += entry;
            }
        }
        Self {
            shape,
            generators: Generators::new(shape.columns),
            masked: sum_masked(&shape, samples.iter().map(|sample| sample.masked.as_slice())).expect("one shape"),
            mask_sums,
            commitments: sum_commitments(&shape, samples.iter().map(|sample| &sample.commitments[1..])).expect("same"),
            totals,
        }
    }

    fn open(&self) -> Result<OpenedSum, SumError> {
        open(&self.shape, &self.masked, &self.mask_sums)
    }

    fn check(&self, opened: &OpenedSum) -> Result<(), SumError> {
        check_sum(&self.generators, &self.shape, opened, &self.commitments, &SET)
    }
}

#[test]
fn opened_sums_are_the_plain_sums_and_verify() {
    for operators in [1, 4, 5, 7] {
        for shape in shapes() {
            let round = Round::new(operators, shape, 5);

            let opened = round.open().expect("an honest sum");

            assert_eq!(opened.totals, round.totals);
            assert_eq!(round.check(&opened), Ok(()));
            assert_eq!(OpenedSum::from_bytes(&opened.to_bytes()), Ok(opened));
            let sum = &round.mask_sums[0];
            assert_eq!(MaskSum::from_bytes(&sum.to_bytes()).as_ref(), Ok(sum));
        }
    }
}

#[test]
fn commitments_added_in_parts_are_those_added_at_once() {
    let shape = shapes()[0];
    let samples: Vec<_> = (0..3).map(|seed| Sample::new(4, shape, seed)).collect();
    let rows = |sample: &Sample| sample.commitments[1..].to_vec();
    let (mut sum, mut other) = (CommitmentSum::new(&shape), CommitmentSum::new(&shape));
    sum.add(&rows(&samples[0])).expect("one shape");
    samples[1..].iter().for_each(|sample| other.add(&rows(sample)).expect("one shape"));

    sum.merge(&other).expect("one shape");

    let rows: Vec<_> = samples.iter().map(rows).collect();
    assert_eq!(sum.points(), sum_commitments(&shape, rows.iter().map(Vec::as_slice)).expect("one shape"));
    let longer = CommitmentSum(vec![RistrettoPoint::identity(); shape.rows() + 1]);
    assert!(matches!(sum.merge(&longer), Err(SumError::Length { .. })));
}

#[test]
fn any_other_total_or_blinding_is_refused() {
    for shape in shapes() {
        let round = Round::new(4, shape, 3);
        let opened = round.open().expect("an honest sum");
        for row in 0..shape.rows() {
            for column in 0..shape.width() {
                let mut changed = opened.clone();
                changed.totals[row][column] += 1;
                assert_eq!(round.check(&changed), Err(SumError::Commitment));
            }
            let mut changed = opened.clone();
            changed.blindings[row] += Scalar::ONE;
            assert_eq!(round.check(&changed), Err(SumError::Commitment));
        }
        let mut moved = opened.clone();
        moved.totals[0][0] += 1;
        moved.totals[1][0] -= 1;
        assert_eq!(round.check(&moved), Err(SumError::Commitment));
        let mut negated = opened;
        negated.totals.iter_mut().flatten().for_each(|total| *total = -*total);
        assert_eq!(round.check(&negated), Err(SumError::Commitment));
    }
}

#[test]
fn a_lying_mask_sum_opens_nothing_that_verifies() {
    for shape in shapes() {
        // In the data, by little: it opens to another sum, which the commitments refute.
        let mut round = Round::new(5, shape, 3);
        round.mask_sums[2].values[0] += Field::unscaled(&Scalar::ONE);
        let opened = round.open().expect("still small");
        assert_eq!(round.check(&opened), Err(SumError::Commitment));

        // By much: it does not even unpack.
        round.mask_sums[2].values[0] += Field::unscaled(&Scalar::from(3u8).invert());
        assert_eq!(round.open(), Err(SumError::OutOfRange { row: 0 }));

        let mut round = Round::new(5, shape, 3);
        round.mask_sums[4].blindings[1] -= Scalar::ONE;
        let opened = round.open().expect("values are right");
        assert_eq!(round.check(&opened), Err(SumError::Commitment));

        let mut round = Round::new(5, shape, 3);
        round.mask_sums.pop();
        assert!(matches!(round.open(), Err(SumError::OutOfRange { .. })));
    }
}

#[test]
fn masks_expanded_on_the_way_fold_and_add_up_like_those_held_whole() {
    // Pieces end within rows, at rows and after row 0; a plan may sum the first rows alone.
    for shape in [Shape::ballot(9), Shape::new(4, 11, 31).expect("valid"), Shape::new(3, 700, 100).expect("valid")] {
        let sample = Sample::new(5, shape, 3);
        let subset = sample.committee.subsets()[2];
        let mask = Mask::new(&sample.masking.seeds()[2], &sample.context, subset, &shape);
        let whole = &sample.expansions()[2];
        let gamma = integer(-77);
        for rows in [shape.data_rows, shape.data_rows - 1] {
            let fewer = Shape::new(rows, shape.columns, shape.lane_bits).expect("valid");
            let (mut held, mut added, mut folded) = (MaskSum::new(&fewer), MaskSum::new(&fewer), MaskSum::new(&fewer));
            held.add(whole);
            added.add_mask(&mask);

            assert_eq!(mask.fold_and_add(&gamma, &mut folded), whole.fold(&gamma));
            assert_eq!((&added, &folded), (&held, &held));
            added.subtract_mask(&mask);
            assert_eq!(added, MaskSum::new(&fewer));
        }
        assert_eq!(mask.fold(&gamma), whole.fold(&gamma));
    }
}

#[test]
fn the_combination_of_the_largest_totals_does_not_overflow() {
    let weight = Scalar::from(u128::MAX);
    for total in [i64::MIN, i64::MAX, -1] {
        let rows = MAX_DATA_ROWS as usize;
        let sums = combine_totals(&vec![vec![total]; rows], &vec![weight; rows], 1);

        assert_eq!(sums, [weight * signed(total) * Scalar::from(MAX_DATA_ROWS)]);
    }
}

#[test]
fn a_sum_over_another_set_does_not_verify() {
    let shape = Shape::ballot(4);
    let (three, four) = (Round::new(4, shape, 3), Round::new(4, shape, 4));

    assert!(matches!(open(&shape, &four.masked, &three.mask_sums), Err(SumError::OutOfRange { .. })));
    assert_eq!(four.check(&three.open().expect("honest")), Err(SumError::Commitment));
}

#[test]
fn an_entry_that_left_its_lane_is_caught_by_the_commitments() {
    let shape = Shape::new(2, 4, 12).expect("valid");
    let round = Round::new(1, shape, 9);
    // Entries reach ±1000 each, lanes hold ±2047: some totals overflow.
    assert!(round.totals.iter().flatten().any(|total| total.abs() > 2047));

    if let Ok(opened) = round.open() {
        assert_eq!(round.check(&opened), Err(SumError::Commitment));
    }
}

#[test]
fn parts_of_another_shape_are_refused() {
    let round = Round::new(4, Shape::ballot(4), 2);
    let opened = round.open().expect("honest");
    let length = |result: Result<(), SumError>| matches!(result, Err(SumError::Length { .. }));

    let mut short = opened.clone();
    short.totals.pop();
    assert!(length(round.check(&short)));
    let mut short = opened.clone();
    short.blindings.pop();
    assert!(length(round.check(&short)));
    let mut wide = opened.clone();
    wide.totals[0].push(0);
    assert!(length(round.check(&wide)));
    let fewer = &round.commitments[1..];
    assert!(length(check_sum(&round.generators, &round.shape, &opened, fewer, &SET)));
    assert!(length(check_sum(&Generators::new(2), &round.shape, &opened, &round.commitments, &SET)));
    assert!(length(open(&round.shape, &round.masked[1..], &round.mask_sums).map(drop)));
    assert!(length(open(&round.shape, &round.masked, &[MaskSum::new(&Shape::ballot(3))]).map(drop)));
    assert!(length(sum_masked(&round.shape, [round.masked.as_slice()]).map(drop)));
    assert!(length(sum_commitments(&round.shape, [fewer]).map(drop)));
}

#[test]
fn a_linear_function_of_one_contribution_opens_and_verifies() {
    for shape in shapes() {
        let sample = Sample::new(5, shape, 6);
        let coefficients = [(0, integer(3)), (2, integer(-2))];
        let parts: Vec<Fold> = sample.expansions().iter().map(|mask| mask.functional(&coefficients)).collect();
        let verify = |opened: &OpenedRow, coefficients: &[(u32, Scalar)]| {
            let mut batch = Batch::new(&[1; 32]);
            let first = batch.insert(sample.commitments[1..].iter().copied());
            opened.check(&shape, coefficients, first, &mut batch).expect("well-formed");
            batch.verify()
        };

        let opened = OpenedRow::open(&shape, &sample.masked, &coefficients, &parts).expect("honest");

        for (column, entry) in opened.entries.iter().enumerate() {
            assert_eq!(*entry, 3 * sample.entries[0][column] - 2 * sample.entries[2][column]);
        }
        assert!(verify(&opened, &coefficients));
        assert!(!verify(&opened, &[(0, integer(3)), (2, integer(-1))]));
        assert!(!verify(&opened, &[(0, integer(3)), (1, integer(-2))]));
        let mut changed = opened.clone();
        changed.entries[0] += 1;
        assert!(!verify(&changed, &coefficients));
        let mut changed = opened.clone();
        changed.blinding += Scalar::ONE;
        assert!(!verify(&changed, &coefficients));

        let mut lying = parts.clone();
        lying[1].values[0] += Scalar::ONE;
        let opened = OpenedRow::open(&shape, &sample.masked, &coefficients, &lying).expect("still small");
        assert!(!verify(&opened, &coefficients));
        let row = shape.data_rows;
        let beyond = OpenedRow::open(&shape, &sample.masked, &[(row, Scalar::ONE)], &parts);
        assert_eq!(beyond, Err(SumError::Row(row)));
    }
}
