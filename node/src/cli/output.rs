//! What commands print: text for people, JSON for programs; and signs of life while something takes long.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::page::plain_lines;

/// How to answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object or array.
    Json,
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    pub(super) const fn new(format: Format) -> Self {
        Self { format }
    }

    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a value as JSON, or the text made from it.
    pub(super) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let answer = match self.format {
            // What others wrote must not steer the terminal, nor look like what it is not.
            Format::Text => plain_lines(&text(value)),
            Format::Json => serde_json::to_string_pretty(value)?,
        };
        let mut out = io::stdout().lock();
        match writeln!(out, "{}", answer.trim_end()).and_then(|()| out.flush()) {
            // Whoever read has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Says that something is under way, until what is returned is dropped.
    pub(super) fn waiting(self, what: impl Into<String>) -> Progress {
        let bar = self.bar(ProgressBar::new_spinner());
        bar.set_style(template("{spinner} {msg} ({elapsed})"));
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    /// Shows how many of `total` bytes are done.
    pub(super) fn bytes(self, what: impl Into<String>, total: u64) -> Progress {
        let bar = self.bar(ProgressBar::new(total));
        bar.set_style(template("{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left"));
        bar.set_message(what.into());
        Progress(bar)
    }

    /// Shows how many of `total` are done.
    pub(super) fn counted(self, what: impl Into<String>, total: usize) -> Progress {
        let bar = self.bar(ProgressBar::new(total as u64));
        bar.set_style(template("{msg} {wide_bar} {pos} of {len}, {eta} left"));
        bar.set_message(what.into());
        Progress(bar)
    }

    fn bar(self, bar: ProgressBar) -> ProgressBar {
        if self.is_json() || !io::stderr().is_terminal() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        bar
    }
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).expect("the templates of this file are well-formed")
}

/// A sign of life on standard error; gone when dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Says how far it is, now that the whole is known.
    pub(super) fn of(&self, position: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(position);
    }

    /// Says something that stays, for people who look.
    pub(super) fn note(&self, what: impl AsRef<str>) {
        self.0.println(what);
    }

    /// Says what is under way now.
    pub(super) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Tells whether a command line that could not be parsed asks for JSON.
pub(super) fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut previous = OsString::new();
    for argument in arguments {
        if argument == "--format=json" || (previous == "--format" && argument == "json") {
            return true;
        }
        previous = argument;
    }
    std::env::var_os("CHORUS_FORMAT").is_some_and(|format| format == "json")
}

/// Lines of text.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Adds a line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) -> &mut Self {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
        self
    }

    /// Adds a name and what it stands for.
    pub(super) fn field(&mut self, name: &str, value: impl core::fmt::Display) -> &mut Self {
        self.line(format!("{name:<12} {value}"))
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Returns a text of several lines as it stands in a column: every line but the first begins after `indent` spaces.
pub(super) fn hanging(text: &str, indent: usize) -> String {
    text.lines().collect::<Vec<_>>().join(&format!("\n{:indent$}", ""))
}

/// Returns how many there are of something, in words.
pub(super) fn many(count: impl core::fmt::Display, what: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// Returns the beginning of an id or key, which is enough to name it.
pub(super) fn short(id: &impl core::fmt::Display) -> String {
    let mut text = id.to_string();
    text.truncate(12);
    text
}
