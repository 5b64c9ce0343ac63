//! What the pages show and do.

use super::{Browser, field, shut};
use crate::config::settings::Name;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_in_both_languages() {
    let (browser, poll) = Browser::voting(&["Be kind", "Be brief"]).await;
    let of_poll = ["", "/vote", "/vote?item=2", "/review", "/propose", "/receipt"].map(|page| format!("{poll}{page}"));
    let others = [
        "/",
        "/polls",
        "/constitution",
        "/own",
        "/members",
        "/adapter",
        "/network",
        "/operate",
        "/values",
        "/values/graph",
        "/chat",
        "/moderation",
    ];

    for path in others.into_iter().chain(of_poll.iter().map(String::as_str)) {
        for (language, word) in [("en", "Constitution"), ("de-AT", "Verfassung")] {
            let page = browser.ask("GET", path, String::new(), vec![("Accept-Language", language.into())]).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            assert!(page.text.contains(word) && page.text.contains("<main id=\"main\""), "{path}");
            assert!(!page.text.contains(" style=") && !page.text.contains("{{"), "{path}");
        }
    }
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_votes_card_by_card_changes_and_casts() {
    let (browser, poll) = Browser::voting(&["Be kind", "Be brief", "Be bold"]).await;
    let vote = format!("{poll}/vote");

    let first = browser.get(&format!("{vote}?item=1")).await.text;
    assert!(first.contains("Statement 1 of 3") && first.contains("Be kind"));
    let item = field(&first, "/vote\">", "item");
    let chosen = browser.post(&vote, &[("item", item), ("choice", "agree")]).await;
    assert_eq!((chosen.status, chosen.header("location")), (303, format!("{vote}?skip=&back=1").as_str()));
    let second = browser.get(chosen.header("location")).await.text;
    assert!(second.contains("Statement 2 of 3") && second.contains("1 of 3 decided"));
    let skipped = browser.get(&format!("{vote}?skip=2&back=2")).await.text;
    assert!(skipped.contains("Be bold") && skipped.contains("item=2"));
    let last = browser.get(&format!("{vote}?skip=2.3&back=3")).await;
    assert_eq!((last.status, last.header("location")), (303, format!("{poll}/review").as_str()));
    assert!(browser.get(&poll).await.text.contains("on this machine only"));

    let cast = browser.post(&format!("{poll}/cast"), &[("on_map", "1")]).await;
    assert_eq!(cast.header("location"), format!("{poll}?said=cast"), "{}", cast.text);
    let changed = browser.post(&vote, &[("item", item), ("choice", "disagree"), ("to", "review")]).await;
    assert_eq!(changed.header("location"), format!("{poll}/review"));
    assert!(browser.get(&poll).await.text.contains("not cast yet"));
    let recast = browser.post(&format!("{poll}/cast"), &[]).await;
    assert_eq!(recast.status, 303);
    let (_, status) = browser.fixture.get("/status").await;
    assert_eq!(status["rounds"][0]["own"]["sequence"], 1);
    assert!(browser.get("/own").await.text.contains("Disagree"));
    assert!(browser.get(&format!("{poll}/receipt")).await.text.contains("on the log"));

    let withdrawn = browser.post(&format!("{poll}/withdraw"), &[]).await;
    assert_eq!(withdrawn.header("location"), format!("{poll}?said=withdrawn"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_proposed_and_its_fate_is_shown() {
    let (browser, poll) = Browser::voting(&["Be kind"]).await;

    let proposed = browser.post(&format!("{poll}/propose"), &[("text", " Be curious ")]).await;
    assert_eq!(proposed.header("location"), format!("{poll}?said=proposed"), "{}", proposed.text);

    assert!(browser.get(proposed.header("location")).await.text.contains("Your statement is proposed"));
    let own = browser.get("/own").await.text;
    assert!(own.contains("Be curious") && own.contains("waits for the next round") && own.contains("anonymous"));
    let empty = browser.post(&format!("{poll}/propose"), &[("text", " ")]).await;
    assert_eq!(empty.status, 400);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proposes_what_others_said_is_shown_it_first_and_may_insist() {
    let (browser, poll) = Browser::voting(&["The AI should be kind to everybody"]).await;
    let path = format!("{poll}/propose");

    let warned = browser.post(&path, &[("text", "the ai should be kind to everybody!"), ("topic", "Manners")]).await;
    let insisted = browser.post(&path, &[("text", "the ai should be kind to everybody!"), ("anyway", "1")]).await;

    assert_eq!(warned.status, 409);
    assert!(warned.text.contains("nearly the same") && warned.text.contains("value=\"Manners\""));
    assert_eq!(insisted.header("location"), format!("{poll}?said=proposed"), "{}", insisted.text);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_rejects_a_statement_and_everybody_reads_why() {
    let (browser, poll) = Browser::voting(&["Be kind", "Buy my pills"]).await;
    let page = browser.get(&format!("/operate{poll}")).await.text;
    let (_, pills) = page.split_once("Buy my pills").expect("the statement");

    let fields =
        [("item", field(pills, "<form", "item")), ("say", "reject"), ("category", "spam"), ("reason", "An <ad>")];
    let rejected = browser.post(&format!("/operate{poll}/moderate"), &fields).await;
    assert_eq!(rejected.header("location"), format!("/operate{poll}?said=moderated"), "{}", rejected.text);

    for path in ["/moderation", &format!("/operate{poll}")] {
        let page = browser.get(path).await.text;
        assert!(page.contains("An &lt;ad&gt;") && page.contains("advertising or nonsense"), "{path}");
    }
    assert!(browser.get(&poll).await.text.contains("1 statement is rejected"));
    let table = browser.get("/tables/moderation.csv").await;
    assert_eq!((table.status, table.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(browser.get("/tables/votes.csv").await.status, 404);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialogue_ends_in_a_card_that_is_proposed() {
    let browser = Browser::enter().await;
    browser.fixture.admit_self().await;
    let poll = serde_json::json!({ "kind": "value", "question": "How to help?" });
    let (status, poll) = browser.fixture.post("/polls", poll).await;
    assert_eq!(status, 200, "{poll}");

    let begun = browser.post("/values/dialogue", &[("say", "begin"), ("poll", "")]).await;
    assert_eq!(begun.header("location"), "/values/dialogue", "{}", begun.text);
    let words =
        ["Listen", "My teacher did", "Her eyes", "MOMENTS of doubt", "Patience", "Waits until somebody is done"];
    for text in words {
        let answered = browser.post("/values/dialogue", &[("say", "answer"), ("text", text)]).await;
        assert_eq!(answered.status, 303, "{}", answered.text);
    }
    let review = browser.get("/values/dialogue").await.text;
    assert!(review.contains("Yes, this is what I mean") && review.contains("MOMENTS of doubt"));
    let card = [
        ("say", "accept"),
        ("title", "Patience"),
        ("instruction", "Waits"),
        ("policies", "MOMENTS of doubt\r\nPAUSES that say something"),
    ];
    let accepted = browser.post("/values/dialogue", &card).await;
    assert_eq!(accepted.header("location"), "/values?said=saved", "{}", accepted.text);
    let poll = poll["id"].as_str().expect("an id");
    let proposed = browser.post("/values/propose", &[("title", "Patience"), ("poll", poll)]).await;

    assert_eq!(proposed.header("location"), format!("/polls/{poll}?said=proposed"), "{}", proposed.text);
    let page = browser.get(&format!("/polls/{poll}")).await.text;
    assert!(page.contains("PAUSES that say something"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_an_endpoint_and_lets_it_take_part_in_a_dialogue_only_if_that_is_chosen() {
    let browser = Browser::enter().await;
    browser.fixture.set(Name::ModelUrl, "https://model.example:8443/v1");
    browser.fixture.set(Name::ModelName, "large");
    browser.fixture.set(Name::ModelProvider, "outside");
    let choice = r#"name="tell" value="model.example:8443""#;
    let values = browser.get("/values").await.text;
    assert!(values.contains(choice) && !values.contains("checked"), "{values}");

    browser.post("/values/dialogue", &[("say", "begin"), ("poll", "")]).await;
    let alone = browser.get("/values/dialogue").await.text;
    browser.post("/values/dialogue", &[("say", "tell"), ("tell", "model.example:8443")]).await;
    let told = browser.get("/values/dialogue").await.text;
    browser.post("/values/dialogue", &[("say", "tell")]).await;
    let no_more = browser.get("/values/dialogue").await.text;

    let takes_part = "The model at model.example:8443 takes part in this dialogue";
    assert!(
        alone.contains(choice) && alone.contains("is told nothing of it") && !alone.contains(takes_part),
        "{alone}"
    );
    assert!(told.contains(takes_part) && !told.contains(choice), "{told}");
    assert!(no_more.contains(choice) && !no_more.contains(takes_part), "{no_more}");
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_page_says_what_to_do() {
    let browser = Browser::enter().await;

    let page = browser.get("/chat").await.text;
    let asked = browser.post("/chat", &[("text", "Hello"), ("history", "")]).await;
    let odd = browser.post("/chat", &[("text", "Hello"), ("history", "[{")]).await;

    assert!(page.contains("No model is set up"));
    assert_eq!((asked.status, odd.status), (200, 400));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_opens_a_poll_and_cannot_end_it_early() {
    let browser = Browser::enter().await;
    browser.fixture.admit_self().await;

    let fields = [("question", "What now?"), ("items", "One\r\n\r\nTwo\r\n"), ("duration", "10"), ("unit", "minutes")];
    let opened = browser.post("/operate/open", &fields).await;
    assert_eq!(opened.header("location"), "/operate?said=opened", "{}", opened.text);

    let home = browser.get("/").await.text;
    assert!(home.contains("What now?") && home.contains("Start voting") && home.contains("0 of 2 decided"));
    let operate = browser.get("/operate").await.text;
    assert!(operate.contains("Voting ends by itself") && !operate.contains("Begin voting"));
    let bad = browser.post("/operate/open", &[("question", "?"), ("duration", "x"), ("unit", "days")]).await;
    assert_eq!(bad.status, 400);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_s_request_is_written_and_approved_on_the_page() {
    let browser = Browser::enter().await;
    assert!(browser.get("/").await.text.contains("You are not a member yet."));

    let codes = browser.post("/members/codes", &[("count", "2")]).await.text;
    let code = codes.split("<li><code>").nth(1).and_then(|rest| rest.split('<').next()).expect("a code");
    let written = browser.post("/members/request", &[("evidence", code), ("attribute-region", "north")]).await.text;
    let request =
        written.split("data-copy=\"Copy\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a request");
    let approved = browser.post("/members/approve", &[("request", request), ("attribute-region", "north")]).await;

    assert_eq!(approved.header("location"), "/members?said=approved", "{}", approved.text);
    let members = browser.get("/members").await.text;
    assert!(members.contains("You are a member") && members.contains("1 member"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_that_was_chosen_stays() {
    let mut browser = Browser::enter().await;

    let chosen = browser.post("/language", &[("language", "de"), ("back", "/polls?x=1")]).await;
    assert_eq!((chosen.status, chosen.header("location")), (303, "/polls?x=1"));
    let cookie = chosen.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    browser.cookie = format!("{}; {cookie}", browser.cookie);

    assert!(browser.get("/polls").await.text.contains("Es gibt noch keine Umfrage"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_out_is_out() {
    let browser = Browser::enter().await;

    let left = browser.post("/leave", &[]).await;

    assert_eq!((left.status, left.header("location")), (303, "/"));
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, 401);
    shut(browser).await;
}
