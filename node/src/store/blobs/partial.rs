//! A blob of which some pieces are here.
//!
//! The bytes are in `abcd….part`, of full length from the start; what is known of them is in `abcd….state`: the length
//! and its proof, which pieces are there, and the inner hashes. The state is written after the bytes are durable and
//! replaced whole, so a piece that it names is there; what a crash loses is what came since, at most
//! [`SAVE_AFTER`] pieces. And nothing rests on that alone: a piece is checked against the hashes when it is passed on,
//! and all of the blob when it is complete.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use bao_tree::io::sync::WriteAt as _;
use chorus_crypto::codec::{Decode as _, Encode as _, Reader, put_bytes};
use chorus_protocol::{id::BlobId, limits::MAX_BLOB_BYTES};

use super::{
    super::files,
    pieces::{PIECE_BYTES, Pieces},
    slice::{self, Checked, MAX_PROOF_BYTES, Tree},
};

/// Pieces after which the state is written: four mebibytes are soon fetched again, and a home's disk is not asked to
/// sync many times a second.
const SAVE_AFTER: u32 = 16;

/// Names of the two files, after the blob's.
pub(super) const DATA: &str = "part";
const STATE: &str = "state";

/// Bytes of the longest state: the hashes are 64 bytes for every 16 KiB.
const MAX_STATE: u64 = 64 * 1024 + (MAX_BLOB_BYTES / 256) as u64;

#[derive(Debug)]
pub(super) struct Partial {
    pub(super) size: u64,
    pub(super) proof: Vec<u8>,
    pub(super) pieces: Pieces,
    pub(super) tree: Tree,
    file: File,
    path: PathBuf,
    unsaved: u32,
}

impl Partial {
    /// Starts one. `path` is where the whole blob will be; the size is proved.
    pub(super) fn create(path: &Path, id: BlobId, size: u64, proof: Vec<u8>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path.with_extension(DATA))?;
        file.set_len(size)?;
        let pieces = Pieces::none(Pieces::of(size));
        Ok(Self { size, proof, pieces, tree: slice::blank(id, size), file, path: path.to_owned(), unsaved: 0 })
    }

    /// Takes up one that was begun earlier; `None` if there is no state to go by.
    pub(super) fn open(path: &Path, id: BlobId) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        match File::open(path.with_extension(STATE)) {
            Ok(state) => state.take(MAX_STATE).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((size, proof, pieces, tree)) = read_state(id, &bytes) else { return Ok(None) };
        let file = OpenOptions::new().read(true).write(true).open(path.with_extension(DATA))?;
        if file.metadata()?.len() != size {
            return Ok(None);
        }
        Ok(Some(Self { size, proof, pieces, tree, file, path: path.to_owned(), unsaved: 0 }))
    }

    /// Writes a piece; one that is here is not written again.
    pub(super) fn add(&mut self, index: u32, checked: &Checked) -> io::Result<()> {
        if self.pieces.contains(index) {
            return Ok(());
        }
        self.file.write_all_at(u64::from(index) * PIECE_BYTES as u64, &checked.bytes)?;
        checked.save(&mut self.tree)?;
        self.pieces.insert(index);
        self.unsaved += 1;
        if self.unsaved >= SAVE_AFTER && !self.pieces.is_full() { self.save() } else { Ok(()) }
    }

    /// Returns the slice of a piece, if it is here and sound.
    pub(super) fn slice(&self, index: u32) -> io::Result<Option<Vec<u8>>> {
        if self.pieces.contains(index) { slice::encode(&self.file, &self.tree, index) } else { Ok(None) }
    }

    /// Makes durable what is here.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if self.unsaved == 0 {
            return Ok(());
        }
        self.file.sync_data()?;
        let mut state = self.size.to_bytes();
        put_bytes(&mut state, &self.proof);
        self.pieces.encode(&mut state);
        put_bytes(&mut state, &self.tree.data);
        let checksum = blake3::hash(&state);
        state.extend_from_slice(checksum.as_bytes());
        files::replace(&self.path.with_extension(STATE), super::PURPOSE, &state)?;
        self.unsaved = 0;
        Ok(())
    }

    /// Moves the whole blob into place, durably; `false` if the disk has changed its bytes.
    pub(super) fn finish(&mut self, id: BlobId) -> io::Result<bool> {
        self.file.sync_all()?;
        self.file.rewind()?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; PIECE_BYTES];
        loop {
            let count = self.file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            hasher.update(chunk.get(..count).expect("a read fills no more than the buffer"));
        }
        if hasher.finalize().as_bytes() != id.as_ref() {
            return Ok(false);
        }
        fs::rename(self.path.with_extension(DATA), &self.path)?;
        remove(&self.path.with_extension(STATE))?;
        files::sync_directory(files::parent(&self.path))?;
        Ok(true)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it is finished, or given up, the file under this name is gone: there is nothing to save.
        if self.path.with_extension(DATA).exists()
            && let Err(error) = self.save()
        {
            tracing::debug!(%error, "the last pieces of a blob will be fetched again");
        }
    }
}

/// Deletes the two files of a blob's parts.
pub(super) fn remove_files(path: &Path) -> io::Result<()> {
    // The data first: a state without data is removed when the folder is next opened.
    remove(&path.with_extension(DATA))?;
    remove(&path.with_extension(STATE))
}

/// Deletes states whose data is gone, in one shard.
pub(super) fn remove_orphans(shard: &Path) -> io::Result<()> {
    for entry in fs::read_dir(shard)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == STATE) && !path.with_extension(DATA).exists() {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_state(id: BlobId, bytes: &[u8]) -> Option<(u64, Vec<u8>, Pieces, Tree)> {
    let (state, checksum) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(state).as_bytes() != checksum {
        return None;
    }
    let mut input = Reader::new(state);
    let size = u64::decode(&mut input).ok().filter(|size| *size <= MAX_BLOB_BYTES as u64)?;
    let proof = input.bytes(MAX_PROOF_BYTES).ok()?.to_vec();
    let pieces = Pieces::decode(&mut input).ok().filter(|pieces| pieces.count() == Pieces::of(size))?;
    let tree = slice::tree_of(id, size, input.bytes(MAX_BLOB_BYTES).ok()?)?;
    input.finish().ok()?;
    slice::check_size(id, size, &proof).then_some((size, proof, pieces, tree))
}
