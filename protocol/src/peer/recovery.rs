//! An operator's key that may have said more than this node remembers: put back from a copy, or in use at two nodes.
//!
//! # After a restoration
//!
//! A journal that was put back ([`Record::Restored`]) does not tell what the key said after the copy was made. So the key
//! stays silent until the log has passed all of it. Let T be the last height that the lost node had decided. It can have
//! signed up to T + 1, and knew the rounds that were planned up to T.
//!
//! * A quorum signed the decision of T: of the other operators at least q − 1 − f honest ones. Each of them had T − 1 on
//!   its disk before it signed at T, and tells so ever after: its log does not shrink.
//! * This node asks the other operators how far their logs have come, after it was started, with a fresh nonce and on
//!   connections that authenticate them. It goes on when its own log, which it verifies, has reached what n − f of them
//!   told. At most f of these lie, so n − 2f ≥ f + 1 are honest; with q − 1 − f ≥ n − 1 − f − (n − q) honest ones that
//!   signed at T, of n − 1 − f honest others in all, both sets have an operator in common: for n = 3f + 1 it is
//!   (f + 1) + f > 2f, and for other n the quorum is larger still. So the own log's height H is at least T − 1.
//! * Hence T + 1 ≤ H + 2: the key signs nothing at heights up to H + 2, and takes no part in rounds that are on the log by
//!   then, for whatever the lost node acknowledged or opened was about a round planned at T ≤ H + 1 or before.
//!
//! If others have come into office by the height H + 2, the question is put again, to them: what is above was signed by
//! them, and the same holds from there on.
//!
//! Who overstates its height is not waited for, as long as n − f others are there: while it is silent, the restored
//! operator is one of the f that the community can do without. With fewer than four operators it can do without none, so
//! the log does not move and the key stays silent, unless the person who put the copy back
//! [vouches](crate::journal::RestoredRecord::current) that nothing was said since it was made.
//!
//! # Two nodes with one key
//!
//! Every greeting tells when its node was started and when it was said. Whoever hears two greetings of one operator from
//! different starts passes each on to where the other came from. A node that sees a greeting under its own key, from
//! another start, said after it was started itself, knows that another one runs; it says so once more to everybody,
//! that the other one hears it too, and puts its key down for good. An operator that comes back to a journal that
//! has something in it first listens for [`LISTEN_MILLIS`] and greets several times meanwhile. Greetings compare the clocks
//! of two machines: one that is behind is found out later, by what it was set back; one whose own clock was set
//! back during a restart may take itself for another, and says so.

use super::*;
use crate::{
    journal::{RestoredRecord, ResumedRecord},
    ledger::RoundState,
    limits,
    message::{HeightAnswer, HeightRequest},
};

/// How long an operator that comes back listens before it speaks, in milliseconds.
pub(super) const LISTEN_MILLIS: u64 = 2_000;

/// How often it greets meanwhile, and how often one that was put back asks for heights, in milliseconds.
const GREET_MILLIS: u64 = 500;

enum State {
    /// The node knows what the key said.
    Sound,
    /// Other operators are being asked how far the log has come.
    Asking { nonce: Option<[u8; 32]>, heights: BTreeMap<PublicKey, Height> },
    /// The key is silent up to a height, which follows from what these operators told.
    Silent { until: Height, told_by: Option<Vec<PublicKey>> },
}

/// What is known of the own key.
pub(super) struct Recovery {
    state: State,
    /// When this node was started.
    started: Timestamp,
    /// Until when it listens.
    listens_until: Timestamp,
    /// When to greet or ask again.
    again: Option<Timestamp>,
    /// Rounds in which the key takes no part.
    barred: BTreeSet<RoundId>,
    /// The last greeting of each operator.
    greetings: BTreeMap<PublicKey, Hello>,
}

impl Recovery {
    pub(super) fn resume(config: &Config, ledger: &Ledger, now: Timestamp, records: &[Record]) -> Self {
        let mut state = State::Sound;
        let mut barred = BTreeSet::new();
        for record in records {
            match record {
                Record::Restored(RestoredRecord { height, current: true }) => {
                    state = State::Silent { until: *height, told_by: None };
                }
                Record::Restored(_) => state = State::Asking { nonce: None, heights: BTreeMap::new() },
                Record::Resumed(resumed) => {
                    state = State::Sound;
                    barred.extend(resumed.rounds.iter().copied());
                }
                Record::Wal(_)
                | Record::WalReset(_)
                | Record::Pledge(_)
                | Record::RoundKey(_)
                | Record::Acknowledged(_)
                | Record::Locked(_)
                | Record::Erased(_) => {}
            }
        }
        let is_one_of_several = config.operator.is_some() && ledger.charter().committee().len() > 1;
        let listens = is_one_of_several && !records.is_empty();
        let listens_until = if listens { now.plus_millis(LISTEN_MILLIS) } else { now };
        let again = (listens || matches!(state, State::Asking { .. })).then_some(now);
        Self { state, started: now, listens_until, again, barred, greetings: BTreeMap::new() }
    }

    /// Up to which height the consensus must stay silent; `None` if it knows what the key said.
    pub(super) const fn silent_until(&self) -> Option<Height> {
        match self.state {
            State::Sound => None,
            State::Asking { .. } => Some(Height(u64::MAX)),
            State::Silent { until, .. } => Some(until),
        }
    }

    pub(super) const fn is_sound(&self) -> bool {
        matches!(self.state, State::Sound)
    }

    pub(super) fn listens(&self, now: Timestamp) -> bool {
        now < self.listens_until
    }

    pub(super) const fn listens_until(&self) -> Timestamp {
        self.listens_until
    }

    /// Whether the key takes no part in a round.
    pub(super) fn bars(&self, round: &RoundId) -> bool {
        self.barred.contains(round)
    }

    pub(super) const fn next_deadline(&self) -> Option<Timestamp> {
        self.again
    }
}

impl Peer {
    /// Returns whether this operator's key is silent, because it was put back from a copy and the log has not yet passed
    /// all that it may have said.
    pub const fn is_recovering(&self) -> bool {
        !self.recovery.is_sound()
    }

    /// Returns the operator's number if its key may speak now.
    pub(super) fn speaking_operator(&self) -> Option<u8> {
        self.operator().filter(|_| self.may_speak())
    }

    /// Whether nothing keeps this node's key from speaking.
    pub(super) fn may_speak(&self) -> bool {
        !self.recovery.listens(self.now) && !self.is_recovering()
    }

    pub(super) fn greeting(&self) -> Option<Message> {
        let key = self.config.operator.as_ref()?;
        let times = (self.recovery.started, self.now);
        Some(Message::Hello(Hello::sign(key, self.community, self.config.node, times)))
    }

    /// Remembers a greeting; if another node greeted with the same key, both hear of each other.
    pub(super) fn compare_greetings(&mut self, from: NodeId, hello: &Hello) {
        if self.is_own_key(hello) {
            self.on_sighting(hello);
            return;
        }
        // Whoever has no office is no danger to it, and anybody can make keys.
        if !self.ledger.serves(&hello.operator) {
            return;
        }
        let known = self.recovery.greetings.insert(hello.operator, hello.clone());
        let Some(other) = known.filter(|known| (known.node, known.started) != (hello.node, hello.started)) else {
            return;
        };
        if other.node != from {
            self.send(other.node, &Message::Sighting(hello.clone()));
        }
        // Two nodes may share an address as well as a key: then this may reach either.
        self.send(from, &Message::Sighting(hello.clone()));
        self.send(from, &Message::Sighting(other));
    }

    fn is_own_key(&self, hello: &Hello) -> bool {
        self.config.operator.as_ref().is_some_and(|key| key.public() == hello.operator)
    }

    /// A greeting under the own key that somebody heard.
    pub(super) fn on_passed_on(&mut self, hello: &Hello) -> Result<(), Fault> {
        hello.verify_signature(self.community)?;
        if self.is_own_key(hello) {
            self.on_sighting(hello);
        }
        Ok(())
    }

    fn on_sighting(&mut self, hello: &Hello) {
        let is_own = (hello.node, hello.started) == (self.config.node, self.recovery.started);
        if is_own || hello.at <= self.recovery.started {
            return;
        }
        if let Some(greeting) = self.greeting() {
            self.send_to_operators(&greeting);
            self.send(hello.node, &greeting);
        }
        self.config.operator = None;
        self.retire_from_ordering();
        let what = "another node runs with this operator's key: this one puts the key down and only follows. Stop one of \
                    the two for good, then start the other. (If there is no other one: this machine's clock was set back; \
                    start again.)";
        self.effects.push_back(Effect::Notice(Notice::Halted(what.into())));
    }

    pub(super) fn on_height_request(&mut self, from: NodeId, request: HeightRequest) {
        let answer = HeightAnswer { nonce: request.nonce, height: self.height() };
        self.send(from, &Message::HeightAnswer(answer));
    }

    pub(super) fn on_height_answer(&mut self, from: NodeId, answer: HeightAnswer) {
        let Some(operator) = self.nodes.get(&from).copied().flatten() else { return };
        let is_own = self.own_key() == Some(operator);
        if is_own || self.ledger.charter().operator(&operator).is_none() {
            return;
        }
        if let State::Asking { nonce: Some(nonce), heights } = &mut self.recovery.state
            && *nonce == answer.nonce
        {
            heights.entry(operator).or_insert(answer.height);
        }
    }

    /// Does what is due: greets, asks, and finds out whether the key may speak again.
    pub(super) fn recover(&mut self, rng: &mut impl CryptoRng) {
        if self.config.operator.is_none() {
            self.recovery.again = None;
            return;
        }
        if self.recovery.again.is_some_and(|again| again <= self.now) {
            self.greet_and_ask(rng);
        }
        let height = self.height();
        if let State::Asking { heights, .. } = &self.recovery.state {
            let committee = self.ledger.charter().committee();
            let (operators, faulty) = (committee.len(), usize::from(self.ledger.charter().sharing().faulty()));
            // One operator alone has nobody to ask.
            let needed = (operators - faulty).min(operators.saturating_sub(1)).max(1);
            // Who has left office since it answered knows nothing of what came after.
            let in_office = |key: &PublicKey| self.ledger.charter().operator(key).is_some();
            if heights.iter().filter(|(key, told)| in_office(key) && **told <= height).count() >= needed {
                let until = Height(height.0.saturating_add(2));
                self.recovery.state = State::Silent { until, told_by: Some(self.committee_keys()) };
                self.silence_consensus(until);
            }
        }
        self.end_silence();
    }

    /// Speaks again, or asks again, once the height is reached up to which the key is silent.
    pub(super) fn end_silence(&mut self) {
        let height = self.height();
        if let State::Silent { until, told_by } = &self.recovery.state
            && height >= *until
        {
            if told_by.as_ref().is_some_and(|asked| *asked != self.committee_keys()) {
                // Others are in office now, who may know of more.
                self.recovery.state = State::Asking { nonce: None, heights: BTreeMap::new() };
                self.recovery.again = Some(self.now);
                self.silence_consensus(Height(u64::MAX));
                return;
            }
            let unfinished = self.ledger.rounds().values().filter(|round| round.state() != RoundState::Finished);
            let rounds: Vec<RoundId> = unfinished.map(|round| round.id).collect();
            // All of them or the key stays silent: one that is left out could be acknowledged or opened a second time.
            if rounds.len() > limits::MAX_BARRED_ROUNDS {
                return;
            }
            self.recovery.barred.extend(rounds.iter().copied());
            self.recovery.state = State::Sound;
            self.persist(Record::Resumed(ResumedRecord { height, rounds }));
            self.effects.push_back(Effect::Sync);
            self.duties.mark_changed();
        }
    }

    fn committee_keys(&self) -> Vec<PublicKey> {
        self.ledger.charter().operators.clone()
    }

    fn greet_and_ask(&mut self, rng: &mut impl CryptoRng) {
        let listens = self.recovery.listens(self.now);
        if listens && let Some(greeting) = self.greeting() {
            self.send_to_operators(&greeting);
        }
        if let State::Asking { nonce, heights } = &mut self.recovery.state {
            let nonce = *nonce.get_or_insert_with(|| {
                let mut nonce = [0; 32];
                rng.fill_bytes(&mut nonce);
                nonce
            });
            let asked = Message::HeightRequest(HeightRequest { nonce });
            let unheard = |operator: &Option<PublicKey>| operator.is_some_and(|key| !heights.contains_key(&key));
            let nodes: Vec<NodeId> =
                self.nodes.iter().filter(|(_, operator)| unheard(operator)).map(|(node, _)| *node).collect();
            nodes.into_iter().for_each(|node| self.send(node, &asked));
        }
        let goes_on = listens || matches!(self.recovery.state, State::Asking { .. });
        if !listens {
            self.duties.mark_changed();
            self.wake_consensus();
        }
        self.recovery.again = goes_on.then(|| self.now.plus_millis(GREET_MILLIS));
    }
}
