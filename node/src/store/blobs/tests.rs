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
