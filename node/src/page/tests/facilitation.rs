//! What an operator does with a poll after it is open, and what members write in forms.

use serde_json::json;

use super::{Browser, shut};
use crate::{
    chat::outside::stub::{END, Stub, streamed},
    config::settings::Name,
};

/// Returns the path of the operator's page about a poll.
fn operators(poll: &str) -> String {
    format!("/operate{poll}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_an_open_poll_are_changed_on_the_page() {
    let (browser, poll) = Browser::voting(&["Be kind", "Be brief"]).await;
    let rules = [("strict", "1"), ("items_per_member", "3"), ("characters", "200"), ("policy", "No advertising")];

    let stated = browser.post(&format!("{}/rules", operators(&poll)), &rules).await;
    let again = browser.post(&format!("{}/rules", operators(&poll)), &rules).await;
    let odd = browser.post(&format!("{}/rules", operators(&poll)), &[("characters", "many")]).await;

    assert!(stated.header("location").ends_with("?said=rules_stated"), "{}", stated.text);
    let page = browser.get(&operators(&poll)).await.text;
    assert!(page.contains("<dd>200</dd>") && page.contains("<dd>3</dd>") && page.contains("No advertising"));
    assert!(page.contains("Strict: a statement is asked only once an operator has accepted it."));
    assert!(page.contains("Voting ends by itself"));
    assert_eq!((again.status, odd.status), (409, 400));
    assert!(again.text.contains("these are the rules in force"));
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_written_on_lines_and_in_forms_and_cards_are_merged() {
    let browser = Browser::enter().await;
    browser.fixture.admit_self().await;
    let lines = "Patience: Waits for words | MOMENTS of doubt\r\nWaiting: Waits for the words | MOMENTS of doubts";
    let values = [("question", "What matters?"), ("kind", "value"), ("items", lines), ("unit", "days")];
    let opened = browser.post("/operate/open", &values).await;
    assert_eq!(opened.header("location"), "/operate?said=opened", "{}", opened.text);
    let (_, polls) = browser.fixture.get("/polls").await;
    let poll = polls[0]["id"].as_str().expect("an id").to_owned();

    let card = [("title", "Candour"), ("instruction", "Says what is so"), ("policies", "HOPES that are false")];
    let proposed = browser.post(&format!("/polls/{poll}/propose"), &card).await;
    assert_eq!(proposed.header("location"), format!("/polls/{poll}?said=proposed"), "{}", proposed.text);
    let (_, cards) = browser.fixture.get("/values/cards").await;
    let id = |title: &str| {
        let card = cards.as_array().expect("cards").iter().find(|card| card["title"] == title);
        card.and_then(|card| card["id"].as_str()).expect("a card").to_owned()
    };
    let (one, other) = (id("Patience"), id("Waiting"));
    let merge = [("one", one.as_str()), ("other", other.as_str()), ("into", one.as_str())];
    let silent = browser.post("/operate/cards", &merge).await;
    let said = browser.post("/operate/cards", &[merge.as_slice(), &[("reason", "The same")]].concat()).await;

    assert_eq!(silent.status, 400, "a word without a reason");
    assert_eq!(said.header("location"), "/operate/cards?said=card_stated", "{}", said.text);
    let (_, cards) = browser.fixture.get("/values/cards").await;
    let merged = cards.as_array().expect("cards").iter().find(|card| card["id"] == other.as_str()).expect("the card");
    assert_eq!(merged["into"], one.as_str());
    let (page, log) = (browser.get("/operate/cards").await.text, browser.get("/moderation").await.text);
    assert!(page.contains("The same") && log.contains("The same") && log.contains("→ <bdi>Patience</bdi>"), "{log}");
    let change = [("from", one.as_str()), ("to", &id("Candour")), ("where", "Grief"), ("story", "They learned")];
    let moves = json!({ "question": "Wiser?", "context": "Grief", "kind": "transition", "items": [] });
    let (_, moves) = browser.fixture.post("/polls", moves).await;
    let told = browser.post(&format!("/polls/{}/propose", moves["id"].as_str().expect("an id")), &change).await;
    assert!(told.header("location").ends_with("?said=proposed"), "{}", told.text);
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cited_prompt_stands_beside_its_statement_until_the_model_was_asked() {
    let browser = Browser::enter().await;
    browser.fixture.admit_self().await;
    let cites = json!({ "text": "Ask back", "prompts": [{ "prompt": "Why is it flat?", "failure": "It guesses" }] });
    let poll = json!({ "question": "What now?", "items": [], "annotated": [cites] });
    let (status, poll) = browser.fixture.post("/polls", poll).await;
    assert_eq!(status, 200, "{poll}");

    let page = browser.get(&format!("/polls/{}", poll["id"].as_str().expect("an id"))).await.text;

    assert!(page.contains("1 prompt where today’s model fails") && page.contains("Why is it flat?"));
    assert!(page.contains("The model has not been asked yet."));
    assert!(page.contains("<noscript>"), "without script, numbers stay as they were");
    shut(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_model_is_configured_the_page_talks_with_it_and_says_where_it_computes() {
    let browser = Browser::enter().await;
    let answer = streamed(&["It may ", "be the starter."], END);
    let stub = Stub::start(vec![answer]);
    browser.fixture.set(Name::ModelUrl, &stub.url());
    browser.fixture.set(Name::ModelName, "baker");
    browser.fixture.set(Name::ModelProvider, "outside");

    let page = browser.get("/chat").await.text;
    let asked = browser.post("/chat", &[("text", "Why is it flat?"), ("history", ""), ("constitution", "1")]).await;

    assert!(page.contains("data-chat") && page.contains("baker") && page.contains(&stub.address.to_string()), "{page}");
    assert!(asked.text.contains("It may be the starter.") && asked.text.contains("Why is it flat?"), "{}", asked.text);
    shut(browser).await;
}
