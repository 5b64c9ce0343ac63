//! A data directory whose log holds many contributions.
//!
//! Everything on the log is real: a node with the operator's key orders it, members are attested and registered, every
//! ballot has its proofs and is verified when it comes, rounds are sealed, opened and found. Two things make it cheap: a
//! community of one operator, and ballots at the open level but for one in ten, which proves that somebody is a member by a
//! signature instead of a ring. On the log and in memory both kinds are the same but for a kilobyte of proof.
//!
//! It is made once, and kept in `target/figures`; what is measured is a copy.

use std::{
    path::{Path, PathBuf},
    process::Command as Process,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use chorus_crypto::{ballot::Vote, credential::LeafSecret, sign::SecretKey};
use chorus_node::{
    api::{Person, Randomness, Role, Service, view},
    config::DataDir,
    driver::{Node, NodeHandle, NodeOptions},
    keystore::{Keys, Protection},
    network::{Caps, Reach},
    vault::Vault,
};
use chorus_protocol::{
    contribution::{Contributor, Level, Submission},
    deliberation::moral_graph::{Transition, ValuesCard},
    id::RoundId,
    ledger::{Ledger, RoundState},
    log::{
        consensus::Timeouts,
        entry::{Entry, PollKind, RoundPlan},
    },
    peer::{Checkpoints, Command, Config, Peer},
};
use chorus_tests::community::{Community, Poll, population};
use rayon::prelude::*;
use tokio::runtime::Runtime;

use crate::idle;

/// Rounds that all members vote in; the last one stays open.
const ROUNDS: usize = 10;

/// Items of a poll, and of the first one.
const ITEMS: usize = 20;
const ITEMS_OF_FIRST: usize = 100;

/// How long making and checking a contribution takes on a slow machine, in milliseconds.
const A_CONTRIBUTION: u64 = 60;

/// Votes are taken this many times as long as the last round's contributions took, and so long besides, in milliseconds.
const TIMES: u64 = 3;
const BESIDES: u64 = 15_000;

/// How long the open round stays open.
const OPEN_MILLIS: u64 = 360 * 24 * 3_600_000;

/// Ballots that are made before they are sent.
const TOGETHER: usize = 100;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// A community that has voted a lot.
pub(crate) struct Town {
    /// The operator's data directory.
    pub(crate) dir: PathBuf,
    /// The community, with the secrets of its people.
    pub(crate) community: Community,
    /// The round that is open.
    pub(crate) open: RoundId,
}

impl Town {
    /// Returns the town of so many contributions, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Returns what keeps it from being made.
    pub(crate) fn of(contributions: usize, seed: u64) -> anyhow::Result<Self> {
        let root = std::env::current_exe()?;
        let target = root.ancestors().find(|path| path.file_name().is_some_and(|name| name == "target"));
        let folder = target.context("this program is in target")?.join("figures");
        let (name, whole) = (format!("town-{contributions}-{seed}"), format!("town-{contributions}-{seed}.whole"));
        let dir = folder.join(&name);
        if !folder.join(&whole).exists() {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&folder)?;
            let node = idle::Node::new(&folder, &name).0;
            node.ask(&["community", "create", "--name", "Harbour town", "--purpose", "To answer for the harbour"]);
            let mut town = Self::at(dir, contributions, seed)?;
            town.live()?;
            std::fs::write(folder.join(whole), b"")?;
            return Ok(town);
        }
        Self::at(dir, contributions, seed)
    }

    /// Takes up the keys in a data directory.
    fn at(dir: PathBuf, contributions: usize, seed: u64) -> anyhow::Result<Self> {
        let data = DataDir::new(dir.clone());
        let genesis = data.genesis()?;
        let mut community = Community::new(seed, 1, contributions / ROUNDS, genesis.policy.clone());
        let key = key(&data)?;
        (community.operators, community.attesters) = (vec![key.clone()], vec![key.clone()]);
        community.genesis = genesis;
        let person = community.people.first_mut().context("somebody lives there")?;
        person.key = key;
        person.leaf = LeafSecret::from_bytes(vault(&data)?.current().to_bytes().as_slice())?;
        let polls = polls(&community);
        let open = polls.last().context("a poll is open")?.round;
        Ok(Self { dir, community, open })
    }

    /// Copies the data directory.
    ///
    /// # Errors
    ///
    /// Returns what the system says.
    pub(crate) fn copy(&self, to: &Path) -> anyhow::Result<PathBuf> {
        let dir = to.join("operator");
        let copied = Process::new("cp").arg("-a").arg(&self.dir).arg(&dir).status()?;
        ensure!(copied.success(), "the data directory cannot be copied");
        Ok(dir)
    }

    /// Starts a node of somebody else, from a copy of what the operator has of the log.
    ///
    /// # Errors
    ///
    /// Returns why the node does not start.
    pub(crate) async fn follower(&self, to: &Path, dial: Vec<String>) -> anyhow::Result<NodeHandle> {
        let dir = to.join("follower");
        std::fs::create_dir_all(&dir)?;
        let store = self.dir.join("node").join("store");
        let copied = Process::new("cp").arg("-a").arg(store).arg(&dir).status()?;
        ensure!(copied.success(), "the log cannot be copied");
        Ok(Node::start(options(dir, &self.community, None, [7; 32], dial)).await?)
    }

    /// Lives through everything that is on the log.
    fn live(&mut self) -> anyhow::Result<()> {
        let contributions = self.community.people.len() * ROUNDS;
        let data = DataDir::new(self.dir.clone());
        let keys = Keys::load(&data.keystore(), &Protection::Unprotected)?;
        let operator = Some(key(&data)?);
        let runtime = Runtime::new()?;
        let options = options(data.node(), &self.community, operator, *keys.transport, Vec::new());
        let node = runtime.block_on(Node::start(options))?;
        let polls = polls(&self.community);
        self.register(&runtime, &node)?;
        polls.iter().try_for_each(|poll| runtime.block_on(open(&node, poll)))?;
        let (mut held, mut each) = (Vec::new(), A_CONTRIBUTION);
        let person = Person { key: key(&data)?, vault: vault(&data)? };
        let service = {
            let _entered = runtime.enter();
            Service::start(node.clone(), &data, Role::Operator, Some(person), Randomness::System)?
        };
        let people = self.community.people.len() as u64;
        for (number, poll) in polls.iter().enumerate() {
            let poll = match number + 1 {
                ROUNDS => poll.clone(),
                _ => taking(&self.community, poll, BESIDES + TIMES * each * people)?,
            };
            runtime.block_on(begin(&node, &poll))?;
            let began = Instant::now();
            runtime.block_on(own_vote(&service, &poll))?;
            self.vote(&runtime, &node, &poll, number as u64)?;
            each = u64::try_from(began.elapsed().as_millis())? / people + 1;
            eprintln!("  {} of {contributions} contributions", (number as u64 + 1) * people);
            held.push(poll.round);
        }
        runtime.block_on(moderate(&service, &polls))?;
        for round in held.iter().take(ROUNDS - 1) {
            let is_finished = |peer: &Peer| peer.ledger().rounds()[round].state() == RoundState::Finished;
            ensure!(runtime.block_on(node.wait_until(is_finished, PATIENCE))?, "a round comes to its end");
        }
        drop(service);
        runtime.block_on(node.shutdown());
        Ok(())
    }

    fn register(&mut self, runtime: &Runtime, node: &NodeHandle) -> anyhow::Result<()> {
        let people = self.community.people.len();
        for person in 0..people {
            let entry = self.community.registration(person);
            runtime.block_on(node.command(Command::Relay(entry)))?;
        }
        let registered = move |peer: &Peer| peer.ledger().members().len() == people;
        ensure!(runtime.block_on(node.wait_until(registered, PATIENCE))?, "everybody is a member");
        Ok(())
    }

    /// Lets everybody vote but the person at the node.
    fn vote(&mut self, runtime: &Runtime, node: &NodeHandle, poll: &Poll, seed: u64) -> anyhow::Result<()> {
        let ledger = runtime.block_on(node.view(|peer| peer.ledger().clone()))?;
        let people = self.community.people.len();
        let votes = population(seed, people, poll.proposals.len(), 3);
        let numbers: Vec<usize> = (1..people).collect();
        for group in numbers.chunks(TOGETHER) {
            let ballots: Vec<Submission> = self.community.people[group[0]..=group[group.len() - 1]]
                .par_iter_mut()
                .zip(group)
                .map(|(person, number)| {
                    let level = if number.is_multiple_of(10) { Level::Anonymous } else { Level::Open };
                    let manner = Contributor { level, on_map: true, ..Contributor::anonymous(&person.leaf) };
                    manner.cast(&ledger, &ledger.rounds()[&poll.round], &votes[*number], &mut person.rng)
                })
                .collect::<Result<_, _>>()?;
            for ballot in ballots {
                runtime.block_on(node.command(Command::Contribute(ballot)))?;
            }
        }
        let round = poll.round;
        let counted = move |peer: &Peer| {
            let round = &peer.ledger().rounds()[&round];
            round.contributions.len() == people || round.sealed.is_some()
        };
        ensure!(runtime.block_on(node.wait_until(counted, PATIENCE))?, "every ballot is on the log");
        let count = |peer: &Peer| peer.ledger().rounds()[&round].contributions.len();
        ensure!(runtime.block_on(node.view(count))? == people, "some ballots came too late");
        Ok(())
    }
}

/// Returns a second ballot of somebody in the open round.
///
/// # Errors
///
/// Returns why there can be none.
pub(crate) fn changed(
    town: &mut Community,
    person: usize,
    ledger: &Ledger,
    round: RoundId,
    sequence: u8,
) -> anyhow::Result<Submission> {
    let round = &ledger.rounds()[&round];
    let person = town.people.get_mut(person).context("nobody has that number")?;
    let vote = |item| if item % 2 == 0 { Vote::Agree } else { Vote::Disagree };
    let votes: Vec<Vote> = (0..round.plan.items().len()).map(vote).collect();
    let manner = Contributor { sequence, ..Contributor::anonymous(&person.leaf) };
    Ok(manner.cast(ledger, round, &votes, &mut person.rng)?)
}

fn key(data: &DataDir) -> anyhow::Result<SecretKey> {
    Ok(SecretKey::from_seed(&Keys::load(&data.keystore(), &Protection::Unprotected)?.signing))
}

fn vault(data: &DataDir) -> anyhow::Result<Vault> {
    let keys = Keys::load(&data.keystore(), &Protection::Unprotected)?;
    Ok(Vault::open(data.leaves(), &SecretKey::from_seed(&keys.signing), &keys.leaf)?)
}

fn options(
    data_dir: PathBuf,
    community: &Community,
    operator: Option<SecretKey>,
    transport_seed: [u8; 32],
    dial: Vec<String>,
) -> NodeOptions {
    NodeOptions {
        data_dir,
        genesis: community.genesis.clone(),
        role: if operator.is_some() { Role::Operator } else { Role::Participant },
        operator,
        transport_seed,
        listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
        dial,
        reach: Reach::quiet(),
        caps: Caps::default(),
        blob_quota: NodeOptions::BLOB_QUOTA,
        timeouts: Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        checkpoints: Checkpoints::default(),
        rng_seed: None,
    }
}

/// The polls: statements, values, moves between values, and at last one whose votes are still taken.
fn polls(community: &Community) -> Vec<Poll> {
    let statement = |poll: usize, item: usize| {
        format!(
            "When somebody on quay {poll} asks about matter {item}, the assistant should say what it knows, how it knows it, \
             and who else could be asked."
        )
    };
    let card = |number: usize| {
        let policies = [format!("MOMENTS when {number} people wait"), "SIGNS that somebody is worried".to_owned()];
        let policies = policies.each_ref().map(String::as_str);
        let instruction = format!("The assistant should give the person room, in the way of {number}.");
        ValuesCard::new(&format!("Patience of kind {number}"), &instruction, &policies).expect("a card")
    };
    let cards: Vec<ValuesCard> = (0..ITEMS).map(card).collect();
    let transition = |number: usize| {
        let (from, to) = (&cards[number], &cards[(number * 7 + 1) % ITEMS]);
        let story = "They saw what the other person needed before they spoke.";
        Transition::new(from.id(), to.id(), "When somebody is in distress", story).expect("a transition").text()
    };
    let texts = |number: usize| match number {
        0 => (PollKind::Statement, (0..ITEMS_OF_FIRST).map(|item| statement(number, item)).collect()),
        7 => (PollKind::Value, cards.iter().map(ValuesCard::text).collect()),
        8 => (PollKind::Transition, (0..ITEMS).map(transition).collect()),
        _ => (PollKind::Statement, (0..ITEMS).map(|item| statement(number, item)).collect()),
    };
    (0..ROUNDS)
        .map(|number| {
            let (kind, texts) = texts(number);
            let question = format!("What should the assistant do on quay {number}?");
            community.poll_of(&question, (kind, texts, OPEN_MILLIS), None)
        })
        .collect()
}

/// Returns a poll whose votes are taken for another time.
fn taking(community: &Community, poll: &Poll, duration_millis: u64) -> anyhow::Result<Poll> {
    let Entry::Plan(plan) = poll.plan.clone() else { bail!("a poll has a plan") };
    let plan = RoundPlan { duration_millis, ..plan };
    Ok(Poll { round: plan.id(community.id()), plan: Entry::Plan(plan), ..poll.clone() })
}

/// Opens a poll with its items.
async fn open(node: &NodeHandle, poll: &Poll) -> anyhow::Result<()> {
    let (id, items) = (poll.poll, poll.proposals.len());
    node.command(Command::Post(poll.opening.clone())).await?;
    let is_there = move |peer: &Peer| peer.ledger().polls().contains_key(&id);
    ensure!(node.wait_until(is_there, PATIENCE).await?, "the poll is there");
    for proposal in poll.proposals.clone() {
        node.command(Command::Post(proposal)).await?;
    }
    let has_all = move |peer: &Peer| peer.ledger().polls()[&id].items.len() == items;
    ensure!(node.wait_until(has_all, PATIENCE).await?, "the items are there");
    Ok(())
}

/// Begins the round of a poll.
async fn begin(node: &NodeHandle, poll: &Poll) -> anyhow::Result<()> {
    let round = poll.round;
    node.command(Command::Post(poll.plan.clone())).await?;
    let is_open =
        move |peer: &Peer| peer.ledger().rounds().get(&round).is_some_and(|round| round.state() >= RoundState::Open);
    ensure!(node.wait_until(is_open, PATIENCE).await?, "the round is open");
    Ok(())
}

/// The person at the node votes on four of five items, and keeps it in their diary.
async fn own_vote(service: &Arc<Service>, poll: &Poll) -> anyhow::Result<()> {
    let choice = |item: usize| if item.is_multiple_of(3) { view::Choice::Disagree } else { view::Choice::Agree };
    let items = (1..=poll.proposals.len()).filter(|item| !item.is_multiple_of(5));
    let votes = items.map(|item| (item.to_string(), choice(item))).collect();
    let cast = view::CastVote { votes, on_map: Some(true), open: false, hide_class: false, wait_seconds: Some(120) };
    service.vote(&poll.poll.to_string(), cast).await.map(drop).context("the operator votes")
}

/// The operator says something about some of the items.
async fn moderate(service: &Arc<Service>, polls: &[Poll]) -> anyhow::Result<()> {
    for poll in polls.iter().filter(|poll| matches!(&poll.opening, Entry::Poll(it) if it.kind == PollKind::Statement)) {
        for (item, say) in [(3, view::Say::Reject), (5, view::Say::Meta), (7, view::Say::Accept)] {
            let asked = view::Moderate {
                items: vec![item.to_string()],
                say,
                category: (say == view::Say::Reject).then_some(view::Category::Duplicate),
                reason: "Another statement says the same.".into(),
                wait_seconds: Some(60),
            };
            service.moderate(&poll.poll.to_string(), asked).await.context("the operator moderates")?;
        }
    }
    Ok(())
}
