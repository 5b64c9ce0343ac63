#![doc = include_str!("../README.md")]

pub mod deliberation;
pub mod id;
pub mod limits;
pub mod log;
pub mod time;
