//! Public data sets that tests read. None is part of the repository.

use std::path::{Path, PathBuf};

/// Returns the folder of a data set, or prints that it is not there.
pub fn dataset(name: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !dir.join("reference.json").is_file() {
        println!("SKIPPED: {name} is not at {}", dir.display());
        return None;
    }
    Some(dir)
}
