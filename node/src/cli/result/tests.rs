use serde_json::json;

use super::*;

#[test]
fn the_lines_of_an_item_stay_in_their_column() {
    let tally = json!({ "agree": 3, "disagree": 0, "pass": 1 });
    let id = "00".repeat(32);
    let text_of_item = "Patience\nWaits until somebody is done\nPAUSES";
    let result = serde_json::from_value(json!({
        "poll": id, "question": "How?", "kind": "value", "round": id, "result": id, "ballots": 4, "needed": 2,
        "outcome": "map", "explained_variance": [0.5], "divisive": [],
        "items": [{ "number": 1, "id": id, "text": text_of_item, "total": tally, "groups": [tally], "consensus": null }],
        "groups": [{ "name": "A", "size": 4, "typical": [[1, "agree"]] }],
        "constitution": { "id": id, "version": 1, "name": "Choir", "purpose": "To sing",
            "principles": [{ "item": 1, "text": text_of_item, "groups": [tally] }] },
    }));

    let shown = text(&result.expect("a result"));

    let column = " ".repeat(29);
    let table =
        format!("    1      3        0     1  Patience\n{column}Waits until somebody is done\n{column}PAUSES\n");
    assert!(shown.contains(&table), "{shown}");
    assert!(shown.lines().all(|line| !line.starts_with("Waits") && !line.starts_with("PAUSES")), "{shown}");
}
