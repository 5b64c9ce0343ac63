//! What operators say about adapters after the sums are open: how the classes weigh, and how an adapter did.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    adapter::{
        entry::{Assessment, WeighedAdapter, Weighing},
        gate::{Position, Stance, positions},
        manifest::Weights,
        report::{AdapterValues, Averages},
    },
    id::{BlobId, RoundId},
    ledger::{Ledger, RoundRecord},
    limits,
    log::entry::Entry,
    peer::{Command, Peer},
    round::{Blobs, averages, report::RoundReport},
};

use super::{
    ApiError, Kind, Service,
    adapters::{class_name, find_series, standing},
    view::{self, AdapterStanding as Standing},
    wait,
};

/// How often bodies that are missing are fetched: those of the openings, then the adapter that the round started from.
const ATTEMPTS: usize = 4;

impl Service {
    /// Weighs the classes of a series' latest finished round. The other operators follow, as they can compute the same adapter
    /// from the open sums.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the manifest does not ask for weights or there is nothing to weigh now, and
    /// [`Kind::Invalid`] if there is not one weight for each class.
    pub async fn weigh(&self, reference: &str, asked: view::WeighClasses) -> Result<view::Series, ApiError> {
        let mut ledger = self.ledger().await?;
        let key = self.operator(&ledger, "weigh classes")?;
        let (id, series) = find_series(&ledger, reference)?;
        if series.manifest.combination.weights != Weights::Posted {
            return Err(ApiError::refused("by this series' manifest nobody weighs its classes afterwards"));
        }
        if !ledger.is_founder(series, &key) {
            return Err(ApiError::refused(format!(
                "operator {} began this series, and weighs its classes; the others check and follow",
                ledger.charter().operator(&series.opened_by).unwrap_or_default()
            )));
        }
        let mut rounds = series.rounds.iter().filter_map(|round| ledger.rounds().get(round));
        let record = rounds.find(|round| standing(&ledger, round).0 == Standing::Unweighed).cloned();
        let record = record.ok_or_else(|| ApiError::refused("no round of this series waits for weights"))?;
        let averages = self.averages(&ledger, &record).await?;
        let weights = weights(&ledger, &record, &averages, &asked.weights)?;
        let wide: Vec<u64> = weights.iter().copied().map(u64::from).collect();
        let weighing = move || averages.weighed(&wide).map(|values: AdapterValues| values.to_blob());
        let weighed = tokio::task::spawn_blocking(weighing).await?;
        let (adapter, bytes) = weighed.ok_or_else(|| ApiError::invalid("all weights are zero"))?;
        let last = record.charter.operator(&key).and_then(|operator| record.weighed.get(&operator));
        let number = last.map_or(0, |(_, times)| *times).saturating_add(1);
        let said = Weighing { number, weighed: WeighedAdapter { round: record.id, weights, adapter } };
        // The body first: whoever reads the entry asks for it.
        self.node.command(Command::Keep(bytes.into())).await?;
        self.say(&mut ledger, vec![Entry::Weigh(said)]).await?;
        let settled = weighed_in(record.id);
        self.until(settled, wait(asked.wait_seconds)).await?;
        self.series(&id.to_string()).await
    }

    /// States how the adapter of a series' latest finished round did in its evaluation.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if there is nothing to assess, or if it is assessed already.
    pub async fn assess(&self, reference: &str, asked: view::Assess) -> Result<view::Series, ApiError> {
        let mut ledger = self.ledger().await?;
        let key = self.operator(&ledger, "assess adapters")?;
        let (id, series) = find_series(&ledger, reference)?;
        let rounds = series.rounds.iter().rev().filter_map(|round| ledger.rounds().get(round));
        let round =
            rounds.filter(|round| standing(&ledger, round).1 == Some(asked.adapter)).map(|round| round.id).next();
        let round = round.ok_or_else(|| ApiError::refused("no round of this series led to this adapter"))?;
        let said = Assessment { round, adapter: asked.adapter, groups: asked.groups };
        self.say(&mut ledger, vec![Entry::Assess(said)]).await?;
        let logged = move |peer: &Peer| {
            let record = peer.ledger().rounds().get(&round);
            record.is_some_and(|round| {
                round.charter.operator(&key).is_some_and(|number| round.assessments.contains_key(&number))
            })
        };
        self.until(logged, wait(asked.wait_seconds)).await?;
        self.series(&id.to_string()).await
    }

    /// Returns what the gate of a series asks about.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the series has no gate, or its round no result.
    pub async fn gate_questions(&self, reference: &str) -> Result<view::GateQuestions, ApiError> {
        let ledger = self.ledger().await?;
        let (_, series) = find_series(&ledger, reference)?;
        let gate =
            series.manifest.gate.ok_or_else(|| ApiError::refused("this series has no gate: nothing is asked"))?;
        let round = ledger.rounds().get(&gate.round);
        let round = round.ok_or_else(|| ApiError::new(Kind::Internal, "a gate without a round"))?;
        let poll = round.plan.ballots().and_then(|plan| ledger.polls().get(&plan.poll));
        let text = |id: &BlobId| {
            let known = poll?.items.iter().find(|(known, _, _)| known == id);
            known.map(|(_, text, _)| text.clone())
        };
        let result = round.agreed_result();
        let result = result.ok_or_else(|| ApiError::refused("the round that the gate asks about has no result yet"))?;
        let report = RoundReport::from_bytes(&self.node.fetch(result.result).await?)
            .map_err(|error| ApiError::new(Kind::Internal, format!("the result does not read: {error}")))?;
        let position = |position: Position| view::GroupPosition {
            text: text(&position.item).unwrap_or_default(),
            item: position.item,
            agrees: position.stance == Stance::For,
            held_out: position.held_out,
        };
        let groups = positions(&gate, &report).into_iter().take(gate.groups.into()).zip('A'..='Z');
        let group = |(group, name): (Vec<Position>, char)| view::GroupPositions {
            name: name.to_string(),
            positions: group.into_iter().map(position).collect(),
        };
        Ok(view::GateQuestions { round: gate.round, groups: groups.map(group).collect() })
    }

    /// Puts the open sums of a round together, fetching what is not at hand.
    async fn averages(&self, ledger: &Ledger, record: &RoundRecord) -> Result<Averages, ApiError> {
        let (ledger, record) = (Arc::new(ledger.clone()), Arc::new(record.clone()));
        let mut bodies = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            let (ledger, record) = (ledger.clone(), record.clone());
            let at_hand = AtHand { bodies, missing: RefCell::default() };
            let compute = move || {
                let averages = averages(&ledger, &record, &at_hand);
                (averages, at_hand)
            };
            let (averages, at_hand) = tokio::task::spawn_blocking(compute).await?;
            if let Some(averages) = averages {
                return Ok(averages);
            }
            bodies = at_hand.bodies;
            let missing = at_hand.missing.into_inner();
            if missing.is_empty() {
                break;
            }
            for id in missing {
                bodies.insert(id, self.node.fetch(id).await?);
            }
        }
        Err(ApiError::new(Kind::Unavailable, "the sums of this round are not open, or cannot be had"))
    }
}

/// Bodies that were fetched, and those that are asked for in vain.
struct AtHand {
    bodies: BTreeMap<BlobId, Arc<[u8]>>,
    missing: RefCell<Vec<BlobId>>,
}

impl Blobs for AtHand {
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        let found = self.bodies.get(id).cloned();
        if found.is_none() {
            self.missing.borrow_mut().push(*id);
        }
        found
    }
}

/// Whether a round's classes are weighed.
fn weighed_in(round: RoundId) -> impl Fn(&Peer) -> bool + Send {
    move |peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.agreed_weighing().is_some())
}

/// Returns the weights in the order of the classes.
fn weights(
    ledger: &Ledger,
    record: &RoundRecord,
    averages: &Averages,
    given: &[(String, u32)],
) -> Result<Vec<u32>, ApiError> {
    let names: Vec<String> = averages.classes().iter().map(|share| class_name(ledger, record, share.class)).collect();
    if let Some((name, _)) = given.iter().find(|(name, _)| !names.contains(name)) {
        return Err(ApiError::invalid(format!("there is no class {name:?}; there are: {}", names.join(", "))));
    }
    let of = |name: &String| {
        let mut found = given.iter().filter(|(known, _)| known == name).map(|(_, weight)| *weight);
        match (found.next(), found.next()) {
            (Some(weight), None) if weight <= limits::MAX_WEIGHT => Ok(weight),
            (Some(_), None) => Err(format!("a weight is at most {}", limits::MAX_WEIGHT)),
            (None, _) => Err(format!("class {name:?} has no weight; there are: {}", names.join(", "))),
            (Some(_), Some(_)) => Err(format!("class {name:?} stands twice")),
        }
    };
    names.iter().map(of).collect::<Result<_, _>>().map_err(ApiError::invalid)
}
