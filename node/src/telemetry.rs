//! Logging: to standard error, quiet unless `RUST_LOG` says otherwise.
//!
//! # Security
//!
//! No event holds a vote, a seed, a key or a link between a person and a contribution.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged if `RUST_LOG` is not set and a node runs.
pub const RUNNING: &str = "warn,libp2p_kad=error,chorus_node=info";

/// What is logged if `RUST_LOG` is not set and a single command is carried out.
pub const COMMAND: &str = "error";

/// Starts logging, unless it was started before.
pub fn start(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = std::io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).finish();
    // Another subscriber may be there already: a test has one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
