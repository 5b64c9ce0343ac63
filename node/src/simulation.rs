//! A community of any size on one machine: the operators are real, the network and the clock are not.
//!
//! Every operator is a [`Peer`](chorus_protocol::peer::Peer) with its own log, consensus, ledger, openings and result, exactly
//! as in a node; links lose, delay and carry bytes at a rate, by a seed. Participants are light: each makes a contribution,
//! sends it along a stem of other participants, sends it again while it is not on the log, and may go offline for ever. Above
//! a size their proofs are those of somebody else ([stand-ins](chorus_protocol::contribution::Template)), and whether they hold is
//! answered where a node verifies, on [`Effect::Verify`](chorus_protocol::peer::Effect::Verify): the time that it takes was
//! [measured](costs) with real ones, and is charged on the virtual clock. All else is done: commitments, masks, sealed seeds,
//! links, acknowledgements, entries, sums, and the check of the opened sums against the commitments.
//!
//! More people than one round takes are dealt to *cohorts*, each with operators and a round of its own. Its log begins with its
//! members, as a cohort's does; what it certifies is checked as a parent checks it, and added up in a tree. The tree is the
//! simulation's own: one community's registry holds [`MAX_MEMBERS`](chorus_protocol::limits::MAX_MEMBERS) people.
//!
//! What is not played: that participants follow the log. They know at once what is on it; the bytes that this takes are
//! [counted](following) once the log is known.
//!
//! The same options, seed and costs give the same [`Report`], byte for byte.

mod adversary;
mod cohort;
pub mod costs;
mod crowd;
pub mod following;
mod network;
pub mod report;
mod table;
mod tree;
mod world;

use anyhow::ensure;
use chorus_crypto::{mask::Committee, sign::remembering};
use chorus_protocol::limits;
use rayon::prelude::*;

use self::{cohort::Outcome, costs::Rehearsal};
pub use self::{
    costs::{Costs, Measured},
    report::Report,
};

/// Up to how many participants everything is real unless told otherwise.
pub const REAL_UP_TO: usize = 200;

/// How many participants a cohort has at most unless told otherwise: the time that an operator's state machine takes for one
/// contribution grows with the number of them.
pub const COHORT: usize = 2_000;

/// What to simulate.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Options {
    /// People who contribute.
    pub participants: usize,
    /// Operators of each cohort.
    pub operators: usize,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// Items of the poll.
    pub items: usize,
    /// Participants of a cohort at most.
    pub cohort: usize,
    /// Whether proofs are real; by default up to [`REAL_UP_TO`] participants.
    pub real: Option<bool>,
    /// How links behave.
    pub links: Links,
    /// Participants, in thousandths, who are offline when a stem is to pass them, and who leave right after they have sent
    /// their contribution once.
    pub churn: u32,
    /// Participants, in thousandths, who send what does not hold, two contributions for one, or floods: a third each.
    pub adversaries: u32,
    /// Operators of each cohort that fall silent in the middle of the round.
    pub down: usize,
    /// Operators of each cohort that acknowledge with signatures of nothing and open other sums.
    pub lying: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            participants: 2_000,
            operators: 5,
            seed: 1,
            items: 8,
            cohort: COHORT,
            real: None,
            links: Links::default(),
            churn: 20,
            adversaries: 0,
            down: 0,
            lying: 0,
        }
    }
}

/// How links behave.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Links {
    /// Least latency, in milliseconds.
    pub latency: u64,
    /// Random addition to it.
    pub jitter: u64,
    /// Messages lost, in thousandths.
    pub loss: u32,
    /// What an operator's line carries, in kilobits a second.
    pub operator_rate: u64,
    /// What a participant's line carries.
    pub participant_rate: u64,
}

impl Default for Links {
    fn default() -> Self {
        Self { latency: 20, jitter: 40, loss: 5, operator_rate: 100_000, participant_rate: 2_000 }
    }
}

impl Options {
    /// Checks that the options do not contradict themselves.
    ///
    /// # Errors
    ///
    /// Returns what does not fit together.
    pub fn check(&self) -> anyhow::Result<()> {
        let operators = u8::try_from(self.operators).ok().map(Committee::new);
        ensure!(matches!(operators, Some(Ok(_))), "a cohort has 1, 4, 5, 6 or 7 operators");
        ensure!(self.participants > 0, "at least one participant is needed");
        ensure!(
            (1..=limits::MAX_MEMBERS).contains(&self.cohort),
            "a cohort has 1 to {} participants",
            limits::MAX_MEMBERS
        );
        ensure!((1..=limits::MAX_ITEMS).contains(&self.items), "a poll has 1 to {} items", limits::MAX_ITEMS);
        ensure!(self.cohorts() <= usize::from(u16::MAX), "at most {} cohorts are numbered", u16::MAX);
        let parts = [("churn", self.churn), ("adversaries", self.adversaries), ("loss", self.links.loss)];
        for (what, part) in parts {
            ensure!(part <= 1_000, "{what} is a part of 1,000");
        }
        ensure!(self.links.operator_rate > 0 && self.links.participant_rate > 0, "lines carry something");
        ensure!(self.down + self.lying < self.operators, "at least one operator does its work");
        Ok(())
    }

    /// Returns how many cohorts there are.
    pub const fn cohorts(&self) -> usize {
        self.participants.div_ceil(self.cohort)
    }

    /// Returns how many participants a cohort has: sizes differ by one at most.
    fn members(&self, number: usize) -> usize {
        let cohorts = self.cohorts();
        self.participants / cohorts + usize::from(number < self.participants % cohorts)
    }

    /// Returns whether all proofs are real.
    pub fn is_real(&self) -> bool {
        self.real.unwrap_or(self.participants <= REAL_UP_TO)
    }
}

/// Simulates. What contributions cost is measured on this machine unless it is given; `told` hears of each cohort that has
/// come to its end.
///
/// # Errors
///
/// Returns an error if the options contradict themselves. A round that does not come to its end is no error: the report tells.
pub fn run(options: &Options, given: Option<Measured>, told: impl Fn() + Sync) -> anyhow::Result<Report> {
    options.check()?;
    let Rehearsal { measured, template } = Rehearsal::play(options, given)?;
    let outcomes: Vec<Outcome> = (0..options.cohorts())
        .into_par_iter()
        .with_max_len(1)
        .map(|number| {
            let outcome = remembering(|| cohort::play(options, number, &measured.costs, &template));
            told();
            outcome
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Report::new(options, measured, &outcomes))
}

#[cfg(test)]
mod tests;
