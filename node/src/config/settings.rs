//! What has been chosen: how the person takes part and attests, and what the node's line and machine bear.
//!
//! In `config.toml`; an environment variable goes before the file, a flag of the command line before both. What a person
//! chooses is read for each action, what a node bears when it starts.
//!
//! ```toml
//! level = "anonymous"
//! participation = "full"
//! diary = "on"
//! base-model = "/home/ada/SmolLM2-135M-Instruct"
//! profile = "metered"
//!
//! [attester]
//! allow-list = "/home/ada/members.txt"
//! hook = "/home/ada/check"
//! hook-timeout = 30
//!
//! [network]
//! listen = ["/ip4/0.0.0.0/udp/4101/quic-v1"]
//! upload = "2Mbit/s"
//!
//! [storage]
//! blobs = "8GiB"
//!
//! [model]
//! path = "/home/ada/SmolLM2-135M-Instruct"
//! ```

mod name;

use std::{
    fs,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::contribution::Level;
use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

pub use self::name::{Name, ValueError};
use super::{
    ConfigError,
    profile::{Bearing, NetworkSettings, Profile, StorageSettings},
};
use crate::{chat::answer::Place, participation::Participation, store::files};

/// The most bytes of the file.
const MAX_BYTES: u64 = 64 * 1024;

/// How long a hook may take if nobody says how long.
const USUAL_HOOK_SECONDS: u64 = 30;

/// The longest that a hook may take.
const LONGEST_HOOK_SECONDS: u64 = 300;

/// What has been chosen.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// How contributions and proposals show that a member made them.
    pub level: Level,
    /// What the person contributes.
    pub participation: Participation,
    /// Whether the node writes down how its person votes, for the training of their adapter.
    #[serde(skip_serializing_if = "Keeping::is_on")]
    pub diary: Keeping,
    /// Where the base model is that adapters are trained for: a folder in Hugging Face's layout, or a GGUF file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_model: Option<PathBuf>,
    /// What kind of line and machine this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// How the person attests, if they are an attester.
    #[serde(skip_serializing_if = "is_default")]
    pub attester: Attesting,
    /// What is set of the network, whatever the profile says.
    #[serde(skip_serializing_if = "is_default")]
    pub network: NetworkSettings,
    /// What is set of the store.
    #[serde(skip_serializing_if = "is_default")]
    pub storage: StorageSettings,
    /// Who may look at the node's health.
    #[serde(skip_serializing_if = "is_default")]
    pub metrics: MetricsSettings,
    /// What the community's model is, for conversations.
    #[serde(skip_serializing_if = "is_default")]
    pub model: ModelSettings,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether something is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// It is.
    #[default]
    On,
    /// It is not.
    Off,
}

impl Keeping {
    /// Returns whether it is kept.
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::On)
    }
}

/// On what evidence an attester admits people.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Attesting {
    /// A file with one subject on each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_list: Option<PathBuf>,
    /// A program that is asked about each request, or the address of a service (`http://…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// How long the hook may take.
    #[serde(rename = "hook-timeout", skip_serializing_if = "Option::is_none")]
    pub hook_timeout_seconds: Option<u64>,
}

impl Attesting {
    /// Returns how long the hook may take.
    pub fn hook_timeout(&self) -> Duration {
        Duration::from_secs(self.hook_timeout_seconds.unwrap_or(USUAL_HOOK_SECONDS).clamp(1, LONGEST_HOOK_SECONDS))
    }
}

/// Where `/livez`, `/readyz` and `/metrics` are answered besides the local interface.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MetricsSettings {
    /// An address of this machine. Whoever can reach it can read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// Which model answers.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ModelSettings {
    /// Where it computes. An endpoint is asked only if this says `outside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Place>,
    /// A model on this machine: a folder in Hugging Face's layout, or a GGUF file; if none is named, the base model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// An endpoint, up to `/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the endpoint calls its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A file whose first line is the endpoint's key; the environment's `CHORUS_MODEL_KEY` goes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// How many tokens the endpoint's model reads and writes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u32>,
    /// The most tokens of an answer if whoever asks does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl Settings {
    /// Returns where the model on this machine is, for conversations.
    pub fn model_path(&self) -> Option<&Path> {
        self.model.path.as_deref().or(self.base_model.as_deref())
    }

    /// Reads the file, and what the environment says instead; without both, everything is as usual.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Settings`] or [`ConfigError::Environment`] if one of them is not understood, rather than vote at
    /// another level than was meant. A key that does not exist is not understood.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_file(path)?.overridden(|variable| std::env::var(variable).ok())
    }

    /// Reads the file alone: what is about to be changed.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Settings`] if it is not understood.
    pub fn read_file(path: &Path) -> Result<Self, ConfigError> {
        let refused = |source| ConfigError::Io { path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(refused(error)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(refused)?;
        let damaged = |why: String| ConfigError::Settings { path: path.to_owned(), why };
        if text.len() as u64 > MAX_BYTES {
            return Err(damaged(format!("it is longer than {MAX_BYTES} bytes")));
        }
        toml::from_str(&text).map_err(|error| damaged(error.to_string().trim_end().to_owned()))
    }

    /// Returns the settings with what the environment says instead. An empty variable says nothing.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Environment`].
    pub fn overridden(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        for name in Name::value_variants() {
            let key = name.variable();
            if let Some(value) = variable(&key).filter(|value| !value.is_empty()) {
                self.set(*name, &value)
                    .map_err(|error| ConfigError::Environment { variable: key, why: error.to_string() })?;
            }
        }
        Ok(self)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string_pretty(self).expect("settings are plain data, tables last");
        files::replace(path, "config", text.as_bytes())
            .map_err(|source| ConfigError::Io { path: path.to_owned(), source })
    }

    /// Returns what kind of line and machine this is.
    pub fn profile(&self) -> Profile {
        self.profile.unwrap_or_default()
    }

    /// Returns all that the node's network and store go by: what is set, and else what follows from the profile.
    pub fn bearing(&self) -> Bearing {
        self.profile().bearing().with(&self.network, &self.storage)
    }

    /// Returns the settings with all of them set that follow from the profile.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let (network, storage) = self.bearing().into_settings();
        Self { profile: Some(self.profile()), network, storage, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
