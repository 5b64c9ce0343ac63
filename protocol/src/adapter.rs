//! Adapters: what a community's rounds of deltas collect, how their sums become adapters, and which one is adopted.
//!
//! A [manifest](manifest::AdapterManifest) begins a *series*: base model, frozen A, what is adapted, the fixed point, the
//! bound, how often. A series is a sequence of *runs* of so many rounds each. A run begins with B = 0; each of its rounds
//! collects deltas of the adapter that the one before it led to, and takes a step along their mean:
//!
//! ```text
//! B_{t+1} = B_t + step · Σ_c w_c·mean_c ÷ Σ_c w_c
//! ```
//!
//! So nobody's older adapter is in a later run, and each result names its predecessor. All of it is integers: a delta in
//! units of 2^-fraction, an adapter in units of 2^-(fraction + 16).
//!
//! | file | what |
//! |---|---|
//! | `manifest` | what everybody agrees on before the first delta |
//! | `combine` | means, medians over cohorts, weights over classes, steps |
//! | `blocks` | the one partition of a sealed set into classes and random cohorts |
//! | `report` | the result of a round |
//! | `gate` | whether a finished adapter is adopted |
//! | `entry` | the entries of an adapter's life after its sum |

pub mod blocks;
pub mod combine;
pub mod entry;
pub mod gate;
pub mod manifest;
pub mod report;
