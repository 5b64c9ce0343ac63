use std::fs;

use super::*;

struct Folder {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal");
    Folder { _folder: folder, path }
}

fn records() -> Vec<Record> {
    vec![Record::new(1, b"first".as_slice()), Record::new(2, Vec::new()), Record::new(3, vec![7; 40])]
}

/// Writes the records, each by its own append, and returns the file's bytes.
fn written(path: &Path) -> Vec<u8> {
    let mut journal = Journal::create(path, &mut rand::rng()).expect("a new journal");
    for record in records() {
        journal.append(&[record]).expect("appended");
    }
    fs::read(path).expect("readable")
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let folder = folder();
    let mut journal = Journal::create(&folder.path, &mut rand::rng()).expect("a new journal");
    let id = journal.id();

    journal.append(&records()).expect("appended");
    let tip = journal.tip();
    drop(journal);

    let mut journal = Journal::open(&folder.path).expect("intact");
    assert_eq!((journal.id(), journal.tip()), (id, tip));
    assert_eq!(journal.records().expect("intact"), records());
    journal.append(&[Record::new(9, b"more".as_slice())]).expect("appended");
    assert_eq!(journal.records().expect("intact").len(), 4);
    assert!(journal.has_reached(tip).expect("readable"));
    assert!(!journal.has_reached(Tip { records: 5, ..tip }).expect("readable"));
}

#[test]
fn a_journal_is_neither_made_twice_nor_opened_twice_nor_invented() {
    let folder = folder();

    assert!(matches!(Journal::open(&folder.path), Err(JournalError::Missing(_))));
    let journal = Journal::create(&folder.path, &mut rand::rng()).expect("a new journal");
    assert!(matches!(Journal::open(&folder.path), Err(JournalError::Locked)));
    drop(journal);
    assert!(matches!(Journal::create(&folder.path, &mut rand::rng()), Err(JournalError::Exists(_))));
    Journal::open(&folder.path).expect("unlocked again");
}

#[test]
fn a_last_record_cut_at_any_byte_is_removed_and_no_other() {
    let folder = folder();
    let bytes = written(&folder.path);
    let last = HEAD_LEN + 40 + CHAIN_LEN;
    let intact = bytes.len() - last;

    for cut in 0..last {
        fs::write(&folder.path, &bytes[..intact + cut]).expect("written");

        let mut journal = Journal::open(&folder.path).expect("a torn tail is no damage");

        assert_eq!(journal.records().expect("intact"), records()[..2], "cut at {cut}");
        journal.append(&records()[2..]).expect("appended");
        drop(journal);
        assert_eq!(fs::read(&folder.path).expect("readable"), bytes, "cut at {cut}");
    }
}

#[test]
fn a_header_cut_anywhere_is_damage() {
    let folder = folder();
    let bytes = written(&folder.path);

    for cut in 0..HEADER_LEN {
        fs::write(&folder.path, &bytes[..cut]).expect("written");

        assert!(matches!(Journal::open(&folder.path), Err(JournalError::Damaged { .. })), "cut at {cut}");
    }
}

#[test]
fn every_flipped_bit_is_damage() {
    let folder = folder();
    let bytes = written(&folder.path);

    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&folder.path, &flipped).expect("written");

        let opened = Journal::open(&folder.path);

        assert!(matches!(opened, Err(JournalError::Damaged { .. })), "bit {bit}: {opened:?}");
    }
}

#[test]
fn every_zeroed_range_is_damage() {
    let folder = folder();
    let bytes = written(&folder.path);

    for length in [1, 4, 21, 64, 1000] {
        for start in 0..bytes.len() {
            let mut zeroed = bytes.clone();
            zeroed.iter_mut().skip(start).take(length).for_each(|byte| *byte = 0);
            if zeroed == bytes {
                continue;
            }
            fs::write(&folder.path, &zeroed).expect("written");

            let opened = Journal::open(&folder.path);

            assert!(matches!(opened, Err(JournalError::Damaged { .. })), "{start}+{length}: {opened:?}");
        }
    }
}

#[test]
fn a_record_removed_repeated_or_moved_is_damage() {
    let folder = folder();
    let bytes = written(&folder.path);
    let (first, second) = (HEAD_LEN + 5 + CHAIN_LEN, HEAD_LEN + CHAIN_LEN);
    let (header, rest) = bytes.split_at(HEADER_LEN);
    let (first, rest) = rest.split_at(first);
    let (second, third) = rest.split_at(second);

    for order in [vec![second, third], vec![first, first], vec![first, third], vec![second, first, third]] {
        fs::write(&folder.path, [vec![header], order].concat().concat()).expect("written");

        assert!(matches!(Journal::open(&folder.path), Err(JournalError::Damaged { .. })));
    }
}

#[test]
fn rewriting_keeps_what_it_should_and_erases_the_rest() {
    let folder = folder();
    let bytes = written(&folder.path);
    let mut journal = Journal::open(&folder.path).expect("intact");
    let id = journal.id();
    let mut old = File::open(&folder.path).expect("readable");

    journal.rewrite(|record| record.kind != 1).expect("rewritten");
    journal.append(&[Record::new(4, b"after".as_slice())]).expect("appended");

    let mut erased = Vec::new();
    old.read_to_end(&mut erased).expect("readable");
    assert_eq!(erased, vec![0; bytes.len()]);
    assert!(!fs::read(&folder.path).expect("readable").windows(5).any(|window| window == b"first"));
    drop(journal);
    let journal = Journal::open(&folder.path).expect("intact");
    let kinds: Vec<_> = journal.records().expect("intact").iter().map(|record| record.kind).collect();
    assert_eq!((kinds, journal.id()), (vec![2, 3, 4], id));
}

#[test]
fn a_payload_over_the_bound_is_refused_and_nothing_written() {
    let folder = folder();
    let mut journal = Journal::create(&folder.path, &mut rand::rng()).expect("a new journal");
    let records = [Record::new(1, vec![1]), Record::new(1, vec![0; MAX_PAYLOAD_BYTES + 1])];

    let refused = journal.append(&records);

    assert!(matches!(refused, Err(JournalError::TooLong { .. })));
    assert_eq!(journal.tip().records, 0);
    journal.append(&[Record::new(1, vec![0; MAX_PAYLOAD_BYTES])]).expect("the bound itself fits");
    assert_eq!(journal.records().expect("intact").len(), 1);
}

#[test]
fn a_record_does_not_print_its_payload() {
    assert_eq!(format!("{:?}", Record::new(5, b"secret".as_slice())), "Record { kind: 5, length: 6, .. }");
}
