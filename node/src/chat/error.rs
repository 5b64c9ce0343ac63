//! Why there is no answer.

use std::{path::PathBuf, time::Duration};

use super::outside::OutsideError;
use crate::{
    api::{ApiError, Code, Kind},
    model::{
        base::{BaseError, PromptError},
        generate::{AnswerError, GenerateError},
        series::SeriesError,
        tokenizer::TokenizerError,
    },
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// No model is configured.
    #[error(
        "no model is configured: say where one is with `chorus config set model.path PATH`, or name an endpoint with \
         model.provider, model.url and model.name"
    )]
    NotConfigured,
    /// A setting of the model makes no sense.
    #[error("the model's settings make no sense: {0}")]
    Settings(String),
    /// The file with the endpoint's key cannot be read.
    #[error("the key in {path} cannot be read")]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The model is answering, and as many wait as may.
    #[error("the model is busy, and {0} wait for it already: ask again later")]
    Busy(usize),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The request asks for what is not done here.
    #[error("{parameter} is not supported: {why}")]
    Unsupported {
        /// What is asked for.
        parameter: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// There is no model of this name.
    #[error("there is no model {0:?}: GET /v1/models lists them")]
    UnknownModel(String),
    /// The conversation is too long.
    #[error("the conversation is too long: {0}")]
    TooLong(String),
    /// Whoever asked has gone.
    #[error("nobody waits for the answer any more")]
    Cancelled,
    /// The answer took too long.
    #[error("the answer took more than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The model cannot be read.
    #[error("the model cannot be read: {}", causes(.0))]
    Base(#[from] Box<BaseError>),
    /// The model cannot be computed.
    #[error("the model cannot answer: {}", causes(.0))]
    Generate(#[source] GenerateError),
    /// The conversation cannot be put to the model.
    #[error("the conversation cannot be put to the model: {}", causes(.0))]
    Prompt(#[from] PromptError),
    /// The answer is no text.
    #[error("the answer cannot be decoded: {}", causes(.0))]
    Decode(#[from] TokenizerError),
    /// The community's adapter does not fit.
    #[error("the community's adapter cannot be used: {}", causes(.0))]
    Adapter(#[from] SeriesError),
    /// The endpoint does not answer.
    #[error("{0}")]
    Outside(#[from] OutsideError),
    /// The node does not give what is needed.
    #[error(transparent)]
    Node(#[from] ApiError),
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

/// An error and its causes, in one line.
fn causes(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<BaseError> for ChatError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}

impl From<GenerateError> for ChatError {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::LongPrompt { found, bound } => {
                Self::TooLong(format!("{found} tokens leave no room for an answer within the model's {bound}"))
            }
            error => Self::Generate(error),
        }
    }
}

impl From<AnswerError> for ChatError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Prompt(error) => error.into(),
            AnswerError::Generate(error) => error.into(),
            AnswerError::Decode(error) => error.into(),
        }
    }
}

impl ChatError {
    /// Returns what went wrong, for programs.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_)
            | Self::TooLong(_)
            | Self::Unsupported { .. }
            | Self::UnknownModel(_)
            | Self::Prompt(_) => Kind::Invalid,
            Self::Busy(_) => Kind::Busy,
            Self::NotConfigured | Self::Settings(_) | Self::Key { .. } | Self::Base(_) | Self::Adapter(_) => {
                Kind::Configuration
            }
            Self::Outside(_) => Kind::Unavailable,
            Self::TimedOut(_) => Kind::TimedOut,
            Self::Node(error) => error.kind,
            Self::Generate(_) | Self::Decode(_) | Self::Internal(_) | Self::Cancelled => Kind::Internal,
        }
    }

    /// Returns what went wrong in particular, for the page.
    const fn told(&self) -> Code {
        match self {
            Self::NotConfigured => Code::NoModel,
            Self::Settings(_) | Self::Key { .. } | Self::Base(_) | Self::Adapter(_) => Code::ModelSettings,
            Self::Busy(_) => Code::Busy,
            Self::Invalid(_) | Self::Unsupported { .. } | Self::UnknownModel(_) | Self::Prompt(_) => Code::Conversation,
            Self::TooLong(_) => Code::ConversationLong,
            Self::Cancelled | Self::Generate(_) | Self::Decode(_) => Code::ModelFailed,
            Self::TimedOut(_) => Code::ModelSlow,
            Self::Outside(_) => Code::Endpoint,
            Self::Node(error) => error.code,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// Returns the code by which clients of OpenAI's protocol tell errors apart.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured => "model_not_configured",
            Self::Settings(_) | Self::Key { .. } => "model_misconfigured",
            Self::Busy(_) => "queue_full",
            Self::Invalid(_) | Self::Prompt(_) => "invalid_request",
            Self::Unsupported { .. } => "unsupported_parameter",
            Self::UnknownModel(_) => "model_not_found",
            Self::TooLong(_) => "context_length_exceeded",
            Self::Cancelled => "cancelled",
            Self::TimedOut(_) => "timed_out",
            Self::Base(_) => "model_unreadable",
            Self::Adapter(_) => "adapter_unusable",
            Self::Outside(_) => "endpoint_failed",
            Self::Generate(_) | Self::Decode(_) => "generation_failed",
            Self::Node(_) => "node_error",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<ChatError> for ApiError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::Node(error) => error,
            error => {
                let code = error.told();
                Self { kind: error.kind(), ..Self::coded(code, error.to_string()) }
            }
        }
    }
}
