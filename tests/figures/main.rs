//! The numbers that the documents claim, measured again: `cargo figures TOPIC [--format json]`.
//!
//! Nothing is asserted here: a figure that misses its bound says so, and it is for the reader to judge.

mod ballot;
mod contribution;
mod deliberation;
mod figure;

use clap::{Parser, ValueEnum};
use figure::Figure;

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topic {
    /// One ballot, all told: time to make, time to verify, bytes.
    Ballot,
    /// Opinion map, groups and consensus: fidelity, and what their publication tells about a ballot.
    Deliberation,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One aligned line per figure.
    Text,
    /// One JSON object per line.
    Json,
}

/// Measures the figures of one topic.
#[derive(Debug, Parser)]
#[command(name = "figures")]
struct Arguments {
    /// What to measure.
    topic: Topic,
    /// On how many random and mutated witnesses the ballot proof and its oracle are compared.
    #[arg(long, default_value_t = 1_000)]
    cases: u32,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Topic {
    fn figures(self, cases: u32) -> Vec<Figure> {
        match self {
            Self::Ballot => contribution::figures().into_iter().chain(ballot::figures(cases)).collect(),
            Self::Deliberation => deliberation::figures(),
        }
    }
}

#[expect(clippy::print_stdout, reason = "printing figures is what this program is for")]
fn main() {
    let arguments = Arguments::parse();
    for figure in arguments.topic.figures(arguments.cases) {
        match arguments.format {
            Format::Text => println!("{figure}"),
            Format::Json => println!("{}", figure.to_json()),
        }
    }
}
