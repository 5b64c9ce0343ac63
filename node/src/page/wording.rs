//! How items are written in forms: values cards and moves between them in fields or on a line, statements as they are.

use serde_json::json;

use super::guard::Fields;
use crate::api::view::Asks;

/// Returns the item on a line of an operator's form.
///
/// ```text
/// value        Title: what an AI does that holds it | what it pays attention to | …
/// transition   Title of one card -> Title of another: their story
/// ```
///
/// A line that is written in another form goes to the service as it is.
pub(super) fn of_line(kind: Asks, line: &str) -> String {
    let item = match kind {
        Asks::Value if !line.starts_with('{') => value(line),
        Asks::Transition if !line.starts_with('{') => transition(line),
        Asks::Statement | Asks::Value | Asks::Transition | Asks::Amendment => None,
    };
    item.unwrap_or_else(|| line.to_owned())
}

fn value(line: &str) -> Option<String> {
    let (title, rest) = line.split_once(':')?;
    let mut parts = rest.split('|').map(str::trim).filter(|part| !part.is_empty());
    let instruction = parts.next()?;
    let policies: Vec<&str> = parts.collect();
    Some(json!({ "title": title.trim(), "instruction": instruction, "policies": policies }).to_string())
}

fn transition(line: &str) -> Option<String> {
    let (from, rest) = line.split_once("->").or_else(|| line.split_once('→'))?;
    let (to, story) = rest.split_once(':').unwrap_or((rest, ""));
    Some(json!({ "from": from.trim(), "to": to.trim(), "context": "", "story": story.trim() }).to_string())
}

/// Returns the item of a form for one of this kind.
pub(super) fn of_form(kind: Asks, fields: &Fields) -> String {
    match kind {
        Asks::Value => {
            let lines = fields.text("policies").lines().map(str::trim).filter(|line| !line.is_empty());
            let policies: Vec<&str> = lines.collect();
            json!({ "title": fields.text("title"), "instruction": fields.text("instruction"), "policies": policies })
                .to_string()
        }
        Asks::Transition => json!({
            "from": fields.text("from"),
            "to": fields.text("to"),
            "context": fields.text("where"),
            "story": fields.text("story"),
        })
        .to_string(),
        Asks::Statement | Asks::Amendment => fields.text("text").replace("\r\n", "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_card_a_move_or_stays_as_it_is() {
        let card = of_line(Asks::Value, "Patience: Waits until they spoke | MOMENTS of doubt | PAUSES");
        let step = of_line(Asks::Transition, "Cheer up -> Patience: They learned to wait: slowly");

        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(
            parsed(&card),
            json!({"title": "Patience", "instruction": "Waits until they spoke", "policies": ["MOMENTS of doubt", "PAUSES"]})
        );
        assert_eq!(
            parsed(&step),
            json!({"from": "Cheer up", "to": "Patience", "context": "", "story": "They learned to wait: slowly"})
        );
        for (kind, line) in [
            (Asks::Statement, "It waits: always"),
            (Asks::Value, "Patience"),
            (Asks::Value, "{\"title\": 1}"),
            (Asks::Transition, "Patience"),
        ] {
            assert_eq!(of_line(kind, line), line);
        }
    }
}
