//! The delta: a committed matrix of small integers, and the proof that its norm is within a bound.
//!
//! ```text
//! { (C_r, B; U, ρ) :  C_r = ⟨U_r, G⟩ + ρ_r·B'  ∧  Σ u² ≤ B²  over the integers }
//! ```
//!
//! 1. The participant finds four integers with `Σ u² + Σ s² = B²` (Lagrange) and commits to them, so that the statement
//!    becomes an equation and the norm itself stays hidden.
//! 2. *No wrap*: 189 random rows a_s, with two columns b_{s,t} each, and the participant publishes
//!    `z_{s,t} = a_sᵀ·U·b_{s,t} + y_{s,t}`, masked by committed numbers y. They are small only if all entries are, and the
//!    squares of small entries do not wrap around ℓ.
//! 3. One [`sumcheck`](crate::sumcheck) over columns and rows for the norm and all 378 projections at once.
//! 4. One evaluation of the matrix, opened against `Σ_r eq_r·C_r` ([`opening`](crate::opening)).
//!
//! Transcript, constants and arguments: the crate's front page, *Delta*.

mod fixed;
mod projection;
mod proof;
mod rounds;
mod squares;
mod statement;
mod witness;

pub use fixed::{Dimensions, DimensionsError, MAX_ENTRIES, Matrix};
pub use proof::{DeltaError, Proof};
pub use squares::four_squares;
pub use statement::{ACCEPTED, BoundError, MASK_BITS, PROJECTED_COLUMNS, PROJECTED_ROWS, PROJECTIONS, Statement};
pub use witness::{Witness, WitnessError};

#[cfg(test)]
mod tests;
