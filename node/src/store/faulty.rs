//! A store that fails where a test says so.

use std::{
    io,
    ops::Bound,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Batch, Integrity, Row, Stats, Store, StoreError, Table};

/// When a [`FaultyStore`] fails. Commits are counted from 1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FaultPlan {
    /// From this commit on, nothing is applied and an error returned: the disk is full.
    pub refuse_from: Option<u64>,
    /// At this commit, the batch is applied and an error returned all the same: the crash before the answer.
    pub lose_answer_of: Option<u64>,
    /// From this commit on, reads fail.
    pub unreadable_from: Option<u64>,
}

/// A [`Store`] that passes everything on to another one, except where its [`FaultPlan`] says otherwise.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: FaultPlan,
    commits: AtomicU64,
}

impl<S: Store> FaultyStore<S> {
    /// Wraps a store.
    pub const fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, plan, commits: AtomicU64::new(0) }
    }

    /// Returns how many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Returns the store inside: what a restart finds.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn check_read(&self) -> Result<(), StoreError> {
        let unreadable = self.plan.unreadable_from.is_some_and(|from| self.commits() >= from);
        if unreadable { Err(StoreError::Injected) } else { Ok(()) }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_read()?;
        self.inner.get(table, key)
    }

    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.check_read()?;
        self.inner.range(table, from, to, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if self.plan.refuse_from.is_some_and(|from| number >= from) {
            return Err(StoreError::Injected);
        }
        self.inner.commit(batch)?;
        if self.plan.lose_answer_of == Some(number) { Err(StoreError::Injected) } else { Ok(()) }
    }

    fn export(&self, out: &mut dyn io::Write) -> Result<(), StoreError> {
        self.check_read()?;
        self.inner.export(out)
    }

    fn import(&self, input: &mut dyn io::Read) -> Result<(), StoreError> {
        self.inner.import(input)
    }

    fn integrity(&self) -> Result<Integrity, StoreError> {
        self.check_read()?;
        self.inner.integrity()
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.inner.stats()
    }
}
