//! Who must not get in, and what must not get through.

use super::{Browser, Fixture, field, shut};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_one_browser_in_once_and_without_it_nothing_is_shown() {
    let mut browser = Browser::enter().await;
    let (home, used) = (browser.get("/").await, browser.link().await);
    let first = browser.ask("GET", &used, String::new(), vec![]).await;
    browser.cookie.clear();

    let (outside, second) = (browser.get("/").await, browser.get(&used).await);
    let guess = browser.get("/enter?token=0000").await;

    assert_eq!((home.status, first.status), (200, 303));
    assert!(home.text.contains("Choir"));
    assert!(first.header("set-cookie").contains("; HttpOnly; SameSite=Strict"));
    for refused in [&outside, &second, &guess] {
        assert_eq!(refused.status, 401);
        assert!(!refused.text.contains("Choir") && refused.text.contains("chorus open"));
    }
    assert!(second.text.contains("has been used"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_elsewhere_whose_name_points_here_is_refused() {
    let browser = Browser::enter().await;

    for host in ["evil.example", "evil.example:80", "127.0.0.1", "0.0.0.0:1"] {
        for path in ["/", "/enter?token=x", "/assets/style.css", "/nowhere"] {
            let answer = browser.ask("GET", path, String::new(), vec![("Host", host.into())]).await;
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(!answer.text.contains("Choir"));
        }
    }
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_from_elsewhere_or_without_the_token_do_nothing() {
    let (browser, poll) = Browser::voting(&["Be kind", "Be brief"]).await;
    let card = browser.get(&format!("{poll}/vote")).await.text;
    let (item, csrf) = (field(&card, "blockquote", "choice").len(), browser.csrf().await);
    assert_eq!(item, "agree".len());
    let item = field(&card, "/vote\">", "item").to_owned();
    let fields = |csrf: &'static str| [("item", item.as_str()), ("choice", "agree"), ("csrf", csrf)];
    let right = [("item", item.as_str()), ("choice", "agree"), ("csrf", csrf.as_str())];
    let path = format!("{poll}/vote");
    let own = || browser.own_origin();

    let foreign = |origin: &str| vec![("Origin", origin.to_owned())];
    let refused = [
        browser.post_raw(&path, &fields("0000"), own()).await,
        browser.post_raw(&path, &right[..2], own()).await,
        browser.post_raw(&path, &right, foreign("http://evil.example")).await,
        browser.post_raw(&path, &right, foreign("null")).await,
        browser.post_raw(&path, &right, foreign("http://127.0.0.1:1")).await,
        browser.post_raw(&path, &right, vec![("Sec-Fetch-Site", "cross-site".into())]).await,
        browser.post_raw(&path, &right, vec![("Sec-Fetch-Site", "same-site".into())]).await,
        browser.post_raw(&path, &right, vec![]).await,
    ];
    let review = browser.get(&format!("{poll}/review")).await.text;
    let let_through = browser.post_raw(&path, &right, own()).await;

    for (at, answer) in refused.iter().enumerate() {
        assert_eq!(answer.status, 403, "{at}");
    }
    assert!(review.contains("0 of 2 decided"));
    assert_eq!(let_through.status, 303);
    let stranger = Browser { cookie: String::new(), ..browser };
    assert_eq!(stranger.post_raw(&path, &right, stranger.own_origin()).await.status, 401);
    shut(stranger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let browser = Browser::enter().await;

    for path in ["/", "/assets/page.js", "/nowhere", "/enter?token=x"] {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    }
    assert_eq!(browser.get("/").await.header("cache-control"), "no-store");
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_table_of_assets() {
    let browser = Browser::enter().await;

    assert_eq!(browser.get("/assets/style.css").await.header("content-type"), "text/css; charset=utf-8");
    for name in ["..%2f..%2fCargo.toml", "%2e%2e/%2e%2e/api.token", "../api.token", "style.css%00", "/etc/passwd", ""] {
        let answer = browser.get(&format!("/assets/{name}")).await;
        assert_eq!(answer.status, 404, "{name}");
    }
    let back = browser.post("/language", &[("language", "de"), ("back", "//evil.example/")]).await;
    assert_eq!((back.status, back.header("location")), (303, "/"));
    let back = browser.post("/language", &[("language", "de"), ("back", "/\\evil.example")]).await;
    assert_eq!(back.header("location"), "/");
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_text_on_every_page() {
    const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let turned = format!("{SCRIPT} \u{202E}dnik eB \u{200B}\u{2066}x");
    // Either may be the first that is shown.
    let other = format!("{turned} ' onmouseover='alert(1)");
    let (browser, poll) = Browser::voting(&[&turned, &other]).await;
    let more = serde_json::json!({ "question": turned, "context": turned });
    assert_eq!(browser.fixture.post("/polls", more).await.0, 200);

    let paths = ["/", "/polls", &poll, &format!("{poll}/vote"), &format!("{poll}/review"), "/own", "/operate"];
    for path in paths.into_iter().chain([format!("{poll}/propose").as_str(), "/polls/%3Cscript%3E", "/constitution"]) {
        let page = browser.get(path).await.text;
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{path}");
        assert!(!page.contains("' onmouseover"), "{path}");
        assert!(!page.contains(['\u{202E}', '\u{200B}', '\u{2066}']), "{path}");
    }
    let card = browser.get(&format!("{poll}/vote")).await.text;
    assert!(card.contains("&lt;script&gt;") && card.contains("U+202E"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_a_megabyte_is_refused_in_plain_words() {
    let (browser, poll) = Browser::voting(&["Be kind"]).await;
    let path = format!("{poll}/propose");

    let long = browser.post(&path, &[("text", "x".repeat(1_000_000).as_str())]).await;

    assert_eq!(long.status, 400);
    assert!(long.text.contains("at most 4096 bytes") && long.text.len() < 50_000);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_for_programs_does_not_take_the_page_s_cookie() {
    let browser = Browser::enter_at(Fixture::start().await).await;

    let api = browser.get("/api/v1/status").await;
    let link = browser.post("/api/v1/page", &[]).await;

    assert_eq!((api.status, link.status), (401, 401));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_to_no_one_who_is_not_in() {
    let mut browser = Browser::enter().await;
    let cookie = std::mem::take(&mut browser.cookie);

    let stranger = browser.get("/events").await;
    let talk = browser.post_raw("/chat/stream", &[("text", "Hello")], browser.own_origin()).await;
    browser.cookie = format!("{}=0000", cookie.split('=').next().expect("a name"));
    let guess = browser.get("/events").await;

    assert_eq!((stranger.status, talk.status, guess.status), (401, 401, 401));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_told_in_the_page_s_language() {
    let (browser, poll) = Browser::voting(&["Be kind"]).await;
    let german = vec![("Accept-Language", "de".to_owned())];

    let nowhere = browser.ask("GET", "/polls/abcdef", String::new(), german.clone()).await;
    let mut headers = browser.own_origin();
    headers.extend(german);
    let csrf = browser.csrf().await;
    let fields = [("text", "be KIND"), ("csrf", csrf.as_str())];
    let early = browser.post_raw(&format!("/operate{poll}/close"), &fields[1..], headers).await;

    assert!(nowhere.text.contains("Diese Umfrage gibt es nicht."), "{}", nowhere.text);
    assert!(early.text.contains("Die Abstimmung endet von selbst"), "{}", early.text);
    for page in [&nowhere.text, &early.text] {
        let (_, main) = page.split_once("role=\"alert\"").expect("a notice");
        let (told, _) = main.split_once("<details>").expect("details");
        assert!(!told.contains("poll") && !told.contains("voting"), "{told}");
    }
    shut(browser).await;
}
