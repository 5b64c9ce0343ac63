//! What a verification says in the end.

use chorus_protocol::{
    audit::{Level, Report, RoundSummary, Topic, Tree, chance_of_missing},
    cohort::Origin,
};
use serde::Serialize;

use super::{Lot, receipt::Verdict};
use crate::{
    api::view::RoundState,
    cli::output::{Lines, many, short},
    page::plain,
};

/// The fractions of bad proofs for which it is said how likely they were missed.
const FRACTIONS: [f64; 4] = [0.1, 0.01, 0.001, 0.0001];

#[derive(Serialize)]
pub(super) struct Verified {
    verified: bool,
    level: &'static str,
    community: String,
    name: String,
    height: u64,
    tip: String,
    entries: u64,
    members: usize,
    contributions: u64,
    /// Contributions whose proofs were verified.
    proved: u64,
    /// What decided on whose proofs the lot fell, at the level light.
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<Lot>,
    /// How likely bad proofs were missed, of all rounds together; nothing if somebody chose the lot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missed: Vec<Missed>,
    bytes: u64,
    rounds: Vec<Round>,
    /// Cohorts of divided rounds whose bundles were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checked: Vec<Checked>,
    /// Cohorts of divided rounds whose bundles were not given: what they certified stands on their operators' word.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchecked: Vec<Cohort>,
    convicted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Verdict>,
}

/// The probability that nothing was noticed, if so many contributions had bad proofs.
#[derive(Clone, Copy, Serialize)]
struct Missed {
    fraction: f64,
    bad: u64,
    probability: f64,
}

/// A cohort whose bundle was checked.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    cohort: Cohort,
    members: usize,
    contributions: u64,
    proved: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missed: Vec<Missed>,
}

/// A cohort of a divided round.
#[derive(Serialize)]
struct Cohort {
    community: String,
    parent: String,
    round: String,
    number: u16,
}

impl From<&Origin> for Cohort {
    fn from(origin: &Origin) -> Self {
        Self {
            community: origin.community().to_string(),
            parent: origin.parent.to_string(),
            round: origin.round.to_string(),
            number: origin.number,
        }
    }
}

#[derive(Serialize)]
struct Round {
    round: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<String>,
    /// What the poll asks, or the series' name.
    title: String,
    number: u32,
    state: RoundState,
    ballots: usize,
    withdrawals: usize,
    /// Contributions, withdrawals included, whose proofs were verified.
    proved: u64,
    /// How likely bad proofs in this round were missed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missed: Vec<Missed>,
    result: Option<String>,
    /// The constitution or the adapter that follows.
    follows: Option<String>,
    principles: Vec<String>,
    /// Operators (1..=n) whose share of a multiplication was wrong.
    liars: Vec<u8>,
    /// Operators (1..=n) that stated another result.
    dissenting: Vec<u8>,
}

pub(super) fn verified(tree: &Tree, lot: Option<Lot>, verdict: Option<&Verdict>) -> Verified {
    let report = &tree.report;
    let odds = |all, proved| {
        let is_drawn = lot.is_some_and(|lot| !lot.chosen);
        if is_drawn { missed(all, proved) } else { Vec::new() }
    };
    let checked = |(origin, report): (Origin, &Report)| Checked {
        cohort: Cohort::from(&origin),
        members: report.members,
        contributions: report.contributions,
        proved: report.proved,
        missed: odds(report.contributions, report.proved),
    };
    let of_round = |summary: &RoundSummary| {
        let all = (summary.ballots + summary.withdrawals) as u64;
        Round { missed: odds(all, summary.proved), ..round(summary) }
    };
    Verified {
        verified: true,
        level: match report.level {
            Level::Full => "full",
            Level::Sums => "sums",
            Level::Light(_) => "light",
        },
        community: report.community.to_string(),
        name: report.name.clone(),
        height: report.height.0,
        tip: report.tip.to_string(),
        entries: report.entries,
        members: report.members,
        contributions: report.contributions,
        proved: report.proved,
        lot,
        missed: odds(report.contributions, report.proved),
        bytes: report.bytes,
        rounds: report.rounds.iter().map(of_round).collect(),
        checked: tree.checked().into_iter().map(checked).collect(),
        unchecked: tree.unchecked().iter().map(Cohort::from).collect(),
        convicted: report.convicted.iter().map(ToString::to_string).collect(),
        receipt: verdict.cloned(),
    }
}

/// What is said of each fraction that is more than one contribution, and of one.
fn missed(all: u64, proved: u64) -> Vec<Missed> {
    if all == 0 {
        return Vec::new();
    }
    let of =
        |bad: u64| Missed { fraction: bad as f64 / all as f64, bad, probability: chance_of_missing(all, bad, proved) };
    let several = FRACTIONS.into_iter().map(|fraction| (all as f64 * fraction).round() as u64).filter(|bad| *bad > 1);
    several.chain([1]).map(of).collect()
}

fn round(round: &RoundSummary) -> Round {
    let constitution = round.constitution.as_ref();
    Round {
        round: round.round.to_string(),
        poll: if let Topic::Poll { poll, .. } = &round.topic { Some(poll.to_string()) } else { None },
        series: if let Topic::Series { series, .. } = &round.topic { Some(series.to_string()) } else { None },
        title: match &round.topic {
            Topic::Poll { question: title, .. } | Topic::Series { name: title, .. } => title.clone(),
        },
        number: round.number,
        state: round.state.into(),
        ballots: round.ballots,
        withdrawals: round.withdrawals,
        proved: round.proved,
        missed: Vec::new(),
        result: round.result.as_ref().map(|result| result.result.to_string()),
        follows: round.result.as_ref().and_then(|result| result.follows).map(|id| id.to_string()),
        principles: constitution
            .map(|constitution| constitution.principles.iter().map(|principle| principle.text.clone()).collect())
            .unwrap_or_default(),
        liars: round.liars.iter().copied().collect(),
        dissenting: round.dissenting.iter().copied().collect(),
    }
}

pub(super) fn text(verified: &Verified) -> String {
    let mut lines = Lines::default();
    level(&mut lines, verified);
    lines.line("").field("community", &verified.community);
    lines.field("called", plain(&verified.name));
    lines.field("log", format!("height {}, {} entries", verified.height, verified.entries));
    lines.field("tip", &verified.tip);
    lines.field("members", verified.members);
    lines.field("proofs", proofs(verified.contributions, verified.proved));
    if let Some(receipt) = &verified.receipt {
        lines.line("").field("receipt", &receipt.says);
    }
    rounds(&mut lines, verified);
    for key in &verified.convicted {
        lines.line("").line(format!("Operator {key} has signed contradictions: the evidence is on the log."));
    }
    lines.finish()
}

/// What the level shows, and what not.
fn level(lines: &mut Lines, verified: &Verified) {
    match verified.level {
        "full" => {
            lines.line("Verified: every signature, proof and sum holds, and the results are those that follow.");
        }
        level => {
            lines.line(format!(
                "Verified at the level {level}: every signature and sum holds, and the results are those"
            ));
            lines.line("that follow from what was committed to.");
            lines.line("");
            lines.line("Not shown of the contributions whose proofs were not looked at: that a member made each, once, and that");
            lines.line("each is a valid ballot or delta. For that it trusts the operators who acknowledged them.");
        }
    }
    if !verified.unchecked.is_empty() {
        let cohorts = many(verified.unchecked.len() as u64, "cohort");
        lines.line("");
        lines.line(format!(
            "Not shown: what {cohorts} of divided rounds certified. Whose votes it sums up, and whether it does,"
        ));
        lines.line("stands on the word of their operators alone. --cohorts takes their bundles:");
        for cohort in &verified.unchecked {
            lines.line(format!("  {}.bundle", cohort.community));
        }
    }
    let Some(lot) = verified.lot else { return };
    lines.line("");
    if lot.chosen {
        lines.line(
            "The lot was chosen (--seed): whoever knew the number beforehand could put bad proofs where it does not",
        );
        lines.line("fall, so nothing is said of how likely they were missed.");
        return;
    }
    lines.line(format!("The lot: --seed {} draws it again.", lot.seed));
    if !verified.missed.is_empty() {
        lines.line("If so many of all contributions had bad proofs, this would not have noticed with probability");
    }
    for Missed { fraction, bad, probability } in &verified.missed {
        let percent = fraction * 100.0;
        lines.line(format!("  {percent:>7.3} %  {bad:>8}  {probability:.3e}"));
    }
}

/// How many proofs were looked at.
fn proofs(all: u64, proved: u64) -> String {
    let of = many(all, "contribution");
    if proved == all { format!("of {of}") } else { format!("of {proved} of {of}") }
}

/// Of how many bad ones it can be said that they were hardly missed.
fn odds(missed: &[Missed]) -> String {
    missed.first().map_or_else(String::new, |Missed { bad, probability, .. }| {
        format!("; {bad} bad would be missed with probability {probability:.3e}")
    })
}

fn rounds(lines: &mut Lines, verified: &Verified) {
    for round in &verified.rounds {
        let topic = round.poll.as_ref().or(round.series.as_ref()).map(short).unwrap_or_default();
        lines.line("").line(format!("{topic}  {}", plain(&round.title)));
        match &round.result {
            Some(result) => {
                let kind = if round.poll.is_some() { "ballot" } else { "delta" };
                lines.field("  result", format!("{} from {}", short(result), many(round.ballots, kind)))
            }
            None => lines.line("  not finished: what is not sealed yet cannot be checked"),
        };
        if verified.lot.is_some() {
            let all = (round.ballots + round.withdrawals) as u64;
            lines.field("  proofs", format!("{}{}", proofs(all, round.proved), odds(&round.missed)));
        }
        for principle in &round.principles {
            lines.line(format!("  - {}", plain(principle)));
        }
        for operator in &round.liars {
            lines.line(format!("  Operator {operator} sent a wrong share; it changed nothing."));
        }
        for operator in &round.dissenting {
            lines.line(format!("  Operator {operator} stated another result; it does not follow."));
        }
    }
    for Checked { cohort, contributions, proved, missed, .. } in &verified.checked {
        lines.line("").line(format!("cohort {} of round {}", cohort.number, short(&cohort.round)));
        lines.field("  community", &cohort.community);
        lines.field("  proofs", format!("{}{}", proofs(*contributions, *proved), odds(missed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lot_may_have_missed_is_told_down_to_one_contribution() {
        let told = |all, proved| missed(all, proved).iter().map(|it| it.bad).collect::<Vec<_>>();

        assert_eq!(told(20_000, 300), [2_000, 200, 20, 2, 1]);
        assert_eq!(told(500, 7), [50, 5, 1]);
        assert_eq!(told(4, 1), [1]);
        assert!(told(0, 0).is_empty());
        assert!((missed(4, 1)[0].probability - 0.75).abs() < 1e-12);
    }
}
