//! The routes of the community's model: our own, and those of OpenAI's protocol for the chat clients that there are.
//!
//! `/v1/chat/completions` and `/v1/models` stand at the root, where such clients look (`base_url = http://127.0.0.1:PORT/v1`,
//! `api_key =` the token in `api.token`). They check host and token as everything else does, and answer in OpenAI's shapes,
//! errors too.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aide::axum::{
    ApiRouter,
    routing::{get_with, post_with},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State, rejection::JsonRejection},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures::stream;
use serde_json::Value;

use super::{
    error::{ApiError, Kind},
    openapi::{Events, told},
    routes::{Answer, Asked, Shared, bare},
    service::{Conversation, Service},
    view,
};
use crate::chat::{
    ChatError, Event,
    openai::{self, Having, Head, MODELS, Model, Models},
};

/// Bytes of a request: a conversation as long as any is, with what JSON adds.
const MAX_REQUEST_BYTES: usize = 4 * crate::chat::MAX_CONVERSATION_BYTES;

/// Where OpenAI's protocol is.
pub(super) const OPENAI: &str = "/v1";

/// How long the first event is waited for before an answer begins: what goes wrong until then has a status of its own.
const FIRST: Duration = Duration::from_secs(5);

/// Returns our own routes.
pub(super) fn described() -> ApiRouter<Shared> {
    ApiRouter::new()
        .api_route(
            "/chat",
            get_with(status, told("What conversations would be put to.")).post_with(chat, |op| {
                told("Asks the community's model; each event is an `Event`.")(op).response::<200, Events>()
            }),
        )
        .api_route(
            "/chat/cases",
            get_with(cases, told("What models said to prompts, before and after."))
                .post_with(compare, told("Puts prompts to the model as it is, and as the community shaped it.")),
        )
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
}

/// Returns the routes of OpenAI's protocol.
pub(super) fn openai(shared: Shared) -> Router {
    let nowhere = async |method: Method, uri: Uri| {
        let why = format!("there is no such route: {method} {OPENAI}{}", uri.path());
        refuse(StatusCode::NOT_FOUND, &why, "unknown_url", None)
    };
    let routes = Router::from(described_openai())
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), enter))
        .with_state(shared);
    Router::new().nest(OPENAI, routes)
}

/// Returns them, under [`OPENAI`], with what they say of themselves.
pub(super) fn described_openai() -> ApiRouter<Shared> {
    ApiRouter::new()
        .api_route("/models", get_with(models, told("The models that can be asked.")))
        .api_route("/models/{model}", get_with(model, told("One of them.")))
        .api_route(
            "/chat/completions",
            post_with(complete, |op| {
                told("Asks a model: in one piece, or with `stream` as events (`chat.completion.chunk`).")(op)
                    .response::<200, Json<openai::Completion>>()
                    .default_response::<Refusal>()
            }),
        )
}

/// Lets in who may come in.
async fn enter(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match shared.gate.check(&request) {
        Ok(()) => match bare(next.run(request).await).await {
            Ok(response) => response,
            Err((status, why)) => refuse(status, &why, "invalid_request", None),
        },
        Err(error) => {
            let code = if error.kind == Kind::Host { "wrong_host" } else { "invalid_api_key" };
            refuse(error.kind.status(), &error.message, code, None)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn status(State(shared): State<Shared>) -> Answer<view::ModelStatus> {
    shared.service.model_status().await.map(Json)
}

async fn cases(State(shared): State<Shared>) -> Answer<Vec<view::Pair>> {
    shared.service.compared().map(Json)
}

async fn compare(State(shared): State<Shared>, Asked(asked): Asked<view::CompareModels>) -> Answer<Vec<view::Pair>> {
    Ok(Json(shared.service.compare(asked).await?))
}

/// Answers in server-sent events, each an [`Event`] in JSON.
async fn chat(State(shared): State<Shared>, Asked(asked): Asked<view::AskModel>) -> Result<Response, ApiError> {
    let (first, conversation) = begin(&shared.service, asked).await?;
    let write = |event: Result<Event, ChatError>| {
        let event = event.unwrap_or_else(|error| Event::Failed(error.into()));
        vec![serde_json::to_value(event).unwrap_or_default()]
    };
    Ok(events(first, conversation, write, None))
}

/// Puts a conversation to the model, and waits a little for the first event.
async fn begin(service: &Arc<Service>, asked: view::AskModel) -> Result<(Option<Event>, Conversation), ChatError> {
    let mut conversation = service.chat(asked)?;
    match tokio::time::timeout(FIRST, conversation.next()).await {
        Ok(Some(Err(error))) => Err(error),
        Ok(Some(Ok(event))) => Ok((Some(event), conversation)),
        Ok(None) | Err(_) => Ok((None, conversation)),
    }
}

/// Returns events as they come. Whoever does not read on any more ends the making of the answer.
fn events(
    first: Option<Event>,
    conversation: Conversation,
    write: impl Fn(Result<Event, ChatError>) -> Vec<Value> + Send + 'static,
    end: Option<&'static str>,
) -> Response {
    let state = (first.map(Ok), conversation, write, end);
    let parts = stream::unfold(state, |(first, mut conversation, write, end)| async move {
        let event = match first {
            Some(event) => Some(event),
            None => conversation.next().await,
        };
        let data: Vec<String> = match event {
            Some(event) => write(event).iter().map(Value::to_string).collect(),
            None => vec![end?.to_owned()],
        };
        let next = if data.first().is_some_and(|data| Some(data.as_str()) == end) { None } else { end };
        let parts = data.into_iter().map(|data| Ok::<_, Infallible>(sse::Event::default().data(data)));
        Some((stream::iter(parts.collect::<Vec<_>>()), (None, conversation, write, next)))
    });
    Sse::new(futures::StreamExt::flatten(parts)).keep_alive(KeepAlive::default()).into_response()
}

fn refuse(status: StatusCode, message: &str, code: &str, parameter: Option<&str>) -> Response {
    (status, Json(openai::error(status.as_u16(), message, code, parameter))).into_response()
}

/// An error in OpenAI's shape.
pub(super) struct Refusal(ChatError);

impl From<ChatError> for Refusal {
    fn from(error: ChatError) -> Self {
        Self(error)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(error.into())
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match &self.0 {
            ChatError::UnknownModel(_) => StatusCode::NOT_FOUND,
            ChatError::NotConfigured => StatusCode::SERVICE_UNAVAILABLE,
            error => error.kind().status(),
        }
    }

    fn parameter(&self) -> Option<&'static str> {
        match &self.0 {
            ChatError::Unsupported { parameter, .. } => Some(parameter),
            ChatError::UnknownModel(_) => Some("model"),
            ChatError::TooLong(_) => Some("messages"),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refuse(self.status(), &self.0.to_string(), self.0.code(), self.parameter())
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn list(shared: &Shared) -> Result<Vec<Model>, Refusal> {
    let status = shared.service.model_status().await?;
    let Some(answering) = &status.answering else { return Ok(Vec::new()) };
    let card = |(name, shape): (&str, view::Shape)| Model {
        id: name.to_owned(),
        object: "model",
        created: 0,
        owned_by: "chorus",
        chorus: Having {
            answering: answering.clone(),
            constitution: status.constitution.clone().filter(|_| shape.constitution),
            adapters: status.adapters.iter().filter(|_| shape.adapter).cloned().collect(),
            notes: status.notes.clone(),
        },
    };
    Ok(MODELS.into_iter().map(card).collect())
}

async fn models(State(shared): State<Shared>) -> Result<Json<Models>, Refusal> {
    Ok(Json(Models { object: "list", data: list(&shared).await? }))
}

async fn model(
    State(shared): State<Shared>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> Result<Json<Model>, Refusal> {
    let found = list(&shared).await?.into_iter().find(|card| card.id == name);
    found.map(Json).ok_or_else(|| ChatError::UnknownModel(name.chars().take(100).collect()).into())
}

async fn complete(State(shared): State<Shared>, asked: Result<Json<openai::Request>, JsonRejection>) -> Response {
    match asked {
        Ok(Json(request)) => answer(&shared, request).await.unwrap_or_else(IntoResponse::into_response),
        Err(rejection) => refuse(rejection.status(), &rejection.body_text(), "invalid_request", None),
    }
}

async fn answer(shared: &Shared, request: openai::Request) -> Result<Response, Refusal> {
    let id = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 12]>());
    let head = Head { id: format!("chatcmpl-{id}"), created: seconds(), model: request.model.clone() };
    let (streams, wants_usage) = (request.stream == Some(true), request.wants_usage());
    let asked = request.into_asked()?;
    if !streams {
        let answer = shared.service.chat(asked)?.finish().await?;
        return Ok(Json(head.whole(&answer)).into_response());
    }
    let (first, conversation) = begin(&shared.service, asked).await?;
    let write = move |event: Result<Event, ChatError>| match event {
        Ok(event) => head.chunks(&event, wants_usage),
        Err(error) => {
            let refusal = Refusal(error);
            let (status, parameter) = (refusal.status().as_u16(), refusal.parameter());
            vec![openai::error(status, &refusal.0.to_string(), refusal.0.code(), parameter)]
        }
    };
    Ok(events(first, conversation, write, Some("[DONE]")))
}
