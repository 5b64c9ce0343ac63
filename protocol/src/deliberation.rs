//! What a community thinks, worked out from sums: totals, opinion map, groups, consensus, constitution.
//!
//! Each stage is a pure function of exactly what is public when it runs, so that every node, and every verifier years
//! later, recomputes the same bytes: integers, exact rationals, and `f64` only in a fixed order with +, −, ×, ÷ and √,
//! which IEEE 754 rounds alike everywhere. Nothing here reads a clock, draws randomness or sees a ballot of somebody
//! else: the secret stages happen in the round, by secure aggregation, and hand their opened sums to these functions.
//!
//! ```text
//! totals ──▶ μ, trace ──▶ plan, Ω₁ ─▶ product ─▶ Ω₂ ─▶ product ─▶ … ──▶ map ──▶ points, buckets
//!                                                                                     │
//! constitution ◀── findings (consensus, representative, divisive, routing) ◀── group tallies ◀── partition
//! ```
//!
//! | module | stage |
//! |---|---|
//! | [`tally`] | votes, totals, column means μ, trace |
//! | [`pca`] | size of the secret PCA, its public matrices Ω, the amplitude of its noise |
//! | [`map`] | axes, the linear functional of a ballot, its dither, explained variance |
//! | [`bucket`] | vote counts in eight geometric buckets |
//! | [`groups`] | opinion groups and the partition of the sealed set |
//! | [`consensus`] | group-aware consensus in exact rationals |
//! | [`statistics`] | Polis' z values, representative and majority statements |
//! | [`routing`] | extremity, divisive statements, what to show next |
//! | [`findings`] | all of the above from the group tallies |
//! | [`constitution`] | the statements that pass the community's bar |
//! | [`moral_graph`] | from value and transition polls: which values people find wiser than which |
//! | [`analyze`] | the same on a clear vote matrix, with a PCA in full precision |
//! | [`similar`] | which statements say nearly the same |
//! | [`simulate`] | the secret pipeline in the clear, for experiments |
//!
//! The formulas of group-aware consensus, representative statements and routing are those of Polis (Small et al.,
//! *Polis: Scaling deliberation by mapping high dimensional opinion spaces*, 2021). The groups are not: Polis' depend
//! on history and starting points, ours are a function of the points.

pub mod analyze;
pub mod bucket;
pub mod compare;
pub mod consensus;
pub mod constitution;
pub mod findings;
pub mod groups;
pub mod linear;
pub mod map;
pub mod matrix;
pub mod moral_graph;
pub mod pca;
pub mod routing;
pub mod similar;
pub mod simulate;
pub mod statistics;
pub mod tally;

/// Why a stage refused its input. Describes values that were opened or received, never this node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// Two inputs that describe the same poll have different sizes.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// The size required by the other inputs.
        expected: usize,
        /// The size found.
        found: usize,
    },
    /// A value is larger than any sealed set can produce.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// Checks that `found` items of `what` are the `expected` ones.
pub(crate) const fn same_size(what: &'static str, expected: usize, found: usize) -> Result<(), StageError> {
    if expected == found { Ok(()) } else { Err(StageError::Shape { what, expected, found }) }
}
