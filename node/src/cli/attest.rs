//! `chorus attest`: how people are admitted, stay, and go.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{
    Failure, Global,
    client::Client,
    output::{Lines, many, short},
    poll::millis,
    values,
};
use crate::api::{service::USUAL_WAIT, view};

#[derive(Debug, Subcommand)]
pub(super) enum Attest {
    /// Print a request for an attester.
    ///
    /// It proves that you hold the keys it names and that your leaf holds the attributes you state. It contains no secret of
    /// yours, but what you state and the code: give it to the attester and nobody else.
    Request(Request),
    /// State that a request comes from one distinct person (attesters only).
    ///
    /// Exactly one thing must speak for the person: their --subject is on your allow-list (`chorus config set
    /// attester.allow-list FILE`); the request carries an unspent code of yours (`chorus attest invite`); your hook says who
    /// it is (`chorus config set attester.hook PROGRAM`); or you have met them (--in-person). Whom you have admitted once,
    /// you cannot admit with another key.
    Approve(Approve),
    /// Print invite codes, each for one person (attesters only). They are shown this once.
    Invite {
        /// How many.
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        count: usize,
    },
    /// List members, candidates, attesters, recoveries and attributes.
    List {
        /// Only those who are not admitted yet, and recoveries.
        #[arg(long)]
        pending: bool,
    },
    /// Take your word on somebody back (attesters), or leave the community, with your own key or `me`.
    Revoke {
        #[command(flatten)]
        whom: Whom,
        /// Why, for everybody to read.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// Leave without being asked again. The key cannot come back.
        #[arg(long)]
        yes: bool,
    },
    /// Take a fresh leaf, so that a key stolen later does not tell which earlier ballots were yours.
    ///
    /// It takes effect in rounds and polls that open afterwards; one rotation is possible between two of them.
    Rotate {
        #[command(flatten)]
        wait: Wait,
    },
    /// Deny that your key was lost, when another key is to take over from it: name that one, or say `me` (see `attest list
    /// --pending`).
    Veto {
        #[command(flatten)]
        whom: Whom,
    },
    /// Publish how many people you have checked for each value of each attribute; small numbers as zero (attesters only).
    ///
    /// Values that enough people have can then be shown in rounds with classes.
    Census {
        #[command(flatten)]
        wait: Wait,
    },
    /// State that a member is no distinct person (operators only); n − f operators decide.
    Expel {
        #[command(flatten)]
        whom: Whom,
        /// Why, for everybody to read.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// State that an attester is not to be trusted any more (operators only); n − f operators decide.
    RemoveAttester {
        #[command(flatten)]
        whom: Whom,
        /// Why, for everybody to read.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args)]
pub(super) struct Request {
    /// An attribute for the attester to check, as in region=north; may be repeated. See `chorus status` for what there is.
    /// Without any, those of the last request.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = values::pair)]
    attributes: Vec<(String, String)>,
    /// The attester's invite code, or what its hook asks for; - reads standard input.
    #[arg(long, value_name = "CODE", default_value = "")]
    code: String,
    /// The key that you had before and lost. Attesters who know you can let this one take over.
    #[arg(long, value_name = "KEY")]
    recovers: Option<String>,
}

impl core::fmt::Debug for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

#[derive(Args)]
pub(super) struct Approve {
    /// The request; - reads it from standard input.
    request: String,
    /// What identifies the person: an address, a number of membership. Only a keyed hash of it is kept.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// You have met the person and know them to be the subject.
    #[arg(long, requires = "subject")]
    in_person: bool,
    /// An attribute that you have checked; may be repeated. Every one that the request states must be.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = values::pair)]
    attributes: Vec<(String, String)>,
    /// For how long your word counts.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "365d")]
    expires: Duration,
    #[command(flatten)]
    wait: Wait,
}

impl core::fmt::Debug for Approve {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Approve").finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub(super) struct Whom {
    /// The key, or the first six or more digits of it.
    key: String,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Wait {
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

impl Wait {
    const fn seconds(self) -> Option<u64> {
        Some(self.wait.as_secs())
    }
}

impl Attest {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        match self {
            Self::Request(request) => request.carry_out(&client, global),
            Self::Approve(approve) => approve.carry_out(&client, global),
            Self::Invite { count } => {
                let issued: view::IssuedCodes =
                    client.post("/attest/invite", &view::IssueCodes { count }, Duration::ZERO)?;
                output.print(&issued, |issued| issued.codes.join("\n"))
            }
            Self::List { pending } => {
                let mut people: view::People = client.get("/attest")?;
                if pending {
                    people.members.clear();
                }
                output.print(&people, |people| list(people, pending))
            }
            Self::Revoke { whom, reason, yes } => {
                let about = view::About { reason, sure: yes || sure(global, &whom.key)?, ..whom.about() };
                say(&client, global, "/attest/revoke", &about, whom.wait)
            }
            Self::Rotate { wait } => {
                say(&client, global, "/attest/rotate", &view::Wait { wait_seconds: wait.seconds() }, wait)
            }
            Self::Veto { whom } => say(&client, global, "/attest/veto", &whom.about(), whom.wait),
            Self::Census { wait } => census(&client, global, wait),
            Self::Expel { whom, reason } => {
                let about = view::About { reason, ..whom.about() };
                say(&client, global, "/attest/expel", &about, whom.wait)
            }
            Self::RemoveAttester { whom, reason } => {
                let about = view::About { reason, ..whom.about() };
                say(&client, global, "/attest/remove-attester", &about, whom.wait)
            }
        }
    }
}

impl Whom {
    fn about(&self) -> view::About {
        view::About { key: self.key.clone(), wait_seconds: self.wait.seconds(), ..view::About::default() }
    }
}

impl Request {
    fn carry_out(self, client: &Client, global: &Global) -> anyhow::Result<()> {
        let evidence = values::text_or_stdin(&self.code)?.trim().to_owned();
        let asked = view::AskForAttestation { attributes: self.attributes, evidence, recovers: self.recovers };
        let request: view::Request = client.post("/attest/request", &asked, Duration::ZERO)?;
        global.output().print(&request, |request| {
            if let Some(needed) = request.standing.attestations_needed {
                let found = request.standing.attestations;
                let member =
                    if request.standing.member { "; you are a member, and need no more until one ends" } else { "" };
                eprintln!(
                    "note: {found} of {needed} attestations{member}; hand this to an attester, and to nobody else"
                );
            }
            request.request.clone()
        })
    }
}

impl Approve {
    fn carry_out(self, client: &Client, global: &Global) -> anyhow::Result<()> {
        let asked = view::Approve {
            request: values::text_or_stdin(&self.request)?.trim().to_owned(),
            subject: self.subject,
            in_person: self.in_person,
            attributes: self.attributes,
            expires_millis: Some(millis(self.expires)),
            wait_seconds: self.wait.seconds(),
        };
        let waiting = global.output().waiting("waiting for the log");
        let approved: view::Approved = client.post("/attest/approve", &asked, patience(self.wait))?;
        drop(waiting);
        global.output().print(&approved, |approved| {
            let mut lines = Lines::default();
            lines.field("attested", &approved.key);
            for (name, value) in &approved.attributes {
                lines.field("checked", format!("{name} = {value}"));
            }
            lines.field("stands at", standing(&approved.standing));
            if approved.standing.member {
                lines.line("They take part in rounds that open from now on.");
            } else if let Some(missing) = missing(&approved.standing) {
                lines.line(format!("Still needed: {missing}, each on a request of its own (`chorus attest request`)."));
            }
            lines.finish()
        })
    }
}

/// How long an answer may take: a hook may be asked before the log is waited for.
fn patience(wait: Wait) -> Duration {
    const HOOK: Duration = Duration::from_secs(300);
    wait.wait.max(USUAL_WAIT) + HOOK
}

fn say(client: &Client, global: &Global, path: &str, asked: &impl serde::Serialize, wait: Wait) -> anyhow::Result<()> {
    let waiting = global.output().waiting("waiting for the log");
    let said: view::Said = client.post(path, asked, wait.wait)?;
    drop(waiting);
    global.output().print(&said, |said| said.effect.clone())
}

fn census(client: &Client, global: &Global, wait: Wait) -> anyhow::Result<()> {
    let asked = view::Wait { wait_seconds: wait.seconds() };
    let census: view::CensusView = client.post("/attest/census", &asked, wait.wait)?;
    global.output().print(&census, |census| {
        let mut lines = Lines::default();
        for (attribute, values) in &census.attributes {
            let counts: Vec<String> = values.iter().map(|(value, count)| format!("{value} {count}")).collect();
            lines.field(attribute, counts.join(", "));
        }
        lines.line("Small numbers are published as 0.");
        lines.finish()
    })
}

/// Asks a person at a terminal who leaves; whether others' keys are meant, the node tells.
fn sure(global: &Global, key: &str) -> anyhow::Result<bool> {
    let terminal = console::Term::stderr();
    if key != "me" || global.output().is_json() || !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Ok(false);
    }
    let ask = "You leave for good: this key cannot come back. Type \"leave\" to do so: ";
    terminal.write_str(ask)?;
    let answer = terminal.read_line()?;
    if answer.trim() == "leave" { Ok(true) } else { Err(Failure::Usage("you stay".into()).into()) }
}

/// Which attestations are missing, in words.
fn missing(standing: &view::Standing) -> Option<String> {
    let missing = usize::from(standing.attestations_needed?).checked_sub(standing.attestations)?;
    (missing > 0).then(|| format!("{} of other attesters", many(missing, "attestation")))
}

/// How far somebody is on the way to membership, in words.
fn standing(standing: &view::Standing) -> String {
    let mut parts = Vec::new();
    if let Some(needed) = standing.attestations_needed {
        parts.push(format!("{} of {needed} attestations", standing.attestations));
    }
    if let Some(needed) = standing.vouches_needed {
        parts.push(format!(
            "{}; {needed} from accepted people are needed",
            many(standing.vouches, "vouch").replace("vouchs", "vouches")
        ));
    }
    parts.push(if standing.member { "a member".into() } else { "not a member yet".into() });
    parts.join("; ")
}

fn list(people: &view::People, pending: bool) -> String {
    let mut lines = Lines::default();
    if !pending {
        lines.line(match people.members.len() {
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        });
        people.members.iter().for_each(|member| describe(&mut lines, member));
        lines.line("").line("Attesters");
        for attester in &people.attesters {
            let own = if attester.own { "  (you)" } else { "" };
            let removed = if attester.removed_at.is_some() { "  removed" } else { "" };
            let of = if attester.organisation == attester.key { "" } else { attester.organisation.as_str() };
            lines.line(format!("  {}  {of}{removed}{own}", attester.key));
        }
    }
    if !people.candidates.is_empty() || pending {
        lines.line("").line(format!("{} not admitted yet", people.candidates.len()));
        people.candidates.iter().for_each(|candidate| describe(&mut lines, candidate));
    }
    for recovery in &people.recoveries {
        let state = match (recovery.vetoed, recovery.due <= people.log_time) {
            (true, _) => "denied by the owner".to_owned(),
            (false, true) => "due at the next round, if attested".to_owned(),
            (false, false) => {
                let left = Duration::from_millis(recovery.due.saturating_sub(people.log_time));
                format!("due {}", crate::api::service::remaining(left))
            }
        };
        let own = if recovery.own { "  (your key! `chorus attest veto me` denies it)" } else { "" };
        let (key, lost) = (short(&recovery.key), short(&recovery.lost));
        lines.line(format!("  recovery: {key} takes over from {lost}: {state}{own}"));
    }
    for attribute in people.attributes.iter().filter(|_| !pending) {
        let value = |(name, open): &(String, bool)| if *open { name.clone() } else { format!("({name})") };
        let values: Vec<String> = attribute.values.iter().map(value).collect();
        lines.line("").line(format!("Attribute {}: {}", attribute.name, values.join(", ")));
        lines.line(
            "  Values in brackets are counted as \"other\": too few people have them for all that attesters said.",
        );
    }
    lines.finish()
}

fn describe(lines: &mut Lines, member: &view::Member) {
    let own = if member.own { "  (you)" } else { "" };
    let attesters: Vec<String> = member.attested_by.iter().map(|by| short(&by.attester)).collect();
    lines.line(format!("  {}  {}{own}", member.key, standing(&member.standing)));
    if !attesters.is_empty() {
        let checked =
            if member.checked.is_empty() { String::new() } else { format!(", checked {}", member.checked.join(", ")) };
        lines.line(format!("      attested by {}{checked}", attesters.join(", ")));
    }
}
