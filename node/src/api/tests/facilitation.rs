//! Moderation, routing, similar statements, own statements and tables, as people ask for them.

use chorus_crypto::ballot::Vote;

use super::{classes::VOTING_MILLIS, *};
use crate::api::service::Table;

const TEXT: &str = "The assistant should ask which cleaners before it answers.";

impl Fixture {
    /// Opens a strict poll with two items of the operator, and proposes a third anonymously.
    async fn strict_poll(&self) -> String {
        let about_you = json!({ "text": "I live in the old town", "meta": true, "topic": "You" });
        let rules = json!({ "strict": true, "policy": "On topic." });
        let poll = json!({
            "question": "What should it do?", "items": ["Be brief"], "annotated": [about_you], "rules": rules
        });
        let (status, poll) = self.post("/polls", poll).await;
        assert_eq!((status, &poll["rules"]["strict"]), (200, &json!(true)), "{poll}");
        let path = format!("/polls/{}", poll["id"].as_str().expect("an id"));
        let prompts = json!([{ "prompt": "May I mix these?", "failure": "It says yes." }]);
        let item = json!({ "text": TEXT, "topic": "Safety", "prompts": prompts });
        let (status, proposed) = self.post(&format!("{path}/items"), json!({ "annotated": [item] })).await;
        assert_eq!((status, &proposed["open"]), (200, &json!(false)), "{proposed}");
        path
    }

    async fn table(&self, table: Table) -> Vec<csv::StringRecord> {
        let rows = self.service.table(table, None).await.expect("a table");
        csv::Reader::from_reader(rows.as_slice()).records().map(|row| row.expect("a row")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_poll_asks_what_an_operator_accepts_and_the_proposer_sees_what_becomes_of_it() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let path = fixture.strict_poll().await;
    let fate = async || fixture.get(&format!("{path}/mine")).await.1["statements"][2].clone();

    assert_eq!(fate().await["fate"], "waiting");
    let spam = json!({ "items": ["3"], "say": "reject", "category": "spam", "reason": "An advertisement." });
    let no_reason = json!({ "items": ["3"], "say": "reject", "category": "spam" });
    let no_category = json!({ "items": ["3"], "say": "reject", "reason": "Why not." });
    assert_eq!(fixture.post(&format!("{path}/moderate"), no_reason).await.0, 400);
    assert_eq!(fixture.post(&format!("{path}/moderate"), no_category).await.0, 400);
    assert_eq!(fixture.post(&format!("{path}/moderate"), spam).await.0, 200);
    let rejected = fate().await;
    assert_eq!((&rejected["fate"], &rejected["words"][0]["category"]), (&json!("rejected"), &json!("spam")));
    let (status, poll) = fixture.post(&format!("{path}/moderate"), json!({ "items": ["3"], "say": "accept" })).await;

    assert_eq!((status, &poll["items"][2]["state"]), (200, &json!("accepted")), "{poll}");
    assert_eq!((&poll["items"][2]["topic"], &poll["topics"]), (&json!("Safety"), &json!(["Safety", "You"])));
    assert_eq!(poll["items"][2]["prompts"][0]["failure"], "It says yes.");
    assert_eq!((&poll["items"][1]["meta"], &poll["items"][0]["meta"]), (&json!(true), &json!(false)));
    assert_eq!(fate().await["fate"], "next_round");
    let (_, log) = fixture.get("/moderation").await;
    let said: Vec<&Value> = log["words"].as_array().expect("words").iter().map(|word| &word["say"]).collect();
    assert_eq!((said, &log["needed"]), (vec![&json!("reject"), &json!("accept")], &json!(1)));
    assert_eq!(fixture.get(&format!("{path}/next")).await.0, 409, "no votes are taken yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proposes_is_told_what_says_the_same() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let path = fixture.strict_poll().await;
    let items = format!("{path}/items");

    let near = "The assistant should always ask which cleaners, before it answers";
    let (status, similar) = fixture.post(&format!("{path}/similar"), json!({ "text": near })).await;
    let (_, none) = fixture.post(&format!("{path}/similar"), json!({ "text": "Rents are too high" })).await;
    let same = fixture.post(&items, json!({ "items": [TEXT.to_uppercase()] })).await;
    let other = fixture.post(&items, json!({ "items": [near] })).await;
    let long = json!({ "annotated": [{ "text": "Short", "topic": "x".repeat(65) }] });

    assert_eq!((status, &similar[0]["text"], &similar[0]["same"]), (200, &json!(TEXT), &json!(false)));
    assert_eq!(none, json!([]));
    assert_eq!(same.0, 409, "it differs in nothing but case");
    assert_eq!((other.0, &other.1["similar"][0]["text"]), (200, &json!(TEXT)), "a warning, and no more");
    assert_eq!(fixture.post(&items, long).await.0, 400);
    let office = json!({ "items": [TEXT.to_uppercase()], "as_operator": true, "anyway": true });
    assert_eq!(fixture.post(&items, office).await.0, 200);
    let rules = fixture.post(&format!("{path}/rules"), json!({ "characters": 20 })).await;
    assert_eq!(
        (rules.0, &rules.1["rules"]["characters"], &rules.1["rules"]["strict"]),
        (200, &json!(20), &json!(true))
    );
    assert_eq!(fixture.post(&format!("{path}/rules"), json!({ "characters": 20 })).await.0, 409, "nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_come_in_turn_and_tables_have_no_row_per_person() {
    let fixture = Fixture::start().await;
    let others = fixture.admit(&[1, 1, 2, 2]).await;
    let path = fixture.strict_poll().await;
    fixture.post(&format!("{path}/moderate"), json!({ "items": ["3"], "say": "accept" })).await;
    let hostile = json!({ "items": ["=HYPERLINK(1)"], "as_operator": true });
    assert_eq!(fixture.post(&format!("{path}/items"), hostile).await.0, 200);
    let plan = json!({ "duration_millis": VOTING_MILLIS });
    let (status, poll) = fixture.post(&format!("{path}/rounds"), plan).await;
    assert_eq!((status, &poll["rounds"][0]["items"]), (200, &json!(4)), "{poll}");

    let mut answered: Vec<String> = Vec::new();
    for left in (1..=4).rev() {
        let query = format!("{path}/next?answered={}", answered.join(","));
        let ((_, next), (_, again)) = (fixture.get(&query).await, fixture.get(&query).await);
        assert_eq!((&next["left"], &next["item"]), (&json!(left), &again["item"]), "the same until it is answered");
        answered.push(next["item"]["number"].to_string());
    }
    let (_, done) = fixture.get(&format!("{path}/next?answered={}", answered.join(","))).await;
    assert_eq!((&done["left"], &done["item"]), (&json!(0), &Value::Null));
    let (_, safety) = fixture.get(&format!("{path}/next?topic=Safety&skipped=3")).await;
    assert_eq!((&safety["left"], &safety["item"]["text"]), (&json!(1), &json!(TEXT)), "what was put off comes last");
    answered.sort_unstable();
    assert_eq!(answered, ["1", "2", "3", "4"]);
    fixture.post(&format!("{path}/vote"), json!({ "votes": [["3", "agree"]] })).await;
    let (_, mine) = fixture.get(&format!("{path}/mine")).await;
    assert_eq!((&mine["changeable"], &mine["votes"][0]["choice"]), (&json!(true), &json!("agree")));
    assert_eq!(mine["statements"][2]["fate"], "asked");
    let all = [Vote::Disagree, Vote::Agree, Vote::Agree, Vote::Pass];
    fixture.others_vote(&poll["rounds"][0], others.iter().map(|leaf| (leaf, all.to_vec())).collect()).await;
    let result = fixture.result(&path).await;

    assert_eq!((&result["items"][1]["meta"], &result["items"][1]["total"]["agree"]), (&json!(true), &json!(4)));
    let principles = result["constitution"]["principles"].as_array().expect("a constitution");
    assert_eq!(principles.iter().map(|it| &it["text"]).collect::<Vec<_>>(), [TEXT], "what is about voters is none");
    let (_, mine) = fixture.get(&format!("{path}/mine")).await;
    let statement = &mine["statements"][2];
    assert_eq!((&statement["fate"], &statement["constitution"]), (&json!("principle"), &json!(1)), "{mine}");
    // Five people voted on four items: tables have four rows, or one.
    let [statements, groups, moderation, constitution] = [
        fixture.table(Table::Statements).await,
        fixture.table(Table::Groups).await,
        fixture.table(Table::Moderation).await,
        fixture.table(Table::Constitution).await,
    ];
    assert_eq!([statements.len(), groups.len(), moderation.len(), constitution.len()], [4, 0, 1, 1]);
    let row = |table: &[csv::StringRecord], at: usize| table[at].iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(row(&statements, 2)[3..12], [TEXT, "Safety", "false", "accepted", "5", "5", "0", "0", "0"]);
    assert_eq!(row(&statements, 3)[3], "'=HYPERLINK(1)");
    assert_eq!(row(&constitution, 0)[5..7], [TEXT, "A"]);
    let (_, unknown) = fixture.get("/export/ballots.csv").await;
    assert!(unknown["error"]["message"].as_str().is_some_and(|text| text.contains("statements.csv")), "{unknown}");
}
