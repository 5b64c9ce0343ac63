//! `chorus vouch`: members who say of one another that they are distinct people.

use std::time::Duration;

use clap::Args;

use super::{Failure, Global, client::Client, output::Lines, values};
use crate::api::view;

#[derive(Debug, Args)]
pub(super) struct Vouch {
    /// For whom: a key (or its first six or more digits), or a request of `chorus attest request`, whose author is
    /// registered first; - reads it from standard input.
    #[arg(value_name = "KEY", required_unless_present = "list")]
    whom: Option<String>,
    /// Take an earlier vouch back.
    #[arg(long, conflicts_with = "list")]
    withdraw: bool,
    /// Show the vouches given and received, how many are left, and from when the next is possible.
    #[arg(long, conflicts_with = "whom")]
    list: bool,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

impl Vouch {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        if self.list {
            let vouches: view::Vouches = client.get("/vouch")?;
            return output.print(&vouches, list);
        }
        let whom = self.whom.ok_or_else(|| Failure::Usage("name a key, or say --list".into()))?;
        let whom = values::text_or_stdin(&whom)?.trim().to_owned();
        let asked = view::GiveVouch { whom, withdraw: self.withdraw, wait_seconds: Some(self.wait.as_secs()) };
        let waiting = output.waiting("waiting for the log");
        // A newcomer is registered first, which is waited for as well.
        let said: view::Said = client.post("/vouch", &asked, 2 * self.wait)?;
        drop(waiting);
        output.print(&said, |said| said.effect.clone())
    }
}

fn list(vouches: &view::Vouches) -> String {
    let mut lines = Lines::default();
    for (title, list) in [("You vouch for", &vouches.given), ("They vouch for you", &vouches.received)] {
        lines.line(format!("{title}: {}", if list.is_empty() { "nobody" } else { "" }).trim_end());
        for vouch in list {
            lines.line(format!("  {}  ends {}", vouch.key, remaining(vouch.expires, vouches.log_time)));
        }
    }
    if vouches.may_vouch {
        lines.field("left", vouches.left).field("next", remaining(vouches.next_at, vouches.log_time));
    } else {
        lines.line("You cannot vouch: only members and seeds can.");
    }
    lines.finish()
}

/// How far off a moment of the log's time is, in words.
fn remaining(at: u64, now: u64) -> String {
    crate::api::service::remaining(Duration::from_millis(at.saturating_sub(now)))
}
