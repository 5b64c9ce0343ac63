//! How faithful the secret opinion map is, and what its publication tells about a ballot.
//!
//! Measured on public Polis conversations (CC BY 4.0, the Computational Democracy Project), which are not part of the
//! repository. The baseline for what is told is the vote matrix that Polis itself publishes.

mod leak;
mod secret;

use std::{path::Path, time::Instant};

use chorus_node::polis::Conversation;
use chorus_protocol::deliberation::{
    analyze::{Analysis, Options, analyze},
    bucket::BucketEdges,
    compare::{adjusted_rand_index, rank_correlation},
    consensus::Support,
    groups::group,
    map::{Fraction, Map},
    simulate::{SecretOptions, SecretOutcome, secret_pipeline},
};

use crate::figure::Figure;

/// Runs of the secret pipeline per conversation; figures are medians.
const SEEDS: u8 = 5;

/// Returns the figures of all conversations that are at hand.
pub(crate) fn figures() -> Vec<Figure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let mut figures = vec![grouping_time()];
    figures.extend(secret::operator_time());
    for name in ["brexit", "bg2050", "london-policing"] {
        let dir = folder.join(format!("polis-{name}"));
        match Conversation::read(&dir) {
            Ok(conversation) => figures.extend(measure(name, &conversation)),
            Err(error) => eprintln!("SKIPPED: {name}: {error} (data sets are not part of the repository)"),
        }
    }
    figures
}

/// Returns how long the groups of the largest cohort take: every verifier makes them again.
fn grouping_time() -> Figure {
    const BALLOTS: u32 = 10_000;
    // Three overlapping clouds on a lattice that does not repeat.
    let point = |i: u32| {
        let spread = |step: u32| f64::from(i.wrapping_mul(step) % 8191) / 4096.0 - 1.0;
        Some([f64::from(i % 3) + spread(3571) + spread(1237), f64::from(i % 3 / 2) + spread(2459) + spread(5323)])
    };
    let points: Vec<Option<[f64; 2]>> = (0..BALLOTS).map(point).collect();
    let started = Instant::now();
    let partition = group(&points, 10, None);
    assert_eq!(partition.assignment.len(), points.len(), "every ballot has a block");
    Figure::new("groups of 10000 ballots", started.elapsed().as_secs_f64(), "s")
}

/// One run of the secret pipeline, and the clear analysis at the same number of groups.
struct Run {
    secret: SecretOutcome,
    clear: Analysis,
}

impl Run {
    fn new(conversation: &Conversation, seed: u8) -> Self {
        let moderation = conversation.moderation();
        let options = SecretOptions { moderation: moderation.clone(), ..SecretOptions::default() };
        let secret = secret_pipeline(&conversation.matrix, [seed; 32], &options).expect("few items");
        let groups = Some(secret.partition.k);
        let options = Options { floor: 10, groups, labels: None, moderation };
        let clear = analyze(&conversation.matrix, &options).expect("no labels");
        Self { secret, clear }
    }

    /// Returns |cos| between an axis of the map and the one in full precision.
    fn axis_cosine(&self, axis: usize) -> f64 {
        let (Some(opened), Some(exact)) = (self.map().axes.get(axis), self.clear.pca.axes.get(axis)) else {
            return 0.0;
        };
        let along: f64 = opened.loadings.iter().zip(exact).map(|(&p, w)| float(p) * w).sum();
        along.abs() / float(opened.square()).sqrt()
    }

    fn rand_index(&self) -> f64 {
        let labels = self.secret.partition.groups();
        let pointed: Vec<_> = labels.iter().zip(&self.clear.points).map(|(label, point)| point.and(*label)).collect();
        adjusted_rand_index(&pointed, &self.clear.labels)
    }

    fn rank_correlation(&self) -> f64 {
        let approximate = |supports: &[Support]| supports.iter().map(Support::approximate).collect::<Vec<_>>();
        rank_correlation(&approximate(&self.secret.findings.agree), &approximate(&self.clear.findings.agree))
    }

    fn map(&self) -> &Map {
        self.secret.map.as_ref().expect("only runs with a map are measured")
    }

    fn explained(&self) -> f64 {
        self.secret.explained.iter().map(|fraction: &Fraction| fraction.approximate()).sum()
    }
}

fn measure(name: &str, conversation: &Conversation) -> Vec<Figure> {
    let started = Instant::now();
    let runs: Vec<Run> = (1..=SEEDS).map(|seed| Run::new(conversation, seed)).collect();
    let seconds = started.elapsed().as_secs_f64() / f64::from(SEEDS);
    let title = |text: &str| format!("{name}: {text}");
    let time = Figure::new(title("one run, secret pipeline in the clear and clear analysis"), seconds, "s");
    let runs: Vec<Run> = runs.into_iter().filter(|run| run.secret.map.is_some()).collect();
    if runs.is_empty() {
        return vec![time, Figure::new(title("axes of the map (too few ballots: totals only)"), 0.0, "ratio")];
    }
    let middle = |of: &dyn Fn(&Run) -> f64| median(runs.iter().map(of).collect());
    let exact = |run: &Run| run.clear.pca.variance.iter().take(2).sum::<f64>() / run.clear.pca.total_variance;
    let mut figures = vec![
        time,
        Figure::new(title("axes of the map"), middle(&|run| float(run.map().axes.len() as i64)), "ratio"),
        Figure::new(title("cosine of the first axis with full precision"), middle(&|run| run.axis_cosine(0)), "ratio"),
        Figure::new(title("cosine of the second axis with full precision"), middle(&|run| run.axis_cosine(1)), "ratio"),
        Figure::new(title("explained variance from the published points"), middle(&Run::explained), "ratio"),
        Figure::new(title("explained variance of the exact plane"), middle(&exact), "ratio"),
        Figure::new(title("groups"), middle(&|run| float(run.secret.partition.k as i64)), "ratio"),
        Figure::new(title("adjusted Rand index, secret against clear groups"), middle(&Run::rand_index), "ratio")
            .at_least(0.75),
        Figure::new(
            title("rank correlation of consensus, secret against clear"),
            middle(&Run::rank_correlation),
            "ratio",
        )
        .at_least(0.9),
    ];
    figures.extend(leak::figures(name, conversation, &runs));
    figures
}

/// Returns the edges of a conversation's buckets.
fn edges(conversation: &Conversation) -> BucketEdges {
    BucketEdges::new(u16::try_from(conversation.matrix.items()).expect("few items"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown with four digits")]
const fn float(value: i64) -> f64 {
    value as f64
}
