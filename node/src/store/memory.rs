//! The store in memory.

use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{Batch, Integrity, Row, Stats, Store, StoreError, Table, Tally, exchange, split_row};

/// A [`Store`] in memory: for simulations, and as the reference that others are tested against.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tallies(&self) -> BTreeMap<Vec<u8>, Tally> {
        let mut tallies = BTreeMap::<Vec<u8>, Tally>::new();
        for (row, value) in &*self.read() {
            let (table, _) = split_row(row).expect("rows come from batches");
            tallies.entry(table.to_vec()).or_default().add(row, value);
        }
        tallies
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().get(&table.row(key)).cloned())
    }

    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let prefix = table.row(&[]);
        let rows = self.read();
        let Some(range) = super::bounds(table, from, to) else { return Ok(Vec::new()) };
        let found = rows.range(range).take_while(|(row, _)| row.starts_with(&prefix)).take(limit);
        Ok(found.map(|(row, value)| (row.get(prefix.len()..).unwrap_or_default().to_vec(), value.clone())).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut rows = self.write();
        for (row, value) in batch.writes {
            match value {
                Some(value) => rows.insert(row, value),
                None => rows.remove(&row),
            };
        }
        Ok(())
    }

    fn export(&self, out: &mut dyn io::Write) -> Result<(), StoreError> {
        let mut export = exchange::Writer::start(out)?;
        for (row, value) in &*self.read() {
            export.row(row, value)?;
        }
        Ok(export.finish()?)
    }

    fn import(&self, input: &mut dyn io::Read) -> Result<(), StoreError> {
        if !self.read().is_empty() {
            return Err(StoreError::NotEmpty);
        }
        exchange::read(input, |batch| self.commit(batch)).inspect_err(|_| self.write().clear())
    }

    fn integrity(&self) -> Result<Integrity, StoreError> {
        let tallies = self.tallies();
        Ok(Integrity::compare(tallies.clone(), tallies))
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let rows = self.tallies().into_iter();
        let rows = rows.map(|(table, tally)| (String::from_utf8_lossy(&table).into_owned(), tally.rows)).collect();
        let bytes = self.read().iter().map(|(row, value)| (row.len() + value.len()) as u64).sum();
        Ok(Stats { rows, bytes })
    }
}
