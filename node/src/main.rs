//! Chorus.

use std::process::ExitCode;

use chorus_node::cli::demo::{self, DemoArguments};
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// A community shapes an AI together.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How to report.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The seed of randomness, for demonstrations.
    #[arg(long, global = true)]
    seed: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a whole community in one process.
    Demo(DemoArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let Command::Demo(demo) = arguments.command;
    let demo = DemoArguments { seed: arguments.seed, json: arguments.format == Format::Json, ..demo };
    match demo::run(demo).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
