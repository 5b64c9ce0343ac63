//! How many people an attester has checked for each value of an attribute: counts and nothing else, so that nobody who
//! reads the file learns who has which value.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use chorus_crypto::credential::SLOTS;
use chorus_protocol::limits;

use super::DeskError;
use crate::store::files;

const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Counts by slot and value.
#[derive(Debug)]
pub(super) struct Counts {
    path: PathBuf,
    counts: BTreeMap<u8, Vec<u32>>,
}

impl Counts {
    pub(super) fn open(path: &Path) -> Result<Self, DeskError> {
        let mut text = String::new();
        match fs::File::open(path) {
            Ok(file) => file.take(MAX_FILE_BYTES).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), counts: BTreeMap::new() });
            }
            Err(error) => return Err(error.into()),
        };
        let counts: BTreeMap<u8, Vec<u32>> =
            serde_json::from_str(&text).map_err(|_| DeskError::Damaged(path.to_owned()))?;
        Ok(Self { path: path.to_owned(), counts })
    }

    /// Counts a person. Values of no attribute are not counted.
    pub(super) fn add(&mut self, values: &[(u8, u64)]) -> Result<(), DeskError> {
        let mut after = self.counts.clone();
        for (slot, value) in values {
            let index = usize::try_from(*value).ok().and_then(|value| value.checked_sub(1));
            let index = index.filter(|index| *index < limits::MAX_ATTRIBUTE_VALUES && usize::from(*slot) < SLOTS);
            let Some(index) = index else { continue };
            let counts = after.entry(*slot).or_default();
            counts.resize(counts.len().max(index + 1), 0);
            if let Some(count) = counts.get_mut(index) {
                *count = count.saturating_add(1);
            }
        }
        if after != self.counts {
            let text = serde_json::to_vec(&after).expect("numbers are plain data");
            files::replace(&self.path, "counts", &text)?;
            self.counts = after;
        }
        Ok(())
    }

    pub(super) fn of(&self, slot: u8, values: usize) -> Vec<u32> {
        let mut counts = self.counts.get(&slot).cloned().unwrap_or_default();
        counts.resize(values, 0);
        counts
    }
}
