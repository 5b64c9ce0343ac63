//! What waits for the protocol: bounded, filled by tasks, emptied by the one thread that runs it.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::Duration,
};

use chorus_protocol::peer::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NodeError;

/// Events that wait. Each message may be 2 MiB; what finds no room waits at the network, which has a bound of its own.
const ROOM: usize = 64;

/// Events of the network that wait for room here, and their bytes, before the network waits as well.
const MAX_BACKLOG: usize = 1024;
const MAX_BACKLOG_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Waiting {
    event: Box<Event>,
    /// The event's place, given back once it is taken.
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Input {
    Event(Waiting),
    Stop,
}

/// The end that is filled. Clones fill the same inbox.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Input>,
    room: Arc<Semaphore>,
}

/// The end that is emptied.
#[derive(Debug)]
pub(super) struct Events {
    receiver: mpsc::Receiver<Input>,
}

/// What was taken out.
#[derive(Debug)]
pub(super) enum Taken {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing did within the time given.
    Nothing,
    /// The node shall stop, or nobody is left to say anything.
    Stop,
}

pub(super) fn inbox() -> (Inbox, Events) {
    let (sender, receiver) = mpsc::channel();
    (Inbox { sender, room: Arc::new(Semaphore::new(ROOM)) }, Events { receiver })
}

impl Inbox {
    /// Puts an event in as soon as there is room.
    pub(super) async fn put(&self, event: Event) -> Result<(), NodeError> {
        let place = self.place().await?;
        self.put_at(place, event)
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, NodeError> {
        Arc::clone(&self.room).acquire_owned().await.map_err(|_| NodeError::Stopped)
    }

    fn put_at(&self, place: OwnedSemaphorePermit, event: Event) -> Result<(), NodeError> {
        let waiting = Waiting { event: Box::new(event), _place: place };
        self.sender.send(Input::Event(waiting)).map_err(|_| NodeError::Stopped)
    }

    /// Asks the node to stop.
    pub(super) fn stop(&self) {
        // An error says that it has stopped.
        let _ = self.sender.send(Input::Stop);
    }
}

/// Events of the network that wait for room, in order. Without it, whatever the network says would wait while the protocol
/// is busy, also what the protocol has no part in.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Backlog {
    /// Whether it takes more. One event over the bound of bytes is taken.
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < MAX_BACKLOG && self.bytes < MAX_BACKLOG_BYTES
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    /// Puts the first event into an inbox as soon as there is room; waits for ever if there is none. May be dropped while it
    /// waits.
    pub(super) async fn deliver(&mut self, inbox: &Inbox) -> Result<(), NodeError> {
        if self.events.is_empty() {
            return std::future::pending().await;
        }
        let place = inbox.place().await?;
        let Some(event) = self.events.pop_front() else { return Ok(()) };
        self.bytes -= size(&event);
        inbox.put_at(place, event)
    }

    /// Puts all of them into an inbox.
    pub(super) async fn deliver_all(&mut self, inbox: &Inbox) -> Result<(), NodeError> {
        while !self.events.is_empty() {
            self.deliver(inbox).await?;
        }
        Ok(())
    }
}

const fn size(event: &Event) -> usize {
    match event {
        Event::Message { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

impl Events {
    /// Takes the next event, waiting for it as long as given; for ever without.
    pub(super) fn take(&self, wait: Option<Duration>) -> Taken {
        let input = match wait {
            None => self.receiver.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(wait) => self.receiver.recv_timeout(wait),
        };
        match input {
            Ok(Input::Event(waiting)) => Taken::Event(waiting.event),
            Err(mpsc::RecvTimeoutError::Timeout) => Taken::Nothing,
            Ok(Input::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => Taken::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use chorus_protocol::id::NodeId;

    use super::*;

    fn message(number: u8) -> Event {
        Event::Message { from: NodeId::default(), bytes: vec![number] }
    }

    #[tokio::test]
    async fn what_finds_no_room_waits_in_order_and_keeps_nobody_else_waiting() {
        let (inbox, events) = inbox();
        for _ in 0..ROOM {
            inbox.put(message(0)).await.expect("it runs");
        }
        let mut backlog = Backlog::default();
        backlog.push(message(1));
        backlog.push(message(2));

        let meanwhile = tokio::select! {
            biased;
            _ = backlog.deliver(&inbox) => false,
            () = tokio::task::yield_now() => true,
        };
        let taken = events.take(None);
        backlog.deliver(&inbox).await.expect("there is room");
        let rest: Vec<_> = (0..ROOM).map(|_| events.take(None)).collect();
        backlog.deliver_all(&inbox).await.expect("there is room");

        assert!(meanwhile && matches!(taken, Taken::Event(_)));
        let number = |taken: &Taken| match taken {
            Taken::Event(event) => match event.as_ref() {
                Event::Message { bytes, .. } => bytes.first().copied(),
                _ => None,
            },
            Taken::Nothing | Taken::Stop => None,
        };
        assert_eq!(rest.last().and_then(number), Some(1));
        assert_eq!(number(&events.take(None)), Some(2));
        assert_eq!((backlog.events.len(), backlog.bytes), (0, 0));
    }

    #[test]
    fn a_backlog_is_bounded_in_number_and_bytes() {
        let mut many = Backlog::default();
        (0..MAX_BACKLOG).for_each(|_| many.push(Event::Tick));
        let mut large = Backlog::default();
        large.push(Event::Message { from: NodeId::default(), bytes: vec![0; MAX_BACKLOG_BYTES] });

        assert!(!many.has_room() && !large.has_room());
    }
}
