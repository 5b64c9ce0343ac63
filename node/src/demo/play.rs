//! What happens in the demonstration, in order.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chorus_crypto::codec::{Decode as _, Encode as _};
use chorus_protocol::{
    contribution::{Contributor, Submission},
    deliberation::constitution::Constitution,
    id::{BlobId, PollId, RoundId},
    ledger::RoundState,
    log::entry::{
        BallotPlan, Entry, PollKind, PollOpening, Proposal, RoundPlan, RoundResult, SignedEntry, Step, Subject,
    },
    peer::{Command, Peer},
    round::report::RoundReport,
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Options, adapter,
    adapter::AdapterOutcome,
    attacks::{Attackers, Attempt},
    bundle,
    bundle::Checked,
    community::{Community, Hosts},
    population::Population,
    progress::Stages,
};
use crate::driver::NodeHandle;

/// How long a phase may take before the demonstration gives up: several times what the slowest machine needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// What came out.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: RoundResult,
    pub(super) report: RoundReport,
    pub(super) constitution: Option<Constitution>,
    /// Bytes of the largest ballot as it is sent to each operator, and of its public part.
    pub(super) ballot_bytes: (usize, usize),
    pub(super) height: u64,
    pub(super) voting: Duration,
    pub(super) erased: usize,
    pub(super) attacks: Vec<Attempt>,
    pub(super) adapter: AdapterOutcome,
    pub(super) checked: Checked,
}

/// Plays all phases.
pub(super) async fn run(
    community: &Community,
    hosts: &Hosts,
    population: &Population,
    options: &Options,
    stages: &mut Stages,
) -> anyhow::Result<Outcome> {
    let mut attackers = Attackers::new(options.seed, community)?;
    register(community, hosts, stages).await?;
    stages.begin("attacks", None);
    attackers.enter(community, hosts).await?;
    let voting = voting_time(population, options);
    let round = open(community, hosts, population, voting, stages).await?;
    let ballot_bytes = vote(community, hosts, population, (round, &mut attackers), stages).await?;
    follow(hosts, round, population.ballots.len(), stages).await?;
    let result = agree(hosts, round).await?;
    let attacks = attackers.outcome(community, hosts, round).await?;
    let erased = wait_for_erasure(community, hosts, round).await?;
    let report = RoundReport::from_bytes(&hosts.operator().fetch(result.result).await?)?;
    let constitution = match result.follows {
        Some(id) => Some(Constitution::from_bytes(&hosts.operator().fetch(id).await?)?),
        None => None,
    };
    let model = (&report, options.base_model.as_deref(), options.seed);
    let adapter = adapter::run(community, hosts, population, model, stages).await?;
    stages.begin("verification", None);
    let checked = match &options.out {
        Some(path) => bundle::write_and_verify(&community.genesis, hosts.operator(), path).await?,
        None => {
            let file = tempfile::NamedTempFile::new().context("a file for the bundle")?;
            bundle::write_and_verify(&community.genesis, hosts.operator(), file.path()).await?
        }
    };
    let height = hosts.operator().view(|peer| peer.height().0).await?;
    Ok(Outcome { result, report, constitution, ballot_bytes, height, voting, erased, attacks, adapter, checked })
}

/// How long votes are taken. It is part of the round's plan, and so of the result's bytes: it follows from the size of
/// the poll, never from how fast this machine is.
fn voting_time(population: &Population, options: &Options) -> Duration {
    let seconds = options.voting_seconds.unwrap_or_else(|| {
        let rows = population.ballots.len() as u64 * population.items.len() as u64;
        4 + rows.div_ceil(450)
    });
    Duration::from_secs(seconds)
}

async fn register(community: &Community, hosts: &Hosts, stages: &mut Stages) -> anyhow::Result<()> {
    let people = community.people.len();
    stages.begin("registration", Some(people));
    for person in 0..people {
        let entry = community.registration(person);
        hosts.of(person).command(Command::Relay(entry)).await?;
    }
    let bar = stages.bar_now();
    let registered = |peer: &Peer| {
        bar.set_position(peer.ledger().members().len() as u64);
        peer.ledger().members().len() == people
    };
    ensure!(hosts.all(registered, PATIENCE).await?, "not everybody could register");
    Ok(())
}

/// Opens the poll, lets people propose its items, and opens the round.
async fn open(
    community: &Community,
    hosts: &Hosts,
    population: &Population,
    voting: Duration,
    stages: &mut Stages,
) -> anyhow::Result<RoundId> {
    stages.begin("opening", None);
    let opening =
        PollOpening { kind: PollKind::Statement, question: population.question.clone(), context: String::new() };
    let poll = opening.id(community.id);
    hosts.operator().command(Command::Post(Entry::Poll(opening))).await?;
    let opened = hosts.all(|peer| peer.ledger().polls().contains_key(&poll), PATIENCE).await?;
    ensure!(opened, "the poll was not opened");
    propose(community, hosts, population, poll).await?;
    let plan = RoundPlan {
        subject: Subject::Ballots(BallotPlan {
            poll,
            number: 1,
            items: population.items.iter().map(|text| BlobId::of(text.as_bytes())).collect(),
        }),
        duration_millis: u64::try_from(voting.as_millis()).unwrap_or(u64::MAX),
        key_grace_millis: 30_000,
        classes: None,
    };
    let round = plan.id(community.id);
    hosts.operator().command(Command::Post(Entry::Plan(plan))).await?;
    let is_open = hosts.all(|peer| is_in(peer, round, RoundState::Open), PATIENCE).await?;
    ensure!(is_open, "the round did not open");
    Ok(round)
}

async fn propose(community: &Community, hosts: &Hosts, population: &Population, poll: PollId) -> anyhow::Result<()> {
    for (index, text) in population.items.iter().enumerate() {
        let person = index % community.people.len();
        let proposal = Entry::Propose(Proposal { poll, text: text.clone() });
        let entry = SignedEntry::sign(&community.people[person].key, community.id, proposal);
        hosts.of(person).command(Command::Relay(entry)).await?;
    }
    let items = population.items.len();
    let proposed = |peer: &Peer| peer.ledger().polls().get(&poll).is_some_and(|poll| poll.items.len() == items);
    ensure!(hosts.all(proposed, PATIENCE).await?, "not all items could be proposed");
    Ok(())
}

pub(super) fn is_in(peer: &Peer, round: RoundId, state: RoundState) -> bool {
    peer.ledger().rounds().get(&round).is_some_and(|round| round.state() >= state)
}

/// Everybody votes, as many at a time as there are cores. Returns how large the largest ballot is.
async fn vote(
    community: &Community,
    hosts: &Hosts,
    population: &Population,
    (round, attackers): (RoundId, &mut Attackers),
    stages: &mut Stages,
) -> anyhow::Result<(usize, usize)> {
    let people = community.people.len();
    stages.begin("voting", Some(people));
    let seen = |peer: &Peer| Some((peer.ledger().clone(), peer.ledger().rounds().get(&round)?.clone()));
    let (ledger, record) = hosts.of(0).view(seen).await?.context("the round is on the log")?;
    let state = Arc::new((ledger, record));
    attackers.vote(hosts, &state).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let room = Arc::new(Semaphore::new(cores));
    let mut casting = JoinSet::new();
    for (index, (person, votes)) in community.people.iter().zip(&population.ballots).enumerate() {
        let place = Arc::clone(&room).acquire_owned().await?;
        let (state, person) = (Arc::clone(&state), Arc::clone(person));
        let (votes, node, mut rng) = (votes.clone(), hosts.of(index).clone(), community.generator("ballot", index));
        casting.spawn(async move {
            let cast = move || {
                let (ledger, round) = state.as_ref();
                Contributor::anonymous(&person.leaf).cast(ledger, round, &votes, &mut rng)
            };
            let cast = tokio::task::spawn_blocking(cast).await??;
            drop(place);
            send(&node, cast).await
        });
    }
    let mut largest = (0, 0);
    while let Some(sizes) = casting.join_next().await {
        largest = largest.max(sizes??);
    }
    let bar = stages.bar_now();
    let counted = |peer: &Peer| {
        let Some(round) = peer.ledger().rounds().get(&round) else { return false };
        bar.set_position(round.contributions.len() as u64);
        round.contributions.len() == people || round.sealed.is_some()
    };
    ensure!(hosts.operator().wait_until(counted, PATIENCE).await?, "not every ballot was accepted");
    attackers.vote_twice(hosts, &state).await?;
    Ok(largest)
}

/// Sends a contribution from a node. Returns its bytes, and those of its public part.
pub(super) async fn send(node: &NodeHandle, submission: Submission) -> anyhow::Result<(usize, usize)> {
    let sizes = (submission.to_bytes().len(), submission.body.len());
    node.command(Command::Contribute(submission)).await?;
    Ok(sizes)
}

/// Waits while the operators seal the round and open what is to be opened, step by step.
async fn follow(hosts: &Hosts, round: RoundId, people: usize, stages: &mut Stages) -> anyhow::Result<()> {
    let done = |peer: &Peer, step: Step| {
        let Some(round) = peer.ledger().rounds().get(&round) else { return false };
        round.agreed_values(step).is_some() || round.agreed_result().is_some()
    };
    stages.begin("sealing", None);
    let sealed = |peer: &Peer| is_in(peer, round, RoundState::Sealed);
    ensure!(hosts.operator().wait_until(sealed, PATIENCE).await?, "the round was not sealed");
    let count = |peer: &Peer| {
        peer.ledger().rounds().get(&round).and_then(|round| Some(round.sealed.as_ref()?.contributions.len()))
    };
    let count = hosts.operator().view(count).await?.unwrap_or(0);
    if count < people {
        bail!("{} of {people} ballots came after the deadline: give more time to vote", people - count);
    }
    for (name, step) in [("totals", Step::Totals), ("map", Step::Points), ("groups", Step::Groups)] {
        stages.begin(name, None);
        ensure!(hosts.operator().wait_until(|peer| done(peer, step), PATIENCE).await?, "the {name} were not opened");
    }
    stages.begin("result", None);
    let finished = |peer: &Peer| is_in(peer, round, RoundState::Finished);
    ensure!(hosts.all(finished, PATIENCE).await?, "no result was agreed on");
    Ok(())
}

/// Checks that every node computed the result that stands on the log, and returns it.
async fn agree(hosts: &Hosts, round: RoundId) -> anyhow::Result<RoundResult> {
    let agreed = |peer: &Peer| peer.ledger().rounds().get(&round)?.agreed_result().cloned();
    let result = hosts.operator().view(agreed).await?.context("a result is on the log")?;
    for (index, node) in hosts.nodes().enumerate() {
        let own = node.view(agreed).await?;
        ensure!(own.as_ref() == Some(&result), "node {index} has another result");
        for id in [Some(result.result), result.follows].into_iter().flatten() {
            // At hand is what a node was sent or computed; results are never sent unasked.
            let computed = |peer: &Peer| peer.has_found(&id);
            ensure!(node.wait_until(computed, PATIENCE).await?, "node {index} did not come to the result");
        }
    }
    let complaints = hosts.complaints().await;
    ensure!(complaints.is_empty(), "nodes complained: {}", complaints.join("; "));
    Ok(result)
}

/// Waits until the operators say that the round's secrets are gone, and returns how many do.
async fn wait_for_erasure(community: &Community, hosts: &Hosts, round: RoundId) -> anyhow::Result<usize> {
    let operators = community.genesis.operators.len();
    let erased = |peer: &Peer| peer.ledger().rounds().get(&round).map_or(0, |round| round.erased.len());
    hosts.operator().wait_until(|peer| erased(peer) == operators, PATIENCE).await?;
    Ok(hosts.operator().view(erased).await?)
}
