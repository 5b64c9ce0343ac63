//! The person's own votes and statements. Nothing of it leaves the machine.

use axum::{
    extract::{Extension, State},
    response::Response,
};
use chorus_protocol::id::{PollId, RoundId};
use minijinja::context;
use serde::Serialize;

use super::{
    Page,
    failure::Failed,
    guard::Visit,
    vote::{names, words_of},
};
use crate::api::view;

/// The person's votes in one round.
#[derive(Serialize)]
struct Sheet {
    poll: view::Poll,
    round: Option<view::Round>,
    votes: Vec<view::OwnVote>,
    kind: &'static str,
}

/// A statement of the person's, with its poll.
#[derive(Serialize)]
struct Statement<'a> {
    #[serde(flatten)]
    statement: view::MyStatement,
    poll: Heading<'a>,
}

/// What is shown of a poll beside a statement.
#[derive(Clone, Copy, Serialize)]
struct Heading<'a> {
    id: PollId,
    question: &'a str,
}

/// `GET /own`.
pub(super) async fn show(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let diary = page.service.diary().await?;
    let polls = page.service.polls().await?;
    let mut sheets: Vec<(RoundId, Sheet)> = Vec::new();
    for vote in diary.votes {
        match sheets.last_mut() {
            Some((round, sheet)) if *round == vote.round => sheet.votes.push(vote),
            _ => {
                let Some(poll) = polls.iter().find(|poll| poll.id == vote.poll).cloned() else { continue };
                let round = poll.rounds.iter().find(|round| round.id == vote.round).cloned();
                let kind = words_of(poll.kind);
                sheets.push((vote.round, Sheet { poll, round, votes: vec![vote], kind }));
            }
        }
    }
    let sheets: Vec<Sheet> = sheets.into_iter().rev().map(|(_, sheet)| sheet).collect();
    let mut items = Vec::new();
    for poll in &polls {
        let mine = page.service.mine(&poll.id.to_string()).await?;
        let poll = Heading { id: poll.id, question: &poll.question };
        items.extend(mine.statements.into_iter().map(|statement| Statement { statement, poll }));
    }
    let names = names(&page).await?;
    page.show(&visit, "own.html", context! { names, kept => diary.kept, sheets, items, cards => diary.cards }).await
}
