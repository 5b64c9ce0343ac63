//! Talking with the community's model: the answer, and the steps that lead to it.
//!
//! A conversation is kept in the page that shows it and nowhere else; it comes back with every form, so that closing the
//! page forgets it. Without script the whole answer is waited for, with script it is shown as it comes.

use std::convert::Infallible;

use axum::{
    extract::{Extension, State},
    response::{IntoResponse as _, Redirect, Response, Sse, sse},
};
use futures::stream::unfold;
use minijinja::context;
use serde::Serialize;

use super::{
    Page, cited,
    failure::Failed,
    guard::{Fields, Visit},
};
use crate::api::Code;
use crate::{
    api::{ApiError, view},
    chat::{Event, answer::Answer},
    model::chat::{Message, Role},
};

/// Messages that a conversation has at most; the oldest are left out.
const MAX_MESSAGES: usize = 40;

/// Prompts that are put to the model at once.
const MAX_CASES: usize = 20;

/// `GET /chat`.
pub(super) async fn show(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    shown(&page, &visit, &[], &[], None).await
}

/// An answer with what the model had of the community.
#[derive(Serialize)]
struct Spoken {
    #[serde(flatten)]
    answer: Answer,
    text: String,
    governed: bool,
}

impl From<Answer> for Spoken {
    fn from(answer: Answer) -> Self {
        Self { text: answer.text().to_owned(), governed: answer.about.constitution.is_some(), answer }
    }
}

async fn shown(
    page: &Page,
    visit: &Visit,
    messages: &[Message],
    answers: &[Spoken],
    refused: Option<&ApiError>,
) -> Result<Response, Failed> {
    let cited = cited::all(page, MAX_CASES).await?;
    let pairs: Vec<view::Pair> = page.service.compared()?;
    let values = context! {
        status => page.service.model_status().await?,
        history => serde_json::to_string(messages).unwrap_or_default(),
        messages,
        answers,
        refused => refused.map(|error| page.told(visit, error)),
        pairs => pairs.iter().rev().take(MAX_CASES).map(|pair| context! {
            prompt => pair.prompt,
            before => pair.before.text(),
            after => pair.after.text(),
            constitution => pair.after.about.constitution.is_some(),
        }).collect::<Vec<_>>(),
        compared => cited.iter().filter(|prompt| pairs.iter().any(|pair| pair.prompt == **prompt)).count(),
        cited => cited.len(),
        comparing => page.comparison.watch().borrow().clone(),
    };
    page.show(visit, "chat.html", values).await
}

/// Returns the conversation of a form with what the person says now.
fn conversation(fields: &Fields) -> Result<Vec<Message>, ApiError> {
    let history = fields.text("history");
    let mut messages: Vec<Message> = match history {
        "" => Vec::new(),
        text => serde_json::from_str(text)
            .map_err(|_| ApiError::coded(Code::Conversation, "the conversation does not read"))?,
    };
    // The constitution is the node's to tell, not the form's.
    messages.retain(|message| message.role != Role::System);
    let said = fields.text("text").replace("\r\n", "\n");
    if said.is_empty() {
        return Err(ApiError::coded(Code::NothingSaid, "say something to the model"));
    }
    messages.push(Message::new(Role::User, said));
    let surplus = messages.len().saturating_sub(MAX_MESSAGES);
    messages.drain(..surplus);
    Ok(messages)
}

fn shape(fields: &Fields) -> view::Shape {
    view::Shape { constitution: fields.is_on("constitution"), adapter: fields.is_on("adapter") }
}

/// `POST /chat`: waits for the whole answer.
pub(super) async fn ask(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Failed> {
    let mut messages = conversation(&fields)?;
    let shapes = [Some(shape(&fields)), fields.is_on("beside").then_some(view::Shape::BASE)];
    let mut answers: Vec<Spoken> = Vec::new();
    for shape in shapes.into_iter().flatten() {
        let asked = view::AskModel { messages: messages.clone(), shape, ..view::AskModel::default() };
        let answer = match page.service.chat(asked) {
            Ok(conversation) => conversation.finish().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => answers.push(answer.into()),
            Err(error) => return shown(&page, &visit, &messages, &answers, Some(&error.into())).await,
        }
    }
    if let Some(answer) = answers.first() {
        messages.push(Message::new(Role::Assistant, answer.text.clone()));
    }
    shown(&page, &visit, &messages, &answers, None).await
}

/// `POST /chat/stream`: the same as events, for the page's script.
pub(super) async fn stream(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Failed> {
    let asked = view::AskModel { messages: conversation(&fields)?, shape: shape(&fields), ..view::AskModel::default() };
    let conversation = page.service.chat(asked).map_err(ApiError::from)?;
    let state = (conversation, page.closing.clone(), page, visit);
    let events = unfold(state, |(mut conversation, mut closing, page, visit)| async move {
        let event = tokio::select! {
            event = conversation.next() => event?,
            _ = closing.wait_for(|closing| *closing) => return None,
        };
        let event = event.unwrap_or_else(|error| {
            let error = ApiError::from(error);
            Event::Failed(ApiError { message: page.words(&visit, &error), ..error })
        });
        let event = sse::Event::default().json_data(&event).ok()?;
        Some((Ok::<_, Infallible>(event), (conversation, closing, page, visit)))
    });
    Ok(Sse::new(events).keep_alive(sse::KeepAlive::default()).into_response())
}

/// `POST /chat/cases`: puts the prompts that statements cite to the model, before and after. It takes a while.
pub(super) async fn compare(
    State(page): State<Page>,
    Extension(fields): Extension<Fields>,
) -> Result<Redirect, Failed> {
    let asked = view::CompareModels { prompts: cited::all(&page, MAX_CASES).await?, again: fields.is_on("again") };
    page.comparison.start(page.service.clone(), asked);
    Ok(Redirect::to("/chat#cases"))
}
