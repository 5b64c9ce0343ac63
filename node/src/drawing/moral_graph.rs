//! The moral graph as a drawing: wiser values further up, an arrow from each value to the one that people found wiser.
//!
//! A line is the thicker the more the answers agree and the more there are: `(1 − H ÷ 1.8) · logistic((n − 6) ÷ 2)`, as in
//! Democratic Fine-Tuning's own. A box is the darker the higher its value's PageRank. Pointing at a box or a line tells the
//! rest.

mod layout;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use chorus_protocol::{
    deliberation::moral_graph::{Edge, MoralGraph, Node},
    id::BlobId,
};

use self::layout::{BOX_WIDTH, Link, lay_out};
use super::escaped;

/// The most values that are drawn: those of the highest PageRank. More of them nobody reads.
pub const MAX_DRAWN: usize = 150;

/// The most arrows that are drawn: the strongest.
const MAX_ARROWS: usize = 600;

/// The most sentences in the drawing's description; [`sentences`] returns all of them.
const MAX_SENTENCES: usize = 30;

/// Columns of a line of a title, and lines.
const COLUMNS: usize = 22;
const LINES: usize = 3;

const LINE_HEIGHT: i64 = 18;
const MARGIN: i64 = 16;

/// Draws a moral graph. An empty one gives a drawing that says so.
pub fn moral_graph(graph: &MoralGraph) -> String {
    let nodes = drawn(graph);
    if nodes.is_empty() {
        return nothing();
    }
    let place: BTreeMap<BlobId, usize> = nodes.iter().map(|node| node.id).zip(0..).collect();
    let edges = strongest_first(graph)
        .into_iter()
        .filter_map(|edge| Some((Link { from: *place.get(&edge.from)?, to: *place.get(&edge.to)? }, edge)));
    let (links, edges): (Vec<Link>, Vec<&Edge>) = edges.take(MAX_ARROWS).unzip();
    let titles: Vec<Vec<String>> = nodes.iter().map(|node| wrapped(node.card.title())).collect();
    let heights: Vec<i64> = titles.iter().map(|lines| (lines.len() as i64 + 1) * LINE_HEIGHT + 14).collect();
    let layout = lay_out(&heights, &links);

    let (width, height) = (layout.width + 2 * MARGIN, layout.height + 2 * MARGIN);
    let mut svg = opening(width, height, &describe(graph, nodes.len()));
    for (edge, path) in edges.iter().zip(&layout.paths) {
        draw_edge(&mut svg, graph, edge, path);
    }
    let highest = nodes.iter().map(|node| node.page_rank).fold(f64::MIN_POSITIVE, f64::max);
    for ((node, lines), (at, height)) in nodes.iter().zip(&titles).zip(layout.centres.iter().zip(&heights)) {
        draw_node(&mut svg, node, lines, (*at, *height), node.page_rank / highest);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Says in words what the graph holds: a sentence for each edge, the strongest first.
pub fn sentences(graph: &MoralGraph) -> Vec<String> {
    strongest_first(graph).into_iter().map(|edge| sentence(graph, edge)).collect()
}

fn sentence(graph: &MoralGraph, edge: &Edge) -> String {
    let title = |id: &BlobId| graph.nodes.iter().find(|node| node.id == *id).map_or("?", |node| node.card.title());
    let (counts, contexts) = (edge.counts, edge.contexts.iter().map(String::as_str).collect::<Vec<_>>().join("; "));
    format!(
        "From \"{}\" to \"{}\" is wiser, say {} of {} ({} no, {} the reverse, {} unsure). Asked about: {contexts}.",
        title(&edge.from),
        title(&edge.to),
        counts.wiser,
        counts.votes(),
        counts.not_wiser,
        counts.less_wise,
        counts.unsure,
    )
}

/// The values that are drawn, in the order of their ids.
fn drawn(graph: &MoralGraph) -> Vec<&Node> {
    let mut ranked: Vec<&Node> = graph.nodes.iter().collect();
    ranked.sort_by(|a, b| b.page_rank.total_cmp(&a.page_rank));
    let chosen: BTreeSet<BlobId> = ranked.into_iter().take(MAX_DRAWN).map(|node| node.id).collect();
    graph.nodes.iter().filter(|node| chosen.contains(&node.id)).collect()
}

fn strongest_first(graph: &MoralGraph) -> Vec<&Edge> {
    let mut edges: Vec<&Edge> = graph.edges.iter().collect();
    edges.sort_by(|a, b| thickness(b).total_cmp(&thickness(a)));
    edges
}

/// Between 0 and 1: how sure it is that people find the one end wiser than the other.
fn thickness(edge: &Edge) -> f64 {
    let impressions = edge.counts.impressions as f64;
    let agreement = (1.0 - edge.entropy.bits() / 1.8).max(0.0);
    agreement / (1.0 + (-(impressions - 6.0) / 2.0).exp())
}

fn opening(width: i64, height: i64, description: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"moral-graph\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"moral-graph-title moral-graph-text\" font-family=\"system-ui, \
         sans-serif\" font-size=\"14\">\n\
         <title id=\"moral-graph-title\">Moral graph</title>\n\
         <desc id=\"moral-graph-text\">{}</desc>\n\
         <defs><marker id=\"moral-graph-arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"9\" \
         markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" \
         fill=\"currentColor\"/></marker></defs>\n",
        escaped(description)
    )
}

fn nothing() -> String {
    let text = "Nobody has found one value wiser than another yet.";
    let mut svg = opening(440, 60, text);
    let _ = writeln!(svg, "<text x=\"16\" y=\"35\" fill=\"currentColor\">{text}</text>\n</svg>");
    svg
}

fn describe(graph: &MoralGraph, drawn: usize) -> String {
    let mut text = format!(
        "{} values and {} arrows, each from a value to one that people found wiser. ",
        graph.nodes.len(),
        graph.edges.len()
    );
    if drawn < graph.nodes.len() {
        let _ = write!(text, "The {drawn} values of the highest rank are drawn. ");
    }
    let mut wisest: Vec<&Node> = graph.nodes.iter().filter(|node| node.wisdom > 0.0).collect();
    wisest.sort_by(|a, b| b.wisdom.total_cmp(&a.wisdom));
    let names: Vec<String> = wisest.iter().take(3).map(|node| format!("\"{}\"", node.card.title())).collect();
    let _ = write!(text, "Wisest: {}.", names.join(", "));
    for edge in strongest_first(graph).into_iter().take(MAX_SENTENCES) {
        let _ = write!(text, " {}", sentence(graph, edge));
    }
    let left = graph.edges.len().saturating_sub(MAX_SENTENCES);
    if left > 0 {
        let _ = write!(text, " And {left} more arrows.");
    }
    text
}

fn draw_edge(svg: &mut String, graph: &MoralGraph, edge: &Edge, path: &[(i64, i64)]) {
    let mut line = String::new();
    let mut last = None;
    for (x, y) in path.iter().map(|(x, y)| (x + MARGIN, y + MARGIN)) {
        let _ = match last {
            None => write!(line, "M{x} {y}"),
            Some((before, above)) => {
                let middle = (above + y) / 2;
                write!(line, "C{before} {middle} {x} {middle} {x} {y}")
            }
        };
        last = Some((x, y));
    }
    let width = 0.75 + 4.25 * thickness(edge);
    let _ = writeln!(
        svg,
        "<g class=\"edge\"><title>{}</title><path d=\"{line}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.6\" \
         stroke-width=\"{width:.2}\" marker-end=\"url(#moral-graph-arrow)\"/></g>",
        escaped(&sentence(graph, edge))
    );
}

fn draw_node(svg: &mut String, node: &Node, lines: &[String], (at, height): ((i64, i64), i64), rank: f64) {
    let (x, y) = (at.0 + MARGIN, at.1 + MARGIN);
    let (left, top) = (x - BOX_WIDTH / 2, y - height / 2);
    let policies: String = node.card.policies().iter().map(|policy| format!("\n- {policy}")).collect();
    let all = format!("{}: {}{policies}", node.card.title(), node.card.instruction());
    let _ = write!(
        svg,
        "<g class=\"value\" data-id=\"{}\"><title>{}</title><rect x=\"{left}\" y=\"{top}\" width=\"{BOX_WIDTH}\" \
         height=\"{height}\" rx=\"8\" fill=\"currentColor\" fill-opacity=\"{:.3}\" stroke=\"currentColor\"/>",
        node.id,
        escaped(&all),
        0.03 + 0.17 * rank
    );
    let mut baseline = top + LINE_HEIGHT + 3;
    for line in lines {
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{baseline}\" text-anchor=\"middle\" fill=\"currentColor\" \
             unicode-bidi=\"plaintext\">{}</text>",
            escaped(line)
        );
        baseline += LINE_HEIGHT;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{baseline}\" text-anchor=\"middle\" fill=\"currentColor\" font-size=\"11\">wisdom {:.2} \u{b7} \
         rank {:.1} %</text></g>",
        node.wisdom,
        node.page_rank * 100.0
    );
}

/// Breaks a title into lines; what does not fit ends in an ellipsis.
fn wrapped(title: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in title.split(' ') {
        let needed = columns(word);
        if used > 0 && used + 1 + needed > COLUMNS {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            add(&mut lines, " ");
            used += 1;
        }
        for letter in word.chars() {
            let wide = column(letter);
            if used + wide > COLUMNS {
                lines.push(String::new());
                used = 0;
            }
            add(&mut lines, letter.encode_utf8(&mut [0; 4]));
            used += wide;
        }
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        add(&mut lines, "\u{2026}");
    }
    lines
}

fn add(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

fn columns(word: &str) -> usize {
    word.chars().map(column).sum()
}

/// Characters of East Asian scripts, and pictures, are twice as wide as letters.
const fn column(letter: char) -> usize {
    match letter {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}' => 2,
        _ => 1,
    }
}
