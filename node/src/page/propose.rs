//! Proposing a statement.

use axum::{
    extract::{Extension, Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chorus_protocol::limits::MAX_STATEMENT_BYTES;
use minijinja::context;

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
};
use crate::api::{ApiError, Kind, view};

/// How much of a refused text is shown again.
const MAX_SHOWN: usize = 2 * MAX_STATEMENT_BYTES;

/// `GET /polls/{poll}/propose`.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Path(reference): Path<String>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    form(&page, &visit, poll, "", None).await
}

async fn form(
    page: &Page,
    visit: &Visit,
    poll: view::Poll,
    text: &str,
    refused: Option<&ApiError>,
) -> Result<Response, Failed> {
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    let values = context! {
        level => page.service.manner()?,
        most => MAX_STATEMENT_BYTES,
        is_long => text.len() > MAX_STATEMENT_BYTES,
        text => shown,
        refused => refused.map(|error| error.message.as_str()),
        poll,
    };
    let mut response = page.show(visit, "propose.html", values).await?;
    if let Some(error) = refused {
        *response.status_mut() = error.kind.status();
    }
    Ok(response)
}

/// `POST /polls/{poll}/propose`.
pub(super) async fn propose(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Extension(fields): Extension<Fields>,
    Path(reference): Path<String>,
) -> Result<Response, Failed> {
    let poll = page.service.poll(&reference).await?;
    let text = fields.text("text");
    let asked = view::Propose {
        items: vec![text.replace("\r\n", "\n")],
        open: fields.is_on("open"),
        as_operator: false,
        wait_seconds: Some(20),
    };
    let said = match page.service.propose(&poll.id.to_string(), asked).await {
        Ok(_) => "proposed",
        Err(ApiError { kind: Kind::TimedOut, .. }) => "on_its_way",
        Err(error) if matches!(error.kind, Kind::Invalid | Kind::Refused) => {
            return form(&page, &visit, poll, text, Some(&error)).await;
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Redirect::to(&format!("/polls/{}?said={said}", poll.id)).into_response())
}
