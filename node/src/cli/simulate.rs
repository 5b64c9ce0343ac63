//! `chorus simulate`: communities of any size, over a virtual network.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::ensure;
use clap::Args;

use super::{Failure, Global, output::many};
use crate::simulation::{self, COHORT, Links, Measured, Options};

#[derive(Args, Debug)]
pub(super) struct Simulate {
    /// People who contribute.
    #[arg(long, value_name = "NUMBER", default_value_t = Options::default().participants)]
    participants: usize,
    /// Operators of each cohort: 1, 4, 5, 6 or 7.
    #[arg(long, value_name = "NUMBER", default_value_t = Options::default().operators)]
    operators: usize,
    /// Items of the poll.
    #[arg(long, value_name = "NUMBER", default_value_t = Options::default().items)]
    items: usize,
    /// Participants of a cohort at most: more are dealt to several, whose sums are added up in a tree.
    #[arg(long, value_name = "NUMBER", default_value_t = COHORT)]
    cohort: usize,
    /// Whether every proof is made and verified; else each costs as long as one took in a rehearsal. By default up to 200
    /// participants.
    #[arg(long, value_name = "BOOL")]
    real: Option<bool>,
    /// What contributions cost, instead of measuring it: a report of an earlier run in JSON. With it a run is repeated exactly.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Least latency of links, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = Links::default().latency)]
    latency: u64,
    /// Random addition to it.
    #[arg(long, value_name = "MS", default_value_t = Links::default().jitter)]
    jitter: u64,
    /// Messages lost, in thousandths.
    #[arg(long, value_name = "PART", default_value_t = Links::default().loss)]
    loss: u32,
    /// What an operator's line carries, in kilobits a second.
    #[arg(long, value_name = "KBIT", default_value_t = Links::default().operator_rate)]
    operator_rate: u64,
    /// What a participant's line carries, in kilobits a second.
    #[arg(long, value_name = "KBIT", default_value_t = Links::default().participant_rate)]
    participant_rate: u64,
    /// Participants, in thousandths, who are offline when a contribution is to pass them, and who leave for ever once they have
    /// sent theirs.
    #[arg(long, value_name = "PART", default_value_t = Options::default().churn)]
    churn: u32,
    /// Participants, in thousandths, who send proofs that do not hold, two contributions for one, or floods.
    #[arg(long, value_name = "PART", default_value_t = 0)]
    adversaries: u32,
    /// Operators of each cohort that fall silent in the middle of its round.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    down: usize,
    /// Operators of each cohort that sign acknowledgements wrongly and open wrong sums.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lying: usize,
}

impl Simulate {
    fn options(&self, global: &Global) -> Options {
        Options {
            participants: self.participants,
            operators: self.operators,
            seed: global.seed.unwrap_or(Options::default().seed),
            items: self.items,
            cohort: self.cohort,
            real: self.real,
            links: Links {
                latency: self.latency,
                jitter: self.jitter,
                loss: self.loss,
                operator_rate: self.operator_rate,
                participant_rate: self.participant_rate,
            },
            churn: self.churn,
            adversaries: self.adversaries,
            down: self.down,
            lying: self.lying,
        }
    }

    /// Simulates and reports.
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let options = self.options(global);
        options.check().map_err(|error| Failure::Usage(error.to_string()))?;
        let costs = self.costs.as_deref().map(read).transpose()?;
        let progress = global.output().counted("simulating", options.cohorts());
        let done = AtomicU64::new(0);
        let total = options.cohorts() as u64;
        let told = || progress.of(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        let report = simulation::run(&options, costs, told)?;
        drop(progress);
        global.output().print(&report, ToString::to_string)?;
        ensure!(report.right && report.alarms.is_empty(), "what was simulated is wrong: the report tells");
        if report.failed == 0 { Ok(()) } else { Err(Failure::Simulated(many(report.failed, "round")).into()) }
    }
}

/// Reads what contributions cost from a report.
fn read(path: &std::path::Path) -> anyhow::Result<Measured> {
    let file = |source: std::io::Error| Failure::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(file)?;
    Ok(serde_json::from_str(&text).map_err(|error| file(error.into()))?)
}
