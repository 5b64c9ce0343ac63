//! What is kept, and what goes when room is needed.
//!
//! An operator keeps everything that went over the log, for an audit wants the bodies: its [`Policy`] keeps all. Anybody
//! else holds copies of what operators hold, and fetches them again when they are asked for: above the high-water mark
//! those that were not used for longest go, down to the low-water mark, unless a [`Tag`] keeps them: they are pinned, or
//! belong to one of the last rounds.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::Path,
    sync::{MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use chorus_protocol::id::BlobId;

use super::{
    BlobError, BlobStore, Usage, partial,
    parts::lock,
    tags::{Tag, Tags},
};
use crate::store::files;

/// The file that says which rounds were pruned.
const PRUNED: &str = "pruned";

/// How precisely the last use of a blob is known: it is the file's time, and not every read is worth a write.
const PRECISION: Duration = Duration::from_secs(3600);

/// How much is kept, and of what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Bytes that may be used.
    pub quota: u64,
    /// Bytes above which [`collect`](BlobStore::collect) deletes.
    pub high_water: u64,
    /// Bytes down to which it does.
    pub low_water: u64,
    /// Of how many of the last rounds blobs are kept.
    pub rounds: u64,
    /// Whether everything is kept; then a full store refuses more.
    pub keep_all: bool,
}

impl Policy {
    /// Rounds whose blobs are kept.
    pub const ROUNDS: u64 = 3;

    /// Keeps everything, and refuses what does not fit.
    pub const fn keep_all(quota: u64) -> Self {
        Self { quota, high_water: quota, low_water: quota, rounds: u64::MAX, keep_all: true }
    }

    /// Keeps what is tagged and what was used last: between three quarters and nine tenths of the quota.
    pub const fn cache(quota: u64) -> Self {
        let high_water = quota / 10 * 9;
        Self { quota, high_water, low_water: quota / 4 * 3, rounds: Self::ROUNDS, keep_all: false }
    }
}

impl From<u64> for Policy {
    fn from(quota: u64) -> Self {
        Self::keep_all(quota)
    }
}

impl BlobStore {
    /// Says why a blob is kept, durably. The blob need not be here yet.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn tag(&self, id: BlobId, tag: Tag) -> Result<(), BlobError> {
        Ok(self.tags().add(id, tag)?)
    }

    /// Says to which round a blob belongs, without waiting for the disk: a tag that a crash takes is one of a blob that stays.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn note(&self, id: BlobId, ordinal: u64) -> Result<(), BlobError> {
        Ok(self.tags().note(id, Tag::Round(ordinal))?)
    }

    /// Says why blobs are kept, durably, with one wait for the disk.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn tag_all(&self, ids: &[BlobId], tag: Tag) -> Result<(), BlobError> {
        Ok(self.tags().add_all(ids, tag)?)
    }

    /// Returns the ordinal of the first round that was not [pruned](Self::prune): bodies of earlier ones are not asked for.
    pub fn pruned_before(&self) -> u64 {
        *self.pruned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what belongs to rounds before the one with this ordinal alone, and notes durably that it was: but what is
    /// pinned, `needed`, or of a later round as well stays. Returns what went.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn prune(&self, before: u64, needed: &BTreeSet<BlobId>) -> Result<Usage, BlobError> {
        let before = before.max(self.pruned_before());
        files::replace(&self.root.join(PRUNED), super::PURPOSE, before.to_string().as_bytes())?;
        *self.pruned.lock().unwrap_or_else(PoisonError::into_inner) = before;
        let is_old = |tag: &Tag| matches!(tag, Tag::Round(ordinal) if *ordinal < before);
        let old: Vec<BlobId> = self
            .tags()
            .all()
            .filter(|(id, tags)| !needed.contains(id) && tags.iter().all(is_old))
            .map(|(id, _)| *id)
            .collect();
        let mut gone = Usage::default();
        for id in old {
            let bytes = fs::metadata(self.path(id)).map_or(0, |metadata| metadata.len());
            if self.delete(id)? {
                gone = Usage { blobs: gone.blobs + 1, bytes: gone.bytes + bytes };
            }
        }
        Ok(gone)
    }

    /// Reads which rounds were pruned.
    pub(super) fn read_pruned(root: &Path) -> Result<u64, BlobError> {
        match fs::read_to_string(root.join(PRUNED)) {
            Ok(text) => Ok(text.trim().parse().unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a tag back, durably.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn untag(&self, id: BlobId, tag: Tag) -> Result<(), BlobError> {
        Ok(self.tags().remove(id, tag)?)
    }

    /// Returns why a blob is kept.
    pub fn tags_of(&self, id: BlobId) -> BTreeSet<Tag> {
        self.tags().of(id)
    }

    /// Deletes what need not be kept, if the store is above its high-water mark, and returns what went.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn collect(&self) -> Result<Usage, BlobError> {
        let mut usage = self.usage();
        if usage.bytes <= self.policy.high_water { Ok(Usage::default()) } else { self.shrink(&mut usage, 0) }
    }

    /// Makes sure that `wanted` more bytes fit.
    pub(super) fn make_room(&self, usage: &mut Usage, wanted: u64) -> Result<(), BlobError> {
        let quota = self.policy.quota;
        if usage.bytes.saturating_add(wanted) > quota && !self.policy.keep_all && wanted <= quota {
            self.shrink(usage, wanted)?;
        }
        let used = usage.bytes;
        if used.saturating_add(wanted) > quota { Err(BlobError::QuotaExceeded { wanted, used, quota }) } else { Ok(()) }
    }

    fn shrink(&self, usage: &mut Usage, wanted: u64) -> Result<Usage, BlobError> {
        let mut gone = Usage::default();
        if self.policy.keep_all {
            return Ok(gone);
        }
        let target = self.policy.low_water.min(self.policy.quota.saturating_sub(wanted));
        for (_, id, bytes) in self.candidates()? {
            if usage.bytes <= target {
                break;
            }
            let partial = self.partials().remove(&id);
            if partial.is_some() {
                partial::remove_files(&self.path(id))?;
            } else {
                fs::remove_file(self.path(id))?;
                usage.blobs -= 1;
                gone.blobs += 1;
            }
            usage.bytes -= bytes;
            gone.bytes += bytes;
        }
        Ok(gone)
    }

    /// Returns what may go, in the order in which it does: what was not used for longest first.
    fn candidates(&self) -> Result<Vec<(SystemTime, BlobId, u64)>, BlobError> {
        let tags = self.tags();
        let oldest_kept = tags.last_round().map_or(0, |last| last.saturating_sub(self.policy.rounds.saturating_sub(1)));
        let is_kept = |id: BlobId| {
            tags.of(id).into_iter().any(|tag| match tag {
                Tag::Pinned => true,
                Tag::Round(ordinal) => self.policy.rounds > 0 && ordinal >= oldest_kept,
            })
        };
        let mut candidates = Vec::new();
        for (id, bytes) in self.list()? {
            if !is_kept(id) {
                candidates.push((fs::metadata(self.path(id))?.modified()?, id, bytes));
            }
        }
        for (id, partial) in self.partials().iter() {
            if !is_kept(*id) {
                let data = self.path(*id).with_extension(partial::DATA);
                candidates.push((fs::metadata(data)?.modified()?, *id, lock(partial).size));
            }
        }
        candidates.sort_unstable();
        Ok(candidates)
    }

    /// Notes that a blob was used.
    pub(super) fn touch(file: &File) {
        let now = SystemTime::now();
        let is_old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > PRECISION);
        if file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(is_old)
            && let Err(error) = file.set_modified(now)
        {
            tracing::debug!(%error, "the use of a blob is not noted");
        }
    }

    pub(super) fn tags(&self) -> MutexGuard<'_, Tags> {
        // A tag is entered only after it was written, so a panic leaves nothing wrong.
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
