//! `chorus backup`, `chorus restore` and `chorus prune`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{Failure, Global, keys, output::Lines};
use crate::{
    backup::{self, Summary},
    config::DataDir,
    driver::pruning,
    store::check::set_aside,
};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write.
    file: PathBuf,
    /// Leave the log away: others have it. Not for a community with one operator, which may be the only one to have it.
    #[arg(long)]
    without_log: bool,
}

impl Backup {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        if self.file.exists() {
            return Err(Failure::Usage(format!("{} exists already", self.file.display())).into());
        }
        let keys = keys::open(global, &dir)?;
        let mut rng = global.randomness().generator("backup", &[]);
        let waiting = global.output().waiting("writing the backup");
        let summary = backup::write(&dir, &keys, &self.file, !self.without_log, &mut rng)?;
        drop(waiting);
        global.output().print(&summary, |summary| {
            let mut lines = Lines::default();
            lines.field("backup", self.file.display()).field("files", summary.files.len());
            if let Some(height) = summary.height {
                lines.field("height", height);
            }
            lines.field("log", if summary.log { "included" } else { "not included: others have it" });
            lines.line("").line("Its passphrase is the keystore's. It holds no key of an open round.");
            if !summary.complete {
                lines.line(
                    "The node ran meanwhile: an operator that is restored from it waits until the log has passed it.",
                );
            }
            lines.finish()
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup.
    file: PathBuf,
    /// You vouch that the node has not run anywhere since this backup was made: its key may speak at once. If that is not
    /// true, it may contradict itself before everybody's eyes.
    #[arg(long)]
    current: bool,
}

impl Restore {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let mut rng = global.randomness().generator("restore", &[]);
        let open = |dir: &DataDir| keys::open(global, dir);
        let summary: Summary = backup::put_back(&self.file, &dir, self.current, open, &mut rng)?;
        global.output().print(&summary, |summary| {
            let mut lines = Lines::default();
            lines.field("directory", dir.root().display()).field("files", summary.files.len());
            if let Some(height) = summary.height {
                lines.field("height", height);
            }
            lines.line("").line("Never run the node that this backup was made of again: two nodes with one key contradict each other.");
            if !self.current {
                lines.line(
                    "If this is an operator's: its key stays silent until n − f others have told how far the log is, and two more \
                     batches are decided; it takes no part in rounds from before that.",
                );
                lines.line(
                    "With fewer than four operators the others cannot go on alone: there, it takes a backup of the stopped node, and \
                     --current.",
                );
            }
            lines.line("Next: `chorus run`.");
            lines.finish()
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Give up the contributions, sums and opened values of all but the last N rounds as well. The node must not run.
    /// Results, constitutions and adapters stay, and everything of rounds that are not at their end. An audit of older rounds
    /// then needs somebody else who kept them: `chorus export` before, and leave it to few of the operators.
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
}

#[derive(Serialize)]
struct Pruned {
    deleted: Vec<String>,
    bytes: u64,
    /// Bodies of old rounds that were given up.
    bodies: u64,
    /// The ordinal of the first round of which everything is kept.
    whole_from: Option<u64>,
}

impl Prune {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let node = dir.node();
        let mut pruned = Pruned { deleted: Vec::new(), bytes: 0, bodies: 0, whole_from: None };
        if let Some(rounds) = self.rounds {
            let (gone, whole_from) = pruning::prune(&node, dir.read_community()?.genesis, rounds)?;
            (pruned.bodies, pruned.bytes, pruned.whole_from) = (gone.blobs, gone.bytes, Some(whole_from));
        }
        for path in set_aside(&node)? {
            pruned.bytes += size(&path)?;
            fs::remove_dir_all(&path)?;
            pruned.deleted.push(path.display().to_string());
        }
        global.output().print(&pruned, |pruned| {
            let mut lines = Lines::default();
            lines.field("deleted", pruned.deleted.len()).field("bytes", pruned.bytes);
            if let Some(whole_from) = pruned.whole_from {
                lines.field("bodies", pruned.bodies).field("whole from round", whole_from);
            }
            lines.finish()
        })
    }
}

fn size(path: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
