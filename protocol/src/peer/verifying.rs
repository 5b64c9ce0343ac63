//! Verifying: contributions that came wait, and are verified together, on another thread than the protocol's.
//!
//! One verification is under way at a time: [`Effect::Verify`] begins it, [`Event::Verified`] ends it. Meanwhile the protocol
//! goes on, so what holds is looked at once more before it is [held](Peer::hold).
//!
//! **Whoever sends what does not hold slows down itself.** A node of which nothing has been found to hold yet has few places
//! in each verification, and one of whose places too many are found bad has none of the rest looked at.

use std::sync::Arc;

use super::*;
use crate::{
    contribution::{Acknowledgement, CheckedForm, Verdicts, Verification},
    fault::bound,
    limits,
};

/// How long contributions gather before they are verified together, in milliseconds.
const GATHER_MILLIS: u64 = 20;

/// How many are verified together at most: the gain of doing so has long been had.
const VERIFIED_AT_ONCE: usize = 64;

/// How many of a node of which nothing has been found to hold are verified together at most; and how many of any node may
/// be found bad together before what else of it waits is not looked at. Honest nodes verify what they pass on.
const MOST_BAD: usize = 8;

/// Nodes of which something was found to hold that are remembered.
const MAX_PROVEN: usize = 4096;

/// A contribution that waits to be checked.
struct Pending {
    from: NodeId,
    submission: Arc<Submission>,
    /// Whether it was kept before a restart.
    kept: bool,
    /// Whether this operator tells the others of it if it holds: a stem ended here.
    spread: bool,
}

/// What is being verified.
struct Verifying {
    seed: [u8; 32],
    waiting: Vec<(Pending, Arc<CheckedForm>)>,
}

/// What waits to be verified, and what is being verified.
#[derive(Default)]
pub(super) struct Intake {
    pending: Vec<Pending>,
    verifying: Option<Verifying>,
    /// When to begin with what is pending; never while something is being verified.
    verify_at: Option<Timestamp>,
    /// What was kept before a restart, and is read as soon as there is room for it.
    unread: VecDeque<KeptPrivate>,
    /// What is being read for that, and how many bytes it has.
    taking_up: BTreeMap<BlobId, usize>,
    /// Nodes of which something was found to hold.
    proven: BTreeSet<NodeId>,
}

impl Intake {
    /// Takes stored contributions up again after a restart.
    pub(super) fn requeue(&mut self, kept: Vec<KeptPrivate>) {
        if !kept.is_empty() {
            self.verify_at = Some(Timestamp::default());
        }
        self.unread = kept.into();
    }

    /// Returns what is to be read now of what was kept before a restart: what waits to be checked has one bound, whoever it
    /// came from.
    fn next_unread(&mut self) -> Vec<KeptPrivate> {
        let mut bytes = self.bytes();
        let mut due = Vec::new();
        while let Some(next) = self.unread.front() {
            let size = usize::try_from(next.bytes).unwrap_or(usize::MAX);
            let places = self.waiting().count() + self.taking_up.len();
            let fits = bytes.saturating_add(size) <= limits::MAX_PENDING_BYTES && places < limits::MAX_PENDING;
            // One that is over the bound by itself is read when there is nothing else.
            if !fits && places > 0 {
                break;
            }
            bytes = bytes.saturating_add(size);
            self.taking_up.insert(next.body, size);
            due.extend(self.unread.pop_front());
        }
        due
    }

    /// Takes what was read of a contribution that was kept. Returns whether it was.
    pub(super) fn take_up(&mut self, body: &BlobId, submission: Option<&Arc<Submission>>) -> bool {
        if self.taking_up.remove(body).is_none() {
            return false;
        }
        let kept = submission.map(|it| Pending {
            from: NodeId::default(),
            submission: Arc::clone(it),
            kept: true,
            spread: false,
        });
        self.pending.extend(kept);
        if self.verifying.is_none() {
            self.verify_at = Some(Timestamp::default());
        }
        true
    }

    /// Takes a contribution that a node sent, or this one. No node fills the room of all: each has a quarter of it.
    pub(super) fn enqueue(&mut self, from: NodeId, submission: Submission, spread: bool) -> Result<(), Fault> {
        let bytes = |pending: &Pending| pending.submission.size();
        let of_node = || self.waiting().filter(|pending| pending.from == from);
        bound("contributions waiting", limits::MAX_PENDING, self.waiting().count() + 1)?;
        bound("contributions of one node waiting", limits::MAX_PENDING / 4, of_node().count() + 1)?;
        let waiting: usize = self.waiting().map(bytes).sum();
        bound("bytes of contributions waiting", limits::MAX_PENDING_BYTES, waiting + submission.size())?;
        let waiting: usize = of_node().map(bytes).sum();
        bound("bytes of one node's contributions", limits::MAX_PENDING_BYTES / 4, waiting + submission.size())?;
        self.pending.push(Pending { from, submission: Arc::new(submission), kept: false, spread });
        Ok(())
    }

    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.verify_at
    }

    /// Whether contributions that were kept before a restart still wait to be taken up.
    pub(super) fn is_taking_up(&self) -> bool {
        !self.unread.is_empty() || !self.taking_up.is_empty() || self.waiting().any(|pending| pending.kept)
    }

    /// Returns how many bytes all of it has in memory.
    pub(super) fn bytes(&self) -> usize {
        let waiting: usize = self.waiting().map(|pending| pending.submission.size()).sum();
        waiting + self.taking_up.values().sum::<usize>()
    }

    fn waiting(&self) -> impl Iterator<Item = &Pending> {
        let verifying = self.verifying.iter().flat_map(|it| it.waiting.iter().map(|(pending, _)| pending));
        self.pending.iter().chain(verifying)
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.verifying = None;
        self.verify_at = None;
        self.unread.clear();
        self.taking_up.clear();
    }

    /// Takes out what is verified next: in the order in which it came, but few of a node of which nothing has been found to
    /// hold. What was kept before a restart has no sender, and what ends its stem here has another one.
    fn draw(&mut self, own: NodeId) -> Vec<Pending> {
        let mut places: BTreeMap<NodeId, usize> = BTreeMap::new();
        let (mut drawn, mut rest) = (Vec::new(), Vec::new());
        for pending in std::mem::take(&mut self.pending) {
            let from = pending.from;
            let known = from == own || from == NodeId::default() || self.proven.contains(&from);
            let places = places.entry(from).or_default();
            if drawn.len() < VERIFIED_AT_ONCE && (known || *places < MOST_BAD) {
                *places += 1;
                drawn.push(pending);
            } else {
                rest.push(pending);
            }
        }
        self.pending = rest;
        drawn
    }

    fn has_proven(&mut self, node: NodeId) {
        if self.proven.len() >= MAX_PROVEN {
            self.proven.clear();
        }
        self.proven.insert(node);
    }
}

impl Peer {
    /// Whether contributions may be verified: whoever may not say what it finds need not look.
    fn verifies(&self) -> bool {
        self.own_key().is_some() && !self.is_recovering() && !self.recovery.listens(self.now)
    }

    /// Begins to verify what has gathered, if nothing is being verified.
    pub(super) fn verify_pending(&mut self, rng: &mut impl CryptoRng) {
        if !self.verifies() {
            if self.own_key().is_none() || self.is_recovering() {
                self.intake.clear();
            }
            return;
        }
        for KeptPrivate { round, body, .. } in self.intake.next_unread() {
            self.effects.push_back(Effect::ReadPrivate { round, body });
        }
        while self.intake.verifying.is_none() && self.is_due() {
            self.verify_some(rng);
        }
    }

    /// Whether something waits, and has gathered for long enough.
    fn is_due(&mut self) -> bool {
        let Intake { pending, verify_at, .. } = &mut self.intake;
        if pending.is_empty() {
            *verify_at = None;
            return false;
        }
        let at = *verify_at.get_or_insert(self.now.plus_millis(GATHER_MILLIS));
        at <= self.now || pending.len() >= VERIFIED_AT_ONCE
    }

    /// Begins to verify as many as are quickly done: after a restart all that was kept waits here.
    fn verify_some(&mut self, rng: &mut impl CryptoRng) {
        let mut waiting = Vec::new();
        let mut acknowledgements = Vec::new();
        for pending in self.intake.draw(self.config.node) {
            let (from, body) = (pending.from, BlobId::of(&pending.submission.body));
            if self.collected.held.contains_key(&body) {
                // Sent again because it is not on the log yet: the acknowledgement may have been lost.
                acknowledgements.extend(self.acknowledge_again(&body));
                continue;
            }
            let form = CheckedForm::new(&self.ledger, &pending.submission.body);
            match form.and_then(|form| self.admit(&form).map(|()| form)) {
                Ok(form) => waiting.push((pending, Arc::new(form))),
                Err(fault) => {
                    // A body that is late or doubled may hold: others may still count who acknowledged it.
                    if matches!(fault, Fault::Duplicate(_) | Fault::Phase(_) | Fault::Unknown(_)) {
                        self.collected.is_found(&body);
                    } else {
                        self.collected.give_up(&body);
                    }
                    self.refuse(from, fault);
                }
            }
        }
        self.intake.verify_at = None;
        self.tell_acknowledged(acknowledgements);
        if waiting.is_empty() {
            return;
        }
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let forms = waiting.iter().map(|(_, form)| Arc::clone(form)).collect();
        let verification = Verification::new(self.ledger.clone(), forms, seed);
        self.intake.verifying = Some(Verifying { seed, waiting });
        self.effects.push_back(Effect::Verify(Box::new(verification)));
    }

    /// Takes what was found: holds and acknowledges what holds, and refuses the rest.
    pub(super) fn on_verified(&mut self, verdicts: Verdicts) {
        let Some(Verifying { seed, waiting }) = self.intake.verifying.take() else { return };
        if !self.verifies() {
            let waiting = waiting.into_iter().map(|(pending, _)| pending);
            self.intake.pending.extend(waiting);
            return;
        }
        let Some(verdicts) = verdicts.of(&seed) else {
            self.intake.verifying = Some(Verifying { seed, waiting });
            return;
        };
        let mut acknowledgements = Vec::new();
        let mut bad: BTreeMap<NodeId, usize> = BTreeMap::new();
        for ((pending, form), verdict) in waiting.into_iter().zip(verdicts) {
            let Pending { from, submission, spread, .. } = pending;
            let (body, round) = (form.header.body, form.header.round);
            if verdict.is_ok() {
                self.intake.has_proven(from);
            } else {
                // Whoever passed it on: a body that does not hold is not asked for again.
                self.collected.give_up(&body);
                *bad.entry(from).or_default() += 1;
            }
            match verdict.and_then(|equations| self.hold(form, equations, Arc::clone(&submission))) {
                Ok(acknowledgement) => {
                    acknowledgements.extend(acknowledgement);
                    if spread && self.collected.held.contains_key(&body) {
                        self.send_to_operators_of(round, &Message::Submission(Arc::unwrap_or_clone(submission)));
                    }
                }
                Err(fault) => self.refuse(from, fault),
            }
        }
        let nobodies = [NodeId::default(), self.config.node];
        bad.retain(|from, count| *count >= MOST_BAD && !nobodies.contains(from));
        self.intake.pending.retain(|pending| !bad.contains_key(&pending.from));
        if !self.intake.pending.is_empty() {
            self.intake.verify_at = Some(self.now);
        }
        self.tell_acknowledged(acknowledgements);
    }

    /// Sends what was acknowledged, once it is durable.
    fn tell_acknowledged(&mut self, acknowledgements: Vec<Acknowledgement>) {
        if acknowledgements.is_empty() {
            return;
        }
        self.effects.push_back(Effect::Sync);
        for acknowledgement in acknowledgements {
            let round = acknowledgement.header.round;
            self.send_to_operators_of(round, &Message::Acknowledgement(acknowledgement.clone()));
            self.count_acknowledgement(acknowledgement);
        }
    }
}
