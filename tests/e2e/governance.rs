//! The rules change: operators ask, members vote, operators consent, and the rules hold from a height on.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::cli::{LOCAL, Person, RULES};

/// Four operators, who are the members as well, each at a node of its own.
pub(super) fn operators(folder: &TempDir) -> Vec<Person> {
    let (mut operators, keys): (Vec<Person>, Vec<String>) =
        (1..=4).map(|number| Person::public_key(folder, &format!("operator-{number}"))).unzip();
    let mut create = vec!["community", "create", "--name", "Quay", "--purpose", "To last"];
    keys.iter().for_each(|key| create.extend(["--operator", key]));
    create.extend(RULES);
    operators[0].ok(&create);
    let invite = operators[0].ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let mut addresses: Vec<String> = Vec::new();
    for operator in &mut operators {
        operator.ok(&["join", &invite]);
        let dial: Vec<&str> = addresses.iter().flat_map(|address| ["--dial", address.as_str()]).collect();
        let ready = operator.run(&[&LOCAL[..], &dial].concat());
        addresses.push(ready["addresses"][0].as_str().expect("an address").to_owned());
    }
    for operator in &operators {
        operator.until(&["status"], |status| status["operators_connected"] == 3);
        operator.admitted_by(&operators[0]);
    }
    operators.iter().for_each(|operator| {
        operator.until(&["status"], |status| status["members"] == 4);
    });
    operators
}

/// Asks the members for other rules, and returns the draft and the poll.
fn asked(operator: &Person, folder: &TempDir, rules: &str) -> (String, String) {
    let file = folder.path().join("rules.toml");
    fs::write(&file, rules).expect("written");
    let draft = operator.ok(&["community", "amend", "--rules", file.to_str().expect("text"), "--duration", "15s"]);
    let text = |name: &str| draft[name].as_str().expect("an id").to_owned();
    (text("draft"), text("poll"))
}

#[test]
fn rules_change_by_two_thirds_of_the_votes_and_the_consent_of_the_operators() {
    let folder = TempDir::new().expect("a folder");
    let operators = operators(&folder);
    let before = operators[0].ok(&["community", "show"]);
    assert_eq!((&before["policy"]["min_seen"], &before["consents_needed"]), (&5.into(), &3.into()));
    let wrong = folder.path().join("wrong.json");
    fs::write(&wrong, r#"{ "floor": 1 }"#).expect("written");
    let refused = ["community", "amend", "--duration", "15s", "--rules", wrong.to_str().expect("text")];
    assert_eq!(operators[0].fails(&refused), (2, "usage".into()), "such rules no community can have");

    let (lost, first) = asked(&operators[0], &folder, "min_seen = 6\n");
    let (carried, second) = asked(&operators[1], &folder, "min_seen = 7\nveto_millis = 1000\n");
    assert_eq!(operators[2].fails(&["community", "amend", "--approve", &lost]), (6, "refused".into()), "no result yet");
    for (operator, [one, two]) in
        operators.iter().zip([["agree"; 2], ["agree"; 2], ["disagree", "agree"], ["disagree"; 2]])
    {
        for (poll, choice) in [(&first, one), (&second, two)] {
            let is_open = |known: &Value| known["id"] == poll.as_str() && known["rounds"][0]["state"] == "open";
            operator.until(&["poll", "list"], |polls| polls.as_array().is_some_and(|all| all.iter().any(is_open)));
            operator.ok(&["vote", poll, &format!("1={choice}")]);
        }
    }
    for operator in &operators {
        for poll in [&first, &second] {
            operator.ok(&["result", poll, "--wait", "45s"]);
        }
    }

    // Two against two is below two thirds; three against one is not.
    assert_eq!(operators[0].fails(&["community", "amend", "--approve", &lost]), (6, "refused".into()));
    let height = operators[0].ok(&["community", "show"])["height"].as_u64().expect("a height");
    let at = (height + 16).to_string();
    let one = operators[0].ok(&["community", "amend", "--approve", &carried, "--at", &at]);
    assert_eq!(
        (one["stated"].as_array().map(Vec::len), one["amendments"].as_array().map(Vec::len)),
        (Some(1), Some(0))
    );
    for operator in &operators[1..3] {
        // The others state the height that the first one did.
        operator
            .until(&["community", "show"], |charter| charter["stated"].as_array().is_some_and(|all| !all.is_empty()));
        operator.ok(&["community", "amend", "--approve", &carried[..12]]);
    }

    for operator in &operators {
        let charter = operator.until(&["community", "show"], |charter| charter["amendments"][0]["in_force"] == true);
        assert_eq!((&charter["policy"]["min_seen"], &charter["policy"]["veto_millis"]), (&7.into(), &1000.into()));
        assert_eq!(charter["amendments"][0]["effective"].to_string(), at);
        assert_eq!(charter["amendments"][0]["draft"], carried.as_str());
    }
    let again = operators[3].fails(&["community", "amend", "--approve", &carried]);
    assert_eq!(again, (2, "usage".into()), "it has been adopted");
}
