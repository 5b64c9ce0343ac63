//! What a node keeps, and the order in which it is made durable.
//!
//! | what | where |
//! |---|---|
//! | records that must not be forgotten | `journal` |
//! | decisions | `store/` |
//! | public bodies | `blobs/` |
//! | what was used of the month | `traffic`, by the network |
//! | private parts of contributions | `private/<round>/<body>` |
//!
//! # Correctness
//!
//! Effects arrive in order, many at a time. A message leaves only after everything before it is durable. Within one
//! group more may be made durable before a message than the protocol asks for, never less, so that one wait for the disk
//! serves many effects. Records and decisions keep their order, for a reset of the write-ahead log must not become
//! durable before the decision that allows it.

use std::{path::Path, sync::Arc};

use chorus_crypto::{codec::Decode as _, sign::PublicKey};
use chorus_protocol::{
    contribution::Submission,
    id::{BlobId, CommunityId, NodeId, RoundId},
    journal::Record,
    log::{consensus::Decision, entry::SignedEntry},
    message::Message,
    peer::{Effect, Notice, Saved},
};
use rand_core::CryptoRng;

use super::{
    NodeError,
    log::{LogStore, Mark},
    private::{PrivateStore, create_private_dir},
    records::{Records, erased},
};
use crate::store::{
    blobs::{BlobStore, Policy},
    journal::JournalError,
};

/// Bytes of public bodies that are kept: ten thousand rounds of a small community. An operator keeps all, for an audit
/// asks operators for them; others keep what was used last, and fetch the rest again.
const BLOB_QUOTA: u64 = 64 * 1024 * 1024 * 1024;

/// What leaves the node once everything before it is durable.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// To one node.
    Send { to: NodeId, bytes: Vec<u8> },
    /// To everybody.
    Publish(Vec<u8>),
    /// A body to be found.
    Want(BlobId),
    /// For the people at this node.
    Notice(Notice),
}

/// Everything durable.
#[derive(Debug)]
pub(super) struct Disk {
    community: CommunityId,
    records: Records,
    log: Arc<LogStore>,
    blobs: Arc<BlobStore>,
    private: PrivateStore,
    /// Records and then decisions that wait to be made durable, in this order.
    waiting: (Vec<Record>, Vec<Decision>),
}

impl Disk {
    /// Opens the folder of a community, and returns what is saved in it. `operator` is the key that this node signs with.
    ///
    /// # Security
    ///
    /// An operator whose journal is gone, or is an old copy, no longer knows what it said. It is not started.
    pub(super) fn open(
        (folder, community): (&Path, CommunityId),
        operator: Option<PublicKey>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Saved), NodeError> {
        create_private_dir(folder)?;
        let log = Arc::new(LogStore::open(&folder.join("store"))?);
        let decisions = log.decisions()?;
        let mark = log.mark()?;
        let path = folder.join("journal");
        let records = match Records::open(&path) {
            Ok(records) => records,
            Err(NodeError::Journal(JournalError::Missing(_))) => {
                if operator.is_some_and(|key| has_spoken(&key, &decisions)) {
                    return Err(NodeError::JournalLost);
                }
                let records = Records::create(&path, rng)?;
                log.commit(&[], &Mark::new(records.id(), Some(records.tip())))?;
                records
            }
            Err(error) => return Err(error),
        };
        if operator.is_some() && !is_current(&records, mark)? {
            return Err(NodeError::JournalOld);
        }
        let saved = records.load()?;
        let policy = if operator.is_some() { Policy::keep_all(BLOB_QUOTA) } else { Policy::cache(BLOB_QUOTA) };
        let blobs = Arc::new(BlobStore::open(&folder.join("blobs"), policy)?);
        let mut private = PrivateStore::open(&folder.join("private"))?;
        let submissions = private.load(&erased(&saved))?;
        let disk = Self { community, records, log, blobs, private, waiting: (Vec::new(), Vec::new()) };
        Ok((disk, Saved { decisions, records: saved, submissions }))
    }

    /// Returns the public bodies.
    pub(super) const fn blobs(&self) -> &Arc<BlobStore> {
        &self.blobs
    }

    /// Returns the decisions.
    pub(super) const fn log(&self) -> &Arc<LogStore> {
        &self.log
    }

    /// Performs effects in order, handing `out` what leaves the node.
    pub(super) fn perform(
        &mut self,
        effects: impl IntoIterator<Item = Effect>,
        mut out: impl FnMut(Outgoing),
    ) -> Result<(), NodeError> {
        let mut leaving = Vec::new();
        let mut leave = |disk: &Self, outgoing| {
            if disk.is_durable() && leaving.is_empty() { out(outgoing) } else { leaving.push(outgoing) }
        };
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.persist(record)?,
                // Nothing leaves before everything before it is durable anyway.
                Effect::Sync => {}
                Effect::Commit(decision) => self.waiting.1.push(*decision),
                Effect::StoreBlob(bytes) => {
                    self.blobs.put(&bytes)?;
                }
                Effect::StorePrivate { round, body, submission } => self.store_private(round, body, &submission)?,
                Effect::ErasePrivate { round, body } => self.erase_private(round, body)?,
                Effect::EraseRound(round) => self.erase_round(round)?,
                Effect::Send { to, bytes } => leave(self, Outgoing::Send { to, bytes }),
                Effect::SendLog { to, from } => {
                    let part = Message::Log(self.log.part(from)?).seal(self.community);
                    leave(self, Outgoing::Send { to, bytes: part });
                }
                Effect::Publish(bytes) => leave(self, Outgoing::Publish(bytes)),
                Effect::Want(id) => leave(self, Outgoing::Want(id)),
                Effect::Notice(notice) => leave(self, Outgoing::Notice(notice)),
            }
        }
        self.flush()?;
        leaving.into_iter().for_each(out);
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.waiting.0.is_empty() && self.waiting.1.is_empty() && !self.private.is_unsynced()
    }

    fn persist(&mut self, record: Record) -> Result<(), NodeError> {
        if !self.waiting.1.is_empty() {
            self.flush()?;
        }
        self.waiting.0.push(record);
        Ok(())
    }

    /// Makes everything durable that waits for it.
    pub(super) fn flush(&mut self) -> Result<(), NodeError> {
        if self.private.is_unsynced() {
            self.private.sync()?;
        }
        let (records, decisions) = std::mem::take(&mut self.waiting);
        if !records.is_empty() {
            self.records.append(&records)?;
        }
        if !decisions.is_empty() {
            self.log.commit(&decisions, &Mark::new(self.records.id(), Some(self.records.tip())))?;
            if self.records.is_long() {
                self.compact()?;
            }
        }
        Ok(())
    }

    fn store_private(&mut self, round: RoundId, body: BlobId, submission: &Submission) -> Result<(), NodeError> {
        Ok(self.private.write(round, body, submission)?)
    }

    /// Erases a superseded contribution, its public body too.
    fn erase_private(&mut self, round: RoundId, body: BlobId) -> Result<(), NodeError> {
        self.flush()?;
        self.private.erase(round, body)?;
        self.blobs.delete(body)?;
        Ok(())
    }

    fn erase_round(&mut self, round: RoundId) -> Result<(), NodeError> {
        self.flush()?;
        self.private.erase_round(round)?;
        self.blobs.collect()?;
        self.compact()
    }

    /// Compacts the journal. The store must not expect the old tip after a crash in between.
    fn compact(&mut self) -> Result<(), NodeError> {
        self.log.commit(&[], &Mark::new(self.records.id(), None))?;
        self.records.compact()?;
        self.log.commit(&[], &Mark::new(self.records.id(), Some(self.records.tip())))?;
        Ok(())
    }
}

/// Whether the journal is the one that the store knows, and has not been put back to an older state.
fn is_current(records: &Records, mark: Option<Mark>) -> Result<bool, NodeError> {
    let Some(mark) = mark else { return Ok(true) };
    if mark.journal != *records.id().as_ref() {
        return Ok(false);
    }
    mark.tip().map_or(Ok(true), |tip| records.has_reached(tip))
}

/// Whether the log holds anything that `key` signed.
fn has_spoken(key: &PublicKey, decisions: &[Decision]) -> bool {
    let wrote = |bytes: &Vec<u8>| SignedEntry::from_bytes(bytes).is_ok_and(|entry| entry.author == *key);
    decisions.iter().any(|decision| {
        decision.certificate.signatures.iter().any(|(signer, _)| signer == key)
            || decision.batch.entries().iter().any(wrote)
    })
}
