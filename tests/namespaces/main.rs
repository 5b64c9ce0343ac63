//! Real processes on machines of their own: operators and a relay at public addresses, two homes behind routers.
//!
//! It needs root and the tools `ip`, `tc` and `nft`; without them it says that it was skipped. There is no delay and no
//! loss here, for the kernels of many machines lack `netem`: those are in the simulations.

mod lab;

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    rc::Rc,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use self::lab::{Half, Lab};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long the operators are cut off from one another: several time-outs of the consensus.
const CUT: Duration = Duration::from_secs(8);

/// The binary under test.
const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

/// A machine with a data directory, and the node that runs there.
struct Machine {
    lab: Rc<Lab>,
    name: String,
    dir: PathBuf,
    running: Option<Child>,
}

impl Machine {
    /// Makes a data directory with keys, and returns the public one as well.
    fn new(lab: &Rc<Lab>, folder: &TempDir, name: &str) -> (Self, String) {
        let machine = Self { lab: Rc::clone(lab), name: name.to_owned(), dir: folder.path().join(name), running: None };
        let key = machine.ok(&["init", "--no-passphrase"])["public_key"].as_str().expect("a key").to_owned();
        (machine, key)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command(&self.name, CHORUS);
        command.args(arguments).env("CHORUS_DATA_DIR", &self.dir).env("CHORUS_FORMAT", "json").env_remove("RUST_LOG");
        command
    }

    fn answer(&self, arguments: &[&str], output: &Output) -> Value {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {arguments:?}: {errors}", self.name);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Carries out a command, and returns its answer.
    fn ok(&self, arguments: &[&str]) -> Value {
        self.answer(arguments, &self.command(arguments).output().expect("the binary runs"))
    }

    /// Starts the node, and waits until it says that it is ready.
    fn run(&mut self, arguments: &[&str]) -> Value {
        let all = [&["run", "--no-mdns", "--no-upnp"], arguments].concat();
        let mut child = self.command(&all).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        self.running = Some(child);
        serde_json::from_str(&line).expect("the node is ready")
    }

    /// Ends the node as a power cut does.
    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks until the answer is what it should be.
    fn until(&self, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.ok(arguments);
            if holds(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{}: {arguments:?} in time: {answer:#}", self.name);
            sleep(Duration::from_millis(200));
        }
    }

    fn joined(&self, invite: &str) {
        self.ok(&["join", invite]);
    }

    /// Has the person here admitted by an attester.
    fn admitted_by(&self, attester: &Self) {
        let request = self.ok(&["attest", "request"])["request"].as_str().expect("a request").to_owned();
        attester.ok(&["attest", "approve", &request, "--in-person", "--subject", &self.name]);
        self.until(&["status"], |status| status["node"]["member"] == true);
    }

    fn sees_all_operators(&self) {
        self.until(&["status"], |status| status["operators_connected"] == OPERATORS);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

const OPERATORS: usize = 4;

/// Founds a community of four operators and a relay, at public addresses in both halves of the network.
fn founded(lab: &Rc<Lab>, folder: &TempDir) -> (Vec<Machine>, Machine, Value) {
    let (mut operators, keys): (Vec<Machine>, Vec<String>) =
        (1..=OPERATORS).map(|number| Machine::new(lab, folder, &format!("operator-{number}"))).unzip();
    let mut create = vec!["community", "create", "--name", "Harbour", "--purpose", "To help", "--attester", "me"];
    keys.iter().for_each(|key| create.extend(["--operator", key]));
    create.extend(["--min-contributions", "2", "--floor", "2", "--group-floor", "4"]);
    operators[0].ok(&create);
    let invite = operators[0].ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let mut dial: Vec<String> = Vec::new();
    let start = |machine: &mut Machine, role: &str, address: &str, dial: &mut Vec<String>| {
        machine.joined(&invite);
        let listen = format!("/ip4/{address}/tcp/4001");
        let mut arguments = vec!["--role", role, "--listen", &listen];
        dial.iter().for_each(|address| arguments.extend(["--dial", address.as_str()]));
        let ready = machine.run(&arguments);
        dial.push(ready["addresses"][0].as_str().expect("an address").to_owned());
    };
    for (operator, number) in operators.iter_mut().zip(11..) {
        start(operator, "operator", &format!("192.0.2.{number}"), &mut dial);
    }
    let (mut relay, _) = Machine::new(lab, folder, "relay");
    start(&mut relay, "relay", "192.0.2.15", &mut dial);
    relay.sees_all_operators();
    // All five, though nobody named them.
    let all = |invite: &Value| invite["addresses"].as_array().is_some_and(|addresses| addresses.len() == OPERATORS + 1);
    let invite = relay.until(&["invite"], all);
    (operators, relay, invite)
}

#[test]
fn homes_behind_routers_and_public_operators_form_one_community_through_cuts_and_restarts() {
    let Some(mut lab) = Lab::new() else { return };
    let halves = [Half::A, Half::A, Half::B, Half::B];
    for (number, half) in (1_u8..).zip(halves) {
        lab.public(&format!("operator-{number}"), half, &format!("192.0.2.{}", 10 + number));
    }
    lab.public("relay", Half::A, "192.0.2.15");
    lab.home("home-1", Half::A, "192.0.2.21", "10.0.1");
    lab.home("home-2", Half::B, "192.0.2.22", "10.0.2");
    lab.limit("home-1", "2mbit");
    let lab = Rc::new(lab);
    let folder = TempDir::new().expect("a folder");
    let (operators, relay, invite) = founded(&lab, &folder);

    // One by the whole invitation, one by the code for cameras.
    let mut homes: Vec<Machine> = ["home-1", "home-2"].iter().map(|name| Machine::new(&lab, &folder, name).0).collect();
    for (home, form) in homes.iter_mut().zip(["invite", "short"]) {
        home.joined(invite[form].as_str().expect("text"));
        home.run(&[]);
    }
    for home in &homes {
        home.sees_all_operators();
        let status = home.until(&["status"], |status| status["node"]["relays"].as_u64() >= Some(2));
        assert_eq!(status["node"]["reachable"], false, "a router is in the way");
        home.admitted_by(&operators[0]);
    }
    operators[1].until(&["status"], |status| status["members"] == 2);
    operators[1].ok(&[
        "poll",
        "open",
        "--question",
        "What?",
        "--item",
        "Be kind",
        "--item",
        "Be brief",
        "--duration",
        "40s",
    ]);
    for home in &homes {
        home.until(&["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open");
    }

    // A power cut at home.
    homes[1].ok(&["vote", "-", "1=disagree", "2=disagree"]);
    homes[1].kill();
    homes[1].run(&[]);
    homes[1].sees_all_operators();
    assert_eq!(homes[1].ok(&["vote", "-", "1=agree", "2=pass"])["own"]["sequence"], 1);
    // No half has a quorum: the ballot waits until the cable is mended.
    let vote = ["vote", "-", "1=agree", "2=pass"];
    lab.cable(false);
    let waiting = homes[0].command(&vote).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    sleep(CUT);
    lab.cable(true);
    let cast = homes[0].answer(&vote, &waiting.wait_with_output().expect("runs"));
    assert_eq!(cast["own"]["on_log"], true);

    let everybody = operators.iter().chain([&relay]).chain(&homes);
    let results: Vec<Value> = everybody.map(|machine| machine.ok(&["result", "-", "--wait", "60s"])).collect();
    assert_eq!(results[0]["items"][0]["total"], serde_json::json!({ "agree": 2, "disagree": 0, "pass": 0 }));
    assert_eq!(results[0]["items"][1]["total"], serde_json::json!({ "agree": 0, "disagree": 0, "pass": 2 }));
    assert!(results.iter().all(|result| result["result"] == results[0]["result"]), "the same bytes everywhere");
}
