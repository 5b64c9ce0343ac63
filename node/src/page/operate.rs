//! What an operator does: open a poll, begin a round of voting, see that one is over.

use axum::{
    extract::{Extension, Path, Query, State},
    response::{Redirect, Response},
};
use chorus_protocol::limits::{MAX_ITEMS, MAX_TEXT_BYTES};
use minijinja::context;

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::{self, After},
};
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
        _ => return Err(ApiError::invalid("there is no such unit of time")),
    };
    match fields.text("duration") {
        "" => Ok(None),
        text => {
            let number: u64 = text.parse().map_err(|_| ApiError::invalid("a duration is a whole number"))?;
            Ok(Some(number.saturating_mul(unit)))
        }
    }
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
        items: lines.map(str::to_owned).collect(),
        duration_millis: duration(&fields)?,
        wait_seconds: None,
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
    let duration_millis = duration(&fields)?.ok_or_else(|| ApiError::invalid("say how long votes are taken"))?;
    page.service.plan_round(&poll, view::PlanRound { duration_millis, classes: None, wait_seconds: None }).await?;
    Ok(Redirect::to("/operate?said=begun"))
}

/// `POST /operate/polls/{poll}/close`: sees that voting is over, or says why it is not.
pub(super) async fn close(State(page): State<Page>, Path(poll): Path<String>) -> Result<Redirect, Failed> {
    let poll = page.service.close_poll(&poll).await?;
    Ok(Redirect::to(&format!("/polls/{}", poll.id)))
}
