//! `chorus vote` and `chorus withdraw`.

mod cards;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::Duration,
};

use chorus_protocol::contribution::Level;
use clap::{Args, ValueEnum as _};

use super::{Failure, Global, client::Client, output::Lines, values};
use crate::api::{
    service::OTHER_NAME,
    view::{self, Choice},
};

#[derive(Args)]
pub(super) struct Vote {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// Votes: an item's number (see `chorus poll show POLL`) or the beginning of its id, and agree, disagree or pass. Without
    /// any, and at a terminal, you are asked about one item after the other.
    #[arg(value_name = "ITEM=CHOICE", value_parser = vote)]
    votes: Vec<(String, Choice)>,
    /// A file with a ballot in JSON, as in {"1": "agree", "2": "pass"}; - reads standard input.
    #[arg(long, value_name = "FILE")]
    ballot: Option<PathBuf>,
    /// When you are asked: only about items of this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Show your ballot as a point on the opinion map: about 10 bits of it become public. Anonymous ballots are on the map
    /// anyhow, as nobody can tell whose point it is; an open one only with this consent.
    #[arg(long)]
    on_map: bool,
    /// Keep your ballot off the opinion map: it counts in the totals all the same.
    #[arg(long, conflicts_with = "on_map")]
    off_map: bool,
    /// Show that this ballot is yours; how you vote stays secret. Refused while your level is anonymous.
    #[arg(long)]
    open: bool,
    /// In a round with classes, count as "other" instead of showing your class.
    #[arg(long)]
    hide_class: bool,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

impl core::fmt::Debug for Vote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Vote").field("poll", &self.poll).finish_non_exhaustive()
    }
}

/// Reads `ITEM=CHOICE`.
fn vote(text: &str) -> Result<(String, Choice), String> {
    let form = "a vote is ITEM=agree, ITEM=disagree or ITEM=pass, as in 1=agree";
    let (item, choice) = text.split_once('=').ok_or(form)?;
    Ok((item.trim().to_ascii_lowercase(), Choice::from_str(choice.trim(), true).map_err(|_| form)?))
}

impl Vote {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let mut votes = self.votes;
        if let Some(path) = &self.ballot {
            let text = if path.as_os_str() == "-" { values::text_or_stdin("-")? } else { values::read_file(path)? };
            let ballot: BTreeMap<String, Choice> = serde_json::from_str(&text)
                .map_err(|error| Failure::Usage(format!("{} is no ballot: {error}", path.display())))?;
            votes.extend(ballot);
        } else if votes.is_empty() && io::stdin().is_terminal() && !global.output().is_json() {
            let client = Client::new(global)?;
            let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
            match cards::ask(&client, &self.poll, self.topic.as_deref(), (&mut input, &mut out))? {
                Some(asked) => votes = asked,
                None => return Ok(()),
            }
        }
        let on_map = (self.on_map || self.off_map).then_some(self.on_map);
        let (open, hide_class, wait_seconds) = (self.open, self.hide_class, Some(self.wait.as_secs()));
        let asked = view::CastVote { votes, on_map, open, hide_class, wait_seconds };
        send(global, &format!("/polls/{}/vote", self.poll), &asked, self.wait)
    }
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    /// The poll: its id or the beginning of it, or - for the only one.
    #[arg(value_parser = values::poll)]
    poll: String,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

impl Withdraw {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let asked = view::Withdraw { wait_seconds: Some(self.wait.as_secs()) };
        send(global, &format!("/polls/{}/withdraw", self.poll), &asked, self.wait)
    }
}

pub(super) fn send(global: &Global, path: &str, asked: &impl serde::Serialize, wait: Duration) -> anyhow::Result<()> {
    let (client, output) = (Client::new(global)?, global.output());
    let waiting = output.waiting("proving, sending, and waiting for the log");
    let cast: view::Cast = client.post(path, asked, wait)?;
    drop(waiting);
    output.print(&cast, text)
}

fn text(cast: &view::Cast) -> String {
    let mut lines = Lines::default();
    if cast.own.withdrawal {
        lines.line("Your ballot is withdrawn. Until voting ends, you can vote again.");
        return lines.finish();
    }
    lines.line(format!("Your ballot on {} of {} items is on the log.", cast.votes, cast.items));
    if cast.own.sequence > 0 {
        lines.line(
            "It replaces your earlier one. Both show to be of one person, so what the earlier one showed stays known.",
        );
    }
    lines.line(shows(&cast.shows));
    lines.line("You can change it until voting ends; `chorus result --wait 1h` waits for what comes of it.");
    lines.finish()
}

/// What everybody learns from a ballot, in words. How somebody voted is nowhere in it.
fn shows(shows: &view::Shows) -> String {
    let whose = match (shows.level, shows.among, &shows.class) {
        (Level::Open, _, _) => "Everybody can see that it is yours, and not how you voted".to_owned(),
        (Level::Anonymous, 0 | 1, _) => {
            "Nobody else can vote here, so everybody can tell that it is yours, and not how you voted".to_owned()
        }
        (Level::Anonymous, among, _) => {
            format!("Nobody learns that it is yours: it could be of any of {among} members")
        }
    };
    let class = shows.class.as_ref().map_or_else(String::new, |class| match class.as_str() {
        OTHER_NAME => ". It shows no class, and counts as \"other\"".to_owned(),
        class => format!(". It shows your class, {class}, so it is one of the ballots of those in it"),
    });
    let map = match (&shows.class, shows.on_map, shows.level) {
        (None, true, Level::Anonymous) => ". If there is an opinion map, it is a point on it",
        (None, true, Level::Open) => ". If there is an opinion map, it is a point on it that everybody knows as yours",
        (None, false, _) => ". It is not on the opinion map",
        (Some(_), _, _) => "",
    };
    format!("{whose}{class}{map}.")
}
