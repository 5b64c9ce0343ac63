//! Routes for taking part in polls and looking after them: moderation, what to show next, own votes and statements, tables.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{Answer, Asked, Shared};
use crate::api::{
    error::ApiError,
    service::{SoFar, Table},
    view,
};

/// Returns these routes.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/polls/{poll}/rules", get(rules).post(change_rules))
        .route("/polls/{poll}/moderate", post(moderate))
        .route("/polls/{poll}/similar", post(similar))
        .route("/polls/{poll}/next", get(next))
        .route("/polls/{poll}/mine", get(mine))
        .route("/moderation", get(moderation))
        .route("/export/{file}", get(export))
}

#[derive(Debug, Deserialize)]
struct OfPoll {
    poll: Option<String>,
}

#[derive(Deserialize)]
struct NextQuery {
    /// Items answered and not sent yet, separated by commas.
    answered: Option<String>,
    /// Items that are to come last.
    skipped: Option<String>,
    topic: Option<String>,
}

async fn rules(State(shared): State<Shared>, Path(poll): Path<String>) -> Answer<view::RulesView> {
    shared.service.poll_rules(&poll).await.map(Json)
}

async fn change_rules(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::ChangeRules>,
) -> Answer<view::RulesView> {
    shared.service.change_rules(&poll, asked).await.map(Json)
}

async fn moderate(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::Moderate>,
) -> Answer<view::Poll> {
    shared.service.moderate(&poll, asked).await.map(Json)
}

async fn similar(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::AskSimilar>,
) -> Answer<Vec<view::Similar>> {
    shared.service.similar(&poll, asked).await.map(Json)
}

async fn next(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Query(query): Query<NextQuery>,
) -> Answer<view::Next> {
    let items = |list: Option<String>| {
        let list = list.unwrap_or_default();
        list.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let topic = query.topic.filter(|topic| !topic.is_empty());
    let so_far = SoFar { answered: items(query.answered), skipped: items(query.skipped), topic };
    shared.service.next_item(&poll, so_far).await.map(Json)
}

async fn mine(State(shared): State<Shared>, Path(poll): Path<String>) -> Answer<view::Mine> {
    shared.service.mine(&poll).await.map(Json)
}

async fn moderation(State(shared): State<Shared>, Query(query): Query<OfPoll>) -> Answer<view::ModerationLog> {
    shared.service.moderation_log(query.poll.as_deref()).await.map(Json)
}

async fn export(
    State(shared): State<Shared>,
    Path(file): Path<String>,
    Query(query): Query<OfPoll>,
) -> Result<Response, ApiError> {
    let table = Table::of_file(&file).ok_or_else(|| {
        let names: Vec<&str> = Table::ALL.into_iter().map(Table::file).collect();
        ApiError::invalid(format!("there is no such table: there are {}", names.join(", ")))
    })?;
    let rows = shared.service.table(table, query.poll.as_deref()).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", table.file())),
    ];
    Ok((headers, rows).into_response())
}
