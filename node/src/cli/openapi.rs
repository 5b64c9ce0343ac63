//! `chorus openapi`.

use super::Global;
use crate::api::openapi::{self, JSON};

/// Prints the document that a running node serves at `/api/v1/openapi.json`; it is JSON in either format.
pub(super) fn carry_out(global: &Global) -> anyhow::Result<()> {
    global.output().print(&openapi::document(), |_| JSON.clone())
}
