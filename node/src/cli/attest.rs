//! `chorus attest`: how people are admitted.

use std::time::Duration;

use clap::Subcommand;

use super::{
    Global,
    client::Client,
    output::{Lines, short},
    values,
};
use crate::api::{service::USUAL_WAIT, view};

#[derive(Debug, Subcommand)]
pub(super) enum Attest {
    /// Print a request for an attester.
    Request,
    /// State that a request comes from one distinct person, and admit them.
    Approve {
        /// The request; - reads it from standard input.
        request: String,
        /// How long to wait for the log.
        #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
        wait: Duration,
    },
    /// List all members.
    List,
}

impl Attest {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        match self {
            Self::Request => {
                let request: view::Request = client.post("/attest/request", &(), Duration::ZERO)?;
                output.print(&request, |request| request.request.clone())
            }
            Self::Approve { request, wait } => {
                let request = values::text_or_stdin(&request)?.trim().to_owned();
                let asked = view::Request { request, wait_seconds: Some(wait.as_secs()) };
                let waiting = output.waiting("waiting for the log");
                let member: view::Member = client.post("/attest/approve", &asked, wait.max(USUAL_WAIT))?;
                drop(waiting);
                output.print(&member, |member| {
                    format!("admitted     {}\nMembers vote in rounds that open from now on.", member.key)
                })
            }
            Self::List => {
                let members: Vec<view::Member> = client.get("/attest")?;
                output.print(&members, |members| list(members))
            }
        }
    }
}

fn list(members: &[view::Member]) -> String {
    let mut lines = Lines::default();
    lines.line(match members.len() {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    });
    for member in members {
        let own = if member.own { "  (you)" } else { "" };
        lines.line(format!("  {}  attested by {}{own}", member.key, short(&member.attester)));
    }
    lines.finish()
}
