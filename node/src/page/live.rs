//! Live numbers, as server-sent events: how many ballots each open round has, how high the log is, whether the model is at
//! work on cited prompts.
//!
//! Nothing in them is about the person.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{Page, failure::Failed};
use crate::api::view;

/// How often numbers are sent at most.
const PACE: Duration = Duration::from_secs(1);

/// What is sent.
#[derive(Clone, Eq, PartialEq, Serialize)]
struct Numbers {
    height: u64,
    peers: usize,
    members: usize,
    polls: usize,
    comparing: bool,
    rounds: Vec<Count>,
}

#[derive(Clone, Eq, PartialEq, Serialize)]
struct Count {
    id: String,
    state: view::RoundState,
    ballots: usize,
}

/// `GET /events`.
pub(super) async fn events(
    State(page): State<Page>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let busy = || Failed::Form(StatusCode::TOO_MANY_REQUESTS);
    let permit = page.listeners.clone().try_acquire_owned().map_err(|_| busy())?;
    let changes = (page.service.node().notices(), page.comparison.watch());
    let begin = (page.clone(), changes, page.closing.clone(), None::<Numbers>, permit);
    let stream = unfold(begin, |(page, mut changes, mut closing, mut last, permit)| async move {
        loop {
            let numbers = numbers(&page).await?;
            if last.as_ref() != Some(&numbers) {
                let event = Event::default().event("numbers").json_data(&numbers).ok()?;
                last = Some(numbers);
                return Some((Ok(event), (page, changes, closing, last, permit)));
            }
            let (notices, comparison) = &mut changes;
            let changed = async {
                let notice = notices.recv().await;
                tokio::time::sleep(PACE).await;
                !matches!(notice, Err(RecvError::Closed))
            };
            let goes_on = tokio::select! {
                goes_on = changed => goes_on,
                compared = comparison.changed() => compared.is_ok(),
                _ = closing.wait_for(|closing| *closing) => false,
            };
            if !goes_on {
                return None;
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

async fn numbers(page: &Page) -> Option<Numbers> {
    let comparing = page.comparison.watch().borrow().running;
    let look = move |peer: &chorus_protocol::peer::Peer| {
        let ledger = peer.ledger();
        let rounds = ledger.rounds().values().map(|round| Count {
            id: round.id.to_string(),
            state: round.state().into(),
            ballots: crate::api::service::ballots_of(round),
        });
        Numbers {
            height: peer.height().0,
            peers: peer.nodes().len(),
            members: ledger.members().len(),
            polls: ledger.polls().len(),
            comparing,
            rounds: rounds.collect(),
        }
    };
    page.service.node().view(look).await.ok()
}
