//! The store on disk: sled 0.34, used with care.
//!
//! Three properties of sled 0.34 shape this file.
//!
//! * `flush` is not an fsync on Linux: it calls `sync_file_range`. So after each flush the writer calls `fdatasync` on a
//!   descriptor of its own; only then is a commit answered. `flush_async` can deadlock and is never called.
//! * Durability costs as much for a hundred rows as for one. So one thread writes, and takes all batches that came in
//!   while it was waiting for the disk as one group.
//! * Damage shows as a panic, or not at all. So calls into sled are guarded, and every table has its tally.
//!
//! All tables share one tree, since only writes to one tree are atomic without optimistic transactions. A row's place is
//! its table's length and name, then its key; places that begin with a zero byte hold the tallies.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Batch, Integrity, Row, Stats, Store, StoreError, Table, Tally, bounds, exchange, files, split_row};

/// What sled keeps in memory. Its default of 1 GiB has brought small machines down.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Batches that share one wait for the disk, and batches that wait for the next.
const GROUP_BATCHES: usize = 256;

/// Bytes of rows that share one wait for the disk; one group is held in memory twice.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// How long to wait for the lock of a database that was just closed: sled's threads outlive its handle a little.
const CLOSING: Duration = Duration::from_secs(3);

/// The first byte of the place of a tally; the names of tables are not empty.
const TALLY: u8 = 0;

/// A [`Store`] in a folder.
#[derive(Debug)]
pub struct SledStore {
    commits: Option<SyncSender<Commit>>,
    writer: Option<JoinHandle<()>>,
    /// Held for writing while a group is applied, and for reading by whoever must see one moment.
    moment: Arc<RwLock<()>>,
    db: sled::Db,
    _lock: File,
}

#[derive(Debug)]
struct Commit {
    batch: Batch,
    done: SyncSender<Result<(), StoreError>>,
}

impl SledStore {
    /// Opens the folder, making it if needed. Call [`integrity`](Store::integrity) before trusting what is in it.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Locked`] if it is open elsewhere, and [`StoreError::Damaged`] if sled cannot open it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path)?;
        let lock = files::lock(&path.join("lock"))?.ok_or(StoreError::Locked)?;
        let db = open_sled(path)?;
        let data = File::options().read(true).write(true).open(path.join("db"))?;
        let moment = Arc::new(RwLock::new(()));
        let tallies = guard(|| tallies(&db))?;
        let mut writer = Writer { db: db.clone(), data, tallies, moment: Arc::clone(&moment) };
        let (commits, queue) = sync_channel(GROUP_BATCHES);
        let writer = thread::Builder::new().name("store".into()).spawn(move || writer.run(&queue))?;
        Ok(Self { commits: Some(commits), writer: Some(writer), moment, db, _lock: lock })
    }

    /// Runs `read` while no group is being applied.
    fn at_one_moment<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _moment = self.moment.read().unwrap_or_else(PoisonError::into_inner);
        guard(read)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.commits = None;
        if let Some(writer) = self.writer.take() {
            // The thread catches panics of its own, so there is nothing to learn from its end.
            let _ = writer.join();
        }
    }
}

impl Store for SledStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guard(|| Ok(self.db.get(table.row(key)).map_err(translate)?.map(|value| value.to_vec())))
    }

    fn range(&self, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let prefix = table.row(&[]).len();
        let Some(range) = bounds(table, from, to) else { return Ok(Vec::new()) };
        self.at_one_moment(|| {
            let rows = self.db.range(range).take(limit).map(|row| {
                let (row, value) = row.map_err(translate)?;
                Ok((row.get(prefix..).unwrap_or_default().to_vec(), value.to_vec()))
            });
            rows.collect()
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        batch.check()?;
        if batch.is_empty() {
            return Ok(());
        }
        let (done, answer) = sync_channel(1);
        let commits = self.commits.as_ref().expect("the writer is only taken away on drop");
        commits.send(Commit { batch, done }).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)?
    }

    fn export(&self, out: &mut dyn io::Write) -> Result<(), StoreError> {
        self.at_one_moment(|| {
            let mut export = exchange::Writer::start(out)?;
            for row in self.db.range(after_tallies()) {
                let (row, value) = row.map_err(translate)?;
                export.row(&row, &value)?;
            }
            Ok(export.finish()?)
        })
    }

    fn import(&self, input: &mut dyn io::Read) -> Result<(), StoreError> {
        if guard(|| first_rows(&self.db, 1))?.next().is_some() {
            return Err(StoreError::NotEmpty);
        }
        let Err(error) = exchange::read(input, |batch| self.commit(batch)) else { return Ok(()) };
        // Take back what was committed before the error was found.
        loop {
            let writes: BTreeMap<_, _> = guard(|| first_rows(&self.db, 1000))?.map(|row| (row, None)).collect();
            if writes.is_empty() {
                return Err(error);
            }
            self.commit(Batch { writes })?;
        }
    }

    fn integrity(&self) -> Result<Integrity, StoreError> {
        self.at_one_moment(|| {
            let mut found = BTreeMap::<Vec<u8>, Tally>::new();
            for row in self.db.range(after_tallies()) {
                let (row, value) = row.map_err(translate)?;
                let table = split_row(&row).map(|(table, _)| table.to_vec());
                let table = table.ok_or_else(|| StoreError::Damaged("a row belongs to no table".into()))?;
                found.entry(table).or_default().add(&row, &value);
            }
            Ok(Integrity::compare(found, tallies(&self.db)?))
        })
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.at_one_moment(|| {
            let rows = tallies(&self.db)?.into_iter();
            let rows = rows.map(|(table, tally)| (String::from_utf8_lossy(&table).into_owned(), tally.rows)).collect();
            Ok(Stats { rows, bytes: self.db.size_on_disk().map_err(translate)? })
        })
    }
}

/// The one thread that writes.
struct Writer {
    db: sled::Db,
    data: File,
    tallies: BTreeMap<Vec<u8>, Tally>,
    moment: Arc<RwLock<()>>,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Commit>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = first.batch.bytes();
            let mut writes = first.batch.writes;
            let mut waiting = vec![first.done];
            while waiting.len() < GROUP_BATCHES && bytes < GROUP_BYTES {
                let Ok(next) = queue.try_recv() else { break };
                bytes += next.batch.bytes();
                writes.extend(next.batch.writes);
                waiting.push(next.done);
            }
            let mut outcome = guard(|| self.write(writes));
            let failed = outcome.is_err();
            for done in waiting {
                let stopped = if failed { Err(StoreError::Stopped) } else { Ok(()) };
                // Whoever no longer waits does not want to know.
                let _ = done.send(std::mem::replace(&mut outcome, stopped));
            }
            if failed {
                // What is durable is unknown, and asking the disk again would only hide it.
                return;
            }
        }
    }

    fn write(&mut self, writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut changed = BTreeMap::<Vec<u8>, Tally>::new();
        for (row, value) in writes {
            let (table, _) = split_row(&row).expect("rows of a batch are made of a table and a key");
            let before = self.tallies.get(table).copied().unwrap_or_default();
            let tally = changed.entry(table.to_vec()).or_insert(before);
            if let Some(old) = self.db.get(&row).map_err(translate)? {
                tally.remove(&row, &old);
            }
            match value {
                Some(value) => {
                    tally.add(&row, &value);
                    batch.insert(row, value);
                }
                None => batch.remove(row),
            }
        }
        for (table, tally) in &changed {
            batch.insert([&[TALLY], table.as_slice()].concat(), tally.to_bytes());
        }
        self.tallies.append(&mut changed);
        let moment = self.moment.write().unwrap_or_else(PoisonError::into_inner);
        self.db.apply_batch(batch).map_err(translate)?;
        drop(moment);
        self.db.flush().map_err(translate)?;
        Ok(self.data.sync_data()?)
    }
}

fn open_sled(path: &Path) -> Result<sled::Db, StoreError> {
    let started = Instant::now();
    loop {
        // No background flusher: every commit is flushed, and synced, by the writer.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match guard(|| config.open().map_err(translate)) {
            Err(StoreError::Io(error)) if is_lock(&error) && started.elapsed() < CLOSING => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(StoreError::Io(error)) if is_lock(&error) => return Err(StoreError::Locked),
            opened => return opened,
        }
    }
}

/// sled reports a lock that is held by the text of an error alone.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Returns the range of all rows that are not tallies.
fn after_tallies() -> std::ops::RangeFrom<[u8; 1]> {
    [TALLY + 1]..
}

fn first_rows(db: &sled::Db, limit: usize) -> Result<impl Iterator<Item = Vec<u8>> + use<>, StoreError> {
    let rows: Result<Vec<_>, _> = db.range(after_tallies()).keys().take(limit).collect();
    Ok(rows.map_err(translate)?.into_iter().map(|row| row.to_vec()))
}

fn tallies(db: &sled::Db) -> Result<BTreeMap<Vec<u8>, Tally>, StoreError> {
    let mut tallies = BTreeMap::new();
    for row in db.scan_prefix([TALLY]) {
        let (row, value) = row.map_err(translate)?;
        let table = row.get(1..).unwrap_or_default().to_vec();
        let tally =
            Tally::from_bytes(&value).ok_or_else(|| StoreError::Damaged("a tally has another length".into()))?;
        tallies.insert(table, tally);
    }
    Ok(tallies)
}

/// Turns a panic of sled, which is how it reports damaged pages, into an error.
fn guard<T>(call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Damaged(text.unwrap_or("sled panicked").to_owned()))
    })
}

fn translate(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::Io(error),
        error @ (sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. }) => StoreError::Damaged(error.to_string()),
    }
}
