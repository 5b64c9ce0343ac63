//! The routes. Each hands its request to the [`Service`] and its answer back.

mod values;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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
    routing::{get, post},
};
use chorus_protocol::message::MINOR;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::io::AsyncReadExt as _;

use super::{
    BASE, MAX_DELTA_BYTES, MAX_REQUEST_BYTES,
    auth::Gate,
    error::{ApiError, Kind},
    service::{Service, silence},
    view,
};
use crate::{
    diary::ValueCard,
    doctor::{Reach, SelfReport},
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
    /// Where a bundle is put together.
    pub scratch: PathBuf,
}

pub(super) type Answer<T> = Result<Json<T>, ApiError>;

/// Returns the router.
pub fn router(shared: Shared) -> Router {
    let routes = Router::new()
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/invite", get(invite))
        .route("/community", get(charter))
        .route("/community/amendments", post(draft_amendment))
        .route("/community/amendments/approve", post(approve_amendment))
        .route("/attest", get(people))
        .route("/attest/request", post(request_attestation))
        .route("/attest/approve", post(approve))
        .route("/attest/invite", post(issue_codes))
        .route("/attest/revoke", post(revoke))
        .route("/attest/rotate", post(rotate))
        .route("/attest/veto", post(veto))
        .route("/attest/census", post(take_census))
        .route("/attest/expel", post(expel))
        .route("/attest/remove-attester", post(remove_attester))
        .route("/vouch", get(vouches).post(vouch))
        .route("/polls", get(polls).post(open_poll))
        .route("/polls/{poll}", get(poll))
        .route("/polls/{poll}/items", post(propose))
        .route("/polls/{poll}/rounds", post(plan_round))
        .route("/polls/{poll}/close", post(close_poll))
        .route("/polls/{poll}/vote", post(vote))
        .route("/polls/{poll}/withdraw", post(withdraw))
        .route("/adapters", get(all_series).post(begin_series))
        .route("/adapters/{series}", get(series))
        .route("/adapters/{series}/rounds", post(plan_deltas))
        .route("/adapters/{series}/values/{adapter}", get(adapter_values))
        .route("/adapters/{series}/contribute", post(contribute).layer(DefaultBodyLimit::max(MAX_DELTA_BYTES)))
        .route("/adapters/{series}/withdraw", post(withdraw_delta))
        .route("/adapters/{series}/weigh", post(weigh))
        .route("/adapters/{series}/assess", post(assess))
        .route("/adapters/{series}/evaluation", get(gate_questions))
        .route("/diary", get(diary))
        .route("/diary/cards", post(add_card))
        .route("/diary/cards/remove", post(remove_card))
        .route("/result", get(result))
        .route("/bundle", get(bundle))
        .merge(values::routes())
        .merge(super::chat::routes());
    let open = super::open::router(shared.service.health())
        .layer(middleware::from_fn_with_state(shared.gate.clone(), enter_open));
    let openai = super::chat::openai(shared.clone());
    Router::new()
        .nest(BASE, routes)
        .fallback(|| async { ApiError::invalid("there is no such route: see the table in the README") })
        .method_not_allowed_fallback(|| async { ApiError::invalid("the route does not know this method") })
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(shared.gate.clone(), enter))
        .with_state(shared)
        .merge(open)
        .merge(openai)
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
struct Octets(Bytes);

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

#[derive(Debug, Deserialize)]
struct InviteQuery {
    /// Addresses to put into the invitation instead of the node's own, separated by commas.
    addresses: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ResultQuery {
    poll: Option<String>,
    wait_seconds: Option<u64>,
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
