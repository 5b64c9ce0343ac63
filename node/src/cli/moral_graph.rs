//! `chorus moral-graph`.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;
use serde_json::Value;

use super::{
    Failure, Global,
    client::{Client, query},
    output::{Lines, many},
    values,
};
use crate::{api::view, store::files};

#[derive(Debug, Args)]
pub(super) struct MoralGraph {
    /// By which rule answers are counted.
    #[arg(long, default_value = "chorus")]
    rule: view::Rule,
    /// Only answers in this context.
    #[arg(long)]
    context: Option<String>,
    /// Only cards of this value poll: its id or the beginning of it, or - for the only one.
    #[arg(long, value_name = "POLL", value_parser = values::poll)]
    case: Option<String>,
    /// Only these rounds, by their numbers in `chorus status`.
    #[arg(long, value_name = "ROUND", value_delimiter = ',')]
    rounds: Vec<u32>,
    /// The fewest that must have said yes [default: 2].
    #[arg(long, value_name = "COUNT")]
    min_wiser: Option<u64>,
    /// The least likelihood that somebody finds it wiser, in hundredths [default: 33].
    #[arg(long, value_name = "HUNDREDTHS")]
    min_likelihood: Option<u32>,
    /// The most entropy of the answers, in hundredths of a bit [default: the rule's].
    #[arg(long, value_name = "HUNDREDTHS")]
    max_entropy: Option<u32>,
    /// Let PageRank follow all edges alike, not by their likelihood.
    #[arg(long)]
    equal: bool,
    /// Tell of every pair that was asked about, kept or not.
    #[arg(long)]
    all_edges: bool,
    /// Without the merges that operators stated.
    #[arg(long)]
    unmerged: bool,
    /// Print the published JSON form, byte for byte as every node makes it.
    #[arg(long)]
    json: bool,
    /// Write a drawing to this file as well.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl MoralGraph {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let rounds: Vec<String> = self.rounds.iter().map(ToString::to_string).collect();
        let rule = match self.rule {
            view::Rule::Chorus => "chorus",
            view::Rule::DemocraticFineTuning => "democratic-fine-tuning",
        };
        let flag = |is_set: bool| is_set.then(|| "true".to_owned());
        let asked = query(&[
            ("rule", Some(rule.to_owned())),
            ("context", self.context),
            ("case", self.case),
            ("rounds", Some(rounds.join(",")).filter(|rounds| !rounds.is_empty())),
            ("min_wiser", self.min_wiser.map(|it| it.to_string())),
            ("min_likelihood", self.min_likelihood.map(|it| it.to_string())),
            ("max_entropy", self.max_entropy.map(|it| it.to_string())),
            ("equal", flag(self.equal)),
            ("all_edges", flag(self.all_edges)),
            ("unmerged", flag(self.unmerged)),
        ]);
        if let Some(path) = &self.svg {
            let svg = client.octets(&format!("/moral-graph.svg{asked}"))?;
            files::replace(path, "drawing", &svg).map_err(|source| Failure::File { path: path.clone(), source })?;
            #[cfg(unix)]
            {
                // The drawing is public.
                let public = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                fs::set_permissions(path, public).map_err(|source| Failure::File { path: path.clone(), source })?;
            }
        }
        let json = client.octets(&format!("/moral-graph{asked}"))?;
        let mut out = io::stdout().lock();
        if self.json || global.output().is_json() {
            // Not read and written again: the bytes are what nodes agree on.
            return match out.write_all(&json).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => Ok(written?),
            };
        }
        drop(out);
        let graph: Value = serde_json::from_slice(&json).map_err(|error| Failure::Answer(io::Error::other(error)))?;
        global.output().print(&graph, text)
    }
}

fn text(graph: &Value) -> String {
    let list = |name: &str| graph.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let number = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_f64).unwrap_or_default();
    let (mut values, edges): (Vec<&Value>, &[Value]) = (list("values").iter().collect(), list("edges"));
    let title = |id: Option<&Value>| {
        let value = list("values").iter().find(|value| value.get("id") == id);
        value.and_then(|value| value.get("title")).and_then(Value::as_str).unwrap_or("?")
    };
    let mut lines = Lines::default();
    lines.line(format!("{}, {}", many(values.len(), "value"), many(edges.len(), "edge")));
    if edges.is_empty() {
        lines.line("Nobody has found one value wiser than another yet: see `chorus value wiser`.");
        return lines.finish();
    }
    values.sort_by(|a, b| number(b, "/wisdom").total_cmp(&number(a, "/wisdom")));
    lines.line("").line("wisdom   rank  value");
    for value in values {
        let (wisdom, rank) = (number(value, "/wisdom"), 100.0 * number(value, "/pageRank"));
        lines.line(format!("{wisdom:>6.2} {rank:>5.1}%  {}", title(value.get("id"))));
    }
    lines.line("").line("likely  yes   of  from -> to");
    for edge in edges {
        let count = |name: &str| number(edge, &format!("/counts/{name}"));
        let votes = ["markedWiser", "markedNotWiser", "markedLessWise", "markedUnsure"].map(count);
        let likely = 100.0 * number(edge, "/summary/wiserLikelihood");
        let (from, to) = (title(edge.get("sourceValueId")), title(edge.get("wiserValueId")));
        lines.line(format!("{likely:>5.0}% {:>4} {:>4}  {from} -> {to}", votes[0], votes.iter().sum::<f64>()));
        let contexts = edge.get("contexts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        lines.line(format!("                   {}", contexts.collect::<Vec<_>>().join("; ")));
    }
    lines.finish()
}
