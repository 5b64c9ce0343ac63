//! The stem: the way of a contribution past other nodes before it reaches the operators.
//!
//! What an author's node sent to all operators itself would show each of them the author's address. So it goes to one
//! random peer, which holds it for a random while and passes it on to another, and so on; the last one sends it to all
//! operators, in its own name. The stem phase of Dandelion++ (Fanti et al., 2018), with a way that each author draws
//! instead of a graph that all share: our peers are few, and rounds are short.
//!
//! * **How far it goes** is drawn so that the number on it tells little: `1 + g`, where `g` is how often a coin falls
//!   heads in a row. Whoever receives a stem that has at least one step left sees the same number with half the chance if it is
//!   one step older. So the sender is the author with chance 1/2 at most, whatever the number, but for the largest one,
//!   [`MAX_HOPS`], which is on one way in 2³⁹ and which no relay writes. That is what the number says: whoever knows that
//!   nobody else sends to the sender, or that nobody else votes, knows more. At least two nodes besides the author's lie before
//!   the operators.
//! * **A relay looks before it passes on**: the body must decode and fit an open round. The last one verifies the proofs
//!   too, since operators hold it to what it sends. Nothing of a stem is written to disk.
//! * **The log acknowledges.** What is not on the log after a while goes another way, then straight to the operators: a
//!   relay that swallows it costs time. It costs the author's address as well if relays swallow all [`PATHS`]; a vote that is not
//!   counted would be worse.

use std::sync::Arc;

use chorus_crypto::codec::Decode as _;

use super::{
    bucket::{Bucket, Rate},
    collecting::{Attempt, attempt, transfer_millis},
    *,
};
use crate::{
    contribution::{CheckedForm, verify_all},
    fault::bound,
    message::Stem,
};

/// Ways that a contribution is sent before it goes to the operators directly.
pub const PATHS: usize = 2;

/// How long a relay holds a stem at most, in milliseconds: long against the differences of links, short against a round.
const HOLD_MILLIS: u64 = 2_000;

/// How long a contribution may take to reach the log, besides the time that its bytes take, before it is sent another way.
const PATIENCE_MILLIS: u64 = 10_000;

/// How long a contribution that went to the operators directly may take to reach the log, before it is sent again: this at
/// first, and twice as long each time. What they refuse is not on the log either, and who brings it again and again is shut
/// out.
const RESEND_MILLIS: u64 = 3_000;
const LONGEST_RESEND_MILLIS: u64 = 60_000;

/// How often one looks whether there is anybody to send to, in milliseconds, and for how long one waits to hear what peers
/// speak before they are taken to speak the oldest version.
const LOOK_MILLIS: u64 = 500;
const LOOKS: u32 = 6;

/// Relays after the first that may pass a stem on. Relays count down, so this very number is on a stem because its author
/// drew it: once in 2³⁹ ways.
///
/// Whoever writes it on a stem keeps nobody waiting longer than by swallowing the stem: an author waits by the way that it drew
/// itself, and for a quarter of what is left of the round at most. It costs others as many transfers, and each of these is
/// within the bounds of the relay that takes it.
pub const MAX_HOPS: u8 = 40;

/// Stems held at a time, of all and of one peer, and their bytes: seven, and two, of the largest.
const MAX_HELD: usize = 256;
const MAX_HELD_OF_PEER: usize = 64;
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
const MAX_HELD_BYTES_OF_PEER: usize = 20 * 1024 * 1024;

/// What a peer may have relayed: a house of voters at once, then a ballot every half second, or the largest delta in twenty
/// seconds. This is what checking costs.
const OF_PEER: Rate = Rate { per_second: 2, burst: 96 };
/// What all peers together may have relayed.
const OF_ALL: Rate = Rate { per_second: 16, burst: 512 };
/// Bytes for one token.
const TOKEN_BYTES: usize = 256 * 1024;

/// A contribution of somebody at this node.
struct Own {
    submission: Arc<Submission>,
    attempt: Attempt,
    /// The first nodes of the ways it went.
    tried: Vec<NodeId>,
    /// How often nobody was there to send to.
    looked: u32,
    /// How often it went to the operators directly.
    direct: u32,
    next: Timestamp,
}

/// A contribution on its way past this node.
struct Held {
    from: NodeId,
    stem: Stem,
    size: usize,
    pass_at: Timestamp,
}

/// All of them.
pub(super) struct Stems {
    own: BTreeMap<BlobId, Own>,
    arrived: Vec<(NodeId, Stem)>,
    held: Vec<Held>,
    of_peers: BTreeMap<NodeId, Bucket>,
    of_all: Bucket,
}

impl Stems {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            own: BTreeMap::new(),
            arrived: Vec::new(),
            held: Vec::new(),
            of_peers: BTreeMap::new(),
            of_all: Bucket::new(now),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.own.values().map(|own| own.next).chain(self.held.iter().map(|held| held.pass_at)).min()
    }

    /// Lets go of own contributions that the log has settled.
    pub(super) fn settle(&mut self, logged: impl Fn(&Attempt) -> bool) {
        self.own.retain(|_, own| !logged(&own.attempt));
    }

    pub(super) fn forget_peer(&mut self, node: &NodeId) {
        self.of_peers.remove(node);
    }

    /// Refuses what is over the bounds of its sender or of all.
    fn admit(&mut self, now: Timestamp, from: NodeId, size: usize) -> Result<(), Fault> {
        let of_peer = || self.held.iter().filter(|held| held.from == from);
        bound("stems held", MAX_HELD, self.held.len() + 1)?;
        bound("stems of one peer held", MAX_HELD_OF_PEER, of_peer().count() + 1)?;
        bound("bytes of stems held", MAX_HELD_BYTES, self.held.iter().map(|held| held.size).sum::<usize>() + size)?;
        bound(
            "bytes of one peer's stems",
            MAX_HELD_BYTES_OF_PEER,
            of_peer().map(|held| held.size).sum::<usize>() + size,
        )?;
        let cost = 1 + (size / TOKEN_BYTES) as u64;
        let bucket = self.of_peers.entry(from).or_insert_with(|| Bucket::new(now));
        if bucket.take(now, cost, OF_PEER) && self.of_all.take(now, cost, OF_ALL) {
            return Ok(());
        }
        Err(Fault::Bound { what: "stems within a short time", bound: OF_PEER.burst, found: OF_PEER.burst + cost })
    }
}

impl Peer {
    /// Takes on a contribution of somebody at this node, until it is on the log.
    pub(super) fn contribute(&mut self, submission: Submission) {
        let Ok(body) = Body::from_bytes(&submission.body) else { return };
        let attempt = (body.round, body.tag, body.sequence);
        let own =
            Own { attempt, submission: Arc::new(submission), tried: Vec::new(), looked: 0, direct: 0, next: self.now };
        self.stems.own.insert(BlobId::of(&own.submission.body), own);
    }

    /// Sends an operator that has just been met the own contributions that go to operators directly.
    pub(super) fn send_direct(&mut self, to: NodeId) {
        let Some(key) = self.nodes.get(&to).copied().flatten() else { return };
        let rounds = self.ledger.rounds();
        let is_theirs = |own: &&Own| rounds.get(&own.attempt.0).is_some_and(|it| it.charter.operator(&key).is_some());
        let direct = self.stems.own.values().filter(|own| own.direct > 0).filter(is_theirs);
        let direct = direct.map(|own| Arc::clone(&own.submission));
        for submission in direct.collect::<Vec<_>>() {
            self.send(to, &Message::Submission(submission.as_ref().clone()));
        }
    }

    /// Takes a stem from a peer.
    pub(super) fn on_stem(&mut self, from: NodeId, stem: Stem) -> Result<(), Fault> {
        let size = stem.submission.size();
        self.stems.admit(self.now, from, size)?;
        if stem.hops_left > MAX_HOPS {
            let (bound, found) = (MAX_HOPS.into(), stem.hops_left.into());
            return Err(Fault::Bound { what: "steps of a stem", bound, found });
        }
        let form = CheckedForm::new(&self.ledger, &stem.submission.body)?;
        form.check_lengths(&stem.submission)?;
        if Collected::is_logged(&self.ledger, &attempt(&form.header)) {
            return Err(Fault::Phase("a contribution"));
        }
        self.stems.arrived.push((from, stem));
        Ok(())
    }

    /// Passes on what was held long enough, and sends own contributions that are due.
    pub(super) fn move_stems(&mut self, rng: &mut impl CryptoRng) {
        for (from, stem) in std::mem::take(&mut self.stems.arrived) {
            let longest = self.time_left(&stem.submission).map_or(0, |left| HOLD_MILLIS.min(left / 16));
            let pass_at = self.now.plus_millis(below(rng, longest + 1));
            let size = stem.submission.size();
            self.stems.held.push(Held { from, stem, size, pass_at });
        }
        let now = self.now;
        for held in self.stems.held.extract_if(.., |held| held.pass_at <= now).collect::<Vec<_>>() {
            self.pass_on(held, rng);
        }
        let due = self.stems.own.iter().filter(|(_, own)| own.next <= now).map(|(body, _)| *body);
        for body in due.collect::<Vec<_>>() {
            self.send_own(body, rng);
        }
    }

    /// How long a contribution's round is still open, in milliseconds.
    fn time_left(&self, submission: &Submission) -> Option<u64> {
        let round = Body::round_of(&submission.body)?;
        self.open_for(&round)
    }

    fn open_for(&self, round: &RoundId) -> Option<u64> {
        let manifest = self.ledger.rounds().get(round)?.manifest.as_ref()?;
        Some(manifest.deadline.as_millis().saturating_sub(self.now.as_millis()))
    }

    /// Draws a peer that takes stems: one that is no operator, if there is one.
    fn draw_relay(&self, not: &[NodeId], rng: &mut impl CryptoRng) -> Option<NodeId> {
        if self.config.minor < Message::STEM_MINOR {
            return None;
        }
        let speaks = |node: &NodeId| self.minors.get(node).is_some_and(|minor| *minor >= Message::STEM_MINOR);
        let takes = |node: &&NodeId| speaks(node) && !not.contains(node);
        let (operators, others): (Vec<NodeId>, Vec<NodeId>) =
            self.nodes.keys().filter(takes).copied().partition(|node| self.is_operator_node(node));
        let among = if others.is_empty() { operators } else { others };
        let index = usize::try_from(below(rng, among.len() as u64)).ok()?;
        among.get(index).copied()
    }

    fn is_operator_node(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(Option::is_some)
    }

    fn knows_operators(&self) -> bool {
        self.nodes.values().any(Option::is_some)
    }

    fn pass_on(&mut self, held: Held, rng: &mut impl CryptoRng) {
        let Held { from, stem: Stem { hops_left, submission }, .. } = held;
        // An operator of the round whose key may speak; another one is a relay like any.
        let is_due = Body::round_of(&submission.body).is_some_and(|round| self.has_duties_in(&round));
        let at_the_end = hops_left == 0 && (is_due || self.knows_operators());
        // An own one that has come round goes the way it went: nobody else hears it from its author.
        let own = self.stems.own.get(&BlobId::of(&submission.body)).and_then(|own| own.tried.last());
        let next = match own.copied().filter(|relay| self.nodes.contains_key(relay)) {
            Some(relay) => Some(relay),
            None if at_the_end => None,
            None => self.draw_relay(&[from], rng),
        };
        match next {
            Some(next) => self.send(next, &Message::Stem(Stem { hops_left: hops_left.saturating_sub(1), submission })),
            // An operator checks it as it checks all that comes, and then sends it to the others.
            None if is_due => {
                let _ = self.intake.enqueue(self.config.node, submission, true);
            }
            None => self.send_if_it_holds(submission, rng),
        }
    }

    fn has_duties_in(&self, round: &RoundId) -> bool {
        self.ledger.rounds().get(round).is_some_and(|round| self.operator_in(round).is_some())
    }

    /// Ends a stem at a node that is no operator's: what does not hold goes nowhere.
    fn send_if_it_holds(&mut self, submission: Submission, rng: &mut impl CryptoRng) {
        let Ok(form) = CheckedForm::new(&self.ledger, &submission.body) else { return };
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let verdict = verify_all(&self.ledger, &[&form], &seed).pop();
        let Some(Ok(equations)) = verdict else { return };
        if form.check_masked(&equations, &submission).is_ok() {
            self.send_to_operators_of(form.header.round, &Message::Submission(submission));
        }
    }

    /// Sends an own contribution the next way.
    fn send_own(&mut self, body: BlobId, rng: &mut impl CryptoRng) {
        let Some(own) = self.stems.own.get(&body) else { return };
        let submission = Arc::clone(&own.submission);
        let (tried, looked, sent, round) = (own.tried.clone(), own.looked, own.direct, own.attempt.0);
        let relay = if tried.len() < PATHS { self.draw_relay(&tried, rng) } else { None };
        let unheard = self.nodes.keys().any(|node| !self.minors.contains_key(node));
        let is_due = self.has_duties_in(&round);
        let nobody = self.nodes.is_empty() && !is_due;
        let may_wait = tried.is_empty() && looked < LOOKS && unheard && self.config.minor >= Message::STEM_MINOR;
        let (wait, now) = (transfer_millis(submission.size()), self.now);
        let operators = u64::from(self.ledger.charter().sharing().operators());
        let next = match relay {
            Some(relay) => {
                let hops_left = hops(rng.next_u64());
                let patience = PATIENCE_MILLIS + wait * (u64::from(hops_left) + 1 + operators);
                let stem = Stem { hops_left, submission: submission.as_ref().clone() };
                self.send(relay, &Message::Stem(stem));
                patience.min(self.open_for(&round).unwrap_or_default() / 4).max(LOOK_MILLIS)
            }
            None if nobody || may_wait => LOOK_MILLIS,
            None => {
                if is_due {
                    let _ = self.intake.enqueue(self.config.node, submission.as_ref().clone(), false);
                }
                self.send_to_operators_of(round, &Message::Submission(submission.as_ref().clone()));
                RESEND_MILLIS.saturating_mul(1 << sent.min(16)).min(LONGEST_RESEND_MILLIS) + wait * operators
            }
        };
        let Some(own) = self.stems.own.get_mut(&body) else { return };
        own.next = now.plus_millis(next);
        own.looked = if relay.is_none() { looked.saturating_add(1) } else { looked };
        own.direct = if relay.is_none() && !nobody && !may_wait { sent.saturating_add(1) } else { 0 };
        own.tried.extend(relay);
    }
}

/// Returns how many relays after the first pass a stem on: one, and one more for every head before the first tail.
fn hops(coins: u64) -> u8 {
    let heads = u8::try_from(coins.trailing_ones()).unwrap_or(u8::MAX);
    heads.saturating_add(1).min(MAX_HOPS)
}

/// Draws a number below `bound`; zero if there is none. The bias is below 2⁻⁴⁰ for what is drawn here.
fn below(rng: &mut impl CryptoRng, bound: u64) -> u64 {
    rng.next_u64().checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In how many of the 2⁶⁴ draws each number is on a stem, by how many heads come before the first tail.
    fn draws() -> Vec<u128> {
        let mut draws = vec![0; usize::from(MAX_HOPS) + 1];
        for heads in 0..=u64::BITS {
            let first = if heads == u64::BITS { u64::MAX } else { (1 << heads) - 1 };
            let free = u64::MAX.checked_shl(heads + 1).unwrap_or_default();
            let number = hops(first);
            // What comes after the first tail decides nothing.
            let rests = [free, free & 0x5555_5555_5555_5555, free & 0xF0F0_1234_8765_0F0F];
            assert_eq!(rests.map(|rest| hops(first | rest)), [number; 3]);
            draws[usize::from(number)] += 1 << free.count_ones();
        }
        draws
    }

    #[test]
    fn the_number_on_a_stem_gives_its_author_away_once_in_two_to_the_39() {
        let draws = draws();

        assert_eq!((draws[0], draws.iter().sum::<u128>()), (0, 1 << 64));
        for (number, pair) in draws.array_windows::<2>().enumerate().skip(1) {
            let older: u128 = draws[number + 1..].iter().sum();
            assert!(2 * pair[1] >= pair[0] && older >= pair[0], "{number} is the author's own more often than not");
        }
        assert!(draws[usize::from(MAX_HOPS)] <= 1 << (64 - 39), "{draws:?}");
    }
}
