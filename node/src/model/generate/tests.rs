use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::model::{
    base,
    base::BaseModel,
    chat::Role,
    checkpoint::{Architecture, RopeScaling},
    llama::Llama,
    lora::Lora,
    tokenizer::TOY_VOCABULARY,
};

#[derive(Deserialize)]
struct Golden {
    input_ids: Vec<u32>,
    logits_base: Vec<Vec<f32>>,
    logits_adapter: Vec<Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

/// The largest difference between two sets of logits.
fn distance(found: &Tensor, expected: &[Vec<f32>]) -> f32 {
    let found = found.to_vec2::<f32>().expect("a matrix");
    assert_eq!((found.len(), found[0].len()), (expected.len(), expected[0].len()));
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

fn toy() -> BaseModel {
    let config = Config {
        architecture: Architecture::Llama,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        vocab_size: TOY_VOCABULARY,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_word_embeddings: false,
        attention_bias: false,
        max_position_embeddings: 512,
    };
    BaseModel::toy(config, 3).expect("a toy")
}

fn go(_: Step) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn logits_are_those_of_transformers_and_peft() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let folder = fixture(name);
        let golden = std::fs::read(folder.join("golden.json")).expect("the fixture");
        let golden: Golden = serde_json::from_slice(&golden).expect("golden values");
        let checkpoint = base::checkpoint(&folder).expect("a checkpoint");
        let adapter = Adapter::read(&folder.join("adapter")).expect("an adapter");

        let mut generator = Generator::new(&checkpoint, Precision::F32).expect("a generator");
        let plain = generator.logits(&golden.input_ids).expect("logits");
        assert!(distance(&plain, &golden.logits_base) < 1e-4, "{name}: {}", distance(&plain, &golden.logits_base));
        generator.set_adapter(Some(&adapter)).expect("it fits");
        let adapted = generator.logits(&golden.input_ids).expect("logits");
        assert!(distance(&adapted, &golden.logits_adapter) < 1e-4, "{name}");
        generator.set_adapter(None).expect("no adapter");
        let plain = generator.logits(&golden.input_ids).expect("logits");
        assert!(distance(&plain, &golden.logits_base) < 1e-4, "{name}");

        // Eight bits are near, and the adapter's effect is larger than what they lose.
        let mut generator = Generator::new(&checkpoint, Precision::Q8).expect("a generator");
        generator.set_adapter(Some(&adapter)).expect("it fits");
        let adapted = generator.logits(&golden.input_ids).expect("logits");
        let (near, far) = (distance(&adapted, &golden.logits_adapter), distance(&adapted, &golden.logits_base));
        assert!(near < 0.1 * far, "{name}: {near} {far}");
    }
}

#[test]
fn logits_are_those_of_the_model_that_is_trained() {
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    let llama = Config { rope_scaling: Some(scaling), ..toy().checkpoint.config };
    let qwen =
        Config { architecture: Architecture::Qwen2, attention_bias: true, tie_word_embeddings: true, ..llama.clone() };
    let adapter = Adapter::read(&fixture("tiny-llama/adapter")).expect("an adapter");
    let text: Vec<u32> = (0..150).map(|at| at * 11 % 257).collect();
    for config in [llama, qwen] {
        let checkpoint = Checkpoint::random(config, 4);
        let mut generator = Generator::new(&checkpoint, Precision::F32).expect("a generator");
        let trained = Llama::new(&checkpoint).expect("a model");
        let lora = Lora::from_adapter(&checkpoint.config, &adapter).expect("it fits");
        for lora in [None, Some(&lora)] {
            generator.set_adapter(lora.map(|_| &adapter)).expect("it fits");
            let expected = trained.logits(&text, lora).expect("logits");
            let expected: Vec<Vec<f32>> = (0..text.len()).map(|row| expected.row(row).to_vec()).collect();
            let distance = distance(&generator.logits(&text).expect("logits"), &expected);
            assert!(distance < 1e-4, "{distance}");
        }
    }
}

#[test]
fn an_answer_is_what_the_logits_of_the_whole_text_say() {
    let base = toy();
    let generator = Generator::new(&base.checkpoint, Precision::F32).expect("a generator");
    // More than one chunk, so that keys come from the cache.
    let prompt: Vec<u32> = (0..300).map(|at| at * 7 % 251).collect();
    let settings = Settings { max_tokens: 12, ..Settings::default() };

    let (answer, end) = generator.generate(&prompt, &BTreeSet::new(), &settings, go).expect("an answer");

    assert_eq!((answer.len(), end), (12, End::Length));
    let mut text = prompt.clone();
    for token in answer {
        let logits = generator.logits(&text).expect("logits").to_vec2::<f32>().expect("a matrix");
        let last = logits.last().expect("a row");
        let best = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(best - last[token as usize] < 1e-4, "{token}");
        text.push(token);
    }
}

#[test]
fn a_seed_repeats_its_answer_and_another_gives_another() {
    let base = toy();
    let generator = Generator::new(&base.checkpoint, Precision::Q8).expect("a generator");
    let answer = |seed| {
        let sampling = Sampling::Random { temperature: 1.0, top_p: 0.95 };
        let settings = Settings { max_tokens: 16, sampling, seed };
        generator.generate(&[1, 2, 3], &BTreeSet::new(), &settings, go).expect("an answer").0
    };

    assert_eq!(answer(1), answer(1));
    assert_ne!(answer(1), answer(2));
}

#[test]
fn an_answer_ends_where_it_is_told_to() {
    let base = toy();
    let generator = Generator::new(&base.checkpoint, Precision::F32).expect("a generator");
    let settings = Settings { max_tokens: 5, ..Settings::default() };
    let (whole, _) = generator.generate(&[9; 20], &BTreeSet::new(), &settings, go).expect("an answer");

    let stops = BTreeSet::from([whole[0]]);
    assert_eq!(generator.generate(&[9; 20], &stops, &settings, go).expect("an answer"), (vec![], End::Stop));
    let after = |limit: usize| {
        let mut steps = 0;
        let stop = |_| {
            steps += 1;
            if steps == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        generator.generate(&[9; 200], &BTreeSet::new(), &settings, stop).expect("an answer")
    };
    // The prompt is read in two parts.
    assert_eq!(after(1), (vec![], End::Cancelled));
    assert_eq!(after(2), (vec![], End::Cancelled));
    assert_eq!((after(4).0.len(), after(4).1), (2, End::Cancelled));
    let full = vec![9; 511];
    let (answer, end) = generator.generate(&full, &BTreeSet::new(), &settings, go).expect("an answer");
    assert_eq!((answer.len(), end), (1, End::Length));
}

#[test]
fn prompts_that_cannot_be_computed_are_refused() {
    let base = toy();
    let generator = Generator::new(&base.checkpoint, Precision::F32).expect("a generator");

    assert!(matches!(generator.logits(&[]), Err(GenerateError::EmptyPrompt)));
    assert!(matches!(generator.logits(&[0; 513]), Err(GenerateError::LongPrompt { found: 513, bound: 512 })));
    assert!(matches!(generator.logits(&[0, 257]), Err(GenerateError::UnknownToken { found: 257, bound: 257 })));
}

#[test]
fn an_adapter_for_another_model_is_refused_and_changes_nothing() {
    let checkpoint = base::checkpoint(&fixture("tiny-llama")).expect("a checkpoint");
    let adapter = Adapter::read(&fixture("tiny-llama/adapter")).expect("an adapter");
    let mut generator = Generator::new(&checkpoint, Precision::F32).expect("a generator");
    generator.set_adapter(Some(&adapter)).expect("it fits");
    let before = generator.logits(&[1, 2, 3]).expect("logits").to_vec2::<f32>().expect("a matrix");
    let rename = |name: &str| {
        let mut other = adapter.clone();
        let (_, factors) = other.modules.pop_first().expect("a module");
        other.modules.insert(name.to_owned(), factors);
        other
    };

    // down_proj's factors come first, of 96 inputs.
    let refused = generator.set_adapter(Some(&rename("model.layers.0.self_attn.q_proj")));
    assert!(matches!(refused, Err(GenerateError::Dimensions { .. })), "{refused:?}");
    for name in ["model.layers.2.mlp.down_proj", "model.layers.0.mlp.other", "lm_head"] {
        let refused = generator.set_adapter(Some(&rename(name)));
        assert!(matches!(refused, Err(GenerateError::UnknownModule { module }) if module == name));
    }
    assert_eq!(generator.logits(&[1, 2, 3]).expect("logits").to_vec2::<f32>().expect("a matrix"), before);
}

#[test]
fn a_conversation_is_answered_in_pieces_that_make_up_the_whole() {
    let base = toy();
    let generator = Generator::new(&base.checkpoint, Precision::Q8).expect("a generator");
    let messages = [Message::new(Role::User, "Grüße")];
    let settings = Settings { max_tokens: 40, ..Settings::default() };

    let mut pieces = String::new();
    let (answer, _) = generator
        .answer(&base.dialogue, &messages, &settings, |piece| {
            pieces.push_str(piece);
            ControlFlow::Continue(())
        })
        .expect("an answer");

    // A toy says bytes at random: what is no character yet is held back.
    assert!(answer.starts_with(&pieces), "{answer:?} {pieces:?}");
}

#[test]
#[ignore = "needs SmolLM2-135M-Instruct at CHORUS_BASE_MODEL"]
fn a_real_model_answers_a_simple_question() {
    let start = std::time::Instant::now();
    let path = std::env::var_os("CHORUS_BASE_MODEL").expect("CHORUS_BASE_MODEL names a folder or a GGUF file");
    let BaseModel { checkpoint, dialogue } = BaseModel::open(path.as_ref()).expect("a base model");
    println!("opened after {:?}, {}", start.elapsed(), memory());
    let generator = Generator::new(&checkpoint, Precision::Q8).expect("a generator");
    drop(checkpoint);
    println!("ready after {:?}, {}", start.elapsed(), memory());
    let messages = [Message::new(Role::User, "What is the capital of France?")];

    let (mut first, mut steps) = (None, 0);
    let begin = std::time::Instant::now();
    let settings = Settings { max_tokens: 100, ..Settings::default() };
    let (answer, end) = generator
        .answer(&dialogue, &messages, &settings, |piece| {
            first = first.or((!piece.is_empty()).then(|| begin.elapsed()));
            steps += 1;
            ControlFlow::Continue(())
        })
        .expect("an answer");
    println!("{answer:?} {end:?}: first token after {first:?}, {steps} steps in {:?}, {}", begin.elapsed(), memory());
    assert!(answer.contains("Paris"), "{answer}");
    assert_eq!(end, End::Stop);

    let prompt = dialogue.prompt(&messages).expect("a prompt");
    let begin = std::time::Instant::now();
    let settings = Settings { max_tokens: 128, ..Settings::default() };
    let (tokens, _) = generator.generate(&prompt, &BTreeSet::new(), &settings, go).expect("an answer");
    let rate = tokens.len() as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{} tokens in {:?}: {rate:.1} per second with a prompt of {}, {}",
        tokens.len(),
        begin.elapsed(),
        prompt.len(),
        memory()
    );
    let long: Vec<u32> = prompt.iter().cycle().take(1024).copied().collect();
    let begin = std::time::Instant::now();
    generator.generate(&long, &BTreeSet::new(), &Settings { max_tokens: 1, ..settings }, go).expect("an answer");
    println!("1024 tokens read in {:?}, {}", begin.elapsed(), memory());
}

/// What the system says of this process's memory.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines.collect::<Vec<_>>().join(" ")
}
