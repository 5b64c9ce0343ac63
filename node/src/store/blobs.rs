//! Bodies in files, named by their BLAKE3 hash.
//!
//! A blob is at `ab/abcd…`, the first byte of its id in hexadecimal and then all of it. It is written under a temporary
//! name, made durable and moved into place, so that a name in the folder always means a whole file; and it is hashed
//! whenever it is read, so that a damaged one is an error and never an answer. A range is read by hashing all of the
//! file too: blobs are at most [`MAX_BLOB_BYTES`], and BLAKE3 is faster than the disk.
//!
//! Blobs of more than one [piece](PIECE_BYTES) arrive in [pieces](BlobStore::add) that are checked one by one, and are
//! [passed on](BlobStore::slice) before the last one is there; such a one has two files of its own beside the blobs, and
//! is taken up again after a restart. What goes when room is needed, the [`Policy`] says.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chorus_protocol::{id::BlobId, limits::MAX_BLOB_BYTES};

use self::{partial::Partial, parts::Known, tags::Tags};
use super::files::{self, Unfinished};

mod keep;
mod partial;
mod parts;
mod pieces;
mod slice;
mod tags;
#[cfg(test)]
mod tests;

pub use keep::Policy;
pub use parts::Found;
pub use pieces::{MAX_PIECES, PIECE_BYTES, Pieces};
pub use slice::{MAX_PROOF_BYTES, MAX_SLICE_BYTES};
pub use tags::Tag;

const PURPOSE: &str = "blob";

/// Bytes that are hashed at a time.
const CHUNK: usize = 256 * 1024;

/// Why a blob was not stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes are over [`MAX_BLOB_BYTES`].
    #[error("blob of {found} bytes over the bound {MAX_BLOB_BYTES}")]
    TooLong {
        /// Their length.
        found: usize,
    },
    /// The blob does not fit what this node gives to blobs: delete some, or raise the quota.
    #[error("blob of {wanted} bytes does not fit: {used} of {quota} bytes are used")]
    QuotaExceeded {
        /// The blob's length.
        wanted: u64,
        /// The bytes that are used.
        used: u64,
        /// The bytes that may be used.
        quota: u64,
    },
    /// The file does not have the hash it is named by: delete it and fetch it again.
    #[error("blob {0} is damaged")]
    Damaged(BlobId),
    /// What a peer has sent is no part of the blob, or not of the length it says.
    #[error("not a part of blob {0}")]
    Wrong(BlobId),
    /// A piece of a blob whose length is not known yet.
    #[error("a piece of blob {0}, of which nothing is here")]
    NotBegun(BlobId),
    /// Another process, or another handle of this one, has the folder open.
    #[error("the blobs are open elsewhere: another node runs with this data directory")]
    Locked,
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

/// How much a [`BlobStore`] holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// The number of blobs.
    pub blobs: u64,
    /// Their bytes, and those set aside for blobs that are on their way.
    pub bytes: u64,
}

/// A folder of blobs. Every call blocks; async code uses `spawn_blocking`.
pub struct BlobStore {
    root: PathBuf,
    policy: Policy,
    /// Held by whoever writes or deletes, so that the sum stays right. Taken before the others.
    usage: Mutex<Usage>,
    partials: Mutex<BTreeMap<BlobId, Arc<Mutex<Partial>>>>,
    trees: Mutex<VecDeque<(BlobId, Arc<Known>)>>,
    tags: Mutex<Tags>,
    /// The ordinal of the first round that was not pruned.
    pruned: Mutex<u64>,
    _lock: File,
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore").field("root", &self.root).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl BlobStore {
    /// Opens the folder, making it if needed. A quota alone is a policy too: everything is kept.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Locked`] if it is open elsewhere, and [`BlobError::Io`] if the disk fails.
    pub fn open(root: &Path, policy: impl Into<Policy>) -> Result<Self, BlobError> {
        fs::create_dir_all(root)?;
        let lock = files::lock(&root.join("lock"))?.ok_or(BlobError::Locked)?;
        files::remove_unfinished(root, PURPOSE)?;
        let store = Self {
            root: root.to_owned(),
            policy: policy.into(),
            usage: Mutex::default(),
            partials: Mutex::default(),
            trees: Mutex::default(),
            tags: Mutex::new(Tags::open(&root.join("tags"))?),
            pruned: Mutex::new(Self::read_pruned(root)?),
            _lock: lock,
        };
        let mut usage = Usage::default();
        for shard in store.shards()? {
            files::remove_unfinished(&shard, PURPOSE)?;
            for (_, bytes) in blobs_in(&shard)? {
                usage.blobs += 1;
                usage.bytes += bytes;
            }
            usage.bytes += store.take_up(&shard)?;
        }
        *store.usage() = usage;
        Ok(store)
    }

    /// Stores bytes durably and returns their id. What is stored already is not written again, unless it is damaged.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::TooLong`] or [`BlobError::QuotaExceeded`] if the bytes are refused.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        if bytes.len() > MAX_BLOB_BYTES {
            return Err(BlobError::TooLong { found: bytes.len() });
        }
        let id = BlobId::of(bytes);
        let path = self.path(id);
        let mut usage = self.usage();
        match self.get(id) {
            Ok(Some(_)) => return Ok(id),
            Ok(None) => {}
            // What is damaged is of no use: room is made for the sound one.
            Err(BlobError::Damaged(_)) => self.drop_damaged(&mut usage, id)?,
            Err(error) => return Err(error),
        }
        self.drop_partial(&mut usage, id)?;
        let wanted = bytes.len() as u64;
        self.make_room(&mut usage, wanted)?;
        self.make_shard(&path)?;
        let mut unfinished = Unfinished::create(files::parent(&path), PURPOSE)?;
        unfinished.file().write_all(bytes)?;
        unfinished.rename(&path)?;
        *usage = Usage { blobs: usage.blobs + 1, bytes: usage.bytes + wanted };
        Ok(id)
    }

    fn drop_damaged(&self, usage: &mut Usage, id: BlobId) -> io::Result<()> {
        let path = self.path(id);
        let bytes = fs::metadata(&path)?.len();
        fs::remove_file(&path)?;
        self.forget(id);
        *usage = Usage { blobs: usage.blobs - 1, bytes: usage.bytes - bytes };
        Ok(())
    }

    /// Reads a blob and checks its hash; `None` if it is not here.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Damaged`] if the file does not have this hash.
    pub fn get(&self, id: BlobId) -> Result<Option<Vec<u8>>, BlobError> {
        self.get_range(id, 0, usize::MAX)
    }

    /// Reads at most `length` bytes of a blob from `offset` on, and checks the hash of all of it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_range(&self, id: BlobId, offset: u64, length: usize) -> Result<Option<Vec<u8>>, BlobError> {
        let file = match File::open(self.path(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let size = file.metadata()?.len();
        if size > MAX_BLOB_BYTES as u64 {
            return Err(BlobError::Damaged(id));
        }
        let end = offset.saturating_add(length as u64).min(size);
        let mut range = Vec::with_capacity(usize::try_from(end.saturating_sub(offset)).unwrap_or(0));
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK.min(MAX_BLOB_BYTES)];
        let mut position = 0;
        let mut file = file.take(size);
        loop {
            let count = file.read(&mut chunk)?;
            let read = chunk.get(..count).expect("a read fills no more than the buffer");
            if read.is_empty() {
                break;
            }
            hasher.update(read);
            range.extend_from_slice(overlap(read, position, offset, end));
            position += count as u64;
        }
        if hasher.finalize().as_bytes() != id.as_ref() {
            return Err(BlobError::Damaged(id));
        }
        Self::touch(file.get_ref());
        Ok(Some(range))
    }

    /// Returns whether a blob is here, without reading it.
    pub fn contains(&self, id: BlobId) -> bool {
        self.path(id).is_file()
    }

    /// Deletes a blob, whatever its tags, and returns whether it was here.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn delete(&self, id: BlobId) -> Result<bool, BlobError> {
        self.abandon(id)?;
        let path = self.path(id);
        let mut usage = self.usage();
        self.tags().clear(id)?;
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        fs::remove_file(&path)?;
        *usage = Usage { blobs: usage.blobs - 1, bytes: usage.bytes - bytes };
        files::sync_directory(files::parent(&path))?;
        Ok(true)
    }

    /// Returns the ids and lengths of all blobs, in ascending order, without reading them.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn list(&self) -> Result<Vec<(BlobId, u64)>, BlobError> {
        let mut blobs = Vec::new();
        for shard in self.shards()? {
            blobs.extend(blobs_in(&shard)?);
        }
        blobs.sort_unstable();
        Ok(blobs)
    }

    /// Returns how much is stored.
    pub fn used(&self) -> Usage {
        *self.usage()
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // The sum is only changed after the files were, so a panic leaves it right.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn partials(&self) -> MutexGuard<'_, BTreeMap<BlobId, Arc<Mutex<Partial>>>> {
        self.partials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what a shard holds of blobs that are not whole, and returns the bytes set aside for them.
    fn take_up(&self, shard: &Path) -> Result<u64, BlobError> {
        let mut bytes = 0;
        for entry in fs::read_dir(shard)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let Some(id) = id.filter(|_| path.extension().is_some_and(|it| it == partial::DATA)) else { continue };
            let whole = self.path(id);
            match Partial::open(&whole, id)?.filter(|_| !whole.exists()) {
                Some(partial) => {
                    bytes += partial.size;
                    self.partials().insert(id, Arc::new(Mutex::new(partial)));
                }
                None => partial::remove_files(&whole)?,
            }
        }
        partial::remove_orphans(shard)?;
        Ok(bytes)
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join(name.get(..2).expect("an identifier has 64 digits")).join(name)
    }

    fn shards(&self) -> io::Result<Vec<PathBuf>> {
        let mut shards = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().len() == 2 && entry.file_type()?.is_dir() {
                shards.push(entry.path());
            }
        }
        Ok(shards)
    }
}

/// Returns the blobs of a shard; files with other names are not ours and not counted.
fn blobs_in(shard: &Path) -> io::Result<Vec<(BlobId, u64)>> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(shard)? {
        let entry = entry?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            blobs.push((id, entry.metadata()?.len()));
        }
    }
    Ok(blobs)
}

/// Returns the part of `read`, which starts at `position` of the file, that is between `from` and `to`.
fn overlap(read: &[u8], position: u64, from: u64, to: u64) -> &[u8] {
    let index = |at: u64| usize::try_from(at.saturating_sub(position)).unwrap_or(usize::MAX).min(read.len());
    read.get(index(from)..index(to)).unwrap_or_default()
}
