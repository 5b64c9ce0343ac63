//! The shapes of OpenAI's chat completions, as far as they are served here, with our extension field `chorus`.
//!
//! A request may have any field of the protocol. Those that only tune (penalties, `user`, …) are passed over; those that
//! would change what the answer *is* and are not done here (`tools`, `n`, `stop`, images, …) are refused by name.

mod shape;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::shape::{Choice, Counted, Detail, Spoken};
pub use self::shape::{Completion, Failure, Having, Model, Models};
use super::{Answer, ChatError, Event, MAX_TOKENS, answer::Ended};
use crate::{
    api::view::{AskModel, Shape},
    model::chat::{Message, Role},
};

/// The models that are listed: what each has of the constitution and of the adapter.
pub const MODELS: [(&str, Shape); 4] = [
    ("chorus", Shape { constitution: true, adapter: true }),
    ("chorus-constitution", Shape { constitution: true, adapter: false }),
    ("chorus-adapter", Shape { constitution: false, adapter: true }),
    ("chorus-base", Shape { constitution: false, adapter: false }),
];

/// A request.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatCompletionRequest")]
pub struct Request {
    /// The model's name.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Said>,
    /// Whether to answer piece by piece.
    #[serde(default)]
    pub stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    stop: Option<Value>,
    #[serde(default)]
    tools: Option<Value>,
    #[serde(default)]
    functions: Option<Value>,
    #[serde(default)]
    logprobs: Option<bool>,
    #[serde(default)]
    response_format: Option<Value>,
}

/// Shows nothing of what is said.
impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

/// How to answer piece by piece.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// A message of a request.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatCompletionMessage")]
pub struct Said {
    role: String,
    content: Option<Content>,
}

/// What is said: a text, or parts of one.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatCompletionContent")]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of what is said.
#[derive(Clone, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatCompletionPart")]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

fn is_given(value: &Option<Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

impl Request {
    /// Returns whether the tokens are wanted in a chunk of their own.
    pub fn wants_usage(&self) -> bool {
        self.stream_options.is_some_and(|options| options.include_usage)
    }

    /// Returns what is asked of the model.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::UnknownModel`], [`ChatError::Unsupported`] or [`ChatError::Invalid`].
    pub fn into_asked(self) -> Result<AskModel, ChatError> {
        self.check()?;
        let (_, shape) = MODELS
            .into_iter()
            .find(|(name, _)| *name == self.model)
            .ok_or_else(|| ChatError::UnknownModel(self.model.chars().take(100).collect()))?;
        let messages = self.messages.into_iter().map(Said::into_message).collect::<Result<_, _>>()?;
        Ok(AskModel {
            messages,
            shape,
            max_tokens: self.max_completion_tokens.or(self.max_tokens).map(|tokens| tokens.min(MAX_TOKENS)),
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed.map(i64::unsigned_abs),
        })
    }

    fn check(&self) -> Result<(), ChatError> {
        let refuse = |parameter, why| Err(ChatError::Unsupported { parameter, why });
        let wants_form = |format: &Value| format.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "text");
        if is_given(&self.tools) || is_given(&self.functions) {
            return refuse("tools", "the community's model answers in words");
        }
        if self.n.is_some_and(|n| n != 1) {
            return refuse("n", "one answer is made at a time");
        }
        if is_given(&self.stop) {
            return refuse("stop", "an answer ends where the model ends it, or at max_tokens");
        }
        if self.logprobs == Some(true) {
            return refuse("logprobs", "an answer comes from four steps");
        }
        if self.response_format.as_ref().is_some_and(wants_form) {
            return refuse("response_format", "the community's model answers in words");
        }
        Ok(())
    }
}

impl Said {
    fn into_message(self) -> Result<Message, ChatError> {
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                return Err(ChatError::Unsupported {
                    parameter: "messages",
                    why: "only system, user and assistant speak",
                });
            }
        };
        let part = |part: Part| match part {
            Part { text: Some(text), kind } if kind == "text" => Ok(text),
            Part { .. } => Err(ChatError::Unsupported { parameter: "messages", why: "only text is understood" }),
        };
        let content = match self.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"),
            None => String::new(),
        };
        Ok(Message { role, content })
    }
}

/// What all parts of one answer have in common.
#[derive(Clone, Debug, Serialize)]
pub struct Head {
    /// The answer's id.
    pub id: String,
    /// When it was asked for, in seconds since 1970.
    pub created: u64,
    /// The model's name, as it was asked for.
    pub model: String,
}

impl Head {
    /// Returns an answer in one piece.
    pub fn whole(&self, answer: &Answer) -> Value {
        let message = Spoken { role: "assistant", content: answer.text().to_owned(), refusal: None };
        let choice = Choice { index: 0, message, finish_reason: reason(answer.ended), logprobs: None };
        let body = Completion {
            id: self.id.clone(),
            object: "chat.completion",
            created: self.created,
            model: self.model.clone(),
            choices: vec![choice],
            usage: answer.usage.map(Counted::from),
            chorus: answer.clone(),
        };
        serde_json::to_value(body).unwrap_or_default()
    }

    /// Returns the chunks for an event. The words of the last step are content; all else is in the extension field alone,
    /// so that clients that do not know it show the answer and nothing else.
    pub fn chunks(&self, event: &Event, wants_usage: bool) -> Vec<Value> {
        match event {
            Event::About(_) => vec![self.chunk(json!({ "role": "assistant", "content": "" }), None, event)],
            Event::Text { step, text } if step.is_final() => vec![self.chunk(json!({ "content": text }), None, event)],
            Event::Text { .. } | Event::Step { .. } | Event::Verdict(_) => vec![self.chunk(json!({}), None, event)],
            // What went wrong has its own shape: see [`error`].
            Event::Failed(_) => Vec::new(),
            Event::Done(answer) => {
                let mut chunks = vec![self.chunk(json!({}), Some(reason(answer.ended)), event)];
                if let Some(usage) = answer.usage.filter(|_| wants_usage) {
                    let mut last = self.chunk(json!({}), None, event);
                    if let Some(last) = last.as_object_mut() {
                        last.insert("choices".into(), json!([]));
                        last.insert("usage".into(), json!(Counted::from(usage)));
                        last.remove("chorus");
                    }
                    chunks.push(last);
                }
                chunks
            }
        }
    }

    fn chunk(&self, delta: Value, finish_reason: Option<&str>, event: &Event) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": null }],
            "chorus": event,
        })
    }
}

const fn reason(ended: Ended) -> &'static str {
    match ended {
        Ended::Stop => "stop",
        Ended::Length => "length",
    }
}

/// Returns an error in OpenAI's shape.
pub fn error(status: u16, message: &str, code: &str, parameter: Option<&str>) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 | 421 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    let text = str::to_owned;
    let failure = Detail { message: text(message), kind, param: parameter.map(text), code: text(code) };
    json!(Failure { error: failure })
}

#[cfg(test)]
mod tests;
