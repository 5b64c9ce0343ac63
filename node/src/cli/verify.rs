//! `chorus verify`: anybody checks everything, with the bundle alone.

use std::{fs::File, path::PathBuf};

use chorus_protocol::audit::{self, Progress, Report, RoundSummary, Topic};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    Failure, Global,
    output::{Lines, many, short},
};
use crate::api::view::RoundState;

/// How much is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Level {
    /// Everything: log, registry, every proof, every sum, the result.
    Full,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The audit bundle, as `chorus export` wrote it.
    bundle: PathBuf,
    /// How much to check.
    #[arg(long, default_value = "full")]
    level: Level,
}

#[derive(Serialize)]
struct Verified {
    verified: bool,
    community: String,
    name: String,
    height: u64,
    tip: String,
    entries: u64,
    members: usize,
    contributions: u64,
    bytes: u64,
    rounds: Vec<Round>,
    convicted: Vec<String>,
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
    result: Option<String>,
    /// The constitution or the adapter that follows.
    follows: Option<String>,
    principles: Vec<String>,
    /// Operators (1..=n) whose share of a multiplication was wrong.
    liars: Vec<u8>,
    /// Operators (1..=n) that stated another result.
    dissenting: Vec<u8>,
}

impl Verify {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let Level::Full = self.level;
        let refused = |source| Failure::File { path: self.bundle.clone(), source };
        let mut file = File::open(&self.bundle).map_err(refused)?;
        let waiting = global.output().waiting("checking the log");
        let report = audit::verify(&mut file, &mut |progress| match progress {
            Progress::Log(height) => waiting.say(format!("checking the log: height {}", height.0)),
            Progress::Contributions { verified, of } => waiting.say(format!("checking proofs: {verified} of {of}")),
            Progress::Round(round) => waiting.say(format!("checking results: round {} holds", short(&round))),
        })?;
        drop(waiting);
        global.output().print(&verified(&report), text)
    }
}

fn verified(report: &Report) -> Verified {
    Verified {
        verified: true,
        community: report.community.to_string(),
        name: report.name.clone(),
        height: report.height.0,
        tip: report.tip.to_string(),
        entries: report.entries,
        members: report.members,
        contributions: report.contributions,
        bytes: report.bytes,
        rounds: report.rounds.iter().map(round).collect(),
        convicted: report.convicted.iter().map(ToString::to_string).collect(),
    }
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
        result: round.result.as_ref().map(|result| result.result.to_string()),
        follows: round.result.as_ref().and_then(|result| result.follows).map(|id| id.to_string()),
        principles: constitution
            .map(|constitution| constitution.principles.iter().map(|principle| principle.text.clone()).collect())
            .unwrap_or_default(),
        liars: round.liars.iter().copied().collect(),
        dissenting: round.dissenting.iter().copied().collect(),
    }
}

fn text(verified: &Verified) -> String {
    let mut lines = Lines::default();
    lines.line("Verified: every signature, proof and sum holds, and the results are those that follow.");
    lines.line("").field("community", format!("{}  ({})", verified.name, short(&verified.community)));
    lines.field(
        "log",
        format!("height {}, {} entries, tip {}", verified.height, verified.entries, short(&verified.tip)),
    );
    lines.field("members", verified.members);
    lines.field("proofs", format!("of {}", many(verified.contributions, "contribution")));
    for round in &verified.rounds {
        let topic = round.poll.as_ref().or(round.series.as_ref()).map(short).unwrap_or_default();
        lines.line("").line(format!("{topic}  {}", round.title));
        match (&round.result, round.state) {
            (Some(result), _) => lines.field(
                "  result",
                format!(
                    "{} from {}",
                    short(result),
                    many(round.ballots, if round.poll.is_some() { "ballot" } else { "delta" })
                ),
            ),
            (None, _) => lines.line("  not finished: what is not sealed yet cannot be checked"),
        };
        for principle in &round.principles {
            lines.line(format!("  - {principle}"));
        }
        for operator in &round.liars {
            lines.line(format!("  Operator {operator} sent a wrong share; it changed nothing."));
        }
        for operator in &round.dissenting {
            lines.line(format!("  Operator {operator} stated another result; it does not follow."));
        }
    }
    for key in &verified.convicted {
        lines.line("").line(format!("Operator {key} has signed contradictions: the evidence is on the log."));
    }
    lines.finish()
}
