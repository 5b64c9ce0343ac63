//! What happened, for people and for programs.

use std::{fmt, time::Duration};

use chorus_protocol::{
    config::Genesis,
    deliberation::{
        constitution::Principle,
        tally::{Tally, Vote},
    },
    round::report::RoundReport,
};
use serde_json::{Value, json};

use super::{Shape, attacks::Attempt, play::Outcome, population::Population};

/// Characters of a line of text.
const WIDTH: usize = 100;

/// What each party learnt; see the README on what is promised.
const LEARNT: [(&str, &str); 6] = [
    ("everybody", "how many agree, disagree and pass, for each statement and each opinion group"),
    ("everybody", "of each ballot on the map a blurred point, some ten bits; not whose it is"),
    ("everybody", "who is a member and which attesters said so; not who voted"),
    ("one operator", "no more than everybody: it holds some of the masks of a ballot, never all"),
    ("more than f operators", "together they could have opened ballots, until they erased their keys"),
    ("a watcher of the wires", "which node sent something of which length, and when"),
];

/// What happened in a demonstration.
#[derive(Debug)]
pub struct Summary {
    name: String,
    purpose: String,
    question: String,
    shape: Shape,
    faulty: u8,
    bar: (u32, u32),
    people: usize,
    items: Vec<String>,
    outcome: Outcome,
    times: Vec<(&'static str, Duration)>,
}

impl Summary {
    pub(super) fn new(
        genesis: &Genesis,
        shape: Shape,
        population: &Population,
        outcome: Outcome,
        times: Vec<(&'static str, Duration)>,
    ) -> Self {
        Self {
            name: genesis.name.clone(),
            purpose: genesis.purpose.clone(),
            question: population.question.clone(),
            shape,
            faulty: genesis.sharing().faulty(),
            bar: (genesis.policy.bar_numerator, genesis.policy.bar_denominator),
            people: population.ballots.len(),
            items: population.items.clone(),
            outcome,
            times,
        }
    }

    /// Returns whether the audit bundle verified.
    pub fn is_verified(&self) -> bool {
        self.outcome.checked.verified
    }

    /// Returns everything as JSON.
    pub fn to_json(&self) -> Value {
        let outcome = &self.outcome;
        let report = &outcome.report;
        json!({
            "community": report.community.to_string(),
            "name": self.name,
            "question": self.question,
            "people": self.people,
            "operators": self.shape.operators,
            "faulty_tolerated": self.faulty,
            "nodes": self.shape.nodes,
            "items": self.items.len(),
            "ballots": report.ballots,
            "height": outcome.height,
            "ballot_bytes": outcome.ballot_bytes.0,
            "ballot_public_bytes": outcome.ballot_bytes.1,
            "result": outcome.result.result.to_string(),
            "constitution": outcome.result.follows.map(|id| id.to_string()),
            "secrets_erased_by": outcome.erased,
            "voting_seconds": outcome.voting.as_secs(),
            "seconds": self.times.iter().map(|(name, time)| ((*name).to_owned(), time.as_secs_f64().into()))
                .collect::<serde_json::Map<_, Value>>(),
            "groups": groups(report),
            "explained": explained(report),
            "principles": self.principles().iter().map(principle_json).collect::<Vec<_>>(),
            "attacks": outcome.attacks.iter().map(attempt_json).collect::<Vec<_>>(),
            "bundle_bytes": outcome.checked.bytes,
            "verified": self.is_verified(),
        })
    }

    fn principles(&self) -> &[Principle] {
        self.outcome.constitution.as_ref().map_or(&[], |constitution| &constitution.principles)
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outcome, shape) = (&self.outcome, self.shape);
        let followers = shape.nodes - shape.operators;
        writeln!(f, "{}", self.name)?;
        writeln!(f, "{}", self.purpose)?;
        writeln!(f, "\n  “{}”\n", self.question)?;
        line(f, "people", &format!("{}, each with keys of their own", self.people))?;
        let operators = format!(
            "{} operators, of which {} may lie or fail, and {followers} nodes that the people share",
            shape.operators, self.faulty
        );
        line(f, "nodes", &operators)?;
        let (sent, public) = outcome.ballot_bytes;
        let ballots = outcome.report.ballots;
        line(f, "ballots", &format!("{ballots} on {} statements", self.items.len()))?;
        line(f, "one ballot", &format!("{sent} bytes to each operator, of which {public} are public"))?;
        line(f, "log", &format!("{} batches, agreed on by the operators", outcome.height))?;
        line(f, "result", &format!("{}", outcome.result.result))?;
        if let Some(constitution) = outcome.result.follows {
            line(f, "constitution", &constitution.to_string())?;
        }
        line(f, "agreement", &format!("all {} nodes computed this result, byte for byte", shape.nodes))?;
        line(
            f,
            "erased",
            &format!("{} of {} operators have erased the round's secrets", outcome.erased, shape.operators),
        )
    }

    fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nTime")?;
        for (name, time) in &self.times {
            writeln!(f, "  {name:<14}{:>7.1} s", time.as_secs_f64())?;
        }
        let total: Duration = self.times.iter().map(|(_, time)| *time).sum();
        writeln!(
            f,
            "  {:<14}{:>7.1} s, of which votes were taken for {} s",
            "all",
            total.as_secs_f64(),
            self.outcome.voting.as_secs()
        )
    }

    fn write_groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.outcome.report;
        let Some(map) = report.map() else {
            return writeln!(f, "\nNo opinion map: too few ballots, or too few statements. Totals only.");
        };
        let percent = explained(report).iter().map(|part| format!("{:.0} %", 100.0 * part)).collect::<Vec<_>>();
        writeln!(f, "\nOpinion groups (the map shows {} of the variance)", percent.join(" + "))?;
        for (group, size) in map.sizes().into_iter().enumerate() {
            writeln!(f, "  {}  {size:>5} ballots", letter(group))?;
        }
        Ok(())
    }

    fn write_principles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principles = self.principles();
        let (numerator, denominator) = self.bar;
        let (passed, all) = (principles.len(), self.items.len());
        writeln!(f, "\nWhat every group supports: {passed} of {all} statements reach {numerator}/{denominator}")?;
        let Some(groups) = principles.first().map(|principle| principle.groups.len()) else { return Ok(()) };
        let head: String = (0..groups).map(|group| format!("{:>5}", letter(group))).collect();
        writeln!(f, "{head}")?;
        for principle in principles {
            let shares: String =
                principle.groups.iter().map(|tally| format!("{:>4.0}%", 100.0 * share(tally))).collect();
            wrapped(f, &format!("{shares}  "), &principle.text)?;
        }
        Ok(())
    }

    fn write_attacks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nAttacks that were tried")?;
        self.outcome.attacks.iter().try_for_each(|attempt| {
            wrapped(f, "  ", attempt.what)?;
            wrapped(f, "      refused: ", &attempt.outcome)
        })
    }

    fn write_learnt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWho learnt what")?;
        LEARNT.iter().try_for_each(|(who, what)| wrapped(f, &format!("  {who:<24}"), what))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_times(f)?;
        self.write_groups(f)?;
        self.write_principles(f)?;
        self.write_attacks(f)?;
        self.write_learnt(f)?;
        let checked = &self.outcome.checked;
        let verdict = if checked.verified { "Verified" } else { "NOT VERIFIED" };
        writeln!(f, "\n{verdict}: a bundle of {} bytes", checked.bytes)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, what: &str) -> fmt::Result {
    writeln!(f, "{name:<14}{what}")
}

/// Writes a text after a head, in lines of bounded length that begin where the first one does.
fn wrapped(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let indent = head.chars().count();
    let mut line = head.to_owned();
    for word in text.split_whitespace() {
        let is_empty = line.trim_end().chars().count() <= indent && line.ends_with(' ');
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line = " ".repeat(indent);
        } else if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(f, "{line}")
}

fn letter(group: usize) -> char {
    ('A'..='Z').nth(group).unwrap_or('?')
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn share(tally: &Tally) -> f64 {
    tally.count(Vote::Agree) as f64 / (tally.seen().max(1)) as f64
}

fn groups(report: &RoundReport) -> Vec<usize> {
    report.map().map_or_else(Vec::new, chorus_protocol::round::report::MapReport::sizes)
}

fn explained(report: &RoundReport) -> Vec<f64> {
    report.map().map_or_else(Vec::new, |map| map.explained.iter().map(|part| part.approximate()).collect())
}

fn attempt_json(attempt: &Attempt) -> Value {
    json!({ "tried": attempt.what, "outcome": attempt.outcome })
}

fn principle_json(principle: &Principle) -> Value {
    let tally = |tally: &Tally| json!({ "agree": tally.count(Vote::Agree), "disagree": tally.count(Vote::Disagree), "pass": tally.count(Vote::Pass) });
    json!({
        "item": principle.item,
        "text": principle.text,
        "groups": principle.groups.iter().map(tally).collect::<Vec<_>>(),
    })
}
