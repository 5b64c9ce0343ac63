//! What a node costs that has nothing to do: four operators and a home's node as processes of their own, over real sockets.
//!
//! This program is the node as well: it starts itself with [`AS_NODE`] set.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::figure::Figure;

/// The variable that makes this program a node.
pub(crate) const AS_NODE: &str = "CHORUS_FIGURES_AS_NODE";

/// How long nodes find each other and fall quiet before anything is measured.
const SETTLING: Duration = Duration::from_secs(15);

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(60);

/// How long nodes may take to meet.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kernel's ticks of processor time in a second.
const TICKS: f64 = 100.0;

/// A data directory, and the node that runs with it.
pub(crate) struct Node {
    dir: PathBuf,
    running: Option<Child>,
}

impl Node {
    /// The node of a data directory that there is.
    pub(crate) const fn at(dir: PathBuf) -> Self {
        Self { dir, running: None }
    }

    pub(crate) fn new(folder: &Path, name: &str) -> (Self, String) {
        let node = Self::at(folder.join(name));
        let answer = node.ask(&["init", "--no-passphrase"]);
        (node, answer["public_key"].as_str().expect("a key").to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(arguments).env(AS_NODE, "1").env("CHORUS_FORMAT", "json").env("CHORUS_DATA_DIR", &self.dir);
        command
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).output().expect("this program runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts it, and returns an address of it.
    pub(crate) fn run(&mut self, dial: &[String]) -> String {
        let dial: Vec<&str> = dial.iter().flat_map(|address| ["--dial", address.as_str()]).collect();
        self.run_with(&dial)
    }

    /// Starts it with flags of its own, and returns an address of it.
    pub(crate) fn run_with(&mut self, flags: &[&str]) -> String {
        self.start(flags)["addresses"][0].as_str().expect("an address").to_owned()
    }

    /// Starts it with flags of its own, and returns what it says once it is ready.
    pub(crate) fn start(&mut self, flags: &[&str]) -> Value {
        let arguments = [&["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], flags].concat();
        let mut child = self.command(&arguments).stdout(Stdio::piped()).spawn().expect("this program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        self.running = Some(child);
        serde_json::from_str(&line).expect("the node is ready")
    }

    fn id(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Processor time so far.
    fn seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        // The name, in parentheses, may hold anything; user and system time are the 12th and 13th after it.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let times = after.split_whitespace().skip(11).take(2);
        times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
    }

    /// Stops it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            // An error says that it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> f64 {
        resident(&self.id().to_string())
    }
}

/// Resident bytes of a process.
pub(crate) fn resident(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() * 1024.0
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Measures.
pub(crate) fn figures() -> Vec<Figure> {
    let folder = tempfile::tempdir().expect("a folder");
    let (operators, keys): (Vec<Node>, Vec<String>) =
        (1..=4).map(|number| Node::new(folder.path(), &format!("operator-{number}"))).unzip();
    let mut create = vec!["community", "create", "--name", "Idle", "--purpose", "To wait", "--attester", "me"];
    create.extend(keys.iter().flat_map(|key| ["--operator", key.as_str()]));
    let mut operators = operators;
    operators[0].ask(&create);
    let invite = operators[0].ask(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let mut addresses = Vec::new();
    for operator in &mut operators {
        operator.ask(&["join", &invite]);
        let address = operator.run(&addresses);
        addresses.push(address);
    }
    let (mut home, _) = Node::new(folder.path(), "home");
    home.ask(&["join", &invite]);
    home.run(&addresses);
    let began = Instant::now();
    while home.ask(&["status"])["operators_connected"] != 4 {
        assert!(began.elapsed() < PATIENCE, "the nodes meet");
        thread::sleep(Duration::from_millis(200));
    }
    thread::sleep(SETTLING);

    let (began, before) = (Instant::now(), (home.seconds(), operators[0].seconds()));
    thread::sleep(MEASURED);
    let elapsed = began.elapsed().as_secs_f64();
    let share = |now: f64, then: f64| (now - then) / elapsed;
    vec![
        Figure::new("idle home node: resident memory", home.resident(), "B").at_most(80e6),
        Figure::new("idle home node: share of one core", share(home.seconds(), before.0), "ratio").at_most(0.02),
        Figure::new("idle operator of four: resident memory", operators[0].resident(), "B"),
        Figure::new("idle operator of four: share of one core", share(operators[0].seconds(), before.1), "ratio"),
    ]
}
