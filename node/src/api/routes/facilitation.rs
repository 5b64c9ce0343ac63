//! Routes for taking part in polls and looking after them: moderation, what to show next, own votes and statements, tables.

use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{Answer, Asked, Shared};
use crate::api::{
    error::ApiError,
    openapi::{Csv, told},
    service::{SoFar, Table},
    view,
};

/// Returns these routes.
pub(super) fn described() -> ApiRouter<Shared> {
    ApiRouter::new()
        .api_route(
            "/polls/{poll}/rules",
            get_with(rules, told("The rules for the items of a poll."))
                .post_with(change_rules, told("States other rules, as an operator.")),
        )
        .api_route("/polls/{poll}/moderate", post_with(moderate, told("Accepts or rejects items, as an operator.")))
        .api_route("/polls/{poll}/similar", post_with(similar, told("Items that say nearly the same as a text.")))
        .api_route("/polls/{poll}/next", get_with(next, told("Which item to show next.")))
        .api_route(
            "/polls/{poll}/mine",
            get_with(mine, told("The person’s own votes and statements, which this node alone knows.")),
        )
        .api_route("/moderation", get_with(moderation, told("Everything that operators have said about items.")))
        .api_route(
            "/export/{file}",
            get_with(export, |op| told("A table, without a row for any person.")(op).response::<200, Csv>()),
        )
}

/// The query of `GET polls/{poll}/next`.
#[derive(Deserialize, schemars::JsonSchema)]
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

async fn moderation(State(shared): State<Shared>, Query(query): Query<view::OfPoll>) -> Answer<view::ModerationLog> {
    shared.service.moderation_log(query.poll.as_deref()).await.map(Json)
}

async fn export(
    State(shared): State<Shared>,
    Path(file): Path<String>,
    Query(query): Query<view::OfPoll>,
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
