//! The page: how fast it answers with a long log, how soon somebody with an invitation votes, and the published moral graph.
//!
//! The node is a process of its own, `chorus run` as people run it, over a copy of a data directory with a long past
//! ([`town`]). While its pages are looked at, another node sends it ballots, one every [`PACE`].

mod arrival;
mod browser;
mod graph;
mod town;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use chorus_node::{api::BASE, driver::NodeHandle};
use chorus_protocol::peer::{Command, Peer};
use serde_json::Value;
use tokio::runtime::Runtime;

use self::{browser::get, town::Town};
use crate::{
    Part,
    figure::Figure,
    idle::Node,
    table::{Printed, Table},
};

/// How often a ballot comes while pages are looked at.
const PACE: Duration = Duration::from_millis(500);

/// How long two nodes may take to have the same log.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a page may take, for 99 of 100 looks, in seconds.
const BOUND: f64 = 0.05;

/// Measures what is wanted, and shows what is found.
pub(crate) fn figures(
    (contributions, looks, seed): (usize, usize, u64),
    is_wanted: impl Fn(Part) -> bool,
    mut show: impl FnMut(Vec<Printed>),
) {
    let failed = |what: &str, error: anyhow::Error| {
        vec![Figure::new(format!("{what}: {error:#}"), 1.0, "ratio").at_most(0.0).into()]
    };
    if is_wanted(Part::Graph) {
        show(graph::figures());
    }
    if is_wanted(Part::Arrival) {
        show(arrival::figures().unwrap_or_else(|error| failed("first vote", error)));
    }
    if is_wanted(Part::Answers) {
        show(answers(contributions, looks, seed).unwrap_or_else(|error| failed("pages", error)));
    }
}

/// How fast a node with a long log answers.
fn answers(contributions: usize, looks: usize, seed: u64) -> anyhow::Result<Vec<Printed>> {
    let town = Town::of(contributions, seed)?;
    let folder = tempfile::tempdir_in(town.dir.parent().context("a folder")?)?;
    let dir = town.copy(folder.path())?;
    let mut node = Node::at(dir.clone());
    let began = Instant::now();
    let ready = node.start(&[]);
    let started = began.elapsed();
    let at_start = node.resident();
    let address = ready["api"].as_str().and_then(|url| url.strip_prefix("http://")).context("an address")?.to_owned();
    let cookie = browser::enter(&address, ready["page"].as_str().unwrap_or_default())?;
    let token = format!("Authorization: Bearer {}", fs::read_to_string(dir.join("api.token"))?.trim());
    let ask = |path: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&get(&address, &format!("{BASE}{path}"), &token)?.body)?)
    };
    let places = places(&ask("/polls")?, contributions)?;
    let of = format!("{contributions} contributions");
    let mut printed: Vec<Printed> = vec![
        Figure::new(format!("{of}: batches on the log"), ask("/status")?["height"].as_f64().unwrap_or(0.0), "ratio")
            .into(),
        Figure::new(format!("{of}: data directory"), size(&dir)?, "B").into(),
        Figure::new(format!("{of}: from start to ready"), started.as_secs_f64(), "s").into(),
        Figure::new(format!("{of}: resident memory, when ready"), at_start, "B").into(),
    ];
    let runtime = Runtime::new()?;
    let dial = ready["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let other = runtime.block_on(town.follower(folder.path(), dial.collect()))?;
    let coming = Coming::begin(town, runtime.handle().clone(), other);
    let taken = look(&address, &places, (&cookie, &token), looks)?;
    let came = coming.end()?;
    for (kind, what) in [(Kind::Page, "pages"), (Kind::Json, "JSON routes")] {
        let mut table = Table::new(format!("{what}: {of}"), &["path", "bytes", "median", "99 of 100", "slowest"]);
        let mut slowest: f64 = 0.0;
        for (place, taken) in places.iter().zip(&taken).filter(|(place, _)| place.kind == kind) {
            slowest = slowest.max(taken.at(99));
            let millis = |share: usize| format!("{:.1} ms", taken.at(share) * 1_000.0);
            table.row([place.name.clone(), taken.bytes.to_string(), millis(50), millis(99), millis(100)]);
        }
        printed.push(table.into());
        printed.push(Figure::new(format!("{of}: {what}, the slowest's 99 of 100"), slowest, "s").at_most(BOUND).into());
    }
    printed.push(Figure::new(format!("{of}: ballots that came meanwhile"), came as f64, "ratio").at_least(1.0).into());
    printed.push(Figure::new(format!("{of}: resident memory, afterwards"), node.resident(), "B").into());
    Ok(printed)
}

/// Bytes of everything below a folder.
fn size(dir: &Path) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() as f64 };
    }
    Ok(sum)
}

/// What is looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Page,
    Json,
}

/// One page or route.
struct Place {
    kind: Kind,
    /// Its path, as it stands in the table.
    name: String,
    path: String,
}

/// Every kind of page, and every route that only tells.
fn places(polls: &Value, contributions: usize) -> anyhow::Result<Vec<Place>> {
    let find = |kind: &str, state: &str, items: u64| {
        let is_it = |poll: &&Value| {
            poll["kind"] == kind && poll["rounds"][0]["state"] == state && poll["item_count"].as_u64() >= Some(items)
        };
        let found = polls.as_array()?.iter().find(is_it)?;
        found["id"].as_str().map(str::to_owned)
    };
    let large = find("statement", "finished", 100).with_context(|| format!("a finished poll of {contributions}"))?;
    let open = find("statement", "open", 1).context("an open poll")?;
    let values = find("value", "finished", 1).context("a poll about values")?;
    let moves = find("transition", "finished", 1).context("a poll about moves")?;
    let pages = [
        "/",
        "/polls",
        "/polls/LARGE",
        "/polls/OPEN",
        "/polls/VALUES",
        "/polls/MOVES",
        "/polls/OPEN/vote",
        "/polls/OPEN/vote?item=1",
        "/polls/OPEN/review",
        "/polls/OPEN/propose",
        "/polls/LARGE/result",
        "/polls/MOVES/result",
        "/polls/LARGE/receipt",
        "/polls/OPEN/receipt",
        "/own",
        "/constitution",
        "/members",
        "/adapter",
        "/network",
        "/operate",
        "/operate/polls/LARGE",
        "/operate/polls/OPEN",
        "/moderation",
        "/values",
        "/values/graph",
        "/chat",
        "/tables/statements.csv?poll=LARGE",
    ];
    let routes = [
        "/status",
        "/health",
        "/invite",
        "/community",
        "/attest",
        "/polls",
        "/polls/LARGE",
        "/polls/OPEN",
        "/polls/OPEN/next",
        "/polls/OPEN/mine",
        "/polls/OPEN/rules",
        "/adapters",
        "/diary",
        "/result?poll=LARGE",
        "/receipt?poll=LARGE",
        "/map?poll=LARGE",
        "/constitutions",
        "/moderation",
        "/values/cards",
        "/values/transitions",
        "/moral-graph",
        "/moral-graph.svg",
    ];
    let fill = |path: &str| {
        path.replace("LARGE", &large).replace("OPEN", &open).replace("VALUES", &values).replace("MOVES", &moves)
    };
    let pages = pages.iter().map(|name| Place { kind: Kind::Page, name: (*name).to_owned(), path: fill(name) });
    let route =
        |name: &&str| Place { kind: Kind::Json, name: (*name).to_owned(), path: format!("{BASE}{}", fill(name)) };
    Ok(pages.chain(routes.iter().map(route)).collect())
}

/// What looks at one place took.
#[derive(Default)]
struct Taken {
    seconds: Vec<f64>,
    bytes: usize,
}

impl Taken {
    /// Returns what so many of a hundred looks took at most.
    fn at(&self, share: usize) -> f64 {
        let at = (self.seconds.len() * share).div_ceil(100).saturating_sub(1);
        self.seconds.get(at).or(self.seconds.last()).copied().unwrap_or_default()
    }
}

/// Looks at each place so often, in turn.
fn look(address: &str, places: &[Place], (cookie, token): (&str, &str), looks: usize) -> anyhow::Result<Vec<Taken>> {
    let mut taken: Vec<Taken> = places.iter().map(|_| Taken::default()).collect();
    // The first look is the first after the start: it counts.
    for _ in 0..looks {
        for (place, taken) in places.iter().zip(&mut taken) {
            let header = if place.kind == Kind::Page { cookie } else { token };
            let answer = get(address, &place.path, header)?;
            let said = || String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(matches!(answer.status, 200 | 303), "{} answers {}: {}", place.path, answer.status, said());
            taken.seconds.push(answer.took.as_secs_f64());
            taken.bytes = answer.body.len();
        }
    }
    taken.iter_mut().for_each(|taken| taken.seconds.sort_by(f64::total_cmp));
    Ok(taken)
}

/// Ballots that come while pages are looked at.
struct Coming {
    thread: std::thread::JoinHandle<anyhow::Result<usize>>,
    end: Arc<AtomicBool>,
}

impl Coming {
    fn begin(mut town: Town, runtime: tokio::runtime::Handle, node: NodeHandle) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let send = move || -> anyhow::Result<usize> {
            let is_there = |peer: &Peer| peer.ledger().rounds().contains_key(&town.open) && !peer.nodes().is_empty();
            ensure!(runtime.block_on(node.wait_until(is_there, PATIENCE))?, "another node has the log");
            let people = town.community.people.len();
            let count = |peer: &Peer| {
                let attempts = peer.ledger().rounds()[&town.open].contributions.values();
                attempts.map(|attempts| attempts.len()).sum::<usize>()
            };
            let before = runtime.block_on(node.view(count))?;
            for number in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let sequence = u8::try_from(number / (people - 1) + 1)?;
                let ledger = runtime.block_on(node.view(|peer| peer.ledger().clone()))?;
                let person = 1 + number % (people - 1);
                let ballot = town::changed(&mut town.community, person, &ledger, town.open, sequence)?;
                drop(ledger);
                runtime.block_on(node.command(Command::Contribute(ballot)))?;
                std::thread::sleep(PACE);
            }
            let after = runtime.block_on(node.view(count))?;
            runtime.block_on(node.shutdown());
            Ok(after - before)
        };
        Self { thread: std::thread::spawn(send), end }
    }

    /// Ends it, and returns how many came onto the log.
    fn end(self) -> anyhow::Result<usize> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that sends ballots has panicked"))?
    }
}
