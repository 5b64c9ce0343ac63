//! Copies of what a node keeps, for backups, and putting them back.

use std::{fs, io, path::Path};

use chorus_crypto::codec::{Decode as _, Encode as _, Reader, put_bytes, put_count};
use chorus_protocol::journal::{Record, RestoredRecord, for_backup};
use chorus_protocol::log::batch::Height;
use rand_core::CryptoRng;

use super::{
    NodeError,
    disk::decided,
    log::{self, LogStore, Mark, MarkFile, Opened, exports},
    private::create_private_dir,
    records::Records,
};
use crate::store::{
    StoreError,
    journal::{self, Journal, JournalError, MAX_PAYLOAD_BYTES},
};

/// Records of one journal in a backup.
const MAX_RECORDS: usize = 1 << 22;

/// How often a journal that is being rewritten is read again.
const ATTEMPTS: usize = 20;

/// A copy of a journal, as a backup holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct JournalCopy {
    /// The records, without keys of rounds.
    pub(crate) records: Vec<Record>,
    /// Whether no node ran while the copy was made: only then it can be all that the key has said.
    pub(crate) complete: bool,
}

impl JournalCopy {
    /// Reads the journal in a node's folder; `None` if there is none. A node that runs meanwhile appends to it and may rewrite it.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, NodeError> {
        let path = folder.join("journal");
        let decode = |records: Vec<journal::Record>| -> Result<Vec<Record>, NodeError> {
            let decode = |record: &journal::Record| Record::from_bytes(&record.payload);
            records.iter().map(decode).collect::<Result<_, _>>().map_err(|_| NodeError::JournalForeign)
        };
        for attempt in 0.. {
            let (records, complete) = match Journal::open(&path) {
                Ok(journal) => (journal.records()?, true),
                Err(JournalError::Missing(_)) => return Ok(None),
                Err(JournalError::Locked) => match journal::read_beside(&path) {
                    Ok(records) => (records, false),
                    Err(JournalError::Damaged { .. }) if attempt < ATTEMPTS => {
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) => return Err(error.into()),
            };
            return Ok(Some(Self { records: for_backup(&decode(records)?), complete }));
        }
        Ok(None)
    }

    /// Returns the log's height as far as these records tell.
    pub(crate) fn height(&self) -> Height {
        Height(decided(&self.records))
    }

    /// Encodes it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.complete)];
        put_count(&mut bytes, self.records.len());
        self.records.iter().for_each(|record| put_bytes(&mut bytes, &record.to_bytes()));
        bytes
    }

    /// Decodes it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let [complete] = input.array::<1>().ok()?;
        let mut records = Vec::new();
        for _ in 0..input.count(MAX_RECORDS).ok()? {
            records.push(Record::from_bytes(input.bytes(MAX_PAYLOAD_BYTES).ok()?).ok()?);
        }
        input.finish().ok()?;
        Some(Self { records, complete: complete == 1 })
    }

    /// Writes a new journal with these records and the note that it was put back.
    pub(crate) fn put_back(&self, folder: &Path, current: bool, rng: &mut impl CryptoRng) -> Result<(), NodeError> {
        create_private_dir(folder)?;
        let mut records = Records::create(&folder.join("journal"), rng)?;
        let restored = Record::Restored(RestoredRecord { height: self.height(), current });
        records.append(&self.records)?;
        records.append(&[restored])?;
        MarkFile::new(folder).write(&Mark::new(records.id(), Some(records.tip())), true)?;
        Ok(())
    }
}

/// Writes the log of a node into `out`: all of it if the node does not run, else its newest export. Returns whether there was
/// anything to write.
pub(crate) fn write_log(folder: &Path, out: &mut fs::File) -> Result<bool, NodeError> {
    if folder.join("store").try_exists()? {
        match LogStore::open(folder) {
            Ok(Opened { log, .. }) => {
                log.export(out)?;
                return Ok(true);
            }
            Err(NodeError::Store(StoreError::Locked)) => {}
            Err(error) => return Err(error),
        }
    }
    let Some(newest) = exports(folder)?.pop() else { return Ok(false) };
    io::copy(&mut fs::File::open(newest)?, out)?;
    Ok(true)
}

/// Returns the height after which the log of a stopped node begins; `None` for a whole one, and for none.
///
/// # Errors
///
/// Returns a [`NodeError`] if the store cannot be read; it stays as it is.
pub(crate) fn begins_after(folder: &Path) -> Result<Option<Height>, NodeError> {
    log::begins_after(folder)
}

/// Reads a log that [`write_log`] wrote into a folder without one.
pub(crate) fn read_log(folder: &Path, input: &mut dyn io::Read) -> Result<(), NodeError> {
    create_private_dir(folder)?;
    let Opened { log, .. } = LogStore::open(folder)?;
    log.import(input)?;
    Ok(())
}
