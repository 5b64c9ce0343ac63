//! The moral graph: which values people find wiser than which, where, and how sure they are of it.
//!
//! After Democratic Fine-Tuning (Klingefjord, Lowe & Edelman, *What are human values, and how do we align AI to them?*,
//! 2024). Its nodes are values cards; an edge from A to B says that people who were asked "in this context, does
//! somebody become wiser who moves from A to B?" said yes. What goes in are totals of items, so no ballot is needed:
//! *yes* is agree, *no* is disagree, *unsure* is pass.
//!
//! ```text
//! cards, value totals, transition totals ──▶ merges applied ──▶ pairs counted ──▶ filters ──▶ PageRank, wisdom ──▶ export
//! ```
//!
//! Every number is the same on every node: counts and entropies are integers, filters compare exact fractions, and the
//! rest is `f64` with +, × and ÷ in the order of the cards' ids.
//!
//! | module | what |
//! |---|---|
//! | [`card`] | values cards and transitions, and the one text that an item of a poll has for each |
//! | [`votes`] | totals by card and by transition, and how a [`CountingRule`] counts pairs |
//! | [`merges`] | which card stands for which |
//! | [`entry`] | how operators say so on the log |
//! | [`entropy`] | logarithms and entropies in integers |
//! | [`export`] | the published JSON form |
//! | [`showing`] | what somebody is shown next |
//! | [`nearness`] | how near cards are in their words |

pub mod card;
pub mod entropy;
pub mod entry;
pub mod export;
pub mod merges;
pub mod nearness;
mod rank;
pub mod showing;
#[cfg(test)]
mod tests;
pub mod votes;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    card::{CardError, Transition, ValuesCard},
    merges::Merges,
    votes::{Counts, MoralVotes, Question},
};
use self::{
    entropy::Entropy,
    rank::{Link, Sinks, page_rank},
};
use super::linear::real;
use crate::{deliberation::tally::Tally, id::BlobId};

/// How answers become counts, and what the graph's numbers mean.
///
/// The two rules differ in four places:
///
/// | | [`Chorus`](Self::Chorus) | [`DemocraticFineTuning`](Self::DemocraticFineTuning) |
/// |---|---|---|
/// | impressions of A → B | the answers counted for it: those about A → B, and each yes about B → A | every answer about A → B *and* about B → A |
/// | entropy over | wiser, not wiser, less wise, unsure | these four *and impressions*: a slip, but the published graph was made so |
/// | most entropy | 1.38 bits | 1.69 bits |
/// | PageRank of a value without a wiser one | goes to all values alike: ranks sum to 1 | is lost: ranks sum to less than 1 |
///
/// A fifth number that is the sum of the other four adds one bit and halves the rest, so 1.69 bits by the published rule
/// are 1.38 bits by ours wherever nobody was asked about B → A.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CountingRule {
    /// What follows from the answers alone.
    Chorus,
    /// What the code of Democratic Fine-Tuning does, to the last count: reproduces the graph it published.
    DemocraticFineTuning,
}

impl CountingRule {
    /// Returns what the rule asks of an edge, unless somebody asks for something else.
    pub const fn thresholds(self) -> Thresholds {
        let max_entropy = match self {
            Self::Chorus => 138,
            Self::DemocraticFineTuning => 169,
        };
        Thresholds { min_wiser: 2, min_likelihood: 33, max_entropy }
    }

    const fn sinks(self) -> Sinks {
        match self {
            Self::Chorus => Sinks::Spread,
            Self::DemocraticFineTuning => Sinks::Leak,
        }
    }
}

/// What an edge needs to be kept. Each bound is met by what equals it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// How many said yes.
    pub min_wiser: u64,
    /// The likelihood that somebody finds B wiser than A, in hundredths.
    pub min_likelihood: u32,
    /// The entropy of the counts, in hundredths of a bit.
    pub max_entropy: u32,
}

/// How PageRank divides a value's rank among the wiser ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weighting {
    /// By the likelihood of the edges.
    Likelihood,
    /// Equally.
    Equal,
}

/// What graph is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// How answers are counted.
    pub rule: CountingRule,
    /// What an edge needs.
    pub thresholds: Thresholds,
    /// How PageRank weighs edges.
    pub weighting: Weighting,
    /// Only the answers in this context; all of them otherwise.
    pub context: Option<String>,
}

impl From<CountingRule> for Options {
    /// The graph of all contexts as the rule has it.
    fn from(rule: CountingRule) -> Self {
        Self { rule, thresholds: rule.thresholds(), weighting: Weighting::Likelihood, context: None }
    }
}

/// An ordered pair of values about which people were asked, in one direction or the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edge {
    /// The card from which people move.
    pub from: BlobId,
    /// The card to which they move.
    pub to: BlobId,
    /// The contexts in which they were asked, in either direction.
    pub contexts: BTreeSet<String>,
    /// What they answered.
    pub counts: Counts,
    /// The entropy of the counts, by the graph's rule.
    pub entropy: Entropy,
}

impl Edge {
    /// Returns `(wiser − less wise) ÷ votes`, in −1..=1; `None` without a vote.
    pub fn likelihood(&self) -> Option<f64> {
        let votes = self.counts.votes();
        (votes > 0).then(|| real(self.counts.difference()) / real(votes.into()))
    }

    /// Returns whether the edge is kept: compared exactly, nothing is rounded.
    fn meets(&self, thresholds: &Thresholds) -> bool {
        let votes = i128::from(self.counts.votes());
        votes > 0
            && self.counts.wiser >= thresholds.min_wiser
            && 100 * self.counts.difference() >= i128::from(thresholds.min_likelihood) * votes
            && self.entropy.is_at_most(thresholds.max_entropy)
    }
}

/// A value of the graph: an end of a kept edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The card's id.
    pub id: BlobId,
    /// The card.
    pub card: ValuesCard,
    /// Its PageRank: where somebody ends up who keeps growing wiser.
    pub page_rank: f64,
    /// Its wisdom: the likelihoods of the edges that lead to it, added up.
    pub wisdom: f64,
    /// How people voted on the value itself, if they were asked.
    pub endorsement: Option<Tally>,
}

/// The moral graph. Nodes in the order of their ids, edges in that of their ends.
#[derive(Clone, Debug, PartialEq)]
pub struct MoralGraph {
    /// How answers were counted, and what was kept.
    pub options: Options,
    /// The ends of the kept edges.
    pub nodes: Vec<Node>,
    /// The kept edges.
    pub edges: Vec<Edge>,
    /// The pairs that were asked about and did not become edges.
    pub others: Vec<Edge>,
}

impl MoralGraph {
    /// Computes the graph.
    pub fn new(votes: &MoralVotes, options: Options) -> Self {
        let pairs = votes.pairs(options.rule, options.context.as_deref());
        let (edges, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|edge| edge.meets(&options.thresholds));
        let ids: BTreeSet<BlobId> = edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
        let place: BTreeMap<BlobId, usize> = ids.iter().copied().zip(0..).collect();
        let link = |edge: &Edge| {
            let weight = match options.weighting {
                Weighting::Likelihood => edge.likelihood()?,
                Weighting::Equal => 1.0,
            };
            Some(Link { from: *place.get(&edge.from)?, to: *place.get(&edge.to)?, weight })
        };
        let links: Vec<Link> = edges.iter().filter_map(link).collect();
        let ranks = page_rank(ids.len(), &links, options.rule.sinks());
        let node = |(id, page_rank): (BlobId, f64)| {
            let card = votes.cards().get(&id)?.clone();
            let incoming = edges.iter().filter(|edge| edge.to == id).filter_map(Edge::likelihood);
            let wisdom = incoming.fold(0.0, |sum, likelihood| sum + likelihood);
            Some(Node { id, card, page_rank, wisdom, endorsement: votes.endorsements().get(&id).copied() })
        };
        let nodes = ids.into_iter().zip(ranks).filter_map(node).collect();
        Self { options, nodes, edges, others }
    }
}
