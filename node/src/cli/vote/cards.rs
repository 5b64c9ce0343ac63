//! `chorus vote POLL` without votes: one item after the other, as the node would show them on its page.
//!
//! Answers are kept until the end and leave as one ballot, together with those of the diary: a ballot replaces the
//! earlier one wholly.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

use chorus_protocol::id::BlobId;

use super::{Client, Failure};
use crate::api::view::{self, Choice};

/// What a person answers to an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    Vote(Choice),
    Skip,
    Done,
    Leave,
}

fn read(line: &str) -> Option<Said> {
    Some(match line.trim().to_ascii_lowercase().as_str() {
        "a" | "agree" => Said::Vote(Choice::Agree),
        "d" | "disagree" => Said::Vote(Choice::Disagree),
        "p" | "pass" => Said::Vote(Choice::Pass),
        "s" | "skip" | "" => Said::Skip,
        "v" | "vote" | "done" => Said::Done,
        "q" | "quit" => Said::Leave,
        _ => return None,
    })
}

/// Asks for a person's votes; none if they leave. Answers of the diary stay as they are.
pub(super) fn ask(
    client: &Client,
    poll: &str,
    topic: Option<&str>,
    (input, out): (&mut impl BufRead, &mut impl Write),
) -> anyhow::Result<Option<Vec<(String, Choice)>>> {
    let known: view::Poll = client.get(&format!("/polls/{poll}"))?;
    let mut votes: BTreeMap<BlobId, Choice> =
        known.items.iter().filter(|item| item.on_ballot).filter_map(|item| Some((item.id, item.own?))).collect();
    let mut skipped: Vec<BlobId> = Vec::new();
    writeln!(out, "{}", known.question)?;
    if !votes.is_empty() {
        writeln!(out, "You have answered {} of them; what you say now is added.", votes.len())?;
    }
    writeln!(out, "a agree · d disagree · p pass · s show it later · v vote with what you have said · q leave")?;
    loop {
        let next: view::Next = client.get(&path(poll, topic, &votes, &skipped))?;
        let Some(item) = next.item else { break };
        if next.left <= skipped.iter().filter(|id| !votes.contains_key(id)).count() && skipped.contains(&item.id) {
            // Only what was put off is left, and it has come round.
            skipped.clear();
        }
        writeln!(out, "\n{} left · {}", next.left, item.text)?;
        for cited in &item.prompts {
            writeln!(out, "    a model fails today: {:?} {}", cited.prompt, cited.failure)?;
        }
        match answer((input, out))? {
            Said::Vote(choice) => {
                votes.insert(item.id, choice);
                skipped.retain(|id| *id != item.id);
            }
            Said::Skip => skipped.push(item.id),
            Said::Done => break,
            Said::Leave => return Ok(None),
        }
    }
    if votes.is_empty() {
        return Err(Failure::Usage("there is nothing to vote on, or you have said nothing".into()).into());
    }
    Ok(Some(votes.into_iter().map(|(item, choice)| (item.to_string(), choice)).collect()))
}

fn path(poll: &str, topic: Option<&str>, votes: &BTreeMap<BlobId, Choice>, skipped: &[BlobId]) -> String {
    let list = |ids: &mut dyn Iterator<Item = &BlobId>| {
        ids.map(|id| id.to_string().chars().take(ID_DIGITS).collect::<String>()).collect::<Vec<_>>().join(",")
    };
    let topic = topic.map_or_else(String::new, |topic| format!("&topic={}", encoded(topic)));
    format!("/polls/{poll}/next?answered={}&skipped={}{topic}", list(&mut votes.keys()), list(&mut skipped.iter()))
}

/// Digits that name an item: 500 of them in a path stay within what a server reads.
const ID_DIGITS: usize = 12;

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn answer((input, out): (&mut impl BufRead, &mut impl Write)) -> io::Result<Said> {
    loop {
        write!(out, "> ")?;
        out.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Said::Leave);
        }
        match read(&line) {
            Some(said) => return Ok(said),
            None => writeln!(out, "a, d, p, s, v or q")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_letters_or_words_and_the_end_of_input_votes_for_nobody() {
        assert_eq!(read(" Agree\n"), Some(Said::Vote(Choice::Agree)));
        assert_eq!(
            ["d", "p", "", "v", "q", "x"].map(read),
            [
                Some(Said::Vote(Choice::Disagree)),
                Some(Said::Vote(Choice::Pass)),
                Some(Said::Skip),
                Some(Said::Done),
                Some(Said::Leave),
                None
            ]
        );
        let mut out = Vec::new();
        assert_eq!(answer((&mut &b"what?\na\n"[..], &mut out)).expect("read"), Said::Vote(Choice::Agree));
        assert_eq!(answer((&mut &b""[..], &mut out)).expect("read"), Said::Leave);
    }

    #[test]
    fn a_topic_is_one_value_of_the_query() {
        assert_eq!(encoded("a&b=é c"), "a%26b%3D%C3%A9%20c");
    }
}
