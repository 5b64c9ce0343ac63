//! Votes that are chosen and not cast: in memory, for a ballot goes out as a whole.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chorus_protocol::id::{BlobId, RoundId};

use crate::api::view::Choice;

/// Rounds with a draft; the oldest goes first.
const MAX_ROUNDS: usize = 32;

/// What was chosen in a round.
pub(super) type Draft = BTreeMap<BlobId, Choice>;

/// The drafts of the person at this node, by round.
#[derive(Default)]
pub(super) struct Drafts(Mutex<BTreeMap<RoundId, Draft>>);

/// Shows no vote.
impl fmt::Debug for Drafts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drafts").finish_non_exhaustive()
    }
}

impl Drafts {
    /// Returns the draft of a round; that which the diary says if nothing was chosen since the node started.
    pub(super) fn of(&self, round: RoundId, diary: impl FnOnce() -> Draft) -> Draft {
        self.all().get(&round).cloned().unwrap_or_else(diary)
    }

    /// Keeps the draft of a round.
    pub(super) fn keep(&self, round: RoundId, draft: Draft) {
        let mut all = self.all();
        if all.len() >= MAX_ROUNDS && !all.contains_key(&round) {
            all.pop_first();
        }
        all.insert(round, draft);
    }

    /// Forgets the draft of a round.
    pub(super) fn forget(&self, round: RoundId) {
        self.all().remove(&round);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RoundId, Draft>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
