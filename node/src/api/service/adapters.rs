//! Series of adapter rounds: beginning them, planning their rounds, contributing to them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chorus_crypto::{codec::Decode as _, hash};
use chorus_protocol::{
    adapter::{
        gate,
        manifest::AdapterManifest,
        report::{AdapterReport, VariantKind},
    },
    contribution::Level,
    fault::Fault,
    id::{BlobId, SeriesId},
    ledger::{Ledger, RoundRecord, Series},
    log::entry::{ClassSource, Entry, RoundPlan, Subject},
    peer::Peer,
};
use zeroize::Zeroizing;

use super::{
    ApiError, Kind, Service, classes, polls,
    view::{self, AdapterStanding as Standing},
    votes::{Manner, Wish},
    wait,
};
use crate::{
    model::lora::delta,
    participation::{Action, check},
};

/// The names of variants that are no class's.
const PERSON: &str = "person";
const CLASS: &str = "class";
const PLANNED: &str = "planned";
const WEIGHED: &str = "weighed";

/// What the one class of a round without classes is called.
const EVERYBODY: &str = "everybody";

impl Service {
    /// Returns all series.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`] if the node has stopped.
    pub async fn all_series(&self) -> Result<Vec<view::Series>, ApiError> {
        let ledger = self.ledger().await?;
        let mut all = Vec::new();
        for (id, series) in ledger.series() {
            all.push(self.series_view(&ledger, *id, series).await?);
        }
        Ok(all)
    }

    /// Returns one series.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if there is no such series.
    pub async fn series(&self, reference: &str) -> Result<view::Series, ApiError> {
        let ledger = self.ledger().await?;
        let (id, series) = find_series(&ledger, reference)?;
        self.series_view(&ledger, id, series).await
    }

    /// Begins a series.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the rules do not admit it: only operators begin series.
    pub async fn begin_series(&self, asked: view::BeginSeries) -> Result<view::Series, ApiError> {
        let mut ledger = self.ledger().await?;
        self.operator(&ledger, "begin series of adapter rounds")?;
        let id = asked.manifest.id(ledger.community());
        self.say(&mut ledger, vec![Entry::Series(asked.manifest)]).await?;
        self.until(move |peer| peer.ledger().series().contains_key(&id), wait(asked.wait_seconds)).await?;
        self.series(&id.to_string()).await
    }

    /// Plans the next round of a series, and waits until it is open.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the round before it has not come to its end, or if the person at this node is no
    /// operator.
    pub async fn plan_deltas(&self, reference: &str, asked: view::PlanDeltas) -> Result<view::Series, ApiError> {
        polls::check_duration(asked.duration_millis)?;
        let mut ledger = self.ledger().await?;
        self.operator(&ledger, "begin adapter rounds")?;
        let (id, series) = find_series(&ledger, reference)?;
        let deltas = ledger.next_deltas(id).map_err(|fault| match fault {
            Fault::Phase(_) => ApiError::refused(unfinished(&ledger, series)),
            other => other.into(),
        })?;
        let classes = match asked.classes {
            Some(classes) => Some(self.class_plan(&ledger, classes).await?),
            None => None,
        };
        let plan = RoundPlan {
            subject: Subject::Deltas(deltas),
            duration_millis: asked.duration_millis,
            key_grace_millis: polls::KEY_GRACE_MILLIS,
            classes,
        };
        let round = plan.id(ledger.community());
        self.say(&mut ledger, vec![Entry::Plan(plan)]).await?;
        let open = move |peer: &Peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.manifest.is_some());
        self.until(open, wait(asked.wait_seconds)).await?;
        self.series(&id.to_string()).await
    }

    /// Contributes a delta to the latest round of a series. It replaces the person's earlier one wholly.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the person contributes no adapters or the round takes none, [`Kind::Invalid`] if the
    /// octets are no delta of the series, and [`Kind::TimedOut`] if it is not on the log in time; it is then sent until it
    /// is, over restarts of the node too.
    ///
    /// # Security
    ///
    /// What leaves is masked, and rounded at random; only its norm is shown to be within the bound.
    pub async fn contribute(
        &self,
        reference: &str,
        asked: view::Contribute,
        octets: &[u8],
    ) -> Result<view::Contributed, ApiError> {
        let settings = self.settings()?;
        let level = if asked.open { Level::Open } else { settings.level };
        check(&settings, Action::Adapter(level))?;
        let wait = wait(asked.wait_seconds);
        let (ledger, record, manifest) = self.open_deltas(reference, wait).await?;
        let mut values = read_delta(octets, manifest.entries())?;
        let bits = u32::from(manifest.encoding.fraction_bits);
        let clipped = delta::clip(&mut values, f64::from(manifest.largest()) / f64::from(1u32 << bits.min(31)));
        let detail = [record.id.as_ref(), &hash::content(octets)[..]].concat();
        let mut rng = self.randomness.generator("rounding", &detail);
        let entries = delta::quantise(&values, bits, manifest.largest(), &mut rng)
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let manner = Manner { level, on_map: false, show_class: !asked.hide_class };
        let (own, shows) = self.cast(record.id, Wish::Delta(Zeroizing::new(entries)), manner, wait).await?;
        drop(ledger);
        let number = record.plan.number();
        Ok(view::Contributed { round: record.id, number, own, clipped, shows })
    }

    /// Takes the person's contribution to the latest round of a series back.
    ///
    /// # Errors
    ///
    /// As [`contribute`](Self::contribute); and [`Kind::Refused`] if there is none.
    pub async fn withdraw_delta(&self, reference: &str, asked: view::Withdraw) -> Result<view::Contributed, ApiError> {
        let wait = wait(asked.wait_seconds);
        let (_, record, _) = self.open_deltas(reference, wait).await?;
        if self.own(&record).is_none_or(|own| own.withdrawal) {
            return Err(ApiError::refused("there is no contribution of yours to withdraw"));
        }
        let manner = Manner { level: self.settings()?.level, on_map: false, show_class: false };
        let (own, shows) = self.cast(record.id, Wish::Withdraw, manner, wait).await?;
        Ok(view::Contributed { round: record.id, number: record.plan.number(), own, clipped: 1.0, shows })
    }

    /// Returns the encoded values of an adapter that the log or a report of the series names.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if nothing names it, and [`Kind::Unavailable`] if nobody has it.
    pub async fn adapter_values(&self, reference: &str, adapter: BlobId) -> Result<Arc<[u8]>, ApiError> {
        let ledger = self.ledger().await?;
        let (_, series) = find_series(&ledger, reference)?;
        let mut known = BTreeSet::new();
        for round in series.rounds.iter().filter_map(|round| ledger.rounds().get(round)) {
            known.extend(round.plan.deltas().and_then(|plan| plan.start));
            known.extend(round.agreed_result().and_then(|result| result.follows));
            known.extend(round.weighed_adapter());
            if !known.contains(&adapter)
                && let Some(report) = self.report(round).await?
            {
                known.extend(report.averaged().into_iter().flat_map(|it| &it.variants).map(|variant| variant.adapter));
            }
        }
        if !known.contains(&adapter) {
            return Err(ApiError::invalid("no round of this series led to such an adapter: see `chorus adapter list`"));
        }
        Ok(self.node.fetch(adapter).await?)
    }

    /// Returns the report of a finished round.
    pub(super) async fn report(&self, round: &RoundRecord) -> Result<Option<AdapterReport>, ApiError> {
        let Some(result) = round.agreed_result() else { return Ok(None) };
        let body = self.node.fetch(result.result).await?;
        let report = AdapterReport::from_bytes(&body);
        report.map(Some).map_err(|error| ApiError::new(Kind::Internal, format!("the result does not read: {error}")))
    }

    /// Finds the latest round of a series, waiting while the operators prepare it.
    async fn open_deltas(
        &self,
        reference: &str,
        wait: Duration,
    ) -> Result<(Ledger, Arc<RoundRecord>, Arc<AdapterManifest>), ApiError> {
        let ledger = self.ledger().await?;
        let (_, series) = find_series(&ledger, reference)?;
        let manifest = series.manifest.clone();
        let round = series.rounds.last().copied().ok_or_else(|| {
            ApiError::refused("no round of this series has been planned yet: an operator plans the first")
        })?;
        let (ledger, id) = self.opened(ledger, round, wait).await?;
        let record = ledger.rounds().get(&id).cloned();
        let record = record.ok_or_else(|| ApiError::new(Kind::Internal, "a round was lost"))?;
        Ok((ledger, record, manifest))
    }

    async fn series_view(&self, ledger: &Ledger, id: SeriesId, series: &Series) -> Result<view::Series, ApiError> {
        let mut rounds = Vec::new();
        for round in series.rounds.iter().filter_map(|round| ledger.rounds().get(round)) {
            let report = self.report(round).await?;
            rounds.push(self.deltas_view(ledger, round, report.as_ref()));
        }
        let adopted = ledger.adopted(id).and_then(|(round, adapter)| {
            Some(view::Adopted { round, number: ledger.rounds().get(&round)?.plan.number(), adapter })
        });
        Ok(view::Series {
            id,
            manifest: series.manifest.as_ref().clone(),
            entries: series.manifest.entries(),
            opened_by: ledger.charter().operator(&series.opened_by),
            rounds,
            adopted,
        })
    }

    fn deltas_view(&self, ledger: &Ledger, round: &RoundRecord, report: Option<&AdapterReport>) -> view::AdapterRound {
        let (standing, adapter) = standing(ledger, round);
        let averaged = report.and_then(AdapterReport::averaged);
        let weights = round.agreed_weighing().map(|weighed| &weighed.weights);
        let name = |class| class_name(ledger, round, class);
        let classes = averaged.into_iter().flat_map(|it| &it.classes).enumerate();
        let class = |(place, share): (usize, &chorus_protocol::adapter::report::ClassShare)| view::AdapterClass {
            name: name(share.class),
            number: share.class,
            contributions: share.contributions,
            cohorts: share.cohorts,
            weight: weights.and_then(|weights| weights.get(place)).copied(),
        };
        let variants = averaged.into_iter().flat_map(|it| &it.variants).map(|variant| {
            let name = match variant.kind {
                VariantKind::PerPerson => PERSON.to_owned(),
                VariantKind::PerClass => CLASS.to_owned(),
                VariantKind::Planned => PLANNED.to_owned(),
                VariantKind::Class(class) => name(class),
            };
            view::AdapterVariant { name, adapter: variant.adapter }
        });
        let weighed = round.weighed_adapter();
        let weighed = weighed.map(|adapter| view::AdapterVariant { name: WEIGHED.to_owned(), adapter });
        view::AdapterRound {
            round: self.round(ledger, round),
            number: round.plan.number(),
            start: round.plan.deltas().and_then(|plan| plan.start),
            replaces: round.replaces,
            standing,
            adapter,
            previous: report.and_then(|report| report.previous),
            groups_of: round.plan.classes.as_ref().and_then(|plan| match &plan.source {
                ClassSource::Groups(groups) => Some(groups.round),
                ClassSource::Attribute(_) => None,
            }),
            classes: classes.map(class).collect(),
            variants: variants.chain(weighed).collect(),
            assessments: round.assessments.len(),
            groups: round.verdict.as_ref().map(|verdict| verdict.groups.clone()).unwrap_or_default(),
        }
    }
}

/// Returns what became of a round, and the adapter that follows.
pub(super) fn standing(ledger: &Ledger, round: &RoundRecord) -> (Standing, Option<BlobId>) {
    match ledger.standing(round) {
        gate::Standing::Unfinished => (Standing::Unfinished, None),
        gate::Standing::Nothing => (Standing::Nothing, None),
        gate::Standing::Unweighed => (Standing::Unweighed, None),
        gate::Standing::Candidate(adapter) => (Standing::Candidate, Some(adapter)),
        gate::Standing::Adopted(adapter) => (Standing::Adopted, Some(adapter)),
        gate::Standing::Refused(adapter) => (Standing::Refused, Some(adapter)),
    }
}

/// Returns what a class of a round is called.
pub(super) fn class_name(ledger: &Ledger, round: &RoundRecord, class: u16) -> String {
    match &round.plan.classes {
        Some(plan) => classes::name_of(ledger, &plan.source, class),
        None => EVERYBODY.to_owned(),
    }
}

/// Finds a series by its name, its id or the beginning of it; `-` is the only one.
pub(super) fn find_series<'l>(ledger: &'l Ledger, reference: &str) -> Result<(SeriesId, &'l Series), ApiError> {
    let begins = if reference == "-" { "" } else { reference };
    let named: Vec<_> = ledger.series().iter().filter(|(_, series)| series.manifest.name == reference).collect();
    let begun = || ledger.series().iter().filter(|(id, _)| id.to_string().starts_with(begins)).collect();
    let matching: Vec<_> = if named.is_empty() { begun() } else { named };
    match matching.as_slice() {
        [(id, series)] => Ok((**id, *series)),
        [] if begins.is_empty() => Err(ApiError::invalid(
            "there is no series of adapter rounds yet: an operator begins one, see `chorus adapter open`",
        )),
        [] => {
            Err(ApiError::invalid(format!("no series is called {reference:?} or begins so: see `chorus adapter list`")))
        }
        [_, _, ..] if begins.is_empty() => {
            Err(ApiError::invalid("there is more than one series: name one, see `chorus adapter list`"))
        }
        [_, _, ..] => Err(ApiError::invalid(format!("{} series match {reference:?}: give the id", matching.len()))),
    }
}

/// Says why the next round of a series cannot be planned.
fn unfinished(ledger: &Ledger, series: &Series) -> String {
    let last = series.rounds.last().and_then(|round| ledger.rounds().get(round));
    match last.map(|round| ledger.standing(round)) {
        Some(gate::Standing::Unweighed) => {
            "the classes of the last round are not weighed yet: see `chorus adapter weigh`".to_owned()
        }
        Some(gate::Standing::Candidate(_)) => {
            "the adapter of the last round is not assessed yet: see `chorus adapter assess`".to_owned()
        }
        _ => "the last round of this series is not finished: see `chorus adapter list`".to_owned(),
    }
}

/// Reads a delta: four bytes for each entry.
fn read_delta(octets: &[u8], entries: usize) -> Result<Zeroizing<Vec<f32>>, ApiError> {
    let (chunks, rest) = octets.as_chunks::<4>();
    if chunks.len() != entries || !rest.is_empty() {
        let message = format!("{} octets are no delta of this series, which has {entries} entries of 4", octets.len());
        return Err(ApiError::invalid(message));
    }
    Ok(Zeroizing::new(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()))
}
