//! The journal: what cannot be rebuilt, in one append-only file.
//!
//! ```text
//! header   magic (8) · journal id (32) · check (32) = H(magic · id)
//! record   length (4) · kind (1) · head check (16) · payload · chain (32)
//!          head check = first 16 bytes of H(previous chain · length · kind)
//!          chain      = H(previous chain · length · kind · payload); the first record follows the header's check
//! ```
//!
//! [`Journal::append`] returns after `fdatasync`. A crash before that can leave the beginning of a record at the end
//! of the file. [`Journal::open`] removes such a tail **only if it is provably one**: fewer bytes than a record's head,
//! or an intact head that announces more than there is. The head's own check is what makes this a proof: without it a
//! flipped bit in the length of the last, long acknowledged record would look the same. Everything else that does not
//! fit is [`JournalError::Damaged`], and the node must not run: it could sign twice, or open twice.
//!
//! The chain cannot tell that whole records are missing from the end, for instance after an old copy was put back.
//! Whoever keeps a [`Tip`] elsewhere can: see [`Journal::has_reached`].

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use chorus_crypto::{
    codec::{Decode as _, Encode as _, Reader},
    domain,
    hash::{self, Digest},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::files::{self, Unfinished};

#[cfg(test)]
mod tests;

/// Bytes of one payload: the largest is a proposal in the write-ahead log of the consensus, with what surrounds it.
pub const MAX_PAYLOAD_BYTES: usize = 2 * chorus_protocol::limits::MAX_BATCH_BYTES + 64;

/// Part of the names of unfinished files.
const PURPOSE: &str = "journal";
const MAGIC: [u8; 8] = *b"CHORUSJ1";
const HEADER_LEN: usize = 8 + 32 + 32;
const CHECK_LEN: usize = 16;
const HEAD_LEN: usize = 4 + 1 + CHECK_LEN;
const CHAIN_LEN: usize = 32;

/// One entry of the journal. What a kind means, and how its payload is encoded, is the caller's business.
#[derive(Clone, Eq, PartialEq)]
pub struct Record {
    /// What the payload is.
    pub kind: u8,
    /// The payload; it may hold secrets.
    pub payload: Zeroizing<Vec<u8>>,
}

impl Record {
    /// Makes a record.
    pub fn new(kind: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, payload: Zeroizing::new(payload.into()) }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("kind", &self.kind).field("length", &self.payload.len()).finish_non_exhaustive()
    }
}

/// The random name of a journal, so that an empty one cannot pass for one that was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JournalId([u8; 32]);

impl AsRef<[u8; 32]> for JournalId {
    fn as_ref(&self) -> &[u8; 32] {
        &self.0
    }
}

/// How far a journal has come: to be kept elsewhere and compared after a restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tip {
    /// The number of records.
    pub records: u64,
    /// The chain value of the last one.
    pub chain: Digest,
}

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal. Make a new one only for a new identity.
    #[error("no journal at {0}")]
    Missing(PathBuf),
    /// There is a journal already.
    #[error("a journal exists at {0}")]
    Exists(PathBuf),
    /// Another process, or another handle of this one, has it open.
    #[error("the journal is open elsewhere: another node runs with this data directory")]
    Locked,
    /// The file is not what was written. The node must not run on it.
    #[error("the journal is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the part begins that does not fit.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A payload is over [`MAX_PAYLOAD_BYTES`].
    #[error("payload of {found} bytes over the bound {MAX_PAYLOAD_BYTES}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The disk failed. After a failed write the journal takes no more: open it again.
    #[error("the disk failed")]
    Io(#[from] io::Error),
    /// An earlier write failed, so that what is durable is unknown: open the journal again.
    #[error("the journal stopped after an earlier failure")]
    Stopped,
}

/// An open journal. Every call blocks; async code uses `spawn_blocking` or a thread of its own.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    id: JournalId,
    tip: Tip,
    length: u64,
    stopped: bool,
    _lock: File,
}

impl Journal {
    /// Makes a new journal.
    ///
    /// # Errors
    ///
    /// Returns [`JournalError::Exists`] if there is one, and other errors if the disk fails.
    pub fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, JournalError> {
        let lock = lock(path)?;
        if path.try_exists()? {
            return Err(JournalError::Exists(path.to_owned()));
        }
        let mut id = [0; 32];
        rng.fill_bytes(&mut id);
        files::replace(path, PURPOSE, &header(JournalId(id)))?;
        Self::open_locked(path, lock)
    }

    /// Opens a journal, checks all of it, and removes an incomplete last record.
    ///
    /// # Errors
    ///
    /// Returns [`JournalError::Missing`], [`JournalError::Locked`] or, if a single bit is not as it was written,
    /// [`JournalError::Damaged`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.try_exists()? {
            return Err(JournalError::Missing(path.to_owned()));
        }
        let lock = lock(path)?;
        Self::open_locked(path, lock)
    }

    fn open_locked(path: &Path, lock: File) -> Result<Self, JournalError> {
        files::remove_unfinished(files::parent(path), PURPOSE)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        let mut scan = Scan::start(&file, size)?;
        while scan.next_record()?.is_some() {}
        let (id, tip, length) = (scan.id, scan.tip, scan.offset);
        if length < size {
            tracing::warn!(bytes = size - length, "removing an incomplete last record of the journal");
            file.set_len(length)?;
            file.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, id, tip, length, stopped: false, _lock: lock })
    }

    /// Returns the journal's name.
    pub const fn id(&self) -> JournalId {
        self.id
    }

    /// Returns how far it has come.
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// Returns its size in bytes.
    pub const fn size(&self) -> u64 {
        self.length
    }

    /// Appends records, in order, and returns once they are durable.
    ///
    /// # Errors
    ///
    /// Returns [`JournalError::TooLong`] if nothing was written. After [`JournalError::Io`] it is unknown how many of
    /// the records, from the first on, survive a restart, and the journal takes no more.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        let mut tip = self.tip;
        let size = records.iter().map(|record| HEAD_LEN + record.payload.len() + CHAIN_LEN).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        for record in records {
            put_record(&mut bytes, &mut tip, record)?;
        }
        self.write(&bytes).inspect_err(|_| self.stopped = true)?;
        self.tip = tip;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// Reads all records, checking them again.
    ///
    /// # Errors
    ///
    /// Returns [`JournalError::Damaged`] if the file has changed under the open journal.
    pub fn records(&self) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        self.scan(|record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// Returns whether this journal once stood at `tip`. A [rewrite](Self::rewrite) makes new tips, so that the one kept
    /// elsewhere must be renewed after it.
    ///
    /// # Errors
    ///
    /// As [`records`](Self::records).
    pub fn has_reached(&self, tip: Tip) -> Result<bool, JournalError> {
        let mut scan = Scan::start(&self.file, self.length)?;
        while scan.tip.records < tip.records && scan.next_record()?.is_some() {}
        Ok(scan.tip == tip)
    }

    /// Keeps only some records: the rest is *erased*, as far as a file system can.
    ///
    /// A new file takes the old one's place atomically; then the old file's blocks are overwritten with zeros before
    /// they are given back. The [`Tip`] changes; the [`JournalId`] does not.
    ///
    /// # Security
    ///
    /// A solid-state disk, a copying file system or a backup may keep what was overwritten. Only full-disk encryption
    /// helps there.
    ///
    /// # Errors
    ///
    /// If it fails before the new file is in its place, the journal is as before; if it fails after, it takes no more
    /// and must be opened again.
    pub fn rewrite(&mut self, mut keep: impl FnMut(&Record) -> bool) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        let mut unfinished = Unfinished::create(files::parent(&self.path), PURPOSE)?;
        let mut out = BufWriter::new(unfinished.file());
        let header = header(self.id);
        out.write_all(&header)?;
        let (mut tip, mut length) = (first_tip(&header), HEADER_LEN as u64);
        self.scan(|record| {
            if keep(&record) {
                let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_LEN + record.payload.len() + CHAIN_LEN));
                put_record(&mut bytes, &mut tip, &record)?;
                out.write_all(&bytes)?;
                length += bytes.len() as u64;
            }
            Ok(())
        })?;
        out.flush()?;
        drop(out);
        self.stopped = true;
        unfinished.rename(&self.path)?;
        let new = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let old = std::mem::replace(&mut self.file, new);
        overwrite(old, self.length)?;
        (self.tip, self.length, self.stopped) = (tip, length, false);
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(Record) -> Result<(), JournalError>) -> Result<(), JournalError> {
        let mut scan = Scan::start(&self.file, self.length)?;
        while let Some(record) = scan.next_record()? {
            each(record)?;
        }
        if scan.tip == self.tip { Ok(()) } else { Err(scan.damaged("fewer records than were written")) }
    }
}

/// Reads the records of a journal that somebody else has open, up to the last whole one.
///
/// # Errors
///
/// Returns [`JournalError::Damaged`] also if the journal is rewritten meanwhile: try again.
pub fn read_beside(path: &Path) -> Result<Vec<Record>, JournalError> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut scan = Scan::start(&file, size)?;
    let mut records = Vec::new();
    while let Some(record) = scan.next_record()? {
        records.push(record);
    }
    Ok(records)
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    files::lock(Path::new(&name))?.ok_or(JournalError::Locked)
}

fn overwrite(mut file: File, length: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_data()
}

fn header(id: JournalId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let (named, check) = header.split_at_mut(HEADER_LEN - CHAIN_LEN);
    let (magic, name) = named.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    name.copy_from_slice(&id.0);
    check.copy_from_slice(&hash::digest_bytes(domain::JOURNAL, named));
    header
}

fn first_tip(header: &[u8; HEADER_LEN]) -> Tip {
    let chain = header.last_chunk().expect("a header is longer than its check");
    Tip { records: 0, chain: *chain }
}

/// The part of a head that its check covers, after the chain value before it.
fn head(tip: &Tip, length: u32, kind: u8) -> Vec<u8> {
    let mut bytes = tip.chain.to_vec();
    length.encode(&mut bytes);
    kind.encode(&mut bytes);
    bytes
}

fn head_check(head: &[u8]) -> [u8; CHECK_LEN] {
    *hash::digest_bytes(domain::JOURNAL, head).first_chunk().expect("a digest is longer than the check")
}

fn chain(mut head: Vec<u8>, payload: &[u8]) -> Digest {
    head.extend_from_slice(payload);
    let head = Zeroizing::new(head);
    hash::digest_bytes(domain::JOURNAL, &head)
}

fn put_record(out: &mut Vec<u8>, tip: &mut Tip, record: &Record) -> Result<(), JournalError> {
    let found = record.payload.len();
    let length = u32::try_from(found).ok().filter(|_| found <= MAX_PAYLOAD_BYTES);
    let length = length.ok_or(JournalError::TooLong { found })?;
    let mut head = head(tip, length, record.kind);
    length.encode(out);
    record.kind.encode(out);
    head_check(&head).encode(out);
    out.extend_from_slice(&record.payload);
    head.reserve_exact(found);
    tip.chain = chain(head, &record.payload);
    tip.chain.encode(out);
    tip.records += 1;
    Ok(())
}

/// Reads a journal from its start, and knows how far it is intact.
struct Scan<'a> {
    input: BufReader<&'a File>,
    size: u64,
    offset: u64,
    id: JournalId,
    tip: Tip,
}

impl<'a> Scan<'a> {
    fn start(mut file: &'a File, size: u64) -> Result<Self, JournalError> {
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::new(file);
        let damaged = |what| JournalError::Damaged { offset: 0, what };
        if size < HEADER_LEN as u64 {
            return Err(damaged("no whole header"));
        }
        let mut found = [0; HEADER_LEN];
        input.read_exact(&mut found)?;
        let id = found.split_first_chunk::<8>().and_then(|(_, rest)| rest.first_chunk());
        let id = JournalId(*id.expect("a header is longer than magic and id"));
        if found != header(id) {
            return Err(damaged("the header's check differs"));
        }
        Ok(Self { input, size, offset: HEADER_LEN as u64, id, tip: first_tip(&found) })
    }

    /// Reads the next record; `None` at the end, which is before `size` if an incomplete record follows.
    fn next_record(&mut self) -> Result<Option<Record>, JournalError> {
        let left = self.size - self.offset;
        if left < HEAD_LEN as u64 {
            return Ok(None);
        }
        let mut bytes = [0; HEAD_LEN];
        self.input.read_exact(&mut bytes)?;
        let mut fields = Reader::new(&bytes);
        let fixed = "a head has a length, a kind and a check";
        let length = u32::decode(&mut fields).expect(fixed);
        let kind = u8::decode(&mut fields).expect(fixed);
        let check = fields.array::<CHECK_LEN>().expect(fixed);
        let head = head(&self.tip, length, kind);
        if check != head_check(&head) {
            return Err(self.damaged("a record's head differs from its check"));
        }
        let length = usize::try_from(length).ok().filter(|&length| length <= MAX_PAYLOAD_BYTES);
        let length = length.ok_or_else(|| self.damaged("a record is longer than any that is written"))?;
        let whole = (HEAD_LEN + length + CHAIN_LEN) as u64;
        if left < whole {
            return Ok(None);
        }
        let mut payload = Zeroizing::new(vec![0; length]);
        let mut found = [0; CHAIN_LEN];
        self.input.read_exact(&mut payload)?;
        self.input.read_exact(&mut found)?;
        if found != chain(head, &payload) {
            return Err(self.damaged("a record differs from its chain value"));
        }
        self.tip = Tip { records: self.tip.records + 1, chain: found };
        self.offset += whole;
        Ok(Some(Record { kind, payload }))
    }

    const fn damaged(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { offset: self.offset, what }
    }
}
