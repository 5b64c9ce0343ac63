//! `chorus config`: what has been chosen. It works on a file: the running node reads a person's choices for each action,
//! and what it bears itself when it starts.

use std::{collections::BTreeMap, fs, path::PathBuf};

use clap::{Subcommand, ValueEnum as _};
use serde::Serialize;

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
    ///
    /// What concerns the node's network and store holds from its next start on.
    Set {
        /// What.
        #[arg(value_enum)]
        name: Name,
        /// The value; "" takes a setting back that need not be.
        value: String,
    },
    /// Show one choice, or all.
    Get {
        /// What.
        #[arg(value_enum)]
        name: Option<Name>,
    },
    /// Show all, and where each comes from.
    List,
}

/// A setting, and where it comes from.
#[derive(Serialize)]
struct Row {
    name: String,
    value: String,
    from: String,
    variable: String,
}

/// Checks that the file that was just named is there, so that an attester learns it now and not before a newcomer.
fn readable(settings: &Settings, name: Name) -> Result<(), Failure> {
    let file = match name {
        Name::AllowList => settings.attester.allow_list.clone(),
        Name::BaseModel => settings.base_model.clone(),
        Name::ModelPath => settings.model.path.clone(),
        Name::ModelKeyFile => settings.model.key_file.clone(),
        Name::Hook => settings.attester.hook.as_ref().filter(|hook| !hook.starts_with("http://")).map(PathBuf::from),
        _ => None,
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
        let shown = match self {
            Self::List => return list(global, &Settings::read_file(&path)?),
            Self::Set { name, value } => {
                let mut settings = Settings::read_file(&path)?;
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
        let settings = Settings::read(&path)?.resolved();
        let names = Name::value_variants().iter().filter(|name| shown.is_none_or(|shown| shown == **name));
        let values: BTreeMap<String, String> = names.map(|name| (name.to_string(), settings.get(*name))).collect();
        global.output().print(&values, |values| {
            let mut lines = Lines::default();
            for (name, value) in values {
                lines.line(format!("{name:<32} {}", or_dash(value)));
            }
            lines.finish()
        })
    }
}

fn list(global: &Global, file: &Settings) -> anyhow::Result<()> {
    let settings = file.clone().overridden(|variable| std::env::var(variable).ok())?;
    let (usual, resolved, profile) = (Settings::default(), settings.resolved(), settings.profile());
    let rows = Name::value_variants().iter().map(|name| {
        let variable = name.variable();
        let from = if std::env::var(&variable).is_ok_and(|value| !value.is_empty()) {
            "the environment".to_owned()
        } else if file.get(*name) != usual.get(*name) {
            "the file".to_owned()
        } else if settings.get(*name) != resolved.get(*name) && *name != Name::Profile {
            format!("the profile {profile}")
        } else {
            "as usual".to_owned()
        };
        Row { name: name.to_string(), value: resolved.get(*name), from, variable }
    });
    global.output().print(&rows.collect::<Vec<_>>(), |rows| {
        let mut lines = Lines::default();
        for row in rows {
            lines.line(format!("{:<32} {:<24} {}", row.name, or_dash(&row.value), row.from));
        }
        lines.finish()
    })
}

fn or_dash(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}
