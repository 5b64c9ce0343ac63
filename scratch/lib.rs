#[path = "../tests/harness/bundle.rs"] pub mod bundle;
#[path = "../tests/harness/community.rs"] pub mod community;
#[path = "../tests/harness/network.rs"] pub mod network;
#[path = "../tests/harness/offline.rs"] pub mod offline;
#[path = "../tests/harness/restored.rs"] pub mod restored;
#[path = "../tests/harness/scenario.rs"] pub mod scenario;
#[path = "../tests/harness/tap.rs"] pub mod tap;
#[path = "../tests/harness/cohorts.rs"] pub mod cohorts;
pub mod vectors;
