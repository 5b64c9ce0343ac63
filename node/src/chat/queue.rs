//! Who is served: one after another, and not too many in line.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ChatError;

/// How many may wait while one is served.
pub(super) const WAITING: usize = 8;

/// The line before the model.
#[derive(Debug)]
pub struct Queue {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(WAITING + 1)), turn: Arc::new(Semaphore::new(1)) }
    }
}

/// A place in the line, given back when dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    turn: Arc<Semaphore>,
}

/// The right to use the model, given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    _place: Place,
    _turn: OwnedSemaphorePermit,
}

impl Queue {
    /// Takes a place in the line.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Busy`] at once if the line is full.
    pub fn enter(&self) -> Result<Place, ChatError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| ChatError::Busy(WAITING))?;
        Ok(Place { _place: place, turn: self.turn.clone() })
    }
}

impl Place {
    /// Waits until it is this one's turn: first come, first served.
    pub async fn turn(self) -> Ticket {
        let turn = self.turn.clone().acquire_owned().await.expect("nobody closes the line");
        Ticket { _place: self, _turn: turn }
    }
}
