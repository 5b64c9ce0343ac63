//! The metrics: a node's health as numbers, in the text format of OpenMetrics.
//!
//! | metric | what it is |
//! |---|---|
//! | `chorus_build_info` | 1, with version, protocol and role |
//! | `chorus_uptime_seconds` | since the node started |
//! | `chorus_ready`, `chorus_check{check}` | whether the node is of use, and what makes it so |
//! | `chorus_halted` | 1 once a person has to look |
//! | `chorus_log_height`, `chorus_log_heard_height` | the log here, and the highest tip heard of |
//! | `chorus_log_time_seconds` | the log's own time |
//! | `chorus_peers` | nodes connected |
//! | `chorus_operators{state}` | operators: in all, reached, needed |
//! | `chorus_members` | members |
//! | `chorus_rounds{state}` | rounds: planned, open, sealed, finished |
//! | `chorus_turn_age_seconds`, `chorus_slowest_turn_seconds` | the event loop: last turn in whole minutes, slowest of late in whole seconds |
//! | `chorus_disk_free_bytes` | where the data directory is, in steps of 64 MiB |
//! | `chorus_journal_bytes`, `chorus_store_bytes`, `chorus_blob_bytes` | what is kept, in steps of 1 MiB |
//! | `chorus_messages_total{direction,kind}`, `chorus_message_bytes_total{direction,kind}` | the machinery's talk |
//!
//! # Security
//!
//! What could leak, and why it does not. *When the person at a node votes*: a contribution leaves, and nothing counts
//! contributions, entries or what answers them; there is no processor time and no total of bytes. *When anybody's
//! contribution reaches an operator*: the same. What can be counted at a distance all the same, the height and the sizes, is
//! what the log tells every member at that moment, and is the same on all nodes; sizes are told in steps of 1 MiB. Two things
//! move at this node alone when its person contributes. *Free room* is less by what is kept until the log has it, and is
//! told in steps of 64 MiB. *The event loop* makes a turn of some milliseconds, or some tenths of a second for a large delta:
//! turns are told in whole seconds, and when the last one was in whole minutes, where an idle loop makes one every ten
//! seconds. The counts of the machinery's messages are those of the last quarter of an hour.
//! libp2p's own metrics are not shown: they count every message.
//! *Who votes*: no label holds a key, a tag, a node, an address or a round. What the operating system counts (bytes of
//! interfaces, processor time) is not ours to hide: who can read that on a home's machine sees when something large leaves.

use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    api::Role,
    driver::meters::{Count, Kind},
    health::Snapshot,
};

/// Steps, in seconds, in which it is told when the last turn was: more than an idle event loop rests.
const AGE_STEP: u64 = 60;

/// The content type of what [`render`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Number = Gauge<i64>;
type Real = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Build {
    version: &'static str,
    protocol: u32,
    role: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Named {
    check: String,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct Talk {
    direction: &'static str,
    kind: &'static str,
}

/// The metrics of one look.
struct Sheet(Registry);

impl Sheet {
    fn number(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Number::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.0.register(name, help, gauge);
    }

    fn bytes(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Number::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.0.register_with_unit(name, help, Unit::Bytes, gauge);
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Real::default();
        gauge.set(value);
        self.0.register_with_unit(name, help, Unit::Seconds, gauge);
    }

    fn states(&mut self, name: &str, help: &str, values: &[(&'static str, usize)]) {
        let family = Family::<State, Number>::default();
        for (state, value) in values {
            family.get_or_create(&State { state }).set(i64::try_from(*value).unwrap_or(i64::MAX));
        }
        self.0.register(name, help, family);
    }
}

/// Returns the metrics as text.
///
/// # Errors
///
/// Returns an error if a label cannot be written, which none of ours is.
pub fn render(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut sheet = Sheet(Registry::with_prefix("chorus"));
    node(&mut sheet, snapshot);
    log(&mut sheet, snapshot);
    kept(&mut sheet, snapshot);
    talk(&mut sheet, snapshot);
    let mut text = String::new();
    encode(&mut text, &sheet.0)?;
    Ok(text)
}

fn node(sheet: &mut Sheet, snapshot: &Snapshot) {
    let role = match snapshot.role {
        Role::Participant => "participant",
        Role::Operator => "operator",
        Role::Relay => "relay",
    };
    let version = env!("CARGO_PKG_VERSION");
    let build = Family::<Build, Number>::default();
    build.get_or_create(&Build { version, protocol: chorus_protocol::message::VERSION.into(), role }).set(1);
    sheet.0.register("build_info", "What runs here", build);
    sheet.seconds("uptime", "Since the node started", snapshot.uptime.as_secs() as f64);
    let checks = snapshot.checks();
    sheet.number("ready", "Whether the node is of use", checks.iter().all(|check| check.ok).into());
    let family = Family::<Named, Number>::default();
    for check in checks {
        family.get_or_create(&Named { check: check.name }).set(check.ok.into());
    }
    sheet.0.register("check", "What makes the node ready, one by one", family);
    sheet.number("halted", "Whether the node no longer takes part", snapshot.halted.into());
    let minutes = snapshot.turn_age.as_secs() / AGE_STEP;
    sheet.seconds("turn_age", "Since the protocol last turned, in whole minutes", (minutes * AGE_STEP) as f64);
    let slowest = snapshot.slowest_turn.as_secs();
    sheet.seconds("slowest_turn", "The slowest turn of the last minute or two, in whole seconds", slowest as f64);
}

fn log(sheet: &mut Sheet, snapshot: &Snapshot) {
    let standing = snapshot.standing.unwrap_or_default();
    sheet.number("log_height", "The height of the log", standing.height);
    sheet.number("log_heard_height", "The highest height that somebody claims", standing.heard);
    sheet.seconds("log_time", "The log's own time, since 1970", (standing.log_millis / 1_000) as f64);
    sheet.number("peers", "Nodes connected", standing.peers as u64);
    let operators = [("all", standing.operators), ("reached", standing.reached), ("needed", standing.needed)];
    sheet.states("operators", "Operators: in all, reached from here, needed to decide", &operators);
    sheet.number("members", "Members of the community", standing.members as u64);
    let [planned, open, sealed, finished] = standing.rounds;
    let rounds = [("planned", planned), ("open", open), ("sealed", sealed), ("finished", finished)];
    sheet.states("rounds", "Rounds by state", &rounds);
}

fn kept(sheet: &mut Sheet, snapshot: &Snapshot) {
    sheet.bytes("disk_free", "Free where the data directory is, in steps of 64 MiB", snapshot.free.unwrap_or_default());
    sheet.bytes("journal", "The journal, in steps of 1 MiB", snapshot.journal);
    sheet.bytes("store", "The store of the log, in steps of 1 MiB", snapshot.store);
    sheet.bytes("blob", "Public bodies, in steps of 1 MiB", snapshot.blobs.bytes);
}

fn talk(sheet: &mut Sheet, snapshot: &Snapshot) {
    let (messages, bytes) = (Family::<Talk, Counter>::default(), Family::<Talk, Counter>::default());
    let add = |direction, counts: &[Count]| {
        for (kind, count) in Kind::ALL.into_iter().zip(counts) {
            let talk = Talk { direction, kind: kind.name() };
            messages.get_or_create(&talk).inc_by(count.messages);
            bytes.get_or_create(&talk).inc_by(count.bytes);
        }
    };
    add("in", &snapshot.counts.received);
    add("out", &snapshot.counts.sent);
    sheet.0.register("messages", "The machinery's messages, as of the last quarter of an hour", messages);
    sheet.0.register("message_bytes", "Their bytes, as of the last quarter of an hour", bytes);
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::health::tests::sound;

    /// The names of the metrics in a text.
    fn names(text: &str) -> BTreeSet<String> {
        let is_part = |character: char| character.is_ascii_lowercase() || character == '_';
        let starts = text.match_indices("chorus_").map(|(at, _)| &text[at..]);
        let name = |rest: &str| rest[..rest.find(|character| !is_part(character)).unwrap_or(rest.len())].to_owned();
        starts.map(name).collect()
    }

    fn rendered() -> BTreeSet<String> {
        let text = render(&sound()).expect("written");
        text.lines().filter(|line| !line.starts_with('#')).flat_map(names).collect()
    }

    #[test]
    fn what_is_measured_is_written() {
        let text = render(&sound()).expect("written");

        for line in [
            "chorus_ready 1",
            "chorus_check{check=\"journal\"} 1",
            "chorus_log_height 40",
            "chorus_operators{state=\"needed\"} 3",
            "chorus_rounds{state=\"open\"} 1",
            "chorus_slowest_turn_seconds 0.0",
            "chorus_turn_age_seconds 0.0",
            "chorus_journal_bytes 5242880",
            "chorus_messages_total{direction=\"out\",kind=\"tip\"} 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn short_turns_are_not_told_and_long_ones_are() {
        let told = |turn_age, slowest_turn| {
            let text = render(&Snapshot { turn_age, slowest_turn, ..sound() }).expect("written");
            let turn = |line: &&str| line.starts_with("chorus_turn_age_") || line.starts_with("chorus_slowest_turn_");
            text.lines().filter(turn).map(str::to_owned).collect::<Vec<_>>()
        };
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));

        assert_eq!(told(Duration::from_secs(10), Duration::from_millis(999)), told(Duration::ZERO, Duration::ZERO));
        assert_eq!(told(hour, 31 * second), ["chorus_turn_age_seconds 3600.0", "chorus_slowest_turn_seconds 31.0"]);
    }

    #[test]
    fn what_the_documents_the_dashboard_and_the_alerts_name_exists() {
        let known = rendered();
        let named = [
            ("the dashboard", include_str!("../deploy/grafana.json")),
            ("the alerts", include_str!("../deploy/alerts.yml")),
            ("the documentation", include_str!("metrics.rs").split("# Security").next().unwrap_or_default()),
        ];

        for (what, text) in named {
            let names = names(text);
            assert!(names.len() > 5, "{what} name metrics");
            assert!(names.is_subset(&known), "{what}: {:?}", names.difference(&known));
        }
        let text = render(&sound()).expect("written");
        let mut chosen = 0;
        for (what, file) in &named[..2] {
            let file = file.replace("\\\"", "\"");
            for (at, _) in file.match_indices("{state=\"") {
                let label: String = file[at + 1..].split_inclusive('"').take(2).collect();
                assert!(text.contains(&label), "{what}: {label}");
                chosen += 1;
            }
        }
        assert!(chosen > 5, "{chosen} labels are chosen by");
        let dashboard: serde_json::Value = serde_json::from_str(include_str!("../deploy/grafana.json")).expect("JSON");
        assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
    }

    #[test]
    fn no_label_names_anybody() {
        let text = render(&sound()).expect("written");
        let label = |line: &str| line.split_once('{').map(|(_, labels)| labels.to_owned());
        let labels: Vec<String> = text.lines().filter(|line| !line.starts_with('#')).filter_map(label).collect();
        let allowed = ["version=", "protocol=", "role=", "check=", "state=", "direction=", "kind="];

        for label in labels {
            let keys = label.split('}').next().unwrap_or_default().split(',');
            for key in keys {
                assert!(allowed.iter().any(|allowed| key.starts_with(allowed)), "{key}");
            }
        }
    }
}
