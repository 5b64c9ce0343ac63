//! What somebody who keeps a node running relies on: health, signals, the service manager, the doctor, recordings.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

/// A community of one operator, and a follower of it.
struct Host {
    dir: PathBuf,
    running: Option<Child>,
}

impl Host {
    fn new(folder: &TempDir, name: &str) -> Self {
        let host = Self { dir: folder.path().join(name), running: None };
        assert!(host.output(&["init", "--no-passphrase"]).status.success());
        host
    }

    fn founder(folder: &TempDir) -> Self {
        let host = Self::new(folder, "founder");
        assert!(host.output(&["community", "create", "--name", "Pier", "--purpose", "To stand"]).status.success());
        host
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CHORUS);
        command.args(arguments).env("CHORUS_DATA_DIR", &self.dir).env("CHORUS_FORMAT", "json").env_remove("RUST_LOG");
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Carries out a command, and returns its exit code and what it printed.
    fn said(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let output = self.output(arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        (output.status.code().unwrap_or(-1), values.map(|value| value.expect("JSON")).collect())
    }

    fn run(&mut self, arguments: &[&str], notify: Option<&PathBuf>) -> Value {
        let all = [&["run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], arguments].concat();
        let mut command = self.command(&all);
        if let Some(socket) = notify {
            command.env("NOTIFY_SOCKET", socket);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        self.running = Some(child);
        serde_json::from_str(&line).expect("the node is ready")
    }

    /// Sends a signal, and returns the exit code and how long the node took.
    fn stop(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let mut child = self.running.take().expect("it runs");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs").success());
        (child.wait().expect("it ends").code(), began.elapsed())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Asks for a path, and returns status line and body.
fn get(url: &str, path: &str) -> (String, String) {
    let authority = url.trim_start_matches("http://").split('/').next().expect("an authority");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[test]
fn a_node_says_how_it_is_and_stops_in_order_when_it_is_told_to() {
    let folder = TempDir::new().expect("a folder");
    let mut founder = Host::founder(&folder);
    let socket = folder.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let told = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("the node tells");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };

    let ready = founder.run(&["--metrics", "127.0.0.1:0"], Some(&socket));

    assert!(told().contains("READY=1"));
    let (api, metrics) = (ready["api"].as_str().expect("an address"), ready["metrics"].as_str().expect("an address"));
    assert!(get(api, "/livez").0.contains("200"));
    assert!(get(metrics, "/metrics").1.contains("chorus_build_info"));
    let (status, checks) = get(metrics, "/readyz?verbose");
    assert!(status.contains("200") && checks.contains("[+] journal"), "{checks}");
    assert!(get(metrics, "/api/v1/status").0.contains("404"), "nothing else is answered there");
    let (code, findings) = founder.said(&["doctor"]);
    assert_eq!((code, findings[0].as_array().map(Vec::len)), (0, Some(13)), "{findings:?}");
    let (code, took) = founder.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(told().contains("STOPPING=1"));
}

/// Begins to ask the local interface for something, and does not go on: until it is done, the node does not stop in order.
fn half_a_request(url: &str, token: &str) -> TcpStream {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority).expect("it listens");
    let head = format!(
        "POST /api/v1/polls HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
        token.trim()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

#[test]
fn a_node_that_is_slow_to_stop_and_told_again_ends_at_once_and_loses_nothing_that_it_confirmed() {
    for (first, second) in [("-TERM", "-INT"), ("-INT", "-TERM")] {
        let folder = TempDir::new().expect("a folder");
        let mut founder = Host::founder(&folder);
        let socket = folder.path().join("notify");
        let manager = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let ready = founder.run(&[], Some(&socket));
        let token = std::fs::read_to_string(founder.dir.join("api.token")).expect("there is one");
        let (code, opened) = founder.said(&["poll", "open", "--question", "What?", "--item", "Be kind"]);
        assert_eq!(code, 0, "{opened:?}");
        let waiting = half_a_request(ready["api"].as_str().expect("an address"), &token);
        // It is taken up before the signal.
        std::thread::sleep(Duration::from_millis(300));

        let mut child = founder.running.take().expect("it runs");
        let tell = |signal: &str, child: &Child| {
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill").success());
        };
        tell(first, &child);
        let mut told = [0; 4096];
        while !String::from_utf8_lossy(&told).contains("STOPPING=1") {
            told = [0; 4096];
            manager.recv(&mut told).expect("the node tells");
        }
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().expect("it can be asked").is_none(), "it waits for what it is answering");
        let again = Instant::now();
        tell(second, &child);
        let code = child.wait().expect("it ends").code();
        let took = again.elapsed();
        drop(waiting);

        assert_eq!(code, Some(130));
        assert!(took < Duration::from_secs(2), "{took:?}");
        founder.run(&[], None);
        let (code, polls) = founder.said(&["poll", "list"]);
        assert_eq!((code, polls[0].as_array().map(Vec::len)), (0, Some(1)), "{polls:?}");
        assert_eq!(founder.stop("-TERM").0, Some(0));
        assert_eq!(founder.said(&["doctor"]).0, 0);
    }
}

#[test]
fn the_doctor_tells_what_is_amiss_by_its_exit_code() {
    let folder = TempDir::new().expect("a folder");
    let mut founder = Host::founder(&folder);

    assert_eq!(founder.said(&["doctor"]).0, 0, "a node that does not run may be well");
    founder.run(&[], None);
    founder.stop("-INT");
    std::fs::remove_file(founder.dir.join("node").join("journal")).expect("there is one");
    let (code, findings) = founder.said(&["doctor"]);
    let journal = findings[0].as_array().and_then(|all| all.iter().find(|finding| finding["name"] == "journal"));
    assert_eq!((code, &journal.expect("looked at")["state"]), (4, &"failed".into()));
    std::fs::write(founder.dir.join("config.toml"), "[network]\nuplaod = \"1MB/s\"\n").expect("written");
    assert_eq!(founder.said(&["doctor"]).0, 3, "configuration goes first");
    let refused = founder.output(&["run"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("uplaod"), "the key is named");
}

#[test]
fn settings_come_from_the_file_the_environment_and_flags() {
    let folder = TempDir::new().expect("a folder");
    let host = Host::new(&folder, "host");

    assert_eq!(host.said(&["config", "set", "profile", "metered"]).0, 0);
    assert_eq!(host.said(&["config", "set", "network.mesh", "3"]).0, 0);
    assert_eq!(host.said(&["config", "set", "network.mesh", "many"]).0, 2);
    let listed = |command: &mut Command| {
        let output = command.output().expect("the binary runs");
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let row = |name: &str| rows.iter().find(|row| row["name"] == name).cloned().expect("listed");
        ["network.mesh", "network.upload", "level"].map(row)
    };

    let [mesh, upload, level] = listed(&mut host.command(&["config", "list"]));
    assert_eq!((&mesh["value"], &mesh["from"]), (&"3".into(), &"the file".into()));
    assert_eq!((&upload["value"], &upload["from"]), (&"125kB/s".into(), &"the profile metered".into()));
    assert_eq!(level["from"], "as usual");
    let [mesh, ..] = listed(host.command(&["config", "list"]).env("CHORUS_NETWORK_MESH", "5"));
    assert_eq!((&mesh["value"], &mesh["from"]), (&"5".into(), &"the environment".into()));
    assert_eq!(host.output(&["run", "--set", "network.mesh=1"]).status.code(), Some(2));
    assert_eq!(host.output(&["run", "--set", "level=open"]).status.code(), Some(2), "read for each action");
}

#[test]
fn what_a_follower_was_told_is_told_again_to_the_same_end() {
    let folder = TempDir::new().expect("a folder");
    let mut founder = Host::founder(&folder);
    let ready = founder.run(&[], None);
    let address = ready["addresses"][0].as_str().expect("an address").to_owned();
    let (_, invite) = founder.said(&["invite"]);
    let invite = invite[0]["invite"].as_str().expect("an invitation").to_owned();
    let mut follower = Host::new(&folder, "follower");
    assert_eq!(follower.said(&["join", &invite]).0, 0);
    let file = folder.path().join("events");
    let path = file.to_str().expect("text");
    founder.said(&["poll", "open", "--question", "What?", "--item", "Be kind"]);

    follower.run(&["--dial", &address, "--events", path], None);
    let began = Instant::now();
    while follower.said(&["poll", "list"]).1[0].as_array().is_none_or(Vec::is_empty) {
        assert!(began.elapsed() < Duration::from_secs(45), "the follower hears of the poll");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(follower.stop("-TERM").0, Some(0));

    let (code, steps) = follower.said(&["replay", path]);
    let (outcome, events) = steps.split_last().expect("an outcome");
    assert_eq!((code, &outcome["diverged"]), (0, &Value::Null), "{outcome}");
    assert_eq!(outcome["events"], events.len());
    assert!(outcome["height"].as_u64().is_some_and(|height| height > 0), "{outcome}");
    founder.stop("-TERM");
    let refused = founder.output(&["run", "--listen", "/ip4/127.0.0.1/tcp/0", "--events", path]);
    assert_eq!(refused.status.code(), Some(6), "operators are not recorded");
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let unit = include_str!("../../node/deploy/chorus.service").replace("/usr/local/bin/chorus", CHORUS);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("chorus.service");
    std::fs::write(&path, unit).expect("written");

    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("chorus.service"), "{said}");
        }
        Err(error) => eprintln!("SKIPPED: systemd-analyze is not here: {error}"),
    }
}
