//! What the interface answers when it does not do what it was asked.

mod code;

use std::collections::BTreeMap;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chorus_protocol::{contribution::ContributeError, fault::Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::code::Code;
use crate::{
    articulation::ArticulationError,
    attester::{DeskError, evidence::EvidenceError, hook::HookError},
    diary::DiaryError,
    driver::NodeError,
    participation::Refusal,
    vault::{NoLeaf, VaultError},
};

/// What went wrong, for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ErrorKind")]
pub enum Kind {
    /// The request is not understood, or names what does not exist.
    Invalid,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request was meant for another host.
    Host,
    /// The community's rules do not admit it.
    Refused,
    /// A file of the data directory is not what it should be.
    Configuration,
    /// It was sent, and is not on the log yet.
    TimedOut,
    /// The network does not give what is needed.
    Unavailable,
    /// Too many ask at once.
    Busy,
    /// The disk failed.
    Store,
    /// The node has stopped, or has a bug.
    Internal,
}

impl Kind {
    /// Returns the HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused => StatusCode::CONFLICT,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Store => StatusCode::INSUFFICIENT_STORAGE,
            Self::Configuration | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why the interface did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
#[schemars(rename = "Error")]
pub struct ApiError {
    /// For programs.
    pub kind: Kind,
    /// For programs, in particular.
    pub code: Code,
    /// What the code leaves open: numbers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// For people: what happened, and what to do.
    pub message: String,
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

impl ApiError {
    /// Returns an error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self::coded(kind.into(), message)
    }

    /// Returns an error that programs can tell from others of its kind.
    pub fn coded(code: Code, message: impl Into<String>) -> Self {
        Self { kind: code.kind(), code, values: BTreeMap::new(), message: message.into() }
    }

    /// Tells a number that the code leaves open.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// The request is not understood.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The rules do not admit it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.kind.status(), Json(ErrorBody { error: self })).into_response()
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::refused(format!("the community's rules refuse it: {fault}"))
    }
}

impl From<ContributeError> for ApiError {
    fn from(error: ContributeError) -> Self {
        match error {
            ContributeError::NotOpen => Self::coded(Code::Over, error.to_string()),
            ContributeError::NotMember => Self::coded(Code::NotInForce, error.to_string()),
            ContributeError::Votes { .. }
            | ContributeError::Kind(_)
            | ContributeError::Entries { .. }
            | ContributeError::Norm { .. }
            | ContributeError::Sequence => Self::refused(error.to_string()),
            _ => Self::new(Kind::Internal, error.to_string()),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Shows => Code::WouldShow,
            Refusal::NoAdapters => Code::NoAdapters,
        };
        Self::coded(code, refusal.to_string())
    }
}

impl From<NoLeaf> for ApiError {
    fn from(refusal: NoLeaf) -> Self {
        let code = match refusal {
            NoLeaf::NotInForce => Code::NotInForce,
            NoLeaf::Elsewhere => Code::LeafElsewhere,
        };
        Self::coded(code, refusal.to_string())
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let code = match error {
            VaultError::Damaged(_) | VaultError::NoLeaf => Code::Configuration,
            VaultError::Registered => Code::Registered,
            VaultError::TooMany => Code::Refused,
            VaultError::Io(_) => Code::Store,
        };
        Self::coded(code, error.to_string())
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        let code = match error {
            DeskError::Subject => Code::Invalid,
            DeskError::NoCode => Code::NoCode,
            DeskError::Known(_) => Code::Known,
            DeskError::NotTheirs(_) => Code::OtherPerson,
            DeskError::Nameless => Code::Nameless,
            DeskError::Damaged(_) | DeskError::Io(_) => Code::Store,
        };
        Self::coded(code, error.to_string())
    }
}

impl From<DiaryError> for ApiError {
    fn from(error: DiaryError) -> Self {
        let code = match error {
            DiaryError::Io(_) => Code::Store,
            DiaryError::Damaged { .. } => Code::Configuration,
            DiaryError::Card(_) => Code::Card,
        };
        Self::coded(code, error.to_string())
    }
}

impl From<ArticulationError> for ApiError {
    fn from(error: ArticulationError) -> Self {
        let invalid = |code| Self::coded(code, error.to_string());
        match error {
            ArticulationError::Empty => invalid(Code::Empty),
            ArticulationError::Long(_) => invalid(Code::TooLong).with("bound", crate::articulation::MAX_ANSWER_BYTES),
            ArticulationError::Card(_) => invalid(Code::Card),
            ArticulationError::Review => invalid(Code::Answered),
        }
    }
}

impl From<EvidenceError> for ApiError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Desk(error) => error.into(),
            EvidenceError::List { .. } => Self::new(Kind::Configuration, error.to_string()),
            EvidenceError::Hook(error) => {
                let code = match error {
                    HookError::Refused(_) => Code::Refused,
                    HookError::TimedOut(_) => Code::TimedOut,
                    HookError::Start { .. } | HookError::Unreachable { .. } | HookError::Answer(_) => Code::Hook,
                };
                Self::coded(code, error.to_string())
            }
            EvidenceError::None { .. } => Self::coded(Code::NoEvidence, error.to_string()),
            EvidenceError::Several(_) => Self::coded(Code::EvidenceTwice, error.to_string()),
            EvidenceError::Spent => Self::coded(Code::CodeSpent, error.to_string()),
            EvidenceError::Nameless => Self::coded(Code::Nameless, error.to_string()),
            EvidenceError::OtherSubject => Self::coded(Code::OtherPerson, error.to_string()),
            EvidenceError::Unchecked { .. } => Self::coded(Code::Unchecked, error.to_string()),
            EvidenceError::OtherValue { .. } => Self::coded(Code::OtherValue, error.to_string()),
        }
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        let kind = match error {
            NodeError::NotFound(_) | NodeError::Network(_) | NodeError::Unfounded | NodeError::Stopped => {
                Kind::Unavailable
            }
            NodeError::NotWhole(_) => Kind::Refused,
            NodeError::Start(_) | NodeError::Randomness(_) => Kind::Internal,
            NodeError::Journal(_)
            | NodeError::JournalLost
            | NodeError::JournalOld
            | NodeError::JournalForeign
            | NodeError::Store(_)
            | NodeError::StoreDamaged
            | NodeError::LogLost { .. }
            | NodeError::ContributionLost(_)
            | NodeError::Blobs(_)
            | NodeError::Io(_)
            | NodeError::Recording(_) => Kind::Store,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Store, format!("the disk failed: {error}"))
    }
}
