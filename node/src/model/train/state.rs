//! A training that was interrupted, as bytes: the safetensors format, so that any tool can look at it.

use std::collections::HashMap;

use chorus_crypto::domain;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use zeroize::Zeroize as _;

use super::{Example, TrainConfig};
use crate::model::{llama::Llama, lora::Lora};

/// The version of the file.
const VERSION: &str = "1";

/// Why a training cannot go on from a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes are no state of this version.
    #[error("this is no state of a training, or one of another version")]
    Damaged,
    /// It belongs to a training of another model, adapter, configuration or of other examples.
    #[error("the state belongs to another training: another model, configuration or other examples")]
    Other,
}

/// All that a training needs to go on: B, the optimiser's two means, and how many steps were taken.
///
/// # Security
///
/// It holds a personal adapter. Whoever writes it to a disk keeps it readable by its owner alone.
pub struct State {
    fingerprint: [u8; 32],
    step: usize,
    /// B, the first means, the second means.
    vectors: [Vec<f32>; 3],
}

/// The names of the vectors in the file.
const NAMES: [&str; 3] = ["b", "first", "second"];

impl State {
    pub(super) const fn new(
        fingerprint: [u8; 32],
        step: usize,
        b: Vec<f32>,
        first: Vec<f32>,
        second: Vec<f32>,
    ) -> Self {
        Self { fingerprint, step, vectors: [b, first, second] }
    }

    /// Returns the step and the vectors, if they are of the training with this fingerprint.
    pub(super) fn of(&self, fingerprint: &[u8; 32]) -> Option<(usize, [&[f32]; 3])> {
        (self.fingerprint == *fingerprint).then(|| (self.step, self.vectors.each_ref().map(Vec::as_slice)))
    }

    /// Returns how many steps were taken.
    pub const fn step(&self) -> usize {
        self.step
    }

    /// Returns the bytes for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self
            .vectors
            .each_ref()
            .map(|vector| -> Vec<u8> { vector.iter().flat_map(|value| value.to_le_bytes()).collect() });
        let view =
            |bytes| TensorView::new(Dtype::F32, vec![self.vectors[0].len()], bytes).expect("as many as the shape says");
        let views = NAMES.into_iter().zip(bytes.each_ref().map(|bytes| view(bytes)));
        let metadata = HashMap::from([
            ("version".to_owned(), VERSION.to_owned()),
            ("step".to_owned(), self.step.to_string()),
            ("fingerprint".to_owned(), data_encoding::HEXLOWER.encode(&self.fingerprint)),
        ]);
        let file = safetensors::serialize(views, Some(metadata)).expect("three vectors in memory");
        bytes.iter_mut().for_each(Vec::zeroize);
        file
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// Returns [`StateError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        Self::read(bytes).ok_or(StateError::Damaged)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let metadata = header.metadata().as_ref()?;
        if metadata.get("version")? != VERSION {
            return None;
        }
        let fingerprint = data_encoding::HEXLOWER.decode(metadata.get("fingerprint")?.as_bytes()).ok()?;
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        let vector = |name: &str| {
            let view = tensors.tensor(name).ok()?;
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let values: Vec<f32> = (view.dtype() == Dtype::F32).then(|| values.collect())?;
            values.iter().all(|value| value.is_finite()).then_some(values)
        };
        let [b, first, second] = NAMES.map(vector);
        let vectors = [b?, first?, second?];
        Some(Self { fingerprint: fingerprint.try_into().ok()?, step: metadata.get("step")?.parse().ok()?, vectors })
    }
}

/// Shows no value: a personal adapter says what somebody thinks.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.vectors.iter_mut().for_each(Vec::zeroize);
    }
}

/// Returns what a state must belong to: the model, the adapter that the training began with, its configuration and examples.
pub(super) fn fingerprint<'e>(
    llama: &Llama,
    lora: &Lora,
    config: &TrainConfig,
    examples: impl Iterator<Item = &'e Example>,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(domain::MODEL_TRAINING.as_str());
    hasher.update(&llama.checkpoint().digest());
    let mut number = |value: u64| {
        hasher.update(&value.to_le_bytes());
    };
    let numbers = [config.learning_rate, config.weight_decay, config.beta, config.gradient_bound];
    numbers.into_iter().for_each(|value| number(value.to_bits()));
    [config.epochs, config.batch, config.shards].into_iter().for_each(|count| number(count as u64));
    number(config.seed);
    number(config.from_base.into());
    lora.absorb(&mut number);
    for example in examples {
        let (kind, texts): (_, [&[u32]; 3]) = match example {
            Example::Answer { prompt, answer } => (0, [prompt, answer, &[]]),
            Example::Distillation { told, untold, answer } => (1, [told, untold, answer]),
            Example::Verdict { chosen, rejected, yes, no } => (2, [chosen, rejected, &[*yes, *no]]),
        };
        number(kind);
        for text in texts {
            number(text.len() as u64);
            text.iter().for_each(|token| number(u64::from(*token)));
        }
    }
    *hasher.finalize().as_bytes()
}
