//! What the page answers when it does not do what it was asked.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    api::{ApiError, Kind},
    driver::NodeError,
};

/// Why a page is not shown. The [guard](super::guard) makes a page of it, in the language of who asks.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    /// The service does not do it.
    Service(ApiError),
    /// There is no such page.
    Nowhere,
    /// Nobody is in.
    Outside,
    /// A link that was used, or is none.
    Link,
    /// A form that did not come from the page.
    Foreign,
    /// A form that is too large or does not read.
    Form(StatusCode),
}

impl Failed {
    /// There is no such page.
    pub(super) const fn nowhere() -> Self {
        Self::Nowhere
    }

    /// Returns the HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Service(error) => error.kind.status(),
            Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Outside | Self::Link => StatusCode::UNAUTHORIZED,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Form(status) => *status,
        }
    }

    /// Returns the beginning of the keys of its words.
    pub(super) const fn key(&self) -> &'static str {
        match self {
            Self::Service(error) => match error.kind {
                Kind::TimedOut => "failed.timed_out",
                Kind::Busy => "failed.busy",
                Kind::Refused => "failed.refused",
                Kind::Invalid => "failed.invalid",
                Kind::Host => "failed.host",
                Kind::Unauthorized | Kind::Configuration | Kind::Unavailable | Kind::Store | Kind::Internal => {
                    "failed.service"
                }
            },
            Self::Nowhere => "failed.nowhere",
            Self::Outside => "failed.outside",
            Self::Link => "failed.link",
            Self::Foreign => "failed.foreign",
            Self::Form(_) => "failed.form",
        }
    }

    /// Returns what the service says.
    pub(super) const fn error(&self) -> Option<&ApiError> {
        match self {
            Self::Service(error) => Some(error),
            Self::Nowhere | Self::Outside | Self::Link | Self::Foreign | Self::Form(_) => None,
        }
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Service(error)
    }
}

impl From<NodeError> for Failed {
    fn from(error: NodeError) -> Self {
        Self::Service(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
