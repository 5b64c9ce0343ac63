//! How long a training step takes: at the sizes at which other implementations were measured, with random weights.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use super::{
    checkpoint::{Architecture, Checkpoint, Config},
    llama::Llama,
    lora::{Lora, Projection},
    train::{Example, Progress, Replicas, TrainConfig, TrainError, Trainer},
};

/// A model's size and a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The model.
    pub config: Config,
    /// Texts in a batch.
    pub texts: usize,
    /// Tokens in a text, each of which is predicted.
    pub tokens: usize,
}

impl Workload {
    /// A llama of 15 million parameters, 8 texts of 128 tokens.
    pub fn small() -> Self {
        let config = Config {
            architecture: Architecture::Llama,
            hidden_size: 288,
            intermediate_size: 768,
            num_hidden_layers: 6,
            num_attention_heads: 6,
            num_key_value_heads: 6,
            head_dim: 48,
            vocab_size: 32_000,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            tie_word_embeddings: true,
            attention_bias: false,
            max_position_embeddings: 256,
        };
        Self { config, texts: 8, tokens: 128 }
    }

    /// The shape of SmolLM2-135M, 4 texts of 64 tokens.
    pub fn smollm2() -> Self {
        let config = Config {
            hidden_size: 576,
            intermediate_size: 1536,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: 3,
            head_dim: 64,
            vocab_size: 49_152,
            rope_theta: 100_000.0,
            max_position_embeddings: 8192,
            ..Self::small().config
        };
        Self { config, texts: 4, tokens: 64 }
    }

    /// Returns the time of a step of training B of rank 8 on the targets in all layers, the fastest of `steps` after one that
    /// warms up, with so many threads.
    ///
    /// # Errors
    ///
    /// Returns a [`TrainError`].
    ///
    /// # Panics
    ///
    /// Panics if the configuration is no model's.
    pub fn step(&self, targets: &[Projection], replicas: Replicas, steps: usize) -> Result<Duration, TrainError> {
        let llama = Llama::new(&Checkpoint::random(self.config.clone(), 1)).expect("a whole model");
        let config = TrainConfig {
            targets: BTreeSet::from_iter(targets.iter().copied()),
            last_layers: self.config.num_hidden_layers,
            epochs: steps + 1,
            batch: self.texts,
            shards: replicas.threads(),
            ..TrainConfig::default()
        };
        let lora = Lora::new(&self.config, &config.shape(), &[1; 32])?;
        let text =
            |seed: usize| (0..self.tokens).map(move |i| ((seed * 7919 + i * 104_729) % self.config.vocab_size) as u32);
        let example = |seed| Example::Answer { prompt: vec![1], answer: text(seed).collect() };
        let examples: Vec<Example> = (0..self.texts).map(example).collect();
        let mut trainer = Trainer::new(&llama, replicas, lora, config, &examples, |_| ControlFlow::Continue(()))?;
        let (mut fastest, mut before) = (Duration::MAX, Instant::now());
        trainer.run(|progress| {
            if let Progress::Step { step, .. } = progress {
                fastest = if step == 1 { fastest } else { fastest.min(before.elapsed()) };
                before = Instant::now();
            }
            ControlFlow::Continue(())
        })?;
        Ok(fastest)
    }
}

/// Returns the most bytes of memory that this process has used at once, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
