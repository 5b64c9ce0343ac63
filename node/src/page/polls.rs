//! All polls, and one.

use axum::{
    extract::{Extension, FromRequestParts, Path, Query, State},
    http::request::Parts,
    response::Response,
};
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::{Page, drafts::Draft, failure::Failed, guard::Visit};
use crate::api::view::{self, RoundState};

/// A poll in a list.
#[derive(Clone, Serialize)]
pub(super) struct Card {
    /// The poll.
    #[serde(flatten)]
    pub(super) poll: view::Poll,
    /// Where it stands: `collecting`, `planned`, `open`, `sealed` or `finished`.
    pub(super) standing: &'static str,
    /// Its latest round.
    pub(super) round: Option<view::Round>,
    /// Items of the latest round on which the person has chosen something.
    pub(super) chosen: usize,
}

/// Returns where a poll stands.
pub(super) fn standing(poll: &view::Poll) -> &'static str {
    match poll.rounds.last().map(|round| round.state) {
        None => "collecting",
        Some(RoundState::Planned) => "planned",
        Some(RoundState::Open) => "open",
        Some(RoundState::Sealed) => "sealed",
        Some(RoundState::Finished) => "finished",
    }
}

/// Returns what the person has chosen in a poll's latest round: their draft, or what they have cast.
pub(super) fn draft(page: &Page, poll: &view::Poll) -> Draft {
    let Some(round) = poll.rounds.last() else { return Draft::new() };
    page.drafts.of(round.id, || cast(poll))
}

/// Returns what the person has cast, as far as their diary says.
pub(super) fn cast(poll: &view::Poll) -> Draft {
    poll.items.iter().filter_map(|item| Some((item.id, item.own?))).collect()
}

/// Returns all polls: those that end soonest first, then those with the newest rounds.
pub(super) async fn cards(page: &Page) -> Result<Vec<Card>, Failed> {
    let mut cards = Vec::new();
    for poll in page.service.polls().await? {
        let standing = standing(&poll);
        let chosen = match standing {
            "open" => draft(page, &page.service.poll(&poll.id.to_string()).await?).len(),
            _ => 0,
        };
        cards.push(Card { standing, round: poll.rounds.last().cloned(), chosen, poll });
    }
    cards.sort_by_key(|card| {
        let round = card.round.as_ref();
        let is_open = card.standing == "open";
        let closes = round.and_then(|round| round.closes_at).filter(|_| is_open);
        (!is_open, closes, core::cmp::Reverse(round.map_or(u32::MAX, |round| round.ordinal)))
    });
    Ok(cards)
}

/// `GET /polls`.
pub(super) async fn list(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let cards = cards(&page).await?;
    page.show(&visit, "polls.html", context! { cards }).await
}

/// A visit to a page about one poll, which the path names.
pub(super) struct AtPoll {
    pub(super) page: Page,
    pub(super) visit: Visit,
    pub(super) poll: view::Poll,
}

impl FromRequestParts<Page> for AtPoll {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, page: &Page) -> Result<Self, Failed> {
        let Path(reference) = Path::<String>::from_request_parts(parts, page).await.map_err(|_| Failed::nowhere())?;
        let visit = parts.extensions.get::<Visit>().cloned().ok_or(Failed::Outside)?;
        let poll = page.service.poll(&reference).await?;
        Ok(Self { page: page.clone(), visit, poll })
    }
}

/// What is said above a page after something was done.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    said: String,
}

impl After {
    /// Returns the key of what is said; none if it is none of ours.
    pub(super) fn key(&self) -> Option<&'static str> {
        const KEYS: [&str; 12] = [
            "cast",
            "on_its_way",
            "withdrawn",
            "proposed",
            "opened",
            "begun",
            "approved",
            "vouched",
            "saved",
            "moderated",
            "rules_stated",
            "card_stated",
        ];
        KEYS.into_iter().find(|key| *key == self.said)
    }
}

/// `GET /polls/{poll}`.
pub(super) async fn show(AtPoll { page, visit, poll }: AtPoll, Query(after): Query<After>) -> Result<Response, Failed> {
    let draft = draft(&page, &poll);
    let is_hidden = |item: &&view::Item| item.state == view::ModerationState::Rejected;
    let (hidden, open): (Vec<_>, Vec<_>) = poll.items.iter().partition(is_hidden);
    let items = super::vote::described(&page, &poll, &open).await?;
    let values = context! {
        items,
        hidden,
        rules => poll.rules,
        standing => standing(&poll),
        round => poll.rounds.last(),
        chosen => draft.len(),
        changed => draft != cast(&poll),
        earlier => poll.rounds.iter().any(|round| round.state == RoundState::Finished),
        said => after.key(),
        poll,
    };
    page.show(&visit, "poll.html", values).await
}
