//! The shape of requests and answers. Server and client use the same types.

mod adapters;
mod charter;
mod chat;
mod facilitation;
mod people;
mod showing;
mod values;

pub use adapters::*;
pub use charter::*;
pub use chat::*;
pub use facilitation::*;
pub use people::*;
pub use showing::*;
pub use values::*;

use chorus_protocol::{
    config::Policy,
    contribution::Level,
    id::{BlobId, CommunityId, PollId, RoundId, SeriesId},
    log::entry::PollKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::Role;
use crate::config::{invite::Invite, token::TextForm as _};

/// What a poll asks for, as text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Statements to agree or disagree with: they lead to a constitution.
    #[default]
    Statement,
    /// Values to endorse.
    Value,
    /// Whether moving from one value to another is wiser.
    Transition,
    /// Whether the rules are to change; `chorus community amend` opens such a poll.
    #[value(skip)]
    Amendment,
}

impl From<PollKind> for Asks {
    fn from(kind: PollKind) -> Self {
        match kind {
            PollKind::Statement => Self::Statement,
            PollKind::Value => Self::Value,
            PollKind::Transition => Self::Transition,
            PollKind::Amendment => Self::Amendment,
        }
    }
}

impl From<Asks> for PollKind {
    fn from(asks: Asks) -> Self {
        match asks {
            Asks::Statement => Self::Statement,
            Asks::Value => Self::Value,
            Asks::Transition => Self::Transition,
            Asks::Amendment => Self::Amendment,
        }
    }
}

/// What somebody says about an item, as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// In favour.
    Agree,
    /// Against.
    Disagree,
    /// Seen, without an opinion.
    Pass,
}

/// `GET status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The community.
    pub community: Community,
    /// This node.
    pub node: Node,
    /// The height of the log.
    pub height: u64,
    /// The height after which it begins here: 0 for a whole log.
    pub begins_after: u64,
    /// Members.
    pub members: usize,
    /// Connected nodes.
    pub peers: usize,
    /// Connected nodes that have shown to be operators.
    pub operators_connected: usize,
    /// All rounds, the latest last.
    pub rounds: Vec<Round>,
    /// Bodies that are being fetched in pieces.
    pub transfers: Vec<Transfer>,
    /// What conversations are put to; none if no model is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Answering>,
    /// What people should know, in plain words.
    pub warnings: Vec<String>,
}

/// A body that is being fetched in pieces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// Its id.
    pub id: BlobId,
    /// Bytes that are here.
    pub done: u64,
    /// All its bytes.
    pub total: u64,
}

/// A community.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Community {
    /// Its id.
    pub id: CommunityId,
    /// Its name.
    pub name: String,
    /// What its model is for.
    pub purpose: String,
    /// Operators.
    pub operators: u8,
    /// How many of them may fail, lie or collude.
    pub tolerated: u8,
    /// Attesters.
    pub attesters: usize,
    /// The rules.
    pub policy: Policy,
}

/// This node and the person at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// The node's id on the network.
    pub id: String,
    /// What it was started as.
    pub role: Role,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Whether others can call it, as far as is known.
    pub reachable: bool,
    /// How many relays pass calls on to it.
    pub relays: usize,
    /// The person's public key; none at a relay.
    pub key: Option<String>,
    /// The number of the operator that this node is.
    pub operator: Option<u8>,
    /// Whether the person attests.
    pub attester: bool,
    /// Whether the person is a member.
    pub member: bool,
}

/// A round of voting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// Its id.
    pub id: RoundId,
    /// Its poll; none for an adapter round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<PollId>,
    /// Its series; none for a round of ballots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesId>,
    /// Which round of the community it is, from 1.
    pub ordinal: u32,
    /// Where it stands.
    pub state: RoundState,
    /// Items voted on.
    pub items: usize,
    /// Contributions on the log; of the sealed set once there is one.
    pub ballots: usize,
    /// The members who can vote in it; none before it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// What tells its classes apart, in words; none in a round without classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes_by: Option<String>,
    /// When it may close, in milliseconds since 1970; none before it opens.
    pub closes_at: Option<u64>,
    /// The person's own contribution.
    pub own: Option<Own>,
    /// The result object.
    pub result: Option<BlobId>,
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoundState {
    /// Operators prepare it.
    Planned,
    /// Votes are taken.
    Open,
    /// Votes are being added up.
    Sealed,
    /// There is a result.
    Finished,
}

impl From<chorus_protocol::ledger::RoundState> for RoundState {
    fn from(state: chorus_protocol::ledger::RoundState) -> Self {
        match state {
            chorus_protocol::ledger::RoundState::Planned => Self::Planned,
            chorus_protocol::ledger::RoundState::Open => Self::Open,
            chorus_protocol::ledger::RoundState::Sealed => Self::Sealed,
            chorus_protocol::ledger::RoundState::Finished => Self::Finished,
        }
    }
}

/// The person's own contribution to a round. What it says, no one knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Own {
    /// Which attempt counts, from 0.
    pub sequence: u8,
    /// Whether it is on the log; it is sent until it is.
    pub on_log: bool,
    /// Whether it takes an earlier one back.
    pub withdrawal: bool,
}

/// A poll. Items are listed by `GET polls/{id}` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Poll {
    /// Its id.
    pub id: PollId,
    /// What it asks for.
    pub kind: Asks,
    /// The question.
    pub question: String,
    /// The situation in which it is asked.
    pub context: String,
    /// How many items were proposed.
    pub item_count: usize,
    /// The rules for its items.
    #[serde(default)]
    pub rules: Rules,
    /// What its items are about, as far as somebody said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// The items, in ballot order if a round was planned, else in order of their proposal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// An item of a poll.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// Its number on the ballot, from 1.
    pub number: usize,
    /// The content id of its text.
    pub id: BlobId,
    /// Its text.
    pub text: String,
    /// Whether the latest round asks for it.
    pub on_ballot: bool,
    /// How the person voted on it in the latest round, if their diary says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Choice>,
    /// What operators say about it.
    #[serde(default)]
    pub state: ModerationState,
    /// Whether a round that is planned now may ask it.
    #[serde(default)]
    pub asked: bool,
    /// Whether it asks about the voter: it is counted, and shapes neither map nor constitution.
    #[serde(default)]
    pub meta: bool,
    /// What it is about; empty if nobody said so.
    #[serde(default)]
    pub topic: String,
    /// Prompts that a model fails today, cited in favour of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
}

/// `POST polls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenPoll {
    /// What it asks for.
    #[serde(default)]
    pub kind: Asks,
    /// The question.
    pub question: String,
    /// The situation in which it is asked.
    #[serde(default)]
    pub context: String,
    /// The first items.
    #[serde(default)]
    pub items: Vec<String>,
    /// More first items, with what is said beside them.
    #[serde(default)]
    pub annotated: Vec<NewItem>,
    /// The rules for items; the usual ones if none are given.
    #[serde(default)]
    pub rules: Option<Rules>,
    /// If given, voting over these items begins at once and takes this long.
    #[serde(default)]
    pub duration_millis: Option<u64>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// `POST polls/{id}/rounds`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRound {
    /// How long votes are taken.
    pub duration_millis: u64,
    /// Sums of classes, instead of an opinion map.
    #[serde(default)]
    pub classes: Option<Classes>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// Classes whose sums are opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// What tells them apart.
    pub by: ClassBy,
    /// Weights by the name of a class; `other` is a class too. 1 where nothing is said.
    #[serde(default)]
    pub weights: Vec<(String, u32)>,
}

/// What tells classes apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassBy {
    /// The values of the attribute with this name.
    Attribute(String),
    /// The opinion groups (A, B, …) of an earlier round: its number, or the beginning of its id.
    GroupsOf(String),
}

/// `POST polls/{id}/items`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// The texts.
    #[serde(default)]
    pub items: Vec<String>,
    /// More items, with what is said beside them: topic, prompts that a model fails.
    #[serde(default)]
    pub annotated: Vec<NewItem>,
    /// Propose even what says the same as another item but for case, accents, punctuation and spaces.
    #[serde(default)]
    pub anyway: bool,
    /// Propose in the open, with one's key; at the open level this is so anyhow.
    #[serde(default)]
    pub open: bool,
    /// Propose as the operator that this node is.
    #[serde(default)]
    pub as_operator: bool,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// The answer to a proposal: the poll, and what the proposal showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    /// The poll with its items.
    #[serde(flatten)]
    pub poll: Poll,
    /// How many items were proposed.
    pub proposed: usize,
    /// Whether the items show who proposed them.
    pub open: bool,
    /// How many items the person may still propose anonymously in this poll; none if that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_left: Option<usize>,
    /// Items of others that say nearly the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<Similar>,
}

/// `POST polls/{id}/vote`. Items left out are unseen. A ballot replaces the earlier one wholly.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CastVote {
    /// The votes: an item's number or the beginning of its id, and the choice.
    pub votes: Vec<(String, Choice)>,
    /// Whether the person consents to a public point of their ballot on the opinion map. Without it, the ballot is in
    /// the totals and in no group's map. As usual: yes if the ballot is anonymous, no if it is open.
    #[serde(default)]
    pub on_map: Option<bool>,
    /// Show that the ballot is the person's; at the open level this is so anyhow. How they vote stays secret.
    #[serde(default)]
    pub open: bool,
    /// Count as "other" in a round with classes.
    #[serde(default)]
    pub hide_class: bool,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

impl core::fmt::Debug for CastVote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CastVote").finish_non_exhaustive()
    }
}

/// `POST polls/{id}/withdraw`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// The answer to a vote or a withdrawal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cast {
    /// The round.
    pub round: RoundId,
    /// The contribution.
    pub own: Own,
    /// Items voted on.
    pub votes: usize,
    /// Items on the ballot.
    pub items: usize,
    /// What it shows of the person.
    pub shows: Shows,
}

/// What a contribution shows of the person behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shows {
    /// Whether everybody can see whose it is.
    pub level: Level,
    /// How many members it could be of, as far as the credential tells: the cohort.
    pub among: usize,
    /// Whether the ballot becomes a point on the opinion map, if there is one.
    pub on_map: bool,
    /// The class that it shows; none in a round without classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// How a set of ballots voted on one item.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// For it.
    pub agree: u64,
    /// Against it.
    pub disagree: u64,
    /// Neither.
    pub pass: u64,
}

/// `GET result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PollResult {
    /// The poll.
    pub poll: PollId,
    /// Its question.
    pub question: String,
    /// What it asked for.
    pub kind: Asks,
    /// The round.
    pub round: RoundId,
    /// The result object, the same bytes on every node.
    pub result: BlobId,
    /// Ballots in the sealed set.
    pub ballots: u32,
    /// From how many ballots on anything is opened.
    pub needed: u32,
    /// How far it came.
    pub outcome: Outcome,
    /// The items, in ballot order; without tallies if nothing was opened.
    pub items: Vec<ItemResult>,
    /// The opinion groups; none without a map.
    pub groups: Vec<Group>,
    /// The classes; none in a round without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassResult>,
    /// The share of the variance along each axis of the map.
    pub explained_variance: Vec<f64>,
    /// The numbers of the items that divide, the most divisive first; empty without a map.
    pub divisive: Vec<usize>,
    /// The constitution that follows.
    pub constitution: Option<ConstitutionView>,
}

/// How far a round came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Too few ballots: nothing was opened.
    TooFew,
    /// Totals, without a map.
    Totals,
    /// Totals, and those of each class.
    Classes,
    /// Totals, map and groups.
    Map,
}

/// What came of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemResult {
    /// Its number on the ballot.
    pub number: usize,
    /// The content id of its text.
    pub id: BlobId,
    /// Its text.
    pub text: String,
    /// Whether it asks about the voter: it is counted, and shapes neither map nor constitution.
    #[serde(default)]
    pub meta: bool,
    /// All ballots.
    pub total: Option<Tally>,
    /// All ballots, those of each class with its weight; none in a round without classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted: Option<Tally>,
    /// Each group's ballots.
    pub groups: Vec<Tally>,
    /// The probability that one member drawn from each group agrees.
    pub consensus: Option<f64>,
    /// The probability that one member drawn from each group disagrees.
    #[serde(default)]
    pub consensus_against: Option<f64>,
}

/// An opinion group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its letter.
    pub name: String,
    /// Its ballots.
    pub size: usize,
    /// What tells it apart: the number of an item and what it says about it.
    pub typical: Vec<(usize, Choice)>,
}

/// A class of a round with classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassResult {
    /// What it is called; `other` are those who show no class, and classes too small to be shown.
    pub name: String,
    /// Its ballots.
    pub ballots: u32,
    /// Its weight.
    pub weight: u32,
    /// How it voted on each item, in ballot order.
    pub items: Vec<Tally>,
}

/// A constitution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConstitutionView {
    /// Its id.
    pub id: BlobId,
    /// Its version within the community.
    pub version: u32,
    /// The community's name.
    pub name: String,
    /// The community's purpose.
    pub purpose: String,
    /// The principles, the best supported first.
    pub principles: Vec<Principle>,
}

/// A principle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Principle {
    /// The item's number on the ballot.
    pub item: usize,
    /// Its text.
    pub text: String,
    /// How each group voted.
    pub groups: Vec<Tally>,
}

/// `GET invite`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InviteView {
    /// The invitation as text.
    pub invite: String,
    /// The same without the founding document, which whoever joins asks of the nodes at the addresses: for codes that
    /// cameras read.
    pub short: String,
    /// The community.
    pub community: CommunityId,
    /// The addresses in it.
    pub addresses: Vec<String>,
    /// The height of the checkpoint in it.
    pub checkpoint: Option<u64>,
}

impl InviteView {
    /// Shows an invitation.
    pub fn of(invite: &Invite) -> Self {
        Self {
            invite: invite.to_text(),
            short: invite.short().to_text(),
            community: invite.genesis.id(),
            addresses: invite.addresses().collect(),
            checkpoint: invite.checkpoint.map(|landmark| landmark.height.0),
        }
    }
}
