//! `chorus adapter train`: one's own adapter, from one's own votes and value cards, on this machine.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chorus_protocol::{adapter::manifest::AdapterManifest, id::RoundId};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Failure, Global,
        client::Client,
        output::{Lines, Output, many},
        values,
    },
    base::{Base, BaseArguments},
    bound,
    contribute::{self, Manner, clipped, open_round},
    own::{ANSWERS, Own, TRAINING},
    published,
};
use crate::{
    api::view::{self, Choice},
    diary::ValueCard,
    model::{
        generate::{Generator, Precision, Settings, Step},
        lesson::{Opinion, Question, Teacher, principles},
        lora::delta::norm,
        series,
        train::{Example, Progress, State, TrainConfig, TrainError, Trainer},
    },
};

/// The longest answer that is learnt from: enough to show how somebody speaks.
const ANSWER_TOKENS: usize = 40;

/// How often a training is written down.
const SAVE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(in crate::cli) struct Train {
    /// The series: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    #[command(flatten)]
    base: BaseArguments,
    /// How often each example is seen.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    epochs: u16,
    /// The step size.
    #[arg(long, value_name = "NUMBER", default_value_t = 2e-2)]
    learning_rate: f64,
    /// Begin again instead of going on with a training that was paused.
    #[arg(long)]
    fresh: bool,
    /// Contribute the adapter once it is trained.
    #[arg(long)]
    contribute: bool,
    #[command(flatten)]
    manner: Manner,
}

/// What a training came to.
#[derive(Debug, Serialize)]
struct Trained {
    round: RoundId,
    number: u32,
    #[serde(flatten)]
    material: Counts,
    steps: usize,
    loss: Option<f64>,
    /// The norm of the delta.
    norm: f64,
    /// What it will be multiplied by when it is contributed.
    clipped: f64,
}

/// What was learnt from.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    votes: usize,
    held_out: usize,
    without_negation: usize,
    cards: usize,
    answers: usize,
}

impl Train {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let series = published::get(&client, &self.series)?;
        let round = open_round(&series)?;
        let manifest = &series.manifest;
        let diary: view::Diary = client.get("/diary")?;
        if !diary.kept {
            return Err(Failure::Usage(
                "your diary is off, so this node does not know how you voted: `chorus config set diary on`, and vote again"
                    .into(),
            )
            .into());
        }
        let (opinions, held_out) = opinions(&diary, manifest);
        if opinions.is_empty() && diary.cards.is_empty() {
            return Err(Failure::Usage(
                "there is nothing to train on yet: vote in a poll, or add a value card with `chorus adapter card add`"
                    .into(),
            )
            .into());
        }
        let start = round.start.map(|start| published::values(&client, &series, start)).transpose()?;
        let base = self.base.open(global, manifest)?;
        let own = Own::of(global, series.id, round.round.id)?;
        if self.fresh {
            own.delete()?;
        }
        let stop = interrupted();
        let (examples, counts) = examples(global.output(), &base, &own, (&opinions, &diary.cards), &stop)?;
        let counts = Counts { held_out, ..counts };
        let (delta, steps, loss) =
            self.train(global.output(), (&base, &own), manifest, start.as_deref(), &examples, &stop)?;
        own.keep_delta(&delta)?;
        own.forget(TRAINING)?;
        let (norm, bound) = (norm(&delta), bound(manifest));
        let clipped = if norm > bound { bound / norm } else { 1.0 };
        let (id, number) = (round.round.id, round.number);
        let trained = Trained { round: id, number, material: counts, steps, loss, norm, clipped };
        if !(self.contribute && global.output().is_json()) {
            global.output().print(&trained, |trained| text(trained, self.contribute))?;
        }
        if self.contribute {
            contribute::send(global, &client, &series, round, &own, delta.into(), &self.manner)?;
        }
        Ok(())
    }

    /// Trains, or goes on, and returns what is to be contributed: the difference to the adapter that the round starts from.
    fn train(
        &self,
        output: Output,
        (base, own): (&Base, &Own),
        manifest: &AdapterManifest,
        start: Option<&[f32]>,
        examples: &[Example],
        stop: &AtomicBool,
    ) -> anyhow::Result<(Vec<f32>, usize, Option<f64>)> {
        let lora = series::lora(manifest, &base.model.checkpoint.config, start)?;
        let config = TrainConfig {
            rank: manifest.adapted.rank.into(),
            alpha: manifest.adapted.alpha.into(),
            last_layers: manifest.adapted.layers.into(),
            epochs: self.epochs.into(),
            learning_rate: self.learning_rate,
            ..TrainConfig::default()
        };
        let bar = output.counted("preparing", examples.len());
        let go_on = || if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let prepared = Trainer::new(&base.llama, base.replicas, lora, config, examples, |progress| {
            if let Progress::Preparing { done, of } = progress {
                bar.of(done as u64, of as u64);
            }
            go_on()
        });
        let mut trainer = prepared.map_err(|error| match error {
            TrainError::Stopped => anyhow::Error::from(Failure::Paused("before the first step".into())),
            error => error.into(),
        })?;
        if let Some(bytes) = own.read(TRAINING)? {
            // Another training's state is of no use: votes were cast or changed since.
            let resumed = State::from_bytes(&bytes).and_then(|state| trainer.resume(&state));
            if resumed.is_err() {
                bar.note("what was learnt before belongs to other votes or settings: beginning again");
            }
        }
        bar.say("training");
        let (mut saved, mut last) = (Instant::now(), None);
        while trainer.step() < trainer.steps() {
            let until = saved + SAVE_EVERY;
            trainer.run(|progress| {
                if let Progress::Step { step, of, loss, .. } = progress {
                    last = Some(loss);
                    bar.of(step as u64, of as u64);
                }
                if Instant::now() >= until { ControlFlow::Break(()) } else { go_on() }
            })?;
            own.write(TRAINING, &trainer.state().to_bytes())?;
            saved = Instant::now();
            if stop.load(Ordering::Relaxed) && trainer.step() < trainer.steps() {
                let (step, of) = (trainer.step(), trainer.steps());
                return Err(Failure::Paused(format!("after step {step} of {of}")).into());
            }
        }
        let steps = trainer.steps();
        let mut delta = series::trained(manifest, trainer.lora())?;
        if let Some(start) = start {
            delta.iter_mut().zip(start).for_each(|(value, start)| *value -= start);
        }
        Ok((delta, steps, last))
    }
}

fn text(trained: &Trained, contributes: bool) -> String {
    let Counts { votes, held_out, without_negation, cards, answers } = trained.material;
    let mut lines = Lines::default();
    lines.line(format!(
        "Trained for round {}, in {}, on this machine alone.",
        trained.number,
        many(trained.steps, "step")
    ));
    lines.field(
        "learnt from",
        format!("{}, {}, {}", many(votes, "vote"), many(cards, "value card"), many(answers, "answer")),
    );
    if held_out > 0 {
        lines.field(
            "left out",
            format!("{}, held out for the evaluation of the community's adapter", many(held_out, "vote")),
        );
    }
    if without_negation > 0 {
        let what = many(without_negation, "statement");
        lines.field("no negation", format!("{what}, used among your principles alone"));
    }
    lines.field("norm", format!("{:.4}", trained.norm)).line(clipped(trained.clipped));
    if !contributes {
        lines.line("").line(
            "Next: `chorus adapter contribute` sends it, masked. Until then it is in a file that only you can read.",
        );
    }
    lines.finish()
}

/// Returns the person's opinions, the latest on each statement, without those that the gate holds out; and how many it does.
fn opinions(diary: &view::Diary, manifest: &AdapterManifest) -> (Vec<Opinion>, usize) {
    let mut latest = BTreeMap::new();
    for vote in &diary.votes {
        latest.insert(vote.item, vote);
    }
    let (held_out, kept): (Vec<_>, Vec<_>) =
        latest.into_values().partition(|vote| manifest.gate.is_some_and(|gate| gate.holds_out(&vote.item)));
    let opinion = |vote: &view::OwnVote| {
        let agrees = match vote.choice {
            Choice::Agree => true,
            Choice::Disagree => false,
            Choice::Pass => return None,
        };
        Some(Opinion { text: vote.text.clone(), agrees })
    };
    (kept.into_iter().filter_map(opinion).collect(), held_out.len())
}

/// Makes the examples: a verdict for each opinion that can be negated, and the base model's answers in the person's sense.
fn examples(
    output: Output,
    base: &Base,
    own: &Own,
    (opinions, cards): (&[Opinion], &[ValueCard]),
    stop: &AtomicBool,
) -> anyhow::Result<(Vec<Example>, Counts)> {
    let teacher = Teacher::new(&base.model.dialogue)?;
    let mut examples = Vec::new();
    for opinion in opinions {
        examples.extend(teacher.verdict(opinion)?);
    }
    let without_negation = opinions.len() - examples.len();
    let questions = teacher.questions(&principles(opinions), cards)?;
    let answers = answers(output, base, own, &questions, stop)?;
    let with_answers = questions.into_iter().zip(answers).filter(|(_, answer)| !answer.is_empty());
    let distillation = |(question, answer): (Question, Vec<u32>)| {
        let Question { told, untold } = question;
        Example::Distillation { told, untold, answer }
    };
    let before = examples.len();
    examples.extend(with_answers.map(distillation));
    let (votes, cards, answers) = (opinions.len(), cards.len(), examples.len() - before);
    Ok((examples, Counts { votes, held_out: 0, without_negation, cards, answers }))
}

/// What the base model answered, and to what.
#[derive(Serialize, Deserialize)]
struct Answers {
    /// The digest of the model and of all that it was told.
    asked: String,
    answers: Vec<Vec<u32>>,
}

/// Returns the base model's answers; those of an earlier call if nothing has changed, so that a training that was paused goes
/// on with the same.
fn answers(
    output: Output,
    base: &Base,
    own: &Own,
    questions: &[Question],
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&base.model.checkpoint.digest());
    for question in questions {
        hasher.update(&(question.told.len() as u64).to_le_bytes());
        question.told.iter().for_each(|token| {
            hasher.update(&token.to_le_bytes());
        });
    }
    let asked = hasher.finalize().to_hex().to_string();
    let kept = own.read(ANSWERS)?.and_then(|bytes| serde_json::from_slice::<Answers>(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| kept.asked == asked && kept.answers.len() == questions.len()) {
        return Ok(kept.answers);
    }
    let bar = output.counted("asking the base model in your sense", questions.len());
    let generator = Generator::new(&base.model.checkpoint, Precision::Q8)?;
    let settings = Settings { max_tokens: ANSWER_TOKENS, ..Settings::default() };
    let mut answers = Vec::with_capacity(questions.len());
    for (done, question) in questions.iter().enumerate() {
        bar.of(done as u64, questions.len() as u64);
        let (answer, _) = generator.generate(&question.told, &base.model.dialogue.stops, &settings, |_: Step| {
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Paused("before the first step".into()).into());
        }
        answers.push(answer);
    }
    let answers = Answers { asked, answers };
    own.write(ANSWERS, &serde_json::to_vec(&answers)?)?;
    Ok(answers.answers)
}

/// Returns what becomes true on Ctrl-C, which from now on no longer ends the program.
fn interrupted() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let raise = stop.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            raise.store(true, Ordering::Relaxed);
        }
    });
    stop
}

#[cfg(test)]
mod tests;
