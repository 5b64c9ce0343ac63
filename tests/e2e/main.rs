//! Real processes and real sockets: few tests, on ports that the system picks.

mod cli;
