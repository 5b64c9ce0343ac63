//! `chorus chat`: talking with the community's model.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    ops::ControlFlow,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde::Serialize;

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, many},
    values,
};
use crate::{
    api::{ApiError, Kind, view},
    chat::{About, Answer, Event, Label, Step, Verdict, answer::Place, cases::MAX_PROMPTS},
    model::chat::{Message, Role},
};

/// How long a node may take over one prompt of `--cases`: two answers.
const CASE: Duration = Duration::from_secs(2 * 20 * 60);

#[derive(Debug, Args)]
pub(super) struct Chat {
    /// What to ask; `-` reads it from standard input [default: a conversation].
    question: Option<String>,
    /// Ask the model as it is, too: what it says without constitution and adapter stands before what it says with them.
    #[arg(long)]
    compare: bool,
    /// No constitution governs.
    #[arg(long)]
    no_constitution: bool,
    /// Leave the community's adapter away.
    #[arg(long)]
    no_adapter: bool,
    /// Show the answer alone, and not the steps to it.
    #[arg(long)]
    brief: bool,
    /// The most tokens of an answer.
    #[arg(long, value_name = "NUMBER")]
    max_tokens: Option<u32>,
    /// From 0, the likeliest words, to 2.
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f64>,
    /// Put each line of a file to the model as it is and with constitution and adapter, and keep what it says: prompts at which
    /// today's models fail.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["question", "compare", "no_constitution", "no_adapter", "max_tokens", "temperature"])]
    cases: Option<PathBuf>,
    /// With --cases: ask again what was asked before.
    #[arg(long, requires = "cases")]
    again: bool,
    /// Print what existing chat clients need, as lines for a shell: `eval "$(chorus chat --environment)"`.
    #[arg(long, conflicts_with_all = ["question", "compare", "cases"])]
    environment: bool,
}

/// What came of `--compare`.
#[derive(Serialize)]
struct Compared {
    before: Answer,
    after: Answer,
}

impl Chat {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        if self.environment {
            return environment(global, &client);
        }
        if let Some(path) = &self.cases {
            return self.cases(global, &client, path);
        }
        match self.question.as_deref() {
            Some(question) => {
                let question = if question == "-" { io::read_to_string(io::stdin())? } else { question.to_owned() };
                self.turn(global, &client, &[Message::new(Role::User, question.trim())]).map(drop)
            }
            None => self.converse(global, &client),
        }
    }

    /// Asks, line by line, until the end of the input.
    fn converse(&self, global: &Global, client: &Client) -> anyhow::Result<()> {
        let people = io::stdin().is_terminal() && !global.output().is_json();
        let mut messages = Vec::new();
        let mut lines = io::stdin().lock().lines();
        loop {
            if people {
                eprint!("you> ");
                io::stderr().flush()?;
            }
            let Some(line) = lines.next().transpose()? else { break };
            if line.trim().is_empty() {
                continue;
            }
            messages.push(Message::new(Role::User, line.trim()));
            let answer = self.turn(global, client, &messages)?;
            messages.push(Message::new(Role::Assistant, answer.text()));
        }
        if people {
            eprintln!();
        }
        Ok(())
    }

    /// Asks once, or twice to compare, and prints what comes. Returns the answer that counts.
    fn turn(&self, global: &Global, client: &Client, messages: &[Message]) -> anyhow::Result<Answer> {
        let shape = view::Shape { constitution: !self.no_constitution, adapter: !self.no_adapter };
        let json = global.output().is_json();
        if !self.compare {
            let answer = self.ask(client, messages, shape, json)?;
            if json {
                global.output().print(&answer, |_| String::new())?;
            }
            return Ok(answer);
        }
        if !json {
            println!("=== the model as it is ===");
        }
        let before = self.ask(client, messages, view::Shape::BASE, json)?;
        if !json {
            println!("\n=== with constitution and adapter ===");
        }
        let after = self.ask(client, messages, shape, json)?;
        if json {
            global.output().print(&Compared { before, after: after.clone() }, |_| String::new())?;
        }
        Ok(after)
    }

    fn ask(&self, client: &Client, messages: &[Message], shape: view::Shape, quiet: bool) -> anyhow::Result<Answer> {
        let asked = view::AskModel {
            messages: messages.to_vec(),
            shape,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            ..view::AskModel::default()
        };
        let mut answer = None;
        client.events("/chat", &asked, |event: Event| {
            match event {
                Event::Failed(error) => return Err(error.into()),
                Event::Done(whole) => answer = Some(whole),
                event if !quiet => show(&event, self.brief)?,
                Event::About(_) | Event::Step { .. } | Event::Text { .. } | Event::Verdict(_) => {}
            }
            Ok(if answer.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if !quiet {
            println!();
        }
        answer.ok_or_else(|| ApiError::new(Kind::Internal, "the answer broke off").into())
    }

    fn cases(&self, global: &Global, client: &Client, path: &std::path::Path) -> anyhow::Result<()> {
        let text = values::read_file(path)?;
        let prompts: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if prompts.is_empty() || prompts.len() > MAX_PROMPTS {
            return Err(
                Failure::Usage(format!("a file of 1 to {MAX_PROMPTS} prompts is needed, one on each line")).into()
            );
        }
        let mut pairs: Vec<view::Pair> = Vec::new();
        let count = prompts.len() as u64;
        let progress = global.output().counted("asking the model", prompts.len());
        for (done, prompt) in prompts.into_iter().enumerate() {
            progress.of(done as u64, count);
            let asked = view::CompareModels { prompts: vec![prompt], again: self.again };
            pairs.extend(client.post::<Vec<view::Pair>>("/chat/cases", &asked, CASE)?);
        }
        drop(progress);
        global.output().print(&pairs, |pairs| {
            let mut lines = Lines::default();
            for pair in pairs {
                lines.line(format!("Asked: {}", pair.prompt)).line("");
                lines.line("  before:").line(indented(pair.before.text())).line("");
                lines.line("  after:").line(indented(pair.after.text())).line("");
            }
            if let Some(pair) = pairs.first() {
                lines.line(heading(&pair.after.about));
            }
            lines.finish()
        })
    }
}

/// Leaves away what would move a terminal's cursor or change its colours: a model may write anything.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn indented(text: &str) -> String {
    plain(text.trim()).lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Prints an event, for people.
fn show(event: &Event, brief: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match event {
        Event::About(about) => writeln!(out, "{}", plain(&heading(about)))?,
        Event::Step { step } if brief && !step.is_final() => {}
        Event::Step { step } => {
            if let Some(title) = title(*step) {
                write!(out, "\n-- {title}\n")?;
            }
        }
        Event::Text { step, .. } if brief && !step.is_final() => {}
        Event::Text { text, .. } => write!(out, "{}", plain(text))?,
        Event::Verdict(_) if brief => {}
        Event::Verdict(verdict) => write!(out, "\n{}", plain(&line(verdict)))?,
        Event::Done(_) | Event::Failed(_) => {}
    }
    out.flush()
}

/// What answers, and what governs it, in a line or two.
fn heading(about: &About) -> String {
    let mut text = match (about.provider, &about.host) {
        (Place::Local, _) => format!("[{} on this machine", about.model),
        (Place::Outside, host) => format!("[{} at {}", about.model, host.as_deref().unwrap_or("an endpoint")),
    };
    if let Some(constitution) = about.constitution.as_ref().filter(|it| it.principles > 0) {
        let count = many(constitution.principles, "principle");
        text.push_str(&format!("; constitution {} with {count}", constitution.version));
    }
    if let Some(adapter) = &about.adapter {
        text.push_str(&format!("; adapter {} of round {}", adapter.name, adapter.number));
    }
    text.push(']');
    about.notes.iter().for_each(|note| text.push_str(&format!("\n[{note}]")));
    text
}

const fn title(step: Step) -> Option<&'static str> {
    match step {
        Step::Analyse => Some("what the principles ask"),
        Step::Draft => Some("draft"),
        Step::Evaluate => Some("the draft, by each principle"),
        Step::Refine => Some("answer"),
        Step::Answer => None,
    }
}

fn line(verdict: &Verdict) -> String {
    let label = match verdict.label {
        Label::Follows => "follows",
        Label::Violates => "does not follow",
        Label::Unrelated => "unrelated",
        Label::Unclear => "unclear",
    };
    let score = verdict.score.map(|score| format!(" ({:.0} %)", 100.0 * score)).unwrap_or_default();
    let reason = verdict.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{:>3}. {label}{score} -- {}{reason}", verdict.principle, verdict.text)
}

/// Prints where existing clients find the node, and the key that it takes.
fn environment(global: &Global, client: &Client) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Environment {
        base_url: String,
        api_key: String,
        model: &'static str,
    }
    let (address, token) = client.address_and_token();
    let header = token.header();
    let api_key = header.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let environment = Environment { base_url: format!("http://{address}/v1"), api_key, model: "chorus" };
    global.output().print(&environment, |it| {
        format!("export OPENAI_BASE_URL={}\nexport OPENAI_API_KEY={}", it.base_url, it.api_key)
    })
}
