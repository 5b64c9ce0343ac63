//! What people can ask of their node, carried out.
//!
//! Entries are tried on a copy of the ledger before they leave, so that whoever asks learns at once what the rules say;
//! what passes is sent until it is on the log. Nothing here keeps state that the log has, but for own contributions on
//! their way ([`ballots`](super::ballots)).

mod adapters;
mod amending;
mod articulating;
mod assessing;
mod attest;
mod chat;
mod classes;
mod diary;
mod exporting;
mod finished;
mod membership;
mod moderating;
mod moral;
mod people;
mod polls;
mod proposals;
mod results;
mod routing;
mod showing;
mod values;
mod votes;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use chorus_crypto::{
    hash,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    fault::Fault,
    id::{PollId, RoundId},
    ledger::{Ledger, RoundRecord},
    log::entry::{Entry, SignedEntry},
    peer::{Command, Peer},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{
    ballots::Ballots,
    error::{ApiError, Kind},
    view,
};
use crate::api::Code;
use crate::{
    attester::Desk,
    config::{
        DataDir,
        invite::{Address, Invite, MAX_ADDRESSES},
        settings::Settings,
    },
    diary::Diary,
    driver::NodeHandle,
    health::Health,
    vault::Vault,
};

pub use self::{chat::Conversation, classes::OTHER_NAME, exporting::Table, routing::SoFar, showing::ballots_of};
pub use crate::network::Role;

/// How long the log is waited for if nobody says how long.
pub const USUAL_WAIT: Duration = Duration::from_secs(30);

/// The longest that a request may wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The secrets of the person at a node.
pub struct Person {
    /// The accountable key.
    pub key: SecretKey,
    /// The leaves.
    pub vault: Vault,
}

impl core::fmt::Debug for Person {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Person").field("key", &self.key.public()).finish_non_exhaustive()
    }
}

/// Where randomness comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Randomness {
    /// From the operating system.
    System,
    /// From a number, for tests and demonstrations: whoever knows it knows all secrets.
    Seed(u64),
}

impl Randomness {
    /// Returns a generator. From a seed, the same purpose gives the same numbers, and no two purposes share any.
    pub fn generator(self, purpose: &str, detail: &[u8]) -> ChaCha20Rng {
        let seed = match self {
            Self::System => rand::random(),
            Self::Seed(seed) => hash::content(&[&seed.to_be_bytes(), purpose.as_bytes(), &[0], detail].concat()),
        };
        ChaCha20Rng::from_seed(seed)
    }
}

/// What people can ask of their node.
#[derive(Debug)]
pub struct Service {
    node: NodeHandle,
    role: Role,
    person: Option<Arc<Person>>,
    randomness: Randomness,
    ballots: Arc<Ballots>,
    diary: Diary,
    dir: DataDir,
    /// An attester's books, opened when they are first needed. Whoever has the lock admits somebody; nobody else does.
    desk: tokio::sync::Mutex<Option<Desk>>,
    /// The model on this machine, and the line before it.
    model: Arc<crate::chat::Desk>,
    cases: crate::chat::cases::Cases,
    /// The numbers of anonymous proposals that are on their way.
    proposed: Mutex<BTreeSet<(PollId, u8)>>,
    /// What the order in which items are shown is drawn from; nobody else has it.
    order: [u8; 32],
    interview: articulating::Interview,
    /// The priorities that follow from finished rounds.
    ranked: Mutex<routing::Ranked>,
    /// Results of finished rounds.
    results: finished::Results,
    /// The person's tags.
    tags: finished::Tags,
}

impl Service {
    /// Returns the service of a running node, and begins to send what was on its way when the node stopped.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Store`] if own contributions cannot be kept.
    pub fn start(
        node: NodeHandle,
        dir: &DataDir,
        role: Role,
        person: Option<Person>,
        randomness: Randomness,
    ) -> Result<Arc<Self>, ApiError> {
        let person = person.map(Arc::new);
        let ballots = Arc::new(Ballots::open(&dir.ballots())?);
        if let Some(person) = &person {
            tokio::spawn(super::ballots::tend(ballots.clone(), node.clone(), person.clone()));
        }
        let diary = Diary::new(dir.diary());
        let (dir, desk, proposed) = (dir.clone(), tokio::sync::Mutex::default(), Mutex::default());
        let mut order = [0; 32];
        randomness.generator("order of items", &[]).fill_bytes(&mut order);
        let interview = articulating::Interview::default();
        let (model, cases) = (Arc::default(), crate::chat::cases::Cases::new(dir.cases()));
        Ok(Arc::new(Self {
            node,
            role,
            person,
            randomness,
            ballots,
            diary,
            dir,
            desk,
            model,
            cases,
            proposed,
            order,
            interview,
            ranked: Mutex::default(),
            results: finished::Results::default(),
            tags: finished::Tags::default(),
        }))
    }

    /// Returns the node.
    pub const fn node(&self) -> &NodeHandle {
        &self.node
    }

    /// Returns what looks at the node's health.
    pub fn health(&self) -> Health {
        Health::new(self.node.clone(), self.dir.clone(), self.role)
    }

    /// Returns where the community, the node and all rounds stand.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`] if the node has stopped.
    pub async fn status(&self) -> Result<view::Status, ApiError> {
        let person = self.person.clone();
        let key = person.as_ref().map(|person| person.key.public());
        let (ledger, (begins_after, height), peers, operators_connected, operator, silent) = self
            .node
            .view_durably(|peer| {
                let operators = peer.nodes().values().filter(|operator| operator.is_some()).count();
                let (operator, silent) = (peer.operator(), peer.is_recovering());
                let reach = (peer.log_start(), peer.height());
                (peer.ledger().clone(), reach, peer.nodes().len(), operators, operator, silent)
            })
            .await?;
        let community = community(&ledger);
        let standing = self.node.standing();
        let mut rounds: Vec<_> = ledger.rounds().values().collect();
        rounds.sort_by_key(|round| round.ordinal);
        Ok(view::Status {
            warnings: warnings(&community, (operator, silent), operators_connected),
            node: view::Node {
                id: self.node.node_id().to_string(),
                role: self.role,
                addresses: self.node.addresses(),
                reachable: standing.reachable,
                relays: standing.relays.len(),
                key: key.map(|key| key.to_string()),
                operator,
                attester: key.is_some_and(|key| ledger.charter().attester(&key).is_some()),
                member: key.is_some_and(|key| ledger.is_member(&key)),
            },
            height: height.0,
            begins_after: begins_after.0,
            members: ledger.members().len(),
            peers,
            operators_connected,
            rounds: rounds.into_iter().map(|round| self.round(&ledger, round)).collect(),
            transfers: transfers(&self.node),
            model: self.settings().ok().and_then(|settings| chat::answering(&settings)),
            community,
        })
    }

    /// Returns an invitation with the addresses at which the community may be found: those given, or else this node's, and
    /// those of the operators and relays that it has met.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`] if the node has stopped.
    pub async fn invite(&self, given: Vec<String>) -> Result<view::InviteView, ApiError> {
        let look = |peer: &chorus_protocol::peer::Peer| {
            let checkpoint = peer.newest_checkpoint().map(|(landmark, _)| landmark);
            (peer.ledger().genesis().clone(), checkpoint)
        };
        let (genesis, checkpoint) = self.node.view_durably(look).await?;
        let mut addresses = given;
        if addresses.is_empty() && self.role.is_public() {
            addresses = reachable(self.node.addresses());
        }
        let known = self.node.known_addresses().await?;
        addresses.extend(reachable(known));
        if addresses.is_empty() {
            addresses = reachable(self.node.addresses());
        }
        let mut seen = BTreeSet::new();
        addresses.retain(|address| seen.insert(address.clone()));
        addresses.truncate(MAX_ADDRESSES);
        let addresses = addresses.into_iter().map(|text| Address { text }).collect();
        Ok(view::InviteView::of(&Invite { genesis, addresses, checkpoint }))
    }

    /// The person, who must be an operator to do `what`.
    fn operator(&self, ledger: &Ledger, what: &str) -> Result<PublicKey, ApiError> {
        let key = self.person()?.key.public();
        let is_operator = ledger.charter().operator(&key).is_some();
        is_operator
            .then_some(key)
            .ok_or_else(|| ApiError::coded(Code::NoOperator, format!("only operators {what}, and you are none")))
    }

    async fn ledger(&self) -> Result<Ledger, ApiError> {
        Ok(self.node.view(|peer| peer.ledger().clone()).await?)
    }

    /// The person at this node, or why nobody acts here.
    fn person(&self) -> Result<&Arc<Person>, ApiError> {
        self.person.as_ref().ok_or_else(|| ApiError::coded(Code::Relay, "this node is a relay: nobody acts here"))
    }

    /// What the person has chosen, as it stands in the file now.
    fn settings(&self) -> Result<Settings, ApiError> {
        Settings::read(&self.dir.settings()).map_err(|error| ApiError::new(Kind::Configuration, error.to_string()))
    }

    /// Signs entries as the person at this node, tries them on the ledger, and sends them until they are on the log.
    async fn say(&self, ledger: &mut Ledger, entries: Vec<Entry>) -> Result<(), ApiError> {
        let signed = self.sign(ledger, entries)?;
        try_entries(ledger, &signed)?;
        self.send(signed).await
    }

    /// Says one thing, and waits until it is on the log.
    async fn say_until_logged(&self, ledger: &mut Ledger, entry: Entry, wait: Duration) -> Result<(), ApiError> {
        let signed = self.sign(ledger, vec![entry])?;
        try_entries(ledger, &signed)?;
        self.send(signed.clone()).await?;
        // Nothing that is said about membership is admitted a second time.
        let is_logged = |peer: &Peer, entry: &SignedEntry| {
            matches!(peer.ledger().clone().apply_verified(entry), Err(Fault::Duplicate(_)))
        };
        self.until(move |peer| signed.iter().all(|entry| is_logged(peer, entry)), wait).await
    }

    fn sign(&self, ledger: &Ledger, entries: Vec<Entry>) -> Result<Vec<SignedEntry>, ApiError> {
        let (person, community) = (self.person()?, ledger.community());
        Ok(entries.into_iter().map(|entry| SignedEntry::sign(&person.key, community, entry)).collect())
    }

    /// Sends entries until they are on the log.
    async fn send(&self, entries: Vec<SignedEntry>) -> Result<(), ApiError> {
        for entry in entries {
            self.node.command(Command::Relay(entry)).await?;
        }
        Ok(())
    }

    /// Waits until the log says what it should.
    async fn until(&self, holds: impl Fn(&Peer) -> bool + Send, wait: Duration) -> Result<(), ApiError> {
        if self.node.wait_until(holds, wait).await? {
            return Ok(());
        }
        let seconds = wait.as_secs();
        let message = format!(
            "not on the log within {seconds} s: it is kept, and sent on while the node runs and when it runs again; see \
             `chorus status` for the operators connected"
        );
        Err(ApiError::new(Kind::TimedOut, message))
    }

    fn round(&self, ledger: &Ledger, round: &RoundRecord) -> view::Round {
        view::Round {
            id: round.id,
            poll: round.plan.ballots().map(|plan| plan.poll),
            series: round.plan.deltas().map(|plan| plan.series),
            ordinal: round.ordinal,
            state: round.state().into(),
            items: round.plan.items().len(),
            ballots: ballots_of(round),
            members: round.manifest.as_ref().map(|manifest| manifest.snapshot.leaves().len()),
            classes_by: round.plan.classes.as_ref().map(|plan| classes::told_apart(ledger, &plan.source)),
            closes_at: round.manifest.as_ref().map(|manifest| manifest.deadline.as_millis()),
            own: self.own(round),
            result: round.agreed_result().map(|result| result.result),
        }
    }

    fn own(&self, round: &RoundRecord) -> Option<view::Own> {
        let tag = self.tag(round)?;
        let waiting = self.ballots.latest(round.id);
        let logged = round.contributions.get(&tag).and_then(|attempts| attempts.values().next_back());
        let logged = logged.map(|latest| (latest.header.sequence, latest.header.is_withdrawal()));
        match (logged, waiting) {
            (Some((sequence, _)), Some((later, withdrawal))) if later > sequence => {
                Some(view::Own { sequence: later, on_log: false, withdrawal })
            }
            (Some((sequence, withdrawal)), _) => Some(view::Own { sequence, on_log: true, withdrawal }),
            (None, Some((sequence, withdrawal))) => Some(view::Own { sequence, on_log: false, withdrawal }),
            (None, None) => None,
        }
    }
}

/// Applies entries to a copy of the ledger, so that whoever asks learns at once what the rules say.
fn try_entries(ledger: &mut Ledger, entries: &[SignedEntry]) -> Result<(), ApiError> {
    entries.iter().try_for_each(|entry| ledger.apply(entry)).map_err(ApiError::from)
}

/// Returns how long a request waits.
fn wait(seconds: Option<u64>) -> Duration {
    seconds.map_or(USUAL_WAIT, Duration::from_secs).min(LONGEST_WAIT)
}

/// Finds a poll by its id or the beginning of it; `-` is the only poll.
fn find_poll(ledger: &Ledger, reference: &str) -> Result<PollId, ApiError> {
    let reference = if reference == "-" { "" } else { reference };
    let polls = ledger.polls().keys().map(|id| (*id, id.to_string()));
    let matching: Vec<PollId> = polls.filter(|(_, text)| text.starts_with(reference)).map(|(id, _)| id).collect();
    match matching.as_slice() {
        [poll] => Ok(*poll),
        [] if reference.is_empty() => Err(ApiError::coded(Code::NoPoll, "there is no poll yet")),
        [] => Err(ApiError::coded(Code::NoPoll, format!("no poll begins with {reference:?}: see `chorus poll list`"))),
        [_, _, ..] if reference.is_empty() => {
            Err(ApiError::coded(Code::Ambiguous, "there is more than one poll: name one, see `chorus poll list`"))
        }
        [_, _, ..] => {
            Err(ApiError::coded(Code::Ambiguous, format!("{} polls begin with {reference:?}", matching.len())))
        }
    }
}

/// Returns the latest round of a poll.
fn latest_round(ledger: &Ledger, poll: PollId) -> Option<&RoundRecord> {
    let round: &RoundId = ledger.polls().get(&poll)?.rounds.last()?;
    ledger.rounds().get(round).map(Arc::as_ref)
}

fn transfers(node: &NodeHandle) -> Vec<view::Transfer> {
    let view = |it: crate::network::Transfer| view::Transfer { id: it.id, done: it.done, total: it.total };
    node.transfers().into_iter().map(view).collect()
}

fn community(ledger: &Ledger) -> view::Community {
    let (genesis, charter) = (ledger.genesis(), ledger.charter());
    view::Community {
        id: ledger.community(),
        name: genesis.name.clone(),
        purpose: genesis.purpose.clone(),
        operators: charter.sharing().operators(),
        tolerated: charter.faulty(),
        attesters: charter.attesters.len(),
        policy: charter.policy.clone(),
    }
}

/// What is said wherever a community has one operator.
pub const ONE_OPERATOR: &str = "this community has one operator, which can read every contribution: good for trying things out, not for secrets. \
     With 4 or more operators, no single one can";

fn warnings(community: &view::Community, (operator, silent): (Option<u8>, bool), connected: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if operator.is_some() && silent {
        warnings.push(silence(community.tolerated > 0).to_owned());
    }
    if community.operators == 1 {
        warnings.push(ONE_OPERATOR.to_owned());
    }
    let reached = connected + usize::from(operator.is_some());
    let needed = usize::from(community.operators - community.tolerated);
    if reached < needed {
        warnings.push(format!(
            "{reached} of {} operators reached, {needed} are needed before anything comes onto the log",
            community.operators
        ));
    }
    warnings
}

/// Why an operator's key says nothing, and until when: with others who go on meanwhile, or without.
pub const fn silence(others_go_on: bool) -> &'static str {
    if others_go_on {
        "this operator's key is silent until the others have told how far the log is and it is two batches further: its journal was \
         put back, or made for a log that was imported"
    } else {
        "this operator's key is silent for good: its journal was put back without a word that it is current, and nobody else \
         can order the log. Put a backup of the stopped node back with `chorus restore --current`"
    }
}

/// Returns the addresses that others may reach: all but loopback, or loopback if there is nothing else.
fn reachable(addresses: Vec<String>) -> Vec<String> {
    let local = |address: &String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
    let (loopback, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(local);
    if others.is_empty() { loopback } else { others }
}

/// Returns a span of time from now, in words.
pub fn remaining(left: Duration) -> String {
    match left.as_secs() {
        0 => "now".into(),
        seconds @ 1..=119 => format!("in {seconds} s"),
        seconds @ 120..=7_199 => format!("in {} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("in {} h", seconds / 3_600),
        seconds => format!("in {} days", seconds / 86_400),
    }
}

/// Returns the key as text.
fn text(key: PublicKey) -> String {
    key.to_string()
}
