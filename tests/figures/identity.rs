//! Admission of people: what attacks on it achieve, and what fakes could do with their votes.

mod sybil;
mod veto;

use crate::table::Printed;

/// Returns figures and tables; towns and attacks are drawn from `seed`.
pub(crate) fn figures(seed: u64) -> Vec<Printed> {
    sybil::figures(seed).into_iter().chain(veto::figures()).collect()
}
