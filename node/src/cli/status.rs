//! `chorus status`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chorus_protocol::{id::SeriesId, registry::policy::Admission};

use super::{
    Global,
    client::Client,
    output::{Lines, many, short},
};
use crate::api::view;

pub(super) fn carry_out(global: &Global) -> anyhow::Result<()> {
    let status: view::Status = Client::new(global)?.get("/status")?;
    global.output().print(&status, text)
}

fn text(status: &view::Status) -> String {
    let (community, node) = (&status.community, &status.node);
    let mut lines = Lines::default();
    lines.field("community", format!("{}  ({})", community.name, short(&community.id)));
    lines.field("purpose", &community.purpose);
    lines.field("operators", format!("{}, of which {} may fail or collude", community.operators, community.tolerated));
    super::rules::describe(&mut lines, &community.policy, community.attesters);
    lines.field(
        "connected",
        format!("{}, {} of them operators", many(status.peers, "node"), status.operators_connected),
    );
    let begins = match status.begins_after {
        0 => String::new(),
        after => format!(", here from {} on", after + 1),
    };
    lines.field("log", format!("height {}{begins}, {}", status.height, many(status.members, "member")));
    lines.field("you", who(node, &community.policy.admission));
    if let Some(key) = &node.key {
        lines.field("public key", key);
    }
    if let Some(model) = &status.model {
        lines.field("model", model);
    }
    for address in &node.addresses {
        lines.field("listening", address);
    }
    if !status.rounds.is_empty() {
        lines.line("");
    }
    for round in &status.rounds {
        lines.field(&format!("round {}", round.ordinal), round_line(round));
    }
    for transfer in &status.transfers {
        let percent = 100 * transfer.done / transfer.total.max(1);
        let megabytes = transfer.total as f64 / 1e6;
        lines.field("fetching", format!("{}, {percent} % of {megabytes:.1} MB", short(&transfer.id)));
    }
    for warning in &status.warnings {
        lines.line("").line(format!("Note: {warning}."));
    }
    lines.finish()
}

/// What somebody does who is no member yet.
fn outside(admission: &Admission) -> &'static str {
    match admission {
        Admission::Vouch(_) => "not a member yet: hand a `chorus attest request` to a member, who vouches for you",
        Admission::Quorum(_) | Admission::All(_) | Admission::Any(_) => {
            "not a member yet: hand a `chorus attest request` to each attester whose word you need"
        }
    }
}

fn who(node: &view::Node, admission: &Admission) -> String {
    let mut roles = Vec::new();
    if let Some(operator) = node.operator {
        roles.push(format!("operator {operator}"));
    }
    if node.attester {
        roles.push("attester".into());
    }
    roles.push(if node.member { "member".into() } else { outside(admission).into() });
    if node.key.is_none() { "a relay".into() } else { roles.join(", ") }
}

/// Where a round stands, in words.
pub(super) fn round_line(round: &view::Round) -> String {
    let ballots = many(round.ballots, "ballot");
    let by = round.classes_by.as_ref().map_or_else(String::new, |by| format!(", summed by {by}"));
    if let Some(series) = round.series {
        return adapter_line(round, series);
    }
    let poll = round.poll.map(|poll| short(&poll)).unwrap_or_default();
    let members = round.members.map_or_else(String::new, |members| format!(" by {}", many(members, "member")));
    let stands = match round.state {
        view::RoundState::Planned => "the operators prepare voting".to_owned(),
        view::RoundState::Open => {
            let when = round.closes_at.map(remaining).unwrap_or_default();
            format!("voting on {}{members}{by}, ends {when}, {ballots} so far", many(round.items, "item"))
        }
        view::RoundState::Sealed => format!("voting is over, {ballots} are being added up"),
        view::RoundState::Finished => format!("finished with {ballots}: see `chorus result {poll}`"),
    };
    with_own(format!("poll {poll}, {stands}"), round.own)
}

fn adapter_line(round: &view::Round, series: SeriesId) -> String {
    let deltas = many(round.ballots, "delta");
    let stands = match round.state {
        view::RoundState::Planned => "the operators prepare the round".to_owned(),
        view::RoundState::Open => {
            format!("ends {}, {deltas} so far", round.closes_at.map(remaining).unwrap_or_default())
        }
        view::RoundState::Sealed => format!("over, {deltas} are being added up"),
        view::RoundState::Finished => format!("finished with {deltas}: see `chorus adapter list`"),
    };
    with_own(format!("adapter {}, {stands}", short(&series)), round.own)
}

fn with_own(stands: String, own: Option<view::Own>) -> String {
    match own {
        None => stands,
        Some(own) => format!("{stands}; {}", own_line(own)),
    }
}

const fn own_line(own: view::Own) -> &'static str {
    match (own.withdrawal, own.on_log) {
        (false, true) => "your contribution is on the log",
        (false, false) => "your contribution is on its way",
        (true, true) => "your contribution is withdrawn",
        (true, false) => "your withdrawal is on its way",
    }
}

fn remaining(millis: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    crate::api::service::remaining(Duration::from_millis(millis).saturating_sub(now))
}
