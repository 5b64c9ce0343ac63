//! Results, and the audit bundle that proves them.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use chorus_crypto::codec::Encode as _;
use chorus_protocol::{
    audit,
    deliberation::{
        statistics::Representative,
        tally::{Tally, Totals, Vote},
    },
    id::{BlobId, PollId},
    ledger::{Ledger, RoundRecord},
    log::entry::PollKind,
    round::{
        classes::ClassReport,
        report::{MapReport, Outcome, RoundReport},
    },
};

use super::{ApiError, Kind, Service, classes::class_views, find_poll, view};
use crate::api::Code;
use crate::store::files;

impl Service {
    /// Returns the result of a poll's latest finished round; of the community's latest if no poll is named.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if there is none yet, or [`Kind::TimedOut`] if there is none after `wait`.
    pub async fn result(&self, reference: Option<&str>, wait: Option<Duration>) -> Result<view::PollResult, ApiError> {
        let mut ledger = self.ledger().await?;
        let poll = reference.map(|reference| find_poll(&ledger, reference)).transpose()?;
        if let Some(wait) = wait {
            self.finished(poll.map_or_else(|| find_poll(&ledger, ""), Ok)?, wait).await?;
            ledger = self.ledger().await?;
        }
        let Some((_, result)) = latest_result(&ledger, poll) else {
            let when = ends(&ledger, poll);
            return Err(ApiError::coded(
                Code::NoResult,
                format!("there is no result yet{when}; `chorus result --wait 1h` waits for it"),
            ));
        };
        Ok(self.finished_result(result).await?.shown(&ledger).clone())
    }

    /// Writes the audit bundle to a file without a name, and returns it with its length.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Unavailable`] if a body that verifiers need cannot be had.
    pub async fn bundle(&self, directory: &Path) -> Result<(File, u64), ApiError> {
        let genesis = self.node.view(|peer| peer.ledger().genesis().clone()).await?;
        let decisions = self.node.decisions().await?;
        let (node, runtime) = (self.node.clone(), tokio::runtime::Handle::current());
        let directory = directory.to_owned();
        let write = move || -> Result<(File, u64), ApiError> {
            let mut file = files::nameless(&directory, "bundle")?;
            let mut out = std::io::BufWriter::new(&mut file);
            let body = |id: &BlobId| runtime.block_on(node.fetch(*id)).ok().map(|bytes| bytes.to_vec());
            audit::write(&mut out, &genesis, &decisions, body)
                .map_err(|error| ApiError::new(Kind::Unavailable, format!("the bundle cannot be written: {error}")))?;
            out.flush()?;
            drop(out);
            let length = file.stream_position()?;
            file.rewind()?;
            Ok((file, length))
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|_| ApiError::new(Kind::Internal, "the bundle could not be written"))?
    }

    pub(super) async fn body(&self, id: BlobId) -> Result<Arc<[u8]>, ApiError> {
        Ok(self.node.fetch(id).await?)
    }
}

/// Tells when voting ends, if it is under way.
fn ends(ledger: &Ledger, poll: Option<PollId>) -> String {
    let of_poll =
        |round: &&RoundRecord| round.plan.ballots().is_some_and(|plan| poll.is_none_or(|poll| plan.poll == poll));
    let latest = ledger.rounds().values().map(Arc::as_ref).filter(of_poll).max_by_key(|round| round.ordinal);
    match latest.map(|round| (&round.manifest, &round.sealed)) {
        None => ": voting has not begun".to_owned(),
        Some((_, Some(_))) => ": the ballots are being added up".to_owned(),
        Some((Some(manifest), None)) => format!(": voting ends {}", super::votes::until(manifest.deadline.as_millis())),
        Some((None, None)) => ": the operators prepare voting".to_owned(),
    }
}

/// Returns the latest finished round, of one poll or of all, and its result.
pub(super) fn latest_result(ledger: &Ledger, poll: Option<PollId>) -> Option<(&RoundRecord, BlobId)> {
    let of_poll =
        |round: &&RoundRecord| round.plan.ballots().is_some_and(|plan| poll.is_none_or(|poll| plan.poll == poll));
    let finished = |round| RoundRecord::agreed_result(round).map(|result| (round, result.result));
    ledger
        .rounds()
        .values()
        .map(Arc::as_ref)
        .filter(of_poll)
        .filter_map(finished)
        .max_by_key(|(round, _)| round.ordinal)
}

pub(super) fn result_view(ledger: &Ledger, result: BlobId, report: &RoundReport) -> view::PollResult {
    let poll = ledger.polls().get(&report.poll);
    let kind = poll.map_or(PollKind::Statement, |poll| poll.opening.kind);
    let meta = ledger.meta_items(report.round);
    let findings = report.findings(&meta);
    let groups = report.map().map(|map| map.groups.as_slice()).unwrap_or_default();
    let weighted = report.classes().map(ClassReport::weighted);
    let text = |id: &BlobId| {
        let known = poll?.items.iter().find(|(known, _, _)| known == id);
        known.map(|(_, text, _)| text.clone())
    };
    let item = |(at, id): (usize, &BlobId)| view::ItemResult {
        number: at + 1,
        id: *id,
        text: text(id).unwrap_or_default(),
        meta: meta.get(at) == Some(&true),
        total: report.totals().and_then(|totals| tally(totals, at)),
        weighted: weighted.as_ref().and_then(|totals| tally(totals, at)),
        groups: groups.iter().filter_map(|totals| tally(totals, at)).collect(),
        consensus: findings.as_ref().and_then(|findings| findings.agree.get(at)).map(|support| support.approximate()),
        consensus_against: findings
            .as_ref()
            .and_then(|findings| findings.disagree.get(at))
            .map(|support| support.approximate()),
    };
    let typical = |group: usize| -> Vec<(usize, view::Choice)> {
        let found = findings.as_ref().and_then(|findings| findings.representative.get(group));
        found.into_iter().flatten().map(leaning).collect()
    };
    view::PollResult {
        poll: report.poll,
        question: poll.map(|poll| poll.opening.question.clone()).unwrap_or_default(),
        kind: kind.into(),
        round: report.round,
        result,
        ballots: report.ballots,
        // By the rules under which it was planned: those in force now may be others.
        needed: ledger
            .rounds()
            .get(&report.round)
            .map_or(ledger.charter().policy.min_contributions, |round| round.charter.policy.min_contributions),
        outcome: match &report.outcome {
            Outcome::TooFew => view::Outcome::TooFew,
            Outcome::Totals { .. } => view::Outcome::Totals,
            Outcome::Classes { .. } => view::Outcome::Classes,
            Outcome::Map { .. } => view::Outcome::Map,
        },
        items: report.items.iter().enumerate().map(item).collect(),
        groups: report.map().map(|map| group_views(map, typical)).unwrap_or_default(),
        classes: ledger.rounds().get(&report.round).map(|round| class_views(round, report)).unwrap_or_default(),
        explained_variance: report
            .map()
            .map(|map| map.explained.iter().map(|share| share.approximate()).collect())
            .unwrap_or_default(),
        divisive: match (&findings, report.map()) {
            (Some(findings), Some(_)) => findings.divisive.iter().map(|item| item + 1).collect(),
            (_, _) => Vec::new(),
        },
        constitution: report.constitution(ledger).map(|constitution| view::ConstitutionView {
            id: BlobId::of(&constitution.to_bytes()),
            version: constitution.preamble.version,
            name: constitution.preamble.name.clone(),
            purpose: constitution.preamble.purpose.clone(),
            principles: constitution.principles.iter().map(principle).collect(),
        }),
    }
}

fn group_views(map: &MapReport, typical: impl Fn(usize) -> Vec<(usize, view::Choice)>) -> Vec<view::Group> {
    let names = ('A'..='Z').map(String::from);
    let group = |(at, (size, name)): (usize, (usize, String))| view::Group { name, size, typical: typical(at) };
    map.sizes().into_iter().zip(names).enumerate().map(group).collect()
}

fn principle(principle: &chorus_protocol::deliberation::constitution::Principle) -> view::Principle {
    view::Principle {
        item: usize::try_from(principle.item).map_or(0, |item| item + 1),
        text: principle.text.clone(),
        groups: principle.groups.iter().map(counts).collect(),
    }
}

fn leaning(entry: &Representative) -> (usize, view::Choice) {
    let choice = match entry.direction {
        Vote::Agree => view::Choice::Agree,
        Vote::Disagree => view::Choice::Disagree,
        Vote::Pass => view::Choice::Pass,
    };
    (entry.item + 1, choice)
}

fn tally(totals: &Totals, item: usize) -> Option<view::Tally> {
    totals.items.get(item).map(counts)
}

pub(super) const fn counts(tally: &Tally) -> view::Tally {
    view::Tally { agree: tally.agree, disagree: tally.disagree, pass: tally.pass }
}
