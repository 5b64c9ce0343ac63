//! The router before a real node: one operator, who is attester and member too.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    credential::{Credential, LeafSecret},
    sign::SecretKey,
};
use chorus_protocol::{
    config::{Attribute, Genesis, Policy},
    contribution::{Body, Submission},
    id::RoundId,
    ledger::Proposer,
    log::consensus::Timeouts,
    peer::{Checkpoints, Config},
    registry::{
        attestation::Claim,
        flow::{SeedGroup, Vouching},
        policy::{Admission, Attester},
    },
};
use serde_json::{Value, json};

mod adapters;
mod chat;
mod classes;
mod conformance;
mod facilitation;
mod open;
mod security;
mod values;

use super::{auth::Token, ballots::Ballots, *};
use crate::{
    config::{DataDir, invite::AttestationRequest, settings, token::TextForm as _},
    driver::{Node, NodeOptions},
    network::Caps,
    vault::Vault,
};

/// A node with its server, and what a client needs.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    token: String,
    pub(crate) service: Arc<Service>,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::start_with(Policy {
            attributes: vec![Attribute::new("region", &["north", "south"])],
            anonymous_proposals: 2,
            ..Policy::default()
        })
        .await
    }

    pub(crate) async fn start_with(policy: Policy) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().to_owned());
        let key = SecretKey::from_seed(&[5; 32]);
        let genesis = Genesis {
            name: "Choir".into(),
            purpose: "To sing".into(),
            operators: vec![key.public()],
            attesters: vec![Attester { key: key.public(), organisation: String::new() }],
            policy: Policy { min_contributions: 2, floor: 2, group_floor: 4, ..policy },
        };
        let node = Node::start(NodeOptions {
            data_dir: dir.node(),
            genesis,
            operator: Some(key.clone()),
            transport_seed: [6; 32],
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial: Vec::new(),
            role: Role::Operator,
            reach: crate::network::Reach::quiet(),
            caps: Caps::default(),
            blob_quota: NodeOptions::BLOB_QUOTA,
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            checkpoints: Checkpoints::default(),
            rng_seed: None,
        })
        .await
        .expect("a node");
        let first = LeafSecret::random([0; 4], &mut rand::rng()).to_bytes();
        let vault = Vault::open(dir.leaves(), &key, first.as_slice()).expect("a vault");
        let person = Person { key, vault };
        let service = Service::start(node, &dir, Role::Operator, Some(person), Randomness::System).expect("a service");
        let server = Server::bind(&dir, (Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
        let address = server.address();
        tokio::spawn(server.serve(service.clone(), std::future::pending()));
        let token = Token::read(&dir.api_token()).expect("a token").header().to_string();
        Self { folder, address, token, service }
    }

    /// Sends one request, and returns status and JSON of the answer, which must be as the description says.
    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Value,
        headers: Vec<(&'static str, String)>,
    ) -> (u16, Value) {
        let path = format!("{BASE}{path}");
        let (status, text) = self.exchange(method, &path, body.clone(), headers).await;
        let answer = serde_json::from_str(&text).expect("JSON");
        conformance::check(method, &path, &body, status, &answer);
        (status, answer)
    }

    /// Sends one request to a path of the server, and returns status and text of the answer.
    pub(crate) async fn exchange(
        &self,
        method: &'static str,
        path: &str,
        body: Value,
        headers: Vec<(&'static str, String)>,
    ) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let asking = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut request = ureq::http::Request::builder().method(method).uri(url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let bytes = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
            let request = request.header("Content-Type", "application/json").body(bytes).expect("a request");
            let mut response = agent.run(request).expect("an answer");
            let octets = response.body_mut().read_to_vec().expect("an answer");
            (response.status().as_u16(), String::from_utf8_lossy(&octets).into_owned())
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, Value::Null, vec![("Authorization", self.token.clone())]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, body, vec![("Authorization", self.token.clone())]).await
    }

    /// Waits until nothing is kept any more: the log has what was on its way.
    pub(crate) async fn settled(&self) {
        let ballots = self.folder.path().join("ballots");
        let kept = || std::fs::read_dir(&ballots).expect("readable").count();
        let began = std::time::Instant::now();
        while kept() > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(30), "what the log has is deleted");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn approve(&self, request: &str, more: Value) -> (u16, Value) {
        let mut body = json!({ "request": request });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.post("/attest/approve", body).await
    }

    pub(crate) async fn admit_self(&self) {
        let (_, request) = self.post("/attest/request", json!({})).await;
        let request = request["request"].as_str().expect("a request");
        let (status, answer) = self.approve(request, json!({ "in_person": true, "subject": "me" })).await;
        assert_eq!((status, &answer["standing"]["member"]), (200, &json!(true)), "{answer}");
    }

    /// Writes the request of somebody with another key.
    async fn newcomer(&self, number: u8, region: u64, evidence: &str, recovers: Option<u8>) -> String {
        let leaf = LeafSecret::random([region, 0, 0, 0], &mut rand::rng());
        self.request(number, &leaf, evidence, recovers).await
    }

    /// Writes the request of somebody with another key and this leaf.
    async fn request(&self, number: u8, leaf: &LeafSecret, evidence: &str, recovers: Option<u8>) -> String {
        let community = self.service.node().view(|peer| peer.ledger().community()).await.expect("runs");
        let recovers = recovers.map(|lost| SecretKey::from_seed(&[lost; 32]).public());
        let claim = Claim { recovers, ..Claim::of(SecretKey::from_seed(&[number; 32]).public(), leaf) };
        AttestationRequest::new(community, claim, leaf, evidence.into(), &mut rand::rng()).to_text()
    }

    pub(crate) fn set(&self, name: settings::Name, value: &str) {
        let path = self.folder.path().join("config.toml");
        let mut settings = settings::Settings::read(&path).expect("read");
        settings.set(name, value).expect("a value");
        settings.write(&path).expect("written");
    }

    /// Admits the person, opens a poll of two items, and begins to vote.
    pub(crate) async fn open_voting(&self) {
        self.admit_self().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_attester_admits_on_one_evidence_and_nobody_twice() {
    let fixture = Fixture::start().await;
    let met = |subject: &str| json!({ "in_person": true, "subject": subject });
    let first = fixture.newcomer(1, 0, "", None).await;

    let nothing = fixture.approve(&first, json!({})).await;
    let admitted = fixture.approve(&first, met("Ada")).await;
    let twice = fixture.approve(&fixture.newcomer(2, 0, "", None).await, met(" ADA ")).await;
    let thief = fixture.approve(&fixture.newcomer(3, 0, "", Some(1)).await, met("Eve")).await;
    let recovery = fixture.approve(&fixture.newcomer(2, 0, "", Some(1)).await, met("ada")).await;
    let (_, people) = fixture.get("/attest").await;

    assert_eq!((nothing.0, &nothing.1["error"]["kind"]), (409, &json!("refused")));
    assert_eq!((admitted.0, &admitted.1["standing"]["member"]), (200, &json!(true)), "{admitted:?}");
    assert!(twice.0 == 409 && twice.1["error"]["message"].as_str().is_some_and(|text| text.contains("--recovers")));
    assert_eq!(thief.0, 409, "{thief:?}");
    assert_eq!((recovery.0, &recovery.1["standing"]["member"]), (200, &json!(false)), "after the time to deny it");
    assert_eq!(people["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(people["recoveries"][0]["lost"], people["members"][0]["key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_code_admits_one_person() {
    let fixture = Fixture::start().await;
    let (_, issued) = fixture.post("/attest/invite", json!({ "count": 2 })).await;
    let code = issued["codes"][0].as_str().expect("a code");
    let first = fixture.newcomer(1, 0, code, None).await;

    let admitted = fixture.approve(&first, json!({})).await;
    let again = fixture.approve(&first, json!({})).await;
    let other = fixture.approve(&fixture.newcomer(2, 0, code, None).await, json!({})).await;
    let recovery = fixture.newcomer(3, 0, issued["codes"][1].as_str().expect("a code"), Some(1)).await;
    let nameless = fixture.approve(&recovery, json!({})).await;
    let none = fixture.post("/attest/invite", json!({ "count": 0 })).await;

    assert_eq!((admitted.0, &admitted.1["evidence"]), (200, &json!("code")), "{admitted:?}");
    assert_eq!((again.0, other.0, nameless.0, none.0), (409, 409, 409, 400));
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_named_checked_and_counted() {
    let fixture = Fixture::start().await;
    let north = fixture.newcomer(1, 1, "", None).await;
    let unknown = fixture.newcomer(2, 3, "", None).await;
    let met = |subject: &str| json!({ "in_person": true, "subject": subject });
    let checked = |value: &str| json!({ "in_person": true, "subject": "ada", "attributes": [["region", value]] });

    let unchecked = fixture.approve(&north, met("ada")).await;
    let wrong = fixture.approve(&north, checked("south")).await;
    let right = fixture.approve(&north, checked("north")).await;
    let nowhere = fixture.approve(&unknown, met("bo")).await;
    let census = fixture.post("/attest/census", json!({})).await;
    let asked = fixture.post("/attest/request", json!({ "attributes": [["region", "south"]] })).await;
    let misspelt = fixture.post("/attest/request", json!({ "attributes": [["region", "sooth"]] })).await;

    assert_eq!((unchecked.0, wrong.0, nowhere.0), (409, 409, 409));
    assert_eq!((right.0, &right.1["attributes"]["region"]), (200, &json!("north")), "{right:?}");
    assert_eq!(census.1["attributes"][0][1], json!([["north", 0], ["south", 0]]), "one person is too few to tell");
    let (_, people) = fixture.get("/attest").await;
    assert_eq!(people["members"][0]["checked"], json!(["region"]));
    assert!(!people["members"].to_string().contains("north"), "nobody learns the value");
    assert_eq!((asked.0, &asked.1["attributes"]["region"], misspelt.0), (200, &json!("south"), 400), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_proposal_says_no_name_and_there_are_only_so_many() {
    let fixture = Fixture::start().await;
    let (_, early) = fixture.post("/polls", json!({ "question": "Early?" })).await;
    fixture.admit_self().await;
    let (_, poll) = fixture.post("/polls", json!({ "question": "What?" })).await;
    let items = |poll: &Value| format!("/polls/{}/items", poll["id"].as_str().expect("an id"));

    let before = fixture.post(&items(&early), json!({ "items": ["Be kind"] })).await;
    let open = fixture.post(&items(&poll), json!({ "items": ["Be loud"], "open": true })).await;
    let two = fixture.post(&items(&poll), json!({ "items": ["Be kind", "Be brief"] })).await;
    let third = fixture.post(&items(&poll), json!({ "items": ["Be calm"] })).await;
    let office = fixture.post(&items(&poll), json!({ "items": ["Be clear"], "as_operator": true })).await;
    fixture.set(settings::Name::Level, "open");
    let signed = fixture.post(&items(&poll), json!({ "items": ["Be loud"] })).await;

    assert_eq!((before.0, open.0, third.0), (409, 409, 409));
    assert!(third.1["error"]["message"].as_str().is_some_and(|text| text.contains("0 of 2 anonymous proposals")));
    assert_eq!((two.0, office.0, signed.0), (200, 200, 200), "{two:?}");
    assert_eq!((&two.1["open"], &two.1["anonymous_left"]), (&json!(false), &json!(0)));
    assert_eq!((&signed.1["open"], &signed.1["proposed"]), (&json!(true), &json!(1)));
    let id = poll["id"].as_str().expect("an id").parse().expect("an id");
    let key = SecretKey::from_seed(&[5; 32]).public();
    let by: Vec<Proposer> = fixture
        .service
        .node()
        .view(move |peer| peer.ledger().polls()[&id].items.iter().map(|(_, _, by)| *by).collect())
        .await
        .expect("runs");
    assert!(matches!(by[..2], [Proposer::Anonymous(_), Proposer::Anonymous(_)]));
    assert_eq!(by[2..], [Proposer::Key(key), Proposer::Key(key)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_decides_what_a_ballot_shows() {
    let fixture = Fixture::start().await;
    fixture.open_voting().await;
    let vote = |more: Value| {
        let mut body = json!({ "votes": [["1", "agree"]] });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };

    // The body of an attempt goes when the next one is on the log.
    let latest = async || {
        let look = |peer: &chorus_protocol::peer::Peer| {
            let round = peer.ledger().rounds().values().next().expect("a round").clone();
            let attempts = round.contributions.values().next().expect("one person").clone();
            attempts.values().last().map(|attempt| (attempt.header.body, attempt.header.on_map)).expect("an attempt")
        };
        let (body, on_map) = fixture.service.node().view(look).await.expect("runs");
        let bytes = fixture.service.node().fetch(body).await.expect("there");
        let credential = Body::from_bytes(&bytes).expect("a body").credential;
        (matches!(credential, Credential::Open(_)), on_map)
    };
    let mut shown = Vec::new();

    let refused = fixture.post("/polls/-/vote", vote(json!({ "open": true }))).await;
    let hidden = fixture.post("/polls/-/vote", vote(json!({}))).await;
    shown.push(latest().await);
    let off = fixture.post("/polls/-/vote", vote(json!({ "on_map": false }))).await;
    shown.push(latest().await);
    fixture.set(settings::Name::Level, "open");
    let open = fixture.post("/polls/-/vote", vote(json!({}))).await;
    shown.push(latest().await);
    let consent = fixture.post("/polls/-/vote", vote(json!({ "on_map": true }))).await;
    shown.push(latest().await);

    assert_eq!((refused.0, hidden.0, off.0, open.0, consent.0), (409, 200, 200, 200, 200), "{hidden:?}");
    assert_eq!(shown, [(false, true), (false, false), (true, false), (true, true)]);
    let told = [hidden, off, open, consent]
        .map(|(_, cast)| (cast["shows"]["level"] == "open", cast["shows"]["on_map"] == true));
    assert_eq!(told.to_vec(), shown, "people are told what their ballot shows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_leaf_votes_in_later_rounds_and_the_old_one_in_the_open_one() {
    let fixture = Fixture::start().await;
    let early = fixture.post("/attest/rotate", json!({})).await;
    fixture.open_voting().await;
    let leaves = || std::fs::read(fixture.folder.path().join("leaves")).expect("a file");
    let before = leaves();

    let rotated = fixture.post("/attest/rotate", json!({})).await;
    let twice = fixture.post("/attest/rotate", json!({})).await;
    let vote = fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"]] })).await;
    let poll = json!({ "question": "And?", "items": ["Be fair"], "duration_millis": 600_000 });
    let (_, second) = fixture.post("/polls", poll).await;
    let second = format!("/polls/{}/vote", second["id"].as_str().expect("an id"));
    let fresh = fixture.post(&second, json!({ "votes": [["1", "agree"]] })).await;

    assert_eq!((early.0, rotated.0, twice.0), (409, 200, 409), "{rotated:?}");
    assert_eq!((vote.0, fresh.0), (200, 200), "{vote:?} {fresh:?}");
    assert_ne!(leaves().len(), before.len(), "the old leaf is kept beside the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_members_say_who_goes() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let ada = fixture.newcomer(1, 0, "", None).await;
    let bo = fixture.newcomer(2, 0, "", None).await;
    let met = |subject: &str| json!({ "in_person": true, "subject": subject });
    let ada = fixture.approve(&ada, met("ada")).await.1["key"].as_str().expect("a key").to_owned();
    let bo = fixture.approve(&bo, met("bo")).await.1["key"].as_str().expect("a key").to_owned();

    let silent = fixture.post("/attest/expel", json!({ "key": ada })).await;
    let expelled = fixture.post("/attest/expel", json!({ "key": ada[..8], "reason": "a puppet" })).await;
    let revoked = fixture.post("/attest/revoke", json!({ "key": bo })).await;
    let nobody = fixture.post("/attest/revoke", json!({ "key": "abcdef" })).await;
    let vouches = fixture.get("/vouch").await;
    let veto = fixture.post("/attest/veto", json!({ "key": bo })).await;
    let unsure = fixture.post("/attest/revoke", json!({ "key": "me" })).await;
    let left = fixture.post("/attest/revoke", json!({ "key": "me", "sure": true })).await;
    let regret = fixture.post("/attest/request", json!({})).await;
    let removed = fixture.post("/attest/remove-attester", json!({ "key": "me", "reason": "done" })).await;
    let late = fixture.approve(&fixture.newcomer(3, 0, "", None).await, met("cy")).await;

    assert_eq!((silent.0, expelled.0, revoked.0, nobody.0), (400, 200, 200, 400), "{expelled:?}");
    assert_eq!((vouches.0, veto.0, unsure.0), (409, 409, 409));
    assert_eq!((left.0, removed.0, late.0), (200, 200, 409), "{removed:?}");
    assert_eq!(regret.0, 409, "a key that has left cannot come back: {regret:?}");
    let (_, people) = fixture.get("/attest").await;
    assert_eq!((&people["members"], people["candidates"][0]["key"].as_str()), (&json!([]), Some(bo.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_vouch_one_at_a_time_and_can_take_it_back() {
    let seeds = vec![SeedGroup::from_iter([SecretKey::from_seed(&[5; 32]).public()])];
    let vouching = Vouching { tolerated: 0, min_vouches: 1, ..Vouching::recommended(seeds) };
    let fixture = Fixture::start_with(Policy { admission: Admission::Vouch(vouching), ..Policy::default() }).await;
    let (_, own) = fixture.post("/attest/request", json!({})).await;
    let (ada, bo) = (fixture.newcomer(1, 0, "", None).await, fixture.newcomer(2, 0, "", None).await);

    let stranger = fixture.post("/vouch", json!({ "whom": ada })).await;
    let seed = fixture.post("/vouch", json!({ "whom": own["request"] })).await;
    let oneself = fixture.post("/vouch", json!({ "whom": "me" })).await;
    let first = fixture.post("/vouch", json!({ "whom": ada })).await;
    let (_, between) = fixture.get("/vouch").await;
    let second = fixture.post("/vouch", json!({ "whom": bo })).await;
    let (_, people) = fixture.get("/attest").await;
    let back = fixture.post("/vouch", json!({ "whom": first.1["key"], "withdraw": true })).await;
    let (_, after) = fixture.get("/vouch").await;

    assert_eq!(stranger.0, 409, "a seed that has not registered cannot bring anybody");
    assert_eq!((seed.0, oneself.0, first.0), (200, 409, 200), "{seed:?} {first:?}");
    assert_eq!((&between["given"][0]["key"], &between["left"]), (&first.1["key"], &json!(11)));
    assert!(between["next_at"].as_u64() > between["log_time"].as_u64());
    assert_eq!(second.0, 409, "one in five days");
    let vouches = |standing: &Value| standing["standing"]["vouches"].as_u64().unwrap_or_default();
    let everybody = ["members", "candidates"].map(|list| people[list].as_array().cloned().unwrap_or_default()).concat();
    assert_eq!(everybody.iter().map(vouches).sum::<u64>(), 1);
    assert_eq!((back.0, &after["given"], &after["may_vouch"]), (200, &json!([]), &json!(true)));
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
