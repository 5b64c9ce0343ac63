//! Style and scripts: a fixed table, so that a name is looked up and never becomes a path.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::failure::Failed;

/// Name, type and content of everything that is served as it is.
const ASSETS: [(&str, &str, &str); 5] = [
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
    ("chat.js", "text/javascript; charset=utf-8", include_str!("assets/chat.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, Failed> {
    let found = ASSETS.iter().find(|(known, _, _)| *known == name);
    let (_, kind, content) = found.ok_or_else(Failed::nowhere)?;
    Ok(([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "private, max-age=300")], *content).into_response())
}
