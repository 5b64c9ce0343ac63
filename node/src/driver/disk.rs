//! What a node keeps, and the order in which it is made durable.
//!
//! | what | where |
//! |---|---|
//! | records that must not be forgotten | `journal` |
//! | decisions, and the state before the first if that is not the founding document | `store/` |
//! | public bodies | `blobs/` |
//! | what was used of the month | `traffic`, by the network |
//! | private parts of contributions | `private/<round>/<body>` |
//! | entries of people at this node on their way | `outbox/<entry>` |
//! | exports of the log, in case `store/` is damaged | `exports/` |
//! | how far the journal had come, a second time | `journal.mark` |
//!
//! # Correctness
//!
//! Effects arrive in order, many at a time. A message leaves only after everything before it is durable. Within one
//! group more may be made durable before a message than the protocol asks for, never less, so that one wait for the disk
//! serves many effects. Records and decisions keep their order, for a reset of the write-ahead log must not become
//! durable before the decision that allows it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use chorus_crypto::sign::PublicKey;
use chorus_protocol::{
    contribution::Submission,
    id::{BlobId, CommunityId, NodeId, RoundId},
    journal::{Record, RestoredRecord},
    log::{batch::Height, consensus::Decision},
    message::Message,
    peer::{Effect, Notice, Saved},
};
use rand_core::CryptoRng;

use super::{
    NodeError,
    log::{LogStore, Mark, MarkFile, Opened},
    outbox::Outbox,
    private::{Loaded, PrivateStore, create_private_dir},
    records::{Records, erased},
};
use crate::store::{
    blobs::{BlobStore, Policy},
    journal::JournalError,
};

/// Decisions between looks at whether an export is due.
const LOOK_FOR_EXPORT: u64 = 64;

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
    outbox: Outbox,
    mark: MarkFile,
    folder: PathBuf,
    height: u64,
    /// Records and then decisions that wait to be made durable, in this order.
    waiting: (Vec<Record>, Vec<Decision>),
}

impl Disk {
    /// Opens the folder of a node, which may keep so many bytes of public bodies, and returns what is saved in it.
    ///
    /// # Security
    ///
    /// An operator whose journal is gone, or is an old copy, no longer knows what it said. It is not started.
    pub(super) fn open(
        (folder, quota): (&Path, u64),
        who: Who,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Saved), NodeError> {
        create_private_dir(folder)?;
        let mark_file = MarkFile::new(folder);
        let path = folder.join("journal");
        let records = match Records::open(&path) {
            Err(NodeError::Journal(JournalError::Missing(_))) => Self::first_journal(folder, who, rng)?,
            opened => opened?,
        };
        let Opened { log, start, decisions, mark } = LogStore::open(folder)?;
        let is_current = is_current(&records, mark)? && is_current(&records, mark_file.read())?;
        if who.operator.is_some() && !is_current {
            return Err(NodeError::JournalOld);
        }
        let saved = records.load()?;
        let height = start.as_ref().map_or(0, |start| start.height.0) + decisions.len() as u64;
        who.check_log(height, &saved)?;
        let policy = if who.operator.is_some() { Policy::keep_all(quota) } else { Policy::cache(quota) };
        let blobs = Arc::new(BlobStore::open(&folder.join("blobs"), policy)?);
        let mut private = PrivateStore::open(&folder.join("private"))?;
        let Loaded { submissions, damaged } = private.load(&erased(&saved))?;
        for (round, body) in damaged {
            if who.holds_alone(body, &saved) {
                return Err(NodeError::ContributionLost(private.path(round, body)));
            }
            tracing::warn!(%round, %body, "an incomplete or damaged contribution is removed");
            private.erase(round, body)?;
        }
        let (outbox, relayed) = Outbox::open(&folder.join("outbox"))?;
        let (folder, waiting, community) = (folder.to_owned(), (Vec::new(), Vec::new()), who.community);
        let disk = Self { community, records, log, blobs, private, outbox, mark: mark_file, folder, height, waiting };
        disk.export_daily();
        Ok((disk, Saved { start, decisions, records: saved, submissions, relayed }))
    }

    /// Makes a journal where there is none: for an operator only if no node has ever run here, and for a follower with the note
    /// that the key may have said something.
    fn first_journal(folder: &Path, who: Who, rng: &mut impl CryptoRng) -> Result<Records, NodeError> {
        let fresh = is_fresh(folder)?;
        if who.operator.is_some() && !fresh {
            return Err(NodeError::JournalLost);
        }
        let mut records = Records::create(&folder.join("journal"), rng)?;
        if !fresh {
            let nothing = RestoredRecord { height: Height::GENESIS, current: false };
            records.append(&[Record::Restored(nothing)])?;
        }
        Ok(records)
    }

    fn export_daily(&self) {
        if let Err(error) = self.log.export_daily(&self.folder, self.height) {
            tracing::warn!(%error, "the log could not be exported");
        }
    }

    /// Returns the public bodies.
    pub(super) const fn blobs(&self) -> &Arc<BlobStore> {
        &self.blobs
    }

    /// Returns the decisions.
    pub(super) const fn log(&self) -> &Arc<LogStore> {
        &self.log
    }

    /// Performs effects in order, handing `out` what leaves the node. Calls `durable` once all of it is on the disk, which is
    /// before the last of it has left: the network may be busy.
    pub(super) fn perform(
        &mut self,
        effects: impl IntoIterator<Item = Effect>,
        mut out: impl FnMut(Outgoing),
        durable: impl FnOnce(),
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
                Effect::Begin(start) => {
                    self.flush()?;
                    self.log.begin(&start)?;
                    self.height = start.height.0;
                }
                Effect::Commit(decision) => self.waiting.1.push(*decision),
                Effect::StoreBlob(bytes) => {
                    self.blobs.put(&bytes)?;
                }
                Effect::StorePrivate { round, body, submission } => self.store_private(round, body, &submission)?,
                Effect::ErasePrivate { round, body } => self.erase_private(round, body)?,
                Effect::EraseRound(round) => self.erase_round(round)?,
                Effect::StoreEntry(entry) => self.outbox.write(&entry)?,
                Effect::DropEntry(id) => {
                    // What is on the log is so durably before it is let go.
                    self.flush()?;
                    self.outbox.delete(id)?;
                }
                Effect::Send { to, bytes } => leave(self, Outgoing::Send { to, bytes }),
                Effect::SendLog { to, from } => {
                    // What cannot be read is not given: others have it, and nobody can stop this node by asking.
                    match self.log.part(from) {
                        Ok(part) => {
                            let bytes = Message::Log(part).seal(self.community);
                            leave(self, Outgoing::Send { to, bytes });
                        }
                        Err(error) => tracing::warn!(%error, "a part of the log cannot be read"),
                    }
                }
                Effect::Publish(bytes) => leave(self, Outgoing::Publish(bytes)),
                Effect::Want(id) => leave(self, Outgoing::Want(id)),
                Effect::Notice(notice) => leave(self, Outgoing::Notice(notice)),
            }
        }
        self.flush()?;
        durable();
        leaving.into_iter().for_each(out);
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.waiting.0.is_empty()
            && self.waiting.1.is_empty()
            && !self.private.is_unsynced()
            && !self.outbox.is_unsynced()
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
        self.outbox.sync()?;
        let (records, decisions) = std::mem::take(&mut self.waiting);
        if !records.is_empty() {
            self.records.append(&records)?;
        }
        if !decisions.is_empty() {
            let mark = Mark::new(self.records.id(), Some(self.records.tip()));
            self.log.commit(&decisions, &mark)?;
            self.mark.write(&mark, false)?;
            self.height += decisions.len() as u64;
            self.export_sometimes(decisions.len() as u64);
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
        let rewriting = Mark::new(self.records.id(), None);
        self.log.commit(&[], &rewriting)?;
        self.mark.write(&rewriting, true)?;
        self.records.compact()?;
        let mark = Mark::new(self.records.id(), Some(self.records.tip()));
        self.log.commit(&[], &mark)?;
        self.mark.write(&mark, false)?;
        Ok(())
    }

    /// Looks whether an export is due, every so many decisions.
    fn export_sometimes(&self, new: u64) {
        if self.height % LOOK_FOR_EXPORT < new {
            self.export_daily();
        }
    }
}

/// Whose folder it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    /// The community.
    pub(super) community: CommunityId,
    /// The key that this node signs with; none for a follower.
    pub(super) operator: Option<PublicKey>,
    /// Whether the community has one operator.
    pub(super) alone: bool,
}

impl Who {
    /// Refuses a log that lacks what the only operator has decided: nobody else orders it, so it would decide again.
    fn check_log(self, have: u64, saved: &[Record]) -> Result<(), NodeError> {
        let had = decided(saved);
        if have >= had || self.operator.is_none() {
            return Ok(());
        }
        let restored = saved.iter().any(|record| matches!(record, Record::Restored(_)));
        if self.alone && !restored {
            return Err(NodeError::LogLost { have, had });
        }
        tracing::warn!(have, had, "the log is behind the journal: the rest is fetched");
        Ok(())
    }

    /// Whether nobody else has the private part of a contribution that was acknowledged.
    fn holds_alone(self, body: BlobId, saved: &[Record]) -> bool {
        let is_it = |record: &Record| matches!(record, Record::Acknowledged(record) if record.body == body);
        self.alone && self.operator.is_some() && saved.iter().any(is_it)
    }
}

/// Returns the height that records tell was decided: a height's records are thrown away once it is decided and stored.
pub(super) fn decided(records: &[Record]) -> u64 {
    let reset = |record: &Record| if let Record::WalReset(next) = record { Some(next.0) } else { None };
    records.iter().filter_map(reset).max().unwrap_or(1).saturating_sub(1)
}

/// Whether no node has ever run in a folder: then, and only then, a journal may be made for an operator.
pub(super) fn is_fresh(folder: &Path) -> Result<bool, NodeError> {
    let traces: BTreeSet<&str> = BTreeSet::from(["store", "blobs", "private", "outbox", "exports", "journal.mark"]);
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if traces.contains(&*name) || name.starts_with(crate::store::SET_ASIDE) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the journal is the one that the store knows, and has not been put back to an older state.
fn is_current(records: &Records, mark: Option<Mark>) -> Result<bool, NodeError> {
    let Some(mark) = mark else { return Ok(true) };
    if mark.journal != *records.id().as_ref() {
        return Ok(false);
    }
    mark.tip().map_or(Ok(true), |tip| records.has_reached(tip))
}
