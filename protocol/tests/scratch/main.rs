#![allow(missing_docs, dead_code, unused_imports, unreachable_pub, clippy::all)]
extern crate self as chorus_tests;
mod audit;
pub mod bundle;
pub mod community;
pub mod network;
pub mod offline;
pub mod scenario;
pub mod tap;
