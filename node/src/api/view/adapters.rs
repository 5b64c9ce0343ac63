//! Series of adapter rounds, own contributions to them, and the diary.

use chorus_protocol::{
    adapter::{entry::GroupScore, manifest::AdapterManifest},
    id::{BlobId, PollId, RoundId, SeriesId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choice, Classes, Own, Round, Shows};
use crate::diary::ValueCard;

/// `GET adapters/{series}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Its id.
    pub id: SeriesId,
    /// What everybody agreed on.
    pub manifest: AdapterManifest,
    /// The entries of a delta.
    pub entries: usize,
    /// The operator who began it, and weighs the classes if the manifest asks for that.
    pub opened_by: Option<u8>,
    /// Its rounds, the latest last.
    pub rounds: Vec<AdapterRound>,
    /// The adapter that the community uses.
    pub adopted: Option<Adopted>,
}

/// The adapter that a community uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Adopted {
    /// The round that led to it.
    pub round: RoundId,
    /// Which round of the series that is, from 1.
    pub number: u32,
    /// Its values.
    pub adapter: BlobId,
}

/// A round of deltas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRound {
    /// What it has in common with rounds of voting.
    #[serde(flatten)]
    pub round: Round,
    /// Which round of the series it is, from 1.
    pub number: u32,
    /// The adapter that its deltas change; none for zero.
    pub start: Option<BlobId>,
    /// The adapter in use when the round was planned, which the round's would replace; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<BlobId>,
    /// What became of it.
    pub standing: AdapterStanding,
    /// The adapter that follows, if one does.
    pub adapter: Option<BlobId>,
    /// The result of the round before it in the series.
    pub previous: Option<BlobId>,
    /// The round whose opinion groups its classes are, if they are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_of: Option<RoundId>,
    /// The classes whose deltas were summed, in the order of weights; none before the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<AdapterClass>,
    /// All adapters that the sums lead to; none before the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<AdapterVariant>,
    /// How many operators have assessed the adapter.
    #[serde(default)]
    pub assessments: usize,
    /// What the assessments came to for each group, once there are enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupScore>,
}

/// What became of a round of deltas.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdapterStanding {
    /// It has no result yet.
    Unfinished,
    /// Too few people contributed: nothing was opened.
    Nothing,
    /// The operator who began the series has not weighed the classes yet.
    Unweighed,
    /// The adapter waits for assessments.
    Candidate,
    /// The adapter is the community's.
    Adopted,
    /// Some group is worse off with the adapter: it is published, and the one before it stays.
    Refused,
}

/// A class of a round of deltas.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterClass {
    /// What it is called; `other` are those who show none.
    pub name: String,
    /// Its number: the value of an attribute, or 1 + an opinion group; 0 for `other`.
    pub number: u16,
    /// How many people.
    pub contributions: u32,
    /// In how many random cohorts they were summed.
    pub cohorts: u8,
    /// The weight that operators gave it, if the manifest asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// One of the adapters of a round.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterVariant {
    /// `person` (everybody weighs the same), `class` (every class does), `planned`, `weighed`, or the name of a class.
    pub name: String,
    /// Its values.
    pub adapter: BlobId,
}

/// `POST adapters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSeries {
    /// What everybody is to agree on.
    pub manifest: AdapterManifest,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `POST adapters/{series}/rounds`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanDeltas {
    /// How long deltas are taken.
    pub duration_millis: u64,
    /// Classes whose deltas are summed apart.
    #[serde(default)]
    pub classes: Option<Classes>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// The query of `POST adapters/{series}/contribute`; the body is the delta, four bytes for each entry (`f32`, little-endian).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contribute {
    /// Show that the contribution is the person's; at the open level this is so anyhow. What is in it stays secret.
    #[serde(default)]
    pub open: bool,
    /// Count as "other" in a round with classes.
    #[serde(default)]
    pub hide_class: bool,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// The answer to a contribution, or to taking it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contributed {
    /// The round.
    pub round: RoundId,
    /// Which round of the series it is, from 1.
    pub number: u32,
    /// The contribution.
    pub own: Own,
    /// What the delta was multiplied by to be within the bound: 1 if it was.
    pub clipped: f64,
    /// What the contribution shows of the person.
    pub shows: Shows,
}

/// `POST adapters/{series}/weigh`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeighClasses {
    /// The weight of each class, by name.
    pub weights: Vec<(String, u32)>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `POST adapters/{series}/assess`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assess {
    /// The adapter that was evaluated.
    pub adapter: BlobId,
    /// What came out for each group of the gate's round.
    pub groups: Vec<GroupScore>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `GET adapters/{series}/evaluation`: what a gate asks about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateQuestions {
    /// The round whose statements they are.
    pub round: RoundId,
    /// The opinion groups, in the order of scores.
    pub groups: Vec<GroupPositions>,
}

/// On what a group takes a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupPositions {
    /// Its letter.
    pub name: String,
    /// Its positions.
    pub positions: Vec<GroupPosition>,
}

/// A statement on which a group takes a side.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupPosition {
    /// The statement.
    pub item: BlobId,
    /// Its text.
    pub text: String,
    /// Whether the group is for it, or against it.
    pub agrees: bool,
    /// Whether it is held out of training.
    pub held_out: bool,
}

/// `GET diary`: what never leaves the machine.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diary {
    /// Whether a diary is kept.
    pub kept: bool,
    /// The person's own votes.
    pub votes: Vec<OwnVote>,
    /// Their value cards.
    pub cards: Vec<ValueCard>,
}

/// One of the person's own votes.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnVote {
    /// The round.
    pub round: RoundId,
    /// The poll.
    pub poll: PollId,
    /// The item.
    pub item: BlobId,
    /// Its text.
    pub text: String,
    /// The vote.
    pub choice: Choice,
}

/// `POST diary/cards/remove`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveCard {
    /// The title of the card.
    pub title: String,
}

/// Shows no vote.
impl core::fmt::Debug for Diary {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Diary").field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// Shows no vote.
impl core::fmt::Debug for OwnVote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OwnVote").field("round", &self.round).finish_non_exhaustive()
    }
}
