//! Open rounds, reconciled: operators compare what they hold, and each asks for what it lacks.
//!
//! Submissions and acknowledgements get lost, and an operator that was away hears of neither again: what is on the log
//! is sent by nobody. Without this it would hold nothing of a round until its seal, and then ask for everything at once.

use super::*;
use crate::{
    ledger::RoundState,
    limits,
    message::{Bodies, Holdings},
    reconcile,
};

/// How often an operator compares what it holds with one other, in milliseconds.
const COMPARE_MILLIS: u64 = 15_000;

/// How soon it does so again with the same one while it lacks something.
const AGAIN_MILLIS: u64 = 1_000;

#[derive(Default)]
pub(super) struct Reconciling {
    compare_at: Option<Timestamp>,
    turn: usize,
}

impl Reconciling {
    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.compare_at
    }
}

impl Peer {
    fn open_rounds(&self) -> Vec<RoundId> {
        let is_due = |round: &RoundRecord| round.state() == RoundState::Open && self.operator_in(round).is_some();
        let open = self.ledger.rounds().iter().filter(|(_, round)| is_due(round));
        open.map(|(id, _)| *id).collect()
    }

    /// Compares, in turn with each other operator, while a round is open.
    pub(super) fn reconcile(&mut self) {
        if self.config.operator.is_none() || self.reconciling.compare_at.is_some_and(|at| at > self.now) {
            return;
        }
        let open = self.open_rounds();
        if open.is_empty() {
            self.reconciling.compare_at = None;
            return;
        }
        let first = self.reconciling.compare_at.replace(self.now.plus_millis(COMPARE_MILLIS)).is_none();
        let operators: Vec<NodeId> =
            self.nodes.iter().filter(|(_, operator)| operator.is_some()).map(|(node, _)| *node).collect();
        let turn = self.reconciling.turn.checked_rem(operators.len()).unwrap_or(0);
        self.reconciling.turn = turn + 1;
        if let Some(other) = operators.get(turn).filter(|_| !first) {
            self.tell_holdings(*other, &open);
        }
    }

    /// Tells an operator that has just been met what is held here.
    pub(super) fn compare_with(&mut self, other: NodeId) {
        if self.config.operator.is_some() {
            let open = self.open_rounds();
            self.tell_holdings(other, &open);
        }
    }

    fn tell_holdings(&mut self, other: NodeId, rounds: &[RoundId]) {
        for round in rounds {
            let digest = reconcile::digest(&self.collected.ids_of(*round));
            self.send(other, &Message::Holdings(Holdings { round: *round, digest, buckets: Vec::new() }));
        }
    }

    /// Whether a message is an operator's, about a round that is open here.
    fn concerns(&self, from: NodeId, round: &RoundId) -> Result<bool, Fault> {
        if self.nodes.get(&from).copied().flatten().is_none() {
            return Err(Fault::NotAllowed("what is held of a round"));
        }
        let open = self.ledger.rounds().get(round).is_some_and(|round| round.state() == RoundState::Open);
        Ok(open && self.config.operator.is_some())
    }

    pub(super) fn on_holdings(&mut self, from: NodeId, theirs: &Holdings) -> Result<(), Fault> {
        if !self.concerns(from, &theirs.round)? {
            return Ok(());
        }
        let (round, ids) = (theirs.round, self.collected.ids_of(theirs.round));
        let digest = reconcile::digest(&ids);
        if digest == theirs.digest {
            return Ok(());
        }
        let answer = match theirs.buckets.len() {
            0 => Message::Holdings(Holdings { round, digest, buckets: reconcile::buckets(&ids) }),
            reconcile::BUCKETS => {
                let (buckets, ids) = reconcile::differing(&ids, &theirs.buckets);
                Message::Bodies(Bodies { round, buckets, ids })
            }
            _ => return Err(Fault::Mismatch("the number of buckets")),
        };
        self.send(from, &answer);
        Ok(())
    }

    pub(super) fn on_bodies(&mut self, from: NodeId, theirs: &Bodies) -> Result<(), Fault> {
        if !self.concerns(from, &theirs.round)? {
            return Ok(());
        }
        let ids = self.collected.ids_of(theirs.round);
        let (they_lack, lacking) = reconcile::compare(&ids, &theirs.buckets, &theirs.ids);
        if !they_lack.is_empty() {
            self.send(from, &Message::Bodies(Bodies { round: theirs.round, buckets: Vec::new(), ids: they_lack }));
        }
        let round = self.ledger.rounds().get(&theirs.round);
        let Some(operator) = round.and_then(|round| self.operator_in(round)) else { return Ok(()) };
        let now = self.now;
        for body in lacking.iter().take(limits::MAX_ASKED_AT_ONCE) {
            self.collected.ask_for(theirs.round, *body, operator, from, now);
        }
        // More than are asked for at once: the rest soon.
        if lacking.len() > limits::MAX_ASKED_AT_ONCE {
            self.reconciling.compare_at = Some(self.now.plus_millis(AGAIN_MILLIS));
            self.reconciling.turn = self.reconciling.turn.saturating_sub(1);
        }
        Ok(())
    }
}
