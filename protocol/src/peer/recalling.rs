//! Masked vectors that are on the disk alone, read again when they are summed.
//!
//! A thousand contributions to a large adapter have gigabytes of masked vectors. Up to
//! [a bound](crate::peer::Config::held_bytes) they stay in memory; the others are read one after the other, a few ahead of the
//! one that is being summed.

use std::collections::btree_map::Entry;

use super::*;

/// How many are read ahead.
const AHEAD: usize = 4;

/// What is being read, or was and is about to be used.
#[derive(Default)]
pub(super) struct Recalled {
    /// None while it is being read.
    parts: BTreeMap<BlobId, Option<Arc<Submission>>>,
}

impl Recalled {
    /// Returns how many bytes wait to be used.
    pub(super) fn bytes(&self) -> usize {
        self.parts.values().flatten().map(|submission| submission.size()).sum()
    }

    pub(super) fn forget(&mut self, body: &BlobId) {
        self.parts.remove(body);
    }
}

impl Peer {
    /// Returns how many bytes of contributions this node holds in memory as a whole.
    pub fn contributions_in_memory(&self) -> usize {
        self.collected.bytes_in_memory() + self.intake.bytes()
    }

    /// Returns a contribution of a round as a whole, the first of those that are needed one after the other; none while it is
    /// being read.
    pub(super) fn recall(
        &mut self,
        round: &RoundRecord,
        upcoming: impl Iterator<Item = u32>,
    ) -> Option<Arc<Submission>> {
        let contributions = &round.sealed.as_ref()?.contributions;
        let bodies = upcoming.filter_map(|ballot| Some(contributions.get(ballot as usize)?.header.body));
        let mut bodies = bodies.peekable();
        let first = *bodies.peek()?;
        let here = self.collected.whole(&first);
        if here.is_some() {
            return here;
        }
        let round = round.id;
        let ahead: Vec<BlobId> = bodies.take(AHEAD).filter(|body| self.collected.whole(body).is_none()).collect();
        for body in ahead {
            if let Entry::Vacant(place) = self.collected.recalled.parts.entry(body) {
                place.insert(None);
                self.effects.push_back(Effect::ReadPrivate { round, body });
            }
        }
        self.collected.recalled.parts.get_mut(&first).and_then(Option::take).inspect(|_| {
            self.collected.recalled.parts.remove(&first);
        })
    }

    /// Takes what was read. What does not read is let go, to be asked for again from the others.
    pub(super) fn on_private(&mut self, round: RoundId, body: BlobId, submission: Option<Arc<Submission>>) {
        if self.intake.take_up(&body, submission.as_ref()) {
            return;
        }
        if !self.collected.recalled.parts.contains_key(&body) {
            return;
        }
        let held = self.collected.held.get(&body);
        let sound = submission
            .filter(|submission| held.is_some_and(|held| held.form.check_masked(&held.equations, submission).is_ok()));
        if sound.is_some() {
            self.collected.recalled.parts.insert(body, sound);
        } else {
            self.collected.let_go(&body);
            self.collected.recalled.forget(&body);
            self.effects.push_back(Effect::ErasePrivate { round, body });
        }
        self.duties.mark_changed();
    }
}
