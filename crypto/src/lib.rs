#![doc = include_str!("../README.md")]

pub mod codec;
pub mod domain;
pub mod hash;
pub mod sign;
