//! What the interface answers when it does not do what it was asked.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chorus_protocol::{contribution::ContributeError, fault::Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
        Self { kind, message: message.into() }
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
            ContributeError::NotOpen
            | ContributeError::NotMember
            | ContributeError::Votes { .. }
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
        Self::refused(refusal.to_string())
    }
}

impl From<NoLeaf> for ApiError {
    fn from(refusal: NoLeaf) -> Self {
        Self::refused(refusal.to_string())
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let kind = match error {
            VaultError::Damaged(_) | VaultError::NoLeaf => Kind::Configuration,
            VaultError::Registered | VaultError::TooMany => Kind::Refused,
            VaultError::Io(_) => Kind::Store,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        let kind = match error {
            DeskError::Subject | DeskError::NoCode => Kind::Invalid,
            DeskError::Known(_) | DeskError::NotTheirs(_) | DeskError::Nameless => Kind::Refused,
            DeskError::Damaged(_) | DeskError::Io(_) => Kind::Store,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<DiaryError> for ApiError {
    fn from(error: DiaryError) -> Self {
        let kind = match error {
            DiaryError::Io(_) => Kind::Store,
            DiaryError::Damaged { .. } => Kind::Configuration,
            DiaryError::Card(_) => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ArticulationError> for ApiError {
    fn from(error: ArticulationError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<EvidenceError> for ApiError {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Desk(error) => error.into(),
            EvidenceError::List { .. } => Self::new(Kind::Configuration, error.to_string()),
            EvidenceError::Hook(error) => {
                let kind = match error {
                    HookError::Refused(_) => Kind::Refused,
                    HookError::TimedOut(_) => Kind::TimedOut,
                    HookError::Start { .. } | HookError::Unreachable { .. } | HookError::Answer(_) => {
                        Kind::Configuration
                    }
                };
                Self::new(kind, error.to_string())
            }
            EvidenceError::None { .. }
            | EvidenceError::Several(_)
            | EvidenceError::Spent
            | EvidenceError::Nameless
            | EvidenceError::OtherSubject
            | EvidenceError::Unchecked { .. }
            | EvidenceError::OtherValue { .. } => Self::refused(error.to_string()),
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
