//! The page before a real node, asked as a browser asks.

use std::sync::Arc;

use serde_json::json;

use crate::api::tests::Fixture;

mod facilitation;
mod pages;
mod security;

/// What came back.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A browser that may be in.
struct Browser {
    fixture: Fixture,
    cookie: String,
}

impl Browser {
    /// Starts a node, and comes in.
    async fn enter() -> Self {
        Self::enter_at(Fixture::start().await).await
    }

    async fn enter_at(fixture: Fixture) -> Self {
        let mut browser = Self { fixture, cookie: String::new() };
        let link = browser.link().await;
        let entered = browser.get(&link).await;
        assert_eq!((entered.status, entered.header("location")), (303, "/"));
        browser.cookie = entered.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        browser
    }

    /// Asks for a link, and returns its path.
    async fn link(&self) -> String {
        let (status, link) = self.fixture.post("/page", json!({})).await;
        assert_eq!(status, 200);
        let url = link["url"].as_str().expect("a link").to_owned();
        url.strip_prefix(&format!("http://{}", self.fixture.address)).expect("of this server").to_owned()
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: String,
        headers: Vec<(&'static str, String)>,
    ) -> Answer {
        let url = format!("http://{}{path}", self.fixture.address);
        let cookie = self.cookie.clone();
        let asking = move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
            let agent: ureq::Agent = config.max_redirects_will_error(false).build().into();
            let mut request = ureq::http::Request::builder().method(method).uri(url);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            if !cookie.is_empty() {
                request = request.header("Cookie", format!("other=1; {cookie}"));
            }
            let mut response = match method {
                "GET" => agent.run(request.body(()).expect("a request")),
                _ => agent.run(
                    request.header("Content-Type", "application/x-www-form-urlencoded").body(body).expect("a request"),
                ),
            }
            .expect("an answer");
            let text = response.body_mut().read_to_string().expect("text");
            Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, String::new(), vec![("Accept-Language", "en".into())]).await
    }

    /// Returns what the forms of the page show.
    async fn csrf(&self) -> String {
        let home = self.get("/").await.text;
        let (_, rest) = home.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    /// Posts a form as the page does.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf().await;
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.post_raw(path, &fields, self.own_origin()).await
    }

    async fn post_raw(&self, path: &str, fields: &[(&str, &str)], headers: Vec<(&'static str, String)>) -> Answer {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        self.ask("POST", path, pairs.collect::<Vec<_>>().join("&"), headers).await
    }

    fn own_origin(&self) -> Vec<(&'static str, String)> {
        vec![("Origin", format!("http://{}", self.fixture.address)), ("Sec-Fetch-Site", "same-origin".into())]
    }

    /// Opens a poll with these statements, admits the person, and begins to vote.
    async fn voting(statements: &[&str]) -> (Self, String) {
        let browser = Self::enter().await;
        browser.fixture.admit_self().await;
        let poll = json!({ "question": "What should it do?", "items": statements, "duration_millis": 600_000 });
        let (status, poll) = browser.fixture.post("/polls", poll).await;
        assert_eq!(status, 200, "{poll}");
        let poll = format!("/polls/{}", poll["id"].as_str().expect("an id"));
        (browser, poll)
    }
}

/// Encodes a value of a form.
fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Returns the value of the field `name` that stands first after `mark`.
fn field<'a>(page: &'a str, mark: &str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(mark).expect("the mark");
    let (_, rest) = rest.split_once(&format!("name=\"{name}\" value=\"")).expect("the field");
    rest.split('"').next().expect("a value")
}

/// Keeps a node from being dropped while the test asks it.
async fn shut(browser: Browser) {
    let service = Arc::clone(&browser.fixture.service);
    service.node().clone().shutdown().await;
}
