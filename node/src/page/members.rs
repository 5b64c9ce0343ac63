//! Who is in, and how one comes in: requests, attestations, invite codes, vouches.

use axum::{
    extract::{Extension, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use minijinja::{Value, context};

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::After,
};
use crate::api::view;

/// Members that are listed; their number is always told.
const LISTED: usize = 200;

/// The most codes that are made at once on the page.
const MAX_CODES: u64 = 100;

/// `GET /members`.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(after): Query<After>,
) -> Result<Response, Failed> {
    shown(&page, &visit, context! { said => after.key() }).await
}

/// Shows the page with what was made just now.
async fn shown(page: &Page, visit: &Visit, made: Value) -> Result<Response, Failed> {
    let mut people = page.service.people().await?;
    let (members, candidates) = (people.members.len(), people.candidates.len());
    let own = people.members.iter().chain(&people.candidates).find(|member| member.own).cloned();
    people.members.truncate(LISTED);
    people.candidates.truncate(LISTED);
    let values = context! {
        status => page.service.status().await?,
        // A community that admits nobody by vouches has none.
        vouches => page.service.vouches().await.ok(),
        attester => people.attesters.iter().any(|attester| attester.own && attester.removed_at.is_none()),
        members,
        candidates,
        own,
        people,
        request => Value::from(()),
        made_codes => Value::from(()),
        said => Value::from(()),
    };
    page.show(visit, "members.html", context! { ..made, ..values }).await
}

/// Returns the attributes that a form states.
async fn attributes(page: &Page, fields: &Fields) -> Result<Vec<(String, String)>, Failed> {
    let people = page.service.people().await?;
    let stated = |attribute: &view::AttributeView| {
        let value = fields.text(&format!("attribute-{}", attribute.name));
        (!value.is_empty()).then(|| (attribute.name.clone(), value.to_owned()))
    };
    Ok(people.attributes.iter().filter_map(stated).collect())
}

/// `POST /members/request`: writes a request to be handed to an attester.
pub(super) async fn request(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Failed> {
    let attributes = attributes(&page, &fields).await?;
    let asked = view::AskForAttestation { attributes, evidence: fields.text("evidence").to_owned(), recovers: None };
    let request = page.service.request_attestation(asked).await?;
    shown(&page, &visit, context! { request => request.request }).await
}

/// `POST /members/approve`: attests that a request comes from one distinct person.
pub(super) async fn approve(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
) -> Result<Redirect, Failed> {
    let subject = fields.text("subject");
    let asked = view::Approve {
        request: fields.text("request").split_whitespace().collect(),
        subject: (!subject.is_empty()).then(|| subject.to_owned()),
        in_person: fields.is_on("in_person"),
        attributes: attributes(&page, &fields).await?,
        ..view::Approve::default()
    };
    page.service.approve(asked).await?;
    Ok(Redirect::to("/members?said=approved"))
}

/// `POST /members/codes`: makes invite codes, which are shown this once.
pub(super) async fn codes(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Failed> {
    let count = fields.number("count").unwrap_or(1).min(MAX_CODES);
    let issued = page.service.issue_codes(view::IssueCodes { count: usize::try_from(count).unwrap_or(1) }).await?;
    Ok(shown(&page, &visit, context! { made_codes => issued.codes }).await?.into_response())
}

/// `POST /members/vouch`: vouches for somebody.
pub(super) async fn vouch(State(page): State<Page>, Extension(fields): Extension<Fields>) -> Result<Redirect, Failed> {
    let whom = fields.text("whom").split_whitespace().collect();
    page.service.vouch(view::GiveVouch { whom, ..view::GiveVouch::default() }).await?;
    Ok(Redirect::to("/members?said=vouched"))
}
