//! How fast: a training step, a personal training, the mean of adapters.

use std::{ops::ControlFlow, path::Path, time::Instant};

use chorus_node::model::{
    base::BaseModel,
    llama::Llama,
    lora::{Lora, Projection},
    measure::{Workload, peak_memory},
    merge::mean,
    negate::negate,
    peft::Adapter,
    train::{Example, Replicas, TrainConfig, Trainer},
    verdict::Judge,
};

use crate::{figure::Figure, table::Printed};

/// Steps of which the fastest counts.
const STEPS: usize = 3;

/// Adapters that are averaged, and the values of each.
const ADAPTERS: usize = 16;

/// Measures steps at the sizes at which PyTorch and PEFT were measured (`tests/peft/train_step.py`), and the mean.
pub(super) fn figures() -> Vec<Printed> {
    let targets = [Projection::Q, Projection::V];
    let mut figures = Vec::new();
    for (name, workload) in [("15M, 8 × 128 tokens", Workload::small()), ("135M, 4 × 64 tokens", Workload::smollm2())]
    {
        for threads in [1, 2] {
            let step = workload.step(&targets, Replicas::new(threads), STEPS).expect("a step");
            figures.push(Figure::new(format!("training step, {name}, {threads} threads"), step.as_secs_f64(), "s"));
        }
    }
    figures.push(Figure::new("most memory until here", peak_memory().unwrap_or(0) as f64, "B").at_most(1.8e9));
    figures.push(Figure::new(format!("mean of {ADAPTERS} adapters, with reading and writing"), averaged(), "s"));
    figures.into_iter().map(Printed::from).collect()
}

/// Writes adapters for all linear layers of the larger model, and averages them as files.
fn averaged() -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Workload::smollm2().config;
    let shape = TrainConfig {
        targets: Projection::ALL.into_iter().collect(),
        last_layers: config.num_hidden_layers,
        ..TrainConfig::default()
    }
    .shape();
    let paths: Vec<_> = (0..ADAPTERS).map(|number| folder.path().join(number.to_string())).collect();
    for (number, path) in (1u8..).zip(&paths) {
        let mut lora = Lora::new(&config, &shape, &[number; 32]).expect("a shape");
        let values: Vec<f32> = (0..lora.len()).map(|at| ((at * usize::from(number)) % 1009) as f32 / 1e5).collect();
        lora.set(&values).expect("as many values");
        lora.to_adapter(None).expect("one scale").write(path).expect("written");
    }
    let began = Instant::now();
    let read = |path: &std::path::PathBuf| (path.clone(), Adapter::read(path).expect("an adapter"));
    let adapters: Vec<_> = paths.iter().map(read).collect();
    let (merged, _) = mean(&adapters, &[1.0; ADAPTERS]).expect("of one model");
    merged.write(&folder.path().join("mean")).expect("written");
    began.elapsed().as_secs_f64()
}

/// Measures a personal training on the base model: 25 votes and 2 value cards.
pub(super) fn personal(path: &Path) -> Vec<Printed> {
    let began = Instant::now();
    let base = BaseModel::open(path).expect("a base model");
    let llama = Llama::new(&base.checkpoint).expect("a whole model");
    let judge = Judge::new(&base.dialogue).expect("a model that says yes or no");
    let opened = began.elapsed().as_secs_f64();
    let votes = (0..25).map(|number| {
        let statement =
            format!("The assistant should keep promise number {number} that it made to the people it works for.");
        let negation = negate(&statement).expect("should");
        judge.lesson(&statement, &negation, number % 3 != 0).expect("a prompt")
    });
    let cards = (0..2).flat_map(|card| distillation(&base, card));
    let examples: Vec<Example> = votes.chain(cards).collect();
    let config = TrainConfig::default();
    let lora = Lora::new(&base.checkpoint.config, &config.shape(), &[7; 32]).expect("a shape");
    let began = Instant::now();
    let replicas = Replicas::of_this_machine();
    let go = |_| ControlFlow::Continue(());
    let mut trainer = Trainer::new(&llama, replicas, lora, config, &examples, go).expect("examples");
    trainer.run(go).expect("a training");
    vec![
        Figure::new("opening the base model", opened, "s").into(),
        Figure::new("personal adapter from 25 votes and 2 value cards", began.elapsed().as_secs_f64(), "s")
            .at_most(60.0)
            .into(),
        Figure::new("most memory, base model and training", peak_memory().unwrap_or(0) as f64, "B")
            .at_most(1.8e9)
            .into(),
    ]
}

/// What a value card leads to: answers of forty tokens to six questions.
fn distillation(base: &BaseModel, card: usize) -> Vec<Example> {
    use chorus_node::model::chat::{Message, Role};
    let told = "You attend to what would help this person most, and you say plainly what you do not know.";
    let prompt = |messages: &[Message]| base.dialogue.prompt(messages).expect("a prompt");
    let question = |number: usize| Message::new(Role::User, format!("How do I begin task {number} of day {card}?"));
    let answer: Vec<u32> = base
        .dialogue
        .tokenizer
        .encode(&"Begin with the smallest step and look at what it shows. ".repeat(6))
        .expect("text");
    (0..6)
        .map(|number| Example::Distillation {
            told: prompt(&[Message::new(Role::System, told), question(number)]),
            untold: prompt(&[question(number)]),
            answer: answer.iter().take(40).copied().collect(),
        })
        .collect()
}
