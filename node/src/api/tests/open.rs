//! What is answered without a token.

use std::time::Duration;

use super::*;
use crate::health::FREE_STEP;

/// How long something may take that the log waits for.
const PATIENCE: Duration = Duration::from_secs(30);

impl Fixture {
    /// Asks without a token, and returns status and text of the answer.
    async fn look(&self, path: &str, host: Option<&'static str>) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let asking = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut request = ureq::http::Request::builder().uri(url);
            if let Some(host) = host {
                request = request.header("Host", host);
            }
            let mut response = agent.run(request.body(()).expect("a request")).expect("an answer");
            (response.status().as_u16(), response.body_mut().read_to_string().expect("text"))
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    /// Returns all that is answered without a token, but for two lines of each: since when the node runs, and how much room
    /// is free, which what else uses the disk moves too. That must be told in whole steps.
    async fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for path in ["/livez", "/readyz?verbose", "/metrics"] {
            let (status, text) = self.look(path, None).await;
            seen.push(format!("{path} {status}"));
            for line in text.lines() {
                let mebibytes = line.split_once("] disk: ").and_then(|(_, rest)| rest.split_once(" MiB free"));
                let free = match (mebibytes, line.strip_prefix("chorus_disk_free_bytes ")) {
                    (Some((mebibytes, _)), _) => Some(mebibytes.parse::<u64>().expect("a number") << 20),
                    (None, Some(bytes)) => Some(bytes.parse().expect("a number")),
                    (None, None) => None,
                };
                assert_eq!(free.unwrap_or_default() % FREE_STEP, 0, "{line}");
                if free.is_none() && !line.starts_with("chorus_uptime_seconds ") {
                    seen.push(format!("{path} {line}"));
                }
            }
        }
        assert!(seen.len() > 40, "{seen:?}");
        // Labels come in no order.
        seen.sort_unstable();
        seen
    }

    /// The same without what the log tells every member.
    async fn seen_beside_the_log(&self) -> Vec<String> {
        let mut seen = self.seen().await;
        seen.retain(|line| !line.contains(" chorus_log_") && !line.contains("] log: "));
        seen
    }

    /// Starts a node that follows this one, with a member at it.
    async fn followed(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().to_owned());
        let (key, leaf) = (SecretKey::from_seed(&[10; 32]), LeafSecret::random([0; 4], &mut rand::rng()));
        let request = self.request(10, &leaf, "", None).await;
        let (status, answer) = self.approve(&request, json!({ "in_person": true, "subject": "them" })).await;
        assert_eq!((status, &answer["standing"]["member"]), (200, &json!(true)), "{answer}");
        let node = Node::start(NodeOptions {
            data_dir: dir.node(),
            genesis: self.service.node().view(|peer| peer.ledger().genesis().clone()).await.expect("runs"),
            operator: None,
            transport_seed: [7; 32],
            listen: vec!["/ip4/127.0.0.1/tcp/0".into()],
            dial: self.service.node().addresses(),
            role: Role::Participant,
            reach: crate::network::Reach::quiet(),
            caps: Caps::default(),
            blob_quota: NodeOptions::BLOB_QUOTA,
            timeouts: Timeouts::default(),
            pass_millis: Config::PASS_MILLIS,
            checkpoints: Checkpoints::default(),
            rng_seed: None,
        });
        let node = node.await.expect("a node");
        let vault = Vault::open(dir.leaves(), &key, leaf.to_bytes().as_slice()).expect("a vault");
        let (person, role) = (Person { key, vault }, Role::Participant);
        let service = Service::start(node, &dir, role, Some(person), Randomness::System).expect("a service");
        let server = Server::bind(&dir, (Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
        let address = server.address();
        tokio::spawn(server.serve(service.clone(), std::future::pending()));
        let token = Token::read(&dir.api_token()).expect("a token").header().to_string();
        Self { folder, address, token, service }
    }

    /// Waits until something is true of the protocol's state.
    async fn until(&self, what: &str, holds: impl Fn(&chorus_protocol::peer::Peer) -> bool + Send) {
        assert!(self.service.node().wait_until(holds, PATIENCE).await.expect("runs"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_need_no_token_but_the_right_name() {
    let fixture = Fixture::start().await;

    assert_eq!(fixture.look("/livez", None).await, (200, "live\n".into()));
    let (status, checks) = fixture.look("/readyz?verbose", None).await;
    assert_eq!((status, checks.matches("[+]").count()), (200, 6), "{checks}");
    assert_eq!(fixture.look("/readyz", None).await, (200, "ready\n".into()));
    let (status, metrics) = fixture.look("/metrics", None).await;
    assert!(status == 200 && metrics.contains("chorus_operators{state=\"reached\"} 1"), "{metrics}");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(fixture.look(path, Some("evil.example")).await.0, 421, "{path}");
    }
    assert_eq!(fixture.look("/api/v1/status", None).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_answered_without_a_token_moves_when_the_person_votes() {
    let fixture = Fixture::start().await;
    fixture.open_voting().await;
    let before = fixture.seen_beside_the_log().await;

    let (status, cast) = fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"], ["2", "pass"]] })).await;

    assert_eq!((status, &cast["own"]["on_log"]), (200, &json!(true)), "{cast}");
    assert_eq!(fixture.seen_beside_the_log().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_member_s_node_answers_without_a_token_moves_when_its_person_votes() {
    let operator = Fixture::start().await;
    let member = operator.followed().await;
    operator.open_voting().await;
    member.until("the round is open", |peer| peer.ledger().rounds().values().any(|it| it.manifest.is_some())).await;
    let before = member.seen_beside_the_log().await;

    let (status, cast) = member.post("/polls/-/vote", json!({ "votes": [["1", "agree"]] })).await;

    assert_eq!((status, &cast["own"]["on_log"]), (200, &json!(true)), "{cast}");
    assert_eq!(member.seen_beside_the_log().await, before);

    // Without the operator the log rests: nothing is exempted while the next vote is kept, and on no log.
    member.settled().await;
    operator.service.node().clone().shutdown().await;
    member.until("the operator has gone", |peer| peer.nodes().is_empty()).await;
    let before = member.seen().await;

    let another = json!({ "votes": [["1", "pass"], ["2", "agree"]], "wait_seconds": 1 });
    let (status, refused) = member.post("/polls/-/vote", another).await;

    assert_eq!((status, &refused["error"]["kind"]), (504, &json!("timed_out")), "{refused}");
    let kept = std::fs::read_dir(member.folder.path().join("ballots")).expect("a folder").count();
    assert_eq!((member.seen().await, kept), (before, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_stopped_is_neither_live_nor_ready() {
    let fixture = Fixture::start().await;

    fixture.service.node().clone().shutdown().await;

    assert_eq!(fixture.look("/livez", None).await.0, 503);
    let (status, checks) = fixture.look("/readyz?verbose", None).await;
    assert!(status == 503 && checks.contains("[-] connected"), "{checks}");
}
