//! The graph in the form in which Democratic Fine-Tuning published its own, for programs that read that.
//!
//! The published form numbers values; ours are numbered in the order of their ids, among all cards, so that the number of
//! a card does not depend on what was kept. What the published form does not have comes besides: `contentId` and
//! `wisdom` of a value, `rule` of the graph. Callers write the JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CountingRule, Edge, MoralGraph, MoralVotes, Node};
use crate::id::BlobId;

/// A moral graph in its published form.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoralGraphExport {
    /// How answers were counted: `chorus` or `democratic-fine-tuning`.
    pub rule: &'static str,
    /// The values: the ends of the kept edges.
    pub values: Vec<ValueExport>,
    /// The kept edges.
    pub edges: Vec<EdgeExport>,
    /// Every pair that was asked about, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_edges: Option<Vec<EdgeExport>>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueExport {
    /// Its number.
    pub id: usize,
    /// The id of its card.
    pub content_id: BlobId,
    /// Its title.
    pub title: String,
    /// Its instruction.
    pub instructions_short: String,
    /// Its instruction: a card has one.
    pub instructions_detailed: String,
    /// Its policies of attention.
    pub evaluation_criteria: Vec<String>,
    /// Its PageRank.
    pub page_rank: f64,
    /// Its wisdom.
    pub wisdom: f64,
    /// How many endorsed it, if people were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes: Option<u64>,
}

/// An edge.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeExport {
    /// The number of the value from which people move.
    pub source_value_id: usize,
    /// The number of the wiser value.
    pub wiser_value_id: usize,
    /// Where they were asked.
    pub contexts: Vec<String>,
    /// What they answered.
    pub counts: CountsExport,
    /// What follows.
    pub summary: SummaryExport,
}

/// The counts of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountsExport {
    /// Yes.
    pub marked_wiser: u64,
    /// No.
    pub marked_not_wiser: u64,
    /// Yes, the other way round.
    pub marked_less_wise: u64,
    /// Unsure.
    pub marked_unsure: u64,
    /// Looked at.
    pub impressions: u64,
}

/// The summary of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SummaryExport {
    /// (wiser − less wise) ÷ votes; null without a vote.
    pub wiser_likelihood: Option<f64>,
    /// The entropy in bits.
    pub entropy: f64,
}

impl MoralGraph {
    /// Returns the graph in its published form, with or without the pairs that were not kept. `votes` are those it was
    /// made from.
    pub fn export(&self, votes: &MoralVotes, with_all_edges: bool) -> MoralGraphExport {
        // Both ends of every edge are cards of `votes`; a graph of other votes has ends without a number, and loses them.
        let numbers: BTreeMap<&BlobId, usize> = votes.cards().keys().zip(0..).collect();
        let number = |id: &BlobId| numbers.get(id).copied();
        let value = |node: &Node| {
            Some(ValueExport {
                id: number(&node.id)?,
                content_id: node.id,
                title: node.card.title().to_owned(),
                instructions_short: node.card.instruction().to_owned(),
                instructions_detailed: node.card.instruction().to_owned(),
                evaluation_criteria: node.card.policies().to_vec(),
                page_rank: node.page_rank,
                wisdom: node.wisdom,
                votes: node.endorsement.map(|tally| tally.agree),
            })
        };
        let edge = |edge: &Edge| {
            Some(EdgeExport {
                source_value_id: number(&edge.from)?,
                wiser_value_id: number(&edge.to)?,
                contexts: edge.contexts.iter().cloned().collect(),
                counts: CountsExport {
                    marked_wiser: edge.counts.wiser,
                    marked_not_wiser: edge.counts.not_wiser,
                    marked_less_wise: edge.counts.less_wise,
                    marked_unsure: edge.counts.unsure,
                    impressions: edge.counts.impressions,
                },
                summary: SummaryExport { wiser_likelihood: edge.likelihood(), entropy: edge.entropy.bits() },
            })
        };
        let all_edges = with_all_edges.then(|| {
            let mut all: Vec<EdgeExport> = self.edges.iter().chain(&self.others).filter_map(edge).collect();
            all.sort_by_key(|edge| (edge.source_value_id, edge.wiser_value_id));
            all
        });
        MoralGraphExport {
            rule: match self.options.rule {
                CountingRule::Chorus => "chorus",
                CountingRule::DemocraticFineTuning => "democratic-fine-tuning",
            },
            values: self.nodes.iter().filter_map(value).collect(),
            edges: self.edges.iter().filter_map(edge).collect(),
            all_edges,
        }
    }
}
