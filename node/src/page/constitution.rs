//! The constitution: the one in force, and those before it.

use axum::{
    extract::{Extension, Query, State},
    response::Response,
};
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::{
    Page, chart,
    cited::{Answers, Cited},
    failure::Failed,
    guard::Visit,
};
use crate::api::view;

/// Which version.
#[derive(Deserialize)]
pub(super) struct Which {
    version: Option<u32>,
}

/// A principle with how each group voted on it.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    bars: Vec<(String, chart::Bar)>,
    own: Option<view::Choice>,
    cited: Vec<Cited>,
}

/// `GET /constitution`.
pub(super) async fn show(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(which): Query<Which>,
) -> Result<Response, Failed> {
    let all = page.service.constitutions().await?;
    let purpose = page.service.node().view(|peer| peer.ledger().genesis().purpose.clone()).await?;
    let newest = all.first().map(|enacted| enacted.constitution.version);
    let wanted = which.version.or(newest);
    let shown = all.iter().find(|enacted| Some(enacted.constitution.version) == wanted);
    if shown.is_none() && which.version.is_some() {
        return Err(Failed::nowhere());
    }
    let before = shown.and_then(|shown| {
        all.iter()
            .find(|enacted| enacted.constitution.version < shown.constitution.version && enacted.poll == shown.poll)
    });
    let lines = match shown {
        Some(shown) => lines(&page, shown).await?,
        None => Vec::new(),
    };
    let values = context! {
        purpose,
        shown,
        is_newest => wanted == newest,
        changes => before.zip(shown).map(|(before, after)| changes(before, after)),
        lines,
        all => &all,
    };
    page.show(&visit, "constitution.html", values).await
}

async fn lines<'a>(page: &Page, enacted: &'a view::Enacted) -> Result<Vec<Line<'a>>, Failed> {
    let poll = page.service.poll(&enacted.poll.to_string()).await?;
    let answers = Answers::to(page, poll.items.iter())?;
    // Numbers are of the latest round, texts are the same in all.
    let cited = |principle: &view::Principle| {
        let item = poll.items.iter().find(|item| item.text == principle.text);
        item.map(|item| answers.of(item)).unwrap_or_default()
    };
    let line = |(at, principle)| Line { cited: cited(principle), ..line(enacted, at, principle) };
    Ok((0..).zip(&enacted.constitution.principles).map(line).collect())
}

fn line<'a>(enacted: &view::Enacted, at: usize, principle: &'a view::Principle) -> Line<'a> {
    let names = enacted.groups.iter().cloned().chain(core::iter::repeat(String::new()));
    Line {
        text: &principle.text,
        bars: names.zip(&principle.groups).map(|(name, tally)| (name, chart::bar(tally))).collect(),
        own: enacted.own.get(at).copied().flatten(),
        cited: Vec::new(),
    }
}

/// What a version added and left out.
#[derive(Serialize)]
struct Changes<'a> {
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    since: u32,
}

fn changes<'a>(before: &'a view::Enacted, after: &'a view::Enacted) -> Changes<'a> {
    let missing = |from: &'a view::Enacted, of: &view::Enacted| {
        let has = |text: &str| of.constitution.principles.iter().any(|principle| principle.text == text);
        let texts = from.constitution.principles.iter().map(|principle| principle.text.as_str());
        texts.filter(|text| !has(text)).collect()
    };
    Changes { added: missing(after, before), removed: missing(before, after), since: before.constitution.version }
}
