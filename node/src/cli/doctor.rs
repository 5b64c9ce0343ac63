//! `chorus doctor`: what may be wrong, and what to do about it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    Class, Failure, Global,
    client::Client,
    output::{Lines, many},
};
use crate::doctor::{self, Area, Finding, SelfReport, State};

pub(super) fn carry_out(global: &Global) -> anyhow::Result<()> {
    let dir = global.data_dir()?;
    // No node may run; one that does not answer is as good as none.
    let running: Option<SelfReport> = Client::new(global).ok().and_then(|client| client.get("/health").ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let findings = doctor::examine(&dir, running.as_ref(), now);
    global.output().print(&findings, |findings| text(findings))?;
    let failed = findings.iter().filter(|finding| finding.state == State::Failed).count();
    match doctor::verdict(&findings) {
        None => Ok(()),
        Some(area) => Err(Failure::Unwell { what: many(failed, "thing"), class: class(area) }.into()),
    }
}

const fn class(area: Area) -> Class {
    match area {
        Area::Configuration => Class::Configuration,
        Area::Store => Class::Store,
        Area::Network => Class::Network,
    }
}

fn text(findings: &[Finding]) -> String {
    let mut lines = Lines::default();
    for finding in findings {
        let mark = match finding.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Skipped => "-",
            State::Failed => "FAILED",
        };
        lines.line(format!("{mark:<7} {:<14} {}", finding.name, finding.detail));
        if let Some(advice) = &finding.advice {
            lines.line(format!("{:<22} → {advice}", ""));
        }
    }
    lines.finish()
}
