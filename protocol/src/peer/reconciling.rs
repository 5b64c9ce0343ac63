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

/// How soon it does so again, with the next one, while it lacks more than it could ask for.
const AGAIN_MILLIS: u64 = 1_000;

#[derive(Default)]
pub(super) struct Reconciling {
    compare_at: Option<Timestamp>,
    turn: usize,
    /// How much was held when a comparison was last brought forward.
    held: Option<usize>,
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
        let charters: Vec<_> =
            open.iter().filter_map(|id| Some(Arc::clone(&self.ledger.rounds().get(id)?.charter))).collect();
        let takes_part = |key: &PublicKey| charters.iter().any(|charter| charter.operator(key).is_some());
        let operators: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, operator)| operator.as_ref().is_some_and(takes_part))
            .map(|(node, _)| *node)
            .collect();
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
        let Some(key) = self.nodes.get(&other).copied().flatten() else { return };
        for round in rounds {
            // Whoever is no operator of the round holds nothing of it, and is given nothing.
            if self.ledger.rounds().get(round).is_none_or(|round| round.charter.operator(&key).is_none()) {
                continue;
            }
            let digest = reconcile::digest(&self.collected.ids_of(*round));
            self.send(other, &Message::Holdings(Holdings { round: *round, digest, buckets: Vec::new() }));
        }
    }

    /// Whether a message is about a round that is open here, by one of its operators to another.
    fn concerns(&self, from: NodeId, round: &RoundId) -> Result<bool, Fault> {
        let Some(key) = self.nodes.get(&from).copied().flatten() else {
            return Err(Fault::NotAllowed("what is held of a round"));
        };
        let Some(round) = self.ledger.rounds().get(round) else { return Ok(false) };
        if round.charter.operator(&key).is_none() {
            return Err(Fault::NotAllowed("what is held of a round of other operators"));
        }
        Ok(round.state() == RoundState::Open && self.number_in(round).is_some())
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
        // More than are asked for at once: the rest soon, from the next operator in turn, who holds them as well if they exist.
        // Who lists what is nowhere gains nothing: only as long as something comes of it is another comparison brought forward.
        let held = self.collected.held.len();
        if lacking.len() > limits::MAX_ASKED_AT_ONCE && self.reconciling.held != Some(held) {
            self.reconciling.held = Some(held);
            let soon = self.now.plus_millis(AGAIN_MILLIS);
            self.reconciling.compare_at = Some(self.reconciling.compare_at.map_or(soon, |at| at.min(soon)));
        }
        Ok(())
    }
}
