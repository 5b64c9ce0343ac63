//! The command line, as people use it: real processes, real data directories, real sockets.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long a process may take to do what it was asked.
const PATIENCE: Duration = Duration::from_secs(45);

/// The binary under test.
const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

/// A data directory, and the node that runs with it.
pub(super) struct Person {
    dir: PathBuf,
    running: Option<Child>,
}

impl Person {
    /// Makes a data directory with keys.
    fn new(folder: &TempDir, name: &str) -> Self {
        let person = Self { dir: folder.path().join(name), running: None };
        person.ok(&["init", "--no-passphrase"]);
        person
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CHORUS);
        command.args(arguments).env("CHORUS_DATA_DIR", &self.dir).env("CHORUS_FORMAT", "json").env_remove("RUST_LOG");
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Carries out a command, and returns its answer.
    pub(super) fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?} answers JSON: {error}"))
    }

    /// Carries out a command that must fail, and returns exit code and kind of error.
    pub(super) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        let error: Value = serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|_| panic!("{arguments:?}: {:?}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(error["error"]["code"], output.status.code().unwrap_or(-1));
        (output.status.code().unwrap_or(-1), error["error"]["kind"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) fn public_key(folder: &TempDir, name: &str) -> (Self, String) {
        let person = Self { dir: folder.path().join(name), running: None };
        let key = person.ok(&["init", "--no-passphrase"])["public_key"].as_str().expect("a key").to_owned();
        (person, key)
    }

    /// Starts the node, and waits until it says that it is ready.
    pub(super) fn run(&mut self, arguments: &[&str]) -> Value {
        let all = [&["run", "--no-mdns"], arguments].concat();
        let mut child = self.command(&all).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        self.running = Some(child);
        serde_json::from_str(&line).expect("the node is ready")
    }

    /// Asks the node to stop, and returns whether it did so in order.
    fn stop(&mut self) -> bool {
        let Some(mut child) = self.running.take() else { return false };
        let pid = child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        child.wait().is_ok_and(|status| status.success())
    }

    /// Asks until the answer is what it should be.
    pub(super) fn until(&self, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.ok(arguments);
            if holds(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{arguments:?} in time: {answer:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Has the person admitted by an attester.
    pub(super) fn admitted_by(&self, attester: &Self) {
        let met = ["--in-person", "--subject", self.dir.to_str().expect("text")];
        self.attested_by(attester, &[], &met);
    }

    /// Makes a request, and returns it.
    fn request(&self, more: &[&str]) -> String {
        let request = self.ok(&[&["attest", "request"], more].concat());
        request["request"].as_str().expect("a request").to_owned()
    }

    /// Has the person attested, and returns how they stand then.
    fn attested_by(&self, attester: &Self, request: &[&str], more: &[&str]) -> Value {
        let request = self.request(request);
        attester.ok(&[&["attest", "approve", &request], more].concat())["standing"].take()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) const LOCAL: [&str; 2] = ["--listen", "/ip4/127.0.0.1/tcp/0"];
pub(super) const RULES: [&str; 6] = ["--min-contributions", "2", "--floor", "2", "--group-floor", "4"];

#[test]
fn a_community_of_one_operator_goes_from_founding_to_a_verified_result() {
    let folder = TempDir::new().expect("a folder");
    let mut founder = Person::new(&folder, "founder");
    founder.ok(&[&["community", "create", "--name", "Choir", "--purpose", "To sing"], &RULES[..]].concat());
    let ready = founder.run(&LOCAL);
    assert!(ready["warning"].as_str().is_some_and(|warning| warning.contains("can read every contribution")));

    let invite = founder.ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let mut member = Person::new(&folder, "member");
    member.ok(&["join", &invite]);
    member.run(&LOCAL);
    founder.admitted_by(&founder);
    assert_eq!(founder.ok(&["poll", "open", "--question", "What should it do?"])["item_count"], 0);
    let known = |status: &Value| status["members"] == 1 && status["operators_connected"] == 1;
    member.until(&["status"], known);
    member.until(&["poll", "list"], |polls| polls.as_array().is_some_and(|polls| !polls.is_empty()));
    assert_eq!(member.fails(&["propose", "-", "Too early"]), (6, "refused".into()), "not a member yet");
    member.admitted_by(&founder);
    member.until(&["status"], |status| status["node"]["member"] == true);
    let anonymous = member.fails(&["propose", "-", "Listen first"]);
    assert_eq!(anonymous, (6, "refused".into()), "no member yet when the poll was opened");
    assert_eq!(member.fails(&["propose", "-", "Listen first", "--open"]).0, 6, "that would show who it is");
    member.ok(&["config", "set", "level", "open"]);
    member.ok(&["propose", "-", "Listen first"]);
    member.ok(&["config", "set", "level", "anonymous"]);
    founder.ok(&["propose", "-", "Be kind"]);
    assert_eq!(member.fails(&["vote", "-", "1=agree"]), (6, "refused".into()), "voting has not begun");
    assert_eq!(member.fails(&["poll", "open", "-", "--vote", "--duration", "5s"]), (6, "refused".into()));

    founder.ok(&["poll", "open", "-", "--vote", "--duration", "15s"]);
    let ballot = folder.path().join("ballot.json");
    fs::write(&ballot, r#"{"1": "agree", "2": "pass"}"#).expect("written");
    let cast = founder.ok(&["vote", "-", "--ballot", ballot.to_str().expect("text"), "--on-map"]);
    assert_eq!((&cast["own"]["on_log"], &cast["votes"]), (&true.into(), &2.into()));
    member.until(&["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open");
    member.ok(&["vote", "-", "1=disagree", "2=disagree"]);
    let again = member.ok(&["vote", "-", "1=agree", "2=disagree"]);
    assert_eq!(again["own"]["sequence"], 1);
    assert_eq!(member.fails(&["receipt"]), (7, "timed_out".into()), "nothing is sealed yet");
    assert_eq!(founder.fails(&["poll", "close", "-"]), (6, "refused".into()), "not before the deadline");

    let bundle = folder.path().join("bundle");
    let result = member.ok(&["result", "-", "--wait", "45s", "--bundle", bundle.to_str().expect("text")]);
    assert_eq!((&result["ballots"], &result["outcome"]), (&2.into(), &"totals".into()));
    assert_eq!(result["items"][0]["total"], serde_json::json!({ "agree": 2, "disagree": 0, "pass": 0 }));
    assert_eq!(result["items"][1]["total"], serde_json::json!({ "agree": 0, "disagree": 1, "pass": 1 }));
    founder.ok(&["result", "--wait", "45s"]);
    receipts_are_of_the_sealed_set([&founder, &member], &folder);
    founder.until(&["poll", "close", "-"], |poll| poll["rounds"][0]["state"] == "finished");
    verifies_peers(&founder, &folder, &invite, &result);
    assert!(founder.stop() && member.stop(), "Ctrl-C stops a node in order");
    assert_eq!(founder.fails(&["status"]), (5, "network".into()), "no node runs any more");

    verifies(&founder, &bundle, result["result"].as_str().expect("an id"));
    let receipt = folder.path().join("receipt");
    let told = member.ok(&["verify", bundle.to_str().expect("text"), "--receipt", receipt.to_str().expect("text")]);
    assert_eq!((&told["receipt"]["standing"], &told["receipt"]["holds"]), (&"counts".into(), &true.into()));
    comes_late(&folder, &bundle, &invite, &result);
}

/// A home that has never been connected takes in the log from the bundle, and knows the result.
fn comes_late(folder: &TempDir, bundle: &Path, invite: &str, result: &Value) {
    let path = bundle.to_str().expect("text");
    let cut = bundle.with_extension("cut");
    let bytes = fs::read(bundle).expect("readable");
    fs::write(&cut, &bytes[..bytes.len() / 8]).expect("written");
    let mut newcomer = Person::new(folder, "newcomer");
    assert_eq!(newcomer.fails(&["import", path]), (3, "configuration".into()), "of no community yet");
    newcomer.ok(&["join", invite]);
    assert_eq!(newcomer.fails(&["import", cut.to_str().expect("text")]), (20, "verification".into()));
    assert_eq!(newcomer.fails(&["import", "/no/such/bundle"]), (2, "usage".into()));

    let taken = newcomer.ok(&["import", path]);
    let doctor = newcomer.ok(&["doctor"]);

    assert_eq!((&taken["before"], &taken["height"]), (&0.into(), &newcomer.ok(&["verify", path])["height"]));
    assert!(taken["bodies"].as_u64().is_some_and(|bodies| bodies >= 3), "ballots, totals, result: {taken}");
    assert_eq!(newcomer.ok(&["import", path])["before"], taken["height"], "a second time adds nothing");
    let state = |name: &str| doctor.as_array().and_then(|all| all.iter().find(|it| it["name"] == name).cloned());
    assert_eq!(["store", "bodies"].map(|name| state(name).expect("looked at")["state"].clone()), ["ok", "ok"]);
    newcomer.run(&LOCAL);
    assert_eq!(newcomer.fails(&["import", path]), (4, "store".into()), "a node runs there");
    assert_eq!(&newcomer.ok(&["result", "-", "--wait", "45s"]), result, "found out again, from the bodies");
    assert_eq!(newcomer.fails(&["receipt"]), (8, "uncounted".into()), "who was not there is not counted");
    assert!(newcomer.stop());
}

/// Somebody without a home verifies what a running node hands out, knowing an invitation or an address and an id.
fn verifies_peers(founder: &Person, folder: &TempDir, invite: &str, result: &Value) {
    let nobody = Person { dir: folder.path().join("nobody"), running: None };
    let shown = founder.ok(&["invite"]);
    let (community, address) = (shown["community"].as_str().expect("an id"), shown["addresses"][0].as_str());
    let address = address.expect("an address");

    for peer in [&["--peer", invite][..], &["--peer", address, "--community", community]] {
        let report = nobody.ok(&[&["verify"], peer].concat());
        assert_eq!((&report["level"], &report["proved"], &report["members"]), (&"full".into(), &2.into(), &2.into()));
        assert_eq!(report["rounds"][0]["result"], result["result"]);
    }

    assert_eq!(nobody.fails(&["verify", "--peer", address]), (2, "usage".into()), "of which community?");
    assert_eq!(nobody.fails(&["verify", "--peer", "/nowhere", "--community", community]), (2, "usage".into()));
    assert!(!nobody.dir.exists(), "nothing is left behind");
}

/// Checks that both have a receipt of one set, each of a contribution of their own.
fn receipts_are_of_the_sealed_set(people: [&Person; 2], folder: &TempDir) {
    let kept = people.map(|person| {
        let path = folder.path().join("receipt");
        let path = path.to_str().expect("text");
        let receipt = person.ok(&["receipt", "-", "--out", path, "--force"]);
        assert_eq!((&receipt["sealed"]["included"], &receipt["sealed"]["contributions"]), (&true.into(), &2.into()));
        assert_eq!(person.fails(&["receipt", "--out", path]).0, 2, "the file is there already");
        serde_json::from_slice::<Value>(&fs::read(path).expect("written")).expect("JSON")
    });
    assert_eq!((&kept[0]["set"], &kept[0]["round"]), (&kept[1]["set"], &kept[1]["round"]));
    assert_eq!((&kept[0]["sequence"], &kept[1]["sequence"]), (&0.into(), &1.into()), "the latest ballot of each");
    assert!(kept[0]["tag"] != kept[1]["tag"] && kept[0]["body"] != kept[1]["body"]);
}

/// Checks that the bundle verifies, with this result, and that changed ones are refused for what was changed.
fn verifies(anybody: &Person, bundle: &Path, result: &str) {
    let path = bundle.to_str().expect("text");
    let report = anybody.ok(&["verify", path]);
    assert_eq!((&report["verified"], &report["rounds"][0]["result"]), (&true.into(), &result.into()));
    let sums = anybody.ok(&["verify", path, "--level", "sums"]);
    assert_eq!((&sums["proved"], &sums["contributions"]), (&0.into(), &report["contributions"]));
    let light = anybody.ok(&["verify", path, "--level", "light", "--samples", "1", "--progress"]);
    assert_eq!((&light["level"], &light["proved"], &light["tip"]), (&"light".into(), &1.into(), &report["tip"]));
    let receipt = bundle.with_extension("receipt");
    let (community, digest) = (report["community"].as_str().expect("text"), report["tip"].as_str().expect("text"));
    let of_nobody = |community: &str, set: Option<&str>| {
        serde_json::json!({
            "version": 1, "community": community, "round": report["rounds"][0]["round"],
            "tag": "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76", "sequence": 0,
            "body": report["rounds"][0]["result"], "set": set,
        })
    };
    let held = |kept: Value| {
        fs::write(&receipt, kept.to_string()).expect("written");
        let output = anybody.output(&["verify", path, "--receipt", receipt.to_str().expect("text")]);
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), said["receipt"]["standing"].clone())
    };
    assert_eq!(held(of_nobody(community, None)), (Some(8), "absent".into()));
    assert_eq!(held(of_nobody(community, Some(digest))), (Some(8), "other_set".into()), "another log sealed that");
    assert_eq!(held(of_nobody(digest, None)), (Some(2), "other_community".into()));
    anybody.ok(&["verify", path, "--community", community]);
    let elsewhere = anybody.fails(&["verify", path, "--community", digest]);
    assert_eq!(elsewhere, (21, "verification".into()), "the log of others");

    let bytes = fs::read(bundle).expect("readable");
    let tampered = bundle.with_extension("tampered");
    let code_of = |bytes: &[u8]| {
        fs::write(&tampered, bytes).expect("written");
        anybody.fails(&["verify", tampered.to_str().expect("text")])
    };
    let changed_at = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        changed
    };
    assert_eq!(code_of(&bytes[..bytes.len() - 1]), (20, "verification".into()), "cut");
    assert_eq!(code_of(&[&bytes[..], &[0]].concat()).0, 20, "with bytes added");
    assert_eq!(code_of(&changed_at(0)).0, 20, "another format");
    for at in (1..8).map(|part| bytes.len() * part / 8) {
        let (code, kind) = code_of(&changed_at(at));
        assert!((20..=26).contains(&code) && kind == "verification", "changed at {at}: {code}");
    }
    assert_eq!(anybody.fails(&["verify", "/no/such/bundle"]), (2, "usage".into()));
}

#[test]
fn exit_codes_tell_what_kind_of_error_it_is() {
    let folder = TempDir::new().expect("a folder");
    let nobody = Person { dir: folder.path().join("nobody"), running: None };
    let person = Person::new(&folder, "person");

    assert_eq!(nobody.fails(&["frobnicate"]), (2, "usage".into()));
    assert_eq!(nobody.fails(&["vote", "not-hex", "1=agree"]), (2, "usage".into()));
    assert_eq!(nobody.fails(&["status"]), (5, "network".into()));
    assert_eq!(nobody.fails(&["run"]), (3, "configuration".into()), "no community");
    assert_eq!(nobody.fails(&["community", "create", "--name", "N", "--purpose", "P"]).0, 3, "no keys");
    assert_eq!(nobody.fails(&["init"]), (3, "configuration".into()), "nobody to ask for a passphrase");
    assert_eq!(person.fails(&["init", "--no-passphrase"]), (3, "configuration".into()), "keys are never replaced");
    assert_eq!(person.fails(&["join", "chorus-invite-1-AAAA"]), (2, "usage".into()));
    let rules = ["community", "create", "--name", "N", "--purpose", "P", "--floor", "1"];
    assert_eq!(person.fails(&rules), (2, "usage".into()));
    person.ok(&["community", "create", "--name", "N", "--purpose", "P"]);
    assert_eq!(person.fails(&["community", "create", "--name", "Other", "--purpose", "P"]).0, 3);
    assert_eq!(person.fails(&["run", "--api", "0.0.0.0:0", "--listen", "/ip4/127.0.0.1/tcp/0"]).0, 2);
    assert_eq!(person.fails(&["run", "--listen", "nowhere"]).0, 2);
    let help = person.output(&["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("26  verify: incomplete"));
}

#[test]
fn a_passphrase_protects_the_keys() {
    let folder = TempDir::new().expect("a folder");
    let person = Person { dir: folder.path().join("person"), running: None };
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let (right, wrong) = (file("right", "correct horse\n"), file("wrong", "battery staple\n"));
    let create = ["community", "create", "--name", "N", "--purpose", "P", "--passphrase-file"];

    let answer = person.ok(&["init", "--passphrase-file", &right]);

    assert_eq!(answer["protected"], true);
    assert_eq!(person.fails(&[&create[..], &[&wrong]].concat()), (3, "configuration".into()));
    assert_eq!(person.fails(&create[..create.len() - 1]), (3, "configuration".into()), "nobody to ask");
    person.ok(&[&create[..], &[&right]].concat());
}

#[test]
fn three_attesters_admit_somebody_who_votes_unseen_and_rotates() {
    let folder = TempDir::new().expect("a folder");
    let names = ["library", "school", "clinic", "ada"];
    let (mut people, keys): (Vec<Person>, Vec<String>) =
        names.iter().map(|name| Person::public_key(&folder, name)).unzip();
    let named: Vec<String> = keys.iter().zip(names).take(3).map(|(key, name)| format!("{key}={name}")).collect();
    let attesters: Vec<&str> = named.iter().flat_map(|attester| ["--attester", attester.as_str()]).collect();
    let create = ["community", "create", "--name", "Town", "--purpose", "To help", "--attribute", "region=north,south"];
    let quorum = |needed| {
        [&create[..], &attesters, &RULES, &["--corrupt-attesters", "0", "--attestations-needed", needed]].concat()
    };
    assert_eq!(people[0].fails(&quorum("1")), (2, "usage".into()), "one person could be admitted twice");
    people[0].ok(&quorum("2"));
    people[0].run(&LOCAL);
    let invite = people[0].ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    for person in &mut people[1..] {
        person.ok(&["join", &invite]);
        person.run(&LOCAL);
    }
    let [library, school, clinic, ada] = &people[..] else { panic!("four people") };
    people.iter().skip(1).for_each(|person| {
        person.until(&["status"], |status| status["operators_connected"] == 1);
    });

    let code = library.ok(&["attest", "invite"])["codes"][0].as_str().expect("a code").to_owned();
    let one =
        ada.attested_by(library, &["--code", &code, "--attribute", "region=north"], &["--attribute", "region=north"]);
    assert_eq!((&one["attestations"], &one["member"]), (&1.into(), &false.into()));
    assert_eq!(library.ok(&["attest", "list", "--pending"])["candidates"][0]["standing"]["attestations_needed"], 2);
    assert_eq!(library.fails(&["attest", "approve", &clinic.request(&["--code", &code])]).0, 6, "the code is spent");
    let list = folder.path().join("members.txt");
    fs::write(&list, "# readers\nada@example.org\n").expect("written");
    school.ok(&["config", "set", "attester.allow-list", list.to_str().expect("text")]);
    ada.until(&["attest", "list"], |people| people["candidates"][0]["own"] == true);
    let two = ada.attested_by(school, &[], &["--subject", " Ada@Example.org", "--attribute", "region=north"]);
    assert_eq!((&two["attestations"], &two["member"]), (&2.into(), &true.into()));
    let again = ["attest", "approve", &clinic.request(&[]), "--subject", "ada@example.org"];
    assert_eq!(school.fails(&again), (6, "refused".into()), "the same person with another key");
    assert_eq!(ada.fails(&["attest", "invite"]), (6, "refused".into()), "she is no attester");
    school.admitted_by(library);
    school.admitted_by(clinic);

    let open = ["poll", "open", "--item", "Be kind", "--duration", "15s", "--question"];
    let polls = ["What?", "And?"].map(|question| {
        let poll = library.ok(&[&open[..], &[question]].concat())["id"].as_str().expect("an id").to_owned();
        let is_open = |poll: &Value| poll["rounds"][0]["state"] == "open";
        [ada, school].iter().for_each(|person| {
            person.until(&["poll", "list"], |polls| {
                polls
                    .as_array()
                    .is_some_and(|polls| polls.iter().any(|known| known["id"] == poll.as_str() && is_open(known)))
            });
        });
        assert_eq!(ada.fails(&["vote", &poll, "1=agree", "--open"]), (6, "refused".into()), "her level is anonymous");
        ada.ok(&["vote", &poll, "1=agree"]);
        school.ok(&["vote", &poll, "1=disagree"]);
        // A fresh leaf: for the second poll; the first one, which is open, keeps the old leaf.
        if question == "What?" {
            ada.ok(&["attest", "rotate"]);
            assert_eq!(ada.ok(&["vote", &poll, "1=pass"])["own"]["sequence"], 1);
        }
        poll
    });

    for (poll, agree) in polls.iter().zip([0, 1]) {
        let result = ada.ok(&["result", poll, "--wait", "45s"]);
        assert_eq!((&result["ballots"], &result["items"][0]["total"]["agree"]), (&2.into(), &agree.into()));
    }
    let bundle = folder.path().join("bundle");
    ada.ok(&["export", bundle.to_str().expect("text")]);
    assert_eq!(ada.ok(&["verify", bundle.to_str().expect("text")])["verified"], true);
    let kept = fs::read(school.dir.join("attester").join("clients")).expect("kept");
    assert!(!kept.windows(3).any(|window| window.eq_ignore_ascii_case(b"ada")), "no name is kept");
}

#[test]
fn four_operators_and_four_members_agree_on_a_result() {
    let folder = TempDir::new().expect("a folder");
    let (mut operators, keys): (Vec<Person>, Vec<String>) =
        (1..=4).map(|number| Person::public_key(&folder, &format!("operator-{number}"))).unzip();
    let mut create = vec!["community", "create", "--name", "Harbour", "--purpose", "To help", "--attester", "me"];
    keys.iter().for_each(|key| create.extend(["--operator", key]));
    create.extend(RULES);
    assert_eq!(operators[0].ok(&create)["warning"], Value::Null);
    let invite = operators[0].ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let mut addresses: Vec<String> = Vec::new();
    for operator in &mut operators {
        operator.ok(&["join", &invite]);
        let dial: Vec<&str> = addresses.iter().flat_map(|address| ["--dial", address.as_str()]).collect();
        let ready = operator.run(&[&LOCAL[..], &dial].concat());
        addresses.push(ready["addresses"][0].as_str().expect("an address").to_owned());
    }
    let named: Vec<&str> = addresses.iter().flat_map(|address| ["--address", address.as_str()]).collect();
    let invite = operators[0].ok(&[&["invite"], &named[..]].concat())["invite"].as_str().expect("text").to_owned();
    let mut members: Vec<Person> = (1..=4).map(|number| Person::new(&folder, &format!("member-{number}"))).collect();
    for member in &mut members {
        member.ok(&["join", &invite]);
        member.run(&LOCAL);
    }
    for person in &members {
        person.until(&["status"], |status| status["operators_connected"] == 4);
        person.admitted_by(&operators[0]);
    }

    operators[1].until(&["status"], |status| status["members"] == 4);
    let open = ["poll", "open", "--question", "What?", "--item", "Be kind", "--item", "Be brief", "--duration", "15s"];
    operators[1].ok(&open);
    for (member, choice) in members.iter().zip(["agree", "agree", "agree", "disagree"]) {
        member.until(&["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open");
        member.ok(&["vote", "-", &format!("1={choice}"), "2=pass"]);
    }
    assert!(operators[3].stop(), "one of four may fail");

    let results: Vec<Value> = members.iter().map(|member| member.ok(&["result", "-", "--wait", "45s"])).collect();
    assert_eq!(results[0]["items"][0]["total"], serde_json::json!({ "agree": 3, "disagree": 1, "pass": 0 }));
    assert!(results.iter().all(|result| result == &results[0]));
    let bundle = folder.path().join("bundle");
    members[3].ok(&["export", bundle.to_str().expect("text")]);
    verifies(&members[0], &bundle, results[0]["result"].as_str().expect("an id"));
}
