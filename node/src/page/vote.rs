//! Voting: one statement at a time, then a look at all of them, then the ballot goes out.

use std::collections::BTreeMap;

use axum::{
    extract::{Extension, Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::{
    Page,
    cited::{Answers, Cited},
    drafts::Draft,
    failure::Failed,
    guard::{Fields, Visit},
    polls::{self, draft, standing},
};
use crate::api::Code;
use crate::api::{
    ApiError, Kind,
    service::SoFar,
    view::{self, Choice},
};

/// How long the page waits for the log before it says that a ballot is on its way, in seconds.
const WAIT: u64 = 20;

/// The most digits of a list of skipped statements.
const MAX_SKIPPED: usize = 4_096;

/// Which statement.
#[derive(Deserialize)]
pub(super) struct Which {
    /// This one, by its number.
    item: Option<usize>,
    /// Numbers that are to come last, with dots between.
    #[serde(default)]
    skip: String,
    /// The one before.
    back: Option<usize>,
}

/// Returns the numbers in a list with dots between.
fn numbers(list: &str) -> Vec<usize> {
    list.get(..MAX_SKIPPED).unwrap_or(list).split('.').filter_map(|number| number.parse().ok()).collect()
}

fn listed(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// Returns the items of the ballot in its order.
fn ballot(poll: &view::Poll) -> Vec<&view::Item> {
    poll.items.iter().filter(|item| item.on_ballot).collect()
}

/// `GET /polls/{poll}/vote`: one statement, drawn on this machine by what public tallies say.
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
    let known = |number: &usize| items.iter().any(|item| item.number == *number);
    let mut skipped = numbers(&which.skip);
    skipped.retain(known);
    let chosen = match which.item {
        Some(number) => Some(number),
        None => next(&page, &poll, &draft, &skipped).await?,
    };
    let item = chosen.and_then(|number| items.iter().find(|item| item.number == number));
    let Some(item) = item else {
        return Ok(Redirect::to(&format!("/polls/{}/review", poll.id)).into_response());
    };
    let shown = described(&page, &poll, &[*item]).await?;
    let skip = listed(&skipped);
    if !skipped.contains(&item.number) {
        skipped.push(item.number);
    }
    let values = context! {
        item => shown.first(),
        position => (draft.len() + usize::from(!draft.contains_key(&item.id))).min(items.len()),
        all => items.len(),
        chosen => draft.len(),
        choice => draft.get(&item.id),
        skip,
        skip_this => listed(&skipped),
        back => which.back.filter(known),
        kind => words_of(poll.kind),
        round => poll.rounds.last(),
        poll,
    };
    page.show(&visit, "card.html", values).await
}

/// Draws what to show next; none once everything is decided or skipped.
async fn next(page: &Page, poll: &view::Poll, draft: &Draft, skipped: &[usize]) -> Result<Option<usize>, Failed> {
    let so_far = SoFar {
        answered: draft.keys().map(ToString::to_string).collect(),
        skipped: skipped.iter().map(ToString::to_string).collect(),
        topic: None,
    };
    let next = page.service.next_item(&poll.id.to_string(), so_far).await?;
    Ok(next.item.map(|item| item.number).filter(|number| !skipped.contains(number)))
}

/// An item with what it stands for, if it is a values card or a move between two, and with what it cites.
#[derive(Serialize)]
pub(super) struct Described<'a> {
    #[serde(flatten)]
    pub(super) item: &'a view::Item,
    pub(super) card: Option<view::CardView>,
    pub(super) transition: Option<view::TransitionView>,
    /// The prompts that it cites, with what the model says to them.
    pub(super) cited: Vec<Cited>,
}

/// Returns items with what they stand for.
pub(super) async fn described<'a>(
    page: &Page,
    poll: &view::Poll,
    items: &[&'a view::Item],
) -> Result<Vec<Described<'a>>, Failed> {
    let of = || view::OfPoll { poll: Some(poll.id.to_string()) };
    let (cards, moves) = match poll.kind {
        view::Asks::Value => (page.service.cards(of()).await?, Vec::new()),
        view::Asks::Transition => (Vec::new(), page.service.transitions(of()).await?),
        view::Asks::Statement | view::Asks::Amendment => (Vec::new(), Vec::new()),
    };
    let answers = Answers::to(page, items.iter().copied())?;
    let one = |item: &&'a view::Item| Described {
        item,
        card: cards.iter().find(|card| card.id == item.id).cloned(),
        transition: moves.iter().find(|transition| transition.id == item.id).cloned(),
        cited: answers.of(item),
    };
    Ok(items.iter().map(one).collect())
}

/// Returns what the items of polls about values are called in a line; those of other polls are called as they read.
pub(super) async fn names(page: &Page) -> Result<BTreeMap<String, String>, Failed> {
    let cards = page.service.cards(view::OfPoll::default()).await?;
    let moves = page.service.transitions(view::OfPoll::default()).await?;
    let of_cards = cards.into_iter().map(|card| (card.id.to_string(), card.card.title));
    let of_moves =
        moves.into_iter().map(|it| (it.id.to_string(), format!("{} → {}", it.from.card.title, it.to.card.title)));
    Ok(of_cards.chain(of_moves).collect())
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
        return Err(ApiError::coded(Code::NoItem, "this statement is not on the ballot").into());
    };
    let mut draft = draft(&page, &poll);
    match (fields.text("choice"), choice(fields.text("choice"))) {
        ("none", _) => drop(draft.remove(&item.id)),
        (_, Some(choice)) => drop(draft.insert(item.id, choice)),
        (_, None) => return Err(ApiError::coded(Code::Choice, "there is no such choice").into()),
    }
    page.drafts.keep(round.id, draft);
    let to = match fields.text("to") {
        "review" => format!("/polls/{}/review", poll.id),
        _ => {
            let skip = listed(&numbers(fields.text("skip")));
            format!("/polls/{}/vote?skip={skip}&back={}", poll.id, item.number)
        }
    };
    Ok(Redirect::to(&to).into_response())
}

/// A statement with the choice, in the review.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: Described<'a>,
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
    let items = described(&page, &poll, &ballot(&poll)).await?;
    let lines = items.into_iter().map(|item| Line { choice: draft.get(&item.item.id).copied(), item });
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
