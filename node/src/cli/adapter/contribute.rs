//! `chorus adapter contribute` and `chorus adapter withdraw`.

use std::time::Duration;

use chorus_protocol::contribution::Level;
use clap::Args;
use zeroize::Zeroizing;

use super::{
    super::{Failure, Global, client::Client, output::Lines, values},
    own::{Own, octets},
    published,
};
use crate::api::{service::OTHER_NAME, view};

/// Which series, and how to speak in it.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Manner {
    /// Show that the contribution is yours; what is in it stays secret. Refused while your level is anonymous.
    #[arg(long)]
    open: bool,
    /// In a round with classes, count as "other" instead of showing your class.
    #[arg(long)]
    hide_class: bool,
    /// Keep your own adapter on this machine after it is on the log.
    #[arg(long)]
    keep: bool,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "5m")]
    wait: Duration,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Contribute {
    /// The series: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    #[command(flatten)]
    manner: Manner,
}

impl Contribute {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let series = published::get(&client, &self.series)?;
        let round = open_round(&series)?;
        let own = Own::of(global, series.id, round.round.id)?;
        let delta = own.delta()?.ok_or_else(|| {
            let train = "`chorus adapter train` trains one, `chorus adapter import FOLDER` brings one in";
            Failure::Usage(format!("you have no adapter for round {} yet: {train}", round.number))
        })?;
        send(global, &client, &series, round, &own, delta, &self.manner)
    }
}

/// Contributes a delta, and tells what became of it.
pub(super) fn send(
    global: &Global,
    client: &Client,
    series: &view::Series,
    round: &view::AdapterRound,
    own: &Own,
    delta: Zeroizing<Vec<f32>>,
    manner: &Manner,
) -> anyhow::Result<()> {
    if delta.len() != series.entries {
        let (found, expected) = (delta.len(), series.entries);
        return Err(
            Failure::Usage(format!("your adapter has {found} entries, the series {expected}: train anew")).into()
        );
    }
    let Manner { open, hide_class, keep, wait } = *manner;
    let waiting = global.output().waiting("masking, proving, sending, and waiting for the log");
    let query = format!("open={open}&hide_class={hide_class}&wait_seconds={}", wait.as_secs());
    let path = format!("/adapters/{}/contribute?{query}", series.id);
    let contributed: view::Contributed = client.post_octets(&path, &octets(&delta), wait)?;
    drop(waiting);
    if contributed.round != round.round.id {
        return Err(Failure::Usage("another round has begun meanwhile: train for it".into()).into());
    }
    if !keep {
        own.delete()?;
    }
    global.output().print(&contributed, |contributed| text(contributed, keep))
}

fn text(contributed: &view::Contributed, keep: bool) -> String {
    let mut lines = Lines::default();
    lines.line(format!("Your adapter is on the log, in round {} of the series.", contributed.number));
    lines.line(clipped(contributed.clipped));
    if contributed.own.sequence > 0 {
        lines.line("It replaces your earlier one. Both show to be of one person.");
    }
    let among = contributed.shows.among;
    lines.line(match (contributed.shows.level, among) {
        (Level::Open, _) => "Everybody can see that it is yours, and not what is in it.".to_owned(),
        (Level::Anonymous, 0 | 1) => {
            "Nobody else can contribute here, so everybody can tell that it is yours.".to_owned()
        }
        (Level::Anonymous, among) => format!("Nobody learns that it is yours: it could be of any of {among} members."),
    });
    match contributed.shows.class.as_deref() {
        None => {}
        Some(OTHER_NAME) => {
            lines.line("It shows no class, and counts as \"other\".");
        }
        Some(class) => {
            lines.line(format!("It shows your class, {class}."));
        }
    }
    lines.line(if keep {
        "It stays on this machine too, as you asked."
    } else {
        "It is deleted from this machine: what you sent is masked, and nobody can take it apart any more."
    });
    lines.finish()
}

/// Says loudly what was taken off a contribution.
pub(super) fn clipped(factor: f64) -> String {
    if factor >= 1.0 {
        return "Its norm is within the bound: nothing was taken off.".to_owned();
    }
    format!(
        "CLIPPED: your adapter was longer than the series admits, and was shortened to {:.1} % of itself. Fewer epochs or a \
         smaller learning rate make a shorter one.",
        100.0 * factor
    )
}

/// Returns the round that takes contributions.
pub(super) fn open_round(series: &view::Series) -> Result<&view::AdapterRound, Failure> {
    let last = series.rounds.last();
    let state = last.map(|round| round.round.state);
    match (last, state) {
        (Some(round), Some(view::RoundState::Planned | view::RoundState::Open)) => Ok(round),
        (_, Some(_)) => Err(Failure::Closed("the last round of this series is over: see `chorus adapter list`")),
        (_, None) => Err(Failure::Closed("this series has no round yet: an operator begins it")),
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Withdraw {
    /// The series: its name or the beginning of its id, or - for the only one.
    #[arg(value_parser = values::series, default_value = "-")]
    series: String,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    wait: Duration,
}

impl Withdraw {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let asked = view::Withdraw { wait_seconds: Some(self.wait.as_secs()) };
        let waiting = output.waiting("proving, sending, and waiting for the log");
        let taken: view::Contributed =
            client.post(&format!("/adapters/{}/withdraw", self.series), &asked, self.wait)?;
        drop(waiting);
        output
            .print(&taken, |_| "Your adapter is withdrawn. Until the round ends, you can contribute again.".to_owned())
    }
}
