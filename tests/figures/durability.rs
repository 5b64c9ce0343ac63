//! Kills and damages of a real node: what is lost, and how long it takes to go on.

use std::path::Path;

use chorus_tests::crash::{Report, damage, kill};

use crate::{
    figure::Figure,
    table::{Printed, Table},
};

/// One kill in so many is of an operator among four, which listens before it signs.
const SHARE_OF_FOUR: u64 = 10;

/// Returns the figures of `kills` kills and `damages` damages.
///
/// # Errors
///
/// Returns what keeps an experiment from going on.
pub(crate) fn figures(kills: u64, damages: u64, seed: u64) -> anyhow::Result<Vec<Printed>> {
    let program = std::env::current_exe()?;
    let of_four = kills.div_ceil(SHARE_OF_FOUR);
    let mut printed = Vec::new();
    let runs: [(&str, &str, usize, Run, u64); 4] = [
        ("kills", "the only operator", 1, kill, kills - of_four),
        ("kills", "one of four operators", 4, kill, of_four),
        ("damages", "the only operator", 1, damage, damages / 2),
        ("damages", "one of four operators", 4, damage, damages.div_ceil(2)),
    ];
    for (what, whom, operators, run, count) in runs {
        let report = run(&program, seed, operators, count)?;
        printed.extend(show(what, whom, &report));
    }
    Ok(printed)
}

type Run = fn(&Path, u64, usize, u64) -> anyhow::Result<Report>;

fn show(what: &str, whom: &str, report: &Report) -> Vec<Printed> {
    let mut seconds = report.recoveries.clone();
    seconds.sort_by(f64::total_cmp);
    let at = |share: usize| seconds.get(seconds.len() * share / 100).or(seconds.last()).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let count = |name: &str, value: u64| Figure::new(format!("{what} of {whom}: {name}"), value as f64, "ratio");
    let mut printed: Vec<Printed> = [
        count("number", report.struck),
        count("entries acknowledged", report.acknowledged),
        count("acknowledged and lost", report.lost).at_most(0.0),
        count("anything else wrong", report.wrong.len() as u64).at_most(0.0),
        Figure::new(format!("{what} of {whom}: from start to the next entry, median"), at(50), "s"),
        Figure::new(format!("{what} of {whom}: from start to the next entry, longest"), at(100), "s").at_most(60.0),
    ]
    .into_iter()
    .map(Printed::from)
    .collect();
    if !report.refused.is_empty() {
        let mut table = Table::new(format!("{what} of {whom}: refused starts"), &["why", "number"]);
        report.refused.iter().for_each(|(why, number)| table.row([why.clone(), number.to_string()]));
        printed.push(table.into());
    }
    if !report.wrong.is_empty() {
        let mut table = Table::new(format!("{what} of {whom}: wrong"), &["what"]);
        report.wrong.iter().for_each(|what| table.row([what.clone()]));
        printed.push(table.into());
    }
    printed
}
