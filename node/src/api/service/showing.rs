//! What is shown of finished rounds and of the person's own part in them: map, receipt, own statements, constitutions.

use std::{collections::BTreeMap, sync::Arc};

use chorus_crypto::sign::PublicKey;
use chorus_protocol::{
    contribution::Level,
    deliberation::{
        bucket::BucketEdges,
        tally::{Vote, mu},
    },
    id::BlobId,
    ledger::{Collects, RoundRecord, SealedContribution},
    log::entry::PollKind,
    round::report::{MapReport, RoundReport},
};

use super::{ApiError, Service, find_poll, latest_round, view};
use crate::api::Code;

impl Service {
    /// Returns the public key of the person at this node.
    pub fn key(&self) -> Option<PublicKey> {
        self.person.as_ref().map(|person| person.key.public())
    }

    /// Returns how the person's contributions show that a member made them, unless they say otherwise.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Configuration`](super::Kind::Configuration) if the settings do not read.
    pub fn manner(&self) -> Result<Level, ApiError> {
        Ok(self.settings()?.level)
    }

    /// Returns the opinion map of a poll's latest result, if it has one.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if there is no result.
    pub async fn opinion_map(&self, reference: &str) -> Result<Option<view::OpinionMap>, ApiError> {
        let ledger = self.ledger().await?;
        let poll = find_poll(&ledger, reference)?;
        let (round, result) = super::results::latest_result(&ledger, Some(poll))
            .ok_or_else(|| ApiError::coded(Code::NoResult, "there is no result yet"))?;
        let finished = self.finished_result(result).await?;
        let report = finished.report();
        let own = self.own_votes(round.id);
        Ok(report.map().map(|map| map_view(report, map, &own)))
    }

    /// Returns whether the person's contribution to a poll's latest round counts.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if voting has not begun.
    pub async fn receipt(&self, reference: &str) -> Result<view::Receipt, ApiError> {
        let ledger = self.ledger().await?;
        let id = find_poll(&ledger, reference)?;
        let round = latest_round(&ledger, id).ok_or_else(|| ApiError::coded(Code::NotBegun, "voting has not begun"))?;
        let tag = self.tag(round);
        let logged = match (&round.sealed, tag) {
            (_, None) => None,
            (Some(sealed), tag) => sealed.contributions.iter().find(|it| Some(it.header.tag) == tag),
            (None, Some(tag)) => round.contributions.get(&tag).and_then(|attempts| attempts.values().next_back()),
        };
        let sealed = round.sealed.as_ref().map(|sealed| {
            let own = sealed.contributions.iter().find(|it| Some(it.header.tag) == tag);
            view::SealedView {
                set: sealed.set,
                contributions: sealed.contributions.len(),
                included: own.is_some(),
                sequence: own.map(|own| own.header.sequence),
                acknowledged_by: own.map(|own| own.acknowledged_by.clone()).unwrap_or_default(),
            }
        });
        Ok(view::Receipt {
            community: ledger.community(),
            poll: id,
            question: ledger.polls().get(&id).map(|poll| poll.opening.question.clone()).unwrap_or_default(),
            round: round.id,
            state: round.state().into(),
            own: self.own(round),
            tag: tag.map(|tag| data_encoding::HEXLOWER.encode(&chorus_crypto::codec::Encode::to_bytes(&tag))),
            logged: logged.map(|SealedContribution { header, .. }| view::Logged {
                sequence: header.sequence,
                body: header.body,
                withdrawal: header.is_withdrawal(),
            }),
            sealed,
            result: round.agreed_result().map(|result| result.result),
        })
    }

    /// Returns all constitutions, the newest first.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Unavailable`](super::Kind::Unavailable) if a result cannot be had.
    pub async fn constitutions(&self) -> Result<Vec<view::Enacted>, ApiError> {
        let ledger = self.ledger().await?;
        let of_statements = |round: &&Arc<RoundRecord>| round.collects == Collects::Ballots(PollKind::Statement);
        let mut rounds: Vec<_> = ledger.rounds().values().filter(of_statements).collect();
        rounds.sort_by_key(|round| core::cmp::Reverse(round.ordinal));
        let (mut enacted, ballots) = (Vec::new(), self.own_ballots());
        for round in rounds {
            let Some(result) = round.agreed_result().map(|result| result.result) else { continue };
            let finished = self.finished_result(result).await?;
            let shown = finished.shown(&ledger);
            let Some(constitution) = shown.constitution.clone() else { continue };
            let own = ballots.get(&round.id);
            let vote = |principle: &view::Principle| {
                let item = shown.items.get(principle.item.checked_sub(1)?)?;
                own?.votes.get(&item.id).copied()
            };
            enacted.push(view::Enacted {
                own: constitution.principles.iter().map(vote).collect(),
                constitution,
                poll: shown.poll,
                question: shown.question.clone(),
                kind: shown.kind,
                round: round.id,
                ballots: shown.ballots,
                groups: shown.groups.iter().map(|group| group.name.clone()).collect(),
            });
        }
        Ok(enacted)
    }
}

/// Returns how many contributions a round has: of the sealed set once there is one.
pub fn ballots_of(round: &RoundRecord) -> usize {
    let counted = || {
        let accepted = round.contributions.values().filter_map(|attempts| attempts.values().next_back());
        accepted.filter(|latest| !latest.header.is_withdrawal()).count()
    };
    round.sealed.as_ref().map_or_else(counted, |sealed| sealed.contributions.len())
}

fn map_view(report: &RoundReport, map: &MapReport, own: &BTreeMap<BlobId, view::Choice>) -> view::OpinionMap {
    let edges = u16::try_from(report.items.len()).ok().map(BucketEdges::new);
    let stretch = |bucket: usize| edges.as_ref().and_then(|edges| edges.stretch(bucket));
    let points = map.ballots.iter().zip(&map.assignment).filter_map(|(ballot, group)| {
        let stretch = stretch(usize::from(ballot.bucket).checked_sub(1)?)?;
        let is_placed = ballot.point.len() == map.map.axes.len() && *group < map.k;
        is_placed.then(|| view::MapPoint { at: map.map.place(&ballot.point, stretch), group: (*group).into() })
    });
    let points: Vec<view::MapPoint> = points.collect();
    view::OpinionMap {
        without: map.ballots.len() - points.len(),
        points,
        groups: map.k.into(),
        axes: map.map.axes.len(),
        own: place(report, map, own, |count| stretch(edges.as_ref()?.bucket_of(count)?)),
    }
}

/// Returns where somebody's votes are on the map.
fn place(
    report: &RoundReport,
    map: &MapReport,
    own: &BTreeMap<BlobId, view::Choice>,
    stretch: impl Fn(usize) -> Option<f64>,
) -> Option<[f64; 2]> {
    let stretch = stretch(own.len())?;
    let mu = mu(report.totals()?);
    let centred = |(item, mu): (&BlobId, &i64)| {
        let vote = match own.get(item) {
            None => return 0,
            Some(view::Choice::Agree) => Vote::Agree,
            Some(view::Choice::Disagree) => Vote::Disagree,
            Some(view::Choice::Pass) => Vote::Pass,
        };
        vote.centred(*mu)
    };
    let centred: Vec<i64> = report.items.iter().zip(&mu).map(centred).collect();
    let point: Vec<i64> = map.map.axes.iter().map(|axis| axis.project(&centred)).collect();
    Some(map.map.place(&point, stretch))
}
