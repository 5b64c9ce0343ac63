//! Entries of people at this node on their way to the log: `outbox/<entry>`, readable by the owner alone.
//!
//! An entry is durable before it leaves the node, and deleted once the log, as it is on this disk, has it or will never
//! take it. So nobody has to say a thing again because their node stopped.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{id::EntryId, limits, log::entry::SignedEntry};

use super::private::create_private_dir;
use crate::store::files;

/// The folder.
#[derive(Debug)]
pub(super) struct Outbox {
    root: PathBuf,
    /// Files that were written and are not yet durable.
    unsynced: Vec<File>,
}

impl Outbox {
    /// Opens the folder, making it if needed, and returns what is in it. A file that a crash left incomplete is deleted: its
    /// entry has never left.
    pub(super) fn open(root: &Path) -> io::Result<(Self, Vec<SignedEntry>)> {
        create_private_dir(root)?;
        let mut entries = Vec::new();
        for file in fs::read_dir(root)? {
            let file = file?;
            let name = file.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<EntryId>().ok()) else { continue };
            let whole = file.metadata()?.len() <= 2 * limits::MAX_ENTRY_BYTES as u64;
            let bytes = if whole { fs::read(file.path())? } else { Vec::new() };
            match SignedEntry::from_bytes(&bytes) {
                Ok(entry) if entry.id() == id => entries.push(entry),
                Ok(_) | Err(_) => {
                    tracing::warn!(%id, "an incomplete entry is removed from the outbox");
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok((Self { root: root.to_owned(), unsynced: Vec::new() }, entries))
    }

    /// Writes an entry; it is durable after [`sync`](Self::sync).
    pub(super) fn write(&mut self, entry: &SignedEntry) -> io::Result<()> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.path(entry.id()))?;
        file.write_all(&entry.to_bytes())?;
        self.unsynced.push(file);
        Ok(())
    }

    /// Returns whether something was written that is not durable.
    pub(super) const fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        if unsynced.is_empty() {
            return Ok(());
        }
        unsynced.iter().try_for_each(File::sync_data)?;
        files::sync_directory(&self.root)
    }

    /// Deletes an entry. If a power cut brings it back, it is found settled when the node starts.
    pub(super) fn delete(&mut self, id: EntryId) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, id: EntryId) -> PathBuf {
        self.root.join(id.to_string())
    }
}
