#![doc = include_str!("../README.md")]

pub mod api;
pub mod attester;
pub mod backup;
pub mod cli;
pub mod config;
pub mod demo;
pub mod diary;
pub mod driver;
pub mod keystore;
pub mod model;
pub mod network;
pub mod participation;
pub mod polis;
pub mod store;
pub mod telemetry;
pub mod vault;
