//! `chorus result` and `chorus export`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::deliberation::pca::MIN_ITEMS;
use clap::Args;
use serde::Serialize;

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, hanging, many, short},
    values,
};
use crate::{
    api::{
        service::{OTHER_NAME, Table},
        view,
    },
    store::files,
};

#[derive(Debug, Args)]
pub(super) struct ShowResult {
    /// The poll: its id or the beginning of it, or - for the only one [default: the latest with a result].
    #[arg(value_parser = values::poll)]
    poll: Option<String>,
    /// Wait this long for the result.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    wait: Option<Duration>,
    /// Write the audit bundle to this file as well.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

impl ShowResult {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        if let Some(path) = &self.bundle {
            // Before the waiting, not after it.
            free(path)?;
        }
        let wait = self.wait.unwrap_or_default();
        let poll = self.poll.map(|poll| format!("poll={poll}"));
        let seconds = self.wait.map(|wait| format!("wait_seconds={}", wait.as_secs()));
        let query: Vec<String> = [poll, seconds].into_iter().flatten().collect();
        let waiting = output.waiting("waiting for the result");
        let result: view::PollResult = client.get_within(&format!("/result?{}", query.join("&")), wait)?;
        drop(waiting);
        if let Some(path) = &self.bundle {
            download(global, &client, path, false)?;
        }
        output.print(&result, text)
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to write; with --csv, the folder.
    file: PathBuf,
    /// Write tables instead of the bundle: items with their totals, the tallies of groups, the moderation log, the history of the
    /// constitution. None has a row per person.
    #[arg(long)]
    csv: bool,
    /// Only of this poll: its id or the beginning of it, or - for the only one.
    #[arg(long, value_name = "POLL", value_parser = values::poll, requires = "csv")]
    poll: Option<String>,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Exported {
    file: String,
    bytes: u64,
}

impl Export {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        if self.csv {
            return self.tables(global);
        }
        if !self.force && self.file.exists() {
            let taken =
                format!("{} is there already: name another file, or replace it with --force", self.file.display());
            return Err(Failure::Usage(taken).into());
        }
        let bytes = download(global, &Client::new(global)?, &self.file, self.force)?;
        let exported = Exported { file: self.file.display().to_string(), bytes };
        global.output().print(&exported, |exported| {
            format!("{} bytes in {}\nCheck them with `chorus verify {}`.", exported.bytes, exported.file, exported.file)
        })
    }
}

impl Export {
    /// Writes the tables into a folder.
    fn tables(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let refused = |path: &Path, source| Failure::File { path: path.to_owned(), source };
        fs::create_dir_all(&self.file).map_err(|source| refused(&self.file, source))?;
        let paths = Table::ALL.map(|table| (table, self.file.join(table.file())));
        if !self.force {
            paths.iter().try_for_each(|(_, path)| free(path))?;
        }
        let query = self.poll.map_or_else(String::new, |poll| format!("?poll={poll}"));
        let mut exported = Vec::new();
        for (table, path) in &paths {
            let rows = client.octets(&format!("/export/{}{query}", table.file()))?;
            let mut file = files::Unfinished::create(files::parent(path), "table").map_err(|it| refused(path, it))?;
            file.file().write_all(&rows).map_err(|source| refused(path, source))?;
            file.rename(path).map_err(|source| refused(path, source))?;
            exported.push(Exported { file: path.display().to_string(), bytes: rows.len() as u64 });
        }
        global.output().print(&exported, |exported| {
            exported.iter().map(|one| format!("{} bytes in {}\n", one.bytes, one.file)).collect()
        })
    }
}

/// Checks that no file is in the way.
pub(super) fn free(path: &Path) -> Result<(), Failure> {
    let taken = || Failure::Usage(format!("{} is there already: name another file, or remove it", path.display()));
    if path.exists() { Err(taken()) } else { Ok(()) }
}

/// Downloads the bundle: the file is there whole or not at all.
fn download(global: &Global, client: &Client, path: &Path, force: bool) -> anyhow::Result<u64> {
    if !force {
        free(path)?;
    }
    let refused = |source| Failure::File { path: path.to_owned(), source };
    let mut file = files::Unfinished::create(files::parent(path), "bundle").map_err(refused)?;
    let progress = global.output().bytes("audit bundle", 0);
    let bytes = client.download("/bundle", file.file(), |done, total| progress.of(done, total))?;
    file.file().flush().map_err(refused)?;
    let mut permissions = fs::metadata(file.path()).map_err(refused)?.permissions();
    // The bundle is public.
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    file.file().set_permissions(permissions).map_err(refused)?;
    file.rename(path).map_err(refused)?;
    Ok(bytes)
}

fn text(result: &view::PollResult) -> String {
    let mut lines = Lines::default();
    lines.line(&result.question);
    lines.field("ballots", result.ballots).field("result", short(&result.result));
    match result.outcome {
        view::Outcome::TooFew => {
            lines.line("").line(format!(
                "Too few ballots: from {} on, sums are opened. Nothing was, and the operators have erased their keys.",
                result.needed
            ));
            return lines.finish();
        }
        view::Outcome::Totals => lines.field(
            "groups",
            format!("none: an opinion map needs {MIN_ITEMS} items, and the ballots that `chorus status` tells"),
        ),
        view::Outcome::Classes => lines.field("groups", "none: the round was summed by classes"),
        view::Outcome::Map => lines.field("groups", groups_line(result)),
    };
    if !result.explained_variance.is_empty() {
        let shares: Vec<String> =
            result.explained_variance.iter().map(|share| format!("{:.0} %", share * 100.0)).collect();
        lines.field("explained", format!("{} of the variance along the axes of the map", shares.join(" and ")));
    }
    let empty = view::Tally { agree: 0, disagree: 0, pass: 0 };
    let row = |at: usize, tally: view::Tally, text: &str| {
        let text = hanging(text, 29);
        format!("{at:>5}{:>7}{:>9}{:>6}  {text}", tally.agree, tally.disagree, tally.pass)
    };
    lines.line("").line(format!("{:>5}{:>7}{:>9}{:>6}  statement", "item", "agree", "disagree", "pass"));
    for item in &result.items {
        lines.line(row(item.number, item.total.unwrap_or(empty), &item.text));
    }
    for class in &result.classes {
        lines.line("").line(format!(
            "Class {} ({}, weight {})",
            class.name,
            many(class.ballots, "ballot"),
            class.weight
        ));
        if class.name == OTHER_NAME {
            lines.line("  Those who show no class, and classes with too few ballots to be summed by themselves.");
        }
        for (item, tally) in result.items.iter().zip(&class.items) {
            lines.line(row(item.number, *tally, ""));
        }
    }
    if !result.classes.is_empty() {
        lines.line("").line("All classes with their weights");
        for item in &result.items {
            lines.line(row(item.number, item.weighted.unwrap_or(empty), &item.text));
        }
    }
    for group in &result.groups {
        lines.line("").line(format!("Group {} ({} people) stands out by", group.name, group.size));
        for (number, choice) in &group.typical {
            let item = result.items.iter().find(|item| item.number == *number);
            lines.line(format!("  {:<9} {}", choice_name(*choice), hanging(item.map_or("", |item| &item.text), 12)));
        }
    }
    if let Some(constitution) = &result.constitution {
        lines.line("").line(format!("Constitution of {}, version {}", constitution.name, constitution.version));
        lines.line(&constitution.purpose);
        if constitution.principles.is_empty() {
            lines.line("  No statement has passed the community's bar in every group.");
        }
        for (number, principle) in (1..).zip(&constitution.principles) {
            lines.line(format!("  {number}. {}  {}", hanging(&principle.text, 5), support(&principle.groups)));
        }
    }
    lines.finish()
}

fn groups_line(result: &view::PollResult) -> String {
    let groups: Vec<String> = result.groups.iter().map(|group| format!("{} with {}", group.name, group.size)).collect();
    groups.join(", ")
}

/// How many of those who saw it agreed, in each group.
fn support(groups: &[view::Tally]) -> String {
    let share = |tally: &view::Tally| format!("{}/{}", tally.agree, tally.agree + tally.disagree + tally.pass);
    format!("({})", groups.iter().map(share).collect::<Vec<_>>().join(", "))
}

const fn choice_name(choice: view::Choice) -> &'static str {
    match choice {
        view::Choice::Agree => "agrees",
        view::Choice::Disagree => "disagrees",
        view::Choice::Pass => "passes",
    }
}

#[cfg(test)]
mod tests;
