//! What the person at a node has chosen: how they take part, and how they attest. In `config.json`, read for each action.
//!
//! ```json
//! {
//!   "level": "anonymous",
//!   "participation": "full",
//!   "diary": "on",
//!   "base_model": "/home/ada/SmolLM2-135M-Instruct",
//!   "attester": { "allow_list": "/home/ada/members.txt", "hook": "/home/ada/check", "hook_timeout_seconds": 30 }
//! }
//! ```

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::contribution::Level;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::{participation::Participation, store::files};

/// The most bytes of the file.
const MAX_BYTES: u64 = 64 * 1024;

/// How long a hook may take if nobody says how long.
const USUAL_HOOK_SECONDS: u64 = 30;

/// The longest that a hook may take.
const LONGEST_HOOK_SECONDS: u64 = 300;

/// What the person at a node has chosen.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// How the person attests, if they are an attester.
    #[serde(skip_serializing_if = "Attesting::is_default")]
    pub attester: Attesting,
}

/// Whether something is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[serde(deny_unknown_fields, default)]
pub struct Attesting {
    /// A file with one subject on each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_list: Option<PathBuf>,
    /// A program that is asked about each request, or the address of a service (`http://…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// How long the hook may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_timeout_seconds: Option<u64>,
}

impl Attesting {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns how long the hook may take.
    pub fn hook_timeout(&self) -> Duration {
        Duration::from_secs(self.hook_timeout_seconds.unwrap_or(USUAL_HOOK_SECONDS).clamp(1, LONGEST_HOOK_SECONDS))
    }
}

/// Something that can be chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Name {
    /// `anonymous` (nobody learns who votes or proposes) or `open` (your key stands beside it; how you vote stays secret).
    Level,
    /// `basic` (votes and proposals) or `full` (adapters as well).
    Participation,
    /// `on` or `off`: whether the node keeps your own votes and value cards in a file that never leaves it, for training your
    /// adapter and for showing you how you voted. `off` deletes the file.
    Diary,
    /// Where the base model is that adapters are trained for: a folder in Hugging Face's layout, or a GGUF file.
    BaseModel,
    /// Attesters: a file of people who may be admitted, one on each line.
    #[value(name = "attester.allow-list")]
    AllowList,
    /// Attesters: a program, or an address beginning with http://, that is asked about each request.
    #[value(name = "attester.hook")]
    Hook,
    /// Attesters: how many seconds it may take.
    #[value(name = "attester.hook-timeout")]
    HookTimeout,
}

/// A value that a setting does not take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{value:?} is not possible here: {possible}")]
pub struct ValueError {
    value: String,
    possible: &'static str,
}

impl Settings {
    /// Reads the file; without one, everything is as usual.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Settings`] if the file is not understood, rather than vote at another level than was meant.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refused = |source| ConfigError::Io { path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(refused(error)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(refused)?;
        let damaged =
            |error: serde_json::Error| ConfigError::Settings { path: path.to_owned(), why: error.to_string() };
        serde_json::from_str(&text).map_err(damaged)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let text = serde_json::to_string_pretty(self).expect("settings are plain data") + "\n";
        files::replace(path, "config", text.as_bytes())
            .map_err(|source| ConfigError::Io { path: path.to_owned(), source })
    }

    /// Returns the value of a setting as text; empty if there is none.
    pub fn get(&self, name: Name) -> String {
        match name {
            Name::Level => match self.level {
                Level::Anonymous => "anonymous".into(),
                Level::Open => "open".into(),
            },
            Name::Participation => self.participation.to_string(),
            Name::Diary => if self.diary.is_on() { "on" } else { "off" }.into(),
            Name::BaseModel => self.base_model.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            Name::AllowList => {
                self.attester.allow_list.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
            }
            Name::Hook => self.attester.hook.clone().unwrap_or_default(),
            Name::HookTimeout => self.attester.hook_timeout().as_secs().to_string(),
        }
    }

    /// Sets a value; an empty one takes a setting of attesters back. Relative paths begin in the present directory.
    ///
    /// # Errors
    ///
    /// Returns a [`ValueError`].
    pub fn set(&mut self, name: Name, value: &str) -> Result<(), ValueError> {
        let refuse = |possible| ValueError { value: value.to_owned(), possible };
        let given = Some(value).filter(|value| !value.is_empty());
        let absolute = |path: &str| std::path::absolute(path).map_err(|_| refuse("a path"));
        match name {
            Name::Level => {
                self.level = match value {
                    "anonymous" => Level::Anonymous,
                    "open" => Level::Open,
                    _ => return Err(refuse("anonymous or open")),
                };
            }
            Name::Participation => {
                self.participation = match value {
                    "basic" => Participation::Basic,
                    "full" => Participation::Full,
                    _ => return Err(refuse("basic or full")),
                };
            }
            Name::Diary => {
                self.diary = match value {
                    "on" => Keeping::On,
                    "off" => Keeping::Off,
                    _ => return Err(refuse("on or off")),
                };
            }
            Name::BaseModel => self.base_model = given.map(absolute).transpose()?,
            Name::AllowList => self.attester.allow_list = given.map(absolute).transpose()?,
            Name::Hook => {
                let hook = |value: &str| match value {
                    _ if value.starts_with("http://") => Ok(value.to_owned()),
                    _ if value.starts_with("https://") => {
                        Err(refuse("http:// of this machine, or a program that speaks https"))
                    }
                    _ => absolute(value).map(|path| path.display().to_string()),
                };
                self.attester.hook = given.map(hook).transpose()?;
            }
            Name::HookTimeout => {
                let seconds = |value: &str| {
                    let seconds = value.parse().ok().filter(|seconds| (1..=LONGEST_HOOK_SECONDS).contains(seconds));
                    seconds.ok_or_else(|| refuse("1 to 300 seconds"))
                };
                self.attester.hook_timeout_seconds = given.map(seconds).transpose()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_again_and_a_file_that_is_not_understood_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        assert_eq!(Settings::read(&path).expect("as usual"), Settings::default());
        let mut settings = Settings::default();
        settings.set(Name::Level, "open").expect("a level");
        settings.set(Name::Participation, "basic").expect("a choice");
        settings.set(Name::Diary, "off").expect("a choice");
        settings.set(Name::AllowList, "members.txt").expect("a path");
        settings.set(Name::Hook, "http://127.0.0.1:9/check").expect("an address");
        settings.set(Name::HookTimeout, "5").expect("seconds");
        settings.write(&path).expect("written");

        let read = Settings::read(&path).expect("read");

        assert_eq!((&read, read.get(Name::Level).as_str()), (&settings, "open"));
        assert!(read.attester.allow_list.as_ref().is_some_and(|path| path.is_absolute()));
        assert_eq!(read.attester.hook_timeout(), Duration::from_secs(5));
        settings.set(Name::AllowList, "").expect("taken back");
        assert_eq!(settings.attester.allow_list, None);
        fs::write(&path, r#"{"levle": "open"}"#).expect("written");
        assert!(matches!(Settings::read(&path), Err(ConfigError::Settings { .. })));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let mut settings = Settings::default();
        let wrong = [
            (Name::Level, "secret"),
            (Name::Participation, ""),
            (Name::Diary, "perhaps"),
            (Name::Hook, "https://example.org"),
            (Name::HookTimeout, "0"),
            (Name::HookTimeout, "soon"),
        ];

        for (name, value) in wrong {
            assert!(settings.set(name, value).is_err(), "{name:?} {value}");
        }
        assert_eq!(settings, Settings::default());
    }
}
