//! From a person's words to a published moral graph, over real nodes and the command line.

use std::{
    fs,
    io::Write as _,
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli::{LOCAL, Person, RULES};

const CARE: &str = r#"{"title": "Care", "instruction": "Comfort people.", "policies": ["TEARS"]}"#;
const SOLACE: &str = r#"{"title": "Solace", "instruction": "Comfort people who cry.", "policies": ["TEARS"]}"#;

/// Three people: the first is the operator, too.
fn people(folder: &TempDir) -> [Person; 3] {
    let mut people = ["founder", "ada", "bo"].map(|name| Person::public_key(folder, name).0);
    people[0].ok(&[&["community", "create", "--name", "Quay", "--purpose", "To last"], &RULES[..]].concat());
    people[0].run(&LOCAL);
    let invite = people[0].ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    for person in &mut people[1..] {
        person.ok(&["join", &invite]);
        person.run(&LOCAL);
        person.until(&["status"], |status| status["operators_connected"] == 1);
    }
    people.iter().for_each(|person| person.admitted_by(&people[0]));
    people.iter().for_each(|person| {
        person.until(&["status"], |status| status["members"] == 3);
    });
    people
}

/// Holds the dialogue about the case, with these answers on standard input.
fn articulates(person: &Person, poll: &str, answers: &str) -> Output {
    let mut command = person.command(&["value", "articulate", "--case", poll]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    child.stdin.take().expect("piped").write_all(answers.as_bytes()).expect("read");
    child.wait_with_output().expect("ends")
}

fn id(poll: &Value) -> String {
    poll["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_value_that_somebody_found_words_for_becomes_a_node_of_the_moral_graph() {
    let folder = TempDir::new().expect("a folder");
    let people = people(&folder);
    let [founder, ada, bo] = &people;
    let values = id(&founder.ok(&[
        "poll",
        "open",
        "--kind",
        "value",
        "--question",
        "Somebody cries.",
        "--item",
        CARE,
        "--item",
        SOLACE,
    ]));
    ada.until(&["poll", "list"], |polls| polls[0]["id"] == values.as_str());

    // Ada stops in the middle, goes on later, and proposes her card; nobody learns that it is hers.
    let begun = articulates(ada, "-", "Stay with them\n\nMy aunt stayed\n\n");
    assert!(begun.status.success() && String::from_utf8_lossy(&begun.stdout).contains("\"step\": \"attention\""));
    let ended = articulates(ada, "-", "SILENCE that is shared\n\n\nPresence\nBe with people.\nattend BREATH\naccept\n");
    let card: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!(card["card"]["policies"], json!(["SILENCE that is shared", "BREATH"]), "{ended:?}");
    let proposed = ada.ok(&["value", "propose", "-", "Presence"]);
    assert_eq!((&proposed["open"], &proposed["item_count"]), (&false.into(), &3.into()));
    founder.until(&["value", "list", "-"], |cards| cards.as_array().is_some_and(|cards| cards.len() == 3));
    let merged = founder.ok(&["value", "merge", "Solace", "Care", "--reason", "The same in other words"]);
    assert_eq!(merged["word"]["reason"], "The same in other words");

    // The operator seeds stories; both polls are voted on at once.
    let stories = folder.path().join("stories");
    let story = |from, context| json!({ "from": from, "to": "Presence", "context": context, "story": "They stayed." });
    let lines = [story("Care", "When somebody mourns"), story("Solace", "When somebody is ill")];
    fs::write(&stories, lines.map(|line| format!("{line}\n")).concat()).expect("written");
    let stories = stories.to_str().expect("text");
    let asks =
        ["poll", "open", "--kind", "transition", "--question", "Wiser?", "--items", stories, "--duration", "20s"];
    founder.ok(&["poll", "open", &values, "--vote", "--duration", "20s"]);
    let wiser = id(&founder.ok(&asks));
    for person in &people {
        let is_open = |poll: &Value| poll["rounds"][0]["state"] == "open";
        person.until(&["poll", "list"], |polls| {
            polls.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(is_open))
        });
    }
    let next = bo.ok(&["value", "wiser", "-"]);
    assert_eq!((next["transitions"].as_array().map(Vec::len), &next["cards"]), (Some(2), &Value::Null));
    bo.ok(&["value", "vote", "-", "Presence=yes", "Care=no"]);
    let again = bo.ok(&["value", "vote", "-", "Solace=unsure"]);
    assert_eq!(
        (&again["votes"], &again["own"]["sequence"]),
        (&3.into(), &1.into()),
        "what was said before still counts"
    );
    ada.ok(&["value", "vote", &values, "Presence=yes"]);
    for person in &people {
        person.ok(&["value", "wiser", &wiser, "1=yes", "2=yes"]);
    }
    assert_eq!(bo.fails(&["value", "wiser", &values, "1=yes"]), (2, "usage".into()), "that poll asks about cards");
    for poll in [&values, &wiser] {
        people.iter().for_each(|person| {
            person.ok(&["result", poll, "--wait", "45s"]);
        });
    }

    // Everybody's node makes the same bytes.
    let graphs =
        people.each_ref().map(|person| person.command(&["moral-graph", "--json"]).output().expect("runs").stdout);
    assert!(graphs[0] == graphs[1] && graphs[1] == graphs[2], "{}", String::from_utf8_lossy(&graphs[0]));
    let graph: Value = serde_json::from_slice(&graphs[0]).expect("JSON");
    let titles: Vec<&Value> = graph["values"].as_array().into_iter().flatten().map(|value| &value["title"]).collect();
    assert!(titles.len() == 2 && titles.contains(&&json!("Care")) && titles.contains(&&json!("Presence")), "{graph:#}");
    let edge = &graph["edges"][0];
    assert_eq!((&edge["counts"]["markedWiser"], graph["edges"].as_array().map(Vec::len)), (&6.into(), Some(1)));
    assert_eq!(edge["contexts"], json!(["When somebody is ill", "When somebody mourns"]));
    let presence = graph["values"].as_array().into_iter().flatten().find(|value| value["title"] == "Presence");
    assert_eq!(presence.map(|value| &value["votes"]), Some(&2.into()));

    let unmerged = ada.ok(&["moral-graph", "--unmerged", "--case", "-"]);
    assert_eq!(unmerged["edges"].as_array().map(Vec::len), Some(2));
    let ill = ada.ok(&["moral-graph", "--context", "When somebody is ill", "--rule", "democratic-fine-tuning"]);
    assert_eq!(ill["edges"][0]["counts"]["markedWiser"], 3);
    assert_eq!(ada.fails(&["moral-graph", "--context", "Nowhere"]), (2, "usage".into()));
    let svg = folder.path().join("graph.svg");
    ada.ok(&["moral-graph", "--svg", svg.to_str().expect("text")]);
    assert!(
        fs::read_to_string(&svg)
            .expect("written")
            .contains("From &quot;Care&quot; to &quot;Presence&quot; is wiser, say 6 of 6")
    );
}
