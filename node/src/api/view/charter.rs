//! The rules in force and their change, as the local interface shows them.

use chorus_protocol::{
    charter::ClassWeights,
    config::Policy,
    id::{BlobId, CommunityId, PollId, RoundId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET community`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CharterView {
    /// The community's id.
    pub community: CommunityId,
    /// Its name.
    pub name: String,
    /// The height of the log.
    pub height: u64,
    /// The operators' keys, in order: operator i is the i-th, from 1.
    pub operators: Vec<String>,
    /// The number of the operator at this node.
    pub own: Option<u8>,
    /// How many operators must consent to an amendment.
    pub consents_needed: usize,
    /// The attesters' keys.
    pub attesters: Vec<String>,
    /// The rules.
    pub policy: Policy,
    /// Weights of classes that plans must have.
    pub weights: Vec<ClassWeights>,
    /// Operators that consent to an amendment that is not adopted yet.
    pub stated: Vec<StatedView>,
    /// What has been adopted, in order.
    pub amendments: Vec<AdoptedView>,
}

/// An operator's consent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatedView {
    /// The operator's key.
    pub operator: String,
    /// The draft.
    pub draft: BlobId,
    /// The first height under the new rules.
    pub effective: u64,
}

/// An amendment that was adopted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdoptedView {
    /// 1 for the first.
    pub number: u32,
    /// The draft.
    pub draft: BlobId,
    /// The round in which members voted.
    pub round: RoundId,
    /// The first height under the new rules.
    pub effective: u64,
    /// Whether the log has come to it.
    pub in_force: bool,
}

/// `POST community/amendments`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftAmendment {
    /// Keys of operators that join.
    #[serde(default)]
    pub add_operators: Vec<String>,
    /// Keys of operators that leave, or the first digits of them.
    #[serde(default)]
    pub remove_operators: Vec<String>,
    /// The rules that change.
    #[serde(default)]
    pub policy: Option<serde_json::Map<String, serde_json::Value>>,
    /// The weights that plans must have, all of them.
    #[serde(default)]
    pub weights: Option<Vec<ClassWeights>>,
    /// How long votes are taken, in milliseconds.
    pub duration_millis: u64,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// A draft that members are asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DraftView {
    /// Which amendment it would be.
    pub number: u32,
    /// The draft.
    pub draft: BlobId,
    /// The text that members vote on.
    pub item: String,
    /// The poll.
    pub poll: PollId,
}

/// `POST community/amendments/approve`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveAmendment {
    /// The draft's id or the beginning of it; empty for the only one.
    pub draft: String,
    /// The first height under the new rules; that of the others, or one soon, if none is given.
    #[serde(default)]
    pub effective: Option<u64>,
    /// How long to wait for the log.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}
