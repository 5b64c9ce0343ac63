//! The format of an export: every row, then how many there were and a hash of all before it.
//!
//! ```text
//! magic (8) · { 1 · row (4 + n) · value (4 + n) }* · 0 · rows (8) · BLAKE3 of all before (32)
//! ```

use std::io::{self, Read, Write};

use super::{Batch, MAX_KEY_BYTES, MAX_VALUE_BYTES, StoreError, Table, split_row};

const MAGIC: [u8; 8] = *b"CHORUSX1";
/// The length byte, the name and the key.
const MAX_ROW_BYTES: usize = 1 + Table::MAX_NAME + MAX_KEY_BYTES;
/// Bytes of rows that an import commits at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Writes an export.
pub(super) struct Writer<'a> {
    out: io::BufWriter<&'a mut dyn Write>,
    hasher: blake3::Hasher,
    rows: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn start(out: &'a mut dyn Write) -> io::Result<Self> {
        let mut writer = Self { out: io::BufWriter::new(out), hasher: blake3::Hasher::new(), rows: 0 };
        writer.put(&MAGIC)?;
        Ok(writer)
    }

    pub(super) fn row(&mut self, row: &[u8], value: &[u8]) -> io::Result<()> {
        self.put(&[1])?;
        self.bytes(row)?;
        self.bytes(value)?;
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.put(&[0])?;
        let rows = self.rows.to_be_bytes();
        self.put(&rows)?;
        let hash = self.hasher.finalize();
        self.out.write_all(hash.as_bytes())?;
        self.out.flush()
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).expect("keys and values are shorter than 2^32");
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads an export and hands its rows on in batches, the last one after the export was found whole and undamaged.
///
/// What was handed on before an error must be taken back.
pub(super) fn read(
    input: &mut dyn Read,
    mut commit: impl FnMut(Batch) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut input = Input { input: io::BufReader::new(input), hasher: blake3::Hasher::new() };
    if input.array::<8>()? != MAGIC {
        return Err(StoreError::Export("another format or version"));
    }
    let (mut batch, mut bytes, mut rows) = (Batch::new(), 0, 0_u64);
    loop {
        match input.array()? {
            [0] => break,
            [1] => {}
            [_] => return Err(StoreError::Export("a row begins with an unknown byte")),
        }
        let row = input.bytes(MAX_ROW_BYTES)?;
        let value = input.bytes(MAX_VALUE_BYTES)?;
        if split_row(&row).is_none() {
            return Err(StoreError::Export("a row belongs to no table"));
        }
        bytes += row.len() + value.len();
        rows += 1;
        batch.writes.insert(row, Some(value));
        if bytes >= CHUNK_BYTES {
            commit(std::mem::take(&mut batch))?;
            bytes = 0;
        }
    }
    if input.array()? != rows.to_be_bytes() {
        return Err(StoreError::Export("the number of rows differs"));
    }
    let hash = *input.hasher.finalize().as_bytes();
    if input.array()? != hash {
        return Err(StoreError::Export("the hash differs"));
    }
    commit(batch)
}

struct Input<'a> {
    input: io::BufReader<&'a mut dyn Read>,
    hasher: blake3::Hasher,
}

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes(&mut self, bound: usize) -> Result<Vec<u8>, StoreError> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length > bound {
            return Err(StoreError::Export("a key or value is too long"));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::Export("it ends early"),
            _ => StoreError::Io(error),
        })?;
        self.hasher.update(bytes);
        Ok(())
    }
}
