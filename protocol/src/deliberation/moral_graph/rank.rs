//! PageRank in a fixed order of operations.

use crate::deliberation::linear::real;

/// The share of a rank that follows the links. The rest goes to all nodes alike.
const DAMPING: f64 = 0.85;

/// Rounds. A fixed number: a test for convergence would be one more thing to agree on. What is left is below 0.85^100 < 10^-7.
const ROUNDS: usize = 100;

/// A link from one node to another, with a weight ≥ 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// From where.
    pub(super) from: usize,
    /// To where.
    pub(super) to: usize,
    /// The weight.
    pub(super) weight: f64,
}

/// What becomes of the rank of a node without a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sinks {
    /// All nodes get it alike.
    Spread,
    /// Nobody gets it.
    Leak,
}

/// Returns the rank of each of `nodes` nodes.
pub(super) fn page_rank(nodes: usize, links: &[Link], sinks: Sinks) -> Vec<f64> {
    let count = real(nodes as i128);
    let mut leaving = vec![0.0; nodes];
    for link in links {
        leaving[link.from] += link.weight;
    }
    let mut ranks = vec![1.0 / count; nodes];
    for _ in 0..ROUNDS {
        let stuck = ranks.iter().zip(&leaving).filter(|(_, leaving)| **leaving <= 0.0);
        let spread = match sinks {
            Sinks::Spread => DAMPING * stuck.fold(0.0, |sum, (rank, _)| sum + rank) / count,
            Sinks::Leak => 0.0,
        };
        let mut next = vec![(1.0 - DAMPING) / count + spread; nodes];
        for link in links.iter().filter(|link| leaving[link.from] > 0.0) {
            next[link.to] += DAMPING * ranks[link.from] * link.weight / leaving[link.from];
        }
        ranks = next;
    }
    ranks
}
