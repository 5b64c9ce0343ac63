//! The routes about values: the dialogue, cards, transitions, the moral graph.

use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::{
    Json,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use chorus_protocol::deliberation::moral_graph::export::MoralGraphExport;

use super::{Answer, Asked, Shared};
use crate::{
    api::{
        ApiError, Kind,
        openapi::{Picture, told},
        view,
    },
    drawing,
};

/// Returns the routes, below the base of all.
pub(super) fn described() -> ApiRouter<Shared> {
    ApiRouter::new()
        .api_route(
            "/values/dialogue",
            get_with(dialogue, told("The dialogue that is under way."))
                .post_with(articulate, told("Says something in the dialogue.")),
        )
        .api_route("/values/cards", get_with(cards, told("The values cards of the community.")))
        .api_route("/values/transitions", get_with(transitions, told("The transitions that polls ask about.")))
        .api_route("/values/next", get_with(next, told("Which values or transitions to show next.")))
        .api_route("/values/similar", get_with(similar, told("Cards that may mean the same.")))
        .api_route("/values/merge", post_with(merge, told("Says, as an operator, that one card stands for another.")))
        .api_route(
            "/values/canonical",
            post_with(canonical, told("Says, as an operator, that a card stands for itself.")),
        )
        .api_route(
            "/moral-graph",
            get_with(moral_graph, |op| {
                told("The moral graph, in its published form.")(op).response::<200, Json<MoralGraphExport>>()
            }),
        )
        .api_route(
            "/moral-graph.svg",
            get_with(picture, |op| told("The moral graph, drawn.")(op).response::<200, Picture>()),
        )
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
