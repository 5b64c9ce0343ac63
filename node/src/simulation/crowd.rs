//! The participants of one cohort: light, but with minds of their own.
//!
//! Each does what a node does for its person (`protocol::peer::stem`): sends the contribution along a random way past at least two
//! others, another way if it is not on the log after a while, then to the operators directly, more and more rarely.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use chorus_crypto::{
    codec::Decode as _,
    credential::{LeafSecret, Tag},
};
use chorus_protocol::{
    contribution::{Contributor, Submission, Template},
    id::BlobId,
    message::Message,
    peer::MAX_HOPS,
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

use super::{
    Costs, Options,
    adversary::Role,
    network::{MILLI, Micros, Network, line_micros, node},
    world::{rng, votes},
};

/// Ways that a contribution is sent before it goes to the operators directly.
const PATHS: u32 = 2;

/// How long a relay holds a stem at most, in milliseconds.
const HOLD_MILLIS: u64 = 2_000;

/// How long a contribution may take to reach the log, in milliseconds, before it is sent another way.
const PATIENCE_MILLIS: u64 = 10_000;

/// How long the first time, once it went to the operators directly, and at most.
const RESEND_MILLIS: u64 = 3_000;
const LONGEST_RESEND_MILLIS: u64 = 60_000;

/// How often those who lie try, and how many messages a flood has.
const LIES: u32 = 3;
const FLOOD: u32 = 200;
const FLOOD_BYTES: usize = 4_096;

/// What became of a contribution.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is not made yet.
    Quiet,
    /// It was sent, so often.
    Sent(u32),
    /// It is on the log.
    Logged,
    /// Its owner has gone.
    Gone,
}

struct Person {
    role: Role,
    state: State,
    /// Leaves right after the contribution was sent once.
    leaves: bool,
    arrived: Micros,
    /// The sealed messages, as long as they may have to be sent again: two of somebody who sends two.
    messages: Vec<Arc<[u8]>>,
}

/// What participants did, all together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Bytes sent and received, for oneself and for others.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Contributions sent again.
    pub(super) again: u64,
    /// Ways on which a contribution was lost, or met somebody who was offline.
    pub(super) lost: u64,
    /// Proofs that relays verified.
    pub(super) verified: u64,
    /// Milliseconds from a contribution's making to the log: the sum, and the longest.
    pub(super) waited: u64,
    pub(super) longest: u64,
}

/// All participants of a cohort.
pub(super) struct Crowd<'a> {
    options: &'a Options,
    costs: &'a Costs,
    template: &'a Template,
    number: usize,
    secrets: Vec<LeafSecret>,
    people: Vec<Person>,
    bodies: BTreeMap<BlobId, usize>,
    rng: ChaCha20Rng,
    pub(super) done: Done,
}

impl<'a> Crowd<'a> {
    /// Draws them.
    pub(super) fn new(
        options: &'a Options,
        (costs, template): (&'a Costs, &'a Template),
        number: usize,
        (members, secrets): (usize, Vec<LeafSecret>),
    ) -> Self {
        let mut rng = rng(options.seed, "crowd", (number, 0));
        let mut person = |_| {
            let is_liar = rng.next_u32() % 1_000 < options.adversaries;
            let role = match (is_liar, rng.next_u32() % 3) {
                (false, _) => Role::Honest,
                (true, 0) => Role::BadProofs,
                (true, 1) => Role::Doubles,
                (true, _) => Role::Floods,
            };
            let leaves = rng.next_u32() % 1_000 < options.churn;
            Person { role, state: State::Quiet, leaves, arrived: 0, messages: Vec::new() }
        };
        let people = (0..members).map(&mut person).collect();
        let (bodies, done) = (BTreeMap::new(), Done::default());
        Self { options, costs, template, number, secrets, people, bodies, rng, done }
    }

    /// Lets each come at some time within `within`.
    pub(super) fn come(&mut self, network: &mut Network, within: Micros) {
        for (number, person) in self.people.iter_mut().enumerate() {
            let after = self.rng.next_u64() % within.max(1);
            person.arrived = network.now() + after;
            network.wake(number, after);
        }
    }

    /// Returns how many of each kind there are, and how many of them are on the log.
    pub(super) fn counts(&self, role: Role) -> (u64, u64) {
        let of_role = || self.people.iter().filter(|person| person.role == role);
        let logged = of_role().filter(|person| person.state == State::Logged).count();
        (of_role().count() as u64, logged as u64)
    }

    /// Returns how many left, and how many were still there, of those honest ones who are not on the log.
    pub(super) fn uncounted(&self) -> (u64, u64) {
        let honest = || self.people.iter().filter(|person| person.role == Role::Honest);
        let gone = honest().filter(|person| person.state == State::Gone).count();
        let there = honest().filter(|person| matches!(person.state, State::Quiet | State::Sent(_))).count();
        (gone as u64, there as u64)
    }

    /// Returns the numbers of those who are on the log.
    pub(super) fn logged(&self) -> impl Iterator<Item = usize> {
        (0..).zip(&self.people).filter(|(_, person)| person.state == State::Logged).map(|(number, _)| number)
    }

    /// Notes whose contributions have come to the log.
    pub(super) fn note(&mut self, bodies: impl IntoIterator<Item = BlobId>, now: Micros) {
        for body in bodies {
            let Some(person) = self.bodies.get(&body).and_then(|person| self.people.get_mut(*person)) else { continue };
            if person.state != State::Logged {
                person.state = State::Logged;
                person.messages = Vec::new();
                let waited = now.saturating_sub(person.arrived) / MILLI;
                self.done.waited += waited;
                self.done.longest = self.done.longest.max(waited);
            }
        }
    }

    /// Lets a participant act.
    ///
    /// # Errors
    ///
    /// Returns an error if a contribution cannot be made: a bug.
    pub(super) fn act(&mut self, network: &mut Network, person: usize) -> anyhow::Result<()> {
        let Some(this) = self.people.get(person) else { return Ok(()) };
        let (role, state) = (this.role, this.state);
        match (role, state) {
            (_, State::Logged | State::Gone) => Ok(()),
            (_, State::Quiet) if network.open_for() == 0 => Ok(()),
            (Role::Floods, State::Quiet | State::Sent(_)) => {
                self.flood(network, person);
                Ok(())
            }
            (_, State::Quiet) => {
                self.make(network, person)?;
                self.set(person, State::Sent(0));
                // A device works for a moment.
                network.wake(person, self.costs.make);
                Ok(())
            }
            (_, State::Sent(_)) if network.open_for() == 0 => Ok(()),
            (Role::Honest, State::Sent(times)) => {
                self.send(network, person, times);
                Ok(())
            }
            (Role::BadProofs | Role::Doubles, State::Sent(times)) => {
                self.lie(network, person, times);
                Ok(())
            }
        }
    }

    fn set(&mut self, person: usize, state: State) {
        if let Some(this) = self.people.get_mut(person) {
            this.state = state;
        }
    }

    /// Makes what a participant sends.
    fn make(&mut self, network: &mut Network, person: usize) -> anyhow::Result<()> {
        let role = self.people.get(person).map_or(Role::Honest, |this| this.role);
        let copies = if role == Role::Doubles { 2 } else { 1 };
        for copy in 0..copies {
            let proves = self.options.is_real() && role != Role::BadProofs;
            let submission = self.contribution(network, (person, copy), proves)?;
            let body = BlobId::of(&submission.body);
            if role == Role::BadProofs {
                network.bad.insert(body);
            } else {
                self.bodies.insert(body, person);
            }
            let community = network.ledger().context("an operator is up")?.community();
            let message: Arc<[u8]> = Message::Submission(submission).seal(community).into();
            if let Some(this) = self.people.get_mut(person) {
                this.messages.push(message);
            }
        }
        Ok(())
    }

    fn contribution(
        &self,
        network: &Network,
        (person, copy): (usize, usize),
        proves: bool,
    ) -> anyhow::Result<Submission> {
        let ledger = network.ledger().context("an operator is up")?;
        let round = network.round().context("a cohort has a round")?;
        let votes = votes(self.options.seed, self.number, person, self.options.items);
        let mut rng = rng(self.options.seed, "contribution", (self.number, 2 * person + copy));
        let secret = self.secrets.get(person);
        if let Some(secret) = secret.filter(|_| proves) {
            return Ok(Contributor { on_map: false, ..Contributor::anonymous(secret) }
                .cast(ledger, round, &votes, &mut rng)?);
        }
        let tag = match (secret, &round.manifest) {
            (Some(secret), Some(manifest)) => secret.tag(&manifest.scope),
            _ => Tag::from_bytes(node(self.number, b't', person).as_ref())?,
        };
        Ok(self.template.cast((ledger, round), tag, &votes, &mut rng)?)
    }

    /// Sends an honest contribution the next way.
    fn send(&mut self, network: &mut Network, person: usize, times: u32) {
        let Some(this) = self.people.get(person) else { return };
        let (Some(message), leaves) = (this.messages.first().cloned(), this.leaves) else { return };
        self.done.again += u64::from(times > 0);
        let transfer = line_micros(message.len(), self.options.links.participant_rate) / MILLI;
        let operators = network.operators() as u64;
        let patience = if times < PATHS {
            let hops = self.go_past_others(network, person, &message);
            let patience = PATIENCE_MILLIS + transfer * (u64::from(hops) + operators);
            patience.min(network.open_for() / 4).max(1)
        } else {
            self.go_directly(network, person, &message, |_| true);
            let doubled = RESEND_MILLIS.saturating_mul(1 << (times - PATHS).min(16));
            doubled.min(LONGEST_RESEND_MILLIS) + transfer * operators
        };
        if leaves {
            self.set(person, State::Gone);
            return;
        }
        self.set(person, State::Sent(times + 1));
        network.wake(person, patience * MILLI);
    }

    /// Sends a contribution along a stem. Returns how many relays it was to pass.
    fn go_past_others(&mut self, network: &mut Network, person: usize, message: &Arc<[u8]>) -> u32 {
        // One relay, one more, and one for every head before the first tail.
        let hops = 2 + self.rng.next_u64().trailing_ones().min(u32::from(MAX_HOPS) - 1);
        let (rate, count) = (self.options.links.participant_rate, self.people.len() as u64);
        let longest = HOLD_MILLIS.min(network.open_for() / 16) * MILLI;
        let (mut at, mut holder) = (0, person);
        for _ in 0..hops {
            self.done.sent += message.len() as u64;
            let next = usize::try_from(self.rng.next_u64() % count).unwrap_or_default();
            let is_offline = self.rng.next_u32() % 1_000 < self.options.churn;
            let Some(delay) = network.delay().filter(|_| !is_offline) else {
                self.done.lost += 1;
                return hops;
            };
            self.done.received += message.len() as u64;
            at += line_micros(message.len(), rate) + delay + self.rng.next_u64() % (longest + 1);
            holder = next;
        }
        // The last one looks at the proofs before it hands a contribution to the operators.
        self.done.verified += 1;
        at += self.costs.verify_alone;
        self.hand_over(network, (holder, at), message, |_| true);
        hops
    }

    fn go_directly(&mut self, network: &mut Network, person: usize, message: &Arc<[u8]>, to: impl Fn(usize) -> bool) {
        self.hand_over(network, (person, 0), message, to);
    }

    /// Sends a message to operators, one after the other.
    fn hand_over(
        &mut self,
        network: &mut Network,
        (from, mut at): (usize, Micros),
        message: &Arc<[u8]>,
        to: impl Fn(usize) -> bool,
    ) {
        let from = node(self.number, b'p', from);
        for operator in (0..network.operators()).filter(|operator| to(*operator)) {
            at += line_micros(message.len(), self.options.links.participant_rate);
            self.done.sent += message.len() as u64;
            if let Some(delay) = network.delay() {
                network.reach(operator, from, Arc::clone(message), at + delay);
            }
        }
    }

    fn lie(&mut self, network: &mut Network, person: usize, times: u32) {
        let messages = self.people.get(person).map(|this| this.messages.clone()).unwrap_or_default();
        let copies = messages.len();
        for (copy, message) in messages.iter().enumerate() {
            self.go_directly(network, person, message, |operator| copies == 1 || operator % copies == copy);
        }
        if times + 1 < LIES {
            self.set(person, State::Sent(times + 1));
            network.wake(person, RESEND_MILLIS * MILLI);
        }
    }

    fn flood(&mut self, network: &mut Network, person: usize) {
        let Some(community) = network.ledger().map(|ledger| ledger.community()) else { return };
        for _ in 0..FLOOD {
            let mut body = vec![0; FLOOD_BYTES];
            self.rng.fill_bytes(&mut body);
            let nonsense = Submission { body, masked: Vec::new(), boxes: Vec::new() };
            let message: Arc<[u8]> = Message::Submission(nonsense).seal(community).into();
            self.go_directly(network, person, &message, |_| true);
        }
        self.set(person, State::Gone);
    }
}
