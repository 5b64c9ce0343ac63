//! A Polis conversation becomes a strict poll, members add to it, and operators moderate: one of them alone silences nothing.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{cli::Person, governance::operators};

const COMMENTS: &str = "timestamp,comment-id,author-id,agrees,disagrees,moderated,is-meta,topic,comment-body\n\
    1,0,0,3,1,1,false,Manners,Be kind\n\
    2,1,0,2,2,1,true,You,I live in the old town\n\
    3,2,1,0,4,-1,false,,Buy my boat\n";

fn with_text<'a>(poll: &'a Value, text: &str) -> &'a Value {
    let items = poll["items"].as_array().expect("items");
    items.iter().find(|item| item["text"] == text).unwrap_or(&Value::Null)
}

fn until_state(person: &Person, text: &str, state: &str) -> Value {
    person.until(&["poll", "show", "-"], |poll| with_text(poll, text)["state"] == state)
}

#[test]
fn a_polis_conversation_becomes_a_poll_that_four_operators_moderate() {
    let folder = TempDir::new().expect("a folder");
    let operators = operators(&folder);
    let export = folder.path().join("polis");
    fs::create_dir(&export).expect("a folder");
    fs::write(export.join("comments.csv"), COMMENTS).expect("written");
    fs::write(export.join("summary.csv"), "topic,What should it do?\n").expect("written");

    let import = ["polis", "import", export.to_str().expect("text"), "--strict", "--rejected"];
    let poll = operators[0].ok(&import);
    assert_eq!((&poll["question"], &poll["rules"]["strict"]), (&json!("What should it do?"), &json!(true)));
    assert_eq!(with_text(&poll, "I live in the old town")["meta"], true);
    assert_eq!(with_text(&poll, "Be kind")["topic"], "Manners");
    assert_eq!(with_text(&poll, "Buy my boat")["state"], "undecided", "one operator alone rejects nothing");

    // A member adds a statement, with a prompt; the fourth operator wants it gone, and the third accepts it.
    operators[1].until(&["poll", "list"], |polls| polls[0]["item_count"] == 3);
    let text = "Ask which cleaners before you answer";
    let prompt = ["--prompt", "May I mix these?", "--failure", "It says yes."];
    let proposed = operators[1].ok(&[&["propose", "-", text], &prompt[..]].concat());
    let id = with_text(&proposed, text)["id"].as_str().expect("an id").to_owned();
    assert_eq!((&proposed["open"], &with_text(&proposed, text)["asked"]), (&json!(false), &json!(false)));
    until_state(&operators[3], text, "undecided");
    let why = ["--category", "other", "--reason", "I do not like it."];
    operators[3].ok(&[&["moderate", "reject", "-", &id], &why[..]].concat());
    until_state(&operators[2], text, "undecided");
    operators[2].ok(&["moderate", "accept", "-", &id]);
    let mine = until_state(&operators[1], text, "accepted")["mine"]["statements"][0].clone();
    assert_eq!((&mine["fate"], &mine["open"]), (&json!("next_round"), &json!(false)));
    let boat = with_text(&poll, "Buy my boat")["id"].as_str().expect("an id").to_owned();
    let why = ["--category", "spam", "--reason", "An advertisement."];
    operators[1].ok(&[&["moderate", "reject", "-", &boat], &why[..]].concat());
    until_state(&operators[2], "Buy my boat", "rejected");
    assert_eq!(operators[2].fails(&["moderate", "reject", "-", &id, "--category", "spam"]), (2, "usage".into()));

    let poll = operators[2].ok(&["poll", "open", "-", "--vote", "--duration", "15s"]);
    assert_eq!(poll["rounds"][0]["items"], 3, "what is rejected is not asked");
    for operator in &operators {
        operator.until(&["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open");
        operator.ok(&["vote", "-", "1=agree", "2=agree", "3=pass"]);
    }
    let result = operators[0].ok(&["result", "-", "--wait", "45s"]);
    assert_eq!(result["ballots"], 4);
    let words = operators[3].ok(&["moderate", "list"]);
    assert_eq!((words["words"].as_array().map(Vec::len), &words["needed"]), (Some(4), &json!(2)));
    let tables = folder.path().join("tables");
    operators[0].ok(&["export", tables.to_str().expect("text"), "--csv"]);
    let rows = |name: &str| fs::read_to_string(tables.join(name)).expect("a table").lines().count() - 1;
    assert_eq!((rows("statements.csv"), rows("moderation.csv")), (4, 4), "a row for each item, and for each word");
    let bundle = folder.path().join("bundle");
    operators[0].ok(&["export", bundle.to_str().expect("text")]);
    operators[0].ok(&["verify", bundle.to_str().expect("text")]);
}
