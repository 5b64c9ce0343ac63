//! Whether what a stopped node has on its disk is as it was written.

use std::{fs, io, path::Path};

use chorus_protocol::id::BlobId;

use super::{
    SledStore, Store as _, StoreError,
    blobs::{BlobError, BlobStore, Policy},
    journal::{Journal, JournalError},
};

/// A part of what a node keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What cannot be rebuilt.
    Journal,
    /// The log.
    Store,
    /// Public bodies.
    Blobs,
    /// Stores that were set aside.
    SetAside,
}

/// What was found of a part.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// It is as it was written.
    Sound,
    /// It is not there.
    Missing,
    /// A running node has it, and checked it when it was started.
    InUse,
    /// It is not as it was written.
    Damaged {
        /// What is wrong.
        what: String,
    },
}

/// One finding, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Finding {
    /// Of what.
    pub part: Part,
    /// How it is.
    #[serde(flatten)]
    pub state: State,
    /// What to do, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// By part.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(|finding| matches!(finding.state, State::Damaged { .. }))
    }
}

const JOURNAL: &str = "an operator must not sign without its journal: put a backup back into an empty directory with `chorus restore`, \
                       or follow with --role relay; a node without an operator's key may delete the journal";
const STORE: &str = "start the node: it sets the store aside, and fetches the log again";
const BLOBS: &str = "nothing: damaged bodies are fetched again when they are wanted";
const SET_ASIDE: &str = "`chorus prune` deletes stores that were set aside";

/// Checks the folder of a node, reading all of it.
///
/// # Errors
///
/// Returns an error only if the folder itself cannot be read; what is wrong inside is a finding.
pub fn check(folder: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    let mut found = |part, state: State, advice| {
        let advice = matches!(state, State::Damaged { .. }).then_some(advice);
        report.findings.push(Finding { part, state, advice });
    };
    found(Part::Journal, journal(&folder.join("journal")), JOURNAL);
    found(Part::Store, store(&folder.join("store")), STORE);
    found(Part::Blobs, blobs(&folder.join("blobs"))?, BLOBS);
    if !set_aside(folder)?.is_empty() {
        report.findings.push(Finding { part: Part::SetAside, state: State::Sound, advice: Some(SET_ASIDE) });
    }
    Ok(report)
}

fn damaged(error: &impl std::fmt::Display) -> State {
    State::Damaged { what: error.to_string() }
}

fn journal(path: &Path) -> State {
    match Journal::open(path) {
        Ok(_) => State::Sound,
        Err(JournalError::Missing(_)) => State::Missing,
        Err(JournalError::Locked) => State::InUse,
        Err(error) => damaged(&error),
    }
}

fn store(path: &Path) -> State {
    if !path.exists() {
        return State::Missing;
    }
    match SledStore::open(path).and_then(|store| store.integrity()) {
        Ok(integrity) if integrity.is_sound() => State::Sound,
        Ok(integrity) => State::Damaged { what: format!("tables with missing rows: {}", integrity.damaged.join(", ")) },
        Err(StoreError::Locked) => State::InUse,
        Err(error) => damaged(&error),
    }
}

fn blobs(path: &Path) -> io::Result<State> {
    if !path.exists() {
        return Ok(State::Missing);
    }
    let store = match BlobStore::open(path, Policy::keep_all(u64::MAX)) {
        Ok(store) => store,
        Err(BlobError::Locked) => return Ok(State::InUse),
        Err(error) => return Ok(damaged(&error)),
    };
    let listed = match store.list() {
        Ok(listed) => listed,
        Err(error) => return Ok(damaged(&error)),
    };
    let bad: Vec<BlobId> = listed.into_iter().map(|(id, _)| id).filter(|id| store.get(*id).is_err()).collect();
    Ok(match bad.first() {
        None => State::Sound,
        Some(first) => State::Damaged { what: format!("{} bodies, the first {first}", bad.len()) },
    })
}

/// Returns the stores in a node's folder that were set aside.
///
/// # Errors
///
/// Returns what the system says; a folder that is not there holds none.
pub fn set_aside(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(super::SET_ASIDE) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
