//! Decisions in the store: what a restarted node need not ask others for.
//!
//! A value of the store is at most some 96 KiB, a decision more than 1 MiB: it is cut into parts, which one batch writes
//! together.
//!
//! A store that is damaged is set aside as `store.damaged-<n>`, and a new one takes up the newest export that is whole
//! (`exports/log-<height>`, one a day, three kept). What is missing then, others have.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    hash::Digest,
    wire_struct,
};
use chorus_protocol::{
    limits,
    log::{batch::Height, consensus::Decision},
    message::LogPart,
    peer::Start,
};

use super::NodeError;
use crate::store::{
    Batch, SET_ASIDE, SledStore, Store as _, StoreError, Table,
    files::{self, Unfinished},
    journal::{JournalId, Tip},
};

const DECISIONS: Table = Table::new("decisions");
const META: Table = Table::new("meta");
const JOURNAL: &[u8] = b"journal";
/// The state with which the log begins, in parts.
const START: Table = Table::new("start");
/// After which height the log begins, and how many parts the state has. Written after them.
const BEGINNING: &[u8] = b"beginning";

/// Bytes of one part of a decision or state.
const PART: usize = 64 * 1024;

/// Decisions that are appended in one batch: some ten megabytes, were all of them full.
const APPEND: usize = 16;

/// Rows that are read at a time.
const PAGE: usize = 64;

/// What the store knows of the journal, so that an old copy of it is noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    /// Which journal.
    pub(super) journal: [u8; 32],
    /// How far it had come; none while it is being rewritten, which makes a new one.
    pub(super) reached: Option<Reached>,
}
wire_struct!(Mark { journal, reached });

/// A [`Tip`] that can be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reached {
    records: u64,
    chain: Digest,
}
wire_struct!(Reached { records, chain });

impl Mark {
    pub(super) fn new(journal: JournalId, tip: Option<Tip>) -> Self {
        let reached = tip.map(|tip| Reached { records: tip.records, chain: tip.chain });
        Self { journal: *journal.as_ref(), reached }
    }

    pub(super) fn tip(&self) -> Option<Tip> {
        self.reached.map(|reached| Tip { records: reached.records, chain: reached.chain })
    }
}

/// How often the store is exported.
const EXPORT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Exports that are kept.
const EXPORTS: usize = 3;

/// Part of the names of unfinished exports.
const PURPOSE: &str = "export";

/// Where a log begins that is not whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Beginning {
    after: Height,
    parts: u32,
}
wire_struct!(Beginning { after, parts });

/// The store of a node.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    store: Arc<SledStore>,
    /// The height after which the log begins; 0 for a whole one.
    begins_after: Arc<AtomicU64>,
}

/// What a store was opened with.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) log: Arc<LogStore>,
    /// What the log begins with; none for the founding document.
    pub(super) start: Option<Start>,
    /// The decisions, from there on.
    pub(super) decisions: Vec<Decision>,
    /// What it knows of the journal.
    pub(super) mark: Option<Mark>,
}

impl LogStore {
    /// Opens the store in a node's folder, and checks that no row is missing. A damaged one is set aside.
    pub(super) fn open(folder: &Path) -> Result<Opened, NodeError> {
        let path = folder.join("store");
        match Self::open_whole(&path) {
            Err(NodeError::StoreDamaged | NodeError::Store(StoreError::Damaged(_) | StoreError::Io(_)))
                if path.try_exists()? =>
            {
                let aside = set_aside(folder, &path)?;
                tracing::error!(aside = %aside.display(), "the store is damaged and was set aside; the log is fetched again");
                Self::rebuild(folder, &path)
            }
            opened => opened,
        }
    }

    fn open_whole(path: &Path) -> Result<Opened, NodeError> {
        let store = SledStore::open(path)?;
        if !store.integrity()?.is_sound() {
            return Err(NodeError::StoreDamaged);
        }
        Self::of(store).read()
    }

    fn of(store: SledStore) -> Self {
        Self { store: Arc::new(store), begins_after: Arc::default() }
    }

    /// Reads all of it.
    fn read(self) -> Result<Opened, NodeError> {
        let start = self.start()?;
        self.begins_after.store(start.as_ref().map_or(0, |start| start.height.0), Ordering::Release);
        let (decisions, mark) = (self.decisions()?, self.mark()?);
        Ok(Opened { log: Arc::new(self), start, decisions, mark })
    }

    /// Makes a new store of the newest export that is whole.
    fn rebuild(folder: &Path, path: &Path) -> Result<Opened, NodeError> {
        for export in exports(folder)?.into_iter().rev() {
            let log = Self::of(SledStore::open(path)?);
            let taken = log.import(&mut File::open(&export)?);
            match taken.map_err(NodeError::from).and_then(|()| log.read()) {
                Ok(opened) => {
                    tracing::warn!(decisions = opened.decisions.len(), export = %export.display(), "an export was taken up");
                    return Ok(opened);
                }
                Err(error) => tracing::warn!(%error, export = %export.display(), "an export cannot be used"),
            }
            fs::remove_dir_all(path)?;
        }
        Self::open_whole(path)
    }

    /// Reads an export into the store, which must be empty. What it knew of the journal is not taken over.
    pub(super) fn import(&self, input: &mut dyn io::Read) -> Result<(), StoreError> {
        self.store.import(input)?;
        let mut batch = Batch::new();
        batch.delete(META, JOURNAL);
        self.store.commit(batch)
    }

    /// Writes all of it.
    pub(super) fn export(&self, out: &mut dyn io::Write) -> Result<(), StoreError> {
        self.store.export(out)
    }

    /// Exports the store in the background if that is due.
    pub(super) fn export_daily(&self, folder: &Path, height: u64) -> io::Result<()> {
        let root = folder.join("exports");
        let newest = exports(folder)?.pop().and_then(|path| path.metadata().and_then(|it| it.modified()).ok());
        let age = newest.and_then(|at| SystemTime::now().duration_since(at).ok());
        if height == 0 || newest.is_some() && age.is_none_or(|age| age < EXPORT_EVERY) {
            return Ok(());
        }
        let (log, folder) = (self.clone(), folder.to_owned());
        let export = move || -> Result<(), NodeError> {
            super::private::create_private_dir(&root)?;
            files::remove_unfinished(&root, PURPOSE)?;
            let mut unfinished = Unfinished::create(&root, PURPOSE)?;
            log.export(unfinished.file())?;
            unfinished.rename(&root.join(format!("log-{height:020}")))?;
            let known = exports(&folder)?;
            let surplus = known.len().saturating_sub(EXPORTS);
            known.into_iter().take(surplus).try_for_each(fs::remove_file)?;
            Ok(())
        };
        let log_failure = move || {
            if let Err(error) = export() {
                tracing::warn!(%error, "the log could not be exported");
            }
        };
        std::thread::Builder::new().name("export".into()).spawn(log_failure).map(drop)
    }

    /// Returns the height after which the log begins; 0 for a whole one.
    pub(super) fn begins_after(&self) -> Height {
        Height(self.begins_after.load(Ordering::Acquire))
    }

    /// Stores what the log begins with, durably. There must be no decision yet. After a crash on the way there is no
    /// beginning, and the next one takes its place.
    pub(super) fn begin(&self, start: &Start) -> Result<(), StoreError> {
        let bytes = start.to_bytes();
        let mut parts = 0u32;
        for group in bytes.chunks(PART * PAGE) {
            let mut batch = Batch::new();
            for part in group.chunks(PART) {
                batch.put(START, parts.to_be_bytes(), part);
                parts += 1;
            }
            self.store.commit(batch)?;
        }
        let mut batch = Batch::new();
        batch.put(META, BEGINNING, Beginning { after: start.height, parts }.to_bytes());
        self.store.commit(batch)?;
        self.begins_after.store(start.height.0, Ordering::Release);
        Ok(())
    }

    /// Returns what the log begins with.
    fn start(&self) -> Result<Option<Start>, NodeError> {
        let Some(beginning) = beginning(&self.store)? else { return Ok(None) };
        let mut bytes = Vec::new();
        for part in 0..beginning.parts {
            bytes.extend(self.store.get(START, &part.to_be_bytes())?.ok_or(NodeError::StoreDamaged)?);
        }
        let start = Start::from_bytes(&bytes).map_err(|_| NodeError::StoreDamaged)?;
        if start.height != beginning.after {
            return Err(NodeError::StoreDamaged);
        }
        Ok(Some(start))
    }

    /// Returns the decisions, from where the log begins.
    pub(super) fn decisions(&self) -> Result<Vec<Decision>, NodeError> {
        let before = self.begins_after().0;
        let mut decisions = BTreeMap::<Vec<u8>, Vec<u8>>::new();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = self.store.range(DECISIONS, from, Bound::Unbounded, PAGE)?;
            let Some((key, _)) = rows.last() else { break };
            last = Some(key.clone());
            for (key, part) in rows {
                let height = key.first_chunk::<8>().ok_or(NodeError::StoreDamaged)?;
                let number = u64::from_be_bytes(*height);
                if number <= before || number > before + decisions.len() as u64 + 1 {
                    return Err(NodeError::StoreDamaged);
                }
                decisions.entry(height.to_vec()).or_default().extend(part);
            }
        }
        let decode = |bytes: Vec<u8>| Decision::from_bytes(&bytes).map_err(|_| NodeError::StoreDamaged);
        decisions.into_values().map(decode).collect()
    }

    /// Returns the part of the log from a height on that fits one message.
    pub(super) fn part(&self, from: Height) -> Result<LogPart, NodeError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut height = from;
        while found.len() < limits::MAX_LOG_PART && bytes <= limits::MAX_LOG_PART_BYTES {
            let (first, next) = (height.to_bytes(), height.next().to_bytes());
            let rows = self.store.range(DECISIONS, Bound::Included(&first), Bound::Excluded(&next), PAGE)?;
            if rows.is_empty() {
                break;
            }
            let decision: Vec<u8> = rows.into_iter().flat_map(|(_, part)| part).collect();
            bytes += decision.len();
            found.push(Decision::from_bytes(&decision).map_err(|_| NodeError::StoreDamaged)?);
            height = height.next();
        }
        Ok(LogPart::of(found))
    }

    /// Returns what is known of the journal.
    fn mark(&self) -> Result<Option<Mark>, NodeError> {
        let row = self.store.get(META, JOURNAL)?;
        row.map(|row| Mark::from_bytes(&row).map_err(|_| NodeError::StoreDamaged)).transpose()
    }

    /// Stores decisions and how far the journal has come, durably.
    pub(super) fn commit(&self, decisions: &[Decision], mark: &Mark) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(META, JOURNAL, mark.to_bytes());
        decisions.iter().for_each(|decision| put(&mut batch, decision));
        self.store.commit(batch)
    }

    /// Stores decisions that the journal tells nothing of, durably and from the first on, some at a time.
    pub(super) fn append(&self, decisions: &[Decision]) -> Result<(), StoreError> {
        for some in decisions.chunks(APPEND) {
            let mut batch = Batch::new();
            some.iter().for_each(|decision| put(&mut batch, decision));
            self.store.commit(batch)?;
        }
        Ok(())
    }
}

/// Writes a decision, in parts.
fn put(batch: &mut Batch, decision: &Decision) {
    let bytes = decision.to_bytes();
    for (number, part) in (0u32..).zip(bytes.chunks(PART)) {
        let mut key = decision.batch.height().to_bytes();
        number.encode(&mut key);
        batch.put(DECISIONS, key, part);
    }
}

fn beginning(store: &SledStore) -> Result<Option<Beginning>, NodeError> {
    let row = store.get(META, BEGINNING)?;
    row.map(|row| Beginning::from_bytes(&row).map_err(|_| NodeError::StoreDamaged)).transpose()
}

/// Returns the height after which the log of a stopped node begins; `None` for a whole one.
pub(super) fn begins_after(folder: &Path) -> Result<Option<Height>, NodeError> {
    let path = folder.join("store");
    if !path.try_exists()? {
        return Ok(None);
    }
    Ok(beginning(&SledStore::open(&path)?)?.map(|beginning| beginning.after))
}

/// Moves a store out of the way.
fn set_aside(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u32;
    loop {
        let aside = folder.join(format!("{SET_ASIDE}{number}"));
        if !aside.try_exists()? {
            fs::rename(path, &aside)?;
            files::sync_directory(folder)?;
            return Ok(aside);
        }
        number += 1;
    }
}

/// Returns the exports in a node's folder, the newest last.
pub(super) fn exports(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder.join("exports")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("log-") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The second copy of the mark, apart from the store: the two are not lost together.
///
/// It is written without waiting for the disk, after what it tells of is durable. So a power cut may show an older one, which
/// forbids less, and never one that the journal has not reached; only before the journal is rewritten the disk is waited for.
#[derive(Debug)]
pub(super) struct MarkFile(PathBuf);

impl MarkFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("journal.mark"))
    }

    /// Reads it. A torn or damaged one says nothing.
    pub(super) fn read(&self) -> Option<Mark> {
        let bytes = fs::read(&self.0).ok()?;
        let (mark, check) = bytes.split_last_chunk::<32>()?;
        let whole = chorus_crypto::hash::content(mark) == *check;
        whole.then(|| Mark::from_bytes(mark).ok()).flatten()
    }

    pub(super) fn write(&self, mark: &Mark, durably: bool) -> io::Result<()> {
        let mut bytes = mark.to_bytes();
        bytes.extend_from_slice(&chorus_crypto::hash::content(&bytes));
        if durably {
            return files::replace(&self.0, "mark", &bytes);
        }
        let beside = self.0.with_extension("mark.new");
        fs::write(&beside, &bytes)?;
        fs::rename(&beside, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorus_protocol::{
        id::BatchId,
        log::{batch, certificate::Certificate},
    };

    fn decision(height: u64, bytes: usize) -> Decision {
        let entries = (0..bytes.div_ceil(PART)).map(|_| vec![7; PART]).collect();
        let batch = batch::Batch::new(Height(height), BatchId::default(), entries).expect("within bounds");
        let certificate = Certificate { height: Height(height), round: 0, value: batch.id(), signatures: Vec::new() };
        Decision { batch, certificate }
    }

    #[test]
    fn a_log_that_begins_late_is_read_back_from_the_store_and_from_an_export() {
        let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let start = Start { height: Height(9), batch: BatchId::from([1; 32]), ledger: vec![5; PART * PAGE + 7] };
        let mark = Mark { journal: [0; 32], reached: None };
        let log = [decision(10, PART), decision(11, PART)];
        let Opened { log: store, start: none, .. } = LogStore::open(folder.path()).expect("opens");
        assert_eq!((none, begins_after(other.path()).expect("reads")), (None, None));
        store.begin(&start).expect("begins");
        store.commit(&log, &mark).expect("commits");
        let mut export = Vec::new();
        store.export(&mut export).expect("exports");
        drop(store);

        assert_eq!(begins_after(folder.path()).expect("reads"), Some(Height(9)));
        for of_export in [false, true] {
            let path = if of_export { other.path() } else { folder.path() };
            if of_export {
                LogStore::open(path).expect("opens").log.import(&mut export.as_slice()).expect("imports");
            }
            let opened = LogStore::open(path).expect("opens");
            assert_eq!((opened.start.as_ref(), opened.decisions.as_slice()), (Some(&start), log.as_slice()));
            assert_eq!(opened.log.begins_after(), Height(9));
            assert_eq!(opened.log.part(Height(3)).expect("reads").decisions, []);
        }
        // A decision that cannot be on such a log makes the store a damaged one.
        let opened = LogStore::open(folder.path()).expect("opens");
        opened.log.commit(&[decision(9, PART)], &mark).expect("commits");
        assert!(matches!(opened.log.decisions(), Err(NodeError::StoreDamaged)));
    }

    #[test]
    fn parts_begin_where_they_are_asked_for_and_fit_one_message() {
        let folder = tempfile::tempdir().expect("a folder");
        let Opened { log: store, .. } = LogStore::open(folder.path()).expect("opens");
        let log: Vec<Decision> = (1..=6).map(|height| decision(height, 400 * 1024)).collect();
        store.commit(&log, &Mark { journal: [0; 32], reached: None }).expect("commits");

        assert_eq!(store.part(Height(1)).expect("reads").decisions, log[..2]);
        assert_eq!(store.part(Height(6)).expect("reads").decisions, log[5..]);
        assert_eq!(store.part(Height(7)).expect("reads").decisions, []);
        assert_eq!(store.decisions().expect("reads"), log);
    }
}
