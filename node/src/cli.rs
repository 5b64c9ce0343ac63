//! The command line: one view of the node's state, for people and for scripts.
//!
//! `init`, `community`, `join`, `verify` and `polis analyze` work on files alone; `run` is the node; everything else asks the
//! running node by its local interface. Every command answers in text or, with `--format json`, in JSON; errors go to
//! standard error in the same format, and the exit code tells which kind they are.

mod adapter;
mod amend;
mod attest;
mod backup;
mod chat;
mod client;
mod community;
mod config;
mod demo;
mod doctor;
mod failure;
mod import;
mod init;
mod keys;
mod moderate;
mod moral_graph;
mod open;
mod openapi;
mod output;
mod polis;
mod poll;
mod reach;
mod receipt;
mod replay;
mod result;
mod rules;
mod run;
mod simulate;
mod status;
mod value;
mod values;
mod verify;
mod vote;
mod vouch;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

pub use self::failure::{Class, Failure, class};
use self::output::{Format, Output};
use crate::{
    api::Randomness,
    config::{ConfigError, DataDir},
};

/// How long blocking work may take to end once a command is done.
const RUNTIME_GRACE: Duration = Duration::from_millis(500);

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  a bug of Chorus
   2  usage: an argument is wrong, or names what does not exist
   3  configuration or key
   4  store: the disk failed or is damaged
   5  network: no node runs here, or none answers
   6  refused by the community's rules
   7  time-out: not done yet, and still under way
   8  receipt: what was sealed does not count you
  20  verify: encoding                 24  verify: sum or opening
  21  verify: log or certificate       25  verify: the result differs
  22  verify: registry or credential   26  verify: incomplete
  23  verify: proof or link

First steps: chorus init, then chorus community create or chorus join, then chorus run.";

/// A community shapes an AI together, and nobody sees an individual's vote.
#[derive(Debug, Parser)]
#[command(name = "chorus", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Where this node keeps everything [default: chorus in the user's application data].
    #[arg(long, global = true, env = "CHORUS_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How to answer.
    #[arg(long, global = true, env = "CHORUS_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Draw all randomness from this number: for tests only, as whoever knows it knows all secrets.
    #[arg(long, global = true, env = "CHORUS_SEED", value_name = "NUMBER")]
    seed: Option<u64>,
    /// The local interface: where `run` listens [default: a free port], where commands ask [default: what `run` wrote
    /// down].
    #[arg(long, global = true, env = "CHORUS_API", value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// A file whose first line is the passphrase of the keystore. Without it: CHORUS_PASSPHRASE, or a prompt.
    #[arg(long, global = true, env = "CHORUS_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Global {
    fn data_dir(&self) -> Result<DataDir, ConfigError> {
        self.data_dir.clone().map_or_else(DataDir::usual, |path| Ok(DataDir::new(path)))
    }

    fn randomness(&self) -> Randomness {
        self.seed.map_or(Randomness::System, Randomness::Seed)
    }

    const fn output(&self) -> Output {
        Output::new(self.format)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a data directory with fresh keys.
    Init(init::Init),
    /// Found a community, show its rules, and change them.
    #[command(subcommand)]
    Community(community::Community),
    /// Print an invitation to the community.
    Invite(community::Invite),
    /// Join a community by an invitation.
    Join(community::Join),
    /// Run the node until Ctrl-C.
    Run(run::Run),
    /// Print a link to this node's page for a browser on this machine. It works once, within an hour.
    Open,
    /// Show the community, this node, and all rounds.
    Status,
    /// Look for what may be wrong, and say what to do: keys, disk, clock, store, journal, ports, connections.
    ///
    /// Of a node that does not run, all that is stored is read through.
    Doctor,
    /// Ask for admission, admit somebody, and all else about membership.
    ///
    /// A community is one of distinct people. Attesters say that a key belongs to one: k of them are needed, and each admits
    /// a person once. You ask (`request`), hand the text to as many attesters as are needed, and they `approve` it.
    #[command(subcommand)]
    Attest(attest::Attest),
    /// Vouch for somebody whom you know to be one distinct person, or show your vouches.
    Vouch(vouch::Vouch),
    /// Show or choose how you take part, and on what evidence you attest.
    #[command(subcommand)]
    Config(config::Config),
    /// Open polls and rounds of voting, and list them.
    #[command(subcommand)]
    Poll(poll::Poll),
    /// Propose items for a poll.
    Propose(poll::Propose),
    /// Accept and reject items, state a poll's rules, and show what operators have said about items.
    #[command(subcommand)]
    Moderate(moderate::Moderate),
    /// Vote. Nobody sees how, and at the anonymous level nobody sees that you did; voting again replaces your ballot wholly.
    Vote(vote::Vote),
    /// Take your ballot back.
    Withdraw(vote::Withdraw),
    /// Find words for what you value, propose it, and say which values are wise and which are wiser.
    #[command(subcommand)]
    Value(value::Value),
    /// Show the moral graph: which values people find wiser than which, and where.
    MoralGraph(moral_graph::MoralGraph),
    /// Show what came of a poll.
    Result(result::ShowResult),
    /// Show whether your contribution is in the sealed set of a poll's latest round.
    ///
    /// Exit code 0: it is. 7: nothing is sealed yet. 8: the set was sealed without it.
    Receipt(receipt::ShowReceipt),
    /// Write the audit bundle, with which anyone can check all results; or tables, none with a row per person.
    Export(result::Export),
    /// Take in the log of a community from a file, into a home that is new or behind. Every certificate in it is checked.
    Import(import::Import),
    /// Write a backup of everything that cannot be had again: keys, leaves, journal, choices, diary.
    Backup(backup::Backup),
    /// Put a backup back, into a data directory that does not exist yet.
    Restore(backup::Restore),
    /// Delete stores that were found damaged and set aside.
    Prune(backup::Prune),
    /// Check an audit bundle. Needs no node, no keys and no network.
    Verify(verify::Verify),
    /// Train your part of the community's adapter, use what came of it, and work with adapters in PEFT's format.
    #[command(subcommand)]
    Adapter(adapter::Adapters),
    /// Talk with the community's model, which answers by the constitution in force and shows how it came to its answer.
    ///
    /// Without a question it is a conversation, until the end of the input. The model is one on this machine (`model.path`,
    /// or the base model) or an endpoint (`model.provider outside`, `model.url`, `model.name`); each answer says which.
    Chat(chat::Chat),
    /// Bring in or analyse a Polis conversation.
    #[command(subcommand)]
    Polis(polis::Polis),
    /// Print the description of the local interface (OpenAPI 3.1). It needs no node.
    Openapi,
    /// Tell a fresh node what a recorded one was told (`run --events`), and say where they part.
    Replay(replay::Replay),
    /// Simulate a round of a community of any size: real operators over a virtual network, with what it costs everybody.
    Simulate(simulate::Simulate),
    /// Play a whole community on this machine, from the founding to a verified result.
    Demo(demo::DemoArguments),
}

/// Carries out what the command line says, and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let json = output::wants_json(std::env::args_os().skip(1));
            return failure::report_usage(&error, json);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let format = arguments.global.format;
    match carry_out(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, format),
    }
}

fn carry_out(arguments: Arguments) -> anyhow::Result<()> {
    let running = matches!(arguments.command, Command::Run(_));
    crate::telemetry::start(if running { crate::telemetry::RUNNING } else { crate::telemetry::COMMAND });
    let global = &arguments.global;
    match arguments.command {
        Command::Init(command) => command.carry_out(global),
        Command::Community(command) => command.carry_out(global),
        Command::Invite(command) => command.carry_out(global),
        Command::Join(command) => command.carry_out(global),
        Command::Run(command) => block_on(command.carry_out(global)),
        Command::Open => open::carry_out(global),
        Command::Status => status::carry_out(global),
        Command::Doctor => doctor::carry_out(global),
        Command::Attest(command) => command.carry_out(global),
        Command::Vouch(command) => command.carry_out(global),
        Command::Config(command) => command.carry_out(global),
        Command::Poll(command) => command.carry_out(global),
        Command::Propose(command) => command.carry_out(global),
        Command::Moderate(command) => command.carry_out(global),
        Command::Vote(command) => command.carry_out(global),
        Command::Withdraw(command) => command.carry_out(global),
        Command::Value(command) => command.carry_out(global),
        Command::MoralGraph(command) => command.carry_out(global),
        Command::Result(command) => command.carry_out(global),
        Command::Receipt(command) => command.carry_out(global),
        Command::Export(command) => command.carry_out(global),
        Command::Import(command) => command.carry_out(global),
        Command::Backup(command) => command.carry_out(global),
        Command::Restore(command) => command.carry_out(global),
        Command::Prune(command) => command.carry_out(global),
        Command::Verify(command) => command.carry_out(global),
        Command::Adapter(command) => command.carry_out(global),
        Command::Chat(command) => command.carry_out(global),
        Command::Polis(command) => command.carry_out(global),
        Command::Openapi => openapi::carry_out(global),
        Command::Replay(command) => command.carry_out(global),
        Command::Simulate(command) => command.carry_out(global),
        Command::Demo(command) => block_on(command.carry_out(global)),
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(future);
    // What still blocks a thread is ended with the process.
    runtime.shutdown_timeout(RUNTIME_GRACE);
    done
}

#[cfg(test)]
mod tests;
