#![doc = include_str!("../README.md")]

pub mod adapter;
pub mod audit;
mod canonical;
pub mod charter;
pub mod config;
pub mod contribution;
pub mod deliberation;
pub mod facilitation;
pub mod fault;
pub mod id;
pub mod journal;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod message;
pub mod opening;
pub mod peer;
pub mod reconcile;
pub mod registry;
pub mod round;
pub mod spec;
pub mod time;
