//! The page: what a person sees of their node in a browser, on loopback.
//!
//! It is rendered here, works without script for reading and voting, and asks the same [`Service`] as the JSON interface;
//! scripts of its own add shortcuts and live numbers. One module and one template make one page. Texts come from a
//! catalogue (`words`), in English and German.
//!
//! # Security
//!
//! The server answers to its loopback address alone ([`Gate::check_host`]), and only to a browser that came in by a link
//! which the node gave out once ([`session`]). What changes something must come from the page itself: the `guard` reads
//! every posted form, and lets nothing through without the session's token and the browser's word on where it comes from.
//! What people wrote is escaped by the templates, and characters that are invisible or turn text round are shown as marks
//! (`text`). No script, style or picture comes from elsewhere, and none stands in the page.

mod assets;
mod chart;
mod cited;
mod drafts;
mod failure;
mod guard;
mod live;
mod render;
pub mod session;
mod text;
mod wording;
mod words;

mod adapter;
mod cards;
mod chat;
mod constitution;
mod home;
mod members;
mod network;
mod operate;
mod own;
mod polls;
mod propose;
mod result;
mod values;
mod vote;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::sync::{Semaphore, watch};

pub(crate) use self::text::{plain, plain_lines};
use self::{cited::Comparison, drafts::Drafts, failure::Failed, render::Views, session::Sessions};
use crate::api::{MAX_REQUEST_BYTES, Service, auth::Gate};

/// Live connections that are open at once.
const MAX_LISTENERS: usize = 16;

/// What the page's handlers share.
#[derive(Clone, Debug)]
pub struct Page {
    service: Arc<Service>,
    gate: Gate,
    sessions: Arc<Sessions>,
    drafts: Arc<Drafts>,
    views: Arc<Views>,
    listeners: Arc<Semaphore>,
    comparison: Comparison,
    /// Turns true when the node is about to stop.
    closing: watch::Receiver<bool>,
}

impl Page {
    /// Returns the page of a running node.
    pub fn new(service: Arc<Service>, gate: Gate, sessions: Arc<Sessions>, closing: watch::Receiver<bool>) -> Self {
        let (drafts, views) = (Arc::new(Drafts::default()), Arc::new(Views::new()));
        let listeners = Arc::new(Semaphore::new(MAX_LISTENERS));
        Self { service, gate, sessions, drafts, views, listeners, comparison: Comparison::default(), closing }
    }
}

/// Returns the routes of the page, and the answer to whatever nobody else answers.
pub fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/enter", get(guard::enter))
        .route("/leave", post(guard::leave))
        .route("/language", post(guard::choose_language))
        .route("/events", get(live::events))
        .route("/assets/{name}", get(assets::serve))
        .route("/polls", get(polls::list))
        .route("/polls/{poll}", get(polls::show))
        .route("/polls/{poll}/vote", get(vote::card).post(vote::choose))
        .route("/polls/{poll}/review", get(vote::review))
        .route("/polls/{poll}/cast", post(vote::cast))
        .route("/polls/{poll}/withdraw", post(vote::withdraw))
        .route("/polls/{poll}/propose", get(propose::show).post(propose::propose))
        .route("/polls/{poll}/result", get(result::show))
        .route("/polls/{poll}/receipt", get(result::receipt))
        .route("/own", get(own::show))
        .route("/constitution", get(constitution::show))
        .route("/members", get(members::show))
        .route("/members/request", post(members::request))
        .route("/members/approve", post(members::approve))
        .route("/members/codes", post(members::codes))
        .route("/members/vouch", post(members::vouch))
        .route("/adapter", get(adapter::show))
        .route("/network", get(network::show))
        .route("/operate", get(operate::show))
        .route("/operate/open", post(operate::open))
        .route("/operate/polls/{poll}/round", post(operate::begin))
        .route("/operate/polls/{poll}/rules", post(operate::state_rules))
        .route("/operate/cards", get(cards::show).post(cards::say))
        .route("/operate/polls/{poll}", get(operate::poll))
        .route("/operate/polls/{poll}/moderate", post(operate::moderate))
        .route("/moderation", get(operate::log))
        .route("/tables/{table}", get(result::table))
        .route("/values", get(values::show))
        .route("/values/dialogue", get(values::dialogue).post(values::say))
        .route("/values/propose", post(values::propose))
        .route("/values/graph", get(values::graph))
        .route("/chat", get(chat::show).post(chat::ask))
        .route("/chat/stream", post(chat::stream))
        .route("/chat/cases", post(chat::compare))
        .fallback(async || Failed::nowhere())
        .method_not_allowed_fallback(async || Failed::nowhere())
        .layer(middleware::from_fn_with_state(page.clone(), guard::guard))
        // Around the guard, which reads the forms.
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(page)
}
