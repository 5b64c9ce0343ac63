//! What is opened of a sealed set, and nothing else: sums over blocks, or fixed linear functions of single ballots.
//!
//! A plan is a function of the log alone. Its digest is what an operator's open-once lock holds, so that no second,
//! slightly different plan can be answered: differencing two sums over sets that differ by one ballot would open it.
//! The three sides of an opening are written for both kinds of plan at once:
//!
//! * [`OpeningPlan::mask_part`]: an operator sums the masks of one T;
//! * [`OpeningPlan::open`]: whoever has all parts and the masked vectors removes the masks;
//! * [`OpeningPlan::check`]: anyone checks the values against the commitments.

use std::borrow::Cow;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::Batch,
    codec::{Decode, DecodeError, Encode, Reader, put_seq},
    domain,
    group::{Generators, Point, PointError},
    hash::{self, Digest},
    mask::{
        CommitmentSum, Expansion, Fold, MaskSum, MaskedSum, OpenedRow, OpenedSum, Shape, SumError, Unmasking, check_sum,
    },
    wire_enum, wire_struct,
};
use rayon::prelude::*;

use crate::{fault::Fault, limits};

/// Why an opening is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The parts or values do not fit the plan or the shape.
    #[error("{0}")]
    Sum(#[from] SumError),
    /// A commitment is not a point.
    #[error("commitment: {0}")]
    Point(#[from] PointError),
    /// The plan speaks of a ballot whose body is not at hand.
    #[error("the body of ballot {0} is missing")]
    Missing(u32),
    /// Values of one kind of plan were given for the other, or another number of them.
    #[error("the values do not fit the plan")]
    Plan,
    /// A block is smaller than the floor, or two blocks overlap.
    #[error("block {block} has {found} ballots, the floor is {floor}, and blocks must not overlap")]
    Floor {
        /// The block.
        block: usize,
        /// The community's floor.
        floor: usize,
        /// The number of ballots that no earlier block has.
        found: usize,
    },
    /// The sum of a block does not open the sum of its commitments.
    #[error("the sum of block {block} does not open the sum of the commitments{}", at(.row))]
    Block {
        /// The block.
        block: usize,
        /// The first data row for which it does not, if one alone can be named.
        row: Option<usize>,
    },
    /// The values that were opened of one ballot do not open its commitments.
    #[error("function {functional} of ballot {ballot} does not open its commitments")]
    Ballot {
        /// The ballot's place in the sealed set, from 0.
        ballot: u32,
        /// Which of the plan's functions, from 0.
        functional: usize,
    },
}

fn at(row: &Option<usize>) -> String {
    row.map_or_else(String::new, |row| format!(" in row {row}"))
}

/// The commitments to the data rows of one ballot.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// As they travel.
    Encoded(&'a [Point]),
    /// As group elements: whoever has decoded them need not do so again.
    Decoded(&'a [RistrettoPoint]),
}

impl<'a> From<&'a [Point]> for Rows<'a> {
    fn from(rows: &'a [Point]) -> Self {
        Self::Encoded(rows)
    }
}

impl<'a> From<&'a [RistrettoPoint]> for Rows<'a> {
    fn from(rows: &'a [RistrettoPoint]) -> Self {
        Self::Decoded(rows)
    }
}

impl<'a> Rows<'a> {
    /// Returns the first `count` rows.
    fn first(self, count: usize) -> Result<Cow<'a, [RistrettoPoint]>, OpeningError> {
        match self {
            Self::Encoded(rows) => {
                let rows = rows.get(..count).ok_or(OpeningError::Plan)?;
                Ok(Cow::Owned(rows.iter().map(Point::decompress).collect::<Result<_, _>>()?))
            }
            Self::Decoded(rows) => rows.get(..count).map(Cow::Borrowed).ok_or(OpeningError::Plan),
        }
    }

    fn row(self, row: u32) -> Result<RistrettoPoint, OpeningError> {
        match self {
            Self::Encoded(rows) => Ok(rows.get(row as usize).ok_or(OpeningError::Plan)?.decompress()?),
            Self::Decoded(rows) => rows.get(row as usize).copied().ok_or(OpeningError::Plan),
        }
    }
}

/// Ballots whose commitments are added up, or whose opened values are checked, together: on one core each.
const TOGETHER: usize = 128;

/// Ballots summed together, by their index in the sealed set, ascending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// The ballots.
    pub ballots: Vec<u32>,
}
wire_struct!(Block { ballots[limits::MAX_MEMBERS] });

/// A linear function of one ballot: coefficients by data row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Functional {
    /// Pairs of a 0-based data row and its coefficient, ascending, none zero.
    pub coefficients: Vec<(u32, i64)>,
}
wire_struct!(Functional { coefficients[limits::MAX_ROWS] });

impl Functional {
    fn scalars(&self) -> Vec<(u32, Scalar)> {
        self.coefficients.iter().map(|(row, coefficient)| (*row, signed(*coefficient))).collect()
    }
}

fn signed(value: i64) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// Sums of the first `rows` data rows over each block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SumPlan {
    /// How many data rows are summed; the rest are in no sum.
    pub rows: u32,
    /// The blocks.
    pub blocks: Vec<Block>,
}
wire_struct!(SumPlan { rows, blocks[limits::MAX_BLOCKS] });

/// Linear functions of single ballots: the same ones for each ballot listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionalPlan {
    /// The ballots.
    pub ballots: Block,
    /// The functions.
    pub functionals: Vec<Functional>,
}
wire_struct!(FunctionalPlan { ballots, functionals[limits::MAX_FUNCTIONALS] });

/// What a step opens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OpeningPlan {
    /// Sums over blocks.
    Sums(SumPlan),
    /// Linear functions of single ballots.
    Functionals(FunctionalPlan),
}
wire_enum!(OpeningPlan { 1 => Sums(plan), 2 => Functionals(plan) });

/// The part of an opening that the masks of one T make up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MaskPart {
    /// One sum for each block.
    Sums(Vec<MaskSum>),
    /// One fold for each ballot and function, ballot by ballot.
    Functionals(Vec<Fold>),
}

/// What a step opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OpenedStep {
    /// One sum for each block.
    Sums(Vec<OpenedSum>),
    /// One value for each ballot and function, ballot by ballot.
    Functionals(Vec<OpenedRow>),
}

macro_rules! two_lists {
    ($name:ident) => {
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    Self::Sums(sums) => {
                        out.push(1);
                        put_seq(out, sums);
                    }
                    Self::Functionals(values) => {
                        out.push(2);
                        put_seq(out, values);
                    }
                }
            }
        }
        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match u8::decode(input)? {
                    1 => Ok(Self::Sums(input.seq(limits::MAX_BLOCKS)?)),
                    2 => Ok(Self::Functionals(input.seq(limits::MAX_FUNCTIONALS * limits::MAX_MEMBERS)?)),
                    found => Err(DecodeError::UnknownTag { of: stringify!($name), found: found.into() }),
                }
            }
        }
    };
}
two_lists!(MaskPart);
two_lists!(OpenedStep);

impl OpeningPlan {
    /// Returns the plan's digest: the value of the open-once lock.
    pub fn digest(&self) -> Digest {
        hash::digest(domain::OPENING, self)
    }

    /// Checks the small-set rule: blocks do not overlap and none is below the floor.
    ///
    /// # Errors
    ///
    /// Returns [`OpeningError::Floor`] naming the first block that breaks it.
    pub fn check_floor(&self, floor: usize) -> Result<(), OpeningError> {
        let Self::Sums(plan) = self else { return Ok(()) };
        let mut seen = std::collections::BTreeSet::new();
        for (block, members) in plan.blocks.iter().enumerate() {
            let found = members.ballots.iter().filter(|ballot| seen.insert(**ballot)).count();
            if found < floor || found != members.ballots.len() {
                return Err(OpeningError::Floor { block, floor, found });
            }
        }
        Ok(())
    }

    /// Sums the masks of one T. `expand` gives the mask of a ballot.
    ///
    /// # Errors
    ///
    /// Returns [`OpeningError::Missing`] if `expand` has none.
    pub fn mask_part(
        &self,
        shape: &Shape,
        expand: impl Fn(u32) -> Option<Expansion>,
    ) -> Result<MaskPart, OpeningError> {
        let expansion = |ballot: u32| expand(ballot).ok_or(OpeningError::Missing(ballot));
        match self {
            Self::Sums(plan) => {
                let shape = summed(shape, plan.rows)?;
                let sum = |block: &Block| {
                    let mut sum = MaskSum::new(&shape);
                    block.ballots.iter().try_for_each(|ballot| expansion(*ballot).map(|mask| sum.add(&mask)))?;
                    Ok(sum)
                };
                Ok(MaskPart::Sums(plan.blocks.iter().map(sum).collect::<Result<_, OpeningError>>()?))
            }
            Self::Functionals(plan) => {
                let functionals: Vec<_> = plan.functionals.iter().map(Functional::scalars).collect();
                check_functionals(shape, plan)?;
                let mut folds = Vec::with_capacity(plan.ballots.ballots.len() * functionals.len());
                for ballot in &plan.ballots.ballots {
                    let mask = expansion(*ballot)?;
                    folds.extend(functionals.iter().map(|functional| mask.functional(functional)));
                }
                Ok(MaskPart::Functionals(folds))
            }
        }
    }

    /// Removes the masks. `masked` gives the masked vector E of a ballot; `parts` are those of all T.
    ///
    /// # Errors
    ///
    /// Returns an [`OpeningError`] if something is missing, has another shape, or a value is out of range.
    pub fn open<'a>(
        &self,
        shape: &Shape,
        masked: impl Fn(u32) -> Option<&'a [Scalar]>,
        parts: &[MaskPart],
    ) -> Result<OpenedStep, OpeningError> {
        let mut uncovering = Uncovering::new(self.clone(), shape)?;
        while let Some(ballot) = { uncovering.upcoming().next() } {
            uncovering.take(masked(ballot).ok_or(OpeningError::Missing(ballot))?, parts)?;
        }
        uncovering.finish(parts)
    }

    /// Checks opened values against the commitments to the data rows of each ballot.
    ///
    /// `set` is the digest of the sealed set; the coefficients of the combined check follow from it, from the plan and
    /// from the values (DESIGN §5.4.4).
    ///
    /// # Errors
    ///
    /// Returns [`OpeningError::Block`] or [`OpeningError::Ballot`] if the values are not those that were committed to.
    pub fn check<'a, R: Into<Rows<'a>>>(
        &self,
        shape: &Shape,
        opened: &OpenedStep,
        commitments: impl Fn(u32) -> Option<R> + Sync,
        set: &Digest,
    ) -> Result<(), OpeningError> {
        let commitments = |ballot: u32| commitments(ballot).map(Into::into).ok_or(OpeningError::Missing(ballot));
        match (self, opened) {
            (Self::Sums(plan), OpenedStep::Sums(sums)) if sums.len() == plan.blocks.len() => {
                let shape = summed(shape, plan.rows)?;
                let bound = hash::digest(domain::SUM_CHECK, &(*set, self.digest()));
                for (number, (block, sum)) in plan.blocks.iter().zip(sums).enumerate() {
                    check_block(number, block, &shape, sum, &commitments, &bound)?;
                }
                Ok(())
            }
            (Self::Functionals(plan), OpenedStep::Functionals(values))
                if values.len() == plan.ballots.ballots.len() * plan.functionals.len() =>
            {
                let mut bytes = set.to_vec();
                self.digest().encode(&mut bytes);
                opened.encode(&mut bytes);
                check_values(plan, shape, values, &commitments, &hash::digest_bytes(domain::SUM_CHECK, &bytes))
            }
            (Self::Sums(_) | Self::Functionals(_), OpenedStep::Sums(_) | OpenedStep::Functionals(_)) => {
                Err(OpeningError::Plan)
            }
        }
    }
}

/// Checks the sum of a block against its ballots' commitments.
fn check_block<'a>(
    number: usize,
    block: &Block,
    shape: &Shape,
    sum: &OpenedSum,
    commitments: &(impl Fn(u32) -> Result<Rows<'a>, OpeningError> + Sync),
    bound: &Digest,
) -> Result<(), OpeningError> {
    let part = |ballots: &[u32]| {
        let mut sum = CommitmentSum::new(shape);
        for ballot in ballots {
            sum.add(&commitments(*ballot)?.first(shape.rows())?)?;
        }
        Ok::<_, OpeningError>(sum)
    };
    let merged = |mut sum: CommitmentSum, other: CommitmentSum| {
        sum.merge(&other)?;
        Ok(sum)
    };
    let parts = block.ballots.par_chunks(TOGETHER).map(part);
    let total = parts.try_reduce(|| CommitmentSum::new(shape), merged)?;
    let generators = Generators::new(shape.columns);
    match check_sum(&generators, shape, sum, total.points(), bound) {
        Err(SumError::Commitment) => {
            let row = total.points().iter().zip(sum.totals.iter().zip(&sum.blindings));
            let is_false = |(point, (totals, blinding)): (&RistrettoPoint, (&Vec<i64>, &Scalar))| {
                let values: Vec<Scalar> = totals.iter().copied().map(signed).collect();
                generators.commit(&values, blinding) != *point
            };
            Err(OpeningError::Block { block: number, row: row.into_iter().position(is_false) })
        }
        checked => Ok(checked?),
    }
}

/// Checks the values of single ballots, many together; `seed` depends on all of them.
fn check_values<'a>(
    plan: &FunctionalPlan,
    shape: &Shape,
    values: &[OpenedRow],
    commitments: &(impl Fn(u32) -> Result<Rows<'a>, OpeningError> + Sync),
    seed: &Digest,
) -> Result<(), OpeningError> {
    let (rows, functionals) = compact(&plan.functionals);
    if functionals.is_empty() {
        return Ok(());
    }
    let add = |ballot: u32, values: &[OpenedRow], batch: &mut Batch| {
        let commitments = commitments(ballot)?;
        let points: Result<Vec<_>, OpeningError> = rows.iter().map(|row| commitments.row(*row)).collect();
        let first = batch.insert(points?);
        let mut all = functionals.iter().zip(values);
        all.try_for_each(|(functional, value)| value.check(shape, functional, first, batch))?;
        Ok::<_, OpeningError>(())
    };
    let check = |(number, (ballots, values)): (usize, (&[u32], &[OpenedRow]))| {
        let each = || ballots.iter().copied().zip(values.chunks(functionals.len()));
        let mut batch = Batch::new(&hash::digest(domain::BATCH, &(*seed, number as u64)));
        each().try_for_each(|(ballot, values)| add(ballot, values, &mut batch))?;
        if batch.verify() {
            return Ok(());
        }
        for (ballot, values) in each() {
            for functional in 0..functionals.len() {
                let mut batch = Batch::only(functional);
                add(ballot, values, &mut batch)?;
                if !batch.verify() {
                    return Err(OpeningError::Ballot { ballot, functional });
                }
            }
        }
        unreachable!("if each equation holds, so does their sum")
    };
    let ballots = plan.ballots.ballots.par_chunks(TOGETHER);
    ballots.zip(values.par_chunks(TOGETHER * functionals.len())).enumerate().map(check).collect()
}

/// An opening that takes the masked vectors one after the other: those of an adapter round do not fit into memory together.
#[derive(Clone, Debug)]
pub struct Uncovering {
    plan: OpeningPlan,
    shape: Shape,
    /// Blocks that are summed, or the values of single ballots, as far as they are taken.
    sums: Vec<MaskedSum>,
    values: Vec<OpenedRow>,
    functionals: Vec<Vec<(u32, Scalar)>>,
    /// The block and the ballot in it that is next.
    at: (usize, usize),
}

impl Uncovering {
    /// Begins an opening of contributions of this shape.
    ///
    /// # Errors
    ///
    /// Returns [`OpeningError::Plan`] if the plan sums rows that the contributions do not have.
    pub fn new(plan: OpeningPlan, shape: &Shape) -> Result<Self, OpeningError> {
        let (mut sums, mut functionals, mut shape) = (Vec::new(), Vec::new(), *shape);
        match &plan {
            OpeningPlan::Sums(of_blocks) => {
                shape = summed(&shape, of_blocks.rows)?;
                sums = vec![MaskedSum::new(&shape); of_blocks.blocks.len()];
            }
            OpeningPlan::Functionals(of_ballots) => {
                functionals = of_ballots.functionals.iter().map(Functional::scalars).collect();
            }
        }
        let mut begun = Self { plan, shape, sums, values: Vec::new(), functionals, at: (0, 0) };
        begun.pass_empty_blocks();
        Ok(begun)
    }

    fn block(&self, number: usize) -> Option<&Block> {
        match &self.plan {
            OpeningPlan::Sums(plan) => plan.blocks.get(number),
            OpeningPlan::Functionals(plan) => Some(&plan.ballots).filter(|_| number == 0),
        }
    }

    fn pass_empty_blocks(&mut self) {
        while self.block(self.at.0).is_some_and(|block| block.ballots.len() <= self.at.1) {
            self.at = (self.at.0 + 1, 0);
        }
    }

    /// Returns the ballots whose masked vectors are taken next, in order.
    pub fn upcoming(&self) -> impl Iterator<Item = u32> {
        let (block, place) = self.at;
        let rest = self.block(block).and_then(|block| block.ballots.get(place..)).unwrap_or_default();
        let later = (block + 1..).map_while(|number| self.block(number)).flat_map(|block| &block.ballots);
        rest.iter().chain(later).copied()
    }

    /// Returns whether all masked vectors were taken.
    pub fn is_whole(&self) -> bool {
        self.upcoming().next().is_none()
    }

    /// Takes the masked vector E of the first [upcoming](Self::upcoming) ballot; `parts` are those of all T.
    ///
    /// # Errors
    ///
    /// Returns an [`OpeningError`] if it has another shape, or a value is out of range.
    pub fn take(&mut self, masked: &[Scalar], parts: &[MaskPart]) -> Result<(), OpeningError> {
        match &self.plan {
            OpeningPlan::Sums(_) => {
                let sum = self.sums.get_mut(self.at.0).ok_or(OpeningError::Plan)?;
                sum.add(masked.get(..self.shape.scalars()).ok_or(OpeningError::Plan)?)?;
            }
            OpeningPlan::Functionals(_) => {
                for functional in &self.functionals {
                    let index = self.values.len();
                    let folds: Vec<Fold> = parts.iter().map(|part| part.fold(index)).collect::<Result<_, _>>()?;
                    self.values.push(OpenedRow::open(&self.shape, masked, functional, &folds)?);
                }
            }
        }
        self.at.1 += 1;
        self.pass_empty_blocks();
        Ok(())
    }

    /// Removes the masks. `parts` are those of all T.
    ///
    /// # Errors
    ///
    /// Returns [`OpeningError::Missing`] if not all were taken, and others if the parts do not fit.
    pub fn finish(self, parts: &[MaskPart]) -> Result<OpenedStep, OpeningError> {
        if let Some(ballot) = self.upcoming().next() {
            return Err(OpeningError::Missing(ballot));
        }
        match &self.plan {
            OpeningPlan::Sums(_) => {
                let open = |(index, sum): (usize, MaskedSum)| {
                    let mut unmasking = Unmasking::new(sum);
                    parts.iter().try_for_each(|part| Ok::<_, OpeningError>(unmasking.remove(part.sum(index)?)?))?;
                    Ok(unmasking.finish()?)
                };
                let opened = self.sums.into_iter().enumerate().map(open).collect::<Result<_, OpeningError>>()?;
                Ok(OpenedStep::Sums(opened))
            }
            OpeningPlan::Functionals(_) => Ok(OpenedStep::Functionals(self.values)),
        }
    }
}

impl MaskPart {
    fn sum(&self, index: usize) -> Result<&MaskSum, OpeningError> {
        match self {
            Self::Sums(sums) => sums.get(index).ok_or(OpeningError::Plan),
            Self::Functionals(_) => Err(OpeningError::Plan),
        }
    }

    fn fold(&self, index: usize) -> Result<Fold, OpeningError> {
        match self {
            Self::Functionals(folds) => folds.get(index).cloned().ok_or(OpeningError::Plan),
            Self::Sums(_) => Err(OpeningError::Plan),
        }
    }
}

/// The rows that some function uses, ascending, and the functions in terms of places in that list.
fn compact(functionals: &[Functional]) -> (Vec<u32>, Vec<Vec<(u32, Scalar)>>) {
    let used: std::collections::BTreeSet<u32> =
        functionals.iter().flat_map(|functional| &functional.coefficients).map(|(row, _)| *row).collect();
    let rows: Vec<u32> = used.into_iter().collect();
    let place = |(row, coefficient): (u32, Scalar)| {
        let place = rows.binary_search(&row).expect("every row of a function is listed");
        (u32::try_from(place).expect("there are fewer rows than row numbers"), coefficient)
    };
    let functionals =
        functionals.iter().map(|functional| functional.scalars().into_iter().map(place).collect()).collect();
    (rows, functionals)
}

/// The shape of the rows that are summed: the first `rows` of the committed ones.
fn summed(shape: &Shape, rows: u32) -> Result<Shape, OpeningError> {
    if rows > shape.data_rows {
        return Err(OpeningError::Plan);
    }
    Shape::new(rows, shape.columns, shape.lane_bits).map_err(|_| OpeningError::Plan)
}

fn check_functionals(shape: &Shape, plan: &FunctionalPlan) -> Result<(), OpeningError> {
    let rows = plan.functionals.iter().flat_map(|functional| &functional.coefficients);
    if rows.into_iter().all(|(row, _)| *row < shape.data_rows) { Ok(()) } else { Err(OpeningError::Plan) }
}

impl From<OpeningError> for Fault {
    fn from(_: OpeningError) -> Self {
        Self::Mismatch("an opening")
    }
}
