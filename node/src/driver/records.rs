//! The protocol's records in the journal.

use std::{collections::BTreeSet, path::Path};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    id::RoundId,
    journal::{Record, needed},
};
use rand_core::CryptoRng;

use super::NodeError;
use crate::store::journal::{self, Journal, JournalId, Tip};

/// The kind of all records: what they are, their encoding says.
const KIND: u8 = 1;

/// Bytes beyond which write-ahead records of decided heights are thrown away before a round is erased: some hundred
/// heights of full batches, read within a second.
const COMPACT_BYTES: u64 = 64 * 1024 * 1024;

/// An open journal of records.
#[derive(Debug)]
pub(super) struct Records {
    journal: Journal,
    compact_at: u64,
}

impl Records {
    pub(super) fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, NodeError> {
        Ok(Self { journal: Journal::create(path, rng)?, compact_at: COMPACT_BYTES })
    }

    pub(super) fn open(path: &Path) -> Result<Self, NodeError> {
        Ok(Self { journal: Journal::open(path)?, compact_at: COMPACT_BYTES })
    }

    pub(super) const fn id(&self) -> JournalId {
        self.journal.id()
    }

    pub(super) const fn tip(&self) -> Tip {
        self.journal.tip()
    }

    pub(super) fn has_reached(&self, tip: Tip) -> Result<bool, NodeError> {
        Ok(self.journal.has_reached(tip)?)
    }

    pub(super) fn load(&self) -> Result<Vec<Record>, NodeError> {
        let decode = |record: &journal::Record| match record.kind {
            KIND => Record::from_bytes(&record.payload).map_err(|_| NodeError::JournalForeign),
            _ => Err(NodeError::JournalForeign),
        };
        self.journal.records()?.iter().map(decode).collect()
    }

    /// Appends durably.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), NodeError> {
        let records: Vec<_> = records.iter().map(|record| journal::Record::new(KIND, record.to_bytes())).collect();
        Ok(self.journal.append(&records)?)
    }

    /// Returns whether the journal has grown so much that it should be compacted.
    pub(super) const fn is_long(&self) -> bool {
        self.journal.size() > self.compact_at
    }

    /// Erases what is no longer needed.
    pub(super) fn compact(&mut self) -> Result<(), NodeError> {
        let mut keep = needed(&self.load()?).into_iter();
        self.journal.rewrite(|_| keep.next().unwrap_or(true))?;
        self.compact_at = COMPACT_BYTES.max(2 * self.journal.size());
        Ok(())
    }
}

/// Returns the rounds whose secrets are gone.
pub(super) fn erased(records: &[Record]) -> BTreeSet<RoundId> {
    let round = |record: &Record| if let Record::Erased(round) = record { Some(*round) } else { None };
    records.iter().filter_map(round).collect()
}
