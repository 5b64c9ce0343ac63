//! `chorus adapter weigh` and `chorus adapter assess`: what operators say about a round's adapters.

use std::time::Duration;

use chorus_protocol::adapter::minimax::{Search, Trial, minimax};
use clap::Args;

use super::{
    super::{
        Failure, Global,
        client::Client,
        output::{Lines, Output},
        values,
    },
    base::{Base, BaseArguments},
    evaluate::{Judge, Statements, scores},
    list, published,
};
use crate::{
    api::view::{self, AdapterStanding as Standing},
    model::{evaluate::Preference, lora::Lora, series},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Weigh {
    /// The series: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    /// Search for the weights with which the worst-off opinion group gains most, by the statements that people train on.
    #[arg(long, conflicts_with_all = ["weights", "per_person"])]
    minimax: bool,
    /// How many times the search changes the weights.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, requires = "minimax")]
    steps: u8,
    /// Every person weighs the same.
    #[arg(long, conflicts_with = "weights")]
    per_person: bool,
    /// The weight of a class, as in A=3; all classes need one.
    #[arg(long = "weight", value_name = "CLASS=NUMBER", value_parser = values::weight,
          required_unless_present_any = ["minimax", "per_person"])]
    weights: Vec<(String, u32)>,
    #[command(flatten)]
    base: BaseArguments,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

/// How boldly minimax changes the weights.
const RATE: f64 = 0.5;

/// How much the difference of verdicts counts beside their number: enough to tell ties apart.
const MARGIN: f64 = 0.01;

impl Weigh {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let found = published::get(&client, &self.series)?;
        let round = found.rounds.iter().rev().find(|round| round.standing == Standing::Unweighed);
        let round = round.ok_or(Failure::Closed("no round of this series waits for weights"))?;
        let weights = if self.minimax {
            let trial = self.search(global, &client, &found, round)?;
            round.classes.iter().map(|class| class.name.clone()).zip(trial.weights).collect()
        } else if self.per_person {
            round.classes.iter().map(|class| (class.name.clone(), class.contributions)).collect()
        } else {
            self.weights
        };
        let asked = view::WeighClasses { weights, wait_seconds: Some(self.wait.as_secs()) };
        let waiting = output.waiting("waiting for the log");
        let series: view::Series = client.post(&format!("/adapters/{}/weigh", found.id), &asked, self.wait)?;
        drop(waiting);
        print(output, &series)
    }

    /// Searches for weights with which the worst-off group gains most.
    fn search(
        &self,
        global: &Global,
        client: &Client,
        series: &view::Series,
        round: &view::AdapterRound,
    ) -> anyhow::Result<Trial> {
        let manifest = &series.manifest;
        if round.groups_of.is_none() || round.groups_of != manifest.gate.map(|gate| gate.round) {
            return Err(Failure::Usage(
                "--minimax needs a series with a gate, and a round whose classes are the opinion groups of the gate's round \
                 (`chorus adapter open … --by-groups-of`): else nothing says how a class fares"
                    .into(),
            )
            .into());
        }
        let questions: view::GateQuestions = client.get(&format!("/adapters/{}/evaluation", series.id))?;
        let mut classes = Vec::new();
        for class in &round.classes {
            let variant = round.variants.iter().find(|variant| variant.name == class.name);
            let variant = variant.ok_or_else(|| Failure::Usage("there is a single class: nothing to weigh".into()))?;
            classes.push(published::values(client, series, variant.adapter)?);
        }
        let base = self.base.open(global, manifest)?;
        let judge = Judge::new(&base, &questions, Statements::Trained)?;
        let mut lora = start(client, series, round, &base)?;
        let bar = global.output().counted("weighing", usize::from(self.steps) + 3);
        let reference = judge.preferences(Some(&lora))?;
        let people: Vec<u32> = round.classes.iter().map(|class| class.contributions).collect();
        let mut done = 1;
        let trial =
            minimax(&people, Search { steps: self.steps.into(), rate: RATE }, |weights| -> anyhow::Result<_> {
                done += 1;
                bar.of(done, u64::from(self.steps) + 3);
                let values = combined(&classes, weights);
                lora = series::lora(manifest, &base.model.checkpoint.config, Some(&values))?;
                let candidate = judge.preferences(Some(&lora))?;
                let gain = |class: &view::AdapterClass| {
                    let group = usize::from(class.number).checked_sub(1)?;
                    Some(gain(candidate.get(group)?, reference.get(group)?))
                };
                Ok(round.classes.iter().map(gain).collect())
            })?;
        Ok(trial.ok_or_else(|| Failure::Usage("nobody contributed: nothing to weigh".into()))?)
    }
}

/// By how much a group's share of preferred statements grows; where it does not, how much clearer the verdicts are.
fn gain(candidate: &Preference, reference: &Preference) -> f64 {
    let margin = |it: &Preference| it.should.margin + it.should_not.margin;
    let all = (candidate.should.of + candidate.should_not.of).max(1);
    let clearer = (margin(candidate) - margin(reference)) / all as f64;
    candidate.share() - reference.share() + MARGIN * clearer / (1.0 + clearer.abs())
}

/// Returns the adapter with such weights of the classes: each class's adapter is a step from the same start.
fn combined(classes: &[Vec<f32>], weights: &[u32]) -> Vec<f32> {
    let all: f64 = weights.iter().copied().map(f64::from).sum();
    let mut sum = vec![0.0; classes.first().map_or(0, Vec::len)];
    for (class, weight) in classes.iter().zip(weights) {
        let share = f64::from(*weight) / all.max(1.0);
        sum.iter_mut().zip(class).for_each(|(sum, value)| *sum += share * f64::from(*value));
    }
    sum.into_iter().map(|value| value as f32).collect()
}

/// Returns the adapter that a round started from; with zeros at the beginning of a run.
fn start(client: &Client, series: &view::Series, round: &view::AdapterRound, base: &Base) -> anyhow::Result<Lora> {
    let values = round.start.map(|start| published::values(client, series, start)).transpose()?;
    Ok(series::lora(&series.manifest, &base.model.checkpoint.config, values.as_deref())?)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Assess {
    /// The series: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    #[command(flatten)]
    base: BaseArguments,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

impl Assess {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let found = published::get(&client, &self.series)?;
        if found.manifest.gate.is_none() {
            return Err(Failure::Closed("this series has no gate: every adapter is adopted").into());
        }
        let round = found.rounds.iter().rev().find(|round| round.adapter.is_some());
        let (round, adapter) = round
            .and_then(|round| Some((round, round.adapter?)))
            .ok_or(Failure::Closed("no round of this series has led to an adapter yet"))?;
        let questions: view::GateQuestions = client.get(&format!("/adapters/{}/evaluation", found.id))?;
        let base = self.base.open(global, &found.manifest)?;
        let judge = Judge::new(&base, &questions, Statements::HeldOut)?;
        let values = published::values(&client, &found, adapter)?;
        let candidate = series::lora(&found.manifest, &base.model.checkpoint.config, Some(&values))?;
        let replaced = round.replaces.map(|replaced| published::values(&client, &found, replaced)).transpose()?;
        let reference = series::lora(&found.manifest, &base.model.checkpoint.config, replaced.as_deref())?;
        let waiting = output.waiting("asking the model");
        let groups = scores(&judge.preferences(Some(&candidate))?, &judge.preferences(Some(&reference))?);
        waiting.say("waiting for the log");
        let asked = view::Assess { adapter, groups, wait_seconds: Some(self.wait.as_secs()) };
        let series: view::Series = client.post(&format!("/adapters/{}/assess", found.id), &asked, self.wait)?;
        drop(waiting);
        print(output, &series)
    }
}

fn print(output: Output, series: &view::Series) -> anyhow::Result<()> {
    output.print(series, |series| {
        let mut lines = Lines::default();
        list::describe(&mut lines, series);
        lines.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evaluate::Accuracy;

    #[test]
    fn weights_mix_adapters_and_equal_ones_give_the_mean() {
        let classes = [vec![1.0, 0.0], vec![0.0, 2.0]];

        assert_eq!(combined(&classes, &[1, 1]), [0.5, 1.0]);
        assert_eq!(combined(&classes, &[3, 1]), [0.75, 0.5]);
    }

    #[test]
    fn a_statement_more_counts_more_than_any_clearness() {
        let preference = |right: f64, margin: f64| Preference {
            should: Accuracy { right, of: 10, margin },
            should_not: Accuracy { right: 5.0, of: 10, margin: 0.0 },
        };

        let base = preference(5.0, 0.0);
        assert_eq!(gain(&base, &base), 0.0);
        assert!(gain(&preference(6.0, -1e9), &base) > gain(&preference(5.0, 1e9), &base));
        assert!(gain(&preference(5.0, 2.0), &base) > gain(&preference(5.0, 1.0), &base));
    }
}
