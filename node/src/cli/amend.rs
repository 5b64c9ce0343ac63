//! `chorus community amend` and `chorus community show`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::charter::ClassWeights;
use clap::Args;
use serde::Deserialize;

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, short},
    values,
};
use crate::api::view;

#[derive(Debug, Args)]
pub(super) struct Amend {
    /// Take an operator in, by its public key; may be repeated.
    #[arg(long, value_name = "KEY")]
    add_operator: Vec<String>,
    /// Let an operator go, by its public key or the first digits of it; may be repeated. With --add-operator: replace it.
    #[arg(long, value_name = "KEY")]
    remove_operator: Vec<String>,
    /// A file with the rules that change, in JSON or TOML, named as `chorus community rules` prints them; and `weights`,
    /// a list of slot and weights that rounds by an attribute must have.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// How long members vote on it, as in 7d.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, required_unless_present = "approve")]
    duration: Option<Duration>,
    /// Consent to a draft for which the members voted, by the beginning of its id; the only one if none is given.
    #[arg(long, value_name = "DRAFT", num_args = 0..=1, default_missing_value = "",
          conflicts_with_all = ["add_operator", "remove_operator", "rules", "duration"])]
    approve: Option<String>,
    /// The first height under the new rules [default: what other operators state, or 64 heights from now].
    #[arg(long, value_name = "HEIGHT", requires = "approve")]
    at: Option<u64>,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

/// What a file of rules may say.
#[derive(Debug, Deserialize)]
struct Changes {
    weights: Option<Vec<ClassWeights>>,
    #[serde(flatten)]
    policy: serde_json::Map<String, serde_json::Value>,
}

impl Amend {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let wait_seconds = Some(self.wait.as_secs());
        if let Some(draft) = self.approve {
            let asked = view::ApproveAmendment { draft, effective: self.at, wait_seconds };
            let waiting = output.waiting("waiting for the log");
            let charter: view::CharterView = client.post("/community/amendments/approve", &asked, self.wait)?;
            drop(waiting);
            return output.print(&charter, consented);
        }
        let changes = self.rules.as_deref().map(read_changes).transpose()?;
        let (policy, weights) = changes.map_or((None, None), |changes| (Some(changes.policy), changes.weights));
        let duration = self.duration.unwrap_or_default();
        let asked = view::DraftAmendment {
            add_operators: self.add_operator,
            remove_operators: self.remove_operator,
            policy,
            weights,
            duration_millis: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            wait_seconds,
        };
        let waiting = output.waiting("waiting for the log");
        let draft: view::DraftView = client.post("/community/amendments", &asked, self.wait)?;
        drop(waiting);
        output.print(&draft, drafted)
    }
}

fn read_changes(path: &Path) -> anyhow::Result<Changes> {
    let text = values::read_file(path)?;
    let refused = |error: String| Failure::Usage(format!("{} holds no rules: {error}", path.display()));
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let changes = if is_toml {
        toml::from_str(&text).map_err(|error| refused(error.to_string()))
    } else {
        serde_json::from_str(&text).map_err(|error| refused(error.to_string()))
    };
    Ok(changes?)
}

fn drafted(draft: &view::DraftView) -> String {
    let mut lines = Lines::default();
    lines.field("amendment", draft.number).field("draft", draft.draft).field("poll", draft.poll);
    lines.line("").line(&draft.item).line("");
    let (poll, id) = (short(&draft.poll), short(&draft.draft));
    lines.line(format!(
        "Next: members vote with `chorus vote {poll} 1=agree`. Two thirds of those who decide carry it; then"
    ));
    lines.line(format!("operators consent with `chorus community amend --approve {id}`."));
    lines.finish()
}

fn consented(charter: &view::CharterView) -> String {
    let mut lines = Lines::default();
    let adopted = charter.amendments.iter().rfind(|amendment| !amendment.in_force);
    match (adopted, charter.stated.first()) {
        (Some(adopted), _) => lines.line(format!(
            "Adopted: the new rules hold from height {} on; the log is at {}.",
            adopted.effective, charter.height
        )),
        (None, Some(stated)) => lines.line(format!(
            "{} of {} operators consent, for height {}; the log is at {}.",
            charter.stated.len(),
            charter.consents_needed,
            stated.effective,
            charter.height
        )),
        (None, None) => lines.line("The amendment is in force: see `chorus community show`."),
    };
    lines.finish()
}

/// Prints the rules in force.
pub(super) fn show(global: &Global) -> anyhow::Result<()> {
    let charter: view::CharterView = Client::new(global)?.get("/community")?;
    global.output().print(&charter, |charter| {
        let mut lines = Lines::default();
        lines.field("community", &charter.name).field("id", charter.community).field("height", charter.height);
        for (number, key) in (1..).zip(&charter.operators) {
            let own = if charter.own == Some(number) { " (this node)" } else { "" };
            lines.field("operator", format!("{number} {key}{own}"));
        }
        super::rules::describe(&mut lines, &charter.policy, charter.attesters.len());
        for fixed in &charter.weights {
            lines.field("weights", format!("attribute {}: {:?}", fixed.slot + 1, fixed.weights));
        }
        for amendment in &charter.amendments {
            let state = if amendment.in_force { "in force since" } else { "adopted, holds from" };
            let (number, draft) = (amendment.number, short(&amendment.draft));
            lines.field("amendment", format!("{number} ({draft}) {state} height {}", amendment.effective));
        }
        for stated in &charter.stated {
            let (operator, draft) = (short(&stated.operator), short(&stated.draft));
            lines.field("consent", format!("operator {operator} to {draft} for height {}", stated.effective));
        }
        lines.finish()
    })
}
