//! `chorus verify`: anybody checks everything, with the bundle alone.

use std::{fs::File, io::BufReader, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{Failure, Global};
use crate::audit;

/// How much is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Level {
    /// Everything: log, registry, every proof, every sum, the result.
    Full,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The audit bundle, as `chorus export` wrote it.
    bundle: PathBuf,
    /// How much to check.
    #[arg(long, default_value = "full")]
    level: Level,
}

impl Verify {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let Level::Full = self.level;
        let refused = |source| Failure::File { path: self.bundle.clone(), source };
        let file = File::open(&self.bundle).map_err(refused)?;
        let length = file.metadata().map_err(refused)?.len();
        let progress = global.output().bytes("checking", length);
        let report = audit::verify(&mut BufReader::new(file), |done| progress.at(done))?;
        drop(progress);
        global.output().print(&format!("{report:?}"), Clone::clone)
    }
}
