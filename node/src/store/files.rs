//! Files that are there whole or not at all, and locks.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A file under a temporary name, deleted unless it is [moved](Self::rename) to its place.
#[derive(Debug)]
pub(crate) struct Unfinished {
    file: File,
    path: PathBuf,
    moved: bool,
}

impl Unfinished {
    /// Creates an empty file in `directory`, readable by its owner alone. `purpose` is part of its name.
    pub(crate) fn create(directory: &Path, purpose: &str) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}{}-{number}", prefix(purpose), std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(&path)?, path, moved: false })
    }

    /// Returns the file, to write to.
    pub(crate) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Returns where the file is for now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the contents durable, then moves the file to `target`, replacing what is there, durably.
    pub(crate) fn rename(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.moved = true;
        sync_directory(parent(target))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.moved {
            // What cannot be removed now is removed when the directory is next opened.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn prefix(purpose: &str) -> String {
    format!(".unfinished-{purpose}-")
}

/// Removes what a crash left unfinished of one purpose. Nobody else may be writing for it.
pub(crate) fn remove_unfinished(directory: &Path, purpose: &str) -> io::Result<()> {
    let prefix = prefix(purpose);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Replaces the contents of `path`: whatever happens, it holds the old or the new ones.
pub(crate) fn replace(path: &Path, purpose: &str, contents: &[u8]) -> io::Result<()> {
    let mut unfinished = Unfinished::create(parent(path), purpose)?;
    unfinished.file().write_all(contents)?;
    unfinished.rename(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns the directory that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Locks `path`, creating it if needed, until the file returned is dropped; `None` if somebody else holds the lock.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Creates a file for its owner alone that has no name, and is gone when it is closed.
pub(crate) fn nameless(directory: &Path, purpose: &str) -> io::Result<File> {
    let mut unfinished = Unfinished::create(directory, purpose)?;
    unfinished.file().try_clone()
}
