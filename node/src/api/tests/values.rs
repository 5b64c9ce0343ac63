//! Values over the interface: the dialogue, cards and transitions as items, merges, the graph.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Fixture;
use crate::{
    articulation::Interviewer,
    chat::{
        outside::stub::{END, Stub, streamed},
        tests::model_folder,
    },
    config::settings::Name,
    model::chat::Message,
};

/// Opens a value poll with three cards, and a transition poll between them. Returns their ids.
async fn seed(fixture: &Fixture) -> (String, String) {
    fixture.admit_self().await;
    let card = |title: &str| json!({ "title": title, "instruction": "Do good", "policies": ["DOUBT"] }).to_string();
    let values = json!({
        "kind": "value", "question": "A girl asks about an abortion.", "context": "She is 16.",
        "items": [card("Care"), card("Room to grow"), card("Taking care")]
    });
    let (status, values) = fixture.post("/polls", values).await;
    assert_eq!((status, values["items"].as_array().map(Vec::len)), (200, Some(3)), "{values}");
    let from = values["items"][0]["id"].as_str().expect("an id")[..8].to_owned();
    let transitions = json!({
        "kind": "transition", "question": "Did they become wiser?", "context": "When <young>",
        "items": [json!({ "from": from, "to": "room to GROW", "story": "They saw her." }).to_string()]
    });
    let (status, transitions) = fixture.post("/polls", transitions).await;
    assert_eq!(status, 200, "{transitions}");
    let id = |poll: &Value| poll["id"].as_str().expect("an id").to_owned();
    (id(&values), id(&transitions))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seeded_is_shown_and_what_is_no_card_or_transition_is_refused() {
    let fixture = Fixture::start().await;
    let (values, transitions) = seed(&fixture).await;

    let (_, cards) = fixture.get(&format!("/values/cards?poll={values}")).await;
    let (_, shown) = fixture.get("/values/transitions").await;
    let (_, next) = fixture.get(&format!("/values/next?poll={transitions}")).await;
    let (_, some) = fixture.get(&format!("/values/next?poll={values}&count=2")).await;

    assert_eq!((&cards[1]["title"], &cards[1]["number"]), (&json!("Room to grow"), &json!(2)));
    let [shown, next] = [&shown[0], &next["transitions"][0]];
    assert_eq!((&shown["from"]["title"], &shown["to"]["title"]), (&json!("Care"), &json!("Room to grow")));
    assert_eq!((&shown["context"], &shown["story"]), (&json!("When <young>"), &json!("They saw her.")));
    assert_eq!((&next["id"], &some["cards"].as_array().map(Vec::len)), (&shown["id"], &Some(2)));
    for (poll, item) in [
        (&values, "Be kind".to_owned()),
        (&values, json!({ "title": "T" }).to_string()),
        (&values, json!({ "title": "T", "instruction": "I\u{202e}" }).to_string()),
        (&transitions, "Be kind".to_owned()),
        (&transitions, json!({ "from": "Care", "to": "Nobody" }).to_string()),
        (&transitions, json!({ "from": "Care", "to": "care" }).to_string()),
    ] {
        let (status, answer) = fixture.post(&format!("/polls/{poll}/items"), json!({ "items": [item] })).await;
        assert_eq!((status, &answer["error"]["kind"]), (400, &json!("invalid")), "{item}: {answer}");
    }
    assert_eq!(fixture.get(&format!("/values/cards?poll={transitions}")).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_merge_cards_with_a_reason_and_the_graph_is_asked_for() {
    let fixture = Fixture::start().await;
    let (values, _) = seed(&fixture).await;
    let merge = |into: &str, reason: &str| json!({ "card": "Taking care", "into": into, "reason": reason });

    let (_, similar) = fixture.get("/values/similar").await;
    let silent = fixture.post("/values/merge", merge("Care", " ")).await;
    let itself = fixture.post("/values/merge", merge("Taking care", "Why not")).await;
    let merged = fixture.post("/values/merge", merge("Care", "The same in other words")).await;
    let alone = fixture.post("/values/canonical", json!({ "card": "Taking care", "reason": "After all not" })).await;

    assert!(similar[0]["near"].as_f64().is_some_and(|near| near > 0.3), "{similar}");
    assert_eq!((silent.0, itself.0), (409, 409));
    assert_eq!((merged.0, &merged.1["word"]["reason"]), (200, &json!("The same in other words")), "{merged:?}");
    assert!(merged.1["into"].is_string() && alone.1["into"].is_null(), "{alone:?}");
    let (status, graph) = fixture.get(&format!("/moral-graph?case={values}&rule=democratic-fine-tuning")).await;
    assert_eq!((status, &graph["rule"], &graph["edges"]), (200, &json!("democratic-fine-tuning"), &json!([])));
    assert_eq!(fixture.get("/moral-graph?rounds=1").await.1["error"]["kind"], "invalid");
    assert_eq!(fixture.get("/moral-graph?context=nowhere").await.1["error"]["kind"], "invalid");
}

/// A model that asks once, and then suggests a card.
#[derive(Debug)]
struct Curious;

impl Interviewer for Curious {
    fn say<'a>(&'a self, conversation: &'a [Message]) -> BoxFuture<'a, Option<String>> {
        let told = conversation.iter().map(|message| message.content.as_str()).collect::<String>();
        let says = if told.contains("Write one card") {
            "Value: Seeing\nInstruction: See people.\nAttend to: EYES"
        } else if told.matches("Answer:").count() == 1 {
            "What did you see?"
        } else {
            "READY"
        };
        Box::pin(async move { Some(says.to_owned()) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialogue_with_a_model_ends_in_a_card_that_only_the_diary_has() {
    let fixture = Fixture::start().await;
    let (values, _) = seed(&fixture).await;
    fixture.service.set_interviewer(Some(Arc::new(Curious)));
    let say = |text: &str| fixture.post("/values/dialogue", json!({ "say": "answer", "text": text }));
    assert_eq!(say("Too early").await.0, 409);

    let (_, begun) = fixture.post("/values/dialogue", json!({ "say": "begin", "poll": values })).await;
    let (_, asked) = say("See her").await;
    say("Her hands").await;
    say("My aunt").await;
    let (_, suggested) = say("Her eyes").await;
    let wrong = say(&"x".repeat(500)).await;
    for text in ["", "", ""] {
        say(text).await;
    }
    let (_, kept) = fixture.get("/values/dialogue").await;
    let edit =
        json!({ "say": "edit", "card": { "title": "Sight", "instruction": "See people.", "policies": ["EYES"] } });
    fixture.post("/values/dialogue", edit).await;
    let (_, done) = fixture.post("/values/dialogue", json!({ "say": "accept" })).await;

    assert!(begun["dialogue"]["question"].as_str().is_some_and(|it| it.contains("abortion.\nShe is 16.")), "{begun}");
    assert_eq!((&asked["dialogue"]["follow_up"], &asked["dialogue"]["step"]), (&json!(true), &json!("case")));
    assert_eq!(
        (&suggested["dialogue"]["step"], &suggested["dialogue"]["suggested"]),
        (&json!("policies"), &json!("EYES"))
    );
    assert_eq!((wrong.0, &wrong.1["error"]["kind"]), (400, &json!("invalid")));
    assert_eq!((&kept["dialogue"]["step"], &kept["dialogue"]["card"]["title"]), (&json!("review"), &json!("Seeing")));
    assert_eq!(done["card"]["title"], "Sight");
    let (_, diary) = fixture.get("/diary").await;
    assert_eq!(diary["cards"][0], done["card"]);
    assert_eq!(fixture.get("/values/dialogue").await.1, json!({}));
    let (_, cards) = fixture.get("/values/cards").await;
    assert_eq!(cards.as_array().map(Vec::len), Some(3), "nothing has left");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_elsewhere_is_told_of_a_dialogue_only_while_its_owner_says_so() {
    let fixture = Fixture::start().await;
    let folder = model_folder();
    let [stub, other] = [1, 0].map(|answers| Stub::start(vec![streamed(&["What ", "else?"], END); answers]));
    let host = stub.address.to_string();
    let say = |said: Value| fixture.post("/values/dialogue", said);
    let answer = |text: &str| say(json!({ "say": "answer", "text": text }));
    let tell = |host: Option<&str>| say(json!({ "say": "tell", "host": host }));
    fixture.set(Name::ModelUrl, &stub.url());
    fixture.set(Name::ModelName, "large");
    fixture.set(Name::ModelProvider, "outside");

    let (_, begun) = say(json!({ "say": "begin" })).await;
    let (_, alone) = answer("See her").await;
    let endpoint = json!({ "provider": "outside", "host": host, "model": "large" });
    assert_eq!((&begun["outside"], &begun["dialogue"]["model"]), (&endpoint, &Value::Null), "named, and not told");
    assert_eq!((&alone["dialogue"]["step"], &alone["dialogue"]["follow_up"]), (&json!("story"), &json!(false)));
    assert!(stub.knows_nothing());

    let wrong = tell(Some(&other.address.to_string())).await;
    assert_eq!((wrong.0, &wrong.1["error"]["kind"]), (400, &json!("invalid")));
    let (_, told) = tell(Some(&host)).await;
    let (_, asked) = answer("Her hands").await;
    assert_eq!(told["dialogue"]["model"], endpoint);
    assert_eq!((&asked["dialogue"]["question"], &asked["dialogue"]["follow_up"]), (&json!("What else?"), &json!(true)));
    assert!(stub.asked().contains("Her hands"));

    tell(None).await;
    let (_, alone) = answer("My aunt").await;
    assert_eq!((&alone["dialogue"]["model"], &alone["dialogue"]["step"]), (&Value::Null, &json!("attention")));
    // What one host may know, another that is configured later may not; nor does the next dialogue begin with it.
    tell(Some(&host)).await;
    fixture.set(Name::ModelUrl, &other.url());
    let (_, alone) = answer("Her eyes").await;
    assert_eq!((&alone["dialogue"]["model"], &alone["dialogue"]["step"]), (&Value::Null, &json!("policies")));
    assert!(stub.knows_nothing() && other.knows_nothing());
    fixture.set(Name::ModelUrl, &stub.url());
    assert_eq!(say(json!({ "say": "begin" })).await.1["dialogue"]["model"], Value::Null);
    let (_, begun) = say(json!({ "say": "begin", "tell": host })).await;
    assert_eq!(begun["dialogue"]["model"], endpoint);

    fixture.set(Name::ModelPath, folder.path().to_str().expect("text"));
    fixture.set(Name::ModelProvider, "local");
    let (_, here) = say(json!({ "say": "begin" })).await;
    assert_eq!((&here["dialogue"]["model"]["provider"], &here["outside"]), (&json!("local"), &Value::Null));
    fixture.service.node().clone().shutdown().await;
}
