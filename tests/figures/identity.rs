//! Admission of people: what attacks on it achieve, and what fakes could do with their votes.

pub(crate) mod ring;
mod sybil;
mod veto;

use crate::table::Printed;

/// Returns figures and tables; towns and attacks are drawn from `seed`.
pub(crate) fn figures(seed: u64) -> Vec<Printed> {
    let ring = ring::figures().into_iter().map(Printed::from);
    ring.chain(sybil::figures(seed)).chain(veto::figures()).collect()
}
