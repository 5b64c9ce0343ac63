//! What is answered without a token: `/livez`, `/readyz`, `/metrics`; on the local interface, and where an address was given
//! for it.

use std::{io, net::SocketAddr};

use aide::axum::{ApiRouter, routing::get_with};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

use super::{
    ServerError,
    openapi::{Text, told},
};
use crate::{health::Health, metrics};

/// Returns the three routes.
pub fn router(health: Health) -> Router {
    Router::from(described()).with_state(health)
}

/// Returns them with what they say of themselves.
pub(super) fn described() -> ApiRouter<Health> {
    ApiRouter::new()
        .api_route(
            "/livez",
            get_with(live, |op| {
                told("Whether the node does anything at all.")(op).response::<200, Text>().response::<503, Text>()
            }),
        )
        .api_route(
            "/readyz",
            get_with(ready, |op| {
                told("Whether the node can be used; with `?verbose`, why not.")(op)
                    .response::<200, Text>()
                    .response::<503, Text>()
            }),
        )
        .api_route(
            "/metrics",
            get_with(measured, |op| told("Metrics in the OpenMetrics format.")(op).response::<200, Text>()),
        )
}

fn words(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}

async fn live(State(health): State<Health>) -> Response {
    match health.is_live() {
        true => words(StatusCode::OK, "live\n".into()),
        false => words(StatusCode::SERVICE_UNAVAILABLE, "not live\n".into()),
    }
}

async fn ready(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let snapshot = health.look().await;
    let is_ready = snapshot.is_ready();
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part == "verbose=true"));
    let mut text = String::new();
    if verbose {
        for check in snapshot.checks() {
            let mark = if check.ok { "[+]" } else { "[-]" };
            text.push_str(&format!("{mark} {}: {}\n", check.name, check.detail));
        }
    }
    text.push_str(if is_ready { "ready\n" } else { "not ready\n" });
    words(if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

async fn measured(State(health): State<Health>) -> Response {
    match metrics::render(&health.look().await) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => words(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n".into()),
    }
}

/// A server of the three routes alone, where an address was given for it.
#[derive(Debug)]
pub struct OpenServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl OpenServer {
    /// Listens.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Listen`].
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let refused = |source: io::Error| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped or the system takes the listener away.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Serve`].
    pub async fn serve(self, health: Health) -> Result<(), ServerError> {
        axum::serve(self.listener, router(health)).await.map_err(ServerError::Serve)
    }
}
