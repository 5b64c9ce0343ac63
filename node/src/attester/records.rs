//! An append-only file of records of one length, each with a checksum, each durable before the call returns.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use chorus_crypto::hash;

use super::DeskError;
use crate::store::files;

const CHECKSUM_LEN: usize = 8;

/// The most bytes of a file: some half a million records.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// An open file of records of `N` bytes.
#[derive(Debug)]
pub(super) struct Records<const N: usize> {
    file: File,
    path: PathBuf,
    length: u64,
}

impl<const N: usize> Records<N> {
    /// Opens the file, making it if need be, and returns what it holds. A last record that a crash cut off is dropped.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<[u8; N]>), DeskError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        files::sync_directory(files::parent(path))?;
        let mut bytes = Vec::new();
        (&mut file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(DeskError::Damaged(path.to_owned()));
        }
        let records = bytes.chunks(N + CHECKSUM_LEN);
        let (mut known, mut whole) = (Vec::with_capacity(records.len()), 0);
        let last = records.len();
        for (number, chunk) in (1..).zip(records) {
            match parse(chunk) {
                Some(record) => {
                    known.push(record);
                    whole += chunk.len() as u64;
                }
                None if number == last => {}
                None => return Err(DeskError::Damaged(path.to_owned())),
            }
        }
        Ok((Self { file, path: path.to_owned(), length: whole }, known))
    }

    /// Appends a record, durably.
    pub(super) fn append(&mut self, record: &[u8; N]) -> io::Result<()> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Appends records, durably.
    pub(super) fn append_all(&mut self, records: &[[u8; N]]) -> io::Result<()> {
        let bytes: Vec<u8> = records.iter().flat_map(|record| [&record[..], &checksum(record)].concat()).collect();
        if self.length + bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, self.path.display().to_string()));
        }
        // What an earlier attempt left behind that failed half-way goes first.
        self.file.set_len(self.length)?;
        self.file.seek(io::SeekFrom::Start(self.length))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn parse<const N: usize>(chunk: &[u8]) -> Option<[u8; N]> {
    let (record, found) = chunk.split_first_chunk::<N>()?;
    (found == checksum(record)).then_some(*record)
}

fn checksum(record: &[u8]) -> [u8; CHECKSUM_LEN] {
    *hash::content(record).first_chunk().expect("a digest is longer than a checksum")
}
