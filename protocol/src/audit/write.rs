//! Writing a bundle.

use core::fmt;
use std::{io::Write, sync::Arc};

use super::{Summary, WriteError, format::FrameWriter, replay::Replay};
use crate::{
    config::Genesis,
    id::BlobId,
    ledger::Ledger,
    log::{batch::Height, consensus::Decision},
};

/// Writes a bundle as the log comes in: one decision and one blob are in memory at a time, besides the state that the log
/// leads to.
///
/// The log is checked on the way: a bundle that [`finish`](Self::finish) returns a [`Summary`] of can be refused only for
/// what its blobs hold. Wrap `out` in a [`BufWriter`](std::io::BufWriter) if single writes are costly.
pub struct Writer<W> {
    replay: Replay,
    frames: FrameWriter<W>,
}

impl<W: Write> Writer<W> {
    /// Begins with the founding document.
    ///
    /// # Errors
    ///
    /// Returns a [`WriteError`] if writing fails or the document breaks a rule.
    pub fn new(out: W, genesis: &Genesis) -> Result<Self, WriteError> {
        let replay = Replay::new(genesis.clone())?;
        Ok(Self { replay, frames: FrameWriter::new(out, genesis)? })
    }

    /// Returns the height that was reached.
    pub const fn height(&self) -> Height {
        self.replay.height
    }

    /// Writes the next decision.
    ///
    /// # Errors
    ///
    /// Returns a [`WriteError`] if writing fails or the decision does not follow.
    pub fn push(&mut self, decision: &Decision) -> Result<(), WriteError> {
        self.replay.push(decision)?;
        Ok(self.frames.decision(decision)?)
    }

    /// Writes the blobs that the log needs, and the end.
    ///
    /// # Errors
    ///
    /// Returns a [`WriteError`] if writing fails, if the log ends between the sealing of a round and its result, or if
    /// `blobs` lacks one that is needed.
    pub fn finish(mut self, mut blobs: impl FnMut(&BlobId) -> Option<Vec<u8>>) -> Result<Summary, WriteError> {
        let needed = self.replay.needed()?;
        for id in &needed.order {
            let bytes = blobs(id).ok_or(WriteError::MissingBlob(*id))?;
            if BlobId::of(&bytes) != *id {
                return Err(WriteError::BlobHash(*id));
            }
            self.frames.blob(id, &bytes)?;
        }
        let bytes = self.frames.end()?;
        Ok(Summary { height: self.replay.height, tip: self.replay.tip, blobs: needed.order.len(), bytes })
    }
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("height", &self.replay.height).finish_non_exhaustive()
    }
}

/// Writes the bundle of a log that is at hand: see [`Writer`].
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
    write_all(Writer::new(out, genesis)?, decisions, blobs)
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
    let frames = FrameWriter::new(out, cohort.genesis())?;
    write_all(Writer { replay: Replay::after(cohort), frames }, decisions, blobs)
}

fn write_all<W: Write>(
    mut writer: Writer<W>,
    decisions: &[Arc<Decision>],
    blobs: impl FnMut(&BlobId) -> Option<Vec<u8>>,
) -> Result<Summary, WriteError> {
    decisions.iter().try_for_each(|decision| writer.push(decision))?;
    writer.finish(blobs)
}
