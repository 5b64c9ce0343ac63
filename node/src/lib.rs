#![doc = include_str!("../README.md")]

pub mod driver;
pub mod keystore;
pub mod network;
pub mod polis;
pub mod store;
