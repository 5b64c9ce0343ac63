//! From an error to an exit code and a message that says what to do.

use std::{fmt::Write as _, io, process::ExitCode};

use chorus_protocol::audit::{VerifyError, WriteError};
use serde_json::json;

use super::output::Format;
use crate::{
    api::{ApiError, Kind, ServerError},
    backup::BackupError,
    config::{ConfigError, token::TokenError},
    driver::{NodeError, import::ImportError, remote::RemoteError},
    keystore::KeystoreError,
    model::{
        base::BaseError, generate::GenerateError, lesson::LessonError, llama::TextError, merge::MergeError,
        peft::PeftError, project::ProjectError, series::SeriesError, train::TrainError,
    },
    network::NetworkError,
    polis::PolisError,
    recording::RecordingError,
    store::{StoreError, blobs::BlobError, journal::JournalError},
    vault::VaultError,
};

/// The exit code for a bundle with something in it that does not belong there.
const ENCODING: u8 = 20;

/// The exit code for a log to which a body is missing.
const INCOMPLETE: u8 = 26;

/// What kind of error it is: the exit codes that are documented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A bug of Chorus.
    Bug,
    /// An argument is wrong.
    Usage,
    /// Configuration or key.
    Configuration,
    /// The disk.
    Store,
    /// The network.
    Network,
    /// The community's rules.
    Refused,
    /// Not yet.
    TimedOut,
    /// What was sealed does not have the person's contribution.
    Uncounted,
    /// A bundle does not verify.
    Verification(u8),
}

impl Class {
    /// Returns the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Store => 4,
            Self::Network => 5,
            Self::Refused => 6,
            Self::TimedOut => 7,
            Self::Uncounted => 8,
            Self::Verification(code) => code,
        }
    }

    /// Returns the name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Store => "store",
            Self::Network => "network",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Uncounted => "uncounted",
            Self::Verification(_) => "verification",
        }
    }
}

/// Why a command was not carried out, found by the command line itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// An argument is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file that the user named cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The passphrase is needed and nobody is there to ask.
    #[error("the keystore needs its passphrase: give --passphrase-file, or set CHORUS_PASSPHRASE")]
    NoPassphrase,
    /// The two passphrases typed differ.
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    /// No round takes what was to be sent.
    #[error("{0}")]
    Closed(&'static str),
    /// A training was interrupted; what it has learnt is kept.
    #[error("paused {0}: the same command goes on from there")]
    Paused(String),
    /// No node runs with this data directory.
    #[error("no node runs here: start one with `chorus run`, or name its data directory with --data-dir")]
    NotRunning,
    /// The node does not answer.
    #[error("the node at {address} does not answer; is it still running?")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// Something is wrong with the node.
    #[error("{what} amiss: see above for what to do")]
    Unwell {
        /// How many things.
        what: String,
        /// What kind of thing.
        class: Class,
    },
    /// A replay wanted something else done than the recorded node did: another version, or a bug.
    #[error("event {event}: this build wants something else done than the recorded one, of version {version}")]
    Diverged {
        /// The event.
        event: u64,
        /// The version recorded.
        version: String,
    },
    /// The node did not close in time. What it has said is durable; only what it was doing is not done.
    #[error("the node was still busy when its time to close was over: it is ended; nothing that it has said is lost")]
    StillClosing,
    /// Rounds of a simulation came to no result in the time that it gives them.
    #[error("{0} of the simulation came to no result: the report tells")]
    Simulated(String),
    /// No set is sealed yet: nobody can say whether a contribution counts.
    #[error("nothing is sealed yet: ask again when the round is over")]
    Unsealed,
    /// A set was sealed without the person's contribution.
    #[error("the sealed set does not have a contribution of yours")]
    Uncounted,
    /// Bundles of cohorts were asked for, and are not in the folder.
    #[error("{0} of divided rounds not checked: the folder does not have their bundles")]
    Unchecked(String),
    /// The answer is not what a node of this version says.
    #[error("the node's answer is not understood: does another version run?")]
    Answer(#[source] io::Error),
}

impl Failure {
    const fn class(&self) -> Class {
        match self {
            Self::Usage(_) | Self::File { .. } => Class::Usage,
            Self::Closed(_) => Class::Refused,
            Self::Paused(_) | Self::StillClosing | Self::Unsealed | Self::Simulated(_) => Class::TimedOut,
            Self::Uncounted => Class::Uncounted,
            Self::Unchecked(_) => Class::Verification(INCOMPLETE),
            Self::Unwell { class, .. } => *class,
            Self::Diverged { .. } => Class::Bug,
            Self::NoPassphrase | Self::PassphrasesDiffer => Class::Configuration,
            Self::NotRunning | Self::Unreachable { .. } | Self::Answer(_) => Class::Network,
        }
    }
}

/// Returns the class of an error: that of the first cause, from the outside in, whose type tells.
pub fn class(error: &anyhow::Error) -> Class {
    error.chain().find_map(class_of).unwrap_or(Class::Bug)
}

fn class_of(cause: &(dyn std::error::Error + 'static)) -> Option<Class> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.class());
    }
    if let Some(error) = cause.downcast_ref::<ApiError>() {
        return Some(match error.kind {
            Kind::Invalid => Class::Usage,
            Kind::Unauthorized | Kind::Host | Kind::Configuration => Class::Configuration,
            Kind::Refused => Class::Refused,
            Kind::TimedOut | Kind::Busy => Class::TimedOut,
            Kind::Unavailable => Class::Network,
            Kind::Store => Class::Store,
            Kind::Internal => Class::Bug,
        });
    }
    if let Some(error) = cause.downcast_ref::<VerifyError>() {
        return Some(Class::Verification(error.exit_code()));
    }
    if let Some(error) = cause.downcast_ref::<ServerError>() {
        return Some(match error {
            ServerError::NotLoopback(_) => Class::Usage,
            ServerError::Listen { .. } | ServerError::Serve(_) => Class::Network,
            ServerError::Write { .. } => Class::Store,
        });
    }
    if let Some(error) = cause.downcast_ref::<NodeError>() {
        return Some(match error {
            NodeError::Start(_) => Class::Configuration,
            NodeError::Recording(error) => of_recording(error),
            NodeError::Network(NetworkError::Address(_) | NetworkError::NoWay(_)) => Class::Usage,
            NodeError::Network(_) | NodeError::NotFound(_) | NodeError::Unfounded | NodeError::Stopped => {
                Class::Network
            }
            NodeError::Randomness(_) => Class::Bug,
            NodeError::Journal(_)
            | NodeError::JournalLost
            | NodeError::JournalOld
            | NodeError::JournalForeign
            | NodeError::Store(_)
            | NodeError::StoreDamaged
            | NodeError::LogLost { .. }
            | NodeError::ContributionLost(_)
            | NodeError::Blobs(_)
            | NodeError::Io(_) => Class::Store,
            NodeError::NotWhole(_) => Class::Refused,
        });
    }
    if let Some(error) = cause.downcast_ref::<ImportError>() {
        return match error {
            ImportError::OtherCommunity { .. } | ImportError::Read { .. } => Some(Class::Usage),
            ImportError::Forked(_) => Some(Class::Refused),
            ImportError::Unnamed(_) => Some(Class::Verification(ENCODING)),
            // What is inside tells.
            ImportError::Verify(error) => Some(Class::Verification(error.exit_code())),
            ImportError::Node(error) => class_of(error),
        };
    }
    if let Some(error) = cause.downcast_ref::<RemoteError>() {
        return match error {
            RemoteError::Network(NetworkError::Address(_) | NetworkError::NoWay(_)) => Some(Class::Usage),
            RemoteError::Network(_)
            | RemoteError::Silent
            | RemoteError::Short { .. }
            | RemoteError::Uncertified { .. } => Some(Class::Network),
            RemoteError::Bundle(WriteError::Log(error)) => Some(Class::Verification(error.exit_code())),
            RemoteError::Bundle(WriteError::MissingBlob(_)) => Some(Class::Verification(INCOMPLETE)),
            RemoteError::Bundle(_) | RemoteError::Blobs(_) | RemoteError::Io(_) => Some(Class::Store),
        };
    }
    if let Some(error) = cause.downcast_ref::<BackupError>() {
        return match error {
            BackupError::Damaged(_) | BackupError::OtherKeys => Some(Class::Configuration),
            BackupError::NotEmpty(_) | BackupError::NotCurrent | BackupError::Interrupted(_) => Some(Class::Usage),
            BackupError::Io(_) => Some(Class::Store),
            // What it is made of tells.
            BackupError::Node(_) => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<RecordingError>() {
        return Some(of_recording(error));
    }
    if let Some(error) = cause.downcast_ref::<VaultError>() {
        return Some(match error {
            VaultError::Damaged(_) | VaultError::NoLeaf => Class::Configuration,
            VaultError::Registered | VaultError::TooMany => Class::Refused,
            VaultError::Io(_) => Class::Store,
        });
    }
    let is_of_adapters = cause.is::<PeftError>() || cause.is::<MergeError>() || cause.is::<ProjectError>();
    let is_of_models = cause.is::<BaseError>()
        || cause.is::<SeriesError>()
        || cause.is::<LessonError>()
        || cause.is::<TrainError>()
        || cause.is::<TextError>()
        || cause.is::<GenerateError>();
    if is_of_models {
        return Some(Class::Usage);
    }
    if cause.is::<TokenError>() || cause.is::<PolisError>() || is_of_adapters {
        return Some(Class::Usage);
    }
    if cause.is::<ConfigError>() || cause.is::<KeystoreError>() {
        return Some(Class::Configuration);
    }
    if cause.is::<NetworkError>() {
        return Some(Class::Network);
    }
    let disk =
        cause.is::<StoreError>() || cause.is::<JournalError>() || cause.is::<BlobError>() || cause.is::<io::Error>();
    disk.then_some(Class::Store)
}

const fn of_recording(error: &RecordingError) -> Class {
    match error {
        RecordingError::Operator | RecordingError::Keys => Class::Refused,
        RecordingError::NotOne => Class::Usage,
        RecordingError::Io { .. } | RecordingError::Damaged(_) | RecordingError::Start(_) => Class::Store,
    }
}

/// Writes an error to standard error, and returns its exit code.
pub(super) fn report(error: &anyhow::Error, format: Format) -> ExitCode {
    let class = class(error);
    write(class, &message(error), format == Format::Json);
    ExitCode::from(class.code())
}

/// Writes what is wrong with the command line.
pub(super) fn report_usage(error: &clap::Error, json: bool) -> ExitCode {
    if json {
        let text = error.render().to_string();
        write(Class::Usage, text.trim().trim_start_matches("error: "), true);
    } else {
        let _ = error.print();
    }
    ExitCode::from(Class::Usage.code())
}

fn write(class: Class, message: &str, json: bool) {
    if json {
        let error = json!({ "code": class.code(), "kind": class.name(), "message": message });
        eprintln!("{}", json!({ "error": error }));
    } else {
        eprintln!("error: {message}");
    }
}

/// The error and its causes in one line, without repeating what a cause has said already.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if message.contains(&text) {
            continue;
        }
        let separator = if message.is_empty() { "" } else { ": " };
        let _ = write!(message, "{separator}{text}");
    }
    message
}
