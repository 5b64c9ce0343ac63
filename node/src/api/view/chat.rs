//! What is asked of the community's model, and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::{
        About, Answer,
        answer::{Governing, Place, Wearing},
    },
    model::chat::Message,
};

/// What a model is to have of the community.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Whether the constitution in force governs.
    pub constitution: bool,
    /// Whether it has the community's adapter, if one is in use for it.
    pub adapter: bool,
}

impl Shape {
    /// The model as it is.
    pub const BASE: Self = Self { constitution: false, adapter: false };
}

impl Default for Shape {
    fn default() -> Self {
        Self { constitution: true, adapter: true }
    }
}

/// `POST chat`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskModel {
    /// The conversation, which ends with what the person says.
    pub messages: Vec<Message>,
    /// What the model is to have of the community.
    pub shape: Shape,
    /// The most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// 0 for the likeliest words.
    pub temperature: Option<f64>,
    /// The share of likely words from which one is drawn.
    pub top_p: Option<f64>,
    /// The seed of the draw.
    pub seed: Option<u64>,
}

/// Shows nothing of what is said.
impl core::fmt::Debug for AskModel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AskModel").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

/// The model that is configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answering {
    /// Where it computes.
    pub provider: Place,
    /// The host that conversations are sent to; none of a model on this machine.
    pub host: Option<String>,
    /// Its name.
    pub model: String,
}

impl core::fmt::Display for Answering {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.provider, &self.host) {
            (Place::Outside, Some(host)) => write!(f, "{}, to which what is said goes at {host}", self.model),
            (Place::Outside, None) | (Place::Local, _) => write!(f, "{} on this machine", self.model),
        }
    }
}

/// `GET chat`: what would answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelStatus {
    /// The model; none if none is configured.
    pub answering: Option<Answering>,
    /// The constitution in force.
    pub constitution: Option<Governing>,
    /// The community's adapters that are in use; a model on this machine wears the one that is for it.
    pub adapters: Vec<Wearing>,
    /// What people should know, in plain words.
    pub notes: Vec<String>,
}

/// `POST chat/cases`: what models say to prompts, before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareModels {
    /// The prompts.
    pub prompts: Vec<String>,
    /// Whether to ask again what was asked before.
    pub again: bool,
}

/// What models say to one prompt: as it is today, and with constitution and adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// The prompt.
    pub prompt: String,
    /// What the model says as it is.
    pub before: Answer,
    /// What it says with the constitution in force and the community's adapter.
    pub after: Answer,
    /// When it was asked, in milliseconds since 1970.
    pub asked_at: u64,
}

impl Pair {
    /// Returns whether it is of this prompt and these models.
    pub fn is_of(&self, prompt: &str, before: &About, after: &About) -> bool {
        self.prompt == prompt && self.before.about == *before && self.after.about == *after
    }
}
