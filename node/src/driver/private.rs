//! The private parts of contributions: `private/<round>/<body>`, readable by the owner alone.
//!
//! They are files of their own so that they can be erased: a file is unlinked and its folder made durable. Its blocks
//! are not overwritten, for what is in it is sealed to the round's key or masked by the seeds under that seal, and the
//! key stands in the journal, which does overwrite what it erases.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    contribution::Submission,
    id::{BlobId, RoundId},
    peer::KeptPrivate,
};

use crate::store::files;

/// The folder.
#[derive(Debug)]
pub(super) struct PrivateStore {
    root: PathBuf,
    /// Files that were written and are not yet durable.
    unsynced: BTreeMap<(RoundId, BlobId), File>,
}

impl PrivateStore {
    /// Opens the folder, making it if needed.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        create_private_dir(root)?;
        Ok(Self { root: root.to_owned(), unsynced: BTreeMap::new() })
    }

    /// Returns which are stored, and whole, of all rounds but the `erased`, of which what is left is erased now. Each is read,
    /// and let go: together they may be more than fits into memory.
    pub(super) fn load(&mut self, erased: &BTreeSet<RoundId>) -> io::Result<Loaded> {
        let mut loaded = Loaded::default();
        for round in names::<RoundId>(&self.root)? {
            if erased.contains(&round) {
                self.erase_round(round)?;
                continue;
            }
            for body in names::<BlobId>(&self.folder(round))? {
                let bytes = fs::read(self.path(round, body))?;
                match Submission::from_bytes(&bytes) {
                    Ok(submission) if BlobId::of(&submission.body) == body => {
                        loaded.whole.push(KeptPrivate { round, body, bytes: bytes.len() as u64 });
                    }
                    Ok(_) | Err(_) => loaded.damaged.push((round, body)),
                }
            }
        }
        Ok(loaded)
    }

    /// Reads one; none if it is not here, or damaged where that shows.
    pub(super) fn read(&self, round: RoundId, body: BlobId) -> io::Result<Option<Submission>> {
        let bytes = match fs::read(self.path(round, body)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Submission::from_bytes(&bytes).ok().filter(|submission| BlobId::of(&submission.body) == body))
    }

    /// Writes one; it is durable after [`sync`](Self::sync).
    pub(super) fn write(&mut self, round: RoundId, body: BlobId, submission: &Submission) -> io::Result<()> {
        let path = self.path(round, body);
        // A whole one is never written again: the body's hash binds all of it.
        if path.try_exists()? {
            return Ok(());
        }
        let folder = self.folder(round);
        if !folder.try_exists()? {
            create_private_dir(&folder)?;
            files::sync_directory(&self.root)?;
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(&submission.to_bytes())?;
        self.unsynced.insert((round, body), file);
        Ok(())
    }

    /// Returns whether something was written that is not durable.
    pub(super) fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        let rounds: BTreeSet<RoundId> = unsynced.keys().map(|(round, _)| *round).collect();
        for file in unsynced.values() {
            file.sync_data()?;
        }
        rounds.into_iter().try_for_each(|round| files::sync_directory(&self.folder(round)))
    }

    /// Erases one, durably.
    pub(super) fn erase(&mut self, round: RoundId, body: BlobId) -> io::Result<()> {
        self.unsynced.remove(&(round, body));
        match fs::remove_file(self.path(round, body)) {
            Ok(()) => files::sync_directory(&self.folder(round)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Erases all of a round, durably.
    pub(super) fn erase_round(&mut self, round: RoundId) -> io::Result<()> {
        self.unsynced.retain(|(of, _), _| *of != round);
        match fs::remove_dir_all(self.folder(round)) {
            Ok(()) => files::sync_directory(&self.root),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn folder(&self, round: RoundId) -> PathBuf {
        self.root.join(round.to_string())
    }

    pub(super) fn path(&self, round: RoundId, body: BlobId) -> PathBuf {
        self.folder(round).join(body.to_string())
    }
}

/// What was found in the folder.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Whole ones.
    pub(super) whole: Vec<KeptPrivate>,
    /// Files that a crash left incomplete, before their contributions were acknowledged, or that were damaged later.
    pub(super) damaged: Vec<(RoundId, BlobId)>,
}

/// Returns the identifiers that name what is in a folder; other names are not ours.
fn names<T: core::str::FromStr>(folder: &Path) -> io::Result<Vec<T>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Makes a folder that its owner alone can enter.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(byte: u8) -> (BlobId, Submission) {
        let submission = Submission { body: vec![byte; 40], masked: Vec::new(), boxes: vec![None] };
        (BlobId::of(&submission.body), submission)
    }

    #[test]
    fn what_is_written_is_read_back_until_it_is_erased() {
        let folder = tempfile::tempdir().expect("a folder");
        let (kept, gone, over) = (RoundId::from([1; 32]), RoundId::from([2; 32]), RoundId::from([3; 32]));
        let (first, a) = submission(1);
        let (second, b) = submission(2);
        let mut store = PrivateStore::open(folder.path()).expect("opens");
        store.write(kept, first, &a).expect("writes");
        store.write(kept, second, &b).expect("writes");
        store.write(gone, first, &a).expect("writes");
        store.write(over, first, &a).expect("writes");
        store.sync().expect("syncs");

        store.erase(kept, second).expect("erases");
        store.erase_round(gone).expect("erases");

        let mut store = PrivateStore::open(folder.path()).expect("opens");
        let whole = store.load(&BTreeSet::from([over])).expect("loads").whole;
        assert_eq!(whole.iter().map(|kept| (kept.round, kept.body)).collect::<Vec<_>>(), [(kept, first)]);
        assert_eq!(store.read(kept, first).expect("reads"), Some(a));
        assert_eq!(store.read(kept, second).expect("reads"), None);
        assert_eq!(names::<RoundId>(folder.path()).expect("reads"), [kept]);
    }

    #[test]
    fn an_incomplete_file_is_found_and_may_be_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let round = RoundId::from([1; 32]);
        let (body, submission) = submission(1);
        let mut store = PrivateStore::open(folder.path()).expect("opens");
        store.write(round, body, &submission).expect("writes");
        let path = store.path(round, body);
        let whole = fs::read(&path).expect("reads");
        fs::write(&path, &whole[..whole.len() - 1]).expect("tears it");

        assert_eq!(store.load(&BTreeSet::new()).expect("loads").damaged, [(round, body)]);
        store.erase(round, body).expect("erases");
        store.write(round, body, &submission).expect("writes");

        assert_eq!(store.load(&BTreeSet::new()).expect("loads").whole.len(), 1);
        assert_eq!(store.read(round, body).expect("reads"), Some(submission));
    }
}
