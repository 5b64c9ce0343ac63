use std::collections::BTreeSet;

use super::*;

fn open() -> (tempfile::TempDir, BlobStore) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = BlobStore::open(folder.path(), 4 * 1024 * 1024).expect("open");
    (folder, store)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_blob_reads_back_whole_and_in_ranges() {
    let (_folder, store) = open();
    let bytes = pattern(CHUNK * 2 + 100);

    let id = store.put(&bytes).expect("stored");

    assert_eq!(id, BlobId::of(&bytes));
    assert_eq!(store.get(id).expect("sound"), Some(bytes.clone()));
    for (offset, length) in [(0, 10), (CHUNK - 5, 10), (5, CHUNK * 2), (CHUNK * 2 + 90, 1000), (0, 0), (bytes.len(), 1)]
    {
        let range = store.get_range(id, offset as u64, length).expect("sound").expect("here");
        assert_eq!(range, bytes[offset..bytes.len().min(offset + length)], "{offset}+{length}");
    }
    assert_eq!(store.get_range(id, u64::MAX, usize::MAX).expect("sound"), Some(Vec::new()));
}

#[test]
fn what_is_not_here_is_none_and_the_empty_blob_is_a_blob() {
    let (_folder, store) = open();

    assert_eq!(store.get(BlobId::of(b"absent")).expect("readable"), None);
    assert!(!store.delete(BlobId::of(b"absent")).expect("readable"));
    let empty = store.put(&[]).expect("stored");
    assert_eq!(store.get(empty).expect("sound"), Some(Vec::new()));
}

#[test]
fn a_blob_with_any_flipped_byte_is_refused_and_can_be_put_again() {
    let (_folder, store) = open();
    let bytes = pattern(300);
    let id = store.put(&bytes).expect("stored");

    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x10;
        fs::write(store.path(id), &flipped).expect("written");

        assert!(matches!(store.get(id), Err(BlobError::Damaged(damaged)) if damaged == id));
        assert!(matches!(store.get_range(id, 0, 1), Err(BlobError::Damaged(_))));
    }
    fs::write(store.path(id), &bytes[..200]).expect("written");
    assert!(matches!(store.get(id), Err(BlobError::Damaged(_))));

    store.put(&bytes).expect("stored again");
    assert_eq!(store.get(id).expect("sound"), Some(bytes));
    assert_eq!(store.used().blobs, 1);
}

#[test]
fn the_quota_holds_across_deleting_and_reopening() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = BlobStore::open(folder.path(), 1000).expect("open");
    let first = store.put(&pattern(600)).expect("fits");

    assert!(matches!(store.put(&pattern(401)), Err(BlobError::QuotaExceeded { used: 600, wanted: 401, .. })));
    store.put(&pattern(600)).expect("stored already");
    store.put(&pattern(400)).expect("fits exactly");
    assert!(matches!(BlobStore::open(folder.path(), 1000), Err(BlobError::Locked)));
    drop(store);

    let store = BlobStore::open(folder.path(), 1000).expect("open");
    assert_eq!(store.used(), Usage { blobs: 2, bytes: 1000 });
    assert!(matches!(store.put(&[1]), Err(BlobError::QuotaExceeded { .. })));
    assert!(store.delete(first).expect("deleted"));
    assert_eq!(store.used(), Usage { blobs: 1, bytes: 400 });
    store.put(&[1]).expect("fits now");
}

#[test]
fn the_list_is_sorted_and_holds_only_blobs() {
    let (_folder, store) = open();
    let mut expected: Vec<_> =
        (1..40).map(|length| (store.put(&pattern(length)).expect("stored"), length as u64)).collect();
    expected.sort_unstable();
    let shard = store.shards().expect("readable").remove(0);
    fs::write(shard.join("note"), b"not a blob").expect("written");

    assert_eq!(store.list().expect("readable"), expected);
}

#[test]
fn what_a_crash_left_unfinished_is_removed() {
    let (folder, store) = open();
    let id = store.put(&pattern(10)).expect("stored");
    let left = files::parent(&store.path(id)).join(".unfinished-blob-1-1");
    fs::write(&left, b"half").expect("written");
    drop(store);

    let store = BlobStore::open(folder.path(), 1000).expect("open");

    assert!(!left.exists());
    assert_eq!(store.used(), Usage { blobs: 1, bytes: 10 });
}

#[test]
fn a_blob_over_the_bound_is_refused() {
    let (_folder, store) = open();

    assert!(matches!(store.put(&vec![0; MAX_BLOB_BYTES + 1]), Err(BlobError::TooLong { .. })));
}

/// A blob of three pieces, its store, and an empty one to fill.
fn large() -> (Vec<u8>, BlobId, (tempfile::TempDir, BlobStore), (tempfile::TempDir, BlobStore)) {
    let bytes = pattern(2 * PIECE_BYTES + 1000);
    let provider = open();
    let id = provider.1.put(&bytes).expect("stored");
    (bytes, id, provider, open())
}

fn begin(from: &BlobStore, to: &BlobStore, id: BlobId) -> Pieces {
    let Some(Found::Parts { size, proof, .. }) = from.find(id).expect("sound") else { panic!("it is large") };
    to.begin(id, size, &proof).expect("fits")
}

fn slice_of(store: &BlobStore, id: BlobId, piece: u32) -> Vec<u8> {
    store.slice(id, piece).expect("sound").expect("here")
}

#[test]
fn pieces_are_passed_on_before_the_blob_is_whole_and_it_is_whole_after_the_last() {
    let (bytes, id, (_a, provider), (_b, store)) = large();
    let (_c, third) = open();

    assert!(begin(&provider, &store, id).is_empty());
    assert_eq!(store.used(), Usage { blobs: 0, bytes: bytes.len() as u64 });
    store.add(id, 2, &slice_of(&provider, id, 2)).expect("honest");
    assert_eq!(store.get(id).expect("readable"), None);
    assert_eq!(store.slice(id, 0).expect("readable"), None);
    assert_eq!(slice_of(&store, id, 2), slice_of(&provider, id, 2));
    begin(&store, &third, id);
    third.add(id, 2, &slice_of(&store, id, 2)).expect("honest");
    store.add(id, 0, &slice_of(&provider, id, 0)).expect("honest");
    assert!(store.add(id, 1, &slice_of(&provider, id, 1)).expect("honest").is_full());

    assert_eq!(store.get(id).expect("sound"), Some(bytes.clone()));
    assert_eq!(store.used(), Usage { blobs: 1, bytes: bytes.len() as u64 });
    assert_eq!(slice_of(&store, id, 1), slice_of(&provider, id, 1));
    assert!(begin(&provider, &store, id).is_full());
    assert!(store.unfinished().is_empty());
    assert_eq!(third.unfinished().len(), 1);
}

#[test]
fn wrong_pieces_and_lengths_change_nothing() {
    let (bytes, id, (_a, provider), (_b, store)) = large();
    let Some(Found::Parts { size, proof, .. }) = provider.find(id).expect("sound") else { panic!("it is large") };

    assert!(matches!(store.add(id, 0, &slice_of(&provider, id, 0)), Err(BlobError::NotBegun(_))));
    assert!(matches!(store.begin(id, size + 1, &proof), Err(BlobError::Wrong(_))));
    assert_eq!(store.used(), Usage::default());
    begin(&provider, &store, id);
    let mut flipped = slice_of(&provider, id, 0);
    *flipped.last_mut().expect("bytes") ^= 1;
    assert!(matches!(store.add(id, 0, &flipped), Err(BlobError::Wrong(_))));
    assert!(matches!(store.add(id, 1, &slice_of(&provider, id, 0)), Err(BlobError::Wrong(_))));
    assert!(matches!(store.add(id, 9, &slice_of(&provider, id, 0)), Err(BlobError::Wrong(_))));
    assert!(matches!(provider.slice(id, 9), Ok(None)));

    assert!(store.unfinished().iter().all(|(_, _, pieces)| pieces.is_empty()));
    store.put(&bytes).expect("whole all the same");
    assert_eq!(store.used(), Usage { blobs: 1, bytes: size });
    assert!(store.unfinished().is_empty());
}

#[test]
fn a_restart_takes_up_what_was_saved_and_damage_to_it_is_found() {
    let (bytes, id, (_a, provider), (folder, store)) = large();
    begin(&provider, &store, id);
    store.add(id, 1, &slice_of(&provider, id, 1)).expect("honest");
    drop(store);

    let store = BlobStore::open(folder.path(), 4 * 1024 * 1024).expect("open");
    let here = begin(&provider, &store, id);
    assert_eq!(here.iter().collect::<Vec<_>>(), [1]);
    assert_eq!(store.used(), Usage { blobs: 0, bytes: bytes.len() as u64 });
    assert_eq!(slice_of(&store, id, 1), slice_of(&provider, id, 1));
    let data = store.path(id).with_extension(partial::DATA);
    let mut damaged = fs::read(&data).expect("readable");
    damaged[PIECE_BYTES + 5] ^= 1;
    fs::write(&data, damaged).expect("written");

    assert_eq!(store.slice(id, 1).expect("readable"), None);
    store.add(id, 0, &slice_of(&provider, id, 0)).expect("honest");
    assert!(matches!(store.add(id, 2, &slice_of(&provider, id, 2)), Err(BlobError::Damaged(_))));
    assert_eq!(store.used(), Usage::default());
    assert!(begin(&provider, &store, id).is_empty());
}

#[test]
fn a_state_that_is_damaged_or_alone_is_removed() {
    for spoil in [|path: &Path| fs::write(path, b"?"), |path: &Path| fs::remove_file(path.with_extension("part"))] {
        let (_, id, (_a, provider), (folder, store)) = large();
        begin(&provider, &store, id);
        store.add(id, 1, &slice_of(&provider, id, 1)).expect("honest");
        let state = store.path(id).with_extension("state");
        drop(store);
        spoil(&state).expect("spoilt");

        let store = BlobStore::open(folder.path(), 4 * 1024 * 1024).expect("open");

        assert!(!state.exists());
        assert_eq!(store.used(), Usage::default());
        assert!(begin(&provider, &store, id).is_empty());
    }
}

fn made_old(store: &BlobStore, id: BlobId, hours: u64) {
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(3600 * hours);
    File::options().write(true).open(store.path(id)).expect("here").set_modified(time).expect("set");
}

#[test]
fn what_was_not_used_for_longest_goes_unless_a_tag_keeps_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let policy = Policy { rounds: 2, ..Policy::cache(1000) };
    let store = BlobStore::open(folder.path(), policy).expect("open");
    let ids: Vec<_> = (150..156).map(|length| store.put(&pattern(length)).expect("fits")).collect();
    for (hours, id) in (10..).zip(&ids) {
        made_old(&store, *id, 100 - hours);
    }
    for (index, tag) in [(0, Tag::Pinned), (1, Tag::Round(7)), (2, Tag::Round(6)), (3, Tag::Round(5))] {
        store.tag(ids[index], tag).expect("tagged");
    }
    store.get(ids[4]).expect("used").expect("here");
    let here = || ids.iter().map(|id| store.contains(*id)).collect::<Vec<_>>();

    assert_eq!(store.collect().expect("collected"), Usage { blobs: 2, bytes: 153 + 155 });
    assert_eq!(here(), [true, true, true, false, true, false], "down to the low-water mark");
    assert_eq!(store.collect().expect("collected"), Usage::default());
    assert!(matches!(store.put(&pattern(700)), Err(BlobError::QuotaExceeded { used: 453, .. })));
    assert_eq!(here(), [true, true, true, false, false, false], "what is tagged stays");
    store.untag(ids[0], Tag::Pinned).expect("untagged");
    store.put(&pattern(600)).expect("fits now");
    assert_eq!(here(), [false, true, true, false, false, false]);
    assert_eq!(store.used(), Usage { blobs: 3, bytes: 151 + 152 + 600 });
}

#[test]
fn a_large_blob_that_was_damaged_is_fetched_again_from_the_start() {
    let (bytes, id, (_a, provider), (_b, store)) = large();
    store.put(&bytes).expect("stored");
    assert!(begin(&provider, &store, id).is_full());
    let mut damaged = bytes.clone();
    damaged[7] ^= 1;
    fs::write(store.path(id), damaged).expect("written");

    assert!(begin(&provider, &store, id).is_empty());
    for piece in 0..3 {
        store.add(id, piece, &slice_of(&provider, id, piece)).expect("right");
    }

    assert_eq!(store.get(id).expect("sound"), Some(bytes.clone()));
    assert_eq!(store.used(), Usage { blobs: 1, bytes: bytes.len() as u64 });
}

#[test]
fn pruning_gives_up_what_belongs_to_old_rounds_alone_and_remembers_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = BlobStore::open(folder.path(), Policy::keep_all(100_000)).expect("opens");
    let ids: Vec<_> = (150..156).map(|length| store.put(&pattern(length)).expect("fits")).collect();
    for (index, tag) in
        [(0, Tag::Round(1)), (1, Tag::Round(2)), (2, Tag::Round(2)), (2, Tag::Round(5)), (3, Tag::Round(1))]
    {
        store.tag_all(&[ids[index]], tag).expect("tagged");
    }
    store.note(ids[4], 1).expect("noted");
    store.tag(ids[4], Tag::Pinned).expect("tagged");

    let gone = store.prune(3, &BTreeSet::from([ids[3]])).expect("pruned");

    assert_eq!(gone, Usage { blobs: 2, bytes: 150 + 151 });
    let here: Vec<bool> = ids.iter().map(|id| store.contains(*id)).collect();
    assert_eq!(here, [false, false, true, true, true, true], "of a later round, needed, pinned, of no round");
    assert_eq!(store.prune(2, &BTreeSet::new()).expect("pruned"), Usage { blobs: 1, bytes: 153 });
    drop(store);
    let store = BlobStore::open(folder.path(), Policy::keep_all(100_000)).expect("opens");
    assert_eq!(store.pruned_before(), 3, "it does not go back");
}
