//! How the node and its network are.

use axum::{
    extract::{Extension, State},
    response::Response,
};
use minijinja::context;

use super::{Page, failure::Failed, guard::Visit};

/// `GET /network`.
pub(super) async fn show(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Result<Response, Failed> {
    let status = page.service.status().await?;
    let snapshot = page.service.health().look().await;
    let invite = page.service.invite(Vec::new()).await?;
    let values = context! {
        checks => snapshot.checks(),
        ready => snapshot.is_ready(),
        uptime => snapshot.uptime.as_secs(),
        store => snapshot.store + snapshot.journal + snapshot.blobs.bytes,
        free => snapshot.free,
        invite => invite.invite,
        status,
    };
    page.show(&visit, "network.html", values).await
}
