//! Low-rank adapters of which everybody shares A and trains B (FFA-LoRA): `ΔW = s·B·A`, with s = α/r.
//!
//! With A frozen and shared, the mean of the B is exactly the mean of the updates, which is what lets a community sum masked
//! contributions. A comes from a public seed ([`frozen_a`]); its rows are orthonormal, so that a norm of B is the norm of
//! `B·A`, and a bound on what is contributed bounds what it does to the model.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    checkpoint::Config,
    matrix::Matrix,
    ops::{Rows, linear::LowRank},
    peft::{self, Adapter, Factors},
};

pub mod delta;
mod frozen;

pub use frozen::frozen_a;

/// The linear layers that can be adapted, in the order in which their B stand in a [delta](Lora::delta).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Projection {
    /// `self_attn.q_proj`.
    Q,
    /// `self_attn.k_proj`.
    K,
    /// `self_attn.v_proj`.
    V,
    /// `self_attn.o_proj`.
    O,
    /// `mlp.gate_proj`.
    Gate,
    /// `mlp.up_proj`.
    Up,
    /// `mlp.down_proj`.
    Down,
}

impl Projection {
    /// All, in order.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Returns the name that PEFT's `target_modules` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// Returns the name of the module in a layer.
    pub fn module(self, layer: usize) -> String {
        let part = match self {
            Self::Q | Self::K | Self::V | Self::O => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        };
        format!("model.layers.{layer}.{part}.{}", self.name())
    }

    /// Returns whether some models have a bias there.
    pub const fn may_have_bias(self) -> bool {
        matches!(self, Self::Q | Self::K | Self::V)
    }

    /// Returns the numbers of outputs and of inputs.
    pub const fn dimensions(self, config: &Config) -> (usize, usize) {
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        match self {
            Self::Q => (queries, config.hidden_size),
            Self::K | Self::V => (keys, config.hidden_size),
            Self::O => (config.hidden_size, queries),
            Self::Gate | Self::Up => (config.intermediate_size, config.hidden_size),
            Self::Down => (config.hidden_size, config.intermediate_size),
        }
    }
}

/// What an adapter adapts.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// r.
    pub rank: usize,
    /// α.
    pub alpha: f64,
    /// Which linear layers.
    pub targets: BTreeSet<Projection>,
    /// In how many of the last layers.
    pub last_layers: usize,
}

/// Why an adapter and a model do not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoraError {
    /// The shape adapts nothing, or what is not there.
    #[error("an adapter without targets, layers or rank, or with more than the model has")]
    Shape,
    /// A module belongs to no layer of the model.
    #[error("{0} is not in the model")]
    Module(String),
    /// A module has other dimensions than in the model.
    #[error("{0} has other dimensions in the model")]
    Dimensions(String),
    /// A vector has not as many values as the adapter.
    #[error("{found} values for an adapter of {expected}")]
    Length {
        /// Values of the adapter.
        expected: usize,
        /// Values that are given.
        found: usize,
    },
}

/// An adapter, ready to compute and to be trained.
#[derive(Clone)]
pub struct Lora {
    modules: BTreeMap<(usize, Projection), Module>,
    values: usize,
}

#[derive(Clone)]
struct Module {
    low_rank: LowRank,
    /// Where its B begins in a delta.
    offset: usize,
}

impl Lora {
    /// Returns the adapter with A from a seed and with B = 0, which changes nothing yet.
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::Shape`].
    pub fn new(config: &Config, shape: &Shape, seed: &[u8; 32]) -> Result<Self, LoraError> {
        let layers = config.num_hidden_layers;
        let widest = shape.targets.iter().map(|target| target.dimensions(config).1).min().ok_or(LoraError::Shape)?;
        let ranks = 1..=widest;
        if !ranks.contains(&shape.rank) || !(1..=layers).contains(&shape.last_layers) || !shape.alpha.is_finite() {
            return Err(LoraError::Shape);
        }
        let places = (layers - shape.last_layers..layers)
            .flat_map(|layer| shape.targets.iter().map(move |projection| (layer, *projection)));
        let modules = places.map(|(layer, projection)| {
            let (outputs, inputs) = projection.dimensions(config);
            let a = frozen_a(seed, &projection.module(layer), shape.rank, inputs).ok_or(LoraError::Shape)?;
            let low_rank = LowRank {
                a: Rows::new(inputs, a.values().to_vec()),
                b: Rows::zeros(outputs, shape.rank),
                scale: (shape.alpha / shape.rank as f64) as f32,
            };
            Ok(((layer, projection), low_rank))
        });
        Ok(Self::assemble(modules.collect::<Result<_, _>>()?))
    }

    /// Returns any LoRA adapter of the PEFT format, whatever its A and its ranks.
    ///
    /// # Errors
    ///
    /// Returns a [`LoraError`] that names the module that does not fit the model.
    pub fn from_adapter(config: &Config, adapter: &Adapter) -> Result<Self, LoraError> {
        let places: BTreeMap<String, (usize, Projection)> = (0..config.num_hidden_layers)
            .flat_map(|layer| Projection::ALL.map(|projection| (projection.module(layer), (layer, projection))))
            .collect();
        let modules = adapter.modules.iter().map(|(name, factors)| {
            let place = *places.get(name).ok_or_else(|| LoraError::Module(name.clone()))?;
            if place.1.dimensions(config) != (factors.b.rows(), factors.a.columns()) || factors.rank() == 0 {
                return Err(LoraError::Dimensions(name.clone()));
            }
            let low_rank = LowRank {
                a: Rows::new(factors.a.columns(), factors.a.values().to_vec()),
                b: Rows::new(factors.b.columns(), factors.b.values().to_vec()),
                scale: adapter.config.scale(factors.rank()) as f32,
            };
            Ok((place, low_rank))
        });
        let modules: BTreeMap<_, _> = modules.collect::<Result<_, _>>()?;
        if modules.is_empty() { Err(LoraError::Shape) } else { Ok(Self::assemble(modules)) }
    }

    fn assemble(modules: BTreeMap<(usize, Projection), LowRank>) -> Self {
        let mut values = 0;
        let modules = modules.into_iter().map(|(place, low_rank)| {
            let offset = values;
            values += low_rank.b.values().len();
            (place, Module { low_rank, offset })
        });
        let modules = modules.collect();
        Self { modules, values }
    }

    /// Returns the adapter in the PEFT format, with A written out.
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::Shape`] if modules have different scales or ranks, which a freshly trained adapter has not.
    pub fn to_adapter(&self, base_model: Option<String>) -> Result<Adapter, LoraError> {
        let first = &self.modules.values().next().ok_or(LoraError::Shape)?.low_rank;
        let (rank, scale) = (first.a.rows(), first.scale);
        let uniform = |module: &Module| module.low_rank.a.rows() == rank && module.low_rank.scale == scale;
        if !self.modules.values().all(uniform) {
            return Err(LoraError::Shape);
        }
        let matrix = |rows: &Rows| Matrix::new(rows.rows(), rows.columns(), rows.values().to_vec());
        let modules = self.modules.iter().map(|((layer, projection), module)| {
            let (a, b) = matrix(&module.low_rank.a).zip(matrix(&module.low_rank.b)).expect("whole rows");
            (projection.module(*layer), Factors { a, b })
        });
        let targets: BTreeSet<&str> = self.modules.keys().map(|(_, projection)| projection.name()).collect();
        let targets = targets.into_iter().map(str::to_owned).collect();
        let rank_of_file = u32::try_from(rank).map_err(|_| LoraError::Shape)?;
        let config = peft::Config::new(base_model, rank_of_file, f64::from(scale) * rank as f64, targets);
        Ok(Adapter { config, modules: modules.collect() })
    }

    /// Returns the number of values of all B.
    pub const fn len(&self) -> usize {
        self.values
    }

    /// Returns whether it adapts nothing, which no adapter does.
    pub const fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Returns the first layer that is adapted.
    pub fn first_layer(&self) -> usize {
        self.modules.keys().next().map_or(usize::MAX, |(layer, _)| *layer)
    }

    /// Returns all B as one vector: by layer, then by projection in the order of [`Projection`], each row by row.
    pub fn delta(&self) -> Vec<f32> {
        self.modules.values().flat_map(|module| module.low_rank.b.values()).copied().collect()
    }

    /// Takes all B from one vector, as [`delta`](Self::delta) returns it.
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::Length`].
    pub fn set(&mut self, delta: &[f32]) -> Result<(), LoraError> {
        if delta.len() != self.values {
            return Err(LoraError::Length { expected: self.values, found: delta.len() });
        }
        for Module { low_rank, offset } in self.modules.values_mut() {
            let values = low_rank.b.values_mut();
            values.copy_from_slice(&delta[*offset..*offset + values.len()]);
        }
        Ok(())
    }

    /// Returns the names of the adapted modules and the range of each in a [delta](Self::delta).
    pub fn modules(&self) -> impl Iterator<Item = (String, std::ops::Range<usize>)> {
        self.modules.iter().map(|((layer, projection), module)| {
            (projection.module(*layer), module.offset..module.offset + module.low_rank.b.values().len())
        })
    }

    /// Hands over all that the adapter is, number by number.
    pub(crate) fn absorb(&self, number: &mut impl FnMut(u64)) {
        for ((layer, projection), Module { low_rank: LowRank { a, b, scale }, .. }) in &self.modules {
            [*layer, *projection as usize, a.rows()].into_iter().for_each(|it| number(it as u64));
            let values = a.values().iter().chain(b.values()).chain([scale]);
            values.for_each(|value| number(u64::from(value.to_bits())));
        }
    }

    /// Returns the update of a linear layer.
    pub(crate) fn low_rank(&self, layer: usize, projection: Projection) -> Option<&LowRank> {
        Some(&self.modules.get(&(layer, projection))?.low_rank)
    }

    /// The backward of one module's update; `gradient` is of all B.
    pub(crate) fn backward(
        &self,
        layer: usize,
        projection: Projection,
        u: &Rows,
        of_y: &Rows,
        gradient: &mut [f32],
        of_x: Option<&mut Rows>,
    ) {
        if let Some(Module { low_rank, offset }) = self.modules.get(&(layer, projection)) {
            let of_b = &mut gradient[*offset..*offset + low_rank.b.values().len()];
            low_rank.backward(u, of_y, of_b, of_x);
        }
    }
}

/// Shows no value: a personal adapter says what somebody thinks.
impl std::fmt::Debug for Lora {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lora").field("values", &self.values).finish_non_exhaustive()
    }
}

/// Personal until it is published: wiped.
impl Drop for Module {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.low_rank.b.values_mut());
    }
}

#[cfg(test)]
pub(crate) mod tests;
