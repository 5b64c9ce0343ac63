//! `chorus import`: the log of a community from a file, for a home that is new or behind.

use std::path::PathBuf;

use clap::Args;

use super::{Global, output::Lines};
use crate::{
    config::settings::Settings,
    driver::import::{self, Home, Imported},
};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// An audit bundle, as `chorus export` writes it, or an export that a node has made of its log (`node/exports/log-…`).
    file: PathBuf,
}

impl Import {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let genesis = dir.genesis()?;
        let quota = Settings::read(&dir.settings())?.bearing().blobs.limit().unwrap_or(u64::MAX);
        let signed = dir.signed().try_exists()?;
        let mut rng = global.randomness().generator("import", &[]);
        let waiting = global.output().waiting("checking the log");
        let home = Home { folder: &dir.node(), genesis: &genesis, quota, signed };
        let imported = import::import(&home, &self.file, &mut rng, &mut |height| {
            waiting.say(format!("checking the log: height {}", height.0));
        })?;
        drop(waiting);
        global.output().print(&imported, text)
    }
}

fn text(imported: &Imported) -> String {
    let Imported { before, height, in_file, journal, bodies, no_room } = *imported;
    let mut lines = Lines::default();
    lines.field("height", height).field("before", before).field("in the file", in_file).field("bodies", bodies);
    lines.line("");
    if height == before {
        lines.line("The file's log has nothing that was not here.");
    } else {
        lines.line(format!(
            "The log was checked from the founding on, and heights {} to {height} were added.",
            before + 1
        ));
    }
    if no_room > 0 {
        lines.line(format!(
            "There was no room for {no_room} of the bodies: `chorus config set storage.blobs …`, and import again; or let the \
             node fetch what it wants."
        ));
    }
    if journal > height {
        lines.line(format!(
            "An operator's journal here tells of height {journal}: the rest is fetched from the others; the only operator must \
             import a newer file, or follow with --role relay until it has the height."
        ));
    }
    lines.line("Next: `chorus run`.");
    lines.finish()
}
