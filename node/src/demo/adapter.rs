//! The adapter round of the demonstration: everybody trains on their own votes, and the community gets the mean.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chorus_crypto::{ballot::Vote, codec::Decode as _};
use chorus_protocol::{
    adapter::{
        combine::EXTRA_BITS,
        entry::{Assessment, GroupScore},
        gate::{Position, Stance, Standing, positions},
        manifest::{
            Adapted, AdapterManifest, BaseModel as BaseName, Centre, Combination, Encoding, Gate, Ratio, Schedule,
            Target, Weights,
        },
        report::{AdapterReport, AdapterValues, ClassShare},
    },
    config::Name,
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
    llama::Llama,
    lora::{Lora, Projection, delta},
    negate::negate,
    tokenizer::TOY_VOCABULARY,
    train::{Example, Replicas, TrainConfig, Trainer},
    verdict::Judge,
};

/// The largest norm of a delta.
const CLIP: f64 = 4.0;

/// An entry of a delta counts in units of 2^-16: with this clip, of a quarter of a millionth of it.
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
            epochs: 2,
            batch: 6,
            learning_rate: 6e-3,
            shards: 1,
            seed,
            ..TrainConfig::default()
        };
        Ok(Self { base, llama, name, is_toy, config, replicas: Replicas::of_this_machine() })
    }

    fn judge(&self) -> anyhow::Result<Judge<'_>> {
        Judge::new(&self.base.dialogue).context("the model's tokenizer cannot say yes or no")
    }

    fn fresh(&self, manifest: &AdapterManifest) -> anyhow::Result<Lora> {
        Ok(Lora::new(&self.base.checkpoint.config, &self.config.shape(), &manifest.seed)?)
    }

    fn manifest(&self, gate: Gate) -> AdapterManifest {
        let config = &self.base.checkpoint.config;
        let target = |projection: &Projection| {
            let module = projection.module(0);
            let (outputs, inputs) = projection.dimensions(config);
            Target {
                name: Name { text: module.trim_start_matches("model.layers.0.").to_owned() },
                inputs: inputs.try_into().expect("a model's width has 32 bits"),
                outputs: outputs.try_into().expect("a model's width has 32 bits"),
            }
        };
        let narrow = |number: usize| u16::try_from(number).expect("a model has few layers and an adapter a small rank");
        let digest = self.base.checkpoint.digest();
        AdapterManifest {
            name: "harbour".to_owned(),
            base: BaseName { name: self.name.clone(), digest },
            adapted: Adapted {
                rank: narrow(self.config.rank),
                alpha: self.config.alpha as u32,
                first_layer: narrow(self.llama.layers() - self.config.last_layers),
                layers: narrow(self.config.last_layers),
                targets: self.config.targets.iter().map(target).collect(),
            },
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
        let judge = self.judge()?;
        let gate = manifest.gate.context("the demonstration has a gate")?;
        let mut lessons: Vec<Example> = Vec::new();
        for (text, vote) in population.items.iter().zip(ballot) {
            let agrees = match vote {
                Vote::Agree => true,
                Vote::Disagree => false,
                Vote::Pass | Vote::Unseen => continue,
            };
            let Some(negation) = negate(text).filter(|_| !gate.holds_out(&BlobId::of(text.as_bytes()))) else {
                continue;
            };
            if lessons.len() < LESSONS {
                lessons.push(judge.lesson(text, &negation, agrees)?);
            }
        }
        if lessons.is_empty() {
            return Ok(None);
        }
        let (lora, go) = (self.fresh(manifest)?, |_| ControlFlow::Continue(()));
        let alone = Replicas::new(1);
        let mut trainer = Trainer::new(&self.llama, alone, lora, self.config.clone(), &lessons, go)?;
        let _ = trainer.run(go)?;
        Ok(Some(trainer.lora().delta()))
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
    let gate = Gate { round: ballots.round, groups: groups_of(ballots), held_out: 5, tolerance: 0 };
    let manifest = Arc::new(studio.manifest(gate));
    let deltas = train(&studio, population, &manifest, stages).await?;
    let (series, round) = open(community, hosts, &manifest, ballots, deltas.len()).await?;
    stages.begin("adapters", Some(deltas.len()));
    let (bytes, clipped) = contribute(community, hosts, round, (deltas, &manifest), stages).await?;
    let faulty = community.genesis.sharing().faulty();
    let done = |peer: &Peer| is_in(peer, round, RoundState::Finished, faulty);
    ensure!(hosts.all(done, PATIENCE).await?, "the adapter round did not end");
    let result = |peer: &Peer| peer.ledger().rounds().get(&round)?.agreed_result(faulty).cloned();
    let result = hosts.operator().view(result).await?.context("the adapter round has a result")?;
    let report = AdapterReport::from_bytes(&hosts.operator().fetch(result.result).await?)?;
    let adapter = result.follows.context("the round led to an adapter")?;
    let bytes_of_adapter = hosts.operator().fetch(adapter).await?;
    let values = AdapterValues::read(&bytes_of_adapter, series, manifest.entries())?;
    let mean = delta::dequantise(&values.values, u32::from(FRACTION_BITS + EXTRA_BITS));
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
    let faulty = community.genesis.sharing().faulty();
    let is_open = hosts.all(|peer| is_in(peer, round, RoundState::Open, faulty), PATIENCE).await?;
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
            let (ledger, round): &(Ledger, RoundRecord) = &state;
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
        let judge = studio.judge()?;
        let pairs = |group: Vec<Position>| -> anyhow::Result<Vec<Pair>> {
            let held_out: BTreeSet<_> =
                group.iter().filter(|it| it.held_out).map(|it| (it.item, it.stance == Stance::For)).collect();
            let mut pairs = Vec::new();
            for (item, agrees) in held_out {
                let text = items.iter().find(|text| BlobId::of(text.as_bytes()) == item);
                let Some((text, negation)) = text.and_then(|text| Some((text, negate(text)?))) else { continue };
                pairs.push(judge.pair(text, &negation, agrees)?);
            }
            Ok(pairs)
        };
        let groups = positions.into_iter().map(pairs).collect::<anyhow::Result<Vec<_>>>()?;
        let mut lora = studio.fresh(&manifest)?;
        lora.set(&mean)?;
        let (with, without) = (studio.shares(&groups, Some(&lora))?, studio.shares(&groups, None)?);
        let score = |(candidate, reference)| GroupScore { candidate, reference };
        Ok(with.into_iter().zip(without).map(score).collect())
    };
    tokio::task::spawn_blocking(work).await?
}
