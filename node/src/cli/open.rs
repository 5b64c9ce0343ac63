//! `chorus open`.

use super::{Global, client::Client, output::Lines};
use crate::api::view;

pub(super) fn carry_out(global: &Global) -> anyhow::Result<()> {
    let link: view::PageLink = Client::new(global)?.post("/page", &serde_json::json!({}), std::time::Duration::ZERO)?;
    global.output().print(&link, |link| {
        let mut lines = Lines::default();
        lines.line(&link.url);
        lines.finish()
    })
}
