//! `chorus verify`: anybody checks everything, with the bundle alone.

use std::{fmt::Write as _, fs::File, io::BufReader, path::PathBuf};

use chorus_protocol::{
    audit::{self, Progress, Report, RoundSummary},
    ledger::RoundState,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, Global};

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

impl Verify {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let Level::Full = self.level;
        let file = File::open(&self.bundle).map_err(|source| Failure::File { path: self.bundle.clone(), source })?;
        let signs = global.output().waiting("reading the log");
        let report = audit::verify(&mut BufReader::new(file), &mut |progress| match progress {
            Progress::Log(height) => signs.say(format!("log: height {}", height.0)),
            Progress::Contributions { verified, of } => signs.say(format!("contributions: {verified} of {of}")),
            Progress::Round(_) => signs.say("openings and result".into()),
        })?;
        drop(signs);
        global.output().print(&json(&report), |_| text(&report))
    }
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "verified: {} ({})\n  log: {} entries, height {}, tip {}\n  members: {}, contributions: {}\n",
        report.name,
        report.community,
        report.entries,
        report.height.0,
        report.tip,
        report.members,
        report.contributions
    );
    for key in &report.convicted {
        let _ = writeln!(text, "  an operator contradicted itself: {key}");
    }
    for round in &report.rounds {
        let _ = write!(text, "{}", round_text(round));
    }
    text
}

fn round_text(round: &RoundSummary) -> String {
    let mut text = format!("\n{} (round {})\n", round.question, round.number);
    if round.state != RoundState::Finished {
        text.push_str("  not finished: nothing of it is verified yet\n");
        return text;
    }
    let _ = writeln!(text, "  ballots: {}, withdrawn: {}", round.ballots, round.withdrawals);
    if !round.liars.is_empty() || !round.dissenting.is_empty() {
        let _ = writeln!(text, "  operators that lied: {:?}", round.liars.union(&round.dissenting).collect::<Vec<_>>());
    }
    if let Some(map) = round.report.as_ref().and_then(|report| report.map()) {
        let _ = writeln!(text, "  opinion groups: {:?}", map.sizes());
    }
    for principle in round.constitution.iter().flat_map(|constitution| &constitution.principles) {
        let _ = writeln!(text, "  - {}", principle.text);
    }
    text
}

fn json(report: &Report) -> Value {
    let round = |round: &RoundSummary| {
        json!({
            "round": round.round,
            "poll": round.poll,
            "question": round.question,
            "number": round.number,
            "finished": round.state == RoundState::Finished,
            "ballots": round.ballots,
            "withdrawals": round.withdrawals,
            "groups": round.report.as_ref().and_then(|report| report.map()).map(|map| map.sizes()),
            "liars": round.liars,
            "dissenting": round.dissenting,
            "result": round.result.as_ref().map(|result| result.result),
            "constitution": round.constitution.as_ref().map(|constitution| {
                constitution.principles.iter().map(|principle| principle.text.clone()).collect::<Vec<_>>()
            }),
        })
    };
    json!({
        "verified": true,
        "community": report.community,
        "name": report.name,
        "height": report.height.0,
        "tip": report.tip,
        "entries": report.entries,
        "members": report.members,
        "contributions": report.contributions,
        "convicted": report.convicted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "bytes": report.bytes,
        "rounds": report.rounds.iter().map(round).collect::<Vec<_>>(),
    })
}
