//! Telling a fresh protocol what another one was told.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
};

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    limits::MAX_HELD_BYTES,
    message::Message,
    peer::{Checkpoints, Config, Effect, Event, KeptPrivate, Peer, Saved},
    time::Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::Serialize;

use super::{
    Begin, Happened, Kept, MAGIC, Part, Private, RecordingError, What, count, digest, effect_name,
    frame::{self, Next},
    timeouts_from_bytes,
};

/// An event that was told again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// Which event, from 1.
    pub number: u64,
    /// When it happened, in milliseconds since 1970.
    pub at_millis: u64,
    /// What happened.
    pub event: String,
    /// Who sent it, connected or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes: usize,
    /// What the protocol wanted done, and how often.
    pub effects: BTreeMap<&'static str, usize>,
    /// The height of the log after it.
    pub height: u64,
    /// Whether the recorded node wanted the same done.
    pub same: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

/// What a replay came to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// The version that was recorded.
    pub version: String,
    /// The community.
    pub community: String,
    /// The node.
    pub node: String,
    /// The height at which the recording began.
    pub began_at_height: u64,
    /// The height in the end.
    pub height: u64,
    /// Events.
    pub events: u64,
    /// Things that the protocol wanted done.
    pub effects: u64,
    /// The event at which this build wanted something else done; none if it never did.
    pub diverged: Option<u64>,
    /// Whether the last frame is incomplete: the node was interrupted.
    pub torn: bool,
}

/// An open recording.
#[derive(Debug)]
pub struct Recording {
    file: BufReader<File>,
    path: PathBuf,
    position: u64,
    begin: Begin,
}

impl Recording {
    /// Opens a recording.
    ///
    /// # Errors
    ///
    /// Returns a [`RecordingError`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let refused = |source| RecordingError::Io { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(refused)?);
        let mut magic = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(refused)?;
        if magic != MAGIC {
            return Err(RecordingError::NotOne);
        }
        match frame::read(&mut file).map_err(refused)? {
            Next::Part(part, length) => match Part::from_bytes(&part) {
                Ok(Part::Begin(begin)) => {
                    Ok(Self { file, path: path.to_owned(), position: MAGIC.len() as u64 + length, begin })
                }
                Ok(_) | Err(_) => Err(RecordingError::NotOne),
            },
            Next::End | Next::Torn | Next::Damaged => Err(RecordingError::NotOne),
        }
    }

    /// Returns who was recorded.
    pub const fn begin(&self) -> &Begin {
        &self.begin
    }

    /// Returns the next part; nothing at the end, and whether that is within a frame.
    fn next(&mut self) -> Result<Result<Part, bool>, RecordingError> {
        let refused = |source| RecordingError::Io { path: self.path.clone(), source };
        match frame::read(&mut self.file).map_err(refused)? {
            Next::Part(part, length) => {
                let part = Part::from_bytes(&part).map_err(|_| RecordingError::Damaged(self.position))?;
                self.position += length;
                Ok(Ok(part))
            }
            Next::End => Ok(Err(false)),
            Next::Torn => Ok(Err(true)),
            Next::Damaged => Err(RecordingError::Damaged(self.position)),
        }
    }

    /// Reads what was saved when the recording began, and when that was.
    fn saved(&mut self) -> Result<(Saved, Checkpoints, Timestamp), RecordingError> {
        let (mut saved, mut checkpoints) = (Saved::default(), Checkpoints::default());
        loop {
            match self.next()? {
                Ok(Part::Landmark(landmark)) => checkpoints.begin_at = Some(landmark),
                Ok(Part::State(start)) => saved.start = Some(start),
                Ok(Part::Decision(decision)) => saved.decisions.push(decision),
                Ok(Part::Record(record)) => saved.records.push(record),
                Ok(Part::Kept(Kept { round, body, bytes })) => saved.private.push(KeptPrivate { round, body, bytes }),
                Ok(Part::Relayed(entry)) => saved.relayed.push(entry),
                Ok(Part::Start(at)) => return Ok((saved, checkpoints, at)),
                Ok(Part::Begin(_) | Part::Event(_)) | Err(_) => return Err(RecordingError::Damaged(self.position)),
            }
        }
    }

    /// Tells a fresh protocol all events, and shows each to `see`. Ends at the first at which it wants something else done
    /// than the recorded node did.
    ///
    /// # Errors
    ///
    /// Returns a [`RecordingError`] if the file is damaged or does not start a node.
    pub fn replay(mut self, mut see: impl FnMut(&Step)) -> Result<Outcome, RecordingError> {
        let (saved, checkpoints, start) = self.saved()?;
        let begin = self.begin.clone();
        let config = Config {
            genesis: begin.genesis.clone(),
            node: begin.node,
            operator: None,
            timeouts: timeouts_from_bytes(&begin.timeouts),
            pass_millis: begin.pass_millis,
            held_bytes: MAX_HELD_BYTES,
            minor: begin.minor,
            checkpoints,
            cohort: None,
        };
        let mut peer = Peer::new(config, start, saved)?;
        let mut rng = ChaCha20Rng::from_seed(begin.seed);
        let mut outcome = Outcome {
            version: begin.version,
            community: begin.genesis.id().to_string(),
            node: begin.node.to_string(),
            began_at_height: peer.height().0,
            height: peer.height().0,
            events: 0,
            effects: 0,
            diverged: None,
            torn: false,
        };
        loop {
            let happened = match self.next()? {
                Ok(Part::Event(happened)) => happened,
                Ok(_) => return Err(RecordingError::Damaged(self.position)),
                Err(torn) => {
                    outcome.torn = torn;
                    return Ok(outcome);
                }
            };
            outcome.events += 1;
            let step = tell(&mut peer, &mut rng, outcome.events, happened);
            outcome.effects += step.effects.values().sum::<usize>() as u64;
            outcome.height = step.height;
            see(&step);
            if !step.same {
                outcome.diverged = Some(step.number);
                return Ok(outcome);
            }
        }
    }
}

fn tell(peer: &mut Peer, rng: &mut ChaCha20Rng, number: u64, happened: Happened) -> Step {
    let Happened { at, what, effects: recorded, digest: expected } = happened;
    let (event, from, bytes) = described(peer, &what);
    peer.handle(at, Event::from(what), rng);
    let wanted: Vec<Effect> = std::iter::from_fn(|| peer.poll_effect()).collect();
    let mut effects = BTreeMap::new();
    for effect in &wanted {
        *effects.entry(effect_name(effect)).or_default() += 1;
    }
    let same = count(&wanted) == recorded && digest(&wanted) == expected;
    Step { number, at_millis: at.as_millis(), event, from, bytes, effects, height: peer.height().0, same }
}

/// What happened, who did it, and how many bytes it has.
fn described(peer: &Peer, what: &What) -> (String, Option<String>, usize) {
    let plain = |event: &str, bytes: usize| (event.to_owned(), None, bytes);
    match what {
        What::Connected(node) => ("connected".into(), Some(node.to_string()), 0),
        What::Disconnected(node) => ("disconnected".into(), Some(node.to_string()), 0),
        What::Message(received) => {
            let name = match Message::open(peer.ledger().community(), &received.bytes) {
                Ok(message) => message_name(&message),
                Err(_) => "what is no message",
            };
            (format!("message: {name}"), Some(received.from.to_string()), received.bytes.len())
        }
        What::Blob(body) => plain("a body that was wanted", body.bytes.len()),
        What::Post(_) => plain("command: post", 0),
        What::Relay(_) => plain("command: relay", 0),
        What::Contribute(submission) => plain("command: contribute", submission.body.len()),
        What::Keep(body) => plain("command: keep", body.bytes.len()),
        What::Speaks(speaks) => (format!("speaks minor version {}", speaks.minor), Some(speaks.node.to_string()), 0),
        What::Private(Private { submission, .. }) => {
            plain("private part", submission.as_ref().map_or(0, chorus_protocol::contribution::Submission::size))
        }
        What::Tick => plain("tick", 0),
    }
}

const fn message_name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "hello",
        Message::Consensus(_) => "consensus",
        Message::Entry(_) => "entry",
        Message::Submission(_) => "submission",
        Message::Acknowledgement(_) => "acknowledgement",
        Message::Tip(_) => "tip",
        Message::LogRequest(_) => "log request",
        Message::Log(_) => "log",
        Message::SubmissionRequest(_) => "submission request",
        Message::Handover(_) => "handover",
        Message::Stem(_) => "stem",
        Message::HeightRequest(_) => "height request",
        Message::HeightAnswer(_) => "height answer",
        Message::Sighting(_) => "sighting",
        Message::Holdings(_) => "holdings",
        Message::Bodies(_) => "bodies",
    }
}
