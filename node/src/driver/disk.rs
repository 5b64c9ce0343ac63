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
    charter::Charter,
    contribution::{Submission, Verification},
    id::{BlobId, CommunityId, NodeId, RoundId},
    journal::{Record, RestoredRecord},
    ledger::Ledger,
    log::{batch::Height, consensus::Decision},
    message::{Handover, Message},
    peer::{Effect, Event, Notice, Saved},
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
    blobs::{BlobError, BlobStore, Policy, Tag},
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
    /// Contributions to be verified, for the protocol.
    Verify(Box<Verification>),
    /// What was read of a contribution, for the protocol.
    Private(Box<Event>),
    /// Bodies to be kept once they were found.
    Archive(Vec<BlobId>),
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
    ) -> Result<(Self, Saved, Doubts), NodeError> {
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
        let behind = who.behind(height, &saved);
        let policy = if who.operator.is_some() { Policy::keep_all(quota) } else { Policy::cache(quota) };
        let blobs = Arc::new(BlobStore::open(&folder.join("blobs"), policy)?);
        let mut private = PrivateStore::open(&folder.join("private"))?;
        let Loaded { whole, damaged } = private.load(&erased(&saved))?;
        let acknowledged = |body: BlobId| {
            saved.iter().any(|record| matches!(record, Record::Acknowledged(record) if record.body == body))
        };
        let damaged = damaged.into_iter().map(|(round, body)| (round, body, acknowledged(body))).collect();
        let (outbox, relayed) = Outbox::open(&folder.join("outbox"))?;
        let (folder, waiting, community) = (folder.to_owned(), (Vec::new(), Vec::new()), who.community);
        let disk = Self { community, records, log, blobs, private, outbox, mark: mark_file, folder, height, waiting };
        disk.export_daily();
        Ok((disk, Saved { start, decisions, records: saved, private: whole, relayed }, Doubts { behind, damaged }))
    }

    /// Decides what only the rules in force tell: whether others have what is lacking or damaged here. Nothing that the
    /// protocol has said by then has left the node.
    ///
    /// # Errors
    ///
    /// Returns [`NodeError::LogLost`] or [`NodeError::ContributionLost`] if nobody else has it.
    pub(super) fn resolve(&mut self, who: Who, ledger: &Ledger, doubts: Doubts) -> Result<(), NodeError> {
        if let Some((have, had)) = doubts.behind {
            // Nobody else orders the log, so that this node would decide again.
            if who.is_alone(ledger.charter()) {
                return Err(NodeError::LogLost { have, had });
            }
            tracing::warn!(have, had, "the log is behind the journal: the rest is fetched");
        }
        for (round, body, acknowledged) in doubts.damaged {
            let charter = ledger.rounds().get(&round).map_or(ledger.charter(), |round| &round.charter);
            if acknowledged && who.is_alone(charter) {
                return Err(NodeError::ContributionLost(self.private.path(round, body)));
            }
            tracing::warn!(%round, %body, "an incomplete or damaged contribution is removed");
            self.private.erase(round, body)?;
        }
        Ok(())
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
                Effect::StoreBlob { bytes, ordinal } => {
                    if let Some(notice) = self.store_blob(&bytes, ordinal)? {
                        leave(self, Outgoing::Notice(notice));
                    }
                }
                Effect::Archive { ordinal, bodies } => {
                    let lacking = self.lacking(ordinal, bodies)?;
                    if !lacking.is_empty() {
                        leave(self, Outgoing::Archive(lacking));
                    }
                }
                Effect::StorePrivate { round, body, submission } => self.store_private(round, body, &submission)?,
                Effect::Verify(verification) => leave(self, Outgoing::Verify(verification)),
                Effect::ReadPrivate { round, body } => {
                    let submission = self.private.read(round, body)?.map(Arc::new);
                    leave(self, Outgoing::Private(Box::new(Event::Private { round, body, submission })));
                }
                Effect::SendPrivate { to, round, body, handover } => {
                    // What does not read is not given: others have it, and it is found out when it is summed.
                    if let Some(submission) = self.private.read(round, body)? {
                        let message = match handover {
                            None => Message::Submission(submission),
                            Some(handover) => Message::Handover(Handover { submission: Some(submission), ..*handover }),
                        };
                        let bytes = message.seal(self.community);
                        leave(self, Outgoing::Send { to, bytes });
                    }
                }
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

    /// Keeps a public body. One that does not fit is told of and let go: what the node promised to hold of an open round is in
    /// the private parts, and of a finished one others have it too.
    fn store_blob(&self, bytes: &[u8], ordinal: Option<u32>) -> Result<Option<Notice>, NodeError> {
        match self.blobs.put(bytes) {
            Ok(id) => {
                if let Some(ordinal) = ordinal {
                    self.blobs.note(id, ordinal.into())?;
                }
                Ok(None)
            }
            Err(error @ BlobError::QuotaExceeded { .. }) => {
                Ok(Some(Notice::NotKept { body: BlobId::of(bytes), why: error.to_string() }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tags the bodies of a round that are kept for those who audit it, and returns those that are not here; none of a round
    /// that was pruned.
    fn lacking(&self, ordinal: u32, bodies: Vec<BlobId>) -> Result<Vec<BlobId>, NodeError> {
        if u64::from(ordinal) < self.blobs.pruned_before() {
            return Ok(Vec::new());
        }
        self.blobs.tag_all(&bodies, Tag::Round(ordinal.into()))?;
        Ok(bodies.into_iter().filter(|id| !self.blobs.contains(*id)).collect())
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
}

/// What was found in a folder and can be judged only by the rules in force, which the log tells.
#[derive(Debug)]
pub(super) struct Doubts {
    /// The height of the log and the one that the operator had decided, if that is higher.
    behind: Option<(u64, u64)>,
    /// Private parts that are damaged, and whether they were acknowledged.
    damaged: Vec<(RoundId, BlobId, bool)>,
}

impl Doubts {
    /// What a log that lacks something is to the only operator.
    pub(super) fn log_lost(&self) -> Option<NodeError> {
        self.behind.map(|(have, had)| NodeError::LogLost { have, had })
    }
}

impl Who {
    /// Returns the height of the log and what the operator has decided, if the log lacks some of that.
    fn behind(self, have: u64, saved: &[Record]) -> Option<(u64, u64)> {
        let had = decided(saved);
        // A key that was put back is silent until the log has passed what it decided; from then on the log is its own again.
        let restored = saved.iter().rposition(|record| matches!(record, Record::Restored(_)));
        let resumed = saved.iter().rposition(|record| matches!(record, Record::Resumed(_)));
        (have < had && self.operator.is_some() && restored <= resumed).then_some((have, had))
    }

    /// Whether this node is the only operator under these rules.
    fn is_alone(self, charter: &Charter) -> bool {
        self.operator.is_some_and(|key| charter.operators == [key])
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

#[cfg(test)]
mod tests {
    use chorus_crypto::sign::SecretKey;
    use chorus_protocol::{config::Policy as Rules, journal::ResumedRecord};

    use super::*;

    fn who() -> Who {
        Who { community: CommunityId::from([1; 32]), operator: Some(SecretKey::from_seed(&[1; 32]).public()) }
    }

    fn charter(operators: u8) -> Charter {
        let operators = (1..=operators).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
        Charter { operators, attesters: Vec::new(), policy: Rules::default(), weights: Vec::new() }
    }

    #[test]
    fn a_log_that_ends_too_early_is_noticed_again_once_a_restored_key_speaks() {
        let height = Height(4);
        let decided = Record::WalReset(Height(9));
        let restored = Record::Restored(RestoredRecord { height, current: true });
        let resumed = Record::Resumed(ResumedRecord { height, rounds: Vec::new() });

        assert_eq!(who().behind(8, std::slice::from_ref(&decided)), None);
        assert_eq!(who().behind(7, std::slice::from_ref(&decided)), Some((7, 8)));
        assert_eq!(who().behind(7, &[decided.clone(), restored.clone()]), None, "it is silent up to there");
        assert_eq!(who().behind(7, &[restored.clone(), resumed.clone(), decided.clone()]), Some((7, 8)));
        assert_eq!(who().behind(7, &[restored.clone(), resumed, restored, decided.clone()]), None);
        assert_eq!(Who { operator: None, ..who() }.behind(7, &[decided]), None);
    }

    #[test]
    fn an_operator_is_alone_by_the_rules_that_hold_and_not_by_those_of_the_beginning() {
        assert!(who().is_alone(&charter(1)));
        assert!(!who().is_alone(&charter(4)));
        let other = Charter { operators: vec![SecretKey::from_seed(&[2; 32]).public()], ..charter(1) };
        assert!(!who().is_alone(&other), "another one is");
        assert!(!Who { operator: None, ..who() }.is_alone(&charter(1)));
    }
}
