use chorus_protocol::{
    id::RoundId,
    journal::{Record, RestoredRecord, RoundKeyRecord},
    log::batch::Height,
};

use super::*;
use crate::keystore::Protection;

fn made(folder: &Path) -> (DataDir, Keys) {
    let dir = DataDir::new(folder.join("data"));
    dir.create().expect("made");
    let keys = Keys::generate(&mut rand::rng());
    keys.create(&dir.keystore(), &Protection::Unprotected, &mut rand::rng()).expect("made");
    fs::write(dir.leaves(), b"leaves").expect("written");
    fs::write(dir.diary(), vec![b'd'; 3 * 1024 * 1024]).expect("written");
    config::create_private(&dir.attester()).expect("made");
    fs::write(dir.attester().join("clients"), b"clients").expect("written");
    config::create_private(&dir.node()).expect("made");
    let journal = crate::store::journal::Journal::create(&dir.node().join("journal"), &mut rand::rng());
    let round_key = RoundKeyRecord { round: RoundId::from([1; 32]), secret: [2; 32] };
    let records = [Record::WalReset(Height(8)), Record::Pledge(Height(8)), Record::RoundKey(round_key)];
    use chorus_crypto::codec::Encode as _;
    let records: Vec<_> =
        records.iter().map(|record| crate::store::journal::Record::new(1, record.to_bytes())).collect();
    journal.expect("made").append(&records).expect("written");
    (dir, keys)
}

fn open(dir: &DataDir) -> Result<Keys, BackupError> {
    Ok(Keys::load(&dir.keystore(), &Protection::Unprotected)?)
}

fn restored(file: &Path, dir: &DataDir, current: bool) -> Result<Summary, BackupError> {
    put_back(file, dir, current, open, &mut rand::rng())
}

#[test]
fn what_is_put_back_is_what_there_was_without_keys_of_rounds_and_with_a_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dir, keys) = made(folder.path());
    let file = folder.path().join("backup");

    let written = write(&dir, &keys, &file, true, &mut rand::rng()).expect("written");
    let other = DataDir::new(folder.path().join("other"));
    let summary = restored(&file, &other, false).expect("put back");

    assert_eq!((written.height, written.complete, summary.height), (Some(7), true, Some(7)));
    assert!(open(&other).expect("keys") == keys);
    for name in ["leaves", "diary.json", "attester/clients"] {
        assert!(fs::read(other.root().join(name)).expect("there") == fs::read(dir.root().join(name)).expect("there"));
    }
    let journal = JournalCopy::read(&other.node()).expect("reads").expect("there");
    let note = Record::Restored(RestoredRecord { height: Height(7), current: false });
    assert!(journal.records == [Record::WalReset(Height(8)), Record::Pledge(Height(8)), note]);
    assert!(matches!(restored(&file, &other, false), Err(BackupError::NotEmpty(_))));
}

#[test]
fn a_changed_backup_is_refused_and_nothing_is_left_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dir, keys) = made(folder.path());
    let file = folder.path().join("backup");
    write(&dir, &keys, &file, true, &mut rand::rng()).expect("written");
    let bytes = fs::read(&file).expect("there");
    let other = DataDir::new(folder.path().join("other"));
    let mended = |mut bytes: Vec<u8>| {
        let end = bytes.len() - HASH_LEN;
        let hash = blake3::hash(&bytes[..end]);
        bytes.splice(end.., *hash.as_bytes());
        bytes
    };

    for at in [0, 20, 200, bytes.len() / 2, bytes.len() - 40, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&file, &changed).expect("written");
        assert!(matches!(restored(&file, &other, false), Err(BackupError::Damaged(_))), "{at}");
        if at > 400 && at < bytes.len() - HASH_LEN {
            fs::write(&file, mended(changed)).expect("written");
            assert!(restored(&file, &other, false).is_err(), "{at}, mended");
        }
        assert!(!other.root().exists());
    }
    fs::write(&file, &bytes[..bytes.len() - 1000]).expect("written");
    assert!(matches!(restored(&file, &other, false), Err(BackupError::Damaged(_))), "cut");
}

#[test]
fn nobody_can_vouch_for_a_backup_of_a_running_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dir, keys) = made(folder.path());
    let file = folder.path().join("backup");
    let running = crate::store::journal::Journal::open(&dir.node().join("journal")).expect("opens");
    let written = write(&dir, &keys, &file, true, &mut rand::rng()).expect("written");
    drop(running);
    let other = DataDir::new(folder.path().join("other"));

    assert!(!written.complete);
    assert!(matches!(restored(&file, &other, true), Err(BackupError::NotCurrent)));
    restored(&file, &other, false).expect("put back");
}

#[test]
fn a_name_leads_nowhere_else() {
    for name in ["../x", "/etc/passwd", "attester/../../x", "keystore", "node/journal", "ballots/../keystore", ""] {
        assert!(checked(name).is_err(), "{name}");
    }
    assert!(checked("ballots/aa/00").is_ok() && checked("leaves").is_ok());
}
