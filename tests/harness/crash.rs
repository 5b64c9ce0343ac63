//! Real nodes that are killed at random moments, or whose files are damaged while they are stopped.
//!
//! A child process runs one operator over real files and sockets, and says on its standard output what has come onto the log.
//! This process runs the others (three more operators, or one follower if the child is the only operator), kills the child or
//! damages its files, starts it again, and compares: everything that was acknowledged is there, the child's log is the
//! others', and nobody was convicted of saying two things.
//!
//! ```text
//! parent ── "say 7" ──▶ child        child ── "up HEIGHT ADDRESS" · "done 7" · "log HEIGHT BATCH ID,ID,…" · "refused WHY" ──▶ parent
//! ```

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use chorus_crypto::codec::Decode as _;
use chorus_node::{
    driver::{Node, NodeHandle, NodeOptions},
    network::{Caps, Reach, Role},
};
use chorus_protocol::{
    config::Policy,
    id::BlobId,
    log::{
        consensus::{Decision, Timeouts},
        entry::{Entry, PollKind, PollOpening, Proposal, SignedEntry},
    },
    peer::{Checkpoints, Command, Config, Peer},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::community::Community;

/// The first argument of a process that is to be a child.
pub const CHILD: &str = "crash-child";

/// Far longer than a start, or an entry's way onto the log, takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Items of one poll.
const ITEMS: u64 = 400;

/// Digits of an id that are compared.
const DIGITS: usize = 16;

fn community(seed: u64, operators: usize) -> Community {
    Community::new(seed, operators, 0, Policy::default())
}

fn opening(number: u64) -> PollOpening {
    PollOpening { kind: PollKind::Value, question: format!("poll {}", number / ITEMS), context: String::new() }
}

/// The entry with a number, and the beginning of the id that the ledger knows it by.
fn entry(community: &Community, number: u64) -> (Entry, String) {
    let poll = opening(number).id(community.id());
    if number.is_multiple_of(ITEMS) {
        return (Entry::Poll(opening(number)), digits(&poll.to_string()));
    }
    let text = format!("item {number}");
    let id = digits(&BlobId::of(text.as_bytes()).to_string());
    (Entry::Propose(Proposal { poll, text }), id)
}

fn digits(id: &str) -> String {
    id.chars().take(DIGITS).collect()
}

/// Everything of ours that is on the log.
fn known(peer: &Peer) -> BTreeSet<String> {
    let polls = peer.ledger().polls().iter();
    polls
        .flat_map(|(id, poll)| {
            let items = poll.items.iter().map(|(id, _, _)| digits(&id.to_string()));
            items.chain([digits(&id.to_string())]).collect::<Vec<_>>()
        })
        .collect()
}

fn options(
    community: &Community,
    index: Option<usize>,
    data_dir: PathBuf,
    seed: u64,
    dial: Vec<String>,
) -> NodeOptions {
    let mut transport_seed = [0; 32];
    transport_seed[..8].copy_from_slice(&seed.to_be_bytes());
    transport_seed[8] = index.map_or(u8::MAX, |index| u8::try_from(index).expect("few operators"));
    NodeOptions {
        data_dir,
        genesis: community.genesis.clone(),
        operator: index.and_then(|index| community.operators.get(index).cloned()),
        transport_seed,
        listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
        dial,
        role: Role::Operator,
        reach: Reach::quiet(),
        caps: Caps::default(),
        blob_quota: NodeOptions::BLOB_QUOTA,
        timeouts: Timeouts {
            propose: 300,
            prevote: 150,
            precommit: 150,
            per_round: 100,
            rebroadcast: 500,
            longest: 5_000,
        },
        pass_millis: Config::PASS_MILLIS,
        checkpoints: Checkpoints::default(),
        rng_seed: None,
    }
}

/// What a child process does: `CHILD DIR SEED OPERATORS ADDRESS…`. It is the last operator.
///
/// # Errors
///
/// Returns what goes wrong on the way to the parent.
pub fn child(arguments: &[String]) -> anyhow::Result<()> {
    let [dir, seed, operators, dial @ ..] = arguments else { bail!("DIR SEED OPERATORS ADDRESS…") };
    let (seed, operators) = (seed.parse()?, operators.parse::<usize>()?);
    Runtime::new()?.block_on(async {
        let community = community(seed, operators);
        let index = operators - 1;
        let options = options(&community, Some(index), PathBuf::from(dir), seed, dial.to_vec());
        let node = match Node::start(options).await {
            Ok(node) => node,
            Err(error) => {
                say(&format!("refused {error}"));
                return Ok(());
            }
        };
        let height = node.view(Peer::height).await?;
        say(&format!("up {} {}", height.0, node.addresses().join(",")));
        let key = community.operators[index].clone();
        let (lines, mut asked) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        while let Some(line) = asked.recv().await {
            match line.split_once(' ') {
                Some(("say", number)) => {
                    let number = number.parse()?;
                    let (entry, id) = entry(&community, number);
                    node.command(Command::Relay(SignedEntry::sign(&key, community.id(), entry))).await?;
                    let node = node.clone();
                    tokio::spawn(async move {
                        if matches!(node.wait_until(|peer| known(peer).contains(&id), PATIENCE).await, Ok(true)) {
                            say(&format!("done {number}"));
                        }
                    });
                }
                _ => say(&node.view_durably(describe).await?),
            }
        }
        node.shutdown().await;
        Ok(())
    })
}

fn describe(peer: &Peer) -> String {
    let ids: Vec<String> = known(peer).into_iter().collect();
    format!("log {} {} {}", peer.height().0, batch_at(peer, peer.height().0), ids.join(","))
}

/// The id of the batch at one of the last heights.
fn batch_at(peer: &Peer, height: u64) -> String {
    let decision = peer.recent_decisions().find(|decision| decision.batch.height().0 == height);
    decision.map_or_else(|| "-".into(), |decision| decision.batch.id().to_string())
}

#[expect(clippy::print_stdout, reason = "the parent listens")]
fn say(line: &str) {
    println!("{line}");
    let _ = io::stdout().flush();
}

/// A child that runs, or has ended.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn next(&self) -> anyhow::Result<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("the child says nothing any more"),
            Err(RecvTimeoutError::Disconnected) => bail!("the child died by itself"),
        }
    }

    fn ask(&mut self, line: &str) {
        // A child that is gone is noticed when its answer is read.
        let _ = self.child.stdin.as_mut().map(|stdin| writeln!(stdin, "{line}").and_then(|()| stdin.flush()));
    }

    fn kill(mut self) -> Vec<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.lines.iter().collect()
    }

    fn stop(mut self) -> anyhow::Result<Vec<String>> {
        drop(self.child.stdin.take());
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "the child does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Kills, or damages.
    pub struck: u64,
    /// Entries that the child said were on the log.
    pub acknowledged: u64,
    /// Of those, the ones that were not there at a later start.
    pub lost: u64,
    /// Logs that differed, convictions, and starts that neither went on nor said what to do, in words.
    pub wrong: Vec<String>,
    /// How long starts took until something new was on the log, in seconds.
    pub recoveries: Vec<f64>,
    /// What starts refused with, and how often.
    pub refused: std::collections::BTreeMap<String, u64>,
}

/// A community of which one operator is a child process.
struct Stand {
    program: PathBuf,
    seed: u64,
    operators: usize,
    community: Community,
    folder: TempDir,
    runtime: Runtime,
    others: Vec<NodeHandle>,
    rng: ChaCha20Rng,
    said: u64,
    acknowledged: BTreeSet<u64>,
    report: Report,
}

impl Stand {
    fn new(program: &Path, seed: u64, operators: usize) -> anyhow::Result<Self> {
        let (folder, runtime) = (TempDir::new()?, Runtime::new()?);
        let community = community(seed, operators);
        let mut others = Vec::new();
        let indices = if operators == 1 { vec![None] } else { (0..operators - 1).map(Some).collect() };
        for index in indices {
            let dial = others.iter().flat_map(NodeHandle::addresses).collect();
            let data_dir = folder.path().join(format!("other-{}", others.len()));
            let options = options(&community, index, data_dir, seed, dial);
            others.push(runtime.block_on(Node::start(options))?);
        }
        Ok(Self {
            program: program.to_owned(),
            seed,
            operators,
            community,
            folder,
            runtime,
            others,
            rng: ChaCha20Rng::seed_from_u64(seed),
            said: 0,
            acknowledged: BTreeSet::new(),
            report: Report::default(),
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("child")
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound.max(1)
    }

    fn spawn(&self) -> anyhow::Result<Running> {
        let mut process = Process::new(&self.program);
        process.arg(CHILD).arg(self.data()).args([self.seed.to_string(), self.operators.to_string()]);
        process.args(self.others.iter().flat_map(NodeHandle::addresses));
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("child.log"))?;
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).env("RUST_LOG", "warn");
        let mut child = process.spawn().context("the child starts")?;
        let stdout = child.stdout.take().context("piped")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Running { child, lines })
    }

    fn hear(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            if let Some(number) = line.strip_prefix("done ").and_then(|number| number.parse().ok()) {
                self.acknowledged.insert(number);
            }
        }
    }

    /// Compares the child's log with what it acknowledged and with the others'.
    fn compare(&mut self, running: &mut Running) -> anyhow::Result<()> {
        // Before the child is asked: it goes on meanwhile.
        let heights = self.others.iter().map(|other| self.runtime.block_on(other.view(|peer| peer.height().0)));
        let known = heights.collect::<Result<Vec<u64>, _>>()?.into_iter().max().unwrap_or_default();
        running.ask("describe");
        let line = loop {
            let line = running.next()?;
            if line.starts_with("log ") {
                break line;
            }
            self.hear([line]);
        };
        let mut words = line.split(' ').skip(1);
        let height: u64 = words.next().unwrap_or_default().parse()?;
        let batch = words.next().unwrap_or_default().to_owned();
        let there: BTreeSet<&str> = words.next().unwrap_or_default().split(',').collect();
        let ids: Vec<_> = self.acknowledged.iter().map(|number| (*number, entry(&self.community, *number).1)).collect();
        // What a child that lost its store acknowledged before may still be on its way back.
        let lost: Vec<_> =
            ids.iter().filter(|(_, id)| !there.contains(id.as_str())).map(|(number, _)| *number).collect();
        if self.operators == 1 && !lost.is_empty() {
            self.report.lost += lost.len() as u64;
            self.report.wrong.push(format!("acknowledged and gone: {lost:?}"));
        }
        for other in &self.others {
            let reached = self.runtime.block_on(other.wait_until(|peer| peer.height().0 >= height, PATIENCE))?;
            ensure!(reached, "another node does not follow to height {height}");
            let (same, theirs) =
                self.runtime.block_on(other.view(|peer| (batch_at(peer, height) == batch, peer.height().0)))?;
            // A child that is far behind is compared when it has caught up.
            if !same && theirs < height + 100 {
                self.report.wrong.push(format!("the logs differ at height {height}"));
            }
        }
        if self.operators == 1 && known > height {
            self.report.wrong.push(format!("the only operator is at {height}, and others knew of {known}"));
        }
        Ok(())
    }

    /// Says `count` more entries.
    fn say(&mut self, running: &mut Running, count: u64) -> u64 {
        for _ in 0..count {
            running.ask(&format!("say {}", self.said));
            self.said += 1;
        }
        self.said - 1
    }

    /// Waits until an entry is acknowledged.
    fn wait_for(&mut self, running: &Running, number: u64) -> anyhow::Result<()> {
        while !self.acknowledged.contains(&number) {
            let line = running.next()?;
            self.hear([line]);
        }
        Ok(())
    }

    /// Lets the child work, and kills it.
    fn strike(&mut self, strike: u64, longest: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut running = self.spawn()?;
        if self.draw(8) == 0 && strike > 0 {
            // While it starts.
            std::thread::sleep(Duration::from_millis(self.draw(40)));
        } else {
            let line = running.next().context("it starts")?;
            ensure!(line.starts_with("up "), "{line}");
            self.compare(&mut running).context("its log is compared")?;
            let count = 1 + self.draw(8);
            // A poll whose opening a kill took is opened again.
            let opening = self.said / ITEMS * ITEMS;
            if opening < self.said && !self.acknowledged.contains(&opening) {
                running.ask(&format!("say {opening}"));
                self.wait_for(&running, opening).with_context(|| format!("poll {opening} is waited for"))?;
            }
            let first = self.say(&mut running, 1);
            self.wait_for(&running, first).with_context(|| format!("entry {first} is waited for"))?;
            self.report.recoveries.push(began.elapsed().as_secs_f64());
            self.say(&mut running, count);
            std::thread::sleep(Duration::from_millis(self.draw(longest)));
        }
        let lines = running.kill();
        self.hear(lines);
        self.report.struck += 1;
        Ok(())
    }

    /// Where everybody is, and what the child complained of last.
    fn state(&self) -> String {
        let heights: Vec<_> =
            self.others.iter().map(|other| self.runtime.block_on(other.view(|peer| peer.height().0)).ok()).collect();
        let log = fs::read_to_string(self.folder.path().join("child.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(12).collect();
        format!("others at {heights:?}, the child's last words, newest first: {last:#?}")
    }

    /// At the end everything acknowledged is on everybody's log, and nobody was convicted.
    fn conclude(mut self) -> anyhow::Result<Report> {
        let mut running = self.spawn()?;
        let line = running.next()?;
        ensure!(line.starts_with("up "), "{line}");
        let last = self.say(&mut running, 1);
        self.wait_for(&running, last)?;
        self.compare(&mut running)?;
        let lines = running.stop()?;
        self.hear(lines);
        let wanted: BTreeSet<String> =
            self.acknowledged.iter().map(|number| entry(&self.community, *number).1).collect();
        for other in &self.others {
            let has_all = |peer: &Peer| wanted.is_subset(&known(peer));
            if !self.runtime.block_on(other.wait_until(has_all, PATIENCE))? {
                let there = self.runtime.block_on(other.view(known))?;
                let lost = wanted.difference(&there).count() as u64;
                self.report.lost += lost;
                self.report.wrong.push(format!("{lost} acknowledged entries are not on the others' log"));
            }
            let convictions = convictions(&self.runtime.block_on(other.decisions())?);
            if convictions > 0 {
                self.report.wrong.push(format!("{convictions} convictions for saying two things"));
            }
        }
        self.report.acknowledged = self.acknowledged.len() as u64;
        for other in self.others {
            self.runtime.block_on(other.shutdown());
        }
        Ok(self.report)
    }
}

fn convictions(log: &[Arc<Decision>]) -> usize {
    let entries = log.iter().flat_map(|decision| decision.batch.entries());
    let is_evidence =
        |bytes: &&Vec<u8>| SignedEntry::from_bytes(bytes).is_ok_and(|entry| matches!(entry.entry, Entry::Evidence(_)));
    entries.filter(is_evidence).count()
}

/// Kills the child `kills` times at random moments while it is asked to bring entries onto the log.
///
/// # Errors
///
/// Returns what keeps the experiment from going on: that is a failure of the node, too.
pub fn kill(program: &Path, seed: u64, operators: usize, kills: u64) -> anyhow::Result<Report> {
    let mut stand = Stand::new(program, seed, operators)?;
    // One of several listens for two seconds before it signs.
    let longest = if operators == 1 { 120 } else { 3_500 };
    for strike in 0..kills {
        stand.strike(strike, longest).with_context(|| format!("kill {strike}, {}", stand.state()))?;
    }
    stand.conclude()
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Damage {
    Truncate,
    Empty,
    ZeroExtent,
    ZeroAll,
    Flip,
    Delete,
}

impl Damage {
    const ALL: [Self; 6] = [Self::Truncate, Self::Flip, Self::ZeroExtent, Self::Delete, Self::ZeroAll, Self::Empty];

    fn apply(self, path: &Path, draw: u64) -> io::Result<()> {
        const EXTENT: u64 = 64 * 1024;
        let mut file = fs::File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let zero = |file: &mut fs::File, from: u64, count: u64| {
            file.seek(SeekFrom::Start(from))?;
            io::copy(&mut io::repeat(0).take(count), file).map(drop)
        };
        match self {
            Self::Truncate => file.set_len(draw % length.max(1)),
            Self::Empty => file.set_len(0),
            Self::ZeroExtent => {
                let from = draw % length.div_ceil(EXTENT).max(1) * EXTENT;
                zero(&mut file, from, EXTENT.min(length.saturating_sub(from)))
            }
            Self::ZeroAll => zero(&mut file, 0, length),
            Self::Flip => {
                let at = draw % length.max(1);
                let mut byte = [0];
                file.seek(SeekFrom::Start(at))?;
                if file.read(&mut byte)? == 1 {
                    file.seek(SeekFrom::Start(at))?;
                    file.write_all(&[byte[0] ^ 1 << (draw % 8)])?;
                }
                Ok(())
            }
            Self::Delete => fs::remove_file(path),
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let aside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("store.damaged-"));
        if path.is_dir() && !aside {
            files(&path, found)?;
        } else if path.is_file() && path.file_name().is_some_and(|name| name != "lock" && name != "journal.lock") {
            found.push(path);
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What a refusal says to do must be in it.
const ADVICE: [&str; 4] = ["chorus restore", "--role relay", "put it back", "put the newest back"];

/// Damages one file of the stopped child after the other, `cases` times, and starts it each time.
///
/// # Errors
///
/// Returns what keeps the experiment from going on.
pub fn damage(program: &Path, seed: u64, operators: usize, cases: u64) -> anyhow::Result<Report> {
    let mut stand = Stand::new(program, seed, operators)?;
    let mut running = stand.spawn()?;
    ensure!(running.next()?.starts_with("up "), "the child starts");
    let last = stand.say(&mut running, 60);
    stand.wait_for(&running, last)?;
    let lines = running.stop()?;
    stand.hear(lines);
    let aside = stand.folder.path().join("aside");
    for case in 0..cases {
        let mut found = Vec::new();
        files(&stand.data(), &mut found)?;
        let kinds = Damage::ALL.len() as u64;
        let file = found[usize::try_from(case / kinds)? % found.len()].clone();
        let damage = Damage::ALL[usize::try_from(case % kinds)?];
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        copy_folder(&stand.data(), &aside)?;
        let draw = stand.draw(u64::MAX);
        damage.apply(&file, draw)?;
        let name = file.strip_prefix(stand.data()).unwrap_or(&file).display().to_string();
        let what = format!("{damage:?} of {name}");
        stand.report.struck += 1;
        stand.recover(&what, &aside)?;
    }
    stand.conclude()
}

impl Stand {
    fn recover(&mut self, what: &str, aside: &Path) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut running = self.spawn()?;
        let line = running.next().with_context(|| what.to_owned())?;
        if let Some(why) = line.strip_prefix("refused ") {
            if !ADVICE.iter().any(|advice| why.contains(advice)) {
                self.report.wrong.push(format!("{what}: refused without advice: {why}"));
            }
            let mut kind: String = why.split(['.', ':', ',']).take(2).collect::<Vec<_>>().join(":");
            kind.truncate(kind.char_indices().nth(70).map_or(kind.len(), |(at, _)| at));
            *self.report.refused.entry(kind).or_default() += 1;
            running.stop()?;
            fs::remove_dir_all(self.data())?;
            copy_folder(aside, &self.data())?;
            return Ok(());
        }
        ensure!(line.starts_with("up "), "{what}: {line}");
        let last = self.say(&mut running, 1);
        let mut failed = String::new();
        if let Err(error) = self.wait_for(&running, last) {
            let _ = write!(failed, "{what}: {error}");
        }
        if failed.is_empty() {
            self.report.recoveries.push(began.elapsed().as_secs_f64());
            self.compare(&mut running)?;
        } else {
            self.report.wrong.push(failed);
        }
        let lines = running.stop()?;
        self.hear(lines);
        // Stores that were set aside are looked at by nobody.
        for entry in fs::read_dir(self.data())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("store.damaged-") {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}
