//! `chorus value articulate`: the guided dialogue at a terminal.
//!
//! Questions go to standard error and answers come from standard input, so that a script can hold the dialogue as well;
//! standard output gets what came of it.

use std::{
    io::{self, BufRead, Write as _},
    time::Duration,
};

use clap::Args;

use super::super::{Failure, Global, client::Client, output::Lines, values};
use super::{card_lines, poll_of};
use crate::{
    api::view::{self, Articulated, DialogueView, Speak},
    articulation::Step,
    diary::ValueCard,
};

/// How long a model may think about an answer.
const WAIT: Duration = Duration::from_secs(120);

const ROUTE: &str = "/values/dialogue";

/// The most bytes of a line that are read.
const MAX_LINE_BYTES: u64 = 16 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct Articulate {
    /// The value poll whose case it is about: its id or the beginning of it, or - for the only one.
    #[arg(long, value_name = "POLL", value_parser = values::poll)]
    case: Option<String>,
    /// Begin anew, instead of going on with the dialogue that is under way.
    #[arg(long)]
    restart: bool,
    /// Let the configured model take part in this dialogue although it is an endpoint elsewhere: all that you say in the
    /// dialogue goes there. Without this it is told nothing.
    #[arg(long)]
    tell_endpoint: bool,
    /// Tell the endpoint nothing more of this dialogue.
    #[arg(long, conflicts_with = "tell_endpoint")]
    tell_nobody: bool,
}

impl Articulate {
    pub(super) fn carry_out(self, client: &Client, global: &Global) -> anyhow::Result<()> {
        let poll = self.case.map(|poll| poll_of(client, &poll, view::Asks::Value)).transpose()?;
        let known: Articulated = client.get(ROUTE)?;
        let host = known.outside.as_ref().and_then(|model| model.host.clone()).filter(|_| self.tell_endpoint);
        if self.tell_endpoint && host.is_none() {
            return Err(Failure::Usage(
                "no endpoint is configured that could be told: see `chorus config list`".into(),
            )
            .into());
        }
        let answer = if known.dialogue.is_none() || self.restart {
            client.post(ROUTE, &Speak::Begin { poll, tell: host }, WAIT)?
        } else if self.tell_endpoint || self.tell_nobody {
            client.post(ROUTE, &Speak::Tell { host }, WAIT)?
        } else {
            known
        };
        let mut input = io::stdin().lock();
        let end = converse(client, answer, &mut input)?;
        global.output().print(&end, outcome)
    }
}

/// Asks and answers until there is a card, or nothing more is said.
fn converse(client: &Client, mut answer: Articulated, input: &mut impl BufRead) -> anyhow::Result<Articulated> {
    if let Some(model) = answer.dialogue.as_ref().and_then(|dialogue| dialogue.model.as_ref()) {
        writeln!(io::stderr(), "A model takes part, and is told what you say in this dialogue: {model}.")?;
    } else if let Some(host) = answer.outside.as_ref().and_then(|model| model.host.as_ref()) {
        writeln!(
            io::stderr(),
            "The model at {host} takes no part and is told nothing, unless you say --tell-endpoint."
        )?;
    }
    while let Some(dialogue) = answer.dialogue.clone() {
        ask(&dialogue)?;
        let Some(text) = read(input, takes_lines(&dialogue))? else { break };
        let Some(say) = understood(&dialogue, &text) else { break };
        match client.post(ROUTE, &say, WAIT) {
            Ok(next) => answer = next,
            // What cannot be taken is asked again; nothing has changed.
            Err(error) => match error.downcast::<crate::api::ApiError>() {
                Ok(refused) if refused.kind == crate::api::Kind::Invalid => {
                    writeln!(io::stderr(), "  {}", refused.message)?;
                }
                Ok(refused) => return Err(refused.into()),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(answer)
}

fn ask(dialogue: &DialogueView) -> io::Result<()> {
    let mut err = io::stderr().lock();
    let whose = if dialogue.follow_up { " (the model asks)" } else { "" };
    writeln!(err, "\n{}/{}{whose} {}", dialogue.number, dialogue.steps, dialogue.question)?;
    if dialogue.step == Step::Review {
        let mut lines = Lines::default();
        lines.line(format!("\n  {}", dialogue.card.title));
        card_lines(&mut lines, "  ", &dialogue.card);
        writeln!(err, "{}", lines.finish())?;
        writeln!(
            err,
            "  accept · back · discard · quit · title TEXT · instruction TEXT · attend TEXT · drop NUMBER (a line of the list)"
        )?;
    } else {
        let end = if takes_lines(dialogue) { "An empty line ends the answer." } else { "" };
        writeln!(
            err,
            "  {} {end}\n  (/back goes back, /quit stops here and keeps everything, /discard forgets it)",
            dialogue.hint
        )?;
        if let Some(suggested) = &dialogue.suggested {
            writeln!(err, "  If you say nothing:\n    {}", suggested.replace('\n', "\n    "))?;
        }
    }
    write!(err, "> ")?;
    err.flush()
}

fn takes_lines(dialogue: &DialogueView) -> bool {
    dialogue.step.is_telling() || dialogue.step == Step::Policies
}

/// Reads an answer: a line, or lines up to an empty one. Nothing at the end of the input.
fn read(input: &mut impl BufRead, lines: bool) -> Result<Option<String>, Failure> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        let refused = |source| Failure::File { path: "standard input".into(), source };
        let count = io::Read::take(&mut *input, MAX_LINE_BYTES).read_line(&mut line).map_err(refused)?;
        if count == 0 {
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        let is_command = text.is_empty() && line.starts_with('/');
        let is_end = line.trim().is_empty();
        text.push_str(&line);
        if !lines || is_end || is_command {
            return Ok(Some(text));
        }
    }
}

/// What somebody means; nothing if they stop here.
fn understood(dialogue: &DialogueView, text: &str) -> Option<Speak> {
    let text = text.trim();
    let command = if dialogue.step == Step::Review { Some(text) } else { text.strip_prefix('/') };
    let Some(command) = command else { return Some(Speak::Answer { text: text.to_owned() }) };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let (mut card, rest) = (dialogue.card.clone(), rest.trim());
    match word {
        "quit" => return None,
        "back" => return Some(Speak::Back),
        "discard" => return Some(Speak::Discard),
        _ if dialogue.step != Step::Review => return Some(Speak::Answer { text: text.to_owned() }),
        "accept" => return Some(Speak::Accept),
        "title" => card.title = rest.to_owned(),
        "instruction" => card.instruction = rest.to_owned(),
        "attend" => card.policies.push(rest.to_owned()),
        "drop" => drop_policy(&mut card, rest),
        // The node says what can be said.
        _ => return Some(Speak::Answer { text: text.to_owned() }),
    }
    Some(Speak::Edit { card })
}

fn drop_policy(card: &mut ValueCard, number: &str) {
    let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    if let Some(at) = at.filter(|at| *at < card.policies.len()) {
        card.policies.remove(at);
    }
}

fn outcome(end: &Articulated) -> String {
    let mut lines = Lines::default();
    match (&end.card, &end.dialogue) {
        (Some(card), _) => {
            lines.line(&card.title);
            card_lines(&mut lines, "  ", card);
            lines.line("").line(format!(
                "The card is in your diary. To propose it: `chorus value propose POLL \"{}\"`.",
                card.title
            ));
        }
        (None, Some(_)) => {
            lines.line("Everything is kept: `chorus value articulate` goes on here.");
        }
        (None, None) => {
            lines.line("Forgotten.");
        }
    }
    lines.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(step: Step) -> DialogueView {
        DialogueView {
            poll: None,
            case: String::new(),
            step,
            number: 1,
            steps: 7,
            question: String::new(),
            hint: String::new(),
            follow_up: false,
            suggested: None,
            turns: Vec::new(),
            card: ValueCard { title: "T".into(), instruction: "I".into(), policies: vec!["A".into(), "B".into()] },
            model: None,
        }
    }

    #[test]
    fn an_answer_ends_with_an_empty_line_or_the_end_and_commands_with_their_line() {
        let mut input = "one\ntwo\n\ntitle\n/back\nlast".as_bytes();
        let mut next = |lines| read(&mut input, lines).expect("read");

        assert_eq!(next(true).as_deref(), Some("one\ntwo\n\n"));
        assert_eq!(next(false).as_deref(), Some("title\n"));
        assert_eq!(next(true).as_deref(), Some("/back\n"));
        assert_eq!(next(true).as_deref(), Some("last"));
        assert_eq!(next(true), None);
    }

    #[test]
    fn commands_are_told_from_answers() {
        let say = |step, text: &str| understood(&dialogue(step), text);
        let edited = |text: &str| match say(Step::Review, text) {
            Some(Speak::Edit { card }) => (card.title, card.policies.join(",")),
            other => panic!("{other:?}"),
        };

        assert!(say(Step::Story, "/quit\n").is_none() && say(Step::Review, "quit").is_none());
        assert_eq!(say(Step::Story, "/back\n"), Some(Speak::Back));
        assert_eq!(say(Step::Story, "accept"), Some(Speak::Answer { text: "accept".into() }));
        assert_eq!(say(Step::Review, " accept "), Some(Speak::Accept));
        assert_eq!(edited("title New one"), ("New one".into(), "A,B".into()));
        assert_eq!(edited("attend C"), ("T".into(), "A,B,C".into()));
        assert_eq!(edited("drop 1").1, "B");
        assert_eq!(edited("drop 7").1, "A,B");
    }
}
