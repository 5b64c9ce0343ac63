//! What goes out in OpenAI's shapes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    api::view::Answering,
    chat::{
        Answer,
        answer::{Governing, Usage, Wearing},
    },
};

/// The models that can be asked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelList")]
pub struct Models {
    /// `list`.
    pub object: &'static str,
    /// The models.
    pub data: Vec<Model>,
}

/// A model that can be asked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: &'static str,
    /// 0: it is what is configured now.
    pub created: u64,
    /// `chorus`.
    pub owned_by: &'static str,
    /// What it is made of.
    pub chorus: Having,
}

/// What a model is, and what it has of the community.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelOfCommunity")]
pub struct Having {
    /// The model itself.
    #[serde(flatten)]
    pub answering: Answering,
    /// The constitution that governs it.
    pub constitution: Option<Governing>,
    /// The adapters that it wears, if one is made for it.
    pub adapters: Vec<Wearing>,
    /// What people should know, in plain words.
    pub notes: Vec<String>,
}

/// An answer in one piece.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatCompletion")]
pub struct Completion {
    /// Its id.
    pub id: String,
    /// `chat.completion`.
    pub object: &'static str,
    /// When it was asked for, in seconds since 1970.
    pub created: u64,
    /// The model's name, as it was asked for.
    pub model: String,
    /// The one answer.
    pub choices: Vec<Choice>,
    /// Tokens; none if the provider does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Counted>,
    /// The steps that led to it, and what governed it.
    pub chorus: Answer,
}

/// An answer among those that were asked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatCompletionChoice")]
pub struct Choice {
    /// 0: one answer is made.
    pub index: u32,
    /// The answer.
    pub message: Spoken,
    /// `stop` or `length`.
    pub finish_reason: &'static str,
    /// None is told.
    pub logprobs: Option<Value>,
}

/// The message of an answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatCompletionAnswer")]
pub struct Spoken {
    /// `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: String,
    /// None: what is refused is said in the text.
    pub refusal: Option<String>,
}

/// Tokens, counted.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatCompletionUsage")]
pub struct Counted {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Of both.
    pub total_tokens: u64,
}

impl From<Usage> for Counted {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens } = usage;
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens.saturating_add(completion_tokens) }
    }
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiErrorBody")]
pub struct Failure {
    /// The error.
    pub error: Detail,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiError")]
pub struct Detail {
    /// For people.
    pub message: String,
    /// Which kind of error it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field of the request that is wrong.
    pub param: Option<String>,
    /// For programs.
    pub code: String,
}
