//! What came of a round: map, groups, every statement; and the receipt of one's own part.

use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::{
    Page, chart,
    cited::Cited,
    failure::Failed,
    polls::{AtPoll, standing},
    vote::{Described, described, names, words_of},
};
use crate::api::{
    service::Table,
    view::{self, Choice},
};

/// A statement with what everybody, each group and the person said.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: &'a view::ItemResult,
    bar: Option<chart::Bar>,
    bars: Vec<(&'a str, chart::Bar)>,
    classes: Vec<(&'a str, chart::Bar)>,
    own: Option<Choice>,
    principle: bool,
    divisive: bool,
    /// What the item stands for, and what it cites; empty if the poll does not know the item any more.
    card: Option<view::CardView>,
    transition: Option<view::TransitionView>,
    cited: Vec<Cited>,
}

/// `GET /polls/{poll}/result`.
pub(super) async fn show(AtPoll { page, visit, poll }: AtPoll) -> Result<Response, Failed> {
    let id = poll.id.to_string();
    let result = page.service.result(Some(&id), None).await?;
    let map = page.service.opinion_map(&id).await?;
    let diary = page.service.diary().await?;
    let own = |item: &view::ItemResult| {
        let vote = diary.votes.iter().find(|vote| vote.round == result.round && vote.item == item.id);
        vote.map(|vote| vote.choice)
    };
    let principles: Vec<usize> =
        result.constitution.iter().flat_map(|it| &it.principles).map(|principle| principle.item).collect();
    let items: Vec<&view::Item> = poll.items.iter().collect();
    let mut described = described(&page, &poll, &items).await?;
    let mut lines: Vec<Line<'_>> = Vec::with_capacity(result.items.len());
    for item in &result.items {
        let found = described.iter().position(|described| described.item.id == item.id);
        let described = found.map(|found| described.swap_remove(found));
        let principle = principles.contains(&item.number);
        lines.push(Line { principle, ..line(&result, item, own(item), described) });
    }
    // What most agree on first; what nothing is known of keeps its place.
    lines.sort_by(|a, b| b.item.consensus.unwrap_or(-1.0).total_cmp(&a.item.consensus.unwrap_or(-1.0)));
    let members = poll.rounds.iter().find(|round| round.id == result.round).and_then(|round| round.members);
    let values = context! {
        map => map.as_ref().map(chart::scatter),
        kind => words_of(result.kind),
        names => names(&page).await?,
        lines,
        members,
        result => &result,
        poll,
    };
    page.show(&visit, "result.html", values).await
}

fn line<'a>(
    result: &'a view::PollResult,
    item: &'a view::ItemResult,
    own: Option<Choice>,
    described: Option<Described<'_>>,
) -> Line<'a> {
    let (card, transition, cited) = described.map(|it| (it.card, it.transition, it.cited)).unwrap_or_default();
    let groups = result.groups.iter().map(|group| group.name.as_str()).zip(&item.groups);
    let classes = result.classes.iter().filter_map(|class| {
        let tally = class.items.get(item.number.checked_sub(1)?)?;
        Some((class.name.as_str(), chart::bar(tally)))
    });
    Line {
        bar: item.total.as_ref().map(chart::bar),
        bars: groups.map(|(name, tally)| (name, chart::bar(tally))).collect(),
        classes: classes.collect(),
        own,
        principle: false,
        card,
        transition,
        cited,
        divisive: result.divisive.contains(&item.number),
        item,
    }
}

/// Which poll a table is about.
#[derive(Deserialize)]
pub(super) struct OfPoll {
    poll: Option<String>,
}

/// `GET /tables/{table}`: a table for a spreadsheet, without a row for any person.
pub(super) async fn table(
    State(page): State<Page>,
    Path(name): Path<String>,
    Query(of): Query<OfPoll>,
) -> Result<Response, Failed> {
    let table = Table::of_file(&name).ok_or_else(Failed::nowhere)?;
    let rows = page.service.table(table, of.poll.as_deref()).await?;
    let disposition = format!("attachment; filename=\"{}\"", table.file());
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition.as_str())];
    Ok((headers, rows).into_response())
}

/// `GET /polls/{poll}/receipt`.
pub(super) async fn receipt(AtPoll { page, visit, poll }: AtPoll) -> Result<Response, Failed> {
    let receipt = page.service.receipt(&poll.id.to_string()).await?;
    page.show(&visit, "receipt.html", context! { receipt, poll, standing => standing(&poll) }).await
}
