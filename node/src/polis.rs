//! Polis conversations: reading an export, and analysing it with the code that Chorus' own polls use.
//!
//! An export is a folder of `comments.csv`, `votes.csv`, `participants-votes.csv` and `summary.csv`, as pol.is hands it
//! out and the Computational Democracy Project publishes. `votes.csv` is the history of votes, of which the latest per
//! person and statement counts; the matrix in `participants-votes.csv` repeats it, and only its group column is read.
//! (In the database of Polis agree is −1; in exports it is 1, as here.)

mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use chorus_protocol::deliberation::{
    analyze::{Analysis, Options, analyze},
    findings::Moderation,
    matrix::VoteMatrix,
    tally::Vote,
};

/// Why an export could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolisError {
    /// A file of the export is missing or unreadable, or is not CSV.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: csv::Error,
    },
    /// A file lacks a column.
    #[error("{path} has no column {column:?}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A field is not what its column holds.
    #[error("{path}, line {line}: {column:?} is {found:?}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The line on which the row starts.
        line: u64,
        /// The column.
        column: &'static str,
        /// What is there.
        found: String,
    },
    /// A statement has votes but no entry in `comments.csv`.
    #[error("{path}: statement {statement} has votes but is not listed")]
    UnknownStatement {
        /// The file that should list it.
        path: PathBuf,
        /// The statement.
        statement: u64,
    },
    /// The export holds no vote.
    #[error("{0} holds no vote")]
    Empty(PathBuf),
}

/// One statement of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Its number in Polis.
    pub id: u64,
    /// Its text.
    pub text: String,
    /// Who wrote it.
    pub author: u64,
    /// −1 rejected, 0 undecided, 1 accepted.
    pub moderated: i8,
    /// Whether it asks about the participant.
    pub is_meta: bool,
    /// What it is about; empty where the export has no topics.
    pub topic: String,
}

impl Statement {
    /// Returns whether Polis leaves it out of map, groups and lists.
    pub const fn is_hidden(&self) -> bool {
        self.moderated < 0 || self.is_meta
    }
}

/// What a conversation was about: its statements, also those that nobody voted on, and not one vote.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The entries of `summary.csv`: topic, url, description and counts.
    pub summary: BTreeMap<String, String>,
    /// The statements, by number.
    pub statements: Vec<Statement>,
}

impl Listing {
    /// Reads `comments.csv` and `summary.csv` of an export.
    ///
    /// # Errors
    ///
    /// Returns a [`PolisError`] that names the file, and the line if there is one, that could not be understood.
    pub fn read(dir: &Path) -> Result<Self, PolisError> {
        let statements = read_statements(&dir.join("comments.csv"))?.into_values().collect();
        Ok(Self { summary: read_summary(&dir.join("summary.csv"))?, statements })
    }
}

/// A Polis conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The entries of `summary.csv`: topic, url, description and counts.
    pub summary: BTreeMap<String, String>,
    /// The statements that have votes, by number: the columns of the matrix.
    pub statements: Vec<Statement>,
    /// The people who voted, by number: the rows of the matrix.
    pub participants: Vec<u64>,
    /// The latest votes.
    pub matrix: VoteMatrix,
    /// The groups that Polis itself exported.
    pub groups: BTreeMap<u64, usize>,
}

impl Conversation {
    /// Reads an export.
    ///
    /// # Errors
    ///
    /// Returns a [`PolisError`] that names the file, and the line if there is one, that could not be understood.
    pub fn read(dir: &Path) -> Result<Self, PolisError> {
        let votes = read_votes(&dir.join("votes.csv"))?;
        let mut listed = read_statements(&dir.join("comments.csv"))?;
        let participants: BTreeSet<u64> = votes.keys().map(|&(participant, _)| participant).collect();
        let voted: BTreeSet<u64> = votes.keys().map(|&(_, statement)| statement).collect();
        let find = |statement: u64| {
            let path = dir.join("comments.csv");
            listed.remove(&statement).ok_or(PolisError::UnknownStatement { path, statement })
        };
        let statements: Vec<Statement> = voted.into_iter().map(find).collect::<Result<_, _>>()?;
        let row = |&participant: &u64| -> Vec<Option<Vote>> {
            statements.iter().map(|statement| votes.get(&(participant, statement.id)).copied()).collect()
        };
        let rows = participants.iter().map(row).collect();
        let matrix = VoteMatrix::new(statements.len(), rows).expect("each row has one entry per statement");
        Ok(Self {
            summary: read_summary(&dir.join("summary.csv"))?,
            groups: read_groups(&dir.join("participants-votes.csv"))?,
            participants: participants.into_iter().collect(),
            matrix,
            statements,
        })
    }

    /// Returns what the moderators of the conversation decided, in the order of the statements.
    pub fn moderation(&self) -> Moderation {
        Moderation {
            hidden: self.statements.iter().map(Statement::is_hidden).collect(),
            meta: self.statements.iter().map(|statement| statement.is_meta).collect(),
        }
    }

    /// Analyses the conversation, with groups made from the map, each of at least `floor` people; or with the groups
    /// given in `labels`, in which case whoever is not in it belongs to none.
    ///
    /// The analysis numbers groups 0, 1, …; also returned is the label that each number stands for.
    pub fn analyze(&self, labels: Option<&BTreeMap<u64, usize>>, floor: usize) -> (Analysis, Vec<usize>) {
        let given = labels.map(|labels| self.participants.iter().map(|id| labels.get(id).copied()).collect::<Vec<_>>());
        let names: Vec<usize> =
            given.iter().flatten().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let number = |label: usize| names.binary_search(&label).expect("names are the labels");
        let dense = given.map(|given| given.into_iter().map(|label| label.map(number)).collect::<Vec<_>>());
        let made = dense.is_none();
        let options = Options { floor, groups: None, labels: dense, moderation: self.moderation() };
        let analysis = analyze(&self.matrix, &options).expect("there is one label per row");
        let names = if made { (0..analysis.sizes.len()).collect() } else { names };
        (analysis, names)
    }
}

/// The least size of a group where no community says otherwise.
pub const DEFAULT_FLOOR: usize = 10;

/// Reads an export and analyses it; see [`Conversation::analyze`] for `labels`.
///
/// The result is one JSON object: `statement_ids`, `totals`, `in_conv`, `pca`, `consensus`, and of the groups `k`,
/// `sizes`, `labels`, `group_votes`, `gac_agree`, `gac_disagree`, `repness_stats`, `representative`, `priorities`.
/// Arrays follow `statement_ids`; groups and participants are keys.
///
/// # Errors
///
/// As [`Conversation::read`].
pub fn analyze_dir(dir: &Path, labels: Option<BTreeMap<u64, usize>>) -> Result<serde_json::Value, PolisError> {
    let conversation = Conversation::read(dir)?;
    let (analysis, names) = conversation.analyze(labels.as_ref(), DEFAULT_FLOOR);
    Ok(report::report(&conversation, &analysis, &names))
}

/// One row of a file, with the names of its columns.
struct Row<'a> {
    path: &'a Path,
    columns: &'a BTreeMap<String, usize>,
    record: csv::StringRecord,
}

impl Row<'_> {
    /// Returns a field, or `None` if the file lacks the column or the row ends before it.
    fn field(&self, column: &str) -> Option<&str> {
        self.record.get(*self.columns.get(column)?)
    }

    /// Parses a field that must be there.
    fn parse<T: core::str::FromStr>(&self, column: &'static str) -> Result<T, PolisError> {
        if !self.columns.contains_key(column) {
            return Err(PolisError::Column { path: self.path.to_owned(), column });
        }
        let found = self.field(column).unwrap_or_default();
        found.trim().parse().map_err(|_| self.wrong(column, found))
    }

    fn wrong(&self, column: &'static str, found: &str) -> PolisError {
        let line = self.record.position().map_or(0, csv::Position::line);
        PolisError::Field { path: self.path.to_owned(), line, column, found: found.to_owned() }
    }
}

/// Calls `each` with every row of a file that starts with a header.
fn for_each_row(path: &Path, mut each: impl FnMut(Row<'_>) -> Result<(), PolisError>) -> Result<(), PolisError> {
    let read_error = |source| PolisError::Read { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(read_error)?;
    let header = reader.headers().map_err(read_error)?;
    let columns = header.iter().enumerate().map(|(index, name)| (name.trim().to_owned(), index)).collect();
    for record in reader.records() {
        each(Row { path, columns: &columns, record: record.map_err(read_error)? })?;
    }
    Ok(())
}

/// Reads the latest vote of each person on each statement; of votes at one time the later row.
fn read_votes(path: &Path) -> Result<BTreeMap<(u64, u64), Vote>, PolisError> {
    let mut latest: BTreeMap<(u64, u64), (u64, Vote)> = BTreeMap::new();
    for_each_row(path, |row| {
        let time: u64 = row.parse("timestamp")?;
        let key = (row.parse("voter-id")?, row.parse("comment-id")?);
        let vote = match row.parse::<i8>("vote")? {
            1 => Vote::Agree,
            -1 => Vote::Disagree,
            0 => Vote::Pass,
            other => return Err(row.wrong("vote", &other.to_string())),
        };
        let entry = latest.entry(key).or_insert((time, vote));
        if time >= entry.0 {
            *entry = (time, vote);
        }
        Ok(())
    })?;
    if latest.is_empty() {
        return Err(PolisError::Empty(path.to_owned()));
    }
    Ok(latest.into_iter().map(|(key, (_, vote))| (key, vote)).collect())
}

fn read_statements(path: &Path) -> Result<BTreeMap<u64, Statement>, PolisError> {
    let mut statements = BTreeMap::new();
    for_each_row(path, |row| {
        let is_meta = match row.field("is-meta") {
            Some("true") => true,
            Some("false" | "") | None => false,
            Some(other) => return Err(row.wrong("is-meta", other)),
        };
        let statement = Statement {
            id: row.parse("comment-id")?,
            text: row.parse("comment-body")?,
            author: row.parse("author-id")?,
            moderated: row.parse("moderated")?,
            is_meta,
            topic: row.field("topic").unwrap_or_default().trim().to_owned(),
        };
        statements.insert(statement.id, statement);
        Ok(())
    })?;
    Ok(statements)
}

fn read_groups(path: &Path) -> Result<BTreeMap<u64, usize>, PolisError> {
    let mut groups = BTreeMap::new();
    for_each_row(path, |row| {
        let participant = row.parse("participant")?;
        if row.field("group-id").is_none_or(|group| !group.trim().is_empty()) {
            groups.insert(participant, row.parse("group-id")?);
        }
        Ok(())
    })?;
    Ok(groups)
}

/// Reads `summary.csv`: lines of a key and a value, without a header.
fn read_summary(path: &Path) -> Result<BTreeMap<String, String>, PolisError> {
    let read_error = |source| PolisError::Read { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_path(path).map_err(read_error)?;
    let mut summary = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(read_error)?;
        let field = |index: usize| record.get(index).unwrap_or_default().trim().to_owned();
        summary.insert(field(0), field(1));
    }
    Ok(summary)
}

#[cfg(test)]
mod tests;
