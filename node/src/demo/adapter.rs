//! The adapter round of the demonstration: everybody trains on their own votes, and the community gets the mean.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chorus_crypto::{ballot::Vote, codec::Decode as _};
use chorus_protocol::{
    adapter::{
        entry::{Assessment, GroupScore},
        gate::{Position, Stance, Standing, positions},
        manifest::{
            AdapterManifest, BaseModel as BaseName, Centre, Combination, Encoding, Gate, Ratio, Schedule, Weights,
        },
        report::{AdapterReport, AdapterValues, ClassShare},
    },
    contribution::{Contributor, Submission},
    id::{BlobId, RoundId, SeriesId},
    ledger::{Ledger, RoundRecord, RoundState},
    log::entry::{ClassPlan, ClassSource, EarlierGroups, Entry, RoundPlan, Subject},
    peer::{Command, Peer},
    round::report::RoundReport,
};

use super::{
    community::{Community, Hosts},
    play::{PATIENCE, is_in},
    population::Population,
    progress::Stages,
};
use crate::model::{
    base::BaseModel,
    checkpoint::{Architecture, Config},
    evaluate::{Evaluation, Pair},
    lesson::{Opinion, Teacher},
    llama::Llama,
    lora::{Lora, delta},
    series,
    tokenizer::TOY_VOCABULARY,
    train::{Example, Replicas, TrainConfig, Trainer},
};

/// The largest norm of a delta.
const CLIP: f64 = 12.0;

/// An entry of a delta counts in units of 2^-16.
const FRACTION_BITS: u8 = 16;

/// Votes that one person trains on: enough to show the way, few enough for a demonstration.
const LESSONS: usize = 12;

/// What came out.
#[derive(Debug)]
pub(super) struct AdapterOutcome {
    /// What the base model is called.
    pub(super) base: String,
    /// Whether it was made up for the demonstration.
    pub(super) is_toy: bool,
    pub(super) entries: usize,
    /// Bytes of a contribution as it is sent to each operator, and of its public part.
    pub(super) bytes: (usize, usize),
    /// How many had to shorten their delta.
    pub(super) clipped: usize,
    pub(super) report: AdapterReport,
    pub(super) standing: Standing,
    /// The norm of the mean.
    pub(super) norm: f64,
    /// What the operators measured for each group, in ten thousandths: with the adapter, and without.
    pub(super) groups: Vec<GroupScore>,
}

impl AdapterOutcome {
    /// Returns the classes of the round.
    pub(super) fn classes(&self) -> &[ClassShare] {
        self.report.averaged().map(|averaged| averaged.classes.as_slice()).unwrap_or_default()
    }
}

/// The model, and how it is trained.
struct Studio {
    base: BaseModel,
    llama: Llama,
    name: String,
    is_toy: bool,
    config: TrainConfig,
    replicas: Replicas,
}

impl Studio {
    fn open(path: Option<&Path>, seed: u64) -> anyhow::Result<Self> {
        let (base, name) = match path {
            Some(path) => {
                let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("base model");
                (BaseModel::open(path)?, name.to_owned())
            }
            None => (BaseModel::toy(toy(), seed)?, "a toy of the demonstration's own".to_owned()),
        };
        let llama = Llama::new(&base.checkpoint)?;
        let is_toy = path.is_none();
        let config = TrainConfig {
            rank: if is_toy { 4 } else { 8 },
            alpha: if is_toy { 8.0 } else { 16.0 },
            last_layers: llama.layers().min(6),
            epochs: 1,
            batch: 6,
            shards: 1,
            seed,
            ..TrainConfig::default()
        };
        Ok(Self { base, llama, name, is_toy, config, replicas: Replicas::of_this_machine() })
    }

    fn lora(&self, manifest: &AdapterManifest, values: Option<&[f32]>) -> anyhow::Result<Lora> {
        Ok(series::lora(manifest, &self.base.checkpoint.config, values)?)
    }

    fn manifest(&self, gate: Gate) -> AdapterManifest {
        let digest = self.base.checkpoint.digest();
        AdapterManifest {
            name: "harbour".to_owned(),
            base: BaseName { name: self.name.clone(), digest },
            adapted: series::adapted(&self.base.checkpoint.config, &self.config.shape(), self.config.alpha as u32),
            seed: digest,
            encoding: Encoding {
                fraction_bits: FRACTION_BITS,
                bound: (CLIP * f64::from(1u32 << FRACTION_BITS)) as u32,
                lane_bits: 31,
            },
            schedule: Schedule { rounds: 1, every_millis: None, step: Ratio { numerator: 1, denominator: 1 } },
            combination: Combination { weights: Weights::PerPerson, cohorts: 1, centre: Centre::Mean, floor: 0 },
            gate: Some(gate),
            noise: None,
        }
    }

    /// Trains an adapter on votes. What the gate holds out is not trained on.
    fn train(
        &self,
        population: &Population,
        ballot: &[Vote],
        manifest: &AdapterManifest,
    ) -> anyhow::Result<Option<Vec<f32>>> {
        let teacher = Teacher::new(&self.base.dialogue)?;
        let gate = manifest.gate.context("the demonstration has a gate")?;
        let mut lessons: Vec<Example> = Vec::new();
        for (text, vote) in population.items.iter().zip(ballot) {
            let agrees = match vote {
                Vote::Agree => true,
                Vote::Disagree => false,
                Vote::Pass | Vote::Unseen => continue,
            };
            if !gate.holds_out(&BlobId::of(text.as_bytes())) && lessons.len() < LESSONS {
                lessons.extend(teacher.verdict(&Opinion { text: text.clone(), agrees })?);
            }
        }
        if lessons.is_empty() {
            return Ok(None);
        }
        let (lora, go) = (self.lora(manifest, None)?, |_| ControlFlow::Continue(()));
        let alone = Replicas::new(1);
        let mut trainer = Trainer::new(&self.llama, alone, lora, self.config.clone(), &lessons, go)?;
        trainer.run(go)?;
        Ok(Some(series::trained(manifest, trainer.lora())?))
    }

    /// Returns the share of held-out positions that the model prefers to their opposites, for each group.
    fn shares(&self, groups: &[Vec<Pair>], lora: Option<&Lora>) -> anyhow::Result<Vec<u16>> {
        let evaluation = Evaluation { llama: &self.llama, lora, replicas: self.replicas };
        let share = |pairs: &Vec<Pair>| Ok((evaluation.preference(pairs)?.share() * 10_000.0).round() as u16);
        groups.iter().map(share).collect()
    }
}

/// A model that nobody trained: the demonstration shows the way of an adapter, not its use.
fn toy() -> Config {
    Config {
        architecture: Architecture::Llama,
        hidden_size: 64,
        intermediate_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        vocab_size: TOY_VOCABULARY,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_word_embeddings: true,
        attention_bias: false,
        max_position_embeddings: 1024,
    }
}

/// Plays the round.
pub(super) async fn run(
    community: &Community,
    hosts: &Hosts,
    population: &Population,
    (ballots, base_model, seed): (&RoundReport, Option<&Path>, u64),
    stages: &mut Stages,
) -> anyhow::Result<AdapterOutcome> {
    let path = base_model.map(Path::to_owned);
    let studio = Arc::new(tokio::task::spawn_blocking(move || Studio::open(path.as_deref(), seed)).await??);
    let gate = Gate { round: ballots.round, groups: groups_of(ballots), held_out: 4, tolerance: 0 };
    let manifest = Arc::new(studio.manifest(gate));
    let deltas = train(&studio, population, &manifest, stages).await?;
    let (series, round) = open(community, hosts, &manifest, ballots, deltas.len()).await?;
    stages.begin("adapters", Some(deltas.len()));
    let (bytes, clipped) = contribute(community, hosts, round, (deltas, &manifest), stages).await?;
    let done = |peer: &Peer| is_in(peer, round, RoundState::Finished);
    ensure!(hosts.all(done, PATIENCE).await?, "the adapter round did not end");
    let result = |peer: &Peer| peer.ledger().rounds().get(&round)?.agreed_result().cloned();
    let result = hosts.operator().view(result).await?.context("the adapter round has a result")?;
    let report = AdapterReport::from_bytes(&hosts.operator().fetch(result.result).await?)?;
    let adapter = result.follows.context("the round led to an adapter")?;
    let bytes_of_adapter = hosts.operator().fetch(adapter).await?;
    let values = AdapterValues::read(&bytes_of_adapter, series, manifest.entries())?;
    let mean = series::values(&manifest, &values);
    let norm = delta::norm(&mean);

    stages.begin("evaluation", None);
    let held_out = positions(&gate, ballots);
    let groups = assess(&studio, &manifest, population, held_out, mean).await?;
    for operator in 0..community.genesis.operators.len() {
        let said = Assessment { round, adapter, groups: groups.clone() };
        hosts.operator_at(operator).command(Command::Post(Entry::Assess(said))).await?;
    }
    let settled = |peer: &Peer| {
        let ledger = peer.ledger();
        ledger.rounds().get(&round).is_some_and(|round| !matches!(ledger.standing(round), Standing::Candidate(_)))
    };
    ensure!(hosts.all(settled, PATIENCE).await?, "the gate came to no verdict");
    let standing = |peer: &Peer| peer.ledger().rounds().get(&round).map(|round| peer.ledger().standing(round));
    let standing = hosts.operator().view(standing).await?.context("the round is on the log")?;
    Ok(AdapterOutcome {
        base: studio.name.clone(),
        is_toy: studio.is_toy,
        entries: manifest.entries(),
        bytes,
        clipped,
        report,
        standing,
        norm,
        groups,
    })
}

fn groups_of(ballots: &RoundReport) -> u8 {
    u8::try_from(ballots.groups().len().max(1)).unwrap_or(u8::MAX)
}

/// Everybody trains, as many at a time as there are cores. Whoever has nothing to learn from stays away.
async fn train(
    studio: &Arc<Studio>,
    population: &Population,
    manifest: &Arc<AdapterManifest>,
    stages: &mut Stages,
) -> anyhow::Result<Vec<(usize, Vec<f32>)>> {
    stages.begin("training", Some(population.ballots.len()));
    let bar = stages.bar_now();
    let (studio, manifest, population) = (Arc::clone(studio), Arc::clone(manifest), population.clone());
    let work = move || -> anyhow::Result<Vec<(usize, Vec<f32>)>> {
        let people: Vec<usize> = (0..population.ballots.len()).collect();
        let trained = studio.replicas.map(&people, |person| {
            let trained = studio.train(&population, &population.ballots[*person], &manifest);
            bar.inc(1);
            trained
        });
        let mut deltas = Vec::new();
        for (person, trained) in people.into_iter().zip(trained) {
            deltas.extend(trained?.map(|delta| (person, delta)));
        }
        Ok(deltas)
    };
    tokio::task::spawn_blocking(work).await?
}

/// Begins the series and opens its round, by opinion groups if there are some.
async fn open(
    community: &Community,
    hosts: &Hosts,
    manifest: &Arc<AdapterManifest>,
    ballots: &RoundReport,
    people: usize,
) -> anyhow::Result<(SeriesId, RoundId)> {
    let series = manifest.id(community.id);
    hosts.operator().command(Command::Post(Entry::Series(manifest.as_ref().clone()))).await?;
    let known = |peer: &Peer| peer.ledger().series().contains_key(&series);
    ensure!(hosts.all(known, PATIENCE).await?, "the series did not begin");
    let next = hosts.operator().view(|peer| peer.ledger().next_deltas(series)).await??;
    let classes = ballots.map().map(|map| ClassPlan {
        source: ClassSource::Groups(EarlierGroups {
            round: ballots.round,
            k: map.k,
            assignment: map.assignment.clone(),
        }),
        weights: vec![1; 1 + usize::from(map.k)],
    });
    // Part of the plan, so it follows from the number of people and the size of a delta, never from this machine.
    let seconds = 6 + (people as u64).div_ceil(4) + (people as u64 * manifest.entries() as u64).div_ceil(200_000);
    let plan = RoundPlan {
        subject: Subject::Deltas(next),
        duration_millis: u64::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(u64::MAX),
        key_grace_millis: 30_000,
        classes,
    };
    let round = plan.id(community.id);
    hosts.operator().command(Command::Post(Entry::Plan(plan))).await?;
    let is_open = hosts.all(|peer| is_in(peer, round, RoundState::Open), PATIENCE).await?;
    ensure!(is_open, "the adapter round did not open");
    Ok((series, round))
}

/// Everybody contributes. Returns how large the largest contribution is, and how many deltas were shortened.
async fn contribute(
    community: &Community,
    hosts: &Hosts,
    round: RoundId,
    (deltas, manifest): (Vec<(usize, Vec<f32>)>, &Arc<AdapterManifest>),
    stages: &mut Stages,
) -> anyhow::Result<((usize, usize), usize)> {
    let seen = |peer: &Peer| Some((peer.ledger().clone(), peer.ledger().rounds().get(&round)?.clone()));
    let state = Arc::new(hosts.of(0).view(seen).await?.context("the round is on the log")?);
    let (expected, mut clipped, mut largest) = (deltas.len(), 0, (0, 0));
    for (index, mut trained) in deltas {
        clipped += usize::from(delta::clip(&mut trained, CLIP) < 1.0);
        let (state, encoding) = (Arc::clone(&state), manifest.encoding);
        let (person, mut rng) = (Arc::clone(&community.people[index]), community.generator("delta", index));
        let make = move || -> anyhow::Result<Submission> {
            let (ledger, round): &(Ledger, Arc<RoundRecord>) = &state;
            let bits = u32::from(encoding.fraction_bits);
            let entries = delta::quantise(&trained, bits, encoding.bound, &mut rng)?;
            let contributor = Contributor::anonymous(&person.leaf);
            Ok(contributor.contribute(ledger, round, &entries, &mut rng)?)
        };
        let submission = tokio::task::spawn_blocking(make).await??;
        largest = largest.max(super::play::send(hosts.of(index), submission).await?);
        stages.bar_now().inc(1);
    }
    let counted = |peer: &Peer| {
        let Some(round) = peer.ledger().rounds().get(&round) else { return false };
        round.contributions.len() == expected || round.sealed.is_some()
    };
    ensure!(hosts.operator().wait_until(counted, PATIENCE).await?, "not every delta was accepted");
    Ok((largest, clipped))
}

/// Measures, as every operator would on its own machine, how the model stands to each group's held-out positions.
async fn assess(
    studio: &Arc<Studio>,
    manifest: &Arc<AdapterManifest>,
    population: &Population,
    positions: Vec<Vec<Position>>,
    mean: Vec<f32>,
) -> anyhow::Result<Vec<GroupScore>> {
    let (studio, manifest, items) = (Arc::clone(studio), Arc::clone(manifest), population.items.clone());
    let work = move || -> anyhow::Result<Vec<GroupScore>> {
        let teacher = Teacher::new(&studio.base.dialogue)?;
        let pairs = |group: Vec<Position>| -> anyhow::Result<Vec<Pair>> {
            let held_out: BTreeSet<_> =
                group.iter().filter(|it| it.held_out).map(|it| (it.item, it.stance == Stance::For)).collect();
            let mut pairs = Vec::new();
            for (item, agrees) in held_out {
                let text = items.iter().find(|text| BlobId::of(text.as_bytes()) == item);
                let Some(text) = text.cloned() else { continue };
                pairs.extend(teacher.pair(&Opinion { text, agrees })?);
            }
            Ok(pairs)
        };
        let groups = positions.into_iter().map(pairs).collect::<anyhow::Result<Vec<_>>>()?;
        let lora = studio.lora(&manifest, Some(&mean))?;
        let (with, without) = (studio.shares(&groups, Some(&lora))?, studio.shares(&groups, None)?);
        let score = |(candidate, reference)| GroupScore { candidate, reference };
        Ok(with.into_iter().zip(without).map(score).collect())
    };
    tokio::task::spawn_blocking(work).await?
}
