//! Catching up with the log, and letting others do so.

use super::*;
use crate::message::LogPart;

/// How often a node asks an operator for what follows its log, in milliseconds: announcements get lost.
const ASK_MILLIS: u64 = 3_000;

/// How often a node asks for a tip that it heard of before it stops believing in it. Anybody can claim a tip.
const BELIEVED_REQUESTS: usize = 20;

/// How soon it asks again when it knows that there is more.
const ASK_AGAIN_MILLIS: u64 = 400;

/// How long it waits for an answer when much is missing, before it asks the next operator: a part of a megabyte takes a
/// second on a slow line, and asking again meanwhile would fetch it twice.
const PART_MILLIS: u64 = 4_000;

/// How many heights are much.
const MUCH: u64 = 32;

impl Ordering {
    /// Asks for what follows before long.
    pub(super) fn ask_soon(&mut self, now: Timestamp) {
        self.ask_at = self.ask_at.min(now.plus_millis(ASK_AGAIN_MILLIS));
    }

    /// Whether to ask now for what follows: not while an answer may still be on its way.
    fn may_ask(&mut self, now: Timestamp) -> bool {
        let (next, missing) = (self.height.next(), self.ahead.0.saturating_sub(self.height.0));
        if self.awaited.0 == next && now < self.awaited.1 {
            return false;
        }
        let patience = if missing > MUCH { PART_MILLIS } else { ASK_AGAIN_MILLIS };
        self.awaited = (next, now.plus_millis(patience));
        true
    }
}

impl Peer {
    pub(in crate::peer) fn send_tip(&mut self, to: NodeId) {
        let height = self.ordering.height();
        self.send(to, &Message::Tip(Tip { height }));
    }

    pub(in crate::peer) fn on_tip(&mut self, from: NodeId, height: Height) {
        if height > self.ordering.height() && !self.ordering.stuck {
            self.ordering.ask_soon(self.now);
            // Anybody can claim a height. While an operator is there, others' claims are a reason to ask it, and no more.
            let is_operator = |operator: &Option<PublicKey>| operator.is_some();
            if !self.nodes.get(&from).is_some_and(is_operator) && self.nodes.values().any(is_operator) {
                return;
            }
            self.ordering.ahead = self.ordering.ahead.max(height);
            if self.arriving.is_none() && self.ordering.may_ask(self.now) {
                self.send(from, &Message::LogRequest(Tip { height: self.ordering.height().next() }));
            }
        }
    }

    /// Asks the next operator in turn for what follows.
    pub(super) fn ask_for_log(&mut self) {
        if self.arriving.is_some() {
            self.ordering.ask_at = self.now.plus_millis(ASK_MILLIS);
            return self.ask_for_landmark();
        }
        if self.ordering.fruitless >= BELIEVED_REQUESTS {
            self.ordering.ahead = self.ordering.height();
        }
        let behind = self.ordering.ahead > self.ordering.height();
        self.ordering.ask_at = self.now.plus_millis(if behind { ASK_AGAIN_MILLIS } else { ASK_MILLIS });
        if behind && !self.ordering.may_ask(self.now) {
            return;
        }
        self.ordering.fruitless = if behind { self.ordering.fruitless + 1 } else { 0 };
        let operators: Vec<NodeId> =
            self.nodes.iter().filter(|(_, operator)| operator.is_some()).map(|(node, _)| *node).collect();
        self.ordering.asked = self.ordering.asked.wrapping_add(1);
        if let Some(node) = operators.get(self.ordering.asked.checked_rem(operators.len()).unwrap_or(0)) {
            self.ordering.asked_of = Some(*node);
            self.send(*node, &Message::LogRequest(Tip { height: self.ordering.height().next() }));
        }
    }

    pub(in crate::peer) fn on_log_request(&mut self, from: NodeId, height: Height) {
        let height = height.max(Height(1));
        if height > self.ordering.height() {
            return;
        }
        // A request is short and its answer long: whoever asks for more than it can take gets nothing.
        let is_operator = self.nodes.get(&from).is_some_and(Option::is_some);
        if !self.entries.admit_log_request(self.now, from, is_operator) {
            return;
        }
        // What is before the start, others have.
        if height <= self.ordering.start {
            return self.send_nothing(from);
        }
        let oldest = self.ordering.recent.front().map(|decision| decision.batch.height());
        if oldest.is_none_or(|oldest| height < oldest) {
            self.effects.push_back(Effect::SendLog { to: from, from: height });
            return;
        }
        let recent = self.ordering.recent.iter().skip_while(|decision| decision.batch.height() < height);
        let part = LogPart::of(recent.map(|decision| decision.as_ref().clone()));
        self.send(from, &Message::Log(part));
    }

    /// Takes a part of the log.
    ///
    /// # Correctness
    ///
    /// One certificate at the end of the part would prove all of it, for each batch names the one before. All
    /// certificates are checked all the same: each is kept, passed on and shown to verifiers, and one that nobody looked
    /// at would make this node the one that spreads it. They are checked together, for the committee in force, and once more
    /// from where that changes.
    pub(in crate::peer) fn on_log(&mut self, from: NodeId, part: LogPart) -> Result<(), Fault> {
        if self.ordering.stuck {
            return Ok(());
        }
        if self.arriving.is_some() {
            return self.on_landmark(part);
        }
        if part.decisions.is_empty() {
            // It lacks what it was asked for: the next one may have it.
            if self.ordering.asked_of.take_if(|asked| *asked == from).is_some() {
                self.ordering.awaited.1 = self.now;
                self.ordering.ask_soon(self.now);
            }
            return Ok(());
        }
        let next = self.ordering.height().next();
        let mut decisions = part.decisions;
        decisions.retain(|decision| decision.batch.height() >= next);
        let mut link = (next, self.ordering.tip);
        for Decision { batch, .. } in &decisions {
            if (batch.height(), batch.previous()) != link {
                return Err(Fault::Mismatch("the log's chain"));
            }
            link = (batch.height().next(), batch.id());
        }
        let mut charter = Arc::clone(self.ledger.charter());
        let mut verified = self.verify_certificates(&decisions);
        for (index, decision) in decisions.iter().enumerate() {
            if !Arc::ptr_eq(&charter, self.ledger.charter()) {
                charter = Arc::clone(self.ledger.charter());
                verified.truncate(index);
                verified.extend(self.verify_certificates(decisions.get(index..).unwrap_or_default()));
            }
            if verified.get(index) != Some(&true) {
                return Err(Fault::Mismatch("a certificate"));
            }
            let decision = decision.clone();
            if self.ordering.consensus.is_some() {
                self.feed_consensus(Input::Sync(Box::new(decision)));
            } else if !self.commit(decision) {
                break;
            }
        }
        if self.ordering.ahead > self.ordering.height() {
            self.on_tip(from, self.ordering.ahead);
        }
        Ok(())
    }

    /// Tells which certificates hold for the committee in force now.
    fn verify_certificates(&self, decisions: &[Decision]) -> Vec<bool> {
        let (committee, community) = (self.ledger.charter().committee(), self.community);
        let holds = |decision: &Decision| decision.certificate.verify(&committee, community, &decision.batch).is_ok();
        decisions.par_iter().map(holds).collect()
    }
}
