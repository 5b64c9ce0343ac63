//! The routes about values: the dialogue, cards, transitions, the moral graph.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{Answer, Asked, Shared};
use crate::{
    api::{ApiError, Kind, view},
    drawing,
};

/// Returns the routes, below the base of all.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/values/dialogue", get(dialogue).post(articulate))
        .route("/values/cards", get(cards))
        .route("/values/transitions", get(transitions))
        .route("/values/next", get(next))
        .route("/values/similar", get(similar))
        .route("/values/merge", post(merge))
        .route("/values/canonical", post(canonical))
        .route("/moral-graph", get(moral_graph))
        .route("/moral-graph.svg", get(picture))
}

async fn dialogue(State(shared): State<Shared>) -> Answer<view::Articulated> {
    shared.service.dialogue().await.map(Json)
}

async fn articulate(State(shared): State<Shared>, Asked(said): Asked<view::Speak>) -> Answer<view::Articulated> {
    shared.service.articulate(said).await.map(Json)
}

async fn cards(State(shared): State<Shared>, Query(asked): Query<view::OfPoll>) -> Answer<Vec<view::CardView>> {
    shared.service.cards(asked).await.map(Json)
}

async fn transitions(
    State(shared): State<Shared>,
    Query(asked): Query<view::OfPoll>,
) -> Answer<Vec<view::TransitionView>> {
    shared.service.transitions(asked).await.map(Json)
}

async fn next(State(shared): State<Shared>, Query(asked): Query<view::AskNext>) -> Answer<view::NextValues> {
    shared.service.next_values(asked).await.map(Json)
}

async fn similar(State(shared): State<Shared>) -> Answer<Vec<view::SimilarCards>> {
    shared.service.similar_cards().await.map(Json)
}

async fn merge(State(shared): State<Shared>, Asked(asked): Asked<view::AboutCard>) -> Answer<view::CardView> {
    if asked.into.is_none() {
        return Err(ApiError::invalid("into which card? To let it stand for itself: values/canonical"));
    }
    shared.service.state_card(asked).await.map(Json)
}

async fn canonical(State(shared): State<Shared>, Asked(asked): Asked<view::AboutCard>) -> Answer<view::CardView> {
    if asked.into.is_some() {
        return Err(ApiError::invalid("a canonical card stands for itself; to merge it: values/merge"));
    }
    shared.service.state_card(asked).await.map(Json)
}

/// Every node answers the same bytes for the same log and question.
async fn moral_graph(State(shared): State<Shared>, Query(asked): Query<view::AskGraph>) -> Result<Response, ApiError> {
    let (graph, votes) = shared.service.moral_graph(&asked).await?;
    let json = serde_json::to_string_pretty(&graph.export(&votes, asked.all_edges))
        .map_err(|error| ApiError::new(Kind::Internal, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn picture(State(shared): State<Shared>, Query(asked): Query<view::AskGraph>) -> Result<Response, ApiError> {
    let (graph, _) = shared.service.moral_graph(&asked).await?;
    let svg = drawing::moral_graph::moral_graph(&graph);
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}
