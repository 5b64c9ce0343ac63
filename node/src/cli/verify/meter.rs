//! How far a verification is: a bar on a terminal, or lines on standard error.

use std::{
    io::{self, Read, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chorus_protocol::audit::Progress;

use crate::cli::output::{self, Output, short};

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells how far it is. Clones tell the same.
#[derive(Clone)]
pub(super) struct Meter(Arc<Inner>);

struct Inner {
    /// Lines instead of a bar.
    lines: bool,
    bar: output::Progress,
    read: AtomicU64,
    state: Mutex<State>,
}

struct State {
    begun: Instant,
    total: u64,
    told: Option<Instant>,
    last: String,
}

impl Meter {
    pub(super) fn new(output: Output, lines: bool) -> Self {
        let state = State { begun: Instant::now(), total: 0, told: None, last: String::new() };
        let bar = output.bytes("checking the log", 0);
        Self(Arc::new(Inner { lines, bar, read: AtomicU64::new(0), state: Mutex::new(state) }))
    }

    /// Begins with a bundle of so many bytes.
    pub(super) fn begin(&self, total: u64) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.begun, state.total) = (Instant::now(), total);
    }

    /// Shows what the verifier tells.
    pub(super) fn show(&self, progress: Progress) {
        let read = self.0.read.load(Ordering::Relaxed);
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let what = match progress {
            Progress::Log(height) => format!("checking the log: height {height}"),
            Progress::Contributions { verified, of } => format!("checking contributions: {verified} of {of}"),
            Progress::Round(round) => format!("checking results: round {} holds", short(&round)),
        };
        if !self.0.lines {
            self.0.bar.of(read, state.total);
            self.0.bar.say(what);
            return;
        }
        state.last.clone_from(&what);
        if state.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return;
        }
        state.told = Some(Instant::now());
        let left = left(state.begun.elapsed(), read, state.total);
        let left = left.map_or_else(String::new, |left| format!(", {} s left", left.as_secs().max(1)));
        tell(&format!("{what}, {read} of {} bytes{left}", state.total));
    }

    /// Says something before there are bytes to count.
    pub(super) fn say(&self, what: String) {
        if !self.0.lines {
            return self.0.bar.say(what);
        }
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            state.told = Some(Instant::now());
            tell(&what);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What was said last may have come within the pause.
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.lines && !state.last.is_empty() {
            tell(&format!(
                "{}: {} bytes read in {:.1} s",
                state.last,
                self.read.load(Ordering::Relaxed),
                state.begun.elapsed().as_secs_f64()
            ));
        }
    }
}

/// Writes a line; whoever does not want it any more does not get it.
fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Returns how long the rest takes if it goes on as it went.
fn left(elapsed: Duration, read: u64, total: u64) -> Option<Duration> {
    let rest = total.checked_sub(read)?;
    (read > 0).then(|| elapsed.mul_f64(rest as f64 / read as f64))
}

/// Counts what is read.
pub(super) struct Counted<'a, R> {
    inner: &'a mut R,
    meter: Meter,
}

impl<'a, R> Counted<'a, R> {
    pub(super) fn new(inner: &'a mut R, meter: &Meter) -> Self {
        Self { inner, meter: meter.clone() }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.meter.0.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_for_each_byte_as_what_was_read() {
        let second = Duration::from_secs(1);

        assert_eq!(left(second, 25, 100), Some(3 * second));
        assert_eq!(left(second, 100, 100), Some(Duration::ZERO));
        assert_eq!(left(second, 0, 100), None);
        assert_eq!(left(second, 9, 3), None, "a file that grows");
    }

    #[test]
    fn what_is_read_is_counted() {
        let meter = Meter::new(Output::new(output::Format::Json), false);
        let mut bytes = &[7u8; 40][..];

        let mut out = Vec::new();
        Counted::new(&mut bytes, &meter).read_to_end(&mut out).expect("memory");

        assert_eq!(meter.0.read.load(Ordering::Relaxed), 40);
    }
}
