#![doc = include_str!("../README.md")]

pub mod ballot;
pub mod batch;
pub mod codec;
pub mod credential;
pub mod delta;
pub mod domain;
pub mod field;
pub mod group;
pub mod hash;
pub mod link;
pub mod mask;
pub mod msm;
pub mod noise;
pub mod opening;
pub mod seal;
pub mod sign;
pub mod sumcheck;
pub mod transcript;

pub use curve25519_dalek::{ristretto::RistrettoPoint, scalar::Scalar};
