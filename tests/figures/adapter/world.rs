//! The people of the experiment, what they train, and how a model is judged.

use std::{ops::ControlFlow, path::Path};

use chorus_node::model::{
    base::BaseModel,
    llama::Llama,
    lora::{Lora, delta},
    negate::Negation,
    train::{Example, Lesson, Replicas, TrainConfig, Trainer},
    verdict::Judge,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// The population, as the repository has it.
const POPULATION: &str = include_str!("../../adapters/population.json");

/// Votes of one person.
const VOTES: usize = 25;

/// One vote in so many is against what the camp holds.
const CONTRARY: u32 = 20;

/// Who holds a principle. Whoever does not, holds its negation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Camp {
    Both,
    First,
    Second,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Split {
    Train,
    HeldOut,
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Principle {
    statement: String,
    negation: String,
    camp: Camp,
    split: Split,
}

#[derive(Debug, serde::Deserialize)]
struct Population {
    principles: Vec<Principle>,
}

/// A principle, ready to be trained on and asked about.
struct Item {
    camp: Camp,
    split: Split,
    /// Whether it says what should not be.
    is_negative: bool,
    lesson: Lesson,
    opposite: Lesson,
}

/// A group of people, by its camp.
pub(super) const GROUPS: [Camp; 2] = [Camp::First, Camp::Second];

/// A model and a population.
pub(super) struct World {
    base: BaseModel,
    llama: Llama,
    items: Vec<Item>,
    pub(super) replicas: Replicas,
    pub(super) config: TrainConfig,
    pub(super) seed: u64,
}

/// How a model stands to what is asked about: shares of principles preferred to their negations, in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// What both camps hold.
    pub(super) community: f64,
    /// Of these, those that say what should be, and those that say what should not be.
    pub(super) halves: [f64; 2],
    /// For each camp the principles that it holds, with the other and alone.
    pub(super) held: [f64; 2],
    /// For each camp all positions that it takes: what it holds, and the negations of what the other holds alone. On what
    /// is contested the camps are each other's opposites: what one gains there the other loses.
    pub(super) groups: [f64; 2],
    /// The mean margin of the same, in logits.
    pub(super) margins: [f64; 2],
}

impl Standing {
    /// Returns the least that a camp gains on the principles that it holds.
    pub(super) fn worst_held(&self, base: &Self) -> f64 {
        self.held.iter().zip(base.held).map(|(now, before)| now - before).fold(f64::INFINITY, f64::min)
    }

    /// Returns the least that a camp gains on all its positions.
    pub(super) fn worst_gain(&self, base: &Self) -> f64 {
        self.groups.iter().zip(base.groups).map(|(now, before)| now - before).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let [should, should_not] = self.halves;
        let ([first, second], [held_first, held_second]) = (self.groups, self.held);
        let percent = |share: f64| format!("{share:.1} %");
        [self.community, should, should_not, held_first, held_second, first, second].map(percent).to_vec()
    }
}

/// The columns of [`Standing::cells`].
pub(super) const STANDING: [&str; 7] = [
    "community",
    "should",
    "should not",
    "first camp holds",
    "second camp holds",
    "first camp, all positions",
    "second camp, all positions",
];

impl World {
    /// Opens the model and prepares every principle.
    pub(super) fn open(path: &Path, seed: u64) -> Self {
        let base = BaseModel::open(path).expect("a base model");
        let llama = Llama::new(&base.checkpoint).expect("a whole model");
        let replicas = Replicas::of_this_machine();
        let config = TrainConfig {
            last_layers: llama.layers().min(6),
            epochs: 1,
            batch: 6,
            learning_rate: 2e-2,
            shards: 1,
            ..TrainConfig::default()
        };
        let population: Population = serde_json::from_str(POPULATION).expect("the repository's population");
        let judge = Judge::new(&base.dialogue).expect("a model that says yes or no");
        let example = |principle: &Principle| -> Example {
            let is_negative = principle.is_negative();
            let negation = Negation { text: principle.negation.clone(), of_negative: is_negative };
            judge.lesson(&principle.statement, &negation, true).expect("a prompt")
        };
        let examples: Vec<Example> = population.principles.iter().map(example).collect();
        let first = llama.layers() - config.last_layers;
        let lessons =
            Lesson::prepare(&llama, replicas, first, &examples, |_| ControlFlow::Continue(())).expect("short texts");
        let item = |(principle, lesson): (Principle, Lesson)| Item {
            camp: principle.camp,
            split: principle.split,
            is_negative: principle.is_negative(),
            opposite: lesson.opposite().expect("a verdict"),
            lesson,
        };
        let items = population.principles.into_iter().zip(lessons).map(item).collect();
        Self { base, llama, items, replicas, config, seed }
    }

    /// Returns the adapter with these B.
    pub(super) fn lora(&self, b: &[f32]) -> Lora {
        let mut lora = Lora::new(&self.base.checkpoint.config, &self.config.shape(), &[7; 32]).expect("a shape");
        lora.set(b).expect("as many values");
        lora
    }

    /// Returns B = 0.
    pub(super) fn zero(&self) -> Vec<f32> {
        let lora = Lora::new(&self.base.checkpoint.config, &self.config.shape(), &[7; 32]).expect("a shape");
        vec![0.0; lora.len()]
    }

    /// Returns how the model stands with an adapter.
    pub(super) fn standing(&self, b: &[f32], split: Split) -> Standing {
        let lora = self.lora(b);
        let asked: Vec<&Item> = self.items.iter().filter(|item| item.split == split).collect();
        let margins: Vec<f64> =
            self.replicas.map(&asked, |item| f64::from(item.lesson.margin(&self.llama, &lora).expect("a verdict")));
        let share = |wanted: &dyn Fn(&Item) -> Option<f64>| {
            let of: Vec<f64> = asked
                .iter()
                .zip(&margins)
                .filter_map(|(item, margin)| wanted(item).map(|sign| sign * margin))
                .collect();
            let right: f64 = of.iter().map(|margin| if *margin > 0.0 { 1.0 } else { 0.0 }).sum();
            let count = of.len().max(1) as f64;
            (100.0 * right / count, of.iter().sum::<f64>() / count)
        };
        let common = |negative: Option<bool>| {
            move |item: &Item| {
                (item.camp == Camp::Both && negative.is_none_or(|wanted| wanted == item.is_negative)).then_some(1.0)
            }
        };
        let held = GROUPS.map(|camp| share(&|item: &Item| item.camp.is_held_by(camp).then_some(1.0)).0);
        let groups = GROUPS.map(|camp| share(&|item: &Item| Some(if item.camp.is_held_by(camp) { 1.0 } else { -1.0 })));
        Standing {
            community: share(&common(None)).0,
            halves: [share(&common(Some(false))).0, share(&common(Some(true))).0],
            held,
            groups: groups.map(|(share, _)| share),
            margins: groups.map(|(_, margin)| margin),
        }
    }

    /// Returns what a person votes on, of what is trained on, and how.
    pub(super) fn votes(&self, person: usize, camp: Camp) -> Vec<Lesson> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        rng.set_stream(person as u64);
        let mut pool: Vec<&Item> = self.items.iter().filter(|item| item.split == Split::Train).collect();
        for last in (1..pool.len()).rev() {
            pool.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
        }
        let vote = |item: &Item| {
            let agrees = item.camp.is_held_by(camp) != rng.next_u32().is_multiple_of(CONTRARY);
            if agrees { item.lesson.clone() } else { item.opposite.clone() }
        };
        pool.into_iter().take(VOTES).map(vote).collect()
    }

    /// Returns what a person's training adds to an adapter.
    pub(super) fn train(&self, start: &[f32], votes: Vec<Lesson>, seed: u64) -> Vec<f32> {
        let config = TrainConfig { seed, ..self.config.clone() };
        let trained = self.train_with(start, votes, config, Replicas::new(1));
        trained.iter().zip(start).map(|(after, before)| after - before).collect()
    }

    /// Returns the adapter that a training leads to.
    pub(super) fn train_with(
        &self,
        start: &[f32],
        votes: Vec<Lesson>,
        config: TrainConfig,
        replicas: Replicas,
    ) -> Vec<f32> {
        let lora = self.lora(start);
        let mut trainer = Trainer::of_lessons(&self.llama, replicas, lora, config, votes).expect("a training");
        trainer.run(|_| ControlFlow::Continue(())).expect("a training that converges");
        trainer.lora().delta()
    }

    /// Returns the deltas of everybody who trains from `start`, in order.
    pub(super) fn deltas(&self, start: &[f32], people: &[Camp], round: usize) -> Vec<Vec<f32>> {
        let everybody: Vec<usize> = (0..people.len()).collect();
        self.replicas.map(&everybody, |person| {
            let seed = (round * people.len() + person) as u64;
            self.train(start, self.votes(*person, people[*person]), seed)
        })
    }

    /// Returns the items of what both camps hold whose lessons are trained on: what a saboteur can pick from.
    pub(super) fn common_lessons(&self) -> Vec<Lesson> {
        let common = self.items.iter().filter(|item| item.split == Split::Train && item.camp == Camp::Both);
        common.map(|item| item.lesson.clone()).collect()
    }

    /// Returns by how much the model prefers what a lesson teaches.
    pub(super) fn margin(&self, b: &[f32], lesson: &Lesson) -> f64 {
        f64::from(lesson.margin(&self.llama, &self.lora(b)).expect("a verdict"))
    }
}

impl Camp {
    fn is_held_by(self, camp: Self) -> bool {
        self == Self::Both || self == camp
    }
}

impl Principle {
    fn is_negative(&self) -> bool {
        // Whichever of the two is longer has the "not".
        self.statement.len() > self.negation.len()
    }
}

/// Adds `weight` times a vector.
pub(super) fn add(sum: &mut [f32], vector: &[f32], weight: f32) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
}

/// Returns the mean of vectors.
pub(super) fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    vectors.iter().for_each(|vector| add(&mut sum, vector, 1.0 / vectors.len() as f32));
    sum
}

pub(super) use delta::{clip, norm};
