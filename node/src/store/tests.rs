use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use super::*;

const LETTERS: Table = Table::new("letters");
const NUMBERS: Table = Table::new("numbers");
/// Its name begins like another's.
const LETTER: Table = Table::new("letter");

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn batch(table: Table, rows: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in rows {
        batch.put(table, key, *value);
    }
    batch
}

fn keys(store: &dyn Store, table: Table, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Vec<String> {
    let rows = store.range(table, from, to, limit).expect("readable");
    rows.into_iter().map(|(key, _)| String::from_utf8(key).expect("text")).collect()
}

/// Copies a database while it is open: what a crash leaves behind.
fn crash_image(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            crash_image(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// What every store must do.
fn behaves_as_a_store(store: &dyn Store) {
    let all = (Bound::Unbounded, Bound::Unbounded);
    store.commit(batch(LETTERS, &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")])).expect("durable");
    let mut both = batch(NUMBERS, &[("a", "other")]);
    both.delete(LETTERS, "d").put(LETTERS, "e", "5").put(LETTER, "s", "own table").delete(NUMBERS, "absent");
    store.commit(both).expect("durable");
    store.commit(Batch::new()).expect("nothing to do");

    assert_eq!(store.get(LETTERS, b"b").expect("readable"), Some(b"2".to_vec()));
    assert_eq!(store.get(LETTERS, b"d").expect("readable"), None);
    assert_eq!(keys(store, LETTERS, all.0, all.1, 10), ["a", "b", "c", "e"]);
    assert_eq!(keys(store, LETTERS, all.0, all.1, 2), ["a", "b"]);
    assert_eq!(keys(store, LETTERS, Bound::Excluded(b"a"), Bound::Included(b"c"), 10), ["b", "c"]);
    assert_eq!(keys(store, LETTERS, Bound::Included(b"b"), Bound::Excluded(b"c"), 10), ["b"]);
    assert!(keys(store, LETTERS, Bound::Included(b"c"), Bound::Excluded(b"b"), 10).is_empty());
    assert!(keys(store, LETTERS, Bound::Excluded(b"b"), Bound::Excluded(b"b"), 10).is_empty());
    assert_eq!(keys(store, LETTER, all.0, all.1, 10), ["s"]);
    let integrity = store.integrity().expect("readable");
    assert!(integrity.is_sound());
    assert_eq!(integrity.tables["letters"].rows, 4);
    assert_eq!(store.stats().expect("readable").rows["numbers"], 1);
}

fn refuses_what_is_too_long(store: &dyn Store) {
    let mut batch = Batch::new();
    batch.put(LETTERS, "fine", "fine").put(LETTERS, "large", vec![0; MAX_VALUE_BYTES + 1]);
    assert!(matches!(store.commit(batch), Err(StoreError::ValueTooLong { .. })));
    let mut batch = Batch::new();
    batch.put(LETTERS, [0; MAX_KEY_BYTES + 1], "fine");
    assert!(matches!(store.commit(batch), Err(StoreError::KeyTooLong { .. })));
    assert!(store.range(LETTERS, Bound::Unbounded, Bound::Unbounded, 10).expect("readable").is_empty());
    let mut batch = Batch::new();
    batch.put(LETTERS, [0; MAX_KEY_BYTES], vec![7; MAX_VALUE_BYTES]);
    store.commit(batch).expect("the bounds themselves fit");
}

#[test]
fn sled_and_memory_behave_alike() {
    let folder = folder();
    behaves_as_a_store(&MemoryStore::new());
    behaves_as_a_store(&SledStore::open(&folder.path().join("a")).expect("open"));
    behaves_as_a_store(&FaultyStore::new(MemoryStore::new(), FaultPlan::default()));
    refuses_what_is_too_long(&MemoryStore::new());
    refuses_what_is_too_long(&SledStore::open(&folder.path().join("b")).expect("open"));
}

#[test]
fn sled_opens_once_at_a_time_and_keeps_everything() {
    let folder = folder();
    let store = SledStore::open(folder.path()).expect("open");
    behaves_as_a_store(&store);

    assert!(matches!(SledStore::open(folder.path()), Err(StoreError::Locked)));
    drop(store);

    let store = SledStore::open(folder.path()).expect("open again");
    assert_eq!(store.get(LETTERS, b"e").expect("readable"), Some(b"5".to_vec()));
    assert!(store.integrity().expect("readable").is_sound());
}

#[test]
fn every_acknowledged_commit_survives_a_crash_and_no_batch_is_torn() {
    let folder = folder();
    let store = SledStore::open(&folder.path().join("live")).expect("open");

    for round in 0..20_u32 {
        let mut batch = Batch::new();
        for key in 0..10_u32 {
            batch.put(NUMBERS, key.to_be_bytes(), round.to_be_bytes());
        }
        batch.put(LETTERS, round.to_be_bytes(), vec![1; 300]);
        store.commit(batch).expect("durable");
        if round % 5 != 4 {
            continue;
        }
        let image = folder.path().join(round.to_string());
        crash_image(&folder.path().join("live"), &image);

        let revived = SledStore::open(&image).expect("opens");

        assert!(revived.integrity().expect("readable").is_sound());
        for key in 0..10_u32 {
            let value = revived.get(NUMBERS, &key.to_be_bytes()).expect("readable");
            assert_eq!(value, Some(round.to_be_bytes().to_vec()));
        }
        assert_eq!(revived.stats().expect("readable").rows["letters"], u64::from(round) + 1);
    }
}

#[test]
fn a_row_removed_behind_its_back_is_found() {
    let folder = folder();
    let store = SledStore::open(folder.path()).expect("open");
    behaves_as_a_store(&store);
    drop(store);
    let raw = open_raw(folder.path());
    raw.remove(LETTERS.row(b"b")).expect("removed");
    raw.insert(NUMBERS.row(b"a"), b"changed").expect("changed");
    raw.remove(LETTER.row(b"s")).expect("removed");
    raw.flush().expect("flushed");
    drop(raw);

    let store = SledStore::open(folder.path()).expect("opens");
    let integrity = store.integrity().expect("readable");

    assert_eq!(integrity.damaged, ["letters", "numbers", "letter"]);
}

/// Opens a database without the store around it; the one that was just closed may hold its lock a little longer.
fn open_raw(path: &Path) -> ::sled::Db {
    for _ in 0..200 {
        if let Ok(db) = ::sled::open(path) {
            return db;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the database stays locked")
}

#[test]
fn a_damaged_file_is_an_error_or_a_finding_and_never_a_panic_or_silence() {
    let folder = folder();
    let live: PathBuf = folder.path().join("live");
    let store = SledStore::open(&live).expect("open");
    for round in 0..50_u32 {
        let mut batch = Batch::new();
        batch.put(NUMBERS, round.to_be_bytes(), vec![round as u8; 2000]);
        store.commit(batch).expect("durable");
    }
    drop(store);
    let bytes = fs::read(live.join("db")).expect("readable");
    let written = bytes.iter().rposition(|&byte| byte != 0).expect("not empty");

    for part in 1..8 {
        let image = folder.path().join(part.to_string());
        crash_image(&live, &image);
        let mut damaged = bytes.clone();
        let start = written * part / 8;
        damaged[start..(start + 4000).min(bytes.len())].fill(0);
        fs::write(image.join("db"), &damaged).expect("written");

        let opened = SledStore::open(&image);

        let noticed = match opened.and_then(|store| store.integrity().map(|found| (store, found))) {
            Err(StoreError::Damaged(_) | StoreError::Io(_)) => true,
            Err(error) => panic!("unexpected {error:?}"),
            // An earlier state, whole, is what sled promises after a crash; the caller compares it with the journal.
            Ok((store, found)) => {
                let rows = store.stats().expect("readable").rows.get("numbers").copied().unwrap_or_default();
                let prefix = (0..rows).all(|key| {
                    let key = u32::try_from(key).expect("few rows").to_be_bytes();
                    store.get(NUMBERS, &key).is_ok_and(|value| value.is_some())
                });
                !found.is_sound() || prefix
            }
        };
        assert!(noticed, "damage at {start} went unnoticed");
    }
}

#[test]
fn commits_from_many_threads_all_count() {
    let folder = folder();
    let store = Arc::new(SledStore::open(folder.path()).expect("open"));

    let threads: Vec<_> = (0..8_u32)
        .map(|thread| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for number in 0..25_u32 {
                    let mut batch = Batch::new();
                    batch.put(NUMBERS, (thread * 100 + number).to_be_bytes(), "x").put(LETTERS, "shared", "y");
                    store.commit(batch).expect("durable");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));

    let integrity = store.integrity().expect("readable");
    assert!(integrity.is_sound());
    assert_eq!((integrity.tables["numbers"].rows, integrity.tables["letters"].rows), (200, 1));
}

#[test]
fn an_export_reads_back_into_either_store_and_a_damaged_one_into_none() {
    let folder = folder();
    let store = SledStore::open(&folder.path().join("a")).expect("open");
    behaves_as_a_store(&store);
    let mut export = Vec::new();
    store.export(&mut export).expect("written");

    let memory = MemoryStore::new();
    memory.import(&mut export.as_slice()).expect("undamaged");
    let mut again = Vec::new();
    memory.export(&mut again).expect("written");
    assert_eq!(again, export);
    assert!(matches!(memory.import(&mut export.as_slice()), Err(StoreError::NotEmpty)));

    let other = SledStore::open(&folder.path().join("b")).expect("open");
    for index in 0..export.len() {
        let mut damaged = export.clone();
        damaged[index] ^= 1;
        assert!(MemoryStore::new().import(&mut damaged.as_slice()).is_err(), "flip at {index}");
        assert!(MemoryStore::new().import(&mut &export[..index]).is_err(), "cut at {index}");
    }
    let mut damaged = export.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    assert!(matches!(other.import(&mut damaged.as_slice()), Err(StoreError::Export(_))));
    other.import(&mut export.as_slice()).expect("still empty, so it can be imported");
    assert!(other.integrity().expect("readable").is_sound());
}

#[test]
fn a_faulty_store_fails_as_planned() {
    let plan = FaultPlan { refuse_from: Some(3), lose_answer_of: Some(2), unreadable_from: None };
    let store = FaultyStore::new(MemoryStore::new(), plan);

    store.commit(batch(LETTERS, &[("a", "1")])).expect("durable");
    assert!(matches!(store.commit(batch(LETTERS, &[("b", "2")])), Err(StoreError::Injected)));
    assert!(matches!(store.commit(batch(LETTERS, &[("c", "3")])), Err(StoreError::Injected)));

    let inner = store.into_inner();
    assert_eq!(keys(&inner, LETTERS, Bound::Unbounded, Bound::Unbounded, 9), ["a", "b"]);
}
