//! The adapters of a community's series, and the models that they are for.
//!
//! A series' entries stand in the order of its manifest; here they become factors by module, with A from the series' seed, and
//! back. Everything else of the node knows adapters by module, whatever the order.

use std::collections::BTreeMap;

use chorus_protocol::{
    adapter::{
        combine::EXTRA_BITS,
        manifest::{Adapted, AdapterManifest, Target},
        report::AdapterValues,
    },
    config::Name,
};

use super::{
    checkpoint::{Checkpoint, Config},
    lora::{Lora, LoraError, Projection, Shape, delta::dequantise, frozen_a},
    matrix::Matrix,
    peft::{Adapter, Factors},
    project::{Loss, ProjectError, Shared, project},
};

/// Why an adapter and a series do not go together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The base model is another one.
    #[error(
        "this is not the base model of the series, which is {name:?}: its configuration or its weights differ (digest \
         {found} instead of {expected})"
    )]
    OtherModel {
        /// What the series calls its base model.
        name: String,
        /// Its digest.
        expected: String,
        /// The digest of the model at hand.
        found: String,
    },
    /// There are not as many values as the series has.
    #[error("{found} values for an adapter of {expected}")]
    Length {
        /// Values of the series.
        expected: usize,
        /// Values that are given.
        found: usize,
    },
    /// A module cannot have such a rank, or is missing, or has other dimensions.
    #[error("module {0} is missing or has other dimensions than the series says")]
    Module(String),
    /// The model and the adapter do not fit.
    #[error("the adapter does not fit the model")]
    Lora(#[from] LoraError),
    /// An adapter from elsewhere cannot be brought onto the shared A.
    #[error("the adapter cannot be brought onto the A of the series")]
    Project(#[from] ProjectError),
}

/// Returns what an adapter of a shape adapts, for a manifest.
pub fn adapted(config: &Config, shape: &Shape, alpha: u32) -> Adapted {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let target = |projection: &Projection| {
        let (outputs, inputs) = projection.dimensions(config);
        // What follows "model.layers.0."
        let name = projection.module(0).splitn(4, '.').last().unwrap_or_default().to_owned();
        Target { name: Name { text: name }, inputs: narrow(inputs), outputs: narrow(outputs) }
    };
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    Adapted {
        rank: short(shape.rank),
        alpha,
        first_layer: short(config.num_hidden_layers.saturating_sub(shape.last_layers)),
        layers: short(shape.last_layers),
        targets: shape.targets.iter().map(target).collect(),
    }
}

/// Checks that a model is the base model of a series.
///
/// # Errors
///
/// Returns [`SeriesError::OtherModel`].
pub fn check_base(manifest: &AdapterManifest, checkpoint: &Checkpoint) -> Result<(), SeriesError> {
    let hex = |digest: &[u8; 32]| data_encoding::HEXLOWER.encode(digest.get(..6).unwrap_or_default());
    let digest = checkpoint.digest();
    if digest == manifest.base.digest {
        return Ok(());
    }
    let (expected, found) = (hex(&manifest.base.digest), hex(&digest));
    Err(SeriesError::OtherModel { name: manifest.base.name.clone(), expected, found })
}

/// Returns the values of a published adapter, in the order of the manifest.
pub fn values(manifest: &AdapterManifest, published: &AdapterValues) -> Vec<f32> {
    dequantise(&published.values, u32::from(manifest.encoding.fraction_bits) + u32::from(EXTRA_BITS))
}

/// Returns the adapter with these values of B, in the order of the manifest; zeros without any. A is written out.
///
/// # Errors
///
/// Returns [`SeriesError::Length`], or [`SeriesError::Module`] for a rank that a module cannot have.
pub fn adapter(manifest: &AdapterManifest, values: Option<&[f32]>) -> Result<Adapter, SeriesError> {
    let expected = manifest.entries();
    if let Some(found) = values.map(<[f32]>::len).filter(|found| *found != expected) {
        return Err(SeriesError::Length { expected, found });
    }
    let rank = usize::from(manifest.adapted.rank);
    let mut begin = 0;
    let modules = manifest.modules().map(|(name, target)| {
        let a = shared_a(manifest, &name, target)?;
        let outputs = target.outputs as usize;
        let range = begin..begin + outputs * rank;
        begin = range.end;
        let b = values.and_then(|values| values.get(range)).map_or_else(|| vec![0.0; outputs * rank], <[f32]>::to_vec);
        let b = Matrix::new(outputs, rank, b).ok_or_else(|| SeriesError::Module(name.clone()))?;
        Ok((name, Factors { a, b }))
    });
    let modules: BTreeMap<String, Factors> = modules.collect::<Result<_, SeriesError>>()?;
    let mut adapter = Adapter::of_factors(Some(manifest.base.name.clone()), modules);
    adapter.config.lora_alpha = manifest.adapted.alpha.into();
    Ok(adapter)
}

/// Returns the values of B of an adapter on the series' A, in the order of the manifest.
///
/// # Errors
///
/// Returns [`SeriesError::Module`] if a module is missing or has other dimensions.
pub fn entries(manifest: &AdapterManifest, adapter: &Adapter) -> Result<Vec<f32>, SeriesError> {
    let rank = usize::from(manifest.adapted.rank);
    let mut entries = Vec::with_capacity(manifest.entries());
    for (name, target) in manifest.modules() {
        let b = adapter.modules.get(&name).map(|factors| &factors.b);
        let b = b.filter(|b| (b.rows(), b.columns()) == (target.outputs as usize, rank));
        entries.extend_from_slice(b.ok_or(SeriesError::Module(name))?.values());
    }
    Ok(entries)
}

/// Returns an adapter of the series, ready to be computed with and trained.
///
/// # Errors
///
/// As [`adapter`]; and [`SeriesError::Lora`] if the model has no such layers.
pub fn lora(manifest: &AdapterManifest, config: &Config, values: Option<&[f32]>) -> Result<Lora, SeriesError> {
    Ok(Lora::from_adapter(config, &adapter(manifest, values)?)?)
}

/// Returns the values of an adapter that was trained, in the order of the manifest.
///
/// # Errors
///
/// As [`entries`].
pub fn trained(manifest: &AdapterManifest, lora: &Lora) -> Result<Vec<f32>, SeriesError> {
    entries(manifest, &lora.to_adapter(None)?)
}

/// Brings any adapter onto the A of a series: its values in the order of the manifest, and what was lost.
///
/// # Errors
///
/// Returns [`SeriesError::Project`].
pub fn import(
    manifest: &AdapterManifest,
    foreign: &Adapter,
) -> Result<(Vec<f32>, BTreeMap<String, Loss>), SeriesError> {
    let shared = |(name, target): (String, &Target)| {
        let a = shared_a(manifest, &name, target)?;
        Ok((name, Shared { a, outputs: Some(target.outputs as usize) }))
    };
    let shared: BTreeMap<String, Shared> = manifest.modules().map(shared).collect::<Result<_, SeriesError>>()?;
    let projection = project(foreign, &shared)?;
    // The projection's scale is 1; that of the series is alpha/rank.
    let scale = f64::from(manifest.adapted.rank) / f64::from(manifest.adapted.alpha.max(1));
    let mut values = entries(manifest, &projection.adapter)?;
    values.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    Ok((values, projection.losses))
}

fn shared_a(manifest: &AdapterManifest, name: &str, target: &Target) -> Result<Matrix, SeriesError> {
    let a = frozen_a(manifest.frozen_seed(), name, manifest.adapted.rank.into(), target.inputs as usize);
    a.ok_or_else(|| SeriesError::Module(name.to_owned()))
}

#[cfg(test)]
mod tests;
