//! What waits for the protocol: bounded, filled by tasks, emptied by the one thread that runs it.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use chorus_protocol::peer::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::NodeError;

/// Events that wait. Each message may be 2 MiB; what finds no room waits at the network, which has a bound of its own.
const ROOM: usize = 64;

#[derive(Debug)]
struct Waiting {
    event: Event,
    /// The event's place, given back once it is taken.
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Input {
    Event(Box<Waiting>),
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
    Event(Event),
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
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| NodeError::Stopped)?;
        let waiting = Box::new(Waiting { event, _place: place });
        self.sender.send(Input::Event(waiting)).map_err(|_| NodeError::Stopped)
    }

    /// Asks the node to stop.
    pub(super) fn stop(&self) {
        // An error says that it has stopped.
        let _ = self.sender.send(Input::Stop);
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
