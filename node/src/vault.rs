//! The leaf vault: a person's leaves in one encrypted file that the running node can replace without the passphrase.
//!
//! ```text
//! file      magic (8) · nonce (24) · XChaCha20-Poly1305 of the leaves, label and magic being associated data
//! leaves    registered (1) · successor there (1) · number of others (1) · current · successor · others
//! ```
//!
//! The key is derived from the signing seed, which the keystore protects. *Others* are leaves that a round still pins, and
//! leaves of requests that no attester may yet have answered: which of them counts, the log decides, and
//! [`settle`](Vault::settle) follows it. What no unfinished round pins is dropped then, so that whoever steals the keys
//! later cannot recognise ballots of finished rounds.
//!
//! The file is replaced as a whole, durably, before anything that depends on it leaves the node. Its older versions are
//! not overwritten on the disk; they are encrypted like the present one.

use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use chorus_crypto::{
    codec::Reader,
    credential::{Leaf, LeafSecret, SLOTS},
    domain, hash,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    ledger::{Ledger, RoundState},
    limits,
    registry::Snapshot,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::store::files;

#[cfg(test)]
mod tests;

/// Leaves besides the current one and its successor: one for each unfinished round, and as many requests.
pub const MAX_OTHERS: usize = 2 * limits::MAX_OPEN_ROUNDS;

const PURPOSE: &str = "leaves";
const MAGIC: [u8; 8] = *b"CHORUSL1";
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const MAX_FILE_BYTES: usize = 8 + NONCE_LEN + 3 + (2 + MAX_OTHERS) * LeafSecret::LEN + TAG_LEN;

/// Why the leaves cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The file is damaged, or of another keystore: restore a copy of it.
    #[error("the file of leaves at {0} is damaged, or belongs to other keys")]
    Damaged(PathBuf),
    /// The leaf that the keystore was made with does not read.
    #[error("the keystore has no leaf: it was made by another program")]
    NoLeaf,
    /// The attributes of a registered leaf are what attesters have checked.
    #[error("your attributes are registered, and cannot be changed")]
    Registered,
    /// Too many requests with different attributes are under way.
    #[error("too many requests with different attributes: wait until one has been answered")]
    TooMany,
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

/// Why a person cannot speak somewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoLeaf {
    /// No leaf of the person was in the snapshot, or it has been rotated and dropped.
    #[error("you were not a member when this began, or have rotated your leaf since")]
    NotInForce,
    /// The registered leaf was made by another data directory.
    #[error("the leaf that you are registered with is not here: copy the file `leaves` from where you last rotated it")]
    Elsewhere,
}

/// A person's leaves.
pub struct Vault {
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
    leaves: Mutex<Leaves>,
    /// How often the leaves were written.
    changes: AtomicU64,
}

#[derive(Clone)]
struct Leaves {
    current: Arc<LeafSecret>,
    /// Whether the log has said that the current leaf is the person's.
    registered: bool,
    next: Option<Arc<LeafSecret>>,
    others: Vec<Arc<LeafSecret>>,
}

impl Leaves {
    fn all(&self) -> impl Iterator<Item = &Arc<LeafSecret>> {
        [Some(&self.current), self.next.as_ref()].into_iter().flatten().chain(&self.others)
    }

    fn find(&self, leaf: &Leaf) -> Option<&Arc<LeafSecret>> {
        self.all().find(|secret| secret.leaf() == *leaf)
    }

    /// Makes the leaf that the log names the current one; returns `false` if the log is behind, or names a leaf of which
    /// there is no secret here.
    fn follow(&mut self, leaf: &Leaf) -> bool {
        let is_it = |secret: &Arc<LeafSecret>| secret.leaf() == *leaf;
        if self.next.as_ref().is_some_and(is_it) {
            if let Some(next) = self.next.take() {
                self.others.push(core::mem::replace(&mut self.current, next));
            }
        } else if !is_it(&self.current) {
            // An attester has answered an earlier request; but a leaf that has been registered has not become another.
            let answered = self.others.iter().position(is_it).filter(|_| !self.registered);
            let Some(at) = answered else { return false };
            let chosen = self.others.remove(at);
            self.others.push(core::mem::replace(&mut self.current, chosen));
        }
        self.registered = true;
        true
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES));
        bytes.push(u8::from(self.registered));
        bytes.push(u8::from(self.next.is_some()));
        bytes.push(u8::try_from(self.others.len()).expect("there are at most MAX_OTHERS"));
        self.all().for_each(|secret| bytes.extend_from_slice(secret.to_bytes().as_slice()));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let [registered, has_next, others] = input.array::<3>().ok()?;
        if registered.max(has_next) > 1 || usize::from(others) > MAX_OTHERS {
            return None;
        }
        let mut leaf = || {
            let bytes = Zeroizing::new(input.array::<{ LeafSecret::LEN }>().ok()?);
            LeafSecret::from_bytes(bytes.as_slice()).ok().map(Arc::new)
        };
        let current = leaf()?;
        let next = if has_next == 1 { Some(leaf()?) } else { None };
        let others = (0..others).map(|_| leaf()).collect::<Option<_>>()?;
        input.finish().ok()?;
        Some(Self { current, registered: registered == 1, next, others })
    }
}

impl Vault {
    /// Opens the file at `path`. If there is none, `first`, the leaf that the keystore was made with, is the first one.
    ///
    /// # Errors
    ///
    /// Returns [`VaultError::Damaged`] if the file does not open under the key of `owner`.
    pub fn open(path: PathBuf, owner: &SecretKey, first: &[u8]) -> Result<Self, VaultError> {
        let key = Zeroizing::new(hash::digest_bytes(domain::LEAF_VAULT, owner.to_seed().as_slice()));
        let vault = |leaves| Self {
            path: path.clone(),
            key: key.clone(),
            leaves: Mutex::new(leaves),
            changes: AtomicU64::new(0),
        };
        if let Some(file) = read(&path)? {
            let leaves = open(&file, &key).ok_or_else(|| VaultError::Damaged(path.clone()))?;
            return Ok(vault(leaves));
        }
        let current = Arc::new(LeafSecret::from_bytes(first).map_err(|_| VaultError::NoLeaf)?);
        let vault = vault(Leaves { current, registered: false, next: None, others: Vec::new() });
        let leaves = vault.leaves().clone();
        vault.write(&leaves)?;
        Ok(vault)
    }

    /// Returns the leaf that is registered, or that requests are made with.
    pub fn current(&self) -> Arc<LeafSecret> {
        self.leaves().current.clone()
    }

    /// Returns a number that is another one whenever the leaves may have changed: what follows from them can be kept that long.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Returns the secret of a leaf.
    pub fn find(&self, leaf: &Leaf) -> Option<Arc<LeafSecret>> {
        self.leaves().find(leaf).cloned()
    }

    /// Returns the secret of the leaf that is in a snapshot.
    pub fn in_snapshot(&self, snapshot: &Snapshot) -> Option<Arc<LeafSecret>> {
        self.leaves().all().find(|secret| snapshot.index(&secret.leaf()).is_some()).cloned()
    }

    /// Returns the secret to speak with where a snapshot decides who may.
    ///
    /// # Errors
    ///
    /// Returns [`NoLeaf`]: none of the person's leaves is in it.
    pub fn for_snapshot(
        &self,
        ledger: &Ledger,
        owner: &PublicKey,
        snapshot: &Snapshot,
    ) -> Result<Arc<LeafSecret>, NoLeaf> {
        let elsewhere = || {
            let registered = ledger.registry().person(owner).map(|person| person.claim.leaf);
            registered.is_some_and(|leaf| self.find(&leaf).is_none())
        };
        let missing = || if elsewhere() { NoLeaf::Elsewhere } else { NoLeaf::NotInForce };
        self.in_snapshot(snapshot).ok_or_else(missing)
    }

    /// Returns the leaf to request admission with: the current one if it has these attributes, else a fresh one. The
    /// earlier one is kept, for an attester may have its request.
    ///
    /// # Errors
    ///
    /// Returns [`VaultError::TooMany`], or that the disk failed.
    pub fn with_attributes(
        &self,
        attributes: [u64; SLOTS],
        rng: &mut impl CryptoRng,
    ) -> Result<Arc<LeafSecret>, VaultError> {
        let mut leaves = self.leaves();
        if *leaves.current.attributes() == attributes {
            return Ok(leaves.current.clone());
        }
        if leaves.registered {
            return Err(VaultError::Registered);
        }
        let mut after = leaves.clone();
        let known = after.others.iter().position(|secret| *secret.attributes() == attributes);
        let fresh = known.map_or_else(|| Arc::new(LeafSecret::random(attributes, rng)), |at| after.others.remove(at));
        after.others.push(core::mem::replace(&mut after.current, fresh.clone()));
        if after.others.len() > MAX_OTHERS {
            return Err(VaultError::TooMany);
        }
        self.write(&after)?;
        *leaves = after;
        Ok(fresh)
    }

    /// Returns the current leaf and its successor, which is drawn if there is none yet, and is durable then.
    ///
    /// # Errors
    ///
    /// Returns that the disk failed.
    pub fn successor(&self, rng: &mut impl CryptoRng) -> Result<(Arc<LeafSecret>, Arc<LeafSecret>), VaultError> {
        let mut leaves = self.leaves();
        if let Some(next) = &leaves.next {
            return Ok((leaves.current.clone(), next.clone()));
        }
        let mut after = leaves.clone();
        let next = Arc::new(after.current.rotated(rng));
        after.next = Some(next.clone());
        self.write(&after)?;
        *leaves = after;
        Ok((leaves.current.clone(), next))
    }

    /// Follows the log, which says that the leaf `registered` is the person's: that one is the current one from now on, and
    /// what none of the `pinned` snapshots of unfinished rounds holds is dropped.
    ///
    /// Nothing is dropped while the log is behind the vault: a round that pins an older leaf may still come.
    ///
    /// # Errors
    ///
    /// Returns that the disk failed; nothing has changed then.
    pub fn settle(&self, registered: &Leaf, pinned: &[Arc<Snapshot>]) -> Result<(), VaultError> {
        let mut leaves = self.leaves();
        let mut after = leaves.clone();
        if !after.follow(registered) {
            return Ok(());
        }
        after.others.retain(|secret| pinned.iter().any(|snapshot| snapshot.index(&secret.leaf()).is_some()));
        let unchanged = after.others.len() == leaves.others.len()
            && after.registered == leaves.registered
            && Arc::ptr_eq(&after.current, &leaves.current);
        if !unchanged {
            self.write(&after)?;
            *leaves = after;
        }
        Ok(())
    }

    fn leaves(&self) -> MutexGuard<'_, Leaves> {
        // A panic cannot leave them half changed: they are replaced as a whole.
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, leaves: &Leaves) -> io::Result<()> {
        self.changes.fetch_add(1, Ordering::AcqRel);
        files::replace(&self.path, PURPOSE, &seal(leaves, &self.key))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("path", &self.path).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn seal(leaves: &Leaves, key: &[u8; 32]) -> Vec<u8> {
    // From the system always: a nonce that comes again under this key would show the leaves.
    let nonce: [u8; NONCE_LEN] = rand::random();
    let payload = Payload { msg: &leaves.to_bytes(), aad: &associated() };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("leaves are far shorter than what the cipher takes");
    [&MAGIC[..], &nonce, &sealed].concat()
}

fn open(file: &[u8], key: &[u8; 32]) -> Option<Leaves> {
    let (nonce, sealed) = file.strip_prefix(&MAGIC)?.split_first_chunk::<NONCE_LEN>()?;
    let payload = Payload { msg: sealed, aad: &associated() };
    let leaves = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok()?;
    Leaves::from_bytes(&Zeroizing::new(leaves))
}

/// Returns the associated data: the label, then the magic.
fn associated() -> Vec<u8> {
    [domain::LEAF_VAULT.as_str().as_bytes(), &MAGIC].concat()
}

/// Returns the snapshots that unfinished rounds pin.
pub fn pinned(ledger: &Ledger) -> Vec<Arc<Snapshot>> {
    let unfinished = ledger.rounds().values().filter(|round| round.state() != RoundState::Finished);
    unfinished.filter_map(|round| Some(round.manifest.as_ref()?.snapshot.clone())).collect()
}
