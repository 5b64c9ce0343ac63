//! `chorus adapter list`.

use chorus_protocol::adapter::manifest::{AdapterManifest, Centre, DELTA, Weights};
use clap::Args;

use super::super::{
    Global,
    client::Client,
    output::{Lines, many, short},
    status, values,
};
use crate::api::view::{self, AdapterStanding as Standing};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// The series: its name or the beginning of its id, or - for the only one [default: all].
    #[arg(value_parser = values::series)]
    series: Option<String>,
}

impl List {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let Some(series) = &self.series else {
            let all: Vec<view::Series> = client.get("/adapters")?;
            return output.print(&all, |all| {
                let mut lines = Lines::default();
                if all.is_empty() {
                    lines.line("No series yet: an operator begins one with `chorus adapter open --base-model PATH --name NAME`.");
                }
                all.iter().for_each(|series| describe(&mut lines, series));
                lines.finish()
            });
        };
        let series: view::Series = client.get(&format!("/adapters/{series}"))?;
        output.print(&series, |series| {
            let mut lines = Lines::default();
            describe(&mut lines, series);
            manifest(&mut lines, series);
            lines.finish()
        })
    }
}

/// Adds a series with its rounds.
pub(super) fn describe(lines: &mut Lines, series: &view::Series) {
    let manifest = &series.manifest;
    lines.line(format!("{}  {}, for {}", short(&series.id), manifest.name, manifest.base.name));
    for round in &series.rounds {
        lines.line(format!("  {}", status::round_line(&round.round)));
        lines.line(format!("    round {} of the series: {}", round.number, standing(round)));
        for class in &round.classes {
            let weight = class.weight.map_or_else(String::new, |weight| format!(", weight {weight}"));
            let cohorts = if class.cohorts > 1 { format!(" in {} cohorts", class.cohorts) } else { String::new() };
            lines.line(format!("    {}: {}{cohorts}{weight}", class.name, many(class.contributions, "contribution")));
        }
        for (group, name) in round.groups.iter().zip('A'..='Z') {
            let percent = |share: u16| f64::from(share) / 100.0;
            let (candidate, reference) = (percent(group.candidate), percent(group.reference));
            lines.line(format!("    group {name}: prefers its statements {candidate:.1} %, before {reference:.1} %"));
        }
        let variants: Vec<String> =
            round.variants.iter().map(|it| format!("{} {}", it.name, short(&it.adapter))).collect();
        if !variants.is_empty() {
            lines.line(format!("    adapters: {}", variants.join(", ")));
        }
    }
    match (&series.adopted, series.rounds.last()) {
        (_, None) => lines.line("  no round yet: `chorus adapter open SERIES --for 1h` begins one"),
        (None, Some(_)) => lines.line("  no adapter adopted yet"),
        (Some(adopted), Some(_)) => lines.line(format!(
            "  in use: {} of round {}; `chorus adapter export --out DIR` writes it",
            short(&adopted.adapter),
            adopted.number
        )),
    };
    let open = series.rounds.last().filter(|round| round.round.state == view::RoundState::Open);
    if open.is_some_and(|round| round.round.own.is_none_or(|own| own.withdrawal)) {
        lines.line("  a round is open, without yours: `chorus adapter train --contribute`");
    }
}

fn standing(round: &view::AdapterRound) -> &'static str {
    match round.standing {
        Standing::Unfinished => "not finished",
        Standing::Nothing => "too few contributions, nothing was opened",
        Standing::Unweighed => "waits for weights of its classes (`chorus adapter weigh`)",
        Standing::Candidate => "waits for assessments (`chorus adapter assess`)",
        Standing::Adopted => "adopted",
        Standing::Refused => "refused, as some group is worse off: the adapter before it stays",
    }
}

fn manifest(lines: &mut Lines, series: &view::Series) {
    let AdapterManifest { adapted, encoding, schedule, combination, gate, noise, .. } = &series.manifest;
    let targets: Vec<&str> = adapted.targets.iter().map(|target| target.name.text.as_str()).collect();
    let (first, last) = (adapted.first_layer, adapted.first_layer.saturating_add(adapted.layers).saturating_sub(1));
    lines.line("");
    lines.field("adapts", format!("{} in layers {first} to {last}", targets.join(", ")));
    lines.field("rank", format!("{}, alpha {}; {} entries", adapted.rank, adapted.alpha, series.entries));
    let unit = f64::from(1u32 << encoding.fraction_bits.min(31));
    lines.field(
        "bound",
        format!("norm {:.3}, from at most {} people", f64::from(series.manifest.largest()) / unit, encoding.capacity()),
    );
    if let Some(promise) = noise.and_then(|noise| noise.promise(series.entries, schedule.rounds).ok()) {
        let noise = format!(
            "ε {:.1} at δ {DELTA:e} for who takes part in a whole run; with fewer than {} people it drowns what they say",
            promise.epsilon, promise.people
        );
        lines.field("noise", noise);
    }
    let step = f64::from(schedule.step.numerator) / f64::from(schedule.step.denominator.max(1));
    let every = schedule
        .every_millis
        .map_or_else(String::new, |every| format!(", begins again every {:.1} days", every as f64 / 86_400_000.0));
    lines.field("schedule", format!("{}, step {step}{every}", many(schedule.rounds, "round")));
    let weights = match combination.weights {
        Weights::PerPerson => "every person weighs the same",
        Weights::PerClass => "every class weighs the same",
        Weights::Planned => "classes weigh as each round's plan says",
        Weights::Posted => "operators weigh the classes once the sums are open",
    };
    let centre = match (combination.cohorts, combination.centre) {
        (1, _) => String::new(),
        (cohorts, Centre::Mean) => format!("; mean of {cohorts} cohorts"),
        (cohorts, Centre::Median) => format!("; median of {cohorts} cohorts"),
        (cohorts, Centre::TrimmedMean(trimmed)) => format!("; mean of {cohorts} cohorts without {trimmed} at each end"),
    };
    lines.field("combination", format!("{weights}{centre}"));
    match gate {
        None => lines.field("gate", "none: every adapter is adopted"),
        Some(gate) => lines.field(
            "gate",
            format!(
                "{} of round {}, one statement in {} held out, a fall of {} % is tolerated",
                many(gate.groups, "group"),
                short(&gate.round),
                gate.held_out,
                f64::from(gate.tolerance) / 100.0
            ),
        ),
    };
}
