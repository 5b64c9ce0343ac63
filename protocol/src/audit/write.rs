//! Writing a bundle.

use std::{io::Write, sync::Arc};

use super::{Summary, WriteError, format::FrameWriter, replay::Replay};
use crate::{config::Genesis, id::BlobId, ledger::Ledger, log::consensus::Decision};

/// Writes the bundle of a log, in one pass and with one blob in memory at a time.
///
/// The log is checked on the way: a bundle that this returns a [`Summary`] of can be refused only for what its blobs
/// hold. Wrap `out` in a [`BufWriter`](std::io::BufWriter) if single writes are costly.
///
/// # Errors
///
/// Returns a [`WriteError`] if writing fails, if the log does not verify or ends between the sealing of a round and
/// its result, or if `blobs` lacks one that is needed.
pub fn write(
    out: &mut impl Write,
    genesis: &Genesis,
    decisions: &[Arc<Decision>],
    blobs: impl FnMut(&BlobId) -> Option<Vec<u8>>,
) -> Result<Summary, WriteError> {
    write_after(out, (genesis, Replay::new(genesis.clone())?), decisions, blobs)
}

/// Writes the bundle of a cohort, whose log begins with the state `cohort`: as [`write()`].
///
/// # Errors
///
/// As [`write()`].
pub fn write_cohort(
    out: &mut impl Write,
    cohort: Ledger,
    decisions: &[Arc<Decision>],
    blobs: impl FnMut(&BlobId) -> Option<Vec<u8>>,
) -> Result<Summary, WriteError> {
    let genesis = cohort.genesis().clone();
    write_after(out, (&genesis, Replay::after(cohort)), decisions, blobs)
}

fn write_after(
    out: &mut impl Write,
    (genesis, mut replay): (&Genesis, Replay),
    decisions: &[Arc<Decision>],
    mut blobs: impl FnMut(&BlobId) -> Option<Vec<u8>>,
) -> Result<Summary, WriteError> {
    let mut writer = FrameWriter::new(out, genesis)?;
    for decision in decisions {
        replay.push(decision)?;
        writer.decision(decision)?;
    }
    let needed = replay.needed()?;
    for id in &needed.order {
        let bytes = blobs(id).ok_or(WriteError::MissingBlob(*id))?;
        if BlobId::of(&bytes) != *id {
            return Err(WriteError::BlobHash(*id));
        }
        writer.blob(id, &bytes)?;
    }
    let bytes = writer.end()?;
    Ok(Summary { height: replay.height, tip: replay.tip, blobs: needed.order.len(), bytes })
}
