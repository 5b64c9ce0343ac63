//! Values cards that mean the same: what operators say about them, signed and with a reason.

use axum::{
    extract::{Extension, Query, State},
    response::{Redirect, Response},
};
use minijinja::context;

use super::{
    Page,
    failure::Failed,
    guard::{Fields, Visit},
    polls::After,
};
use crate::api::{ApiError, view};

/// `GET /operate/cards`: pairs that may mean the same, and all cards.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(after): Query<After>,
) -> Result<Response, Failed> {
    let cards = page.service.cards(view::OfPoll::default()).await?;
    let similar = page.service.similar_cards().await?;
    let values = context! { said => after.key(), similar, cards => sorted(cards) };
    page.show(&visit, "cards.html", values).await
}

/// Returns cards in the order of their titles.
fn sorted(mut cards: Vec<view::CardView>) -> Vec<view::CardView> {
    cards.sort_by(|a, b| (&a.card.title, a.id).cmp(&(&b.card.title, b.id)));
    cards
}

/// Returns the cards of which operators have said something.
pub(super) async fn spoken_of(page: &Page) -> Result<Vec<view::CardView>, ApiError> {
    let mut cards = page.service.cards(view::OfPoll::default()).await?;
    cards.retain(|card| card.word.is_some());
    Ok(sorted(cards))
}

/// `POST /operate/cards`: says that one card stands for another, or that it stands for itself.
pub(super) async fn say(State(page): State<Page>, Extension(fields): Extension<Fields>) -> Result<Redirect, Failed> {
    let into = fields.text("into");
    // Of a pair, the one that does not stand for both.
    let card = match (fields.text("card"), fields.text("one"), fields.text("other")) {
        ("", one, other) => {
            if into == one {
                other
            } else {
                one
            }
        }
        (card, _, _) => card,
    };
    if fields.text("reason").is_empty() {
        return Err(
            ApiError::invalid("everybody can read what was decided, and wants to know why: give a reason").into()
        );
    }
    let asked = view::AboutCard {
        card: card.to_owned(),
        into: Some(into.to_owned()).filter(|into| !into.is_empty() && into != card),
        reason: fields.text("reason").to_owned(),
        wait_seconds: None,
    };
    page.service.state_card(asked).await?;
    Ok(Redirect::to("/operate/cards?said=card_stated"))
}
