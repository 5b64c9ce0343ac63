//! `chorus config`: what a person chooses. It works on a file that the running node reads for each action.

use std::{collections::BTreeMap, fs, path::PathBuf};

use clap::{Subcommand, ValueEnum as _};

use super::{Failure, Global, output::Lines};
use crate::{
    config::settings::{Name, Settings},
    diary,
};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Choose.
    ///
    /// At the level `anonymous`, nobody learns who votes or proposes, and ballots are points on the opinion map, for nobody
    /// can tell whose. At the level `open`, your key stands beside what you do; how you vote stays secret, and your ballot
    /// is on the map only with --on-map.
    Set {
        /// What.
        #[arg(value_enum)]
        name: Name,
        /// The value; "" takes a setting of attesters back.
        value: String,
    },
    /// Show one choice, or all.
    Get {
        /// What.
        #[arg(value_enum)]
        name: Option<Name>,
    },
}

/// Checks that the file that was just named is there, so that an attester learns it now and not before a newcomer.
fn readable(settings: &Settings, name: Name) -> Result<(), Failure> {
    let file = match name {
        Name::AllowList => settings.attester.allow_list.clone(),
        Name::BaseModel => settings.base_model.clone(),
        Name::Hook => settings.attester.hook.as_ref().filter(|hook| !hook.starts_with("http://")).map(PathBuf::from),
        Name::Level | Name::Participation | Name::Diary | Name::HookTimeout => None,
    };
    match file {
        None => Ok(()),
        Some(path) => fs::File::open(&path).map(drop).map_err(|source| Failure::File { path, source }),
    }
}

impl Config {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let path = dir.settings();
        let mut settings = Settings::read(&path)?;
        let shown = match self {
            Self::Set { name, value } => {
                settings.set(name, &value).map_err(|error| Failure::Usage(error.to_string()))?;
                readable(&settings, name)?;
                dir.create()?;
                settings.write(&path)?;
                if !settings.diary.is_on() {
                    let path = dir.diary();
                    diary::delete(&path).map_err(|source| Failure::File { path, source })?;
                }
                Some(name)
            }
            Self::Get { name } => name,
        };
        let names = Name::value_variants().iter().filter(|name| shown.is_none_or(|shown| shown == **name));
        let text_of = |name: &Name| name.to_possible_value().map(|value| value.get_name().to_owned());
        let values: BTreeMap<String, String> =
            names.filter_map(|name| Some((text_of(name)?, settings.get(*name)))).collect();
        global.output().print(&values, |values| {
            let mut lines = Lines::default();
            for (name, value) in values {
                lines.line(format!("{name:<22} {}", if value.is_empty() { "-" } else { value }));
            }
            lines.finish()
        })
    }
}
