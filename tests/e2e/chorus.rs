//! The `chorus` binary, built with the tests: cargo hands its path to them, and it shares their build of the node.

use std::process::ExitCode;

fn main() -> ExitCode {
    chorus_node::cli::main()
}
