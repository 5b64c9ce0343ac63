//! One-way messages to one peer: in order, repeated until they are acknowledged.
//!
//! Requests travel on streams of their own and may overtake one another. So one frame is on its way at a time, and all
//! messages that came in meanwhile make up the next one: order costs a round trip per frame, not per message.

use std::{collections::VecDeque, time::Duration};

use chorus_crypto::codec::Encode as _;
use tokio::time::Instant;

use super::{
    MAX_MESSAGE_BYTES,
    wire::{Control, MAX_FRAME_MESSAGES},
};

/// Bytes that may wait for one peer: four of the largest messages. A peer that is slower than that is not helped by
/// more.
const MAX_WAITING_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
/// Messages that may wait for one peer.
const MAX_WAITING: usize = 16 * 1024;
/// How often a frame is tried before its messages are given back. With the pauses between, that is half a minute for
/// failures that are noticed at once: longer than a peer is busy, shorter than anybody waits for it.
const ATTEMPTS: u32 = 20;
/// The pause after the first failure; it doubles with each, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What waits for one peer, and the frame that is on its way.
#[derive(Debug)]
pub(super) struct Outbox {
    epoch: u64,
    next_number: u64,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    messages: Vec<Vec<u8>>,
    failures: u32,
    /// When to try again; `None` while an attempt is under way.
    retry_at: Option<Instant>,
}

impl Outbox {
    /// Starts an empty one. The epoch is random.
    pub(super) const fn new(epoch: u64) -> Self {
        Self { epoch, next_number: 0, waiting: VecDeque::new(), bytes: 0, flight: None }
    }

    /// Returns the epoch of its frames.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Adds a message, or gives it back if too much is waiting.
    pub(super) fn push(&mut self, message: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.waiting.len() >= MAX_WAITING || self.bytes + message.len() > MAX_WAITING_BYTES {
            return Err(message);
        }
        self.bytes += message.len();
        self.waiting.push_back(message);
        Ok(())
    }

    /// Returns the frame to send now, if any. Its fate must be told before there is another.
    pub(super) fn poll_frame(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.flight.is_none() {
            self.flight = self.next_flight(now);
        }
        let flight = self.flight.as_mut()?;
        if flight.retry_at.is_none_or(|at| at > now) {
            return None;
        }
        flight.retry_at = None;
        let messages = flight.messages.clone();
        Some(Control::Ordered { epoch: self.epoch, number: flight.number, messages }.to_bytes())
    }

    fn next_flight(&mut self, now: Instant) -> Option<Flight> {
        let mut messages = Vec::new();
        let mut bytes = 0;
        while let Some(message) = self.waiting.front() {
            let fits = bytes + message.len() <= MAX_MESSAGE_BYTES && messages.len() < MAX_FRAME_MESSAGES;
            if !fits {
                break;
            }
            bytes += message.len();
            messages.extend(self.waiting.pop_front());
        }
        if messages.is_empty() {
            return None;
        }
        self.bytes -= bytes;
        self.next_number += 1;
        Some(Flight { number: self.next_number, messages, failures: 0, retry_at: Some(now) })
    }

    /// The frame has arrived.
    pub(super) fn on_delivered(&mut self) {
        self.flight = None;
    }

    /// The attempt has failed. Returns the messages if it was the last one.
    pub(super) fn on_failed(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let Some(flight) = self.flight.as_mut() else { return Vec::new() };
        flight.failures += 1;
        if flight.failures >= ATTEMPTS {
            return self.flight.take().map(|flight| flight.messages).unwrap_or_default();
        }
        flight.retry_at = Some(now + FIRST_PAUSE.saturating_mul(2_u32.pow(flight.failures - 1)).min(LONGEST_PAUSE));
        Vec::new()
    }

    /// Ends it, and returns all that was not acknowledged.
    pub(super) fn into_unsent(self) -> Vec<Vec<u8>> {
        self.flight.into_iter().flat_map(|flight| flight.messages).chain(self.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use chorus_crypto::codec::Decode as _;

    use super::*;

    fn messages(frame: &[u8]) -> (u64, Vec<Vec<u8>>) {
        match Control::from_bytes(frame).expect("a frame") {
            Control::Ordered { number, messages, .. } => (number, messages),
            Control::Ask(_) => panic!("a question"),
        }
    }

    #[test]
    fn messages_leave_in_order_and_share_frames() {
        let now = Instant::now();
        let mut outbox = Outbox::new(1);
        outbox.push(vec![1]).expect("room");

        let first = outbox.poll_frame(now).expect("a frame");
        outbox.push(vec![2]).expect("room");
        outbox.push(vec![3]).expect("room");
        assert_eq!(outbox.poll_frame(now), None);
        outbox.on_delivered();
        let second = outbox.poll_frame(now).expect("a frame");

        assert_eq!(messages(&first), (1, vec![vec![1]]));
        assert_eq!(messages(&second), (2, vec![vec![2], vec![3]]));
        outbox.on_delivered();
        assert_eq!(outbox.poll_frame(now), None);
    }

    #[test]
    fn a_failed_frame_is_repeated_under_its_number_and_given_back_in_the_end() {
        let mut now = Instant::now();
        let mut outbox = Outbox::new(1);
        outbox.push(vec![1]).expect("room");

        for attempt in 1..=ATTEMPTS {
            let frame = outbox.poll_frame(now).expect("a frame");
            assert_eq!(messages(&frame), (1, vec![vec![1]]));
            let given_back = outbox.on_failed(now);
            assert_eq!(given_back.is_empty(), attempt < ATTEMPTS);
            assert_eq!(outbox.poll_frame(now), None);
            now += Duration::from_secs(60);
        }
    }

    #[test]
    fn a_frame_holds_no_more_than_its_bound_and_the_outbox_no_more_than_its_own() {
        let mut outbox = Outbox::new(1);
        for _ in 0..MAX_WAITING_BYTES / MAX_MESSAGE_BYTES {
            outbox.push(vec![0; MAX_MESSAGE_BYTES]).expect("room");
        }

        assert!(outbox.push(vec![0]).is_err());
        let frame = outbox.poll_frame(Instant::now()).expect("a frame");
        assert_eq!(messages(&frame).1.len(), 1);
        assert!(frame.len() <= super::super::wire::MAX_CONTROL_FRAME);
        outbox.push(vec![0]).expect("room again");
        assert_eq!(outbox.into_unsent().len(), MAX_WAITING_BYTES / MAX_MESSAGE_BYTES + 1);
    }
}
