//! What a node's protocol was told, event by event, so that it can be told again: `run --events FILE`, `chorus replay FILE`.
//!
//! The protocol is a function of its state, the time, the event and the randomness handed in. A recording holds all four:
//! what was saved when the node started, the seed of a generator that nothing else draws from, and each event with its
//! time. Beside each event stands the digest of what the protocol wanted done then; whoever replays the file with another
//! build learns at which event the two part.
//!
//! ```text
//! "chorus-events-1\n"  frame…         frame = length (u32) ‖ part ‖ first 8 bytes of BLAKE3(part)
//! part = Begin · Landmark? · State? · Decision… · Record… · Submission… · Start · Event…
//! ```
//!
//! A recording without its beginning cannot be replayed. So it begins with the node, ends when its bound is reached, and the
//! next start sets it aside under another name; the last three are kept.
//!
//! # Security
//!
//! The file holds all that the node received and what its person sent: contributions as the operators get them, sealed, and
//! *when this person contributed*. It is for its owner alone, off unless asked for, and holds no key. **Operators are never
//! recorded**: from the seed of their randomness follow the keys of the rounds. Neither is a node whose journal holds such
//! keys.

mod frame;
mod replay;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use chorus_crypto::{codec::Encode as _, hash, wire_enum, wire_struct};
use chorus_protocol::{
    config::Genesis,
    contribution::Submission,
    id::{BlobId, NodeId, RoundId},
    journal::Record,
    limits,
    log::{
        consensus::{Decision, Timeouts},
        entry::{Entry, SignedEntry},
    },
    peer::{Command, Config, Effect, Event, KeptPrivate, Landmark, Saved, Start, StartError},
    time::Timestamp,
};

pub use self::replay::{Outcome, Recording, Step};
use crate::network::MAX_MESSAGE_BYTES;

/// How a recording begins.
const MAGIC: &[u8] = b"chorus-events-1\n";

/// Earlier recordings that are kept.
const KEPT: u32 = 2;

/// Bytes of a version's name.
const MAX_VERSION_BYTES: usize = 32;

/// Why there is no recording, or none that can be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// From an operator's randomness follow its secrets. Record a follower: `run --role participant` or `relay`.
    #[error("an operator is not recorded: from its randomness follow the keys of the rounds")]
    Operator,
    /// The journal holds keys of rounds.
    #[error("the journal of this node holds keys of rounds, from when it was an operator: it is not recorded")]
    Keys,
    /// The file cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is something else.
    #[error("this is no recording of this version")]
    NotOne,
    /// The file is damaged.
    #[error("the recording is damaged after {0} bytes")]
    Damaged(u64),
    /// What was saved does not start a node.
    #[error("what was saved when the recording began does not start a node: {0}")]
    Start(#[from] StartError),
}

/// Who was recorded, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Begin {
    /// The version of the software.
    pub version: String,
    /// The major version of the protocol.
    pub protocol: u8,
    /// The minor version that the node spoke.
    pub minor: u8,
    /// The community.
    pub genesis: Genesis,
    /// The node.
    pub node: NodeId,
    /// How long steps of the consensus may take: propose, prevote, precommit, per round, rebroadcast, longest.
    timeouts: [u8; 48],
    /// How long other operators' shares are waited for.
    pass_millis: u64,
    /// Where the protocol's randomness comes from.
    seed: [u8; 32],
}
wire_struct!(Begin { version(MAX_VERSION_BYTES), protocol, minor, genesis, node, timeouts, pass_millis, seed });

/// Bytes from a node.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Received {
    from: NodeId,
    bytes: Vec<u8>,
}
wire_struct!(Received { from, bytes{MAX_MESSAGE_BYTES} });

/// What a node speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Speaks {
    node: NodeId,
    minor: u8,
}
wire_struct!(Speaks { node, minor });

/// A body.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Body {
    bytes: Vec<u8>,
}
wire_struct!(Body { bytes{limits::MAX_BLOB_BYTES} });

/// An event as it is written.
#[derive(Clone, Debug)]
enum What {
    Connected(NodeId),
    Disconnected(NodeId),
    Message(Received),
    Blob(Body),
    Post(Entry),
    Relay(SignedEntry),
    Contribute(Submission),
    Keep(Body),
    Tick,
    Speaks(Speaks),
    Private(Private),
}
wire_enum!(What {
    1 => Connected(node),
    2 => Disconnected(node),
    3 => Message(received),
    4 => Blob(body),
    5 => Post(entry),
    6 => Relay(entry),
    7 => Contribute(submission),
    8 => Keep(body),
    9 => Tick,
    10 => Speaks(speaks),
    11 => Private(private),
});

/// A private part that was read.
#[derive(Clone, Debug)]
struct Private {
    round: RoundId,
    body: BlobId,
    submission: Option<Submission>,
}
wire_struct!(Private { round, body, submission });

/// A private part that was on the disk when the recording began.
#[derive(Clone, Debug)]
struct Kept {
    round: RoundId,
    body: BlobId,
    bytes: u64,
}
wire_struct!(Kept { round, body, bytes });

/// An event, when it happened, and what came of it.
#[derive(Clone, Debug)]
struct Happened {
    at: Timestamp,
    what: What,
    effects: u32,
    digest: [u8; 16],
}
wire_struct!(Happened { at, what, effects, digest });

/// A part of a recording.
#[derive(Clone, Debug)]
enum Part {
    Begin(Begin),
    Decision(Decision),
    Record(Record),
    Kept(Kept),
    Start(Timestamp),
    Event(Happened),
    Relayed(SignedEntry),
    State(Start),
    Landmark(Landmark),
}
wire_enum!(Part {
    1 => Begin(begin),
    2 => Decision(decision),
    3 => Record(record),
    4 => Kept(kept),
    5 => Start(at),
    6 => Event(happened),
    7 => Relayed(entry),
    8 => State(start),
    9 => Landmark(landmark),
});

impl From<&Event> for What {
    fn from(event: &Event) -> Self {
        match event {
            Event::Connected(node) => Self::Connected(*node),
            Event::Disconnected(node) => Self::Disconnected(*node),
            Event::Message { from, bytes } => Self::Message(Received { from: *from, bytes: bytes.clone() }),
            Event::Blob { bytes, .. } => Self::Blob(Body { bytes: bytes.to_vec() }),
            Event::Command(Command::Post(entry)) => Self::Post(entry.clone()),
            Event::Command(Command::Relay(entry)) => Self::Relay(entry.clone()),
            Event::Command(Command::Contribute(submission)) => Self::Contribute(submission.clone()),
            Event::Command(Command::Keep(bytes)) => Self::Keep(Body { bytes: bytes.to_vec() }),
            Event::Speaks { node, minor } => Self::Speaks(Speaks { node: *node, minor: *minor }),
            Event::Private { round, body, submission } => {
                let submission = submission.as_deref().cloned();
                Self::Private(Private { round: *round, body: *body, submission })
            }
            // Operators verify, and are not recorded: to any other node it is no more than a tick.
            Event::Verified(_) | Event::Tick => Self::Tick,
        }
    }
}

impl From<What> for Event {
    fn from(what: What) -> Self {
        match what {
            What::Connected(node) => Self::Connected(node),
            What::Disconnected(node) => Self::Disconnected(node),
            What::Message(Received { from, bytes }) => Self::Message { from, bytes },
            // Bodies are named by their hash, which the network has checked.
            What::Blob(Body { bytes }) => Self::Blob { id: BlobId::of(&bytes), bytes: bytes.into() },
            What::Post(entry) => Self::Command(Command::Post(entry)),
            What::Relay(entry) => Self::Command(Command::Relay(entry)),
            What::Contribute(submission) => Self::Command(Command::Contribute(submission)),
            What::Keep(Body { bytes }) => Self::Command(Command::Keep(bytes.into())),
            What::Speaks(Speaks { node, minor }) => Self::Speaks { node, minor },
            What::Private(Private { round, body, submission }) => {
                Self::Private { round, body, submission: submission.map(Arc::new) }
            }
            What::Tick => Self::Tick,
        }
    }
}

/// What is recorded, where, and how much of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The file.
    pub path: PathBuf,
    /// The bytes after which the recording ends.
    pub bound: u64,
}

/// An event that is about to be handled.
#[derive(Debug)]
pub struct Pending {
    at: Timestamp,
    what: What,
}

/// Writes a recording. Ends by itself when its bound is reached or the disk fails; the node goes on.
#[derive(Debug)]
pub struct Recorder {
    file: Option<BufWriter<File>>,
    path: PathBuf,
    written: u64,
    bound: u64,
    seed: [u8; 32],
}

impl Recorder {
    /// Begins a recording of the node that `config` and `saved` describe, which starts at `now`. The `seed` must be drawn
    /// for it, and the protocol must have its randomness from there.
    ///
    /// # Errors
    ///
    /// Returns a [`RecordingError`]; nothing is written of an operator.
    pub fn begin(
        plan: &Plan,
        config: &Config,
        saved: &Saved,
        now: Timestamp,
        seed: [u8; 32],
    ) -> Result<Self, RecordingError> {
        if config.operator.is_some() {
            return Err(RecordingError::Operator);
        }
        if saved.records.iter().any(|record| matches!(record, Record::RoundKey(_))) {
            return Err(RecordingError::Keys);
        }
        let refused = |source| RecordingError::Io { path: plan.path.clone(), source };
        set_aside(&plan.path).map_err(refused)?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::new(options.open(&plan.path).map_err(refused)?);
        let (path, bound) = (plan.path.clone(), plan.bound);
        let mut recorder = Self { file: Some(file), path, written: 0, bound, seed };
        recorder.write_start(config, saved, now).map_err(refused)?;
        Ok(recorder)
    }

    fn write_start(&mut self, config: &Config, saved: &Saved, now: Timestamp) -> io::Result<()> {
        let begin = Begin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: chorus_protocol::message::VERSION,
            minor: config.minor,
            genesis: config.genesis.clone(),
            node: config.node,
            timeouts: timeouts_to_bytes(&config.timeouts),
            pass_millis: config.pass_millis,
            seed: self.seed,
        };
        self.put(MAGIC)?;
        self.put(&frame::of(&Part::Begin(begin).to_bytes()))?;
        if let Some(landmark) = config.checkpoints.begin_at {
            self.put(&frame::of(&Part::Landmark(landmark).to_bytes()))?;
        }
        if let Some(start) = &saved.start {
            self.put(&frame::of(&Part::State(start.clone()).to_bytes()))?;
        }
        for decision in &saved.decisions {
            self.put(&frame::of(&Part::Decision(decision.clone()).to_bytes()))?;
        }
        for record in &saved.records {
            self.put(&frame::of(&Part::Record(record.clone()).to_bytes()))?;
        }
        for KeptPrivate { round, body, bytes } in saved.private.iter().copied() {
            self.put(&frame::of(&Part::Kept(Kept { round, body, bytes }).to_bytes()))?;
        }
        for entry in &saved.relayed {
            self.put(&frame::of(&Part::Relayed(entry.clone()).to_bytes()))?;
        }
        self.put(&frame::of(&Part::Start(now).to_bytes()))?;
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// Returns where the protocol's randomness must come from.
    pub const fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Takes note of an event that is about to be handled; nothing once the recording has ended.
    pub fn note(&self, at: Timestamp, event: &Event) -> Option<Pending> {
        self.file.is_some().then(|| Pending { at, what: event.into() })
    }

    /// Writes the event down, with what came of it.
    pub fn write(&mut self, pending: Pending, effects: &[Effect]) {
        let Pending { at, what } = pending;
        let happened = Happened { at, what, effects: count(effects), digest: digest(effects) };
        let bytes = frame::of(&Part::Event(happened).to_bytes());
        if self.written + bytes.len() as u64 > self.bound {
            tracing::warn!(path = %self.path.display(), bound = self.bound, "the recording has reached its bound and ends");
            self.end();
            return;
        }
        if let Err(error) = self.put(&bytes) {
            tracing::warn!(path = %self.path.display(), %error, "the recording cannot be written and ends");
            self.file = None;
        }
    }

    /// Hands what was written to the system.
    pub fn flush(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(BufWriter::flush) {
            tracing::warn!(path = %self.path.display(), %error, "the recording cannot be written and ends");
            self.file = None;
        }
    }

    fn end(&mut self) {
        self.flush();
        self.file = None;
    }
}

fn count(effects: &[Effect]) -> u32 {
    u32::try_from(effects.len()).unwrap_or(u32::MAX)
}

/// Makes room for a new recording: `FILE` becomes `FILE.1`, that one `FILE.2`, and the oldest goes.
fn set_aside(path: &Path) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    for number in (0..KEPT).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Names what the protocol wanted done.
fn digest(effects: &[Effect]) -> [u8; 16] {
    let mut bytes = Vec::new();
    for effect in effects {
        let (tag, payload) = encoded(effect);
        bytes.push(tag);
        bytes.extend(hash::content(&payload));
    }
    *hash::content(&bytes).first_chunk().expect("a hash has 32 bytes")
}

fn encoded(effect: &Effect) -> (u8, Vec<u8>) {
    match effect {
        Effect::Persist(record) => (1, record.to_bytes()),
        Effect::Sync => (2, Vec::new()),
        Effect::Begin(start) => (18, start.to_bytes()),
        Effect::Commit(decision) => (3, decision.to_bytes()),
        Effect::StoreBlob { bytes, .. } => (4, bytes.to_vec()),
        Effect::Archive { ordinal, bodies } => {
            let bodies = bodies.iter().flat_map(|body| body.to_bytes());
            (15, ordinal.to_bytes().into_iter().chain(bodies).collect())
        }
        Effect::StorePrivate { round, body, submission } => {
            (5, [round.to_bytes(), body.to_bytes(), submission.to_bytes()].concat())
        }
        Effect::ErasePrivate { round, body } => (6, [round.to_bytes(), body.to_bytes()].concat()),
        Effect::EraseRound(round) => (7, round.to_bytes()),
        Effect::Send { to, bytes } => (8, [to.to_bytes(), bytes.clone()].concat()),
        Effect::Publish(bytes) => (9, bytes.clone()),
        Effect::Want(id) => (10, id.to_bytes()),
        Effect::ReadPrivate { round, body } => (16, [round.to_bytes(), body.to_bytes()].concat()),
        Effect::Verify(verification) => (19, verification.bodies().flat_map(|body| body.to_bytes()).collect()),
        Effect::SendPrivate { to, round, body, .. } => {
            (17, [to.to_bytes(), round.to_bytes(), body.to_bytes()].concat())
        }
        Effect::SendLog { to, from } => (12, [to.to_bytes(), from.to_bytes()].concat()),
        Effect::StoreEntry(entry) => (13, entry.to_bytes()),
        Effect::DropEntry(id) => (14, id.to_bytes()),
        Effect::Notice(notice) => (11, format!("{notice:?}").into_bytes()),
    }
}

/// Returns the name of an effect, for people.
const fn effect_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Persist(_) => "persist",
        Effect::Sync => "sync",
        Effect::Begin(_) => "begin",
        Effect::Commit(_) => "commit",
        Effect::StoreBlob { .. } => "store",
        Effect::Archive { .. } => "archive",
        Effect::StorePrivate { .. } => "store private",
        Effect::ErasePrivate { .. } => "erase private",
        Effect::ReadPrivate { .. } => "read private",
        Effect::SendPrivate { .. } => "send private",
        Effect::Verify(_) => "verify",
        Effect::EraseRound(_) => "erase round",
        Effect::StoreEntry(_) => "store entry",
        Effect::DropEntry(_) => "drop entry",
        Effect::Send { .. } => "send",
        Effect::SendLog { .. } => "send log",
        Effect::Publish(_) => "publish",
        Effect::Want(_) => "want",
        Effect::Notice(_) => "notice",
    }
}

fn timeouts_to_bytes(timeouts: &Timeouts) -> [u8; 48] {
    let Timeouts { propose, prevote, precommit, per_round, rebroadcast, longest } = *timeouts;
    let mut bytes = [0; 48];
    for (chunk, value) in bytes.chunks_exact_mut(8).zip([propose, prevote, precommit, per_round, rebroadcast, longest])
    {
        chunk.copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

fn timeouts_from_bytes(bytes: &[u8; 48]) -> Timeouts {
    let mut values = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_be_bytes(*chunk));
    let mut next = || values.next().unwrap_or_default();
    Timeouts {
        propose: next(),
        prevote: next(),
        precommit: next(),
        per_round: next(),
        rebroadcast: next(),
        longest: next(),
    }
}
