//! Who must not get in by the interface for programs, and what must not get through.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use super::*;
use crate::api::openapi;

impl Fixture {
    /// Sends octets as they are, and returns what comes back until the server closes.
    pub(crate) async fn octets(&self, request: impl AsRef<[u8]>) -> String {
        let (address, request) = (self.address, request.as_ref().to_vec());
        let asking = move || {
            let mut stream = TcpStream::connect(address).expect("a server");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            // Whoever is refused in the middle of a long request may be cut off.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    fn head(&self, line: &str, headers: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address)
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Every described route that needs the token.
fn routes_with_token() -> Vec<(&'static str, String)> {
    let document = openapi::document();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            if operation.get("security").is_none() {
                let method = if method == "get" { "GET" } else { "POST" };
                routes.push((method, path.replace(['{', '}'], "")));
            }
        }
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_without_the_token_or_by_another_name() {
    let fixture = Fixture::start().await;
    let right = || ("Authorization", fixture.token.clone());

    for (method, path) in routes_with_token() {
        let ask = |headers| fixture.exchange(method, &path, json!({}), headers);
        let bare = ask(vec![]).await;
        let cookie = ask(vec![("Cookie", format!("chorus-{}=0", fixture.address.port()))]).await;
        let query = fixture.exchange(method, &format!("{path}?token={}", &fixture.token[7..]), json!({}), vec![]).await;
        let rebound = ask(vec![right(), ("Host", "evil.example".into())]).await;
        let forwarded =
            ask(vec![right(), ("Host", "evil.example".into()), ("X-Forwarded-Host", fixture.address.to_string())])
                .await;
        let statuses = [bare.0, cookie.0, query.0, rebound.0, forwarded.0];
        assert_eq!(statuses, [401, 401, 401, 421, 421], "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_name_and_forwarders_are_not_believed() {
    let fixture = Fixture::start().await;
    let token = format!("Authorization: {}\r\n", fixture.token);
    let get = "GET /api/v1/status HTTP/1.1\r\n";
    let port = fixture.address.port();

    let own = fixture.octets(fixture.head("GET /api/v1/status", &token)).await;
    let forwarded = format!("{token}X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n");
    let forwarded = fixture.octets(fixture.head("GET /api/v1/status", &forwarded)).await;
    let twice = fixture.octets(fixture.head("GET /api/v1/status", &format!("{token}Host: evil.example\r\n"))).await;
    let none = fixture.octets(format!("{get}Connection: close\r\n{token}\r\n")).await;
    let old = fixture.octets(format!("GET /api/v1/status HTTP/1.0\r\n{token}\r\n")).await;
    let dotted = fixture.octets(format!("{get}Connection: close\r\nHost: localhost.:{port}\r\n{token}\r\n")).await;
    let user = fixture.octets(format!("{get}Connection: close\r\nHost: a@127.0.0.1:{port}\r\n{token}\r\n")).await;

    assert_eq!((status(&own), status(&forwarded)), (200, 200), "{own}");
    for refused in [twice, none, old, dotted, user] {
        assert!(matches!(status(&refused), 400 | 421) && !refused.contains("Choir"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_elsewhere_is_not_told_that_it_may_ask() {
    let fixture = Fixture::start().await;
    let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: authorization,content-type\r\n";

    for path in ["/api/v1/polls", "/api/v1/status", "/v1/chat/completions", "/v1/models", "/metrics", "/", "/chat"] {
        let asked = fixture.octets(fixture.head(&format!("OPTIONS {path}"), preflight)).await;
        let simple = fixture.octets(fixture.head(&format!("GET {path}"), "Origin: null\r\n")).await;
        assert!(status(&asked) >= 400, "{path}: {asked}");
        for answer in [asked, simple] {
            assert!(!answer.to_lowercase().contains("access-control-"), "{path}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_refused_and_the_node_goes_on() {
    let fixture = Fixture::start().await;
    let token = format!("Authorization: {}\r\n", fixture.token);
    let request = |line: &str, headers: &str| fixture.head(line, headers).into_bytes();
    let with = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.truncate(bytes.len() - 2);
        bytes.extend([more, b"\r\n\r\n"].concat());
        bytes
    };
    let plain = || request("GET /api/v1/status", &token);
    let long = "x".repeat(1 << 20);

    let odd = [
        with(plain(), b"X-Odd: \0"),
        with(request("GET /api/v1/status", ""), b"Authorization: Bearer \xff\xfe"),
        with(request("GET /", ""), b"Cookie: chorus-1=\xff\xfe; \xc3\x28"),
        with(plain(), format!("X-Long: {long}").as_bytes()),
        request(&format!("GET /api/v1/result?poll={long}"), &token),
        request("GET /api/v1/result?poll=%ff%fe", &token),
        request("GET /api/v1/polls/%ff%fe", &token),
        request("GET /api/v1/polls/%00", &token),
        request("GET /api/v1/status\0", &token),
        request("GET /api/v1/../../api.token", &token),
        request("GET /api/v1/export/..%2f..%2fapi.token", &token),
        request("GET /api/v1/adapters/..%2f..%2fapi.token/values/..%2fapi.token", &token),
        request("GET /v1/models/..%2f..%2fapi.token", &token),
        request("POST /api/v1/polls", &format!("{token}Content-Length: -1\r\n")),
        request("POST /api/v1/polls", &format!("{token}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")),
        [
            request("POST /api/v1/polls", &format!("{token}Content-Type: application/json\r\nContent-Length: 4\r\n")),
            b"\"\xff\xfe\"".to_vec(),
        ]
        .concat(),
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
    ];
    for (at, bytes) in odd.into_iter().enumerate() {
        let answer = fixture.octets(bytes).await;
        let is_refused = answer.is_empty() || (400..500).contains(&status(&answer));
        assert!(is_refused && !answer.contains(&fixture.token[7..]), "{at}: {answer}");
    }

    assert_eq!(fixture.get("/status").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_stays_data() {
    const TEXT: &str = "<script>alert(1)</script> \u{202E}dnik \u{200B}\u{2066}x \u{1b}]0;gone\u{7}";
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let poll = json!({ "question": TEXT, "items": [TEXT] });

    let (status, _) = fixture.post("/polls", poll).await;
    let headers = format!("Authorization: {}\r\n", fixture.token);
    let shown = fixture.octets(fixture.head("GET /api/v1/polls/-", &headers)).await;
    let table = fixture.octets(fixture.head("GET /api/v1/export/statements.csv", &headers)).await;

    assert_eq!(status, 200);
    for answer in [&shown, &table] {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let head = head.to_lowercase();
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(head.contains("content-type: application/json") || head.contains("content-type: text/csv"), "{head}");
        assert!(body.contains("<script>"), "nothing is lost: {body}");
    }
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "JSON escapes what steers terminals");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_a_megabyte_is_refused() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let (_, poll) = fixture.post("/polls", json!({ "question": "What?" })).await;
    let path = format!("/polls/{}/items", poll["id"].as_str().expect("an id"));

    let long = fixture.post(&path, json!({ "items": ["x".repeat(1_000_000)] })).await;
    let huge = fixture.post(&path, json!({ "items": ["x".repeat(5_000_000)] })).await;

    assert_eq!((long.0, &long.1["error"]["code"]), (400, &json!("too_long")));
    assert!(long.1.to_string().len() < 1_000, "nobody is sent it back");
    assert_eq!(huge.0, 413);
}
