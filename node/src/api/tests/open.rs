//! What is answered without a token.

use std::collections::BTreeSet;

use super::*;

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
    let moving = ["chorus_uptime", "chorus_turn_age", "chorus_slowest", "chorus_disk_free", "chorus_log_time"];
    let still = |text: String| {
        let lines = text.lines().filter(|line| !moving.iter().any(|name| line.starts_with(name)));
        // What the log tells every member.
        lines.filter(|line| !line.starts_with("chorus_log_")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = still(fixture.look("/metrics", None).await.1);

    let (status, cast) = fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"], ["2", "pass"]] })).await;

    assert_eq!((status, &cast["own"]["on_log"]), (200, &json!(true)), "{cast}");
    assert_eq!(still(fixture.look("/metrics", None).await.1), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_stopped_is_neither_live_nor_ready() {
    let fixture = Fixture::start().await;

    fixture.service.node().clone().shutdown().await;

    assert_eq!(fixture.look("/livez", None).await.0, 503);
    let (status, checks) = fixture.look("/readyz?verbose", None).await;
    assert!(status == 503 && checks.contains("[-] connected"), "{checks}");
}
