//! The whole model: against real PEFT's logits, and its gradients against difference quotients.

use std::{collections::BTreeMap, path::PathBuf};

use candle_core::Device;
use serde_json::Value;

use super::*;
use crate::model::{
    checkpoint::{
        Architecture, Config,
        tests::{toy, toy_qwen},
    },
    lora::tests::shape,
    ops::{head, tests::draw},
    peft::Adapter,
};

/// A model that PEFT itself has computed with, and what it computed.
struct Fixture {
    checkpoint: Checkpoint,
    adapter: Adapter,
    golden: Value,
}

impl Fixture {
    fn read(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
        let json = |file: &str| -> Value {
            let text = std::fs::read(folder.join(file)).expect("a committed fixture");
            serde_json::from_slice(&text).expect("JSON")
        };
        let config = json("config.json");
        let number = |name: &str| config[name].as_u64().expect("a number") as usize;
        let qwen = config["model_type"] == "qwen2";
        let config = Config {
            architecture: if qwen { Architecture::Qwen2 } else { Architecture::Llama },
            hidden_size: number("hidden_size"),
            intermediate_size: number("intermediate_size"),
            num_hidden_layers: number("num_hidden_layers"),
            num_attention_heads: number("num_attention_heads"),
            num_key_value_heads: number("num_key_value_heads"),
            head_dim: number("hidden_size") / number("num_attention_heads"),
            vocab_size: number("vocab_size"),
            rms_norm_eps: config["rms_norm_eps"].as_f64().expect("a number"),
            rope_theta: config["rope_parameters"]["rope_theta"].as_f64().expect("a number"),
            rope_scaling: None,
            tie_word_embeddings: config["tie_word_embeddings"] == true,
            attention_bias: qwen,
            max_position_embeddings: number("max_position_embeddings"),
        };
        let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).expect("weights");
        let tensors: BTreeMap<_, _> = tensors.into_iter().collect();
        Self {
            checkpoint: Checkpoint::new(config, tensors).expect("a model"),
            adapter: Adapter::read(&folder.join("adapter")).expect("an adapter"),
            golden: json("golden.json"),
        }
    }

    fn tokens(&self) -> Vec<u32> {
        let tokens = self.golden["input_ids"].as_array().expect("tokens").iter();
        tokens.map(|token| token.as_u64().expect("a token") as u32).collect()
    }

    fn logits(&self, name: &str) -> Vec<f64> {
        let rows = self.golden[name].as_array().expect("rows").iter();
        rows.flat_map(|row| row.as_array().expect("a row").iter().map(|value| value.as_f64().expect("a number")))
            .collect()
    }
}

#[test]
fn logits_and_losses_are_those_of_peft() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let fixture = Fixture::read(name);
        let llama = Llama::new(&fixture.checkpoint).expect("a model");
        let lora = Lora::from_adapter(&fixture.checkpoint.config, &fixture.adapter).expect("fits");
        let tokens = fixture.tokens();
        for (lora, logits, loss) in
            [(None, "logits_base", "loss_base"), (Some(&lora), "logits_adapter", "loss_adapter")]
        {
            let ours = llama.logits(&tokens, lora).expect("a text");
            let expected = fixture.logits(logits);
            assert_eq!(ours.values().len(), expected.len());
            let worst = ours.values().iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{name}, {logits}: {worst}");

            let hidden = llama.hidden(&tokens[..tokens.len() - 1], lora).expect("a text");
            let losses = head::cross_entropy(&hidden, llama.head(), &tokens[1..], None).values;
            let mean = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64;
            let expected = fixture.golden[loss].as_f64().expect("a number");
            assert!((mean - expected).abs() < 1e-5, "{name}, {loss}: {mean} for {expected}");
        }
    }
}

/// Two texts, with rows chosen from both.
const TEXTS: [Range<usize>; 2] = [0..5, 5..9];
const CHOSEN: [usize; 3] = [2, 4, 8];

fn setup(config: &Config, last_layers: usize, targets: &[Projection]) -> (Llama, Lora, Rows) {
    let llama = Llama::new(&Checkpoint::random(config.clone(), 3)).expect("a model");
    let mut lora = Lora::new(config, &shape(targets, last_layers), &[1; 32]).expect("fits");
    let delta: Vec<f32> = draw(31, 1, lora.len()).into_values().iter().map(|value| 0.2 * value).collect();
    lora.set(&delta).expect("as long");
    let first = lora.first_layer();
    let mut hidden = llama.prefix(&[1, 2, 3, 4, 5], first).expect("a text").into_values();
    hidden.extend(llama.prefix(&[9, 8, 7, 6], first).expect("a text").into_values());
    (llama, lora, Rows::new(config.hidden_size, hidden))
}

fn value(llama: &Llama, lora: &Lora, hidden: &Rows, g: &Rows) -> f64 {
    let results = llama.outputs(hidden.clone(), &TEXTS, lora.first_layer(), Some(lora), &CHOSEN);
    results.values().iter().zip(g.values()).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum()
}

#[test]
fn every_adapted_value_has_a_gradient_and_it_is_the_slope() {
    let cases: [(Config, usize, &[Projection]); 6] = [
        (toy(), 3, &Projection::ALL),
        (toy_qwen(), 2, &Projection::ALL),
        (toy(), 2, &[Projection::Q, Projection::V]),
        (toy(), 3, &[Projection::Gate]),
        (toy(), 3, &[Projection::Down]),
        (toy(), 1, &[Projection::O]),
    ];
    for (config, last_layers, targets) in cases {
        let (llama, lora, hidden) = setup(&config, last_layers, targets);
        let g = draw(32, CHOSEN.len(), config.hidden_size);
        let (_, tape) = llama.forward(hidden.clone(), &TEXTS, lora.first_layer(), Some(&lora), &CHOSEN);
        let mut gradient = vec![0.0; lora.len()];

        llama.backward(tape, &lora, g.clone(), &mut gradient);

        for (name, range) in lora.modules() {
            let module = &gradient[range.clone()];
            assert!(module.iter().any(|value| value.abs() > 1e-3), "{targets:?}: {name} has no gradient");
            for i in range.clone().step_by(range.len() / 9) {
                let at = |step: f32| {
                    let (mut lora, mut delta) = (lora.clone(), lora.delta());
                    delta[i] += step;
                    lora.set(&delta).expect("as long");
                    value(&llama, &lora, &hidden, &g)
                };
                let step = 1.0 / 128.0;
                let (slope, ours) = ((at(step) - at(-step)) / f64::from(2.0 * step), f64::from(gradient[i]));
                assert!((slope - ours).abs() < 5e-3 * slope.abs().max(1.0), "{name}, {i}: {ours} for {slope}");
            }
        }
    }
}

#[test]
fn a_fresh_adapter_changes_nothing() {
    let checkpoint = Checkpoint::random(toy(), 3);
    let llama = Llama::new(&checkpoint).expect("a model");
    let lora = Lora::new(&toy(), &shape(&Projection::ALL, 3), &[1; 32]).expect("fits");
    let (base, adapted) = (llama.logits(&[1, 2, 3], None), llama.logits(&[1, 2, 3], Some(&lora)));
    assert_eq!(base.expect("a text").values(), adapted.expect("a text").values());
}

#[test]
fn texts_together_and_apart_from_a_cached_prefix_and_whole_give_the_same() {
    let (llama, lora, hidden) = setup(&toy(), 2, &Projection::ALL);

    let together = llama.outputs(hidden, &TEXTS, lora.first_layer(), Some(&lora), &CHOSEN);

    let first = llama.hidden(&[1, 2, 3, 4, 5], Some(&lora)).expect("a text");
    let second = llama.hidden(&[9, 8, 7, 6], Some(&lora)).expect("a text");
    for (row, expected) in [(0, first.row(2)), (1, first.row(4)), (2, second.row(3))] {
        let worst = together.row(row).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "row {row}: {worst}");
    }
}

#[test]
fn texts_that_no_model_can_take_are_refused() {
    let llama = Llama::new(&Checkpoint::random(toy(), 3)).expect("a model");
    assert_eq!(llama.check(&[]), Err(TextError::Empty));
    assert_eq!(llama.check(&[95, 96]), Err(TextError::Token { token: 96, vocabulary: 96 }));
    assert_eq!(llama.check(&[0; 129]), Err(TextError::TooLong { found: 129, bound: 128 }));
    assert_eq!(llama.check(&[0; 128]), Ok(()));
}
