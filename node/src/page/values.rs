//! Values: the dialogue that ends in a card, the community's cards, and the moral graph.

use std::collections::BTreeMap;

use axum::{
    extract::{Extension, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chorus_protocol::id::BlobId;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::{self, After},
    text,
};
use crate::api::Code;
use crate::{
    api::{
        ApiError,
        view::{self, Speak},
    },
    diary::ValueCard,
    drawing,
};

/// `GET /values`.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(after): Query<After>,
) -> Result<Response, Failed> {
    let diary = page.service.diary().await?;
    let view::Articulated { dialogue, outside, .. } =
        if diary.kept { page.service.dialogue().await? } else { view::Articulated::default() };
    let all = polls::cards(&page).await?;
    let of_values: Vec<_> = all.into_iter().filter(|card| card.poll.kind == view::Asks::Value).collect();
    let mut cards = page.service.cards(view::OfPoll::default()).await?;
    cards.retain(|card| card.into.is_none());
    cards.sort_by_key(|card| core::cmp::Reverse(card.votes.map_or(0, |votes| votes.agree)));
    let values =
        context! { kept => diary.kept, own => diary.cards, dialogue, outside, of_values, cards, said => after.key() };
    page.show(&visit, "values.html", values).await
}

/// `GET /values/dialogue`.
pub(super) async fn dialogue(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let view::Articulated { dialogue, outside, .. } = page.service.dialogue().await?;
    match dialogue {
        Some(dialogue) => page.show(&visit, "dialogue.html", context! { dialogue, outside }).await,
        None => Ok(Redirect::to("/values").into_response()),
    }
}

/// `POST /values/dialogue`: takes what the person says.
pub(super) async fn say(State(page): State<Page>, Extension(fields): Extension<Fields>) -> Result<Redirect, Failed> {
    let given = |name| Some(fields.text(name).to_owned()).filter(|text| !text.is_empty());
    let said = match fields.text("say") {
        "begin" => Speak::Begin { poll: given("poll"), tell: given("tell") },
        "tell" => Speak::Tell { host: given("tell") },
        "answer" => Speak::Answer { text: fields.text("text").replace("\r\n", "\n") },
        "back" => Speak::Back,
        "discard" => Speak::Discard,
        "edit" | "accept" => Speak::Edit { card: card(&fields) },
        _ => return Err(ApiError::coded(Code::Choice, "that is nothing to say in a dialogue").into()),
    };
    let mut articulated = page.service.articulate(said).await?;
    if fields.text("say") == "accept" {
        articulated = page.service.articulate(Speak::Accept).await?;
    }
    Ok(match articulated.dialogue {
        Some(_) => Redirect::to("/values/dialogue"),
        None if articulated.card.is_some() => Redirect::to("/values?said=saved"),
        None => Redirect::to("/values"),
    })
}

fn card(fields: &Fields) -> ValueCard {
    let lines = fields.text("policies").lines().map(str::trim).filter(|line| !line.is_empty());
    ValueCard {
        title: fields.text("title").to_owned(),
        instruction: fields.text("instruction").to_owned(),
        policies: lines.map(str::to_owned).collect(),
    }
}

/// `POST /values/propose`: proposes one of the person's cards for a value poll.
pub(super) async fn propose(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
) -> Result<Redirect, Failed> {
    let diary = page.service.diary().await?;
    let card = diary.cards.iter().find(|card| card.title == fields.text("title"));
    let card = card.ok_or_else(|| ApiError::coded(Code::NoCard, "there is no such card of yours"))?;
    let text = serde_json::to_string(card).map_err(|_| ApiError::invalid("the card cannot be written"))?;
    let asked = view::Propose { items: vec![text], wait_seconds: Some(20), ..view::Propose::default() };
    let proposed = page.service.propose(fields.text("poll"), asked).await?;
    Ok(Redirect::to(&format!("/polls/{}?said=proposed", proposed.poll.id)))
}

/// What of the moral graph is wanted.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    context: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    all: String,
}

/// A move that people found wiser.
#[derive(Serialize)]
struct Line<'a> {
    from: &'a str,
    to: &'a str,
    contexts: Vec<&'a str>,
    wiser: u64,
    not_wiser: u64,
    less_wise: u64,
    unsure: u64,
    likelihood: Option<f64>,
}

/// A value with its place in the graph.
#[derive(Serialize)]
struct Node<'a> {
    title: &'a str,
    instruction: &'a str,
    page_rank: f64,
    wisdom: f64,
}

/// `GET /values/graph`.
pub(super) async fn graph(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failed> {
    let transitions = page.service.transitions(view::OfPoll::default()).await?;
    let mut contexts: Vec<String> = transitions.into_iter().map(|transition| transition.context).collect();
    contexts.sort();
    contexts.dedup();
    let published = wanted.rule == "democratic-fine-tuning";
    let asked = view::AskGraph {
        rule: if published { view::Rule::DemocraticFineTuning } else { view::Rule::Chorus },
        context: Some(wanted.context.clone()).filter(|context| contexts.contains(context)),
        // A small community sees what it has, before anything is sure.
        min_wiser: (!wanted.all.is_empty()).then_some(1),
        min_likelihood: (!wanted.all.is_empty()).then_some(0),
        max_entropy: (!wanted.all.is_empty()).then_some(1_000),
        ..view::AskGraph::default()
    };
    let (graph, _) = page.service.moral_graph(&asked).await?;
    let titles: BTreeMap<BlobId, &str> = graph.nodes.iter().map(|node| (node.id, node.card.title())).collect();
    let title = |id: &BlobId| titles.get(id).copied().unwrap_or("?");
    let edges = graph.edges.iter().map(|edge| Line {
        from: title(&edge.from),
        to: title(&edge.to),
        contexts: edge.contexts.iter().map(String::as_str).collect(),
        wiser: edge.counts.wiser,
        not_wiser: edge.counts.not_wiser,
        less_wise: edge.counts.less_wise,
        unsure: edge.counts.unsure,
        likelihood: edge.likelihood(),
    });
    let nodes = graph.nodes.iter().map(|node| Node {
        title: node.card.title(),
        instruction: node.card.instruction(),
        page_rank: node.page_rank,
        wisdom: node.wisdom,
    });
    let mut nodes: Vec<Node<'_>> = nodes.collect();
    nodes.sort_by(|a, b| b.page_rank.total_cmp(&a.page_rank));
    let values = context! {
        // The drawing escapes what people wrote; what is hidden in it becomes a mark.
        drawing => Value::from_safe_string(text::plain_lines(&drawing::moral_graph::moral_graph(&graph))),
        edges => edges.collect::<Vec<_>>(),
        nodes,
        contexts,
        context => wanted.context,
        published,
        all => !wanted.all.is_empty(),
    };
    page.show(&visit, "graph.html", values).await
}
