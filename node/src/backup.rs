//! Backups: everything of a data directory that cannot be had again, in one encrypted file.
//!
//! ```text
//! magic (8) · keystore, as it is on the disk (4 + n) · nonce (24)
//! { length (4) · XChaCha20-Poly1305 of at most 1 MiB of the contents }*
//! BLAKE3 of all before (32)
//!
//! contents  { 1 · name (4 + n) · length (8) · bytes }* · 0
//! ```
//!
//! The keystore is under its passphrase already. The contents are under a key derived from the signing key in it, so that one
//! passphrase opens both; of a keystore without a passphrase the backup is as open as the keystore. Each piece is bound to
//! its place and to whether it is the last. The hash is no part of the security: it tells a damaged file from a wrong
//! passphrase.
//!
//! | in it | not in it |
//! |---|---|
//! | keystore, leaves, journal, community, settings, diary, an attester's books | public bodies: others have them |
//! | own ballots and entries on their way | the keys of open rounds and what is sealed to them: never in a backup |
//! | the log: all of it from a stopped node, from a running one its newest export; none on request | own adapters in training |
//!
//! # A copy of a journal is old
//!
//! Whoever puts a backup back does not know what the key said after it was made. So the journal is put back with a note of it,
//! and an operator's key stays silent until the log has passed all that it may have said: the protocol's `peer::recovery`
//! says how. Only for a backup of a *stopped* node may the person vouch that it has not run since (`--current`). That is the
//! only way with fewer than four operators, where the others cannot go on alone.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write},
    path::{Component, Path, PathBuf},
};

use chorus_crypto::sign::SecretKey;
use rand_core::CryptoRng;

use crate::{
    config::{self, ConfigError, DataDir},
    driver::{
        NodeError,
        copy::{JournalCopy, read_log, write_log},
    },
    keystore::{Keys, KeystoreError},
    store::files::{self, Unfinished},
};

mod sealed;
#[cfg(test)]
mod tests;

use sealed::{Opener, Sealer};

const MAGIC: [u8; 8] = *b"CHORUSB1";
const HASH_LEN: usize = 32;

/// Bytes of a keystore in a backup.
const MAX_KEYSTORE_BYTES: u32 = 1024 * 1024;
/// Bytes of the name of a file.
const MAX_NAME_BYTES: u32 = 256;
/// Bytes of a file that is read as a whole: a journal of many rounds.
const MAX_WHOLE_BYTES: u64 = 1024 * 1024 * 1024;

/// Single files, by their names in the data directory.
const FILES: [&str; 6] = ["leaves", "config.json", "config.toml", "diary.json", "community", "signed"];
/// Folders of files.
const FOLDERS: [&str; 3] = ["attester", "ballots", "node/outbox"];
/// What the journal and the log are called in a backup.
const JOURNAL: &str = "journal";
const LOG: &str = "log";

/// Why a backup was not written or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is not what was written: use another copy of it.
    #[error("the backup is damaged: {0}")]
    Damaged(&'static str),
    /// The contents do not open under the keys at the beginning.
    #[error("the backup was put together from two")]
    OtherKeys,
    /// A restoration replaces nothing.
    #[error("{0} is not empty: a backup is put back into a --data-dir of its own")]
    NotEmpty(PathBuf),
    /// The backup was made of a running node, which may have said more.
    #[error(
        "this backup was made while the node ran, so that nobody can vouch that it is current: leave --current away"
    )]
    NotCurrent,
    /// An earlier restoration was interrupted. Delete what it left.
    #[error("{0} is left of a restoration that was interrupted: delete it and try again")]
    Interrupted(PathBuf),
    /// The node's part cannot be copied or put back.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(#[from] io::Error),
}

impl From<ConfigError> for BackupError {
    fn from(error: ConfigError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// What was written or put back.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Summary {
    /// The files, by name.
    pub files: Vec<String>,
    /// Whether the log is among them.
    pub log: bool,
    /// The height that the journal tells of, if there is a journal.
    pub height: Option<u64>,
    /// Whether no node ran while the copy was made.
    pub complete: bool,
}

/// Writes a backup of `dir` into a new file.
///
/// # Errors
///
/// Returns a [`BackupError`]; no file is left then.
pub fn write(
    dir: &DataDir,
    keys: &Keys,
    target: &Path,
    with_log: bool,
    rng: &mut impl CryptoRng,
) -> Result<Summary, BackupError> {
    let journal = JournalCopy::read(&dir.node())?;
    let mut log = files::nameless(files::parent(target), "backup-log")?;
    let has_log = with_log && write_log(&dir.node(), &mut log)?;
    let mut summary = Summary {
        files: Vec::new(),
        log: has_log,
        height: journal.as_ref().map(|journal| journal.height().0),
        complete: journal.as_ref().is_none_or(|journal| journal.complete),
    };
    let mut unfinished = Unfinished::create(files::parent(target), "backup")?;
    let mut out = Hashed { inner: BufWriter::new(unfinished.file()), hasher: blake3::Hasher::new() };
    out.write_all(&MAGIC)?;
    let keystore = fs::read(dir.keystore())?;
    let length = u32::try_from(keystore.len()).ok().filter(|length| *length <= MAX_KEYSTORE_BYTES);
    out.write_all(&length.ok_or(BackupError::Damaged("the keystore is too long"))?.to_be_bytes())?;
    out.write_all(&keystore)?;
    let mut sealer = Sealer::start(out, &SecretKey::from_seed(&keys.signing), rng)?;
    for name in names(dir)? {
        let bytes = match fs::read(dir.root().join(&name)) {
            // Ballots and entries go when they are on the log.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => zeroize::Zeroizing::new(read?),
        };
        put(&mut sealer, &name, bytes.len() as u64, &mut bytes.as_slice())?;
        summary.files.push(name);
    }
    if let Some(journal) = journal {
        let bytes = journal.to_bytes();
        put(&mut sealer, JOURNAL, bytes.len() as u64, &mut bytes.as_slice())?;
        summary.files.push(JOURNAL.into());
    }
    if has_log {
        let length = log.stream_position()?;
        log.seek(SeekFrom::Start(0))?;
        put(&mut sealer, LOG, length, &mut log.take(length))?;
        summary.files.push(LOG.into());
    }
    sealer.write_all(&[0])?;
    let mut out = sealer.finish()?;
    let hash = *out.hasher.finalize().as_bytes();
    out.inner.write_all(&hash)?;
    out.inner.flush()?;
    drop(out);
    unfinished.rename(target)?;
    Ok(summary)
}

fn put(out: &mut impl Write, name: &str, length: u64, input: &mut impl Read) -> io::Result<()> {
    out.write_all(&[1])?;
    let name_length = u32::try_from(name.len()).expect("names of ours are short");
    out.write_all(&name_length.to_be_bytes())?;
    out.write_all(name.as_bytes())?;
    out.write_all(&length.to_be_bytes())?;
    let copied = io::copy(input, out)?;
    if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Returns the files of a data directory that are backed up, by their names in it.
fn names(dir: &DataDir) -> io::Result<Vec<String>> {
    let there = FILES.into_iter().filter(|name| dir.root().join(name).is_file());
    let mut names: Vec<String> = there.map(str::to_owned).collect();
    for folder in FOLDERS {
        walk(dir.root(), folder, &mut names)?;
    }
    Ok(names)
}

fn walk(root: &Path, folder: &str, names: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let name = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            walk(root, &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

/// Puts a backup back as `dir`, which must not exist or be empty. `open` opens the keystore in the directory it is given.
///
/// With `current`, the person vouches that the node has not run since the backup was made.
///
/// # Errors
///
/// Returns a [`BackupError`]; the directory is as it was then.
pub fn put_back<E: From<BackupError>>(
    source: &Path,
    dir: &DataDir,
    current: bool,
    open: impl FnOnce(&DataDir) -> Result<Keys, E>,
    rng: &mut impl CryptoRng,
) -> Result<Summary, E> {
    check_free(dir)?;
    check_hash(source)?;
    let name = dir.root().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let staging = dir.root().with_file_name(format!(".{name}.restoring"));
    if staging.exists() {
        return Err(BackupError::Interrupted(staging).into());
    }
    config::create_private(&staging).map_err(BackupError::from)?;
    let restored = unpack(source, &DataDir::new(staging.clone()), current, open, rng).and_then(|summary| {
        move_to(&staging, dir.root()).map_err(BackupError::from)?;
        Ok(summary)
    });
    if restored.is_err() {
        // The error is what matters; what is left is told about the next time.
        let _ = fs::remove_dir_all(&staging);
    }
    restored
}

fn move_to(staging: &Path, root: &Path) -> io::Result<()> {
    if root.try_exists()? {
        fs::remove_dir(root)?;
    }
    fs::rename(staging, root)?;
    files::sync_directory(files::parent(root))
}

fn check_free(dir: &DataDir) -> Result<(), BackupError> {
    match fs::read_dir(dir.root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(BackupError::NotEmpty(dir.root().to_owned())),
        },
    }
}

/// Reads the whole file, and compares its hash.
fn check_hash(source: &Path) -> Result<(), BackupError> {
    let mut file = File::open(source)?;
    let length = file.metadata()?.len().checked_sub(HASH_LEN as u64).ok_or(BackupError::Damaged("it is too short"))?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut (&mut file).take(length), &mut hasher)?;
    let mut hash = [0; HASH_LEN];
    file.read_exact(&mut hash)?;
    if *hasher.finalize().as_bytes() == hash { Ok(()) } else { Err(BackupError::Damaged("its hash differs")) }
}

fn unpack<E: From<BackupError>>(
    source: &Path,
    dir: &DataDir,
    current: bool,
    open: impl FnOnce(&DataDir) -> Result<Keys, E>,
    rng: &mut impl CryptoRng,
) -> Result<Summary, E> {
    let damaged = |what| BackupError::Damaged(what);
    let from_io = |error: io::Error| BackupError::Io(error);
    let file = File::open(source).map_err(from_io)?;
    let length = file.metadata().map_err(from_io)?.len().saturating_sub(HASH_LEN as u64);
    let mut input = BufReader::new(file).take(length);
    if array::<8>(&mut input).map_err(from_io)? != MAGIC {
        return Err(damaged("another format or version").into());
    }
    let keystore = counted(&mut input, MAX_KEYSTORE_BYTES)?;
    files::replace(&dir.keystore(), "keystore", &keystore).map_err(from_io)?;
    let keys = open(dir)?;
    let mut opener = Opener::start(input, &SecretKey::from_seed(&keys.signing)).map_err(from_io)?;
    Ok(unpack_contents(&mut opener, dir, current, rng)?)
}

fn unpack_contents(
    input: &mut impl Read,
    dir: &DataDir,
    current: bool,
    rng: &mut impl CryptoRng,
) -> Result<Summary, BackupError> {
    let mut summary = Summary { files: Vec::new(), log: false, height: None, complete: true };
    let ended = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => BackupError::OtherKeys,
        _ => BackupError::Io(error),
    };
    loop {
        match array::<1>(input).map_err(ended)? {
            [0] => return Ok(summary),
            [1] => {}
            _ => return Err(BackupError::Damaged("an entry begins with an unknown byte")),
        }
        let name = String::from_utf8(counted(input, MAX_NAME_BYTES)?).map_err(|_| BackupError::Damaged("a name"))?;
        let length = u64::from_be_bytes(array(input).map_err(ended)?);
        let mut contents = input.by_ref().take(length);
        match name.as_str() {
            JOURNAL => {
                let bytes = whole(&mut contents, length)?;
                let journal = JournalCopy::from_bytes(&bytes).ok_or(BackupError::Damaged("the journal"))?;
                if current && !journal.complete {
                    return Err(BackupError::NotCurrent);
                }
                (summary.height, summary.complete) = (Some(journal.height().0), journal.complete);
                journal.put_back(&dir.node(), current, rng)?;
            }
            LOG => {
                read_log(&dir.node(), &mut contents)?;
                summary.log = true;
            }
            _ => {
                let path = dir.root().join(checked(&name)?);
                let bytes = zeroize::Zeroizing::new(whole(&mut contents, length)?);
                config::create_private(files::parent(&path))?;
                files::replace(&path, "restored", &bytes)?;
            }
        }
        // An export may end before its length does; nothing of ours does that.
        if contents.limit() != 0 {
            return Err(BackupError::Damaged("an entry is longer than what it holds"));
        }
        summary.files.push(name);
    }
}

/// A name that leads nowhere but to where backups put things.
fn checked(name: &str) -> Result<&Path, BackupError> {
    let path = Path::new(name);
    let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
    let known = FILES.contains(&name) || FOLDERS.iter().any(|folder| path.starts_with(folder));
    if plain && known { Ok(path) } else { Err(BackupError::Damaged("a file that no backup holds")) }
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn counted(input: &mut impl Read, bound: u32) -> Result<Vec<u8>, BackupError> {
    let length = u32::from_be_bytes(array(input)?);
    if length > bound {
        return Err(BackupError::Damaged("a length over its bound"));
    }
    whole(input, u64::from(length))
}

fn whole(input: &mut impl Read, length: u64) -> Result<Vec<u8>, BackupError> {
    if length > MAX_WHOLE_BYTES {
        return Err(BackupError::Damaged("a length over its bound"));
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(BackupError::Damaged("it ends early")) }
}

/// Hashes what is written.
struct Hashed<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl From<KeystoreError> for BackupError {
    fn from(error: KeystoreError) -> Self {
        Self::Io(io::Error::other(error))
    }
}
