//! What never changes, and is asked for again and again: results of finished rounds, and the person's tags.
//!
//! A page that shows ten rounds would otherwise read ten results from the disk, check their hashes, decode them and find
//! majorities and constitutions in them, for each look; and compute a group element for each round.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use chorus_crypto::{codec::Decode as _, credential::Tag};
use chorus_protocol::{
    deliberation::constitution::Constitution,
    id::{BlobId, RoundId},
    ledger::{Ledger, RoundRecord},
    round::report::RoundReport,
};

use super::{ApiError, Kind, Service, results::result_view, view};

/// Bytes of results, as they stand on the disk, that are kept in memory; in memory they take a few times as much.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What came of a finished round.
#[derive(Debug)]
pub(super) struct Finished {
    result: BlobId,
    report: RoundReport,
    bytes: usize,
    shown: OnceLock<view::PollResult>,
    constitution: OnceLock<Option<Constitution>>,
}

impl Finished {
    /// Returns what was agreed on.
    pub(super) const fn report(&self) -> &RoundReport {
        &self.report
    }

    /// Returns it as it is shown.
    pub(super) fn shown(&self, ledger: &Ledger) -> &view::PollResult {
        self.shown.get_or_init(|| result_view(ledger, self.result, &self.report))
    }

    /// Returns the constitution that followed, if one did.
    pub(super) fn constitution(&self, ledger: &Ledger) -> Option<&Constitution> {
        self.constitution.get_or_init(|| self.report.constitution(ledger)).as_ref()
    }
}

/// The results that were asked for last, the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Results(Mutex<VecDeque<Arc<Finished>>>);

impl Results {
    fn all(&self) -> MutexGuard<'_, VecDeque<Arc<Finished>>> {
        // A panic cannot leave the list half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, result: &BlobId) -> Option<Arc<Finished>> {
        let mut all = self.all();
        let at = all.iter().position(|finished| finished.result == *result)?;
        let found = all.remove(at)?;
        all.push_back(Arc::clone(&found));
        Some(found)
    }

    fn keep(&self, finished: &Arc<Finished>) {
        let mut all = self.all();
        all.retain(|known| known.result != finished.result);
        all.push_back(Arc::clone(finished));
        let mut bytes: usize = all.iter().map(|finished| finished.bytes).sum();
        while bytes > MOST_BYTES && all.len() > 1 {
            bytes -= all.pop_front().map_or(0, |oldest| oldest.bytes);
        }
    }
}

/// The tags of the person's contributions, for as long as their vault stays as it is.
#[derive(Debug, Default)]
pub(super) struct Tags(Mutex<(u64, BTreeMap<RoundId, Option<Tag>>)>);

impl Service {
    /// Returns what came of a finished round, by the id of its result.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Unavailable`] if nobody connected has the result.
    pub(super) async fn finished_result(&self, result: BlobId) -> Result<Arc<Finished>, ApiError> {
        if let Some(found) = self.results.find(&result) {
            return Ok(found);
        }
        let body = self.body(result).await?;
        let report = RoundReport::from_bytes(&body)
            .map_err(|error| ApiError::new(Kind::Internal, format!("the result does not read: {error}")))?;
        let (shown, constitution) = (OnceLock::new(), OnceLock::new());
        let finished = Arc::new(Finished { result, report, bytes: body.len(), shown, constitution });
        self.results.keep(&finished);
        Ok(finished)
    }

    /// Returns the tag of the person's contributions to a round; none if they may not contribute, or before it opens.
    pub(super) fn tag(&self, round: &RoundRecord) -> Option<Tag> {
        let (person, manifest) = (self.person.as_ref()?, round.manifest.as_ref()?);
        let changes = person.vault.changes();
        {
            let mut tags = self.tags.0.lock().unwrap_or_else(PoisonError::into_inner);
            if tags.0 != changes {
                *tags = (changes, BTreeMap::new());
            }
            if let Some(tag) = tags.1.get(&round.id) {
                return *tag;
            }
        }
        let tag = person.vault.in_snapshot(&manifest.snapshot).map(|leaf| leaf.tag(&manifest.scope));
        let mut tags = self.tags.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tags.0 == changes {
            tags.1.insert(round.id, tag);
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use chorus_protocol::{
        id::{CommunityId, PollId, SetId},
        round::report::Outcome,
    };

    use super::*;

    fn finished(number: u8, bytes: usize) -> Arc<Finished> {
        let report = RoundReport {
            community: CommunityId::default(),
            poll: PollId::from([number; 32]),
            round: RoundId::from([number; 32]),
            set: SetId::ZERO,
            ballots: 0,
            items: Vec::new(),
            outcome: Outcome::TooFew,
        };
        let (shown, constitution) = (OnceLock::new(), OnceLock::new());
        Arc::new(Finished { result: BlobId::of(&[number]), report, bytes, shown, constitution })
    }

    #[test]
    fn results_that_nobody_asked_for_lately_make_room() {
        let results = Results::default();
        let [a, b, c] = [1, 2, 3].map(|number| finished(number, MOST_BYTES / 2));
        results.keep(&a);
        results.keep(&b);
        assert!(results.find(&a.result).is_some());

        results.keep(&c);

        let is_there = |of: &Arc<Finished>| results.find(&of.result).is_some();
        assert_eq!([is_there(&a), is_there(&b), is_there(&c)], [true, false, true]);
    }

    #[test]
    fn one_result_is_kept_however_large_it_is() {
        let results = Results::default();
        let large = finished(1, 2 * MOST_BYTES);

        results.keep(&large);

        assert!(results.find(&large.result).is_some());
    }
}
