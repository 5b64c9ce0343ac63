//! The router before a real node: one operator, who is attester and member too.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use chorus_crypto::{codec::Encode as _, credential::LeafSecret, sign::SecretKey};
use chorus_protocol::registry::policy::Attester;
use chorus_protocol::{
    config::{Genesis, Policy},
    contribution::Submission,
    id::RoundId,
    log::consensus::Timeouts,
    peer::Config,
};
use serde_json::{Value, json};

use super::{auth::Token, ballots::Ballots, *};
use crate::{
    config::DataDir,
    driver::{Node, NodeOptions},
};

/// A node with its server, and what a client needs.
struct Fixture {
    folder: tempfile::TempDir,
    address: SocketAddr,
    token: String,
    service: Arc<Service>,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().to_owned());
        let key = SecretKey::from_seed(&[5; 32]);
        let genesis = Genesis {
            name: "Choir".into(),
            purpose: "To sing".into(),
            operators: vec![key.public()],
            attesters: vec![Attester { key: key.public(), organisation: String::new() }],
            policy: Policy { min_contributions: 2, floor: 2, group_floor: 4, ..Policy::default() },
        };
        let node = Node::start(NodeOptions {
            data_dir: dir.node(),
            genesis,
            operator: Some(key.clone()),
            transport_seed: [6; 32],
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial: Vec::new(),
            mdns: false,
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            rng_seed: None,
        })
        .await
        .expect("a node");
        let person = Person { key, leaf: LeafSecret::random([0; 4], &mut rand::rng()) };
        let service = Service::start(node, &dir, Role::Operator, Some(person), Randomness::System).expect("a service");
        let server = Server::bind(&dir, (Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
        let address = server.address();
        tokio::spawn(server.serve(service.clone(), std::future::pending()));
        let token = Token::read(&dir.api_token()).expect("a token").header().to_string();
        Self { folder, address, token, service }
    }

    /// Sends one request, and returns status and JSON of the answer.
    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Value,
        headers: Vec<(&'static str, String)>,
    ) -> (u16, Value) {
        let url = format!("http://{}{BASE}{path}", self.address);
        let asking = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut request = ureq::http::Request::builder().method(method).uri(url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let bytes = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
            let request = request.header("Content-Type", "application/json").body(bytes).expect("a request");
            let mut response = agent.run(request).expect("an answer");
            (response.status().as_u16(), response.body_mut().read_json().expect("JSON"))
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Value::Null, vec![("Authorization", self.token.clone())]).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, body, vec![("Authorization", self.token.clone())]).await
    }

    /// Waits until nothing is kept any more: the log has what was on its way.
    async fn settled(&self) {
        let ballots = self.folder.path().join("ballots");
        let kept = || std::fs::read_dir(&ballots).expect("readable").count();
        let began = std::time::Instant::now();
        while kept() > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(30), "what the log has is deleted");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Admits the person, opens a poll of two items, and begins to vote.
    async fn open_voting(&self) {
        let (_, request) = self.post("/attest/request", Value::Null).await;
        assert_eq!(self.post("/attest/approve", request).await.0, 200);
        let poll = json!({ "question": "What?", "items": ["Be kind", "Be brief"], "duration_millis": 600_000 });
        let (status, poll) = self.post("/polls", poll).await;
        assert_eq!((status, &poll["rounds"][0]["state"]), (200, &json!("open")), "{poll}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_the_token_and_names_the_server_is_let_in() {
    let fixture = Fixture::start().await;
    let token = || ("Authorization", fixture.token.clone());

    let strangers = fixture.ask("GET", "/status", Value::Null, vec![]).await;
    let guess = ("Authorization", "Bearer 0000".into());
    let guessing = fixture.ask("GET", "/status", Value::Null, vec![guess]).await;
    let rebound = fixture.ask("GET", "/status", Value::Null, vec![token(), ("Host", "evil.example".into())]).await;
    let own = fixture.ask("GET", "/status", Value::Null, vec![token()]).await;

    assert_eq!((strangers.0, &strangers.1["error"]["kind"]), (401, &json!("unauthorized")));
    assert_eq!(guessing.0, 401);
    assert_eq!((rebound.0, &rebound.1["error"]["kind"]), (421, &json!("host")));
    assert_eq!((own.0, &own.1["community"]["name"]), (200, &json!("Choir")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(fixture.folder.path().join("api.token")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_answered_with_a_typed_error() {
    let fixture = Fixture::start().await;

    assert_eq!(fixture.get("/nowhere").await.0, 400);
    assert_eq!(fixture.get("/polls/abcd").await.1["error"]["kind"], "invalid");
    let unknown = fixture.post("/polls", json!({ "question": "What?", "surprise": 1 })).await;
    assert_eq!((unknown.0, &unknown.1["error"]["kind"]), (400, &json!("invalid")));
    let huge = fixture.post("/polls", json!({ "question": "x".repeat(MAX_REQUEST_BYTES) })).await;
    assert_eq!(huge.0, 413);
    let twice = fixture.post("/polls", json!({ "question": "What?", "items": ["a", " a "] })).await;
    assert_eq!(twice.0, 400);
    assert_eq!(fixture.get("/result").await.1["error"]["kind"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_votes_changes_their_mind_and_withdraws() {
    let fixture = Fixture::start().await;
    fixture.open_voting().await;

    let early = fixture.post("/polls/-/withdraw", json!({})).await;
    let unknown = fixture.post("/polls/-/vote", json!({ "votes": [["3", "agree"]] })).await;
    let first = fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"]] })).await;
    fixture.settled().await;
    let second =
        fixture.post("/polls/-/vote", json!({ "votes": [["1", "disagree"], ["2", "pass"]], "on_map": true })).await;
    let withdrawn = fixture.post("/polls/-/withdraw", json!({})).await;
    let closing = fixture.post("/polls/-/close", json!({})).await;
    let (_, status) = fixture.get("/status").await;

    assert_eq!((early.0, unknown.0, closing.0), (409, 400, 409));
    assert_eq!((first.0, &first.1["own"]["sequence"]), (200, &json!(0)), "{first:?}");
    assert_eq!((second.0, &second.1["own"]["sequence"]), (200, &json!(1)), "{second:?}");
    assert_eq!((withdrawn.0, &withdrawn.1["own"]["withdrawal"]), (200, &json!(true)), "{withdrawn:?}");
    assert_eq!(status["rounds"][0]["own"], json!({ "sequence": 2, "on_log": true, "withdrawal": true }));
    assert_eq!(status["rounds"][0]["ballots"], 0);
    assert_eq!(status["warnings"][0], service::ONE_OPERATOR);
    fixture.service.node().clone().shutdown().await;
}

#[test]
fn a_kept_contribution_is_there_again_and_its_number_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let round = RoundId::from([7; 32]);
    let submission = |byte| Submission { body: vec![byte; 9], masked: Vec::new(), boxes: Vec::new() };
    let ballots = Ballots::open(folder.path()).expect("opens");
    ballots.keep(round, 0, false, &submission(1)).expect("kept");
    ballots.keep(round, 1, true, &submission(2)).expect("kept");
    drop(ballots);

    let ballots = Ballots::open(folder.path()).expect("opens again");

    assert_eq!(ballots.latest(round), Some((1, true)));
    assert_eq!(ballots.read(round, 0).expect("read").to_bytes(), submission(1).to_bytes());
    assert!(ballots.keep(round, 1, false, &submission(3)).is_err());
    ballots.forget(round, 0).expect("deleted");
    ballots.forget(round, 1).expect("deleted");
    assert!(ballots.list().is_empty() && ballots.latest(round).is_none());
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn randomness_from_a_seed_differs_from_purpose_to_purpose() {
    use rand_core::Rng as _;
    let draw = |purpose, detail| Randomness::Seed(1).generator(purpose, detail).next_u64();

    assert_eq!(draw("keys", b""), draw("keys", b""));
    assert_ne!(draw("keys", b""), draw("contribution", b""));
    assert_ne!(draw("contribution", b"0"), draw("contribution", b"1"));
}
