//! The numbers that the documents claim, measured again: `cargo figures TOPIC [--format json]`.
//!
//! Nothing is asserted here: a figure that misses its bound says so, and it is for the reader to judge.

mod adapter;
mod audit;
mod ballot;
mod contribution;
mod deliberation;
mod delta;
mod durability;
mod figure;
mod flood;
mod identity;
mod idle;
mod late_joiner;
mod network;
mod page;
mod peers;
mod table;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use table::Printed;

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topic {
    /// One ballot, all told: time to make, time to verify, bytes.
    Ballot,
    /// The verifier on a bundle of 1,000 ballots, at each level, on one core: time and memory.
    Audit,
    /// Adapters: training and merging; with --base-model whether everybody's adapter helps everybody.
    Adapter,
    /// One delta, all told, for 2^14 to 2^23 entries: time, bytes and memory on one core.
    Delta,
    /// A node that is killed, and one whose files are damaged: what is lost, and how long it takes to go on.
    Durability,
    /// Opinion map, groups and consensus: fidelity, and what their publication tells about a ballot.
    Deliberation,
    /// The network: fifty nodes, control messages, blobs over narrow uplinks, caps; what it takes to join late, and what
    /// a node costs that has nothing to do.
    Network,
    /// The page: how fast it answers with a long log, how soon somebody new votes, and the published moral graph.
    Page,
    /// Admission: what attacks on it achieve, and how many fakes could veto a constitution.
    Identity,
    /// Chorus beside other programs, which `tests/peers/install.sh` installs.
    Peers,
}

/// A part of the topic `network` or `page`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Control messages among fifty nodes.
    Gossip,
    /// Blobs over narrow uplinks.
    Blobs,
    /// Caps of what goes over the wire.
    Caps,
    /// What attackers among the nodes learn of who wrote a contribution.
    Stem,
    /// What it takes to join late.
    Late,
    /// What a node costs that has nothing to do.
    Idle,
    /// A node that is flooded.
    Floods,
    /// How fast the page answers with a long log.
    Answers,
    /// How soon somebody new votes.
    Arrival,
    /// The published moral graph.
    Graph,
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
    /// From what the towns and attacks of `identity` and the votes of `adapter` are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The base model of `adapter`: a folder or a GGUF file, as `tests/peft/fetch_base_model.py` prints.
    #[arg(long)]
    base_model: Option<PathBuf>,
    /// The people of `adapter`.
    #[arg(long, default_value_t = 50)]
    people: usize,
    /// How often `durability` kills a node.
    #[arg(long, default_value_t = 1_000)]
    kills: u64,
    /// How many files `durability` damages.
    #[arg(long, default_value_t = 200)]
    damages: u64,
    /// The part of `network` or `page` that is measured; all of them without.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The rounds of the past of `network`.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// The contributions on the log of the node whose pages `page` looks at.
    #[arg(long, default_value_t = 10_000)]
    contributions: usize,
    /// How often `page` looks at each of them.
    #[arg(long, default_value_t = 300)]
    looks: usize,
    /// The connections of one address by which `network` floods a node.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Where the other programs of `peers` are installed.
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// The bundle of `audit`; one is played without.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Arguments {
    /// Measures, and shows what is found.
    fn measure(&self, mut show: impl FnMut(Vec<Printed>)) {
        let is_wanted = |part| self.only.is_none_or(|only| only == part);
        let printed = |figures: Vec<figure::Figure>| figures.into_iter().map(Printed::from).collect();
        match self.topic {
            Topic::Adapter => adapter::figures(self.base_model.as_deref(), self.people, self.seed, show),
            Topic::Audit => audit::figures(self.bundle.as_deref(), |figures| show(printed(figures))),
            Topic::Ballot => {
                show(printed(contribution::figures()));
                show(printed(ballot::figures(self.cases)));
            }
            Topic::Delta => show(delta::figures()),
            Topic::Durability => match durability::figures(self.kills, self.damages, self.seed) {
                Ok(figures) => show(figures),
                Err(error) => {
                    show(vec![figure::Figure::new(format!("durability: {error:#}"), 1.0, "ratio").at_most(0.0).into()])
                }
            },
            Topic::Deliberation => show(printed(deliberation::figures())),
            Topic::Network => {
                network::figures(self.seed, is_wanted, &mut show);
                if is_wanted(Part::Late) {
                    show(printed(late_joiner::figures(self.rounds)));
                }
                if is_wanted(Part::Idle) {
                    show(printed(idle::figures()));
                }
                if is_wanted(Part::Floods) {
                    flood::figures(self.connections, |figures| show(printed(figures)));
                }
            }
            Topic::Page => page::figures((self.contributions, self.looks, self.seed), is_wanted, show),
            Topic::Identity => show(identity::figures(self.seed)),
            Topic::Peers => {
                if let Err(error) = peers::figures(&self.peers, &mut show) {
                    show(vec![figure::Figure::new(format!("peers: {error:#}"), 1.0, "ratio").at_most(0.0).into()]);
                }
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "printing figures is what this program is for")]
fn main() -> ExitCode {
    let all: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = all.as_slice()
        && first == chorus_tests::crash::CHILD
    {
        return chorus_tests::crash::child(rest).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    if let [first, rest @ ..] = all.as_slice()
        && first == audit::CHILD
    {
        audit::child(rest);
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(idle::AS_NODE).is_some() {
        return chorus_node::cli::main();
    }
    let arguments = Arguments::parse();
    arguments.measure(|figures| {
        for printed in figures {
            match arguments.format {
                Format::Text => println!("{printed}"),
                Format::Json => println!("{}", printed.to_json()),
            }
        }
    });
    ExitCode::SUCCESS
}
