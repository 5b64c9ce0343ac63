//! Training of a personal adapter on the participant's own machine.
//!
//! What a person agrees with becomes [examples](Example) of tokens; a [`Trainer`] takes an adapter through them, step by step,
//! tells how it goes, and can be stopped after any step: its [`State`] goes into a file, and a trainer that is given it later
//! continues with the very bits of one that was never stopped.
//!
//! A batch is divided among shards, whose gradients are added up in their order. The number of shards is part of the
//! configuration, the number of threads is the machine's: the result depends on the first alone.

use std::{collections::BTreeSet, ops::ControlFlow};

use zeroize::Zeroizing;

use super::{
    llama::{Llama, TextError},
    lora::{Lora, LoraError, Projection, Shape, delta},
};

mod lessons;
mod loss;
mod optimiser;
mod parallel;
mod state;

pub use lessons::Lesson;
pub use parallel::Replicas;
pub use state::{State, StateError};

use loss::Prepared;
pub(crate) use loss::direction;
use optimiser::AdamW;

/// Most tokens of all examples together: their hidden states are kept, 4 bytes × the model's width each.
pub const MAX_TOKENS: usize = 1 << 17;

/// One thing to learn, in tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Example {
    /// What to answer: the loss is the cross-entropy of the answer's tokens.
    Answer {
        /// What comes before the answer.
        prompt: Vec<u32>,
        /// The answer.
        answer: Vec<u32>,
    },
    /// What the base model answers when it is told somebody's principles, to be answered without being told: the loss is
    /// KL(told ‖ not told) of each token of the answer, over the whole vocabulary (context distillation).
    Distillation {
        /// What comes before the answer, with the principles.
        told: Vec<u32>,
        /// The same without them.
        untold: Vec<u32>,
        /// The answer that the base model gave when told.
        answer: Vec<u32>,
    },
    /// A statement to be judged better than its negation. With `r = logit(yes) − logit(no)` after a text, and `r₀` the same of
    /// the base model, or zero without [`from_base`](TrainConfig::from_base), the loss is `−ln σ(β·((r − r₀)(chosen) − (r − r₀)(rejected)))`: the preference optimisation of Rafailov
    /// et al. (2023) on the model's verdict.
    Verdict {
        /// The question whether to follow the statement, up to where the verdict begins.
        chosen: Vec<u32>,
        /// The same of its negation.
        rejected: Vec<u32>,
        /// The token of the verdict "yes".
        yes: u32,
        /// The token of the verdict "no".
        no: u32,
    },
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// The rank r.
    pub rank: usize,
    /// The scale α.
    pub alpha: f64,
    /// Which linear layers are adapted.
    pub targets: BTreeSet<Projection>,
    /// In how many of the last layers.
    pub last_layers: usize,
    /// How often each example is seen.
    pub epochs: usize,
    /// How many examples make a step.
    pub batch: usize,
    /// The step size.
    pub learning_rate: f64,
    /// What each step takes off B, times the step size.
    pub weight_decay: f64,
    /// β of the preference loss.
    pub beta: f64,
    /// Whether the preference loss counts from the base model's verdicts (direct preference optimisation), or from none at all
    /// (Bradley and Terry): then it stops where a statement is preferred, and goes on where the base model prefers its negation.
    pub from_base: bool,
    /// The greatest length of a step's gradient; longer ones are shortened to it.
    pub gradient_bound: f64,
    /// Into how many parts a batch is divided.
    pub shards: usize,
    /// The seed of the examples' order.
    pub seed: u64,
}

impl TrainConfig {
    /// Returns the shape of the adapter.
    pub fn shape(&self) -> Shape {
        let Self { rank, alpha, ref targets, last_layers, .. } = *self;
        Shape { rank, alpha, targets: targets.clone(), last_layers }
    }

    const fn preference(&self) -> loss::Preference {
        loss::Preference { beta: self.beta, from_base: self.from_base }
    }

    fn check(&self) -> Result<(), TrainError> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let numbers = [self.learning_rate, self.beta, self.gradient_bound];
        let counts = [self.epochs, self.batch, self.shards];
        if numbers.into_iter().all(positive) && self.weight_decay >= 0.0 && counts.iter().all(|count| *count > 0) {
            Ok(())
        } else {
            Err(TrainError::Config)
        }
    }
}

impl Default for TrainConfig {
    /// A small adapter of rank 8 on q and v of the last ten layers, with the step size that served best on validation votes of
    /// the adapter experiment (`figures adapter`).
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            targets: BTreeSet::from([Projection::Q, Projection::V]),
            last_layers: 10,
            epochs: 2,
            batch: 8,
            learning_rate: 2e-2,
            weight_decay: 0.0,
            beta: 1.0,
            from_base: false,
            gradient_bound: 1.0,
            shards: 2,
            seed: 0,
        }
    }
}

/// Why a training cannot begin or go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A number of the configuration is zero, negative or none.
    #[error("a number of the training's configuration is zero, negative or no number")]
    Config,
    /// There is nothing to learn from.
    #[error("there is no example")]
    Nothing,
    /// There is more than fits into memory.
    #[error("examples of {found} tokens; at most {bound} can be taken")]
    TooMany {
        /// Tokens of all examples.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// An example is no text for this model.
    #[error("example {place}")]
    Example {
        /// Which one, counted from 0.
        place: usize,
        /// Why.
        source: TextError,
    },
    /// The adapter does not fit.
    #[error("the adapter does not fit")]
    Adapter(#[from] LoraError),
    /// A loss or a gradient is no finite number: the step size is too large.
    #[error("step {step} led to values that are no finite numbers; a smaller learning rate may help")]
    Diverged {
        /// Which step.
        step: usize,
    },
    /// The caller asked to stop before the training began.
    #[error("stopped before the first step")]
    Stopped,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// Computing what does not change while training: hidden states below the adapter, the teacher's, the base model's verdicts.
    Preparing {
        /// Examples that are ready.
        done: usize,
        /// All examples.
        of: usize,
    },
    /// A step was taken.
    Step {
        /// Steps taken.
        step: usize,
        /// All steps.
        of: usize,
        /// The mean loss of the step's batch, before the step.
        loss: f64,
        /// The length of the gradient, before it was shortened.
        gradient: f64,
    },
}

/// A training under way.
pub struct Trainer<'a> {
    llama: &'a Llama,
    replicas: Replicas,
    config: TrainConfig,
    lessons: Vec<Lesson>,
    lora: Lora,
    optimiser: AdamW,
    step: usize,
    fingerprint: [u8; 32],
}

impl<'a> Trainer<'a> {
    /// Prepares a training of an adapter, which may be fresh or go on from an earlier one.
    ///
    /// # Errors
    ///
    /// Returns a [`TrainError`]; [`TrainError::Stopped`] if `progress` said so.
    pub fn new(
        llama: &'a Llama,
        replicas: Replicas,
        lora: Lora,
        config: TrainConfig,
        examples: &[Example],
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let lessons = Lesson::prepare(llama, replicas, lora.first_layer(), examples, progress)?;
        Self::of_lessons(llama, replicas, lora, config, lessons)
    }

    /// As [`new`](Self::new), with lessons that were prepared before for adapters of the same layers.
    ///
    /// # Errors
    ///
    /// Returns a [`TrainError`].
    pub fn of_lessons(
        llama: &'a Llama,
        replicas: Replicas,
        lora: Lora,
        config: TrainConfig,
        lessons: Vec<Lesson>,
    ) -> Result<Self, TrainError> {
        config.check()?;
        if lessons.is_empty() {
            return Err(TrainError::Nothing);
        }
        let fingerprint = state::fingerprint(llama, &lora, &config, lessons.iter().map(Lesson::example));
        Ok(Self { fingerprint, optimiser: AdamW::new(lora.len()), lessons, step: 0, llama, replicas, config, lora })
    }

    /// Returns the number of all steps.
    pub fn steps(&self) -> usize {
        self.config.epochs * self.steps_of_epoch()
    }

    /// Returns the number of steps taken.
    pub const fn step(&self) -> usize {
        self.step
    }

    fn steps_of_epoch(&self) -> usize {
        self.lessons.len().div_ceil(self.config.batch)
    }

    /// Returns the adapter as it is now.
    pub const fn lora(&self) -> &Lora {
        &self.lora
    }

    /// Returns the adapter as it is now.
    pub fn into_lora(self) -> Lora {
        self.lora
    }

    /// Returns whether all steps were taken.
    pub fn is_finished(&self) -> bool {
        self.step >= self.steps()
    }

    /// Takes the steps that are left, or those until `progress` says to stop.
    ///
    /// # Errors
    ///
    /// Returns [`TrainError::Diverged`]; the adapter is then as it was before the step.
    pub fn run(&mut self, mut progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<(), TrainError> {
        while !self.is_finished() {
            if progress(self.take_step()?).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn take_step(&mut self) -> Result<Progress, TrainError> {
        let batch = self.batch();
        let weight = 1.0 / batch.len() as f64;
        let shards = shards(&batch, self.config.shards);
        let parts = self.replicas.map(&shards, |shard| {
            let mut gradient = Zeroizing::new(vec![0.0; self.lora.len()]);
            let loss = loss::accumulate(self.llama, &self.lora, shard, self.config.preference(), weight, &mut gradient);
            (loss, gradient)
        });
        let (mut loss, mut gradient) = (0.0, Zeroizing::new(vec![0.0; self.lora.len()]));
        for (of_shard, part) in &parts {
            loss += of_shard;
            super::ops::add(&mut gradient, part);
        }
        let length = delta::norm(&gradient);
        delta::clip(&mut gradient, self.config.gradient_bound);
        let mut delta = Zeroizing::new(self.lora.delta());
        self.optimiser.step(&mut delta, &gradient, self.config.learning_rate, self.config.weight_decay);
        let step = self.step + 1;
        if !loss.is_finite() || !length.is_finite() || delta.iter().any(|value| !value.is_finite()) {
            return Err(TrainError::Diverged { step });
        }
        self.lora.set(&delta)?;
        self.step = step;
        Ok(Progress::Step { step, of: self.steps(), loss, gradient: length })
    }

    /// Returns the examples of the next step.
    fn batch(&self) -> Vec<&Prepared> {
        let (epoch, place) = (self.step / self.steps_of_epoch(), self.step % self.steps_of_epoch());
        let order = parallel::order(self.config.seed, epoch, self.lessons.len());
        let batch = order.chunks(self.config.batch).nth(place).expect("a step of the epoch");
        batch.iter().map(|lesson| self.lessons[*lesson].prepared()).collect()
    }

    /// Returns all that is needed to go on later.
    pub fn state(&self) -> State {
        let (first, second) = self.optimiser.moments();
        State::new(self.fingerprint, self.step, self.lora.delta(), first.to_vec(), second.to_vec())
    }

    /// Goes on from where a training of the same model, adapter, configuration and examples was.
    ///
    /// # Errors
    ///
    /// Returns [`StateError::Other`] if it was another training's.
    pub fn resume(&mut self, state: &State) -> Result<(), StateError> {
        let (step, vectors) = state.of(&self.fingerprint).ok_or(StateError::Other)?;
        let ([b, first, second], lengths) = (vectors, vectors.map(<[f32]>::len));
        if step > self.steps() || lengths != [self.lora.len(); 3] {
            return Err(StateError::Other);
        }
        self.lora.set(b).map_err(|_| StateError::Other)?;
        self.optimiser = AdamW::resumed(step, first.to_vec(), second.to_vec());
        self.step = step;
        Ok(())
    }
}

/// Shows no value and no example: both say what somebody thinks.
impl std::fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("step", &self.step).field("steps", &self.steps()).finish_non_exhaustive()
    }
}

/// Divides a batch into parts of about as many tokens: the longest first, each to the part that has least.
fn shards<'a>(batch: &[&'a Prepared], count: usize) -> Vec<Vec<&'a Prepared>> {
    let mut longest: Vec<&Prepared> = batch.to_vec();
    longest.sort_by_key(|example| std::cmp::Reverse(example.tokens()));
    let mut shards = vec![(0, Vec::new()); count];
    for example in longest {
        let least = shards.iter_mut().min_by_key(|(tokens, _)| *tokens).expect("at least one part");
        least.0 += example.tokens();
        least.1.push(example);
    }
    shards.into_iter().map(|(_, shard)| shard).collect()
}

#[cfg(test)]
mod tests;
