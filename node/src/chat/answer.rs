//! What an answer is made of, and the events in which it comes. Server, clients and pages use the same types.

use chorus_protocol::id::{BlobId, SeriesId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::ApiError;

/// Where the model computes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In this node: what is said stays on the machine.
    Local,
    /// At an endpoint that was configured: what is said goes there.
    Outside,
}

/// What answers, and what governs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// Where the model computes.
    pub provider: Place,
    /// The host that conversations are sent to; none of a model on this machine.
    pub host: Option<String>,
    /// The model's name: that of its folder or file, or what the endpoint calls it.
    pub model: String,
    /// The constitution that governs the answer; none if it governs nothing.
    pub constitution: Option<Governing>,
    /// The community's adapter that the model has.
    pub adapter: Option<Wearing>,
    /// What people should know, in plain words.
    pub notes: Vec<String>,
}

/// The constitution that governs an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Governing {
    /// Its id.
    pub id: BlobId,
    /// Its version within the community.
    pub version: u32,
    /// Its principles.
    pub principles: usize,
    /// Those that the model was told: the best supported, as many as its context has room for.
    pub told: usize,
}

/// A community's adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wearing {
    /// Its series.
    pub series: SeriesId,
    /// What the series is called.
    pub name: String,
    /// The round of the series that led to it, from 1.
    pub number: u32,
    /// Its id.
    pub id: BlobId,
}

/// A step on the way to an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AnswerStep")]
pub enum Step {
    /// What the constitution asks of an answer to this question.
    Analyse,
    /// A first answer.
    Draft,
    /// How well the draft follows each principle.
    Evaluate,
    /// The answer, with what the evaluation found.
    Refine,
    /// The answer, where no constitution governs.
    Answer,
}

impl Step {
    /// The four steps, in their order.
    pub const GOVERNED: [Self; 4] = [Self::Analyse, Self::Draft, Self::Evaluate, Self::Refine];

    /// Returns whether the step's text is the answer itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Refine | Self::Answer)
    }
}

/// Whether a draft follows a principle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It does.
    Follows,
    /// It does not.
    Violates,
    /// The principle has nothing to do with the question.
    Unrelated,
    /// The model did not say.
    Unclear,
}

/// What the model says of its draft and one principle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PrincipleVerdict")]
pub struct Verdict {
    /// The principle's place in the constitution, from 1.
    pub principle: usize,
    /// The principle.
    pub text: String,
    /// The verdict.
    pub label: Label,
    /// The probability of "yes" against "no" that the model gives, if it computes here.
    pub score: Option<f32>,
    /// Its reason, if it gave one.
    pub reason: Option<String>,
}

/// What came of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// What the model said, as it said it.
    pub text: String,
    /// The verdicts, if the step is the evaluation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
}

/// Tokens, as far as the provider tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens that the model read, over all steps.
    pub prompt_tokens: u64,
    /// Tokens that it wrote.
    pub completion_tokens: u64,
}

impl core::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The model ended it.
    Stop,
    /// It was as long as it may be.
    Length,
}

/// An answer, with the way to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// What answered, and what governed it.
    #[serde(flatten)]
    pub about: About,
    /// The steps, in their order; the last one's text is the answer.
    pub steps: Vec<StepResult>,
    /// Why it ended.
    pub ended: Ended,
    /// Tokens; none if the provider does not tell.
    pub usage: Option<Usage>,
}

impl Answer {
    /// Returns the answer's text.
    pub fn text(&self) -> &str {
        self.steps.last().map_or("", |step| step.text.as_str())
    }

    /// Returns the verdicts on the draft.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.steps.iter().flat_map(|step| &step.verdicts)
    }
}

/// What happens on the way to an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Always first: what answers, and what governs it.
    About(About),
    /// A step begins.
    Step {
        /// Which.
        step: Step,
    },
    /// A step's text goes on.
    Text {
        /// Which.
        step: Step,
        /// The text that is added.
        text: String,
    },
    /// A verdict of the evaluation.
    Verdict(Verdict),
    /// The last, if all went well: the whole.
    Done(Answer),
    /// The last, if it did not: why there is no answer.
    Failed(ApiError),
}
