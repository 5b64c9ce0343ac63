//! The routes. Each hands its request to the [`Service`] and its answer back.

mod facilitation;
mod values;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, FromRequest, Path, Query, Request, State,
        rejection::{BytesRejection, JsonRejection},
    },
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use chorus_protocol::message::MINOR;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::io::AsyncReadExt as _;

use super::{
    BASE, MAX_DELTA_BYTES, MAX_REQUEST_BYTES,
    auth::Gate,
    error::{ApiError, Kind},
    openapi::{Binary, told},
    service::{Service, silence},
    view,
};
use crate::{
    diary::ValueCard,
    doctor::{Reach, SelfReport},
    page::session::Sessions,
};

/// Bytes of a bundle that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the routes share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Who carries things out.
    pub service: Arc<Service>,
    /// Who is let in.
    pub gate: Gate,
    /// Who may look at the page.
    pub sessions: Arc<Sessions>,
    /// Where a bundle is put together.
    pub scratch: PathBuf,
}

pub(super) type Answer<T> = Result<Json<T>, ApiError>;

/// Returns our routes, below the base of all, each with what it says of itself.
pub(super) fn described() -> ApiRouter<Shared> {
    ApiRouter::new()
        .api_route("/status", get_with(status, told("The community, this node, and all rounds.")))
        .api_route("/health", get_with(health, told("What the node says of its own state.")))
        .api_route(
            "/openapi.json",
            get_with(description, |op| told("This document.")(op).response::<200, Json<serde_json::Value>>()),
        )
        .api_route("/invite", get_with(invite, told("An invitation to the community.")))
        .api_route("/community", get_with(charter, told("The rules in force, and what was changed.")))
        .api_route(
            "/community/amendments",
            post_with(draft_amendment, told("Drafts a change of the rules, and opens the poll about it.")),
        )
        .api_route(
            "/community/amendments/approve",
            post_with(approve_amendment, told("Gives an operator's consent to a draft.")),
        )
        .api_route("/attest", get_with(people, told("Members, candidates, attesters.")))
        .api_route("/attest/request", post_with(request_attestation, told("Writes the request for an attestation.")))
        .api_route("/attest/approve", post_with(approve, told("Attests that a request is one person’s.")))
        .api_route("/attest/invite", post_with(issue_codes, told("Makes invite codes, each for one person.")))
        .api_route("/attest/revoke", post_with(revoke, told("Takes an attestation back, or leaves the community.")))
        .api_route("/attest/rotate", post_with(rotate, told("Makes a fresh leaf for later rounds.")))
        .api_route("/attest/veto", post_with(veto, told("Denies that a key was lost.")))
        .api_route(
            "/attest/census",
            post_with(take_census, told("Publishes coarse counts of the attributes that were attested.")),
        )
        .api_route("/attest/expel", post_with(expel, told("Says, as an operator, that somebody is to go.")))
        .api_route(
            "/attest/remove-attester",
            post_with(remove_attester, told("Says, as an operator, that an attester is to go.")),
        )
        .api_route(
            "/vouch",
            get_with(vouches, told("The vouches given and received."))
                .post_with(vouch, told("Vouches for somebody, or takes it back.")),
        )
        .api_route("/polls", get_with(polls, told("All polls.")).post_with(open_poll, told("Opens a poll.")))
        .api_route("/polls/{poll}", get_with(poll, told("A poll with its items.")))
        .api_route("/polls/{poll}/items", post_with(propose, told("Proposes items.")))
        .api_route("/polls/{poll}/rounds", post_with(plan_round, told("Begins a round of voting.")))
        .api_route("/polls/{poll}/close", post_with(close_poll, told("Closes the round whose time is up.")))
        .api_route("/polls/{poll}/vote", post_with(vote, told("Votes; a ballot replaces the earlier one wholly.")))
        .api_route("/polls/{poll}/withdraw", post_with(withdraw, told("Takes the ballot back.")))
        .api_route(
            "/adapters",
            get_with(all_series, told("All series of adapter rounds."))
                .post_with(begin_series, told("Begins a series.")),
        )
        .api_route("/adapters/{series}", get_with(series, told("A series with its rounds.")))
        .api_route("/adapters/{series}/rounds", post_with(plan_deltas, told("Begins a round of deltas.")))
        .api_route(
            "/adapters/{series}/values/{adapter}",
            get_with(adapter_values, |op| told("The values of an adapter.")(op).response::<200, Binary>()),
        )
        .api_route(
            "/adapters/{series}/contribute",
            post_with(contribute, told("Contributes a delta.")).layer(DefaultBodyLimit::max(MAX_DELTA_BYTES)),
        )
        .api_route("/adapters/{series}/withdraw", post_with(withdraw_delta, told("Takes the delta back.")))
        .api_route(
            "/adapters/{series}/weigh",
            post_with(weigh, told("States the weights of the classes, as an operator.")),
        )
        .api_route(
            "/adapters/{series}/assess",
            post_with(assess, told("States what an evaluation came to, as an operator.")),
        )
        .api_route(
            "/adapters/{series}/evaluation",
            get_with(gate_questions, told("What the gate of a series asks about.")),
        )
        .api_route("/diary", get_with(diary, told("The diary, which never leaves the machine.")))
        .api_route("/diary/cards", post_with(add_card, told("Keeps a values card in the diary.")))
        .api_route("/diary/cards/remove", post_with(remove_card, told("Takes a card out of the diary.")))
        .api_route("/result", get_with(result, told("What came of a poll.")))
        .api_route("/receipt", get_with(receipt, told("Whether the person’s contribution is in the sealed set.")))
        .api_route("/map", get_with(opinion_map, told("The opinion map of a poll’s latest result.")))
        .api_route("/constitutions", get_with(constitutions, told("All constitutions, the newest first.")))
        .api_route("/page", post_with(page_link, told("A link to the page, which lets one browser in once.")))
        .api_route("/bundle", get_with(bundle, |op| told("The audit bundle.")(op).response::<200, Binary>()))
        .merge(facilitation::described())
        .merge(values::described())
        .merge(super::chat::described())
}

/// Returns the router.
pub fn router(shared: Shared) -> Router {
    let open = super::open::router(shared.service.health())
        .layer(middleware::from_fn_with_state(shared.gate.clone(), enter_open));
    let openai = super::chat::openai(shared.clone());
    let routes = Router::from(described())
        .fallback(|| async { ApiError::invalid("there is no such route: see the table in the README") })
        .method_not_allowed_fallback(|| async { ApiError::invalid("the route does not know this method") })
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(shared.gate.clone(), enter))
        .with_state(shared);
    Router::new().nest(BASE, routes).merge(open).merge(openai)
}

/// Lets in whoever names the server by its own address.
async fn enter_open(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.check_host(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Lets in who may come in, and forbids to keep the answer.
async fn enter(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = match gate.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// A request's JSON; what is wrong with it is answered as our own error.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Asked<T> {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Response> {
        let rejected = |rejection: JsonRejection| refuse(rejection.status(), rejection.body_text());
        let Json(value) = Json::from_request(request, shared).await.map_err(rejected)?;
        Ok(Self(value))
    }
}

/// A request's body as it is; what is wrong with it is answered as our own error.
pub(super) struct Octets(Bytes);

impl FromRequest<Shared> for Octets {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Response> {
        let rejected = |rejection: BytesRejection| refuse(rejection.status(), rejection.body_text());
        Bytes::from_request(request, shared).await.map(Self).map_err(rejected)
    }
}

fn refuse(status: StatusCode, why: String) -> Response {
    let error = ApiError::invalid(why);
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return (status, Json(super::error::ErrorBody { error })).into_response();
    }
    error.into_response()
}

/// The query of `GET invite`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct InviteQuery {
    /// Addresses to put into the invitation instead of the node's own, separated by commas.
    addresses: Option<String>,
}

/// The query of `GET result`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ResultQuery {
    poll: Option<String>,
    wait_seconds: Option<u64>,
}

/// The description of the interface.
async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi::JSON.as_str()).into_response()
}

async fn status(State(shared): State<Shared>) -> Answer<view::Status> {
    shared.service.status().await.map(Json)
}

async fn health(State(shared): State<Shared>) -> Answer<SelfReport> {
    let snapshot = shared.service.health().look().await;
    let node = shared.service.node();
    let (minors, silent) = node
        .view(|peer| {
            let silent = peer.operator().is_some() && peer.is_recovering();
            (peer.minors().clone(), silent.then(|| peer.ledger().charter().faulty() > 0))
        })
        .await?;
    let mut peers = BTreeMap::<u8, usize>::new();
    minors.into_values().for_each(|minor| *peers.entry(minor).or_default() += 1);
    let standing = node.standing();
    Ok(Json(SelfReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checks: snapshot.checks(),
        log_millis: snapshot.standing.map_or(0, |standing| standing.log_millis),
        addresses: node.addresses(),
        silent: silent.map(|others| silence(others).to_owned()),
        minor: MINOR,
        peers,
        reach: Reach {
            vouched: standing.vouched,
            reachable: standing.reachable,
            relays: standing.relays.len(),
            relayed: standing.relayed.len(),
        },
    }))
}

async fn invite(State(shared): State<Shared>, Query(query): Query<InviteQuery>) -> Answer<view::InviteView> {
    let given = query.addresses.unwrap_or_default();
    let addresses = given.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect();
    shared.service.invite(addresses).await.map(Json)
}

async fn people(State(shared): State<Shared>) -> Answer<view::People> {
    shared.service.people().await.map(Json)
}

async fn vouches(State(shared): State<Shared>) -> Answer<view::Vouches> {
    shared.service.vouches().await.map(Json)
}

async fn request_attestation(
    State(shared): State<Shared>,
    Asked(asked): Asked<view::AskForAttestation>,
) -> Answer<view::Request> {
    shared.service.request_attestation(asked).await.map(Json)
}

async fn approve(State(shared): State<Shared>, Asked(asked): Asked<view::Approve>) -> Answer<view::Approved> {
    shared.service.approve(asked).await.map(Json)
}

async fn issue_codes(State(shared): State<Shared>, Asked(asked): Asked<view::IssueCodes>) -> Answer<view::IssuedCodes> {
    shared.service.issue_codes(asked).await.map(Json)
}

async fn revoke(State(shared): State<Shared>, Asked(asked): Asked<view::About>) -> Answer<view::Said> {
    shared.service.revoke(asked).await.map(Json)
}

async fn rotate(State(shared): State<Shared>, Asked(asked): Asked<view::Wait>) -> Answer<view::Said> {
    shared.service.rotate(asked).await.map(Json)
}

async fn veto(State(shared): State<Shared>, Asked(asked): Asked<view::About>) -> Answer<view::Said> {
    shared.service.veto(asked).await.map(Json)
}

async fn take_census(State(shared): State<Shared>, Asked(asked): Asked<view::Wait>) -> Answer<view::CensusView> {
    shared.service.take_census(asked).await.map(Json)
}

async fn expel(State(shared): State<Shared>, Asked(asked): Asked<view::About>) -> Answer<view::Said> {
    shared.service.expel(asked).await.map(Json)
}

async fn remove_attester(State(shared): State<Shared>, Asked(asked): Asked<view::About>) -> Answer<view::Said> {
    shared.service.remove_attester(asked).await.map(Json)
}

async fn vouch(State(shared): State<Shared>, Asked(asked): Asked<view::GiveVouch>) -> Answer<view::Said> {
    shared.service.vouch(asked).await.map(Json)
}

async fn polls(State(shared): State<Shared>) -> Answer<Vec<view::Poll>> {
    shared.service.polls().await.map(Json)
}

async fn charter(State(shared): State<Shared>) -> Answer<view::CharterView> {
    shared.service.charter().await.map(Json)
}

async fn draft_amendment(
    State(shared): State<Shared>,
    Asked(asked): Asked<view::DraftAmendment>,
) -> Answer<view::DraftView> {
    shared.service.draft_amendment(asked).await.map(Json)
}

async fn approve_amendment(
    State(shared): State<Shared>,
    Asked(asked): Asked<view::ApproveAmendment>,
) -> Answer<view::CharterView> {
    shared.service.approve_amendment(asked).await.map(Json)
}

async fn open_poll(State(shared): State<Shared>, Asked(asked): Asked<view::OpenPoll>) -> Answer<view::Poll> {
    shared.service.open_poll(asked).await.map(Json)
}

async fn poll(State(shared): State<Shared>, Path(poll): Path<String>) -> Answer<view::Poll> {
    shared.service.poll(&poll).await.map(Json)
}

async fn propose(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::Propose>,
) -> Answer<view::Proposed> {
    shared.service.propose(&poll, asked).await.map(Json)
}

async fn plan_round(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::PlanRound>,
) -> Answer<view::Poll> {
    shared.service.plan_round(&poll, asked).await.map(Json)
}

async fn close_poll(State(shared): State<Shared>, Path(poll): Path<String>) -> Answer<view::Poll> {
    shared.service.close_poll(&poll).await.map(Json)
}

async fn vote(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::CastVote>,
) -> Answer<view::Cast> {
    shared.service.vote(&poll, asked).await.map(Json)
}

async fn withdraw(
    State(shared): State<Shared>,
    Path(poll): Path<String>,
    Asked(asked): Asked<view::Withdraw>,
) -> Answer<view::Cast> {
    shared.service.withdraw(&poll, asked).await.map(Json)
}

async fn all_series(State(shared): State<Shared>) -> Answer<Vec<view::Series>> {
    shared.service.all_series().await.map(Json)
}

async fn series(State(shared): State<Shared>, Path(series): Path<String>) -> Answer<view::Series> {
    shared.service.series(&series).await.map(Json)
}

async fn begin_series(State(shared): State<Shared>, Asked(asked): Asked<view::BeginSeries>) -> Answer<view::Series> {
    shared.service.begin_series(asked).await.map(Json)
}

async fn plan_deltas(
    State(shared): State<Shared>,
    Path(series): Path<String>,
    Asked(asked): Asked<view::PlanDeltas>,
) -> Answer<view::Series> {
    shared.service.plan_deltas(&series, asked).await.map(Json)
}

async fn adapter_values(
    State(shared): State<Shared>,
    Path((series, adapter)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let adapter = adapter.parse().map_err(|_| ApiError::invalid("an adapter is named by its whole id"))?;
    let bytes = shared.service.adapter_values(&series, adapter).await?;
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, Bytes::from_owner(bytes)).into_response())
}

async fn contribute(
    State(shared): State<Shared>,
    Path(series): Path<String>,
    Query(asked): Query<view::Contribute>,
    Octets(octets): Octets,
) -> Answer<view::Contributed> {
    shared.service.contribute(&series, asked, &octets).await.map(Json)
}

async fn withdraw_delta(
    State(shared): State<Shared>,
    Path(series): Path<String>,
    Asked(asked): Asked<view::Withdraw>,
) -> Answer<view::Contributed> {
    shared.service.withdraw_delta(&series, asked).await.map(Json)
}

async fn weigh(
    State(shared): State<Shared>,
    Path(series): Path<String>,
    Asked(asked): Asked<view::WeighClasses>,
) -> Answer<view::Series> {
    shared.service.weigh(&series, asked).await.map(Json)
}

async fn assess(
    State(shared): State<Shared>,
    Path(series): Path<String>,
    Asked(asked): Asked<view::Assess>,
) -> Answer<view::Series> {
    shared.service.assess(&series, asked).await.map(Json)
}

async fn gate_questions(State(shared): State<Shared>, Path(series): Path<String>) -> Answer<view::GateQuestions> {
    shared.service.gate_questions(&series).await.map(Json)
}

async fn diary(State(shared): State<Shared>) -> Answer<view::Diary> {
    shared.service.diary().await.map(Json)
}

async fn add_card(State(shared): State<Shared>, Asked(card): Asked<ValueCard>) -> Answer<view::Diary> {
    shared.service.add_card(card).await.map(Json)
}

async fn remove_card(State(shared): State<Shared>, Asked(asked): Asked<view::RemoveCard>) -> Answer<view::Diary> {
    shared.service.remove_card(asked).await.map(Json)
}

async fn result(State(shared): State<Shared>, Query(query): Query<ResultQuery>) -> Answer<view::PollResult> {
    let wait = query.wait_seconds.map(|seconds| Duration::from_secs(seconds).min(super::service::LONGEST_WAIT));
    shared.service.result(query.poll.as_deref(), wait).await.map(Json)
}

async fn receipt(State(shared): State<Shared>, Query(of): Query<view::OfPoll>) -> Answer<view::Receipt> {
    shared.service.receipt(of.reference()).await.map(Json)
}

async fn opinion_map(State(shared): State<Shared>, Query(of): Query<view::OfPoll>) -> Answer<Option<view::OpinionMap>> {
    shared.service.opinion_map(of.reference()).await.map(Json)
}

async fn constitutions(State(shared): State<Shared>) -> Answer<Vec<view::Enacted>> {
    shared.service.constitutions().await.map(Json)
}

/// Gives out a link to the page, which lets one browser in once.
async fn page_link(State(shared): State<Shared>) -> Json<view::PageLink> {
    Json(view::PageLink { url: shared.gate.page_link(&shared.sessions) })
}

async fn bundle(State(shared): State<Shared>) -> Result<Response, ApiError> {
    let (file, length) = shared.service.bundle(&shared.scratch).await?;
    let file = tokio::fs::File::from_std(file);
    let chunks = futures::stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
    });
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The node has stopped while a request was under way.
impl From<tokio::task::JoinError> for ApiError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::new(Kind::Internal, "the node stopped")
    }
}
