//! Real nodes and real processes over real sockets: few tests, on ports that the system picks, and none that sleeps.

mod chat;
mod cli;
mod cohorts;
mod community;
mod durability;
mod governance;
mod malice;
mod moderation;
mod openapi;
mod operations;
mod python;
mod values;
