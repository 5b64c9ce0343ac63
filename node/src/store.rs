//! What a node keeps on disk, in three places with three promises.
//!
//! | what | where | lost or damaged means |
//! |---|---|---|
//! | what cannot be rebuilt: seals, locks, votes signed, seeds of open rounds | [`journal`] | the node refuses to run |
//! | bodies named by their hash | [`blobs`] | they are fetched again |
//! | everything else: an index of the log and of both above | a [`Store`] | it is rebuilt |
//!
//! A [`Store`] is a set of named tables of sorted keys. Every write is a [`Batch`]: all of it is applied, or nothing,
//! over however many tables. [`SledStore`] is the one a node runs on, [`MemoryStore`] the one simulations run on, and
//! [`FaultyStore`] makes either fail where a test says so.
//!
//! Every table carries a running *tally*, its number of rows and the XOR of their hashes, written in the same batch
//! as the rows. sled recovers from a zeroed extent by forgetting rows in the middle of a table without an error; the
//! tally is how [`Store::integrity`] notices.

use std::{collections::BTreeMap, fmt, io, ops::Bound};

use chorus_crypto::{
    codec::{Encode as _, put_bytes},
    hash,
};

pub mod blobs;
pub mod check;
mod exchange;
mod faulty;
pub(crate) mod files;
pub mod journal;
mod memory;
mod sled;
#[cfg(test)]
mod tests;

pub use self::sled::SledStore;
pub use check::check;
pub use faulty::{FaultPlan, FaultyStore};
pub use memory::MemoryStore;

/// Bytes of a key: three identifiers and a number fit.
pub const MAX_KEY_BYTES: usize = 128;

/// Bytes of a value. The largest log entry (72 KiB) fits with what is kept beside it; at about 128 KiB sled starts to
/// move values into files of its own and never deletes those that were replaced, so larger bodies are [`blobs`].
pub const MAX_VALUE_BYTES: usize = 96 * 1024;

/// What the names of stores begin with that were found damaged and set aside.
pub(crate) const SET_ASIDE: &str = "store.damaged-";

/// The name of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Table(&'static str);

impl Table {
    /// The longest name.
    pub const MAX_NAME: usize = 32;

    /// Names a table.
    ///
    /// # Panics
    ///
    /// Panics, in a constant at compile time, if the name is empty or longer than [`Self::MAX_NAME`] bytes.
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= Self::MAX_NAME, "a table's name has 1 to 32 bytes");
        Self(name)
    }

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Returns the place of a row in the one sorted space that all tables share.
    fn row(self, key: &[u8]) -> Vec<u8> {
        row_key(self.0.as_bytes(), key)
    }
}

/// Prefixes a key with its table's length and name, so that no table's rows are between another's.
fn row_key(table: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u8::try_from(table.len()).expect("a table's name has at most 32 bytes");
    [&[length], table, key].concat()
}

/// Splits a row's place into table and key; `None` if no table could have put it there.
fn split_row(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = row.split_first()?;
    let length = usize::from(length);
    if length == 0 || length > Table::MAX_NAME { None } else { rest.split_at_checked(length) }
}

/// Writes that happen together or not at all. Of two writes of one row, the later one counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Starts with no write.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.insert(table.row(key.as_ref()), Some(value.into()));
        self
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) -> &mut Self {
        self.writes.insert(table.row(key.as_ref()), None);
        self
    }

    /// Returns how many rows are written or removed.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Returns the bytes of all rows.
    fn bytes(&self) -> usize {
        self.writes.iter().map(|(row, value)| row.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Checks the bounds of keys and values.
    fn check(&self) -> Result<(), StoreError> {
        for (row, value) in &self.writes {
            let (_, key) = split_row(row).expect("rows of a batch are made of a table and a key");
            if key.len() > MAX_KEY_BYTES {
                return Err(StoreError::KeyTooLong { found: key.len() });
            }
            if let Some(found) = value.as_ref().map(Vec::len).filter(|&length| length > MAX_VALUE_BYTES) {
                return Err(StoreError::ValueTooLong { found });
            }
        }
        Ok(())
    }
}

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Named tables of sorted rows, written in batches. Every call blocks; async code uses `spawn_blocking`.
///
/// # Correctness
///
/// A row can be read as soon as its batch is applied, which is before it is durable: acknowledge to a peer only what
/// [`commit`](Self::commit) has returned for.
pub trait Store: Send + Sync + fmt::Debug {
    /// Reads one row.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the disk fails or is damaged.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads at most `limit` rows with keys in the range, in ascending order, as of one moment.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the disk fails or is damaged.
    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Applies a batch, and returns once it is durable.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::KeyTooLong`] or [`StoreError::ValueTooLong`] if nothing was tried. After any other error
    /// it is unknown whether the batch survives a restart: all of it does, or nothing.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Writes all rows, as of one moment, in the format of [`import`](Self::import).
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the disk or `out` fails.
    fn export(&self, out: &mut dyn io::Write) -> Result<(), StoreError>;

    /// Reads an export into this store, which must be empty.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::NotEmpty`], or [`StoreError::Export`] if the input is not a whole and undamaged export;
    /// the store is empty again then.
    fn import(&self, input: &mut dyn io::Read) -> Result<(), StoreError>;

    /// Reads every row and compares each table with its tally.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if reading itself fails; a mismatch is no error but a finding of the report.
    fn integrity(&self) -> Result<Integrity, StoreError>;

    /// Returns sizes, without reading the rows.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the disk fails or is damaged.
    fn stats(&self) -> Result<Stats, StoreError>;
}

/// How many rows a table has, and the XOR of their hashes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// The number of rows.
    pub rows: u64,
    hash: [u8; 32],
}

impl Tally {
    const LEN: usize = 8 + 32;

    fn add(&mut self, row: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.mix(row, value);
    }

    fn remove(&mut self, row: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.mix(row, value);
    }

    fn mix(&mut self, row: &[u8], value: &[u8]) {
        let mut bytes = Vec::with_capacity(8 + row.len() + value.len());
        put_bytes(&mut bytes, row);
        put_bytes(&mut bytes, value);
        for (sum, byte) in self.hash.iter_mut().zip(hash::content(&bytes)) {
            *sum ^= byte;
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        self.rows.encode(&mut bytes);
        self.hash.encode(&mut bytes);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rows, hash) = bytes.split_first_chunk()?;
        Some(Self { rows: u64::from_be_bytes(*rows), hash: hash.try_into().ok()? })
    }
}

/// What [`Store::integrity`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Integrity {
    /// Per table, the rows that are there.
    pub tables: BTreeMap<String, Tally>,
    /// The tables whose rows are not those that were written.
    pub damaged: Vec<String>,
}

impl Integrity {
    /// Returns whether every table is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Compares what was found with what was written.
    fn compare(found: BTreeMap<Vec<u8>, Tally>, mut written: BTreeMap<Vec<u8>, Tally>) -> Self {
        let mut report = Self::default();
        for (table, tally) in found {
            let name = String::from_utf8_lossy(&table).into_owned();
            if written.remove(&table) != Some(tally) {
                report.damaged.push(name.clone());
            }
            report.tables.insert(name, tally);
        }
        let vanished = written.into_iter().filter(|(_, tally)| *tally != Tally::default());
        report.damaged.extend(vanished.map(|(table, _)| String::from_utf8_lossy(&table).into_owned()));
        report
    }
}

/// Sizes of a store.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Rows per table, by their tallies.
    pub rows: BTreeMap<String, u64>,
    /// Bytes on disk, or in memory.
    pub bytes: u64,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another handle of this one, has the store open. Stop it, or talk to it.
    #[error("the store is open elsewhere: another node runs with this data directory")]
    Locked,
    /// The disk failed; the store must be opened again.
    #[error("the disk failed")]
    Io(#[from] io::Error),
    /// The files of the database are damaged: set the directory aside and rebuild.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A key is over [`MAX_KEY_BYTES`].
    #[error("key of {found} bytes over the bound {MAX_KEY_BYTES}")]
    KeyTooLong {
        /// Its length.
        found: usize,
    },
    /// A value is over [`MAX_VALUE_BYTES`]: it should be a blob.
    #[error("value of {found} bytes over the bound {MAX_VALUE_BYTES}")]
    ValueTooLong {
        /// Its length.
        found: usize,
    },
    /// An import needs an empty store.
    #[error("the store is not empty")]
    NotEmpty,
    /// The bytes to import are not a whole and undamaged export.
    #[error("not an undamaged export: {0}")]
    Export(&'static str),
    /// An earlier write failed, so that what is durable is unknown: open the store again.
    #[error("the store stopped after an earlier failure")]
    Stopped,
    /// A failure that a test asked for.
    #[error("injected fault")]
    Injected,
}

/// A range in the space of all rows.
type RowRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Returns the rows of a table with keys in a range, as bounds in the space of all rows; `None` if it is empty.
fn bounds(table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<RowRange> {
    let prefix = table.row(&[]);
    let from = match from {
        Bound::Unbounded => Bound::Included(prefix.clone()),
        bound => bound.map(|key| table.row(key)),
    };
    let to = match to {
        Bound::Unbounded => Bound::Excluded(successor(prefix)),
        bound => bound.map(|key| table.row(key)),
    };
    let (Bound::Included(first) | Bound::Excluded(first), Bound::Included(last) | Bound::Excluded(last)) = (&from, &to)
    else {
        return None;
    };
    let both_included = matches!((&from, &to), (Bound::Included(_), Bound::Included(_)));
    if first < last || (first == last && both_included) { Some((from, to)) } else { None }
}

/// Returns the first row after all that begin with a table's length and name.
fn successor(mut prefix: Vec<u8>) -> Vec<u8> {
    let last = prefix.last_mut().expect("a table's rows begin with its length");
    *last = last.checked_add(1).expect("no byte of UTF-8 is 0xFF");
    prefix
}
