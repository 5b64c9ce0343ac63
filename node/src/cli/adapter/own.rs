//! Own adapters on this machine: what is trained and not sent yet, in files for their owner alone.

use std::{fs, io, path::PathBuf};

use chorus_protocol::id::{RoundId, SeriesId};
use zeroize::Zeroizing;

use super::super::{Failure, Global};
use crate::{config, store::files};

/// The delta that is to be contributed: `f32`, little-endian, in the order of the manifest.
const DELTA: &str = "delta";

/// A training that was interrupted.
pub(super) const TRAINING: &str = "training";

/// What the base model answered when it was told the person's principles.
pub(super) const ANSWERS: &str = "answers";

/// What belongs to one round.
#[derive(Debug)]
pub(super) struct Own {
    folder: PathBuf,
}

impl Own {
    /// Returns what belongs to a round; nothing is made yet.
    pub(super) fn of(global: &Global, series: SeriesId, round: RoundId) -> Result<Self, Failure> {
        let dir = global.data_dir().map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self { folder: dir.adapters().join(series.to_string()).join(round.to_string()) })
    }

    /// Returns the delta, if one was trained or brought in.
    pub(super) fn delta(&self) -> io::Result<Option<Zeroizing<Vec<f32>>>> {
        let Some(bytes) = self.read(DELTA)? else { return Ok(None) };
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a delta of broken values"));
        }
        Ok(Some(Zeroizing::new(values.iter().map(|value| f32::from_le_bytes(*value)).collect())))
    }

    /// Keeps a delta, in the place of an earlier one.
    pub(super) fn keep_delta(&self, delta: &[f32]) -> io::Result<()> {
        self.write(DELTA, &octets(delta))
    }

    /// Deletes everything.
    pub(super) fn delete(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        config::create_private(&self.folder).map_err(io::Error::other)?;
        files::replace(&self.folder.join(name), name, bytes)
    }

    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Returns values as octets.
pub(super) fn octets(values: &[f32]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_kept_for_its_owner_alone_and_deleted_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = Own { folder: folder.path().join("series").join("round") };
        assert_eq!(own.delta().expect("none"), None);
        own.keep_delta(&[1.5, -0.25]).expect("kept");
        own.write(TRAINING, b"state").expect("kept");

        assert_eq!(own.delta().expect("read").as_deref(), Some(&vec![1.5, -0.25]));
        own.forget(TRAINING).expect("deleted");
        own.forget(TRAINING).expect("not there");
        assert!(own.read(TRAINING).expect("none").is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&own.folder), mode(&own.folder.join(DELTA))), (0o700, 0o600));
        }
        own.write(DELTA, &[1, 2, 3]).expect("written");
        assert!(own.delta().is_err());
        own.delete().expect("deleted");
        assert_eq!(own.delta().expect("none"), None);
    }
}
