//! `chorus`: the node and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    chorus_node::cli::main()
}
