//! `chorus adapter open`: begins a series of adapter rounds, and its rounds.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use chorus_protocol::adapter::manifest::{
    AdapterManifest, BaseModel, Centre, Combination, Encoding, Gate, Noise, Ratio, Schedule, Weights,
};
use clap::{Args, ValueEnum};
use rand_core::Rng as _;

use super::{
    super::{Failure, Global, client::Client, poll::millis, values},
    list,
};
use crate::{
    api::view,
    model::{base, lora::Projection, lora::Shape, series},
};

/// The bits after the point: rounding then takes less than a thousandth of a value that matters.
const FRACTION_BITS: u8 = 16;

/// The bits of an entry of a sum: eight of them go into a scalar.
const LANE_BITS: u16 = 31;

/// The largest clip that a delta's bound can say.
const MAX_CLIP: f64 = 1024.0;

#[derive(Debug, Args)]
pub(in crate::cli) struct Open {
    /// The series whose next round begins: its name or the beginning of its id, or - for the only one. Without it, a new
    /// series begins.
    #[arg(value_parser = values::series, requires = "duration", conflicts_with_all = ["base_model", "name"],
          required_unless_present = "base_model")]
    series: Option<String>,
    /// The base model: a folder in Hugging Face's layout, or a GGUF file.
    #[arg(long, value_name = "PATH", requires = "name")]
    base_model: Option<PathBuf>,
    /// What the new series is called.
    #[arg(long)]
    name: Option<String>,
    /// What exported adapters call the base model [default: the name of its folder or file].
    #[arg(long, value_name = "NAME")]
    base_name: Option<String>,
    /// The rank of the adapter.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    rank: u16,
    /// PEFT's lora_alpha: the update is alpha/rank · B·A.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    alpha: u32,
    /// How many of the last layers are adapted [default: 10, or all if there are fewer].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    layers: Option<u16>,
    /// Which linear layers are adapted.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = values::projection,
          default_value = "q_proj,v_proj")]
    targets: Vec<Projection>,
    /// How many rounds build on one another before the adapter begins again at zero.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How far a round moves along the mean of its deltas.
    #[arg(long, default_value = "1", value_parser = values::ratio)]
    step: Ratio,
    /// Begin again so long after the last beginning, as in 7d [default: never].
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    every: Option<Duration>,
    /// Whose voice weighs how much: every person the same, every class the same, as the round's plan says, or as the operators
    /// say once the sums are open (`chorus adapter weigh`).
    #[arg(long, default_value = "person")]
    weights: By,
    /// Into how many random cohorts people are split: each cohort's sum becomes public.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    cohorts: u8,
    /// What is taken of the cohorts' means, coordinate by coordinate: mean, median or trimmed:T.
    #[arg(long, default_value = "mean", value_parser = values::centre)]
    centre: Centre,
    /// The largest norm of a contribution; longer ones are shortened before they leave.
    #[arg(long, default_value_t = 12.0)]
    clip: f64,
    /// Let everybody add noise, so that the sums hide each of them: its deviation in a sum, as a part of the clip. What it
    /// promises, and how many people it takes to be heard above it, is told with the series [default: none].
    #[arg(long, value_name = "SIGMA", requires = "floor")]
    noise: Option<f64>,
    /// The fewest people of a class or cohort, if the community's rules do not ask for more.
    #[arg(long, default_value_t = 0)]
    floor: u32,
    /// Adopt an adapter only if no opinion group of this poll is worse off by its statements: the poll's id or the beginning
    /// of it. Its last round must be finished.
    #[arg(long, value_name = "POLL", value_parser = values::poll)]
    gate: Option<String>,
    /// One statement of the gate's poll in so many is held out of training, and asked about.
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..),
          requires = "gate")]
    held_out: u8,
    /// By how many hundredths a group's share of preferred statements may fall.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, requires = "gate")]
    tolerance: f64,
    /// Begin a round at once that takes deltas for so long, as in 1h.
    #[arg(long = "for", value_name = "DURATION", value_parser = values::duration)]
    duration: Option<Duration>,
    /// Sum the deltas of each value of this attribute apart.
    #[arg(long, value_name = "ATTRIBUTE", requires = "duration", conflicts_with = "by_groups_of")]
    by: Option<String>,
    /// Sum the deltas of each opinion group of an earlier round apart: its number in `chorus status`, or the beginning of its
    /// id.
    #[arg(long, value_name = "ROUND", requires = "duration")]
    by_groups_of: Option<String>,
    /// The public weight of a class, as in north=2, for --weights planned. May be repeated [default: 1].
    #[arg(long = "weight", value_name = "CLASS=NUMBER", value_parser = values::weight)]
    class_weights: Vec<(String, u32)>,
    /// How long to wait for the log.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
}

/// Whose voice weighs how much.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Person,
    Class,
    Planned,
    Posted,
}

impl From<By> for Weights {
    fn from(by: By) -> Self {
        match by {
            By::Person => Self::PerPerson,
            By::Class => Self::PerClass,
            By::Planned => Self::Planned,
            By::Posted => Self::Posted,
        }
    }
}

impl Open {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let (client, output) = (Client::new(global)?, global.output());
        let classes = self.classes()?;
        let (wait, wait_seconds) = (self.wait, Some(self.wait.as_secs()));
        let series = match (&self.series, &self.base_model) {
            (Some(series), _) => series.clone(),
            (None, Some(path)) => {
                let manifest = self.manifest(global, &client, path)?;
                let waiting = output.waiting("waiting for the log");
                let series: view::Series =
                    client.post("/adapters", &view::BeginSeries { manifest, wait_seconds }, wait)?;
                drop(waiting);
                series.id.to_string()
            }
            (None, None) => return Err(Failure::Usage("give SERIES, or --base-model and --name".into()).into()),
        };
        let path = format!("/adapters/{series}");
        let series: view::Series = match self.duration {
            None => client.get(&path)?,
            Some(duration) => {
                let waiting = output.waiting("waiting for the log");
                let asked = view::PlanDeltas { duration_millis: millis(duration), classes, wait_seconds };
                let series = client.post(&format!("{path}/rounds"), &asked, wait)?;
                drop(waiting);
                series
            }
        };
        output.print(&series, |series| {
            let mut lines = super::super::output::Lines::default();
            list::describe(&mut lines, series);
            let next = match self.duration {
                None => "Next: `chorus adapter open SERIES --for 1h` begins its first round.",
                Some(_) => "Next: members train and contribute with `chorus adapter train --contribute`.",
            };
            lines.line("").line(next);
            lines.finish()
        })
    }

    fn classes(&self) -> Result<Option<view::Classes>, Failure> {
        let by = self.by.clone().map(view::ClassBy::Attribute);
        let by = by.or_else(|| self.by_groups_of.clone().map(view::ClassBy::GroupsOf));
        match by {
            None if !self.class_weights.is_empty() => {
                Err(Failure::Usage("--weight needs --by or --by-groups-of".into()))
            }
            by => Ok(by.map(|by| view::Classes { by, weights: self.class_weights.clone() })),
        }
    }

    fn manifest(&self, global: &Global, client: &Client, path: &Path) -> anyhow::Result<AdapterManifest> {
        if !(self.clip > 0.0 && self.clip <= MAX_CLIP) {
            return Err(Failure::Usage(format!("--clip is a number above 0, and at most {MAX_CLIP}")).into());
        }
        let waiting = global.output().waiting("reading the base model");
        let checkpoint = base::checkpoint(path)?;
        let digest = checkpoint.digest();
        drop(waiting);
        let layers = checkpoint.config.num_hidden_layers;
        let last_layers = self.layers.map_or(10, usize::from);
        if self.layers.is_some() && last_layers > layers {
            return Err(Failure::Usage(format!("--layers {last_layers}: the model has {layers}")).into());
        }
        let targets: BTreeSet<Projection> = self.targets.iter().copied().collect();
        let shape =
            Shape { rank: self.rank.into(), alpha: self.alpha.into(), targets, last_layers: last_layers.min(layers) };
        let name = self.name.clone().unwrap_or_default();
        let file_name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        let adapted = series::adapted(&checkpoint.config, &shape, self.alpha);
        let entries = shape.last_layers
            * usize::from(self.rank)
            * adapted.targets.iter().map(|target| target.outputs as usize).sum::<usize>();
        let (bound, noise) = self.bound(entries)?;
        let mut seed = [0; 32];
        global.randomness().generator("adapter series", name.as_bytes()).fill_bytes(&mut seed);
        Ok(AdapterManifest {
            base: BaseModel { name: self.base_name.clone().or(file_name).unwrap_or_default(), digest },
            adapted,
            seed,
            encoding: Encoding { fraction_bits: FRACTION_BITS, bound, lane_bits: LANE_BITS },
            schedule: Schedule { rounds: self.rounds, every_millis: self.every.map(millis), step: self.step },
            combination: Combination {
                weights: self.weights.into(),
                cohorts: self.cohorts,
                centre: self.centre,
                floor: self.floor,
            },
            gate: self.gate(client)?,
            noise,
            name,
        })
    }

    /// Returns the bound on the norm of what is sent, and the noise in it.
    fn bound(&self, entries: usize) -> Result<(u32, Option<Noise>), Failure> {
        let clip = (self.clip * f64::from(1u32 << FRACTION_BITS)).round().max(1.0) as u32;
        let Some(sigma) = self.noise else { return Ok((clip, None)) };
        let thousandths = (sigma * 1000.0).round();
        if !(1.0..=1e6).contains(&thousandths) {
            return Err(Failure::Usage("--noise is a number between 0.001 and 1000".into()));
        }
        let noise = Noise { clip, thousandths: thousandths as u32, honest: self.floor };
        let bound = noise.bound(entries).map_err(|_| {
            Failure::Usage("--noise does not fit: fewer entries, a smaller --clip, or a larger --floor".into())
        })?;
        Ok((bound, Some(noise)))
    }

    fn gate(&self, client: &Client) -> anyhow::Result<Option<Gate>> {
        let Some(poll) = &self.gate else { return Ok(None) };
        if !(0.0..=100.0).contains(&self.tolerance) {
            return Err(Failure::Usage("--tolerance is a percentage".into()).into());
        }
        let result: view::PollResult = client.get(&format!("/result?poll={poll}"))?;
        if result.outcome == view::Outcome::TooFew {
            return Err(Failure::Usage("the poll's result shows nothing: it had too few ballots".into()).into());
        }
        let groups = u8::try_from(result.groups.len().max(1)).unwrap_or(u8::MAX);
        let tolerance = (self.tolerance * 100.0).round() as u16;
        Ok(Some(Gate { round: result.round, groups, held_out: self.held_out, tolerance }))
    }
}
