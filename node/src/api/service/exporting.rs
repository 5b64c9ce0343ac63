//! Tables for spreadsheets: what is public about polls, and not one row per person.
//!
//! Every row is about an item, a group, a word of an operator or a principle. Points of the opinion map, tags and buckets
//! are left out, though they are public: whoever analyses ballots one by one takes the audit bundle.
//!
//! # Security
//!
//! Texts come from strangers, and spreadsheets carry out cells that begin like a formula: such a text gets an apostrophe
//! before it.

use chorus_protocol::{
    deliberation::{
        consensus::{Support, support},
        tally::{Totals, Vote},
    },
    id::{BlobId, PollId},
    ledger::Ledger,
    round::report::RoundReport,
};
use serde::{Deserialize, Serialize};

use super::{ApiError, Kind, Service, find_poll, moderating::log_of, polls::item_view, view};

/// Which table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Items with their totals, round by round.
    Statements,
    /// The tallies of opinion groups and classes.
    Groups,
    /// What operators said about items.
    Moderation,
    /// The principles of every version of the constitution.
    Constitution,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Statements, Self::Groups, Self::Moderation, Self::Constitution];

    /// Returns the name of its file.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Statements => "statements.csv",
            Self::Groups => "groups.csv",
            Self::Moderation => "moderation.csv",
            Self::Constitution => "constitution.csv",
        }
    }

    /// Returns the table with a file's name.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.file() == name)
    }
}

/// A table under way.
struct Rows(csv::Writer<Vec<u8>>);

impl Rows {
    fn new(columns: &[&str]) -> Result<Self, ApiError> {
        let mut rows = Self(csv::WriterBuilder::new().flexible(false).from_writer(Vec::new()));
        rows.0.write_record(columns).map_err(broken)?;
        Ok(rows)
    }

    fn row(&mut self, fields: &[String]) -> Result<(), ApiError> {
        self.0.write_record(fields).map_err(broken)
    }

    fn finish(self) -> Result<Vec<u8>, ApiError> {
        self.0.into_inner().map_err(|_| ApiError::new(Kind::Internal, "the table could not be written"))
    }
}

fn broken(error: csv::Error) -> ApiError {
    ApiError::new(Kind::Internal, format!("the table could not be written: {error}"))
}

/// Returns a text as a cell that no spreadsheet carries out.
fn cell(text: &str) -> String {
    if text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// A finished round, with what its rows need.
struct Told<'a> {
    ledger: &'a Ledger,
    poll: PollId,
    ordinal: u32,
    report: &'a RoundReport,
}

impl Service {
    /// Returns a table in CSV, of one poll or of all.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if there is no such poll, and [`Kind::Unavailable`] if a result cannot be had.
    pub async fn table(&self, table: Table, reference: Option<&str>) -> Result<Vec<u8>, ApiError> {
        let ledger = self.ledger().await?;
        let polls = match reference {
            Some(reference) => vec![find_poll(&ledger, reference)?],
            None => ledger.polls().keys().copied().collect(),
        };
        let mut reports = Vec::new();
        for poll in &polls {
            for (round, finished) in self.reports(&ledger, *poll).await? {
                let ordinal = ledger.rounds().get(&round).map_or(0, |round| round.ordinal);
                reports.push((*poll, ordinal, finished));
            }
        }
        reports.sort_by_key(|(_, ordinal, _)| *ordinal);
        let told: Vec<Told<'_>> = reports
            .iter()
            .map(|(poll, ordinal, finished)| Told {
                ledger: &ledger,
                poll: *poll,
                ordinal: *ordinal,
                report: finished.report(),
            })
            .collect();
        match table {
            Table::Statements => statements(&ledger, &polls, &told),
            Table::Groups => groups(&told),
            Table::Moderation => moderation(&ledger, &polls),
            Table::Constitution => constitution(&told),
        }
    }
}

/// A row for each item of each finished round, and one for each item that no finished round asked.
fn statements(ledger: &Ledger, polls: &[PollId], told: &[Told<'_>]) -> Result<Vec<u8>, ApiError> {
    let mut rows = Rows::new(&[
        "poll",
        "round",
        "item",
        "text",
        "topic",
        "meta",
        "moderation",
        "ballots",
        "agree",
        "disagree",
        "pass",
        "unseen",
        "consensus",
        "consensus_against",
        "principle",
    ])?;
    let no_votes = std::collections::BTreeMap::new();
    let about = |poll: PollId, item: BlobId| {
        let view = item_view(ledger, poll, (0, item), &no_votes);
        [
            item.to_string(),
            cell(&view.text),
            cell(&view.topic),
            view.meta.to_string(),
            state_name(view.state).to_owned(),
        ]
    };
    for of in told {
        let (report, meta) = (of.report, ledger.meta_items(of.report.round));
        let (agree, disagree) = (support(&report.groups(), Vote::Agree), support(&report.groups(), Vote::Disagree));
        let share = |of: &[Support], place: usize| {
            of.get(place).map_or_else(String::new, |support| format!("{:.6}", support.approximate()))
        };
        let principles = principles(of);
        for (place, item) in report.items.iter().enumerate() {
            let tally = report.totals().and_then(|totals| totals.items.get(place));
            let number = |of: Option<u64>| of.map_or_else(String::new, |count| count.to_string());
            let [id, text, topic, _, state] = about(of.poll, *item);
            let is_meta = meta.get(place) == Some(&true);
            rows.row(&[
                of.poll.to_string(),
                of.ordinal.to_string(),
                id,
                text,
                topic,
                is_meta.to_string(),
                state,
                report.ballots.to_string(),
                number(tally.map(|tally| tally.agree)),
                number(tally.map(|tally| tally.disagree)),
                number(tally.map(|tally| tally.pass)),
                number(tally.map(|tally| u64::from(report.ballots).saturating_sub(tally.seen()))),
                share(&agree, place),
                share(&disagree, place),
                principles.contains(&place).to_string(),
            ])?;
        }
    }
    for poll in polls {
        let items = ledger.polls().get(poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
        let is_told = |item: &BlobId| told.iter().any(|of| of.poll == *poll && of.report.items.contains(item));
        for (item, _, _) in items.iter().filter(|(item, _, _)| !is_told(item)) {
            let before = [poll.to_string(), String::new()];
            let empty = core::iter::repeat_n(String::new(), 8);
            let row: Vec<String> = before.into_iter().chain(about(*poll, *item)).chain(empty).collect();
            rows.row(&row)?;
        }
    }
    rows.finish()
}

/// A row for each item in each opinion group or class.
fn groups(told: &[Told<'_>]) -> Result<Vec<u8>, ApiError> {
    let mut rows =
        Rows::new(&["poll", "round", "kind", "group", "ballots", "item", "text", "agree", "disagree", "pass"])?;
    for of in told {
        let mut one = |kind: &str, (name, ballots): (&str, usize), totals: &Totals| -> Result<(), ApiError> {
            for (item, tally) in of.report.items.iter().zip(&totals.items) {
                rows.row(&[
                    of.poll.to_string(),
                    of.ordinal.to_string(),
                    kind.to_owned(),
                    cell(name),
                    ballots.to_string(),
                    item.to_string(),
                    cell(&text_of(of, item)),
                    tally.agree.to_string(),
                    tally.disagree.to_string(),
                    tally.pass.to_string(),
                ])?;
            }
            Ok(())
        };
        if let Some(map) = of.report.map() {
            let names = ('A'..='Z').map(String::from);
            for ((totals, size), name) in map.groups.iter().zip(map.sizes()).zip(names) {
                one("opinion", (&name, size), totals)?;
            }
        }
        let round = of.ledger.rounds().get(&of.report.round);
        let classes = round.map(|round| super::classes::class_views(round, of.report)).unwrap_or_default();
        for class in &classes {
            let tally = |it: &view::Tally| chorus_protocol::deliberation::tally::Tally {
                agree: it.agree,
                disagree: it.disagree,
                pass: it.pass,
            };
            let totals = Totals { items: class.items.iter().map(tally).collect() };
            one("class", (&class.name, class.ballots as usize), &totals)?;
        }
    }
    rows.finish()
}

/// A row for each word of an operator.
fn moderation(ledger: &Ledger, polls: &[PollId]) -> Result<Vec<u8>, ApiError> {
    let mut rows = Rows::new(&[
        "poll",
        "item",
        "text",
        "moderation",
        "time",
        "operator",
        "key",
        "say",
        "category",
        "reason",
        "is_last",
    ])?;
    for word in log_of(ledger, polls).words {
        rows.row(&[
            word.poll.to_string(),
            word.item.to_string(),
            cell(&word.text),
            state_name(word.state).to_owned(),
            word.time.to_string(),
            word.operator.map_or_else(String::new, |operator| operator.to_string()),
            word.key,
            say_name(word.say).to_owned(),
            word.category.map_or("", view::Category::name).to_owned(),
            cell(&word.reason),
            word.is_last.to_string(),
        ])?;
    }
    rows.finish()
}

/// A row for each principle of each version.
fn constitution(told: &[Told<'_>]) -> Result<Vec<u8>, ApiError> {
    let mut rows =
        Rows::new(&["version", "constitution", "poll", "rank", "item", "text", "group", "agree", "disagree", "pass"])?;
    for of in told {
        let Some(constitution) = of.report.constitution(of.ledger) else { continue };
        let id = BlobId::of(&chorus_crypto::codec::Encode::to_bytes(&constitution)).to_string();
        for (rank, principle) in (1..).zip(&constitution.principles) {
            let item = usize::try_from(principle.item).ok().and_then(|place| of.report.items.get(place));
            for (group, tally) in ('A'..='Z').zip(&principle.groups) {
                rows.row(&[
                    constitution.preamble.version.to_string(),
                    id.clone(),
                    of.poll.to_string(),
                    i32::to_string(&rank),
                    item.map_or_else(String::new, BlobId::to_string),
                    cell(&principle.text),
                    group.to_string(),
                    tally.agree.to_string(),
                    tally.disagree.to_string(),
                    tally.pass.to_string(),
                ])?;
            }
        }
    }
    rows.finish()
}

fn text_of(of: &Told<'_>, item: &BlobId) -> String {
    let items = of.ledger.polls().get(&of.poll).map(|poll| poll.items.as_slice()).unwrap_or_default();
    items.iter().find(|(known, _, _)| known == item).map(|(_, text, _)| text.clone()).unwrap_or_default()
}

fn principles(of: &Told<'_>) -> std::collections::BTreeSet<usize> {
    let constitution = of.report.constitution(of.ledger);
    let principles = constitution.iter().flat_map(|constitution| &constitution.principles);
    principles.filter_map(|principle| usize::try_from(principle.item).ok()).collect()
}

const fn state_name(state: view::ModerationState) -> &'static str {
    match state {
        view::ModerationState::Undecided => "undecided",
        view::ModerationState::Accepted => "accepted",
        view::ModerationState::Rejected => "rejected",
    }
}

const fn say_name(say: view::Say) -> &'static str {
    match say {
        view::Say::Accept => "accept",
        view::Say::Reject => "reject",
        view::Say::Meta => "meta",
        view::Say::TakeBack => "take_back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("Be kind = be good, \"always\""), "Be kind = be good, \"always\"");
    }

    #[test]
    fn a_table_has_its_files_name() {
        assert!(Table::ALL.into_iter().all(|table| Table::of_file(table.file()) == Some(table)));
        assert_eq!(Table::of_file("../statements.csv"), None);
    }
}
