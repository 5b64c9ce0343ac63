//! The base model of a series, opened to be trained on or asked.

use std::path::PathBuf;

use chorus_protocol::adapter::manifest::AdapterManifest;
use clap::Args;

use super::super::{Failure, Global};
use crate::{
    config::settings::Settings,
    model::{base::BaseModel, llama::Llama, series, train::Replicas},
};

/// Where the base model is.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct BaseArguments {
    /// The base model: a folder in Hugging Face's layout, or a GGUF file [default: what `chorus config set base-model` says].
    #[arg(long, value_name = "PATH", env = "CHORUS_BASE_MODEL")]
    base_model: Option<PathBuf>,
}

/// A base model, ready to compute on all cores.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) model: BaseModel,
    pub(super) llama: Llama,
    pub(super) replicas: Replicas,
}

impl BaseArguments {
    /// Opens the base model, which must be that of the series.
    pub(super) fn open(&self, global: &Global, manifest: &AdapterManifest) -> anyhow::Result<Base> {
        let path = match &self.base_model {
            Some(path) => path.clone(),
            None => Settings::read(&global.data_dir()?.settings())?.base_model.ok_or_else(|| {
                let name = &manifest.base.name;
                Failure::Usage(format!(
                    "where is the base model, {name:?}? Give --base-model PATH, or say it once with `chorus config set \
                     base-model PATH`"
                ))
            })?,
        };
        let _waiting = global.output().waiting("reading the base model");
        let model = BaseModel::open(&path)?;
        series::check_base(manifest, &model.checkpoint)?;
        let llama = Llama::new(&model.checkpoint)?;
        Ok(Base { llama, model, replicas: Replicas::of_this_machine() })
    }
}
