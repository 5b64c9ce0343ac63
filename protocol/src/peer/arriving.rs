//! Beginning at a checkpoint instead of the founding document.
//!
//! A newcomer is told of a batch, by an invitation. It asks for that batch, then for the state which the batch names, and
//! goes on from there as if it had followed the log:
//!
//! ```text
//! invitation ─ height, batch ─▶ batch + certificate ─ state's id ─▶ state ─ its operators ─▶ certificate holds
//! ```
//!
//! # Security
//!
//! Whoever goes on from a checkpoint trusts whoever named it, exactly as for the founding document: both are a digest
//! from the same invitation. What is fetched is checked against it, so that it does not matter who hands it over. Beyond
//! that, n − f of the operators *that the state itself names* must have certified the batch: an invitation alone makes no
//! state, unless its author also made the operators. What nobody can check from here is whether these operators follow
//! from the founding document, nor whether the results of rounds that were finished before follow from their sums: whoever
//! wants to know checks the log from its beginning, or a bundle of it.
//!
//! An operator's node never begins at a checkpoint: what it signs rests on what it has checked.

use std::sync::Arc;

use chorus_crypto::{codec::Decode as _, wire_struct};

use super::{
    ordering::{apply_certified, checkpoint_of},
    *,
};
use crate::{
    ledger::{CHECKPOINT_HEIGHTS, MAX_STATE_BYTES},
    log::{batch::Batch, entry::Checkpoint},
    message::{LogPart, Tip},
};

/// A batch that begins with a checkpoint, as somebody names it: the state before it is then known by content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Landmark {
    /// Its height.
    pub height: Height,
    /// The batch.
    pub batch: BatchId,
}
wire_struct!(Landmark { height, batch });

impl Landmark {
    /// Returns the landmark that a batch is, and the checkpoint with which it begins; `None` if it does not.
    pub fn of(batch: &Batch) -> Option<(Self, Checkpoint)> {
        let checkpoint = checkpoint_of(batch).filter(|checkpoint| checkpoint.height.next() == batch.height())?;
        Some((Self { height: batch.height(), batch: batch.id() }, checkpoint))
    }
}

/// What a node has to do with checkpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoints {
    /// How many heights lie between those that this operator proposes: a multiple of
    /// [`MIN_CHECKPOINT_HEIGHTS`](crate::ledger::MIN_CHECKPOINT_HEIGHTS), for there are none at other heights.
    pub every: u64,
    /// Where a follower without a log begins; none for the founding document.
    pub begin_at: Option<Landmark>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { every: CHECKPOINT_HEIGHTS, begin_at: None }
    }
}

/// Where a node's log begins, if it is not at the founding document: what is before, others have checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Start {
    /// The height of the last batch that the state contains.
    pub height: Height,
    /// That batch.
    pub batch: BatchId,
    /// The encoded [`Ledger`].
    pub ledger: Vec<u8>,
}
wire_struct!(Start { height, batch, ledger{MAX_STATE_BYTES} });

impl Start {
    /// Returns the state.
    pub(super) fn state(&self, community: CommunityId) -> Result<Ledger, StartError> {
        let state = Ledger::from_bytes(&self.ledger).map_err(|_| StartError::State(self.height))?;
        let fits = state.community() == community && state.height() == self.height;
        fits.then_some(state).ok_or(StartError::State(self.height))
    }
}

/// Why a log does not begin where it was to begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrivalError {
    /// Nobody has shown the batch, or the state. Those who are connected may not have it yet, or not any more: the node goes on
    /// asking.
    #[error("nobody who is connected has shown it so far")]
    Unanswered,
    /// The operators have certified another batch at that height.
    #[error("the operators have certified another batch at that height")]
    OtherBatch,
    /// The batch does not begin with a checkpoint.
    #[error("that batch does not begin with a checkpoint")]
    NoCheckpoint,
    /// What the batch names is no state of this community at that height.
    #[error("what it names is no state of this community at that height")]
    State,
    /// The operators that the state names have not certified the batch.
    #[error("the operators that its state names have not certified it")]
    Certificate,
}

impl ArrivalError {
    /// Returns whether nothing will change that.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Unanswered)
    }
}

/// A node on its way to a landmark.
#[derive(Debug)]
pub(super) struct Arriving {
    landmark: Landmark,
    /// The batch, once somebody has shown it, and what it says of the state before it.
    shown: Option<(Decision, Checkpoint)>,
    /// Questions so far.
    asked: usize,
}

/// After how many questions, some seconds apart, the people at a node are told that nobody answers.
const PATIENCE: usize = 20;

impl Arriving {
    /// Returns where a node is going; `None` if it has a log, or makes it.
    pub(super) fn new(config: &Config, saved: &Saved) -> Option<Self> {
        let is_new = config.operator.is_none() && saved.start.is_none() && saved.decisions.is_empty();
        let landmark = config.checkpoints.begin_at.filter(|_| is_new)?;
        Some(Self { landmark, shown: None, asked: 0 })
    }

    /// Returns where a node is going.
    pub(super) const fn landmark(&self) -> Landmark {
        self.landmark
    }

    /// Whether a body is the state that is waited for.
    pub(super) fn awaits(&self, id: &BlobId) -> bool {
        self.shown.as_ref().is_some_and(|(_, checkpoint)| checkpoint.state == *id)
    }
}

impl Peer {
    /// Asks the next node in turn for the batch; whoever is connected may have it, and operators may have changed since the
    /// founding.
    pub(super) fn ask_for_landmark(&mut self) {
        let Some(arriving) = &mut self.arriving else { return };
        arriving.asked += 1;
        let (landmark, asked) = (arriving.landmark, arriving.asked);
        if asked.is_multiple_of(PATIENCE) {
            self.effects.push_back(Effect::Notice(Notice::Arriving { landmark, why: ArrivalError::Unanswered }));
        }
        if arriving.shown.is_some() {
            return;
        }
        let nodes = self.nodes.len().max(1);
        if let Some(node) = self.nodes.keys().nth(asked % nodes).copied() {
            self.send(node, &Message::LogRequest(Tip { height: landmark.height }));
        }
    }

    /// Takes the batch that was asked for. Another one is no fault of who shows it: the invitation may be wrong.
    pub(super) fn on_landmark(&mut self, part: LogPart) -> Result<(), Fault> {
        let Some(arriving) = self.arriving.as_mut().filter(|arriving| arriving.shown.is_none()) else { return Ok(()) };
        let landmark = arriving.landmark;
        let at_height = |decision: &Decision| decision.batch.height() == landmark.height;
        let Some(decision) = part.decisions.into_iter().find(at_height) else { return Ok(()) };
        if decision.batch.id() != landmark.batch {
            // The founding operators prove it; others' certificates say nothing as long as the state is not known.
            let committee = self.ledger.charter().committee();
            if decision.certificate.verify(&committee, self.community, &decision.batch).is_ok() {
                self.give_up(ArrivalError::OtherBatch);
            }
            return Err(Fault::Unknown("the batch that an invitation names"));
        }
        let within = |(_, checkpoint): &(Landmark, Checkpoint)| checkpoint.bytes as usize <= MAX_STATE_BYTES;
        let Some((_, checkpoint)) = Landmark::of(&decision.batch).filter(within) else {
            self.give_up(ArrivalError::NoCheckpoint);
            return Ok(());
        };
        arriving.shown = Some((decision, checkpoint));
        self.want(checkpoint.state);
        Ok(())
    }

    /// Goes on from the state that the landmark names.
    pub(super) fn arrive(&mut self, bytes: &Arc<[u8]>) {
        let Some((decision, checkpoint)) = self.arriving.as_mut().and_then(|arriving| arriving.shown.take()) else {
            return;
        };
        let batch = &decision.batch;
        let start = Start { height: checkpoint.height, batch: batch.previous(), ledger: bytes.to_vec() };
        let Ok(state) = start.state(self.community) else { return self.give_up(ArrivalError::State) };
        let committee = state.charter().committee();
        if decision.certificate.verify(&committee, self.community, batch).is_err() {
            return self.give_up(ArrivalError::Certificate);
        }
        // The batch says which state it was made in; and only one that holds there can have been certified.
        if apply_certified(&mut state.clone(), batch).is_err() {
            return self.give_up(ArrivalError::State);
        }
        self.arriving = None;
        self.ordering.begin(&start, &state);
        self.ledger = state;
        self.effects.push_back(Effect::Begin(Box::new(start)));
        self.recognise_all();
        self.commit(decision);
    }

    fn give_up(&mut self, why: ArrivalError) {
        let Some(landmark) = self.arriving.as_ref().map(Arriving::landmark) else { return };
        self.ordering.stop();
        self.effects.push_back(Effect::Notice(Notice::Arriving { landmark, why }));
    }

    /// Tells whoever asked that this node lacks what it was asked for, by a part without decisions.
    pub(super) fn send_nothing(&mut self, to: NodeId) {
        self.send(to, &Message::Log(LogPart { decisions: Vec::new() }));
    }
}
