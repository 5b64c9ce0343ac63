//! What a running node measures of itself: whether it turns, and how much of the machinery's talk goes by.
//!
//! # Security
//!
//! What concerns people is not counted at all: neither contributions nor entries, nor what answers them, so that no count
//! moves when the person at this node votes or proposes. Of the rest, the counts are handed out as they stood at the last
//! quarter of an hour.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chorus_protocol::id::CommunityId;

/// The longest time between two signs of life of a thread that works. The longest steps are sums of large adapters, minutes
/// of work in one turn: a node must not be started again in the middle of one, or it would never be done.
pub const LIVE_WITHIN: Duration = Duration::from_secs(600);

/// For how long the slowest turn is remembered, at least.
const WINDOW: Duration = Duration::from_secs(60);

/// How often counts are handed out.
const PUBLISHED_EVERY: Duration = Duration::from_secs(15 * 60);

/// What [`Meters::disk_since`](Meters) holds while the disk has nothing to do.
const IDLE: u64 = u64::MAX;

/// A kind of message that is counted: the machinery's, which is the same whoever votes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Kind {
    /// Operators' greetings.
    Hello,
    /// The consensus.
    Consensus,
    /// How far logs reach.
    Tip,
    /// Requests for parts of the log.
    LogRequest,
    /// Parts of the log.
    Log,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hello, Self::Consensus, Self::Tip, Self::LogRequest, Self::Log];

    /// Returns the name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Consensus => "consensus",
            Self::Tip => "tip",
            Self::LogRequest => "log_request",
            Self::Log => "log",
        }
    }

    /// Tells which kind an envelope holds: the byte after version and community says it.
    fn of(envelope: &[u8]) -> Option<Self> {
        match envelope.get(1 + CommunityId::LEN)? {
            1 => Some(Self::Hello),
            2 => Some(Self::Consensus),
            6 => Some(Self::Tip),
            7 => Some(Self::LogRequest),
            8 => Some(Self::Log),
            _ => None,
        }
    }
}

/// How many messages of a kind went one way, and their bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The counts of all kinds, in the order of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// What arrived.
    pub received: [Count; Kind::ALL.len()],
    /// What was sent; what is told to everybody counts once.
    pub sent: [Count; Kind::ALL.len()],
}

#[derive(Debug, Default)]
struct Counting {
    now: Counts,
    published: Counts,
    published_at: Duration,
    /// The slowest turns of this window and of the one before it.
    slowest: [Duration; 2],
    window: u64,
}

/// What a running node measures of itself.
#[derive(Debug)]
pub struct Meters {
    began: Instant,
    /// When the protocol's thread last turned, in milliseconds since the beginning.
    turned: AtomicU64,
    /// Since when the disk's thread has been at work on one group of effects.
    disk_since: AtomicU64,
    halted: AtomicBool,
    /// Public bodies that did not fit.
    not_kept: AtomicU64,
    counting: Mutex<Counting>,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            turned: AtomicU64::new(0),
            disk_since: AtomicU64::new(IDLE),
            halted: AtomicBool::new(false),
            not_kept: AtomicU64::new(0),
            counting: Mutex::default(),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(IDLE - 1)
    }

    fn counting(&self) -> std::sync::MutexGuard<'_, Counting> {
        // Numbers are as good after a panic as before it.
        self.counting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The protocol's thread is there, with or without something to do.
    pub(super) fn turning(&self) {
        self.turned.store(self.millis(), Ordering::Relaxed);
    }

    /// A turn of the protocol's thread took as long.
    pub(super) fn turned(&self, took: Duration) {
        self.turning();
        let window = self.began.elapsed().as_secs() / WINDOW.as_secs();
        self.counting().note_turn(window, took);
    }

    /// The disk's thread begins with a group of effects.
    pub(super) fn disk_begins(&self) {
        self.disk_since.store(self.millis(), Ordering::Relaxed);
    }

    /// The disk's thread is done with it.
    pub(super) fn disk_rests(&self) {
        self.disk_since.store(IDLE, Ordering::Relaxed);
    }

    /// The node can no longer take part; a person has to look.
    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// A public body did not fit.
    pub(super) fn kept_not(&self) {
        self.not_kept.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many public bodies did not fit since the start.
    pub fn not_kept(&self) -> u64 {
        self.not_kept.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self, envelope: &[u8]) {
        if let Some(kind) = Kind::of(envelope) {
            self.count(|counts| &mut counts.received, kind, envelope.len());
        }
    }

    pub(super) fn sent(&self, envelope: &[u8]) {
        if let Some(kind) = Kind::of(envelope) {
            self.count(|counts| &mut counts.sent, kind, envelope.len());
        }
    }

    fn count(&self, of: impl Fn(&mut Counts) -> &mut [Count; Kind::ALL.len()], kind: Kind, bytes: usize) {
        let mut counting = self.counting();
        counting.publish(self.began.elapsed());
        if let Some(count) = of(&mut counting.now).get_mut(kind as usize) {
            count.messages += 1;
            count.bytes += bytes as u64;
        }
    }

    /// Returns how long ago the protocol's thread last turned.
    pub fn turn_age(&self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(self.turned.load(Ordering::Relaxed)))
    }

    /// Returns for how long the disk's thread has been at work on one group of effects; zero while it rests.
    pub fn disk_busy(&self) -> Duration {
        match self.disk_since.load(Ordering::Relaxed) {
            IDLE => Duration::ZERO,
            since => Duration::from_millis(self.millis().saturating_sub(since)),
        }
    }

    /// Returns whether both threads work.
    pub fn is_live(&self) -> bool {
        self.turn_age() < LIVE_WITHIN && self.disk_busy() < LIVE_WITHIN
    }

    /// Returns whether the node has said that it can no longer take part.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Returns how long the node has been running.
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns the slowest turn of the last minute or two.
    pub fn slowest_turn(&self) -> Duration {
        let window = self.began.elapsed().as_secs() / WINDOW.as_secs();
        let mut counting = self.counting();
        counting.note_turn(window, Duration::ZERO);
        counting.slowest.into_iter().max().unwrap_or_default()
    }

    /// Returns the counts as they stood at the last quarter of an hour.
    pub fn counts(&self) -> Counts {
        let mut counting = self.counting();
        counting.publish(self.began.elapsed());
        counting.published
    }
}

impl Counting {
    fn note_turn(&mut self, window: u64, took: Duration) {
        match window.saturating_sub(self.window) {
            0 => {}
            1 => self.slowest = [Duration::ZERO, self.slowest[0]],
            _ => self.slowest = [Duration::ZERO; 2],
        }
        self.window = self.window.max(window);
        self.slowest[0] = self.slowest[0].max(took);
    }

    /// Hands out what was counted, once a quarter of an hour. It is called before each count, so that nothing is handed
    /// out in the quarter in which it happened.
    fn publish(&mut self, uptime: Duration) {
        if uptime.saturating_sub(self.published_at) >= PUBLISHED_EVERY {
            self.published = self.now;
            let quarters = uptime.as_secs() / PUBLISHED_EVERY.as_secs();
            self.published_at = Duration::from_secs(quarters * PUBLISHED_EVERY.as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use chorus_protocol::{
        contribution::Submission,
        log::batch::Height,
        message::{Message, Tip},
    };

    use super::*;

    #[test]
    fn the_machinery_is_counted_and_contributions_are_not() {
        let community = CommunityId::from([1; 32]);
        let meters = Meters::new();
        let tip = Message::Tip(Tip { height: Height(3) }).seal(community);
        let submission = Submission { body: vec![0; 40], masked: Vec::new(), boxes: vec![None] };

        meters.received(&tip);
        meters.sent(&Message::Submission(submission).seal(community));
        meters.received(&[]);

        let counts = meters.counting().now;
        assert_eq!(counts.received[Kind::Tip as usize], Count { messages: 1, bytes: tip.len() as u64 });
        assert_eq!(counts.sent, [Count::default(); Kind::ALL.len()]);
        assert_eq!(meters.counts(), Counts::default(), "nothing is handed out at once");
    }

    #[test]
    fn counts_are_handed_out_by_the_quarter_of_an_hour() {
        let mut counting = Counting::default();
        counting.now.sent[0] = Count { messages: 5, bytes: 50 };

        counting.publish(PUBLISHED_EVERY - Duration::from_secs(1));
        assert_eq!(counting.published, Counts::default());
        counting.publish(PUBLISHED_EVERY + Duration::from_secs(700));
        assert_eq!(counting.published.sent[0].messages, 5);
        counting.now.sent[0].messages = 6;
        counting.publish(PUBLISHED_EVERY * 2 - Duration::from_secs(1));
        assert_eq!(counting.published.sent[0].messages, 5);
        counting.publish(PUBLISHED_EVERY * 2);
        assert_eq!(counting.published.sent[0].messages, 6);
    }

    #[test]
    fn the_slowest_turn_is_remembered_for_a_minute_or_two() {
        let mut counting = Counting::default();
        let slowest = |counting: &Counting| counting.slowest.into_iter().max().unwrap_or_default();
        counting.note_turn(0, Duration::from_secs(3));

        counting.note_turn(1, Duration::from_secs(1));
        assert_eq!(slowest(&counting), Duration::from_secs(3));
        counting.note_turn(2, Duration::ZERO);
        assert_eq!(slowest(&counting), Duration::from_secs(1));
        counting.note_turn(9, Duration::ZERO);
        assert_eq!(slowest(&counting), Duration::ZERO);
    }
}
