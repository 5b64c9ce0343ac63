//! The plug-in point: another program, or a service on this machine, decides who somebody is.
//!
//! It gets a request as one JSON object on standard input (or as the body of a POST) and answers with one:
//!
//! ```json
//! {"community": "ab…", "key": "cd…", "recovers": null, "attributes": {"region": "north"}, "evidence": "…", "subject": null}
//! {"subject": "did:example:1234", "attributes": {"region": "north"}}
//! ```
//!
//! `subject` must be the same whenever the same person asks, and different for different people: it is what people are told
//! apart by. `attributes` are those that were checked. A program refuses by any exit code but 0, a service by any status
//! but 200. `evidence` is whatever the newcomer put into the request: a presentation of a credential, a ticket, a code.
//!
//! The program runs without a shell and without arguments; what it writes to standard error goes to the node's.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What the hook is asked. Whoever reads the evidence could use it, so it is not printed.
#[derive(Clone, Serialize)]
pub struct HookRequest {
    /// The community.
    pub community: String,
    /// The newcomer's key.
    pub key: String,
    /// The key that the newcomer had and lost.
    pub recovers: Option<String>,
    /// The values that the newcomer states; that the leaf holds them is proved.
    pub attributes: BTreeMap<String, String>,
    /// What the newcomer shows.
    pub evidence: String,
    /// Whom the attester takes the newcomer for, if they said so.
    pub subject: Option<String>,
}

impl core::fmt::Debug for HookRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HookRequest").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What it answers. Who somebody is is not printed either.
#[derive(Clone, Eq, PartialEq, Deserialize)]
pub struct HookAnswer {
    /// Who it is.
    pub subject: String,
    /// The attributes that were checked.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl core::fmt::Debug for HookAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HookAnswer").finish_non_exhaustive()
    }
}

/// Why the hook gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// The program cannot be run.
    #[error("the hook {hook} cannot be run")]
    Start {
        /// The program.
        hook: String,
        /// What the system says.
        source: io::Error,
    },
    /// It refused the request.
    #[error("the hook refuses the request ({0})")]
    Refused(String),
    /// It took too long.
    #[error("the hook did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The service cannot be reached.
    #[error("the hook at {address} cannot be reached")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// Its answer is not understood.
    #[error("the hook's answer is not understood: {0}")]
    Answer(String),
}

/// Asks the hook. Blocks for as long as `patience`.
///
/// # Errors
///
/// Returns a [`HookError`]; nobody is admitted then.
pub fn ask(hook: &str, request: &HookRequest, patience: Duration) -> Result<HookAnswer, HookError> {
    let answer =
        if hook.starts_with("http://") { post(hook, request, patience) } else { run(hook, request, patience) }?;
    serde_json::from_slice(&answer).map_err(|error| HookError::Answer(error.to_string()))
}

fn post(address: &str, request: &HookRequest, patience: Duration) -> Result<Vec<u8>, HookError> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(patience));
    let agent: ureq::Agent = config.build().into();
    let unreachable = |source| match source {
        ureq::Error::Timeout(_) => HookError::TimedOut(patience),
        source => HookError::Unreachable { address: address.to_owned(), source: Box::new(source) },
    };
    let question = serde_json::to_vec(request).expect("a request is plain data");
    let asked = agent.post(address).header("Content-Type", "application/json");
    let mut response = asked.send(question.as_slice()).map_err(unreachable)?;
    if response.status() != ureq::http::StatusCode::OK {
        return Err(HookError::Refused(format!("status {}", response.status().as_u16())));
    }
    response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(unreachable)
}

fn run(program: &str, request: &HookRequest, patience: Duration) -> Result<Vec<u8>, HookError> {
    let began = Instant::now();
    let start = |source| HookError::Start { hook: program.to_owned(), source };
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(start)?;
    let question = serde_json::to_vec(request).expect("a request is plain data");
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read all of it has its reasons: its exit code tells.
        thread::spawn(move || stdin.write_all(&question));
    }
    let (told, heard) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut answer = Vec::new();
            let read = stdout.take(MAX_ANSWER_BYTES + 1).read_to_end(&mut answer);
            // Nobody listens any more if it took too long.
            let _ = told.send(read.map(|_| answer));
        });
    }
    let status = wait(&mut child, began, patience)?;
    if !status.success() {
        return Err(HookError::Refused(status.to_string()));
    }
    let left = patience.saturating_sub(began.elapsed());
    let answer = heard.recv_timeout(left).map_err(|_| HookError::TimedOut(patience))?.map_err(start)?;
    if answer.len() as u64 > MAX_ANSWER_BYTES {
        return Err(HookError::Answer(format!("it has more than {MAX_ANSWER_BYTES} bytes")));
    }
    Ok(answer)
}

/// Waits for a program to end, and ends it if it takes too long.
fn wait(child: &mut Child, began: Instant, patience: Duration) -> Result<ExitStatus, HookError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < patience => thread::sleep(LOOK),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(HookError::TimedOut(patience));
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    fn request() -> HookRequest {
        HookRequest {
            community: "ab".into(),
            key: "cd".into(),
            recovers: None,
            attributes: BTreeMap::from([("region".into(), "north".into())]),
            evidence: "a ticket".into(),
            subject: None,
        }
    }

    fn script(folder: &Path, lines: &str) -> String {
        let path = folder.join("hook");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("permitted");
        path.to_str().expect("text").to_owned()
    }

    #[test]
    fn a_program_reads_the_request_and_says_who_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = "grep -q '\"evidence\":\"a ticket\"' && printf '{\"subject\": \"ada\", \"more\": 1}'";
        let hook = script(folder.path(), lines);

        let answer = ask(&hook, &request(), Duration::from_secs(10)).expect("an answer");

        assert_eq!(answer, HookAnswer { subject: "ada".into(), attributes: BTreeMap::new() });
    }

    #[test]
    fn neither_evidence_nor_subjects_nor_attributes_are_printed() {
        let answer = HookAnswer { subject: "ada".into(), attributes: request().attributes };
        let request = HookRequest { subject: Some("ada".into()), ..request() };

        let printed = format!("{request:?} {answer:?}");

        assert!(!["a ticket", "ada", "north"].iter().any(|secret| printed.contains(secret)), "{printed}");
    }

    #[test]
    fn a_program_that_fails_babbles_or_hangs_admits_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = |lines: &str| ask(&script(folder.path(), lines), &request(), Duration::from_millis(400));

        assert!(matches!(outcome("printf '{\"subject\": \"ada\"}'; exit 3"), Err(HookError::Refused(_))));
        assert!(matches!(outcome("echo yes"), Err(HookError::Answer(_))));
        assert!(matches!(outcome("exec sleep 20"), Err(HookError::TimedOut(_))));
        assert!(matches!(ask("/no/such/hook", &request(), Duration::from_secs(1)), Err(HookError::Start { .. })));
    }

    #[test]
    fn a_service_is_asked_in_the_same_words() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}/check", listener.local_addr().expect("an address"));
        let serving = thread::spawn(move || {
            let answers =
                ["200 OK\r\nContent-Length: 18\r\n\r\n{\"subject\": \"ada\"}", "403 No\r\nContent-Length: 0\r\n\r\n"];
            answers.map(|answer| {
                let (mut stream, _) = listener.accept().expect("a call");
                let mut asked = [0; 4096];
                let mut read = 0;
                while !asked[..read].ends_with(b"}") {
                    read += stream.read(&mut asked[read..]).expect("readable");
                }
                stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).expect("written");
                String::from_utf8_lossy(&asked[..read]).contains("\"evidence\":\"a ticket\"")
            })
        });

        let first = ask(&address, &request(), Duration::from_secs(10));
        let second = ask(&address, &request(), Duration::from_secs(10));

        assert_eq!(first.expect("an answer").subject, "ada");
        assert!(matches!(second, Err(HookError::Refused(_))));
        assert_eq!(serving.join().expect("no panic"), [true, true]);
        assert!(matches!(ask(&address, &request(), Duration::from_secs(10)), Err(HookError::Unreachable { .. })));
    }
}
