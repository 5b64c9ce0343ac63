//! What it takes that everybody follows a cohort's log: counted from the log, not played.
//!
//! A node that is connected with an operator asks operators for the log and nobody else, so the count has operators serve
//! all of it, in equal parts. Whoever is connected with none asks other participants instead, which takes as many bytes from
//! operators' lines and puts them on theirs.

use super::{Options, network::line_micros};

/// Bytes of a member's leaf.
const LEAF_BYTES: u64 = 32;

/// Bytes that a participant reads to follow a round, and who gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Following {
    /// What each participant reads: its cohort's members, the log, what was opened.
    pub read: u64,
    /// What an operator sends for that.
    pub served: u64,
    /// For how long its line is busy with that alone, in seconds.
    pub line_seconds: f64,
}

impl Following {
    /// Returns what it takes that so many people, served by so many operators, read so many bytes each.
    pub(super) fn of(options: &Options, (people, operators): (u64, u64), read: u64) -> Self {
        let served = people * read / operators.max(1);
        let micros = line_micros(usize::try_from(served).unwrap_or(usize::MAX), options.links.operator_rate);
        Self { read, served, line_seconds: micros as f64 / 1e6 }
    }
}

/// Returns how many bytes the leaves of so many members have.
pub(super) const fn leaves(members: u64) -> u64 {
    members * LEAF_BYTES
}
