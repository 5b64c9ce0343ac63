//! Proposing a statement.

use std::collections::BTreeMap;

use axum::{
    extract::Extension,
    response::{IntoResponse as _, Redirect, Response},
};
use chorus_protocol::limits::MAX_STATEMENT_BYTES;
use minijinja::context;

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::AtPoll,
    vote::described,
    wording,
};
use crate::api::Code;
use crate::api::{ApiError, Kind, view};

/// How much of a refused text is shown again.
const MAX_SHOWN: usize = 2 * MAX_STATEMENT_BYTES;

/// `GET /polls/{poll}/propose`.
pub(super) async fn show(AtPoll { page, visit, poll }: AtPoll) -> Result<Response, Failed> {
    form(&page, &visit, poll, &Fields::default(), None).await
}

async fn form(
    page: &Page,
    visit: &Visit,
    poll: view::Poll,
    fields: &Fields,
    refused: Option<&ApiError>,
) -> Result<Response, Failed> {
    let text = fields.text("text");
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    let items: Vec<&view::Item> = poll.items.iter().collect();
    let mut cards = match poll.kind {
        view::Asks::Transition => page.service.cards(view::OfPoll::default()).await?,
        view::Asks::Statement | view::Asks::Value | view::Asks::Amendment => Vec::new(),
    };
    cards.retain(|card| card.into.is_none());
    let names =
        ["topic", "prompt", "failure", "anyway", "title", "instruction", "policies", "from", "to", "where", "story"];
    let values = context! {
        level => page.service.manner()?,
        most => MAX_STATEMENT_BYTES,
        similar => if refused.is_some() && poll.kind == view::Asks::Statement { page.service.similar(&poll.id.to_string(), near(text)).await? } else { Vec::new() },
        is_long => text.len() > MAX_STATEMENT_BYTES,
        topics => &poll.topics,
        text => shown,
        fields => names.map(|name| (name, fields.text(name))).into_iter().collect::<BTreeMap<_, _>>(),
        cards,
        items => described(page, &poll, &items).await?,
        refused => refused.map(|error| page.told(visit, error)),
        poll,
    };
    let mut response = page.show(visit, "propose.html", values).await?;
    if let Some(error) = refused {
        *response.status_mut() = error.kind.status();
    }
    Ok(response)
}

/// Asks what is near to a text; of a long one, to its beginning.
fn near(text: &str) -> view::AskSimilar {
    view::AskSimilar { text: text.chars().take(MAX_STATEMENT_BYTES / 4).collect() }
}

/// Returns the statement of a form, with the topic and the prompt that speak for it.
fn statement(fields: &Fields) -> view::NewItem {
    let prompt = view::Prompt { prompt: fields.text("prompt").into(), failure: fields.text("failure").into() };
    view::NewItem {
        text: fields.text("text").replace("\r\n", "\n"),
        topic: fields.text("topic").to_owned(),
        meta: false,
        prompts: if prompt.prompt.is_empty() { Vec::new() } else { vec![prompt] },
    }
}

/// `POST /polls/{poll}/propose`.
pub(super) async fn propose(
    AtPoll { page, visit, poll }: AtPoll,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Failed> {
    let text = fields.text("text");
    let (items, annotated) = match poll.kind {
        view::Asks::Statement => (Vec::new(), vec![statement(&fields)]),
        kind => (vec![wording::of_form(kind, &fields)], Vec::new()),
    };
    let asked = view::Propose {
        open: fields.is_on("open"),
        anyway: fields.is_on("anyway"),
        items,
        annotated,
        wait_seconds: Some(20),
        ..view::Propose::default()
    };
    let similar = match poll.kind {
        view::Asks::Statement => page.service.similar(&poll.id.to_string(), near(text)).await?,
        view::Asks::Value | view::Asks::Transition | view::Asks::Amendment => Vec::new(),
    };
    // Who has been shown what is near, and insists, is believed.
    if !similar.is_empty() && !asked.anyway && text.len() <= MAX_STATEMENT_BYTES {
        let refused = ApiError::coded(Code::StandsAlready, "others have proposed nearly the same");
        return form(&page, &visit, poll, &fields, Some(&refused)).await;
    }
    let said = match page.service.propose(&poll.id.to_string(), asked).await {
        Ok(_) => "proposed",
        Err(ApiError { kind: Kind::TimedOut, .. }) => "on_its_way",
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Refused) => {
            return form(&page, &visit, poll, &fields, Some(&error)).await;
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Redirect::to(&format!("/polls/{}?said={said}", poll.id)).into_response())
}
