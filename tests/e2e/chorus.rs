//! The `chorus` binary, built with the tests: cargo hands its path to them, and it shares their build of the node.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One of the nodes that tests kill.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = arguments.as_slice()
        && first == chorus_tests::crash::CHILD
    {
        return chorus_tests::crash::child(rest).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    chorus_node::cli::main()
}
