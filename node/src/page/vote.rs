//! Voting: one statement at a time, then a look at all of them, then the ballot goes out.

use axum::{
    extract::{Extension, Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::{self, draft, standing},
};
use crate::api::{
    ApiError, Kind,
    view::{self, Choice},
};

/// How long the page waits for the log before it says that a ballot is on its way, in seconds.
const WAIT: u64 = 20;

/// Which statement.
#[derive(Deserialize)]
pub(super) struct Which {
    /// This one, by its number.
    item: Option<usize>,
    /// The next one without a vote after this number.
    after: Option<usize>,
}

/// Returns the items of the ballot in the order in which they are shown.
fn ballot(poll: &view::Poll) -> Vec<&view::Item> {
    poll.items.iter().filter(|item| item.on_ballot).collect()
}

/// `GET /polls/{poll}/vote`: one statement.
pub(super) async fn card(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Path(reference): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    if standing(&poll) != "open" {
        return Ok(Redirect::to(&format!("/polls/{}", poll.id)).into_response());
    }
    let (draft, items) = (draft(&page, &poll), ballot(&poll));
    let position = |number: usize| items.iter().position(|item| item.number == number);
    let begin = which.after.and_then(position).map_or(0, |at| at + 1);
    let undecided = |at: &usize| items.get(*at).is_some_and(|item| !draft.contains_key(&item.id));
    let at = match which.item {
        Some(number) => position(number),
        None => (begin..items.len()).find(undecided),
    };
    let Some((at, item)) = at.and_then(|at| Some((at, *items.get(at)?))) else {
        return Ok(Redirect::to(&format!("/polls/{}/review", poll.id)).into_response());
    };
    let values = context! {
        item,
        position => at + 1,
        all => items.len(),
        chosen => draft.len(),
        choice => draft.get(&item.id),
        previous => at.checked_sub(1).and_then(|at| items.get(at)).map(|item| item.number),
        kind => words_of(poll.kind),
        round => poll.rounds.last(),
        poll,
    };
    page.show(&visit, "card.html", values).await
}

/// Returns which words a kind of poll has for its choices.
pub(super) const fn words_of(kind: view::Asks) -> &'static str {
    match kind {
        view::Asks::Statement | view::Asks::Value | view::Asks::Amendment => "statement",
        view::Asks::Transition => "transition",
    }
}

fn choice(text: &str) -> Option<Choice> {
    match text {
        "agree" => Some(Choice::Agree),
        "disagree" => Some(Choice::Disagree),
        "pass" => Some(Choice::Pass),
        _ => None,
    }
}

/// `POST /polls/{poll}/vote`: chooses, and goes on.
pub(super) async fn choose(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
    Path(reference): Path<String>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    let items = ballot(&poll);
    let item = items.iter().find(|item| item.id.to_string() == fields.text("item"));
    let (Some(item), Some(round)) = (item, poll.rounds.last()) else {
        return Err(ApiError::invalid("this statement is not on the ballot").into());
    };
    let mut draft = draft(&page, &poll);
    match (fields.text("choice"), choice(fields.text("choice"))) {
        ("none", _) => drop(draft.remove(&item.id)),
        (_, Some(choice)) => drop(draft.insert(item.id, choice)),
        (_, None) => return Err(ApiError::invalid("there is no such choice").into()),
    }
    page.drafts.keep(round.id, draft);
    let to = match fields.text("to") {
        "review" => format!("/polls/{}/review", poll.id),
        _ => format!("/polls/{}/vote?after={}", poll.id, item.number),
    };
    Ok(Redirect::to(&to).into_response())
}

/// A statement with the choice, in the review.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: &'a view::Item,
    choice: Option<Choice>,
}

/// `GET /polls/{poll}/review`: all choices before they are cast.
pub(super) async fn review(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Path(reference): Path<String>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    if standing(&poll) != "open" {
        return Ok(Redirect::to(&format!("/polls/{}", poll.id)).into_response());
    }
    let draft = draft(&page, &poll);
    let lines = ballot(&poll).into_iter().map(|item| Line { item, choice: draft.get(&item.id).copied() });
    let lines: Vec<Line<'_>> = lines.collect();
    let settings = page.service.manner()?;
    let values = context! {
        missing => lines.iter().filter(|line| line.choice.is_none()).count(),
        chosen => draft.len(),
        lines,
        changed => draft != polls::cast(&poll),
        kind => words_of(poll.kind),
        round => poll.rounds.last(),
        level => settings,
        poll,
    };
    page.show(&visit, "review.html", values).await
}

/// `POST /polls/{poll}/cast`: sends the ballot.
pub(super) async fn cast(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
    Path(reference): Path<String>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    let votes = draft(&page, &poll).into_iter().map(|(item, choice)| (item.to_string(), choice)).collect();
    let asked = view::CastVote {
        votes,
        on_map: Some(fields.is_on("on_map")),
        open: fields.is_on("open"),
        hide_class: fields.is_on("hide_class"),
        wait_seconds: Some(WAIT),
    };
    let said = match page.service.vote(&poll.id.to_string(), asked).await {
        Ok(_) => "cast",
        Err(ApiError { kind: Kind::TimedOut, .. }) => "on_its_way",
        Err(error) => return Err(error.into()),
    };
    // What the diary has need not be kept twice; without a diary, the draft is all that a change can begin from.
    let diary = page.service.poll(&poll.id.to_string()).await?;
    if let Some(round) = poll.rounds.last().filter(|_| !polls::cast(&diary).is_empty()) {
        page.drafts.forget(round.id);
    }
    Ok(Redirect::to(&format!("/polls/{}?said={said}", poll.id)).into_response())
}

/// `POST /polls/{poll}/withdraw`: takes the ballot back.
pub(super) async fn withdraw(State(page): State<Page>, Path(reference): Path<String>) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    let asked = view::Withdraw { wait_seconds: Some(WAIT) };
    let said = match page.service.withdraw(&poll.id.to_string(), asked).await {
        Ok(_) => "withdrawn",
        Err(ApiError { kind: Kind::TimedOut, .. }) => "on_its_way",
        Err(error) => return Err(error.into()),
    };
    Ok(Redirect::to(&format!("/polls/{}?said={said}", poll.id)).into_response())
}
