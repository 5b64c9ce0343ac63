//! `chorus config`: what a person chooses. It works on a file that the running node reads for each action.

use std::collections::BTreeMap;

use clap::{Subcommand, ValueEnum as _};

use super::{Failure, Global, output::Lines};
use crate::config::settings::{Name, Settings};

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

impl Config {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let path = dir.settings();
        let mut settings = Settings::read(&path)?;
        let shown = match self {
            Self::Set { name, value } => {
                settings.set(name, &value).map_err(|error| Failure::Usage(error.to_string()))?;
                dir.create()?;
                settings.write(&path)?;
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
