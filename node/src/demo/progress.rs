//! The stages of the demonstration: how long each took, and a bar while it lasts, where somebody can see it.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Stages one after the other.
#[derive(Debug)]
pub(super) struct Stages {
    is_terminal: bool,
    current: Option<(&'static str, Instant, ProgressBar)>,
    times: Vec<(&'static str, Duration)>,
}

impl Stages {
    pub(super) fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), current: None, times: Vec::new() }
    }

    /// Begins a stage, ending the one before; `steps` if it can be counted.
    pub(super) fn begin(&mut self, name: &'static str, steps: Option<usize>) {
        self.end();
        let bar = self.bar(name, steps);
        self.current = Some((name, Instant::now(), bar));
    }

    fn bar(&self, name: &'static str, steps: Option<usize>) -> ProgressBar {
        if !self.is_terminal {
            eprintln!("{name} …");
            return ProgressBar::hidden();
        }
        let template = match steps {
            Some(_) => "{prefix:>14} {bar:32} {pos}/{len} {elapsed}",
            None => "{prefix:>14} {spinner} {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("a constant template").progress_chars("━╸ ");
        let bar = steps.map_or_else(ProgressBar::new_spinner, |steps| ProgressBar::new(steps as u64));
        bar.set_style(style);
        bar.set_prefix(name);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Returns the bar of the current stage.
    pub(super) fn bar_now(&self) -> ProgressBar {
        self.current.as_ref().map_or_else(ProgressBar::hidden, |(_, _, bar)| bar.clone())
    }

    /// Ends the current stage.
    pub(super) fn end(&mut self) {
        if let Some((name, began, bar)) = self.current.take() {
            bar.finish_and_clear();
            self.times.push((name, began.elapsed()));
        }
    }

    /// Returns the stages that have ended, and how long each took.
    pub(super) fn times(&self) -> Vec<(&'static str, Duration)> {
        self.times.clone()
    }
}
