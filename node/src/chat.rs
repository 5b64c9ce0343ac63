//! The community's model: a model that answers by the constitution in force, with the community's adapter.
//!
//! ```text
//! question ──▶ analyse ──▶ draft ──▶ evaluate ──▶ refine ──▶ answer       by the constitution: every step is shown
//! question ──────────────────────────────────────────────▶ answer       without one: the model as it is
//! ```
//!
//! A [`provider`] is a model on this machine, computed here, or an endpoint that speaks OpenAI's protocol. [`steps`] puts
//! the questions of [`prompts`] to it; [`verdict`] reads what a weak model makes of the third. [`openai`] is the shape in
//! which existing chat clients ask, [`cases`] keeps what models say to prompts that a community cites.
//!
//! Only a constitution that the log says is agreed on governs, and of those the latest: a draft, or one that somebody
//! prefers, never does. Community Models shows only the final answer and hides the rest; here every step is part of the
//! answer, for a self-evaluation that nobody sees is worth nothing.
//!
//! # Security
//!
//! What is said is kept nowhere and logged nowhere: [`cases`] alone are written down, which are public prompts. It leaves
//! the machine only if the person configured an endpoint, and every answer says so. Principles and questions are other
//! people's text: they are inserted into prompts, never read as templates, and no control token in them counts. Whoever may
//! propose statements can try to talk the model into something by a principle; that it must pass a vote first is the defence.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub mod answer;
pub mod cases;
mod error;
pub mod local;
pub mod openai;
pub mod outside;
pub mod prompts;
pub mod provider;
mod queue;
pub mod steps;
pub mod verdict;

pub use self::{
    answer::{About, Answer, Event, Label, Step, StepResult, Verdict},
    error::ChatError,
    local::Local,
    queue::{Queue, Ticket},
};
use crate::model::chat::Message;

/// The most messages of a conversation.
pub const MAX_MESSAGES: usize = 256;

/// The most bytes of all messages of a conversation.
pub const MAX_CONVERSATION_BYTES: usize = 256 * 1024;

/// The most tokens of an answer that may be asked for.
pub const MAX_TOKENS: u32 = 8_192;

/// How long one answer may occupy the model: all steps together.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(20 * 60);

/// How long a model is kept in memory after its last answer.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Checks that a conversation can be answered.
///
/// # Errors
///
/// Returns [`ChatError::Invalid`] or [`ChatError::TooLong`].
pub fn check(messages: &[Message]) -> Result<(), ChatError> {
    let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    if messages.len() > MAX_MESSAGES || bytes > MAX_CONVERSATION_BYTES {
        let what = format!("{} messages of {bytes} bytes", messages.len());
        return Err(ChatError::TooLong(format!(
            "{what} are more than the {MAX_MESSAGES} of {MAX_CONVERSATION_BYTES} that are taken"
        )));
    }
    match messages.last() {
        Some(last) if last.role == crate::model::chat::Role::User && !last.content.trim().is_empty() => Ok(()),
        _ => Err(ChatError::Invalid("a conversation ends with what the person says".into())),
    }
}

/// The model on this machine, while it is in memory, and the queue before it.
#[derive(Debug, Default)]
pub struct Desk {
    queue: Queue,
    loaded: Arc<Mutex<Option<Loaded>>>,
}

/// A model in memory.
#[derive(Debug)]
struct Loaded {
    local: Local,
    used: Instant,
}

impl Desk {
    /// Returns the queue: one answer is made at a time.
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Does something with the model at `path`, which is read first if it is not in memory. Blocks; who has a
    /// [`Ticket`] is alone here.
    ///
    /// # Errors
    ///
    /// Returns [`ChatError::Base`] or [`ChatError::Generate`] if the model cannot be read, or what `act` returns.
    pub fn with_local<R>(
        &self,
        path: &std::path::Path,
        act: impl FnOnce(&mut Local) -> Result<R, ChatError>,
    ) -> Result<R, ChatError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.as_ref().is_none_or(|loaded| loaded.local.path() != path) {
            // The other one first: two may not fit.
            *loaded = None;
            *loaded = Some(Loaded { local: Local::open(path)?, used: Instant::now() });
        }
        let present = loaded.as_mut().ok_or_else(|| ChatError::Internal("a model that was read is gone".into()))?;
        let done = act(&mut present.local);
        present.used = Instant::now();
        done
    }

    /// Gives the model's memory back once it has not been used for a while. Needs the runtime.
    pub fn release_when_idle(&self) {
        let loaded = self.loaded.clone();
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            // Whoever has the lock uses it.
            if let Ok(mut loaded) = loaded.try_lock()
                && loaded.as_ref().is_some_and(|loaded| loaded.used.elapsed() >= IDLE)
            {
                *loaded = None;
            }
        });
    }
}

#[cfg(test)]
pub(crate) mod tests;
