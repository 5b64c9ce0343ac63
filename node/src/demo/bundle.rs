//! The audit bundle of the demonstration: written from one operator's node, then read as anybody would.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chorus_protocol::{
    audit::{self, VerifyError},
    config::Genesis,
    id::BlobId,
};

use crate::driver::NodeHandle;

/// What came of the bundle.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    /// Its size.
    pub(super) bytes: u64,
    /// Whether the verifier accepted it.
    pub(super) verified: bool,
}

/// Writes the bundle to `path` and verifies what was written.
pub(super) async fn write_and_verify(genesis: &Genesis, node: &NodeHandle, path: &Path) -> anyhow::Result<Checked> {
    let decisions = node.decisions().await?;
    let (genesis, node, path) = (genesis.clone(), node.clone(), path.to_owned());
    let runtime = tokio::runtime::Handle::current();
    let work = move || -> anyhow::Result<Checked> {
        let cannot = || format!("cannot write {}", path.display());
        let mut out = BufWriter::new(File::create(&path).with_context(cannot)?);
        let body = |id: &BlobId| runtime.block_on(node.fetch(*id)).ok().map(|bytes| bytes.to_vec());
        let summary = audit::write(&mut out, &genesis, &decisions, body).with_context(cannot)?;
        out.flush().with_context(cannot)?;
        let verified = verify(&path)?;
        if let Err(error) = &verified {
            tracing::error!(%error, "the bundle does not verify");
        }
        Ok(Checked { bytes: summary.bytes, verified: verified.is_ok() })
    };
    tokio::task::spawn_blocking(work).await?
}

fn verify(path: &PathBuf) -> anyhow::Result<Result<audit::Report, VerifyError>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(audit::verify(&mut BufReader::new(file), &mut |_| {}))
}
