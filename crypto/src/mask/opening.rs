//! Opening a linear function of the rows of *one* contribution.
//!
//! Holders publish `Σ_r c_r·PRG(σ_T)_r` with its blinding (see [`Expansion::functional`](crate::mask::Expansion)) for
//! coefficients c that the log fixed; everybody computes `Σ_r c_r·U_r` and checks it against `Σ_r c_r·C_r`. Which
//! functions may be opened without hurting anybody is for the protocol to say: nothing here remembers what was opened.

use curve25519_dalek::scalar::Scalar;

use crate::{
    batch::{Batch, Equation},
    group::Base,
    mask::{
        Fold, Shape,
        shape::MAX_COLUMNS,
        sum::{SumError, expect_length, signed},
    },
    wire_struct,
};

/// `Σ_r c_r·U_r` of one contribution, and the same combination of its blindings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenedRow {
    /// One value per column.
    pub entries: Vec<i64>,
    /// `Σ_r c_r·ρ_r`.
    pub blinding: Scalar,
}
wire_struct!(OpenedRow { entries[MAX_COLUMNS as usize], blinding });

impl OpenedRow {
    /// Removes the masks from `Σ_r c_r·E_r` with the parts of all T.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] or [`SumError::Row`] for parts or coefficients of another shape and
    /// [`SumError::OutOfRange`] if a value does not fit its lane.
    pub fn open(
        shape: &Shape,
        masked: &[Scalar],
        coefficients: &[(u32, Scalar)],
        parts: &[Fold],
    ) -> Result<Self, SumError> {
        let mut values = masked_functional(shape, masked, coefficients)?;
        let mut blinding = Scalar::ZERO;
        for part in parts {
            expect_length("functional", shape.packed(), part.values.len())?;
            values.iter_mut().zip(&part.values).for_each(|(sum, value)| *sum += value);
            blinding += part.blinding;
        }
        let entries = shape.unpack(&values).ok_or(SumError::OutOfRange { row: 0 })?;
        Ok(Self { entries, blinding })
    }

    /// Adds `⟨Σ c_r·U_r, G⟩ + Σ c_r·ρ_r·B' − Σ c_r·C_r = 0` to a batch in which the commitment of data row 0 stands at
    /// index `first_data`.
    ///
    /// # Errors
    ///
    /// Returns [`SumError::Length`] or [`SumError::Row`] for another shape.
    pub fn check(
        &self,
        shape: &Shape,
        coefficients: &[(u32, Scalar)],
        first_data: usize,
        batch: &mut Batch,
    ) -> Result<(), SumError> {
        expect_length("columns", shape.width(), self.entries.len())?;
        check_rows(shape, coefficients)?;
        let weight = batch.equation(Equation::Functional);
        for (column, entry) in (0..).zip(&self.entries) {
            batch.add_fixed(weight, Base::Column(column), signed(*entry));
        }
        batch.add_fixed(weight, Base::Blinding, self.blinding);
        for (row, coefficient) in coefficients {
            batch.add(weight, first_data + *row as usize, -coefficient);
        }
        Ok(())
    }
}

/// Returns `Σ_r c_r·E_r` over pairs of a 0-based data row and its coefficient.
///
/// # Errors
///
/// Returns [`SumError::Length`] if the masked vector has another length and [`SumError::Row`] if there is no such row.
pub fn masked_functional(
    shape: &Shape,
    masked: &[Scalar],
    coefficients: &[(u32, Scalar)],
) -> Result<Vec<Scalar>, SumError> {
    expect_length("masked vector", shape.scalars(), masked.len())?;
    check_rows(shape, coefficients)?;
    let mut sums = vec![Scalar::ZERO; shape.packed()];
    for (row, coefficient) in coefficients {
        let start = (1 + *row as usize) * shape.packed();
        sums.iter_mut().zip(&masked[start..]).for_each(|(sum, value)| *sum += coefficient * value);
    }
    Ok(sums)
}

fn check_rows(shape: &Shape, coefficients: &[(u32, Scalar)]) -> Result<(), SumError> {
    match coefficients.iter().find(|(row, _)| *row >= shape.data_rows) {
        Some((row, _)) => Err(SumError::Row(*row)),
        None => Ok(()),
    }
}
