//! What an operator does: open a poll, begin a round of voting, change rules, say what is to become of statements.
//!
//! Nobody ends a round: it closes by itself at its deadline, which the page shows.

use axum::{
    extract::{Extension, Path, Query, State},
    response::{Redirect, Response},
};
use chorus_protocol::limits::{MAX_ITEMS, MAX_TEXT_BYTES};
use minijinja::context;

use super::{
    Page, cards,
    failure::Failed,
    guard::{Fields, Visit},
    polls::{self, After, AtPoll},
    vote::{described, names},
    wording,
};
use crate::api::Code;
use crate::api::{ApiError, view};

/// `GET /operate`.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(after): Query<After>,
) -> Result<Response, Failed> {
    let cards = polls::cards(&page).await?;
    let values = context! { cards, said => after.key(), most_items => MAX_ITEMS, most_text => MAX_TEXT_BYTES };
    page.show(&visit, "operate.html", values).await
}

/// Returns how long votes are to be taken, from a number and its unit.
fn duration(fields: &Fields) -> Result<Option<u64>, ApiError> {
    let unit = match fields.text("unit") {
        "minutes" => 60_000,
        "hours" => 3_600_000,
        "days" => 86_400_000,
        _ => return Err(ApiError::coded(Code::Duration, "there is no such unit of time")),
    };
    match fields.text("duration") {
        "" => Ok(None),
        text => {
            let number: u64 =
                text.parse().map_err(|_| ApiError::coded(Code::Duration, "a duration is a whole number"))?;
            Ok(Some(number.saturating_mul(unit)))
        }
    }
}

/// Returns the rules that a form states; the usual ones where it says nothing.
fn rules(fields: &Fields) -> Result<view::Rules, ApiError> {
    let mut rules = view::Rules { strict: fields.is_on("strict"), ..view::Rules::default() };
    rules.policy = fields.text("policy").replace("\r\n", "\n");
    if let Some(most) = fields.number("items_per_member") {
        let few = u8::try_from(most)
            .map_err(|_| ApiError::coded(Code::Number, "a member proposes fewer statements than that"))?;
        rules.items_per_member = few.min(rules.items_per_member);
    }
    Ok(rules)
}

/// `GET /operate/polls/{poll}`: the statements of a poll, and what operators say about them.
pub(super) async fn poll(AtPoll { page, visit, poll }: AtPoll, Query(after): Query<After>) -> Result<Response, Failed> {
    let items: Vec<&view::Item> = poll.items.iter().collect();
    let log = page.service.moderation_log(Some(&poll.id.to_string())).await?;
    let categories = view::Category::ALL.map(view::Category::name);
    let values = context! {
        said => after.key(),
        needed => log.needed,
        words => log.words.into_iter().filter(|word| word.is_last).collect::<Vec<_>>(),
        categories,
        rules => page.service.poll_rules(&poll.id.to_string()).await?,
        usual => view::Rules::default(),
        items => described(&page, &poll, &items).await?,
        standing => polls::standing(&poll),
        round => poll.rounds.last(),
        poll,
    };
    page.show(&visit, "moderate.html", values).await
}

/// `POST /operate/polls/{poll}/moderate`: says what is to become of a statement.
pub(super) async fn moderate(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
    Path(poll): Path<String>,
) -> Result<Redirect, Failed> {
    let say = match fields.text("say") {
        "accept" => view::Say::Accept,
        "reject" => view::Say::Reject,
        "meta" => view::Say::Meta,
        "take_back" => view::Say::TakeBack,
        _ => return Err(ApiError::coded(Code::Choice, "there is no such word on a statement").into()),
    };
    let named = view::Category::ALL.into_iter().find(|category| category.name() == fields.text("category"));
    let asked = view::Moderate {
        items: vec![fields.text("item").to_owned()],
        say,
        category: named.filter(|_| say == view::Say::Reject),
        reason: fields.text("reason").to_owned(),
        wait_seconds: None,
    };
    let poll = page.service.moderate(&poll, asked).await?;
    Ok(Redirect::to(&format!("/operate/polls/{}?said=moderated", poll.id)))
}

/// `POST /operate/polls/{poll}/rules`: states other rules, which hold once enough operators state the same.
pub(super) async fn state_rules(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
    Path(poll): Path<String>,
) -> Result<Redirect, Failed> {
    let number = |name: &str| match fields.text(name) {
        "" => Ok(None),
        text => text.parse::<u16>().map(Some).map_err(|_| ApiError::invalid("a limit is a whole number")),
    };
    let items = number("items_per_member")?.map(|most| u8::try_from(most).unwrap_or(u8::MAX));
    let asked = view::ChangeRules {
        strict: Some(fields.is_on("strict")),
        items_per_member: items,
        characters: number("characters")?,
        policy: Some(fields.text("policy").replace("\r\n", "\n")),
        wait_seconds: None,
    };
    let rules = page.service.change_rules(&poll, asked).await?;
    Ok(Redirect::to(&format!("/operate/polls/{}?said=rules_stated", rules.poll)))
}

/// `GET /moderation`: everything that operators have said, for everybody to read.
pub(super) async fn log(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let log = page.service.moderation_log(None).await?;
    let words: Vec<_> = log.words.into_iter().rev().collect();
    let names = names(&page).await?;
    let cards = cards::spoken_of(&page).await?;
    page.show(&visit, "moderation.html", context! { words, needed => log.needed, names, cards }).await
}

/// `POST /operate/open`.
pub(super) async fn open(State(page): State<Page>, Extension(fields): Extension<Fields>) -> Result<Redirect, Failed> {
    let kind = match fields.text("kind") {
        "value" => view::Asks::Value,
        "transition" => view::Asks::Transition,
        _ => view::Asks::Statement,
    };
    let lines = fields.text("items").lines().map(str::trim).filter(|line| !line.is_empty());
    let asked = view::OpenPoll {
        kind,
        question: fields.text("question").to_owned(),
        context: fields.text("context").replace("\r\n", "\n"),
        items: lines.map(|line| wording::of_line(kind, line)).collect(),
        duration_millis: duration(&fields)?,
        rules: Some(rules(&fields)?),
        ..view::OpenPoll::default()
    };
    page.service.open_poll(asked).await?;
    Ok(Redirect::to("/operate?said=opened"))
}

/// `POST /operate/polls/{poll}/round`: begins a round of voting.
pub(super) async fn begin(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
    Path(poll): Path<String>,
) -> Result<Redirect, Failed> {
    let duration_millis =
        duration(&fields)?.ok_or_else(|| ApiError::coded(Code::Duration, "say how long votes are taken"))?;
    page.service.plan_round(&poll, view::PlanRound { duration_millis, classes: None, wait_seconds: None }).await?;
    Ok(Redirect::to("/operate?said=begun"))
}
