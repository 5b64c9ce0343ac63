//! The community's adapters: what they change, how far their rounds are, and what the gate says.

use axum::{
    extract::{Extension, State},
    response::Response,
};
use minijinja::context;
use serde::Serialize;

use super::{Page, failure::Failed, guard::Visit};
use crate::api::view;

/// A series with what the page says of it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    series: view::Series,
    targets: Vec<String>,
    rounds_planned: u64,
}

/// `GET /adapter`.
pub(super) async fn show(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let mut all = Vec::new();
    for series in page.service.all_series().await? {
        // With what came of each round.
        let series = page.service.series(&series.id.to_string()).await?;
        let targets = series.manifest.adapted.targets.iter().map(|target| target.name.text.clone()).collect();
        let rounds_planned = series.manifest.schedule.rounds.into();
        all.push(Shown { series, targets, rounds_planned });
    }
    page.show(&visit, "adapter.html", context! { all }).await
}
