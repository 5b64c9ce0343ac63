//! How peers behave: a score that offences lower and time heals, and what follows from it.
//!
//! gossipsub keeps a score of its own, about gossip alone, that decides whom it meshes with. This one is about everything
//! a peer sends, and owns what only the whole can decide: whether there is a connection at all. gossipsub hears of it as
//! its application-specific score.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::NodeId;

/// The time in which half of what a peer did is forgiven.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// The score at which a peer is disconnected: eight bad messages within a minute. Peers check what they forward, so an honest one
/// sends none; a few are forgiven, since two versions may disagree at the edges.
const DISCONNECTED: f64 = -19.0;
/// The score at which it is banned. A disconnected peer may come back, so this takes twenty bad messages.
const BANNED: f64 = -49.0;
/// How long a disconnected peer stays out.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a banned one does.
const BAN: Duration = Duration::from_secs(12 * 3600);
/// Peers whose scores or bans are remembered; beyond that, those that offended longest ago are forgotten.
const MAX_REMEMBERED: usize = 4096;

/// What a peer did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offence {
    /// Passed on gossip that is bad whoever looks at it.
    Rejected,
    /// Sent a message that is no message.
    Malformed,
    /// Sent something else than the blob that was asked for.
    WrongBlob,
    /// Announced a frame over its bound.
    Oversized,
    /// Sent a contribution whose proofs do not hold. Honest nodes verify what they send to operators.
    Proof,
    /// Said something that the protocol refuses, and that no honest node says at any time.
    Fault,
    /// Let a message that it had begun come to a halt. Bad links do that too.
    Stalled,
    /// Said again what it had said, or what is settled since, or of no use here. Honest nodes do that too, so it counts only
    /// beyond what they do: 512 within a short time.
    Repeated,
}

/// Repeats within a short time that are nobody's fault: what a node that was away finds waiting, or whose answers were lost.
const REPEATS: f64 = 512.0;
/// How many of them are forgiven each second: more than a node says again that is not heard.
const REPEATS_A_SECOND: f64 = 32.0;

impl Offence {
    /// How much the score falls.
    const fn cost(self) -> f64 {
        match self {
            Self::Rejected | Self::Malformed | Self::WrongBlob | Self::Proof => 2.5,
            Self::Oversized => 5.0,
            Self::Fault | Self::Stalled | Self::Repeated => 1.25,
        }
    }
}

/// What follows from an offence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sentence {
    /// Nothing yet.
    Nothing,
    /// The peer is disconnected, and stays out for a minute.
    Disconnect,
    /// The peer stays out for half a day.
    Ban,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    value: f64,
    at: Instant,
}

impl Score {
    fn now(&self, now: Instant) -> f64 {
        let halves = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.value * (-halves).exp2()
    }
}

/// The scores of peers, and who is out.
#[derive(Debug, Default)]
pub(super) struct Scores {
    scores: BTreeMap<NodeId, Score>,
    out: BTreeMap<NodeId, Instant>,
    /// What peers said again, less what is forgiven.
    repeats: BTreeMap<NodeId, (f64, Instant)>,
    /// Those who made room for others, until they are let back.
    freed: Vec<NodeId>,
}

impl Scores {
    /// Counts an offence, and says what follows.
    pub(super) fn blame(&mut self, peer: NodeId, offence: Offence, now: Instant) -> Sentence {
        if offence == Offence::Repeated && self.bears_repeat(peer, now) {
            return Sentence::Nothing;
        }
        if self.scores.len() >= MAX_REMEMBERED && !self.scores.contains_key(&peer) {
            let oldest = self.scores.iter().min_by_key(|(_, score)| score.at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.scores.remove(&peer));
        }
        let value = self.score(&peer, now) - offence.cost();
        self.scores.insert(peer, Score { value, at: now });
        let (sentence, pause) = match value {
            value if value <= BANNED => (Sentence::Ban, BAN),
            value if value <= DISCONNECTED => (Sentence::Disconnect, PAUSE),
            _ => return Sentence::Nothing,
        };
        if self.out.len() >= MAX_REMEMBERED && !self.out.contains_key(&peer) {
            let first = self.out.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            // It is let back with the others whose time is up.
            self.freed.extend(first.filter(|peer| self.out.remove(peer).is_some()));
        }
        self.out.insert(peer, now + pause);
        sentence
    }

    /// Counts a repeat, if that is no more than honest nodes say again.
    fn bears_repeat(&mut self, peer: NodeId, now: Instant) -> bool {
        if self.repeats.len() >= MAX_REMEMBERED && !self.repeats.contains_key(&peer) {
            let oldest = self.repeats.iter().min_by_key(|(_, (_, at))| *at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.repeats.remove(&peer));
        }
        let (count, at) = self.repeats.entry(peer).or_insert((0.0, now));
        let forgiven = now.saturating_duration_since(*at).as_secs_f64() * REPEATS_A_SECOND;
        (*count, *at) = ((*count - forgiven).max(0.0), now);
        let bears = *count + 1.0 <= REPEATS;
        if bears {
            *count += 1.0;
        }
        bears
    }

    /// Returns a peer's score: zero, or less.
    pub(super) fn score(&self, peer: &NodeId, now: Instant) -> f64 {
        self.scores.get(peer).map_or(0.0, |score| score.now(now))
    }

    /// Returns, once each, the peers who may come back.
    pub(super) fn let_back(&mut self, now: Instant) -> Vec<NodeId> {
        let mut back = std::mem::take(&mut self.freed);
        back.retain(|peer| !self.out.contains_key(peer));
        back.extend(self.out.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer));
        back.iter().for_each(|peer| {
            self.out.remove(peer);
        });
        back
    }

    /// The peer is out for good: it is not let back.
    pub(super) fn ban(&mut self, peer: &NodeId) {
        self.out.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_messages_add_up_to_a_pause_and_then_to_a_ban() {
        let start = Instant::now();
        let mut scores = Scores::default();
        let bad = NodeId::from([1; 32]);

        let sentences: Vec<_> = (0..20).map(|_| scores.blame(bad, Offence::Malformed, start)).collect();

        assert!(sentences[..7].iter().all(|it| *it == Sentence::Nothing));
        assert!(sentences[7..19].iter().all(|it| *it == Sentence::Disconnect));
        assert_eq!(sentences[19], Sentence::Ban);
        assert!(scores.let_back(start + PAUSE).is_empty());
        assert_eq!(scores.let_back(start + BAN), [bad]);
        assert!(scores.let_back(start + BAN).is_empty());
    }

    #[test]
    fn what_a_peer_did_is_half_forgiven_in_ten_minutes_and_a_clumsy_one_stays() {
        let start = Instant::now();
        let mut scores = Scores::default();
        let (clumsy, other) = (NodeId::from([2; 32]), NodeId::from([3; 32]));

        for minutes in 0..100 {
            let now = start + Duration::from_secs(150) * minutes;
            assert_eq!(scores.blame(clumsy, Offence::Rejected, now), Sentence::Nothing, "{minutes}");
        }
        scores.blame(other, Offence::Oversized, start);

        assert!((scores.score(&other, start + HALF_LIFE) + 2.5).abs() < 1e-9);
        assert!(scores.score(&NodeId::from([4; 32]), start) == 0.0);
    }

    #[test]
    fn whoever_repeats_what_it_said_is_borne_with_until_it_is_a_flood() {
        let start = Instant::now();
        let (patient, flooding) = (NodeId::from([5; 32]), NodeId::from([6; 32]));
        let mut scores = Scores::default();

        // Thirty a second for five minutes.
        for number in 0..9_000_u64 {
            let now = start + Duration::from_millis(number * 1_000 / 30);
            assert_eq!(scores.blame(patient, Offence::Repeated, now), Sentence::Nothing);
        }
        let sentences: Vec<_> = (0..600).map(|_| scores.blame(flooding, Offence::Repeated, start)).collect();

        assert!(scores.score(&patient, start) == 0.0);
        let borne = sentences.iter().take_while(|it| **it == Sentence::Nothing).count();
        assert!((512..540).contains(&borne), "{borne}");
        assert_eq!(sentences.last(), Some(&Sentence::Ban));
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let start = Instant::now();
        let mut scores = Scores::default();

        for number in 0..MAX_REMEMBERED as u64 + 10 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            (0..8).for_each(|_| {
                scores.blame(NodeId::from(id), Offence::Malformed, start + Duration::from_millis(number));
            });
            scores.blame(NodeId::from(id), Offence::Repeated, start + Duration::from_millis(number));
        }

        assert_eq!((scores.scores.len(), scores.repeats.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        assert!(!scores.let_back(start + Duration::from_secs(10)).is_empty());
        assert!(scores.out.len() <= MAX_REMEMBERED);
    }
}
