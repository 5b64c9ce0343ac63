//! Blobs as they travel: in pieces, from several nodes, to several nodes.

use std::{
    fs::{self, File},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chorus_protocol::{id::BlobId, limits::MAX_BLOB_BYTES};

use super::{
    super::files,
    BlobError, BlobStore, Usage,
    partial::{self, Partial},
    pieces::{PIECE_BYTES, Pieces},
    slice::{self, Tree},
};

/// Trees of whole blobs that are remembered, so that one that many ask for is hashed once: at most 16 MiB.
const MAX_TREES: usize = 64;

/// What is here of a blob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// All of it, and it is small: at most one piece.
    Whole(Vec<u8>),
    /// Pieces of a larger one.
    Parts {
        /// Its length.
        size: u64,
        /// The pieces.
        pieces: Pieces,
        /// The proof of its length.
        proof: Vec<u8>,
    },
}

/// What is needed to pass on pieces of a whole blob.
#[derive(Debug)]
pub(super) struct Known {
    tree: Tree,
    proof: Vec<u8>,
}

impl BlobStore {
    /// Returns what is here of a blob.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Damaged`] if the file does not have this hash.
    pub fn find(&self, id: BlobId) -> Result<Option<Found>, BlobError> {
        if let Some(partial) = self.partial(id) {
            let partial = lock(&partial);
            let (size, pieces, proof) = (partial.size, partial.pieces, partial.proof.clone());
            return Ok(Some(Found::Parts { size, pieces, proof }));
        }
        let size = match fs::metadata(self.path(id)) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if size <= PIECE_BYTES as u64 {
            return Ok(self.get(id)?.map(Found::Whole));
        }
        let Some(known) = self.known(id)? else { return Ok(None) };
        let pieces = Pieces::all(Pieces::of(size));
        Ok(Some(Found::Parts { size, pieces, proof: known.proof.clone() }))
    }

    /// Returns the slice of a piece, if the piece is here. It is checked.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Damaged`] if the file does not have this hash.
    pub fn slice(&self, id: BlobId, piece: u32) -> Result<Option<Vec<u8>>, BlobError> {
        if let Some(partial) = self.partial(id) {
            return Ok(lock(&partial).slice(piece)?);
        }
        let Some(known) = self.known(id)? else { return Ok(None) };
        if piece >= Pieces::of(known.tree.tree.size()) {
            return Ok(None);
        }
        match File::open(self.path(id)) {
            Ok(file) => slice::encode(&file, &known.tree, piece)?.map(Some).ok_or(BlobError::Damaged(id)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes ready for the pieces of a blob, and returns those that are here: all, if it is whole.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Wrong`] if the proof does not prove the size, and [`BlobError::QuotaExceeded`] if the blob
    /// does not fit.
    pub fn begin(&self, id: BlobId, size: u64, proof: &[u8]) -> Result<Pieces, BlobError> {
        if !slice::check_size(id, size, proof) {
            return Err(BlobError::Wrong(id));
        }
        let mut usage = self.usage();
        if let Some(partial) = self.partial(id) {
            return Ok(lock(&partial).pieces);
        }
        match self.get(id) {
            Ok(Some(_)) => return Ok(Pieces::all(Pieces::of(size))),
            Ok(None) => {}
            // Fetched again from the start: which part is damaged is not known.
            Err(BlobError::Damaged(_)) => self.drop_damaged(&mut usage, id)?,
            Err(error) => return Err(error),
        }
        self.make_room(&mut usage, size)?;
        let path = self.path(id);
        self.make_shard(&path)?;
        let partial = Partial::create(&path, id, size, proof.to_vec())?;
        usage.bytes += size;
        let pieces = partial.pieces;
        self.partials().insert(id, Arc::new(Mutex::new(partial)));
        Ok(pieces)
    }

    /// Adds a piece that a peer has sent, and returns those that are here now. After the last one the blob is like any
    /// other.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Wrong`] if it is no slice of this blob's piece, [`BlobError::NotBegun`] if the blob was not
    /// [begun](Self::begin) or deleted meanwhile, and [`BlobError::Damaged`] if the disk has changed what it was given.
    pub fn add(&self, id: BlobId, piece: u32, slice: &[u8]) -> Result<Pieces, BlobError> {
        let Some(partial) = self.partial(id) else {
            let size = fs::metadata(self.path(id)).map_err(|_| BlobError::NotBegun(id))?.len();
            return Ok(Pieces::all(Pieces::of(size)));
        };
        let size = lock(&partial).size;
        let checked = slice::check(id, size, piece, slice).ok_or(BlobError::Wrong(id))?;
        let mut held = lock(&partial);
        held.add(piece, &checked)?;
        let pieces = held.pieces;
        drop(held);
        if pieces.is_full() {
            self.complete(id)?;
        }
        Ok(pieces)
    }

    /// Gives up what is here of a blob that is not whole, and returns whether there was anything.
    ///
    /// # Errors
    ///
    /// Returns [`BlobError::Io`] if the disk fails.
    pub fn abandon(&self, id: BlobId) -> Result<bool, BlobError> {
        Ok(self.drop_partial(&mut self.usage(), id)?)
    }

    pub(super) fn drop_partial(&self, usage: &mut Usage, id: BlobId) -> io::Result<bool> {
        let Some(partial) = self.partials().remove(&id) else { return Ok(false) };
        partial::remove_files(&self.path(id))?;
        usage.bytes -= lock(&partial).size;
        Ok(true)
    }

    /// Returns the blobs of which only parts are here, with their lengths and pieces.
    pub fn unfinished(&self) -> Vec<(BlobId, u64, Pieces)> {
        let partials: Vec<_> = self.partials().iter().map(|(id, partial)| (*id, Arc::clone(partial))).collect();
        let look = |(id, partial): (BlobId, Arc<Mutex<Partial>>)| {
            let partial = lock(&partial);
            (id, partial.size, partial.pieces)
        };
        partials.into_iter().map(look).collect()
    }

    fn complete(&self, id: BlobId) -> Result<(), BlobError> {
        let mut usage = self.usage();
        let Some(partial) = self.partial(id) else { return Ok(()) };
        let mut held = lock(&partial);
        if !held.finish(id)? {
            self.partials().remove(&id);
            partial::remove_files(&self.path(id))?;
            usage.bytes -= held.size;
            return Err(BlobError::Damaged(id));
        }
        usage.blobs += 1;
        self.remember(id, Known { tree: held.tree.clone(), proof: held.proof.clone() });
        self.partials().remove(&id);
        Ok(())
    }

    pub(super) fn partial(&self, id: BlobId) -> Option<Arc<Mutex<Partial>>> {
        self.partials().get(&id).cloned()
    }

    /// Returns the tree of a whole blob; `None` if it is not here.
    fn known(&self, id: BlobId) -> Result<Option<Arc<Known>>, BlobError> {
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = trees.iter().find(|(of, _)| *of == id) {
            return Ok(Some(Arc::clone(known)));
        }
        drop(trees);
        let bytes = match fs::metadata(self.path(id)) {
            Ok(metadata) if metadata.len() > MAX_BLOB_BYTES as u64 => return Err(BlobError::Damaged(id)),
            Ok(_) => fs::read(self.path(id))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let tree = slice::tree_from(&bytes);
        if tree.root.as_bytes() != id.as_ref() {
            return Err(BlobError::Damaged(id));
        }
        let proof = slice::prove_size(bytes.as_slice(), &tree)?.ok_or(BlobError::Damaged(id))?;
        Ok(Some(self.remember(id, Known { tree, proof })))
    }

    fn remember(&self, id: BlobId, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.retain(|(of, _)| *of != id);
        if trees.len() >= MAX_TREES {
            trees.pop_front();
        }
        trees.push_back((id, Arc::clone(&known)));
        known
    }

    /// Forgets the tree of a blob that is gone.
    pub(super) fn forget(&self, id: BlobId) {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != id);
    }

    pub(super) fn make_shard(&self, path: &std::path::Path) -> io::Result<()> {
        let shard = files::parent(path);
        if !shard.try_exists()? {
            fs::create_dir(shard)?;
            files::sync_directory(&self.root)?;
        }
        Ok(())
    }
}

pub(super) fn lock(partial: &Mutex<Partial>) -> MutexGuard<'_, Partial> {
    // A piece is entered only after it was written, so a panic leaves nothing wrong.
    partial.lock().unwrap_or_else(PoisonError::into_inner)
}
