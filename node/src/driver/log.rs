//! Decisions in the store: what a restarted node need not ask others for.
//!
//! A value of the store is at most some 96 KiB, a decision more than 1 MiB: it is cut into parts, which one batch writes
//! together.

use std::{collections::BTreeMap, ops::Bound, path::Path};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    hash::Digest,
    wire_struct,
};
use chorus_protocol::{
    limits,
    log::{batch::Height, consensus::Decision},
    message::LogPart,
};

use super::NodeError;
use crate::store::{
    Batch, SledStore, Store as _, StoreError, Table,
    journal::{JournalId, Tip},
};

const DECISIONS: Table = Table::new("decisions");
const META: Table = Table::new("meta");
const JOURNAL: &[u8] = b"journal";

/// Bytes of one part of a decision.
const PART: usize = 64 * 1024;

/// Rows that are read at a time.
const PAGE: usize = 64;

/// What the store knows of the journal, so that an old copy of it is noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// Which journal.
    pub(super) journal: [u8; 32],
    /// How far it had come; none while it is being rewritten, which makes a new one.
    pub(super) reached: Option<Reached>,
}
wire_struct!(Mark { journal, reached });

/// A [`Tip`] that can be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reached {
    records: u64,
    chain: Digest,
}
wire_struct!(Reached { records, chain });

impl Mark {
    pub(super) fn new(journal: JournalId, tip: Option<Tip>) -> Self {
        let reached = tip.map(|tip| Reached { records: tip.records, chain: tip.chain });
        Self { journal: *journal.as_ref(), reached }
    }

    pub(super) fn tip(&self) -> Option<Tip> {
        self.reached.map(|reached| Tip { records: reached.records, chain: reached.chain })
    }
}

/// The store of a node.
#[derive(Debug)]
pub(super) struct LogStore {
    store: SledStore,
}

impl LogStore {
    /// Opens it, and checks that no row is missing.
    pub(super) fn open(path: &Path) -> Result<Self, NodeError> {
        let store = SledStore::open(path)?;
        if store.integrity()?.is_sound() { Ok(Self { store }) } else { Err(NodeError::StoreDamaged) }
    }

    /// Returns the decisions, from height 1.
    pub(super) fn decisions(&self) -> Result<Vec<Decision>, NodeError> {
        let mut decisions = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = self.store.range(DECISIONS, from, Bound::Unbounded, PAGE)?;
            let Some((key, _)) = rows.last() else { break };
            last = Some(key.clone());
            for (key, part) in rows {
                let height = key.first_chunk::<8>().ok_or(NodeError::StoreDamaged)?;
                decisions.entry(height.to_vec()).or_default().extend(part);
            }
        }
        let decode = |bytes: Vec<u8>| Decision::from_bytes(&bytes).map_err(|_| NodeError::StoreDamaged);
        decisions.into_values().map(decode).collect()
    }

    /// Returns the part of the log from a height on that fits one message.
    pub(super) fn part(&self, from: Height) -> Result<LogPart, NodeError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut height = from;
        while found.len() < limits::MAX_LOG_PART && bytes <= limits::MAX_LOG_PART_BYTES {
            let (first, next) = (height.to_bytes(), height.next().to_bytes());
            let rows = self.store.range(DECISIONS, Bound::Included(&first), Bound::Excluded(&next), PAGE)?;
            if rows.is_empty() {
                break;
            }
            let decision: Vec<u8> = rows.into_iter().flat_map(|(_, part)| part).collect();
            bytes += decision.len();
            found.push(Decision::from_bytes(&decision).map_err(|_| NodeError::StoreDamaged)?);
            height = height.next();
        }
        Ok(LogPart::of(found))
    }

    /// Returns what is known of the journal.
    pub(super) fn mark(&self) -> Result<Option<Mark>, NodeError> {
        let row = self.store.get(META, JOURNAL)?;
        row.map(|row| Mark::from_bytes(&row).map_err(|_| NodeError::StoreDamaged)).transpose()
    }

    /// Stores decisions and how far the journal has come, durably.
    pub(super) fn commit(&self, decisions: &[Decision], mark: &Mark) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(META, JOURNAL, mark.to_bytes());
        for decision in decisions {
            let bytes = decision.to_bytes();
            for (number, part) in (0u32..).zip(bytes.chunks(PART)) {
                let mut key = decision.batch.height().to_bytes();
                number.encode(&mut key);
                batch.put(DECISIONS, key, part);
            }
        }
        self.store.commit(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_protocol::{
        id::BatchId,
        log::{batch, certificate::Certificate},
    };

    fn decision(height: u64, bytes: usize) -> Decision {
        let entries = (0..bytes.div_ceil(PART)).map(|_| vec![7; PART]).collect();
        let batch = batch::Batch::new(Height(height), BatchId::default(), entries).expect("within bounds");
        let certificate = Certificate { height: Height(height), round: 0, value: batch.id(), signatures: Vec::new() };
        Decision { batch, certificate }
    }

    #[test]
    fn parts_begin_where_they_are_asked_for_and_fit_one_message() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = LogStore::open(folder.path()).expect("opens");
        let log: Vec<Decision> = (1..=6).map(|height| decision(height, 400 * 1024)).collect();
        store.commit(&log, &Mark { journal: [0; 32], reached: None }).expect("commits");

        assert_eq!(store.part(Height(1)).expect("reads").decisions, log[..2]);
        assert_eq!(store.part(Height(6)).expect("reads").decisions, log[5..]);
        assert_eq!(store.part(Height(7)).expect("reads").decisions, []);
        assert_eq!(store.decisions().expect("reads"), log);
    }
}
