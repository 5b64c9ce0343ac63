//! How much goes over the wire: counted always, held back where somebody said so.
//!
//! Every substream of every connection, TCP or QUIC, is wrapped ([`Limited`](muxer::Limited)), so nothing goes round it.
//! What is counted are the bytes that protocols write and read; what encryption and packets add, two to four in a
//! hundred, is not.
//!
//! Each direction has a token bucket of a quarter of a second. Streams of bulk data (blobs) ask for their bytes
//! beforehand, and get them only while the bucket is more than half full; everything else takes what is there. So gossip
//! and questions find room at once, however much is being fetched. A monthly quota is for bulk data alone as well: at nine
//! tenths of it nothing is given away any more, at all of it nothing is fetched, and the node goes on taking part.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

mod month;
pub(super) mod muxer;

pub(super) use month::{Ledger, write as write_ledger};

/// Bytes of bulk data that are asked for at a time.
pub(super) const BULK: usize = 16 * 1024;
/// Bulk answers that are sent at a time when the rate is held back: one after the other they are there earlier, on
/// average, than all at once; two, so that one slow reader does not hold up the rest.
const TURNS: usize = 2;
/// The least that a bucket holds: a bulk portion, its reserve, and as much again for timers that are late.
const LEAST_CAPACITY: f64 = 4.0 * BULK as f64;
/// The part of a second that a bucket holds.
const BURST: f64 = 0.25;
/// What a stream may take at once although the bucket is nearly empty, so that nothing is sent byte by byte.
const LEAST_TAKE: usize = 4096;

/// What a node's connection may be used for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caps {
    /// Bytes per second that are sent, at most.
    pub upload: Option<u64>,
    /// Bytes per second that are received, at most.
    pub download: Option<u64>,
    /// Bytes in a calendar month (UTC), in both directions together, beyond which no blobs are moved.
    pub monthly: Option<u64>,
    /// Whether blobs are moved over relayed connections too.
    pub relayed: bool,
    /// The file that remembers what was used of the month; without one, every start begins at nothing.
    pub ledger: Option<PathBuf>,
}

/// Bytes that went over the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Sent since the node started.
    pub sent: u64,
    /// Received since the node started.
    pub received: u64,
    /// Both, this month, if it is remembered.
    pub month: u64,
}

/// A rate, and what of it is there to be used.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    capacity: f64,
    level: f64,
    /// Bytes that bulk data has asked for and not moved yet.
    granted: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        let rate = (rate as f64).max(1.0);
        let capacity = (rate * BURST).max(LEAST_CAPACITY);
        Self { rate, capacity, level: capacity / 2.0, granted: 0.0, at: now }
    }

    fn refill(&mut self, now: Instant) {
        self.level = (self.level + now.saturating_duration_since(self.at).as_secs_f64() * self.rate).min(self.capacity);
        self.at = self.at.max(now);
    }

    fn until(&self, level: f64) -> Duration {
        Duration::from_secs_f64(((level - self.level) / self.rate).clamp(0.001, 3600.0))
    }

    /// Returns how many of `wanted` bytes may pass now, or how long to wait.
    fn pass(&mut self, wanted: usize, now: Instant) -> Result<usize, Duration> {
        self.refill(now);
        let there = self.level + self.granted;
        if there < 1.0 { Err(self.until(1.0)) } else { Ok(wanted.min((there as usize).max(LEAST_TAKE))) }
    }

    /// Bytes have passed.
    fn passed(&mut self, bytes: usize) {
        let of_bulk = (bytes as f64).min(self.granted);
        self.granted -= of_bulk;
        self.level -= bytes as f64 - of_bulk;
    }

    /// Sets bytes aside for bulk data, or says how long to wait.
    fn grant(&mut self, bytes: usize, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let bytes = bytes as f64;
        let needed = self.capacity / 2.0 + bytes;
        if self.level < needed {
            return Err(self.until(needed));
        }
        self.level -= bytes;
        self.granted += bytes;
        Ok(())
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Meter {
    total: AtomicU64,
    bucket: Option<Mutex<Bucket>>,
    turns: Semaphore,
}

impl Meter {
    fn new(rate: Option<u64>) -> Self {
        let bucket = rate.map(|rate| Mutex::new(Bucket::new(rate, Instant::now())));
        Self { total: AtomicU64::new(0), bucket, turns: Semaphore::new(TURNS) }
    }

    fn bucket(&self) -> Option<MutexGuard<'_, Bucket>> {
        // Numbers only: a panic between two of them costs a few bytes.
        self.bucket.as_ref().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pass(&self, wanted: usize) -> Result<usize, Duration> {
        self.bucket().map_or(Ok(wanted), |mut bucket| bucket.pass(wanted, Instant::now()))
    }

    fn passed(&self, bytes: usize) {
        self.total.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(mut bucket) = self.bucket() {
            bucket.passed(bytes);
        }
    }

    /// Waits until so many bytes of bulk data may be moved.
    pub(super) async fn bulk(&self, bytes: usize) {
        loop {
            let granted = self.bucket().map_or(Ok(()), |mut bucket| bucket.grant(bytes.min(BULK), Instant::now()));
            match granted {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Waits for the turn to send a bulk answer; at once if nothing is held back.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.bucket.as_ref()?;
        self.turns.acquire().await.ok()
    }

    /// Returns whether the rate is held back.
    pub(super) const fn is_capped(&self) -> bool {
        self.bucket.is_some()
    }

    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Both directions, and the month.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) up: Meter,
    pub(super) down: Meter,
    monthly: Option<u64>,
    /// What was used of the month when the counters were at nothing: it may be less than nothing after a month has ended.
    before: Mutex<i128>,
}

impl Limiter {
    pub(super) fn new(caps: &Caps, used: u64) -> Self {
        Self {
            up: Meter::new(caps.upload),
            down: Meter::new(caps.download),
            monthly: caps.monthly,
            before: Mutex::new(used.into()),
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let (sent, received) = (self.up.total(), self.down.total());
        let before = *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let month = (before + i128::from(sent) + i128::from(received)).max(0);
        Traffic { sent, received, month: u64::try_from(month).unwrap_or(u64::MAX) }
    }

    /// A month begins: nothing is used of it.
    pub(super) fn begin_month(&self) {
        let moved = i128::from(self.up.total()) + i128::from(self.down.total());
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = -moved;
    }

    /// Returns whether blobs may be given away.
    pub(super) fn may_serve(&self) -> bool {
        self.monthly.is_none_or(|quota| self.traffic().month < quota / 10 * 9)
    }

    /// Returns whether blobs may be fetched.
    pub(super) fn may_fetch(&self) -> bool {
        self.monthly.is_none_or(|quota| self.traffic().month < quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that bulk data and others move in `seconds`, each as greedy as it may, both asking every few milliseconds.
    fn moved(rate: u64, seconds: u64, others: usize) -> (f64, f64) {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        let (mut bulk, mut other, mut owed) = (0, 0, 0);
        for step in 0..seconds * 500 {
            let now = start + Duration::from_millis(2 * step);
            owed += others / 500;
            while owed > 0 {
                let Ok(taken) = bucket.pass(owed, now) else { break };
                bucket.passed(taken);
                owed -= taken;
                other += taken;
            }
            while bucket.grant(BULK, now).is_ok() {
                let mut left = BULK;
                while left > 0 {
                    let taken = bucket.pass(left, now).expect("it was granted");
                    bucket.passed(taken);
                    left -= taken;
                }
                bulk += BULK;
            }
        }
        (bulk as f64, other as f64)
    }

    #[test]
    fn a_rate_is_kept_and_used() {
        for rate in [50_000, 250_000, 2_500_000, 50_000_000] {
            let (bulk, _) = moved(rate, 30, 0);
            let share = bulk / (rate as f64 * 30.0);
            assert!((0.95..=1.05).contains(&share), "{share} of {rate}");
        }
    }

    #[test]
    fn what_is_no_bulk_goes_first() {
        let (bulk, other) = moved(1_000_000, 10, 800_000);

        assert!(other >= 0.99 * 8_000_000.0, "{other}");
        assert!((0.9..=1.05).contains(&((bulk + other) / 10_000_000.0)), "{bulk} and {other}");
        let (bulk, other) = moved(1_000_000, 10, 1_000_000);
        assert!(bulk < 100_000.0 && other > 9_900_000.0, "{bulk} and {other}");
    }

    #[test]
    fn the_month_stops_bulk_data_first_in_one_direction_and_then_in_the_other() {
        let limiter = Limiter::new(&Caps { monthly: Some(1000), ..Caps::default() }, 800);
        assert!(limiter.may_serve() && limiter.may_fetch());
        limiter.up.passed(100);
        assert!(!limiter.may_serve() && limiter.may_fetch());
        limiter.down.passed(100);
        assert!(!limiter.may_fetch());
        assert_eq!(limiter.traffic(), Traffic { sent: 100, received: 100, month: 1000 });

        limiter.begin_month();

        assert!(limiter.may_serve());
        assert_eq!(limiter.traffic(), Traffic { sent: 100, received: 100, month: 0 });
    }
}
