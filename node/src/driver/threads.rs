//! The two threads of a node: one runs the protocol, the other makes durable and sends what it says.
//!
//! They are threads and not tasks because both block, one on proofs, the other on the disk. The first never waits for the
//! second unless too much is waiting, so that checking and writing overlap.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chorus_protocol::{
    peer::{Effect, Event, Notice, Peer},
    time::Timestamp,
};
use rand_chacha::ChaCha20Rng;
use tokio::sync::{Mutex, watch};

use super::{
    NodeError,
    disk::{Disk, Outgoing},
    inbox::{Events, Taken},
    meters::Meters,
    outlet::Outlet,
};
use crate::recording::Recorder;

/// Groups of effects that wait for the disk; then the protocol waits.
const GROUPS: usize = 64;

/// For how long events are handled before their effects are handed on, and others may look at the state.
const LONGEST_TURN: Duration = Duration::from_millis(20);

/// The shortest wait for a deadline, so that one that has passed cannot keep a thread busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The longest wait without a sign of life.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the threads of a node share with its handles.
#[derive(Debug)]
pub(super) struct Shared {
    /// The protocol. The protocol's thread alone changes it, others look.
    pub(super) peer: Arc<Mutex<Peer>>,
    /// Counts groups of events, so that whoever waits for something looks again.
    pub(super) changed: watch::Sender<u64>,
    /// What the threads say of themselves.
    pub(super) meters: Arc<Meters>,
    /// Counts the groups of effects that were handed to the disk. Changed and read with the peer at hand, so that
    /// everything seen in the peer's state is in effects up to this one.
    pub(super) handed: Arc<AtomicU64>,
    /// How many of them are durable.
    pub(super) durable: watch::Sender<u64>,
}

/// How events are handled: with which randomness, and whether they are written down.
#[derive(Debug)]
pub(super) struct Turns {
    /// The protocol's randomness. A recorded node's is drawn from the recording's seed by nothing else.
    pub(super) rng: ChaCha20Rng,
    /// The recording, if there is one.
    pub(super) recorder: Option<Recorder>,
}

impl Turns {
    fn handle(&mut self, peer: &mut Peer, event: Event, performed: &mut Vec<Effect>) {
        let now = now();
        let pending = self.recorder.as_ref().and_then(|recorder| recorder.note(now, &event));
        peer.handle(now, event, &mut self.rng);
        let already = performed.len();
        performed.extend(std::iter::from_fn(|| peer.poll_effect()));
        if let (Some(recorder), Some(pending)) = (&mut self.recorder, pending) {
            recorder.write(pending, performed.get(already..).unwrap_or_default());
        }
    }

    /// There is nothing to handle for a moment.
    fn pause(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }
}

/// Returns the time of this machine's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Starts both. `stopped` is called once everything is closed.
pub(super) fn start(
    shared: Shared,
    events: Events,
    mut turns: Turns,
    disk: Disk,
    outlet: Outlet,
    stopped: impl FnOnce() + Send + 'static,
) -> Result<(), NodeError> {
    let (sender, receiver) = sync_channel(GROUPS);
    let span = tracing::Span::current();
    let of_disk = span.clone();
    let meters = Arc::clone(&shared.meters);
    let durable = shared.durable.clone();
    thread::Builder::new()
        .name("disk".into())
        .spawn(move || of_disk.in_scope(|| write(disk, outlet, &receiver, (&durable, &meters), stopped)))?;
    thread::Builder::new()
        .name("protocol".into())
        .spawn(move || span.in_scope(|| run(&shared, &events, &mut turns, &sender)))?;
    Ok(())
}

/// Runs the protocol until it is told to stop, or the disk fails.
fn run(shared: &Shared, events: &Events, turns: &mut Turns, effects: &SyncSender<(u64, Vec<Effect>)>) {
    let mut next = Some(Box::new(Event::Tick));
    let mut stopping = false;
    let meters = &shared.meters;
    loop {
        let (number, performed, deadline) = {
            let mut peer = shared.peer.blocking_lock();
            let began = Instant::now();
            let mut performed = Vec::new();
            while let Some(event) = next.take() {
                if let Event::Message { bytes, .. } = &*event {
                    meters.received(bytes);
                }
                turns.handle(&mut peer, *event, &mut performed);
                match events.take(Some(Duration::ZERO)) {
                    Taken::Event(event) => next = Some(event),
                    Taken::Nothing => {}
                    Taken::Stop => stopping = true,
                }
                if began.elapsed() > LONGEST_TURN {
                    break;
                }
            }
            turns.pause();
            meters.turned(began.elapsed());
            let new = u64::from(!performed.is_empty());
            (shared.handed.fetch_add(new, Ordering::AcqRel) + new, performed, peer.next_deadline())
        };
        for effect in &performed {
            if let Effect::Send { bytes, .. } | Effect::Publish(bytes) = effect {
                meters.sent(bytes);
            }
        }
        shared.changed.send_modify(|count| *count = count.wrapping_add(1));
        if (!performed.is_empty() && effects.send((number, performed)).is_err()) || stopping {
            return;
        }
        if next.is_some() {
            continue;
        }
        match wait_for(events, deadline, meters) {
            Some(event) => next = Some(event),
            None => return,
        }
    }
}

/// Waits for the next event or the deadline, and says meanwhile that the thread is there; nothing is next if the node shall
/// stop.
fn wait_for(events: &Events, deadline: Option<Timestamp>, meters: &Meters) -> Option<Box<Event>> {
    loop {
        let wait = deadline.map(|at| Duration::from_millis(at.as_millis().saturating_sub(now().as_millis())));
        let due = wait.filter(|wait| *wait <= LONGEST_WAIT);
        match events.take(Some(due.unwrap_or(LONGEST_WAIT).max(SHORTEST_WAIT))) {
            Taken::Event(event) => return Some(event),
            Taken::Nothing if due.is_some() => return Some(Box::new(Event::Tick)),
            Taken::Nothing => meters.turning(),
            Taken::Stop => return None,
        }
    }
}

/// Whether a node can go on no more.
fn ends(effect: &Effect) -> bool {
    match effect {
        Effect::Notice(Notice::Halted(_)) => true,
        Effect::Notice(Notice::Arriving { why, .. }) => why.is_final(),
        _ => false,
    }
}

/// Performs effects until there are no more, or the disk fails.
fn write(
    mut disk: Disk,
    mut outlet: Outlet,
    effects: &Receiver<(u64, Vec<Effect>)>,
    (durable, meters): (&watch::Sender<u64>, &Meters),
    stopped: impl FnOnce(),
) {
    while let Ok((mut number, mut group)) = effects.recv() {
        meters.disk_begins();
        // What has gathered meanwhile shares one wait for the disk.
        while let Ok((later, more)) = effects.try_recv() {
            group.extend(more);
            number = later;
        }
        if group.iter().any(ends) {
            meters.halt();
        }
        let done = || {
            durable.send_replace(number);
        };
        let emit = |outgoing| {
            if let Outgoing::Notice(Notice::NotKept { .. }) = &outgoing {
                meters.kept_not();
            }
            outlet.emit(outgoing);
        };
        if let Err(error) = disk.perform(group, emit, done) {
            meters.halt();
            tracing::error!(%error, "the node stops");
            outlet.emit(Outgoing::Notice(Notice::Halted(error.to_string())));
            break;
        }
        meters.disk_rests();
    }
    drop(disk);
    drop(outlet);
    stopped();
}
