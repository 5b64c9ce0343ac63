//! `chorus.json`: where an adapter comes from, in a file of its own beside PEFT's.
//!
//! A field that PEFT does not know makes it warn, so provenance stands in no configuration. The file is a note for
//! people: what it says is not signed, and nothing reads it to decide.

use serde::{Deserialize, Serialize};

/// Where an adapter comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub made_by: String,
    /// What it did: `export`, `import`, `merge`, or `round` for a community's result.
    pub operation: String,
    /// What it was made from.
    pub sources: Vec<Source>,
    /// What was lost, as a relative error in the Frobenius norm, in decimal; absent if the result is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_error: Option<String>,
}

/// One thing that an adapter was made from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What it is called: a folder's name, without the way to it, or a round's id.
    pub name: String,
    /// The BLAKE3 hash of its `adapter_model.safetensors`, or of the round's result, in hexadecimal.
    pub blake3: String,
    /// Its share, in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
}

impl Provenance {
    /// Returns the note on an operation of this program.
    pub fn new(operation: &str, sources: Vec<Source>) -> Self {
        let made_by = concat!("chorus ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { made_by, operation: operation.to_owned(), sources, relative_error: None }
    }
}
