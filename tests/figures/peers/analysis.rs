//! The analysis of a conversation in the clear: groups, consensus, what represents whom.

use std::{fs, time::Instant};

use anyhow::Context as _;
use chorus_protocol::deliberation::{
    StageError,
    analyze::{Options, analyze},
    compare::adjusted_rand_index,
    matrix::VoteMatrix,
    tally::Vote,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde::Deserialize;

use super::{Installed, Rows, output};
use crate::figure::Figure;

const PEOPLE: usize = 2_000;
const ITEMS: usize = 900;
const RUNS: usize = 3;

/// What red-dwarf finds.
#[derive(Debug, Deserialize)]
struct Found {
    seconds: f64,
    labels: Vec<Option<usize>>,
    explained: Vec<f64>,
    consensus: Vec<f64>,
}

/// Analyses one conversation here and there, and compares what was found.
pub(super) fn compared(rows: &mut Rows, installed: &Installed) -> anyhow::Result<Vec<Figure>> {
    let votes = conversation();
    let matrix = matrix(&votes)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("votes");
    fs::write(&file, text(&matrix))?;
    let found = output(installed.script("red_dwarf.py").arg(&file))?;
    let found: Found = serde_json::from_str(found.trim()).context("what red-dwarf found")?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let run = |labels: Option<Vec<Option<usize>>>| {
        let options = Options { floor: 10, groups: None, labels, ..Options::default() };
        let start = Instant::now();
        let analysis = pool.install(|| analyze(&self::matrix(&votes)?, &options));
        (start.elapsed().as_secs_f64(), analysis)
    };
    let (mut seconds, mut analysis) = run(None);
    for _ in 1..RUNS {
        let (again, same) = run(None);
        (seconds, analysis) = (seconds.min(again), same);
    }
    let analysis = analysis?;
    rows.seconds(
        "analysis of 2,000 people and 900 statements",
        seconds,
        ("red-dwarf", found.seconds),
        "from a list of votes on; the numbers are compared below",
    );
    // With the same groups, the counts and what follows from them are to be the same.
    let alike = run(Some(found.labels.clone())).1?;
    let ours: Vec<f64> = alike.findings.agree.iter().map(|support| support.approximate()).collect();
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let ratio = |variance: &f64| variance / analysis.pca.total_variance;
    let explained: Vec<f64> = analysis.pca.variance.iter().take(2).map(ratio).collect();
    let named = |name: &str, value| Figure::new(format!("red-dwarf and Chorus, {name}"), value, "ratio");
    Ok(vec![
        named("largest difference of group-aware consensus", apart(&ours, &found.consensus)).at_most(1e-9),
        named("largest difference of explained variance", apart(&explained, &found.explained)).at_most(1e-3),
        named("adjusted Rand index of the groups", adjusted_rand_index(&analysis.labels, &found.labels)).at_least(0.95),
    ])
}

/// A vote: who, on what, and what.
type Cast = (usize, usize, Vote);

/// A conversation of three camps: a tenth of the statements divide them, and everybody votes on one in ten.
fn conversation() -> Vec<Cast> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut vote = |person: usize, item: usize| {
        let draw = rng.next_u32() % 1_000;
        if draw >= 100 {
            return None;
        }
        let leaning = if item.is_multiple_of(10) && (item / 10 + person).is_multiple_of(3) { 15 } else { 75 };
        Some(match draw {
            90.. => Vote::Pass,
            draw if draw < leaning => Vote::Agree,
            _ => Vote::Disagree,
        })
    };
    let cells = (0..PEOPLE).flat_map(|person| (0..ITEMS).map(move |item| (person, item)));
    cells.filter_map(|(person, item)| Some((person, item, vote(person, item)?))).collect()
}

fn matrix(votes: &[Cast]) -> Result<VoteMatrix, StageError> {
    let mut rows = vec![vec![None; ITEMS]; PEOPLE];
    for &(person, item, vote) in votes {
        rows[person][item] = Some(vote);
    }
    VoteMatrix::new(ITEMS, rows)
}

fn text(matrix: &VoteMatrix) -> String {
    let mark = |vote: &Option<Vote>| match vote {
        Some(Vote::Agree) => '+',
        Some(Vote::Disagree) => '-',
        Some(Vote::Pass) => '0',
        None => '.',
    };
    matrix.rows().iter().map(|row| row.iter().map(mark).collect::<String>() + "\n").collect()
}
