//! The local interface: JSON over HTTP on loopback, for the command line and for other programs of the same user.
//!
//! [`service::Service`] carries everything out, [`routes`] translates, [`view`] is the shape of what goes over the wire;
//! the client uses the same types. There is no logic here that the protocol does not have: the interface is one view of
//! the peer's state.
//!
//! # Security
//!
//! The server listens on loopback alone, answers only requests that name it by its own address (a page elsewhere that
//! made its name point to loopback does not), and only those that show the token of the data directory, but for the three
//! [open] routes, which tell nothing about people. No answer
//! and no log line holds a secret, but for the diary: the person's own votes come out of it to who has the token, who can
//! read the data directory anyhow.

pub mod auth;
pub mod ballots;
pub mod chat;
pub mod error;
pub mod open;
pub mod openapi;
pub mod routes;
pub mod server;
pub mod service;
pub mod view;

pub use self::{
    error::{ApiError, Code, Kind},
    open::OpenServer,
    server::{Server, ServerError},
    service::{Person, Randomness, Role, Service},
};

/// Bytes of a request: 500 items of 4 KiB, with what JSON adds.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a delta: four for each entry.
pub const MAX_DELTA_BYTES: usize = 4 * chorus_protocol::limits::MAX_ADAPTER_ENTRIES;

/// Where all routes begin.
pub const BASE: &str = "/api/v1";

#[cfg(test)]
pub(crate) mod tests;
