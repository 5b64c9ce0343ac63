//! The first page: what is open now, and what one can do.

use axum::{
    extract::{Extension, State},
    response::Response,
};
use minijinja::context;

use super::{Page, failure::Failed, guard::Visit, polls};

pub(super) async fn show(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let status = page.service.status().await?;
    let cards = polls::cards(&page).await?;
    let of = |standing: &[&str]| {
        let chosen = cards.iter().filter(|card| standing.contains(&card.standing));
        chosen.cloned().collect::<Vec<_>>()
    };
    let values = context! {
        now => of(&["open"]),
        soon => of(&["planned", "sealed", "collecting"]),
        done => of(&["finished"]).into_iter().take(3).collect::<Vec<_>>(),
        status,
    };
    page.show(&visit, "home.html", values).await
}
