//! The published moral graph: every number as in the reference, and the same bytes out of ballots that nobody reads.

use std::time::Instant;

use chorus_tests::published::{Answer, Published};

use crate::{figure::Figure, table::Printed};

/// A part of the reference, what it is of, and which answers it counts.
type Part = (&'static str, &'static str, fn(&Answer) -> bool);

/// Returns the figures, or that the data set is not there.
pub(crate) fn figures() -> Vec<Printed> {
    let Some(published) = Published::read() else { return Vec::new() };
    let mut figures = Vec::new();
    let parts: [Part; 2] =
        [("published", "the published votes", |answer| answer.is_published), ("all", "all votes", |_| true)];
    for (part, what, is_counted) in parts {
        let found = published.compare(part, is_counted);
        let figure =
            |name: &str, value: usize| Figure::new(format!("moral graph of {what}: {name}"), value as f64, "ratio");
        figures.extend([
            figure("answers", found.answers),
            figure("pairs", found.pairs),
            figure("kept edges", found.kept),
            figure("numbers compared with the reference", found.compared),
            figure("numbers that differ", found.differing.len()).at_most(0.0),
        ]);
    }
    let began = Instant::now();
    let secret = published.in_secret();
    let took = began.elapsed().as_secs_f64();
    let figure =
        |name: &str, value: f64, unit| Figure::new(format!("moral graph out of secret ballots: {name}"), value, unit);
    figures.extend([
        figure("ballots", secret.ballots as f64, "ratio"),
        figure("transitions on the ballot", secret.transitions as f64, "ratio"),
        figure("nodes and rules", secret.graphs.len() as f64, "ratio"),
        figure("graphs other than that of the votes in the clear", secret.differing() as f64, "ratio").at_most(0.0),
        figure("bytes of the graph", secret.clear.first().map_or(0, String::len) as f64, "B"),
        figure("voting, opening, graph", took, "s"),
    ]);
    figures.into_iter().map(Printed::from).collect()
}
