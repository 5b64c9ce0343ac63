//! `chorus adapter eval`, and what asking a model for verdicts has in common elsewhere.

use std::path::PathBuf;

use chorus_protocol::adapter::entry::GroupScore;
use clap::Args;
use serde::Serialize;

use super::{
    super::{Failure, Global, client::Client, output::Lines, values},
    base::{Base, BaseArguments},
    contribute::open_round,
    own::Own,
    published::{self, Published},
};
use crate::{
    api::view,
    model::{
        evaluate::{Accuracy, Evaluation, Pair, Preference},
        lesson::{Opinion, Teacher},
        lora::Lora,
        peft::Adapter,
        series,
    },
};

/// Which statements are asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Statements {
    /// Those that nobody trains on.
    HeldOut,
    /// Those that people train on.
    Trained,
}

/// The questions of a gate, for one model.
pub(super) struct Judge<'a> {
    base: &'a Base,
    /// The groups' names and pairs.
    groups: Vec<(String, Vec<Pair>)>,
    /// Positions whose statements cannot be negated.
    pub(super) without_negation: usize,
}

impl<'a> Judge<'a> {
    pub(super) fn new(base: &'a Base, questions: &view::GateQuestions, which: Statements) -> anyhow::Result<Self> {
        let teacher = Teacher::new(&base.model.dialogue)?;
        let (mut groups, mut without_negation) = (Vec::new(), 0);
        for group in &questions.groups {
            let mut pairs = Vec::new();
            let held_out = which == Statements::HeldOut;
            for position in group.positions.iter().filter(|position| position.held_out == held_out) {
                let opinion = Opinion { text: position.text.clone(), agrees: position.agrees };
                match teacher.pair(&opinion)? {
                    Some(pair) => pairs.push(pair),
                    None => without_negation += 1,
                }
            }
            groups.push((group.name.clone(), pairs));
        }
        if groups.iter().all(|(_, pairs)| pairs.is_empty()) {
            return Err(
                Failure::Usage("there is no statement to ask about: no group takes a side on one".into()).into()
            );
        }
        Ok(Self { base, groups, without_negation })
    }

    /// Returns what a model prefers, for each group.
    pub(super) fn preferences(&self, lora: Option<&Lora>) -> anyhow::Result<Vec<Preference>> {
        let evaluation = Evaluation { llama: &self.base.llama, lora, replicas: self.base.replicas };
        self.groups.iter().map(|(_, pairs)| Ok(evaluation.preference(pairs)?)).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|(name, _)| name.as_str())
    }
}

/// Returns a share in ten thousandths.
pub(super) fn in_ten_thousandths(preference: &Preference) -> u16 {
    (preference.share() * 10_000.0).round() as u16
}

/// Returns the scores of an assessment.
pub(super) fn scores(candidate: &[Preference], reference: &[Preference]) -> Vec<GroupScore> {
    let score = |(candidate, reference)| GroupScore {
        candidate: in_ten_thousandths(candidate),
        reference: in_ten_thousandths(reference),
    };
    candidate.iter().zip(reference).map(score).collect()
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Eval {
    /// The series, whose gate says what is asked: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    #[command(flatten)]
    base: BaseArguments,
    /// An adapter in PEFT's format [default: the community's that is in use].
    #[arg(long, value_name = "DIR", conflicts_with_all = ["variant", "own"])]
    adapter: Option<PathBuf>,
    /// One of a round's adapters: person, class, planned, weighed, or the name of a class.
    #[arg(long, value_name = "NAME", conflicts_with = "own")]
    variant: Option<String>,
    /// Your own adapter, which you have trained for the round that is open.
    #[arg(long)]
    own: bool,
    /// Ask about the statements that people train on, instead of those that are held out.
    #[arg(long)]
    trained: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Evaluated {
    /// What was evaluated.
    adapter: String,
    /// Whether the statements are held out of everybody's training.
    held_out: bool,
    groups: Vec<Group>,
    /// Positions that could not be asked about.
    without_negation: usize,
}

/// The shares of preferred statements of a group, from 0 to 1.
#[derive(Debug, Serialize)]
struct Group {
    name: String,
    /// The statements that were asked about.
    statements: usize,
    /// Without an adapter.
    base: Halves,
    /// With it.
    adapter: Halves,
}

/// Shares of all statements, and of those that say what should be and what should not be.
#[derive(Debug, Serialize)]
struct Halves {
    all: f64,
    should: Option<f64>,
    should_not: Option<f64>,
}

impl From<&Preference> for Halves {
    fn from(preference: &Preference) -> Self {
        let half = |half: &Accuracy| (half.of > 0).then(|| half.share());
        Self { all: preference.share(), should: half(&preference.should), should_not: half(&preference.should_not) }
    }
}

impl Eval {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let series = published::get(&client, &self.series)?;
        let manifest = &series.manifest;
        let questions: view::GateQuestions = client.get(&format!("/adapters/{}/evaluation", series.id))?;
        let (name, adapter) = self.adapter(global, &client, &series)?;
        let base = self.base.open(global, manifest)?;
        let lora = Lora::from_adapter(&base.model.checkpoint.config, &adapter)?;
        let which = if self.trained { Statements::Trained } else { Statements::HeldOut };
        let judge = Judge::new(&base, &questions, which)?;
        let waiting = global.output().waiting("asking the model");
        let (before, after) = (judge.preferences(None)?, judge.preferences(Some(&lora))?);
        drop(waiting);
        let groups = judge.names().zip(before.iter().zip(&after)).map(|(name, (before, after))| Group {
            name: name.to_owned(),
            statements: before.should.of + before.should_not.of,
            base: before.into(),
            adapter: after.into(),
        });
        let (groups, held_out) = (groups.collect(), which == Statements::HeldOut);
        let answer = Evaluated { adapter: name, held_out, groups, without_negation: judge.without_negation };
        global.output().print(&answer, text)
    }

    fn adapter(&self, global: &Global, client: &Client, series: &view::Series) -> anyhow::Result<(String, Adapter)> {
        if let Some(folder) = &self.adapter {
            return Ok((folder.display().to_string(), Adapter::read(folder)?));
        }
        if self.own {
            let round = open_round(series)?;
            let own = Own::of(global, series.id, round.round.id)?.delta()?;
            let mut own =
                own.ok_or_else(|| Failure::Usage("you have no adapter yet: `chorus adapter train`".into()))?;
            if let Some(start) = round.start {
                let start = published::values(client, series, start)?;
                own.iter_mut().zip(start).for_each(|(value, start)| *value += start);
            }
            return Ok(("your own".into(), series::adapter(&series.manifest, Some(&own))?));
        }
        let published = Published::fetch(client, &self.series, self.variant.as_deref())?;
        let name = format!("{} of round {}", published.name, published.number);
        Ok((name, published.to_adapter()?.0))
    }
}

fn text(evaluated: &Evaluated) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let half = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
    let mut lines = Lines::default();
    let which = if evaluated.held_out { "held out of all training" } else { "that people train on" };
    lines.line(format!("How often the model prefers a group's statement to its negation, on statements {which}."));
    lines.line("A liking or dislike of the word \"not\" raises one half and lowers the other.").line("");
    lines.line(format!("{:<8} {:>10} {:>22} {:>22} {:>22}", "group", "statements", "all", "should", "should not"));
    for Group { name, statements, base, adapter } in &evaluated.groups {
        let cell = |before: String, after: String| format!("{before} -> {after}");
        lines.line(format!(
            "{name:<8} {statements:>10} {:>22} {:>22} {:>22}",
            cell(percent(base.all), percent(adapter.all)),
            cell(half(base.should), half(adapter.should)),
            cell(half(base.should_not), half(adapter.should_not)),
        ));
    }
    lines.line("").line(format!("Before the arrow the base model, after it with the adapter: {}.", evaluated.adapter));
    if evaluated.without_negation > 0 {
        lines.line(format!("{} could not be asked about: they have no plain negation.", evaluated.without_negation));
    }
    lines.finish()
}
