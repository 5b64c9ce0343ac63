//! A layered layout (Sugiyama, Tagawa and Toda, 1981): links lead upwards, layer by layer, with few crossings.
//!
//! ```text
//! components ─▶ no cycles ─▶ layers ─▶ bends ─▶ order in each layer ─▶ places ─▶ components side by side
//! ```
//!
//! Everything is integers, and ties go by the order of the nodes.

use std::collections::BTreeMap;

pub(super) const BOX_WIDTH: i64 = 190;

/// Between two boxes of a layer, between two layers, between two components.
const GAP: i64 = 22;
const LAYER_GAP: i64 = 56;
const COMPONENT_GAP: i64 = 40;

/// The width that a link needs which passes by a layer.
const BEND_WIDTH: i64 = 12;

/// The width to which components are put side by side, unless one alone is wider.
const ROW_WIDTH: i64 = 1_200;

/// How often the layers are put in order, and how often they are moved: more changes little.
const SWEEPS: usize = 12;

/// A link from a node to one that belongs above it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Where everything is.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Layout {
    pub(super) width: i64,
    pub(super) height: i64,
    /// The centre of each node.
    pub(super) centres: Vec<(i64, i64)>,
    /// Each link from its beginning to its end.
    pub(super) paths: Vec<Vec<(i64, i64)>>,
}

/// Lays nodes of these heights out. Of links that make a cycle, the earlier ones lead upwards.
pub(super) fn lay_out(heights: &[i64], links: &[Link]) -> Layout {
    let mut layout =
        Layout { centres: vec![(0, 0); heights.len()], paths: vec![Vec::new(); links.len()], ..Layout::default() };
    let parts: Vec<Part> =
        components(heights.len(), links).into_iter().map(|it| Part::new(heights, links, it)).collect();
    let widest = parts.iter().map(|part| part.width).fold(ROW_WIDTH, i64::max);
    let (mut left, mut top, mut bottom) = (0, 0, 0);
    for part in parts {
        if left > 0 && left + part.width > widest {
            (left, top) = (0, bottom + COMPONENT_GAP);
        }
        let moved = |(x, y): (i64, i64)| (x + left, y + top);
        for (node, centre) in part.centres {
            layout.centres[node] = moved(centre);
        }
        for (link, path) in part.paths {
            layout.paths[link] = path.into_iter().map(moved).collect();
        }
        layout.width = layout.width.max(left + part.width);
        bottom = bottom.max(top + part.height);
        left += part.width + COMPONENT_GAP;
    }
    layout.height = bottom;
    layout
}

/// Returns the nodes that hang together, the largest sets first.
fn components(nodes: usize, links: &[Link]) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..nodes).collect();
    let root = |parent: &[usize], mut node: usize| {
        while parent[node] != node {
            node = parent[node];
        }
        node
    };
    for link in links {
        let (one, other) = (root(&parent, link.from), root(&parent, link.to));
        parent[one.max(other)] = one.min(other);
    }
    let mut sets = BTreeMap::<usize, Vec<usize>>::new();
    for node in 0..nodes {
        sets.entry(root(&parent, node)).or_default().push(node);
    }
    let mut sets: Vec<Vec<usize>> = sets.into_values().collect();
    sets.sort_by_key(|set| core::cmp::Reverse(set.len()));
    sets
}

/// What a layer holds: nodes, and links that pass by.
#[derive(Clone, Copy, Debug)]
struct Vertex {
    layer: usize,
    width: i64,
    height: i64,
    /// The middle.
    x: i64,
    /// The place in its layer.
    place: usize,
}

/// One component, laid out by itself.
struct Part {
    width: i64,
    height: i64,
    centres: Vec<(usize, (i64, i64))>,
    paths: Vec<(usize, Vec<(i64, i64)>)>,
}

impl Part {
    fn new(heights: &[i64], links: &[Link], nodes: Vec<usize>) -> Self {
        let local: BTreeMap<usize, usize> = nodes.iter().copied().zip(0..).collect();
        let inner = |(number, link): (usize, &Link)| Some((number, (*local.get(&link.from)?, *local.get(&link.to)?)));
        let own: Vec<(usize, (usize, usize))> = links.iter().enumerate().filter_map(inner).collect();
        let upward = without_cycles(nodes.len(), own.iter().map(|(_, ends)| *ends));
        let layers = layers(nodes.len(), &upward);
        let vertex = |(node, layer): (&usize, &usize)| Vertex {
            layer: *layer,
            width: BOX_WIDTH,
            height: heights[*node],
            x: 0,
            place: 0,
        };
        let mut grid = Grid::new(nodes.iter().zip(&layers).map(vertex).collect());
        let chains: Vec<Vec<usize>> = upward.iter().map(|ends| grid.chain(*ends)).collect();
        grid.order();
        grid.place();
        grid.read_off(&nodes, &own, &chains)
    }
}

/// Turns links round that would close a cycle with earlier ones.
fn without_cycles(nodes: usize, links: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut leading: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut upward = Vec::new();
    for (from, to) in links {
        let (low, high) = if reaches(&leading, to, from) { (to, from) } else { (from, to) };
        leading[low].push(high);
        upward.push((low, high));
    }
    upward
}

fn reaches(leading: &[Vec<usize>], from: usize, to: usize) -> bool {
    let (mut seen, mut next) = (vec![false; leading.len()], vec![from]);
    while let Some(node) = next.pop() {
        if node == to {
            return true;
        }
        if !core::mem::replace(&mut seen[node], true) {
            next.extend(&leading[node]);
        }
    }
    false
}

/// Returns the layer of each node, 0 at the bottom: the longest way that leads to it, and just below what it leads to if
/// nothing leads to it.
fn layers(nodes: usize, upward: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; nodes];
    // No way is longer than there are nodes.
    for _ in 0..nodes {
        for (low, high) in upward {
            layers[*high] = layers[*high].max(layers[*low] + 1);
        }
    }
    for node in 0..nodes {
        let above = upward.iter().filter(|(low, _)| *low == node).map(|(_, high)| layers[*high]).min();
        if let Some(above) = above.filter(|_| upward.iter().all(|(_, high)| *high != node)) {
            layers[node] = above - 1;
        }
    }
    let lowest = layers.iter().copied().min().unwrap_or_default();
    layers.into_iter().map(|layer| layer - lowest).collect()
}

/// The layers of one component.
struct Grid {
    vertices: Vec<Vertex>,
    /// The vertices of each layer, from left to right.
    rows: Vec<Vec<usize>>,
    /// For each vertex, those it is linked to in the layer below, and in the layer above.
    below: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
}

impl Grid {
    fn new(vertices: Vec<Vertex>) -> Self {
        let count = vertices.len();
        let mut grid =
            Self { vertices, rows: Vec::new(), below: vec![Vec::new(); count], above: vec![Vec::new(); count] };
        (0..count).for_each(|vertex| grid.enter(vertex));
        grid
    }

    fn enter(&mut self, vertex: usize) {
        let layer = self.vertices[vertex].layer;
        if self.rows.len() <= layer {
            self.rows.resize(layer + 1, Vec::new());
        }
        self.vertices[vertex].place = self.rows[layer].len();
        self.rows[layer].push(vertex);
    }

    /// Adds a link, with a bend in each layer that it passes by. Returns its vertices from below to above.
    fn chain(&mut self, (low, high): (usize, usize)) -> Vec<usize> {
        let mut chain = vec![low];
        for layer in self.vertices[low].layer + 1..self.vertices[high].layer {
            self.vertices.push(Vertex { layer, width: BEND_WIDTH, height: 0, x: 0, place: 0 });
            self.below.push(Vec::new());
            self.above.push(Vec::new());
            chain.push(self.vertices.len() - 1);
            self.enter(self.vertices.len() - 1);
        }
        chain.push(high);
        for pair in chain.windows(2) {
            if let [lower, upper] = *pair {
                self.above[lower].push(upper);
                self.below[upper].push(lower);
            }
        }
        chain
    }

    /// Puts each layer in the order of the middles of what its vertices are linked to, upwards and downwards in turn.
    fn order(&mut self) {
        for sweep in 0..SWEEPS {
            let upwards = sweep % 2 == 0;
            let rows: Vec<usize> =
                if upwards { (0..self.rows.len()).collect() } else { (0..self.rows.len()).rev().collect() };
            for row in rows {
                let linked = if upwards { &self.below } else { &self.above };
                let place = |vertex: usize| self.vertices[vertex].place as i64 * 1_024;
                let key = |vertex: &usize| mean(linked[*vertex].iter().map(|it| place(*it))).unwrap_or(place(*vertex));
                let mut order: Vec<(i64, usize)> = self.rows[row].iter().map(|it| (key(it), *it)).collect();
                order.sort_by_key(|(key, _)| *key);
                self.rows[row] = order.into_iter().map(|(_, vertex)| vertex).collect();
                for (place, vertex) in self.rows[row].iter().enumerate() {
                    self.vertices[*vertex].place = place;
                }
            }
        }
    }

    /// Moves each vertex towards the middle of what it is linked to, as far as its neighbours leave room.
    fn place(&mut self) {
        for row in 0..self.rows.len() {
            let none = vec![0; self.rows[row].len()];
            self.spread(row, &none);
        }
        for sweep in 0..SWEEPS {
            let count = self.rows.len();
            for step in 0..count {
                let row = if sweep % 2 == 0 { step } else { count - 1 - step };
                let x = |vertex: &usize| self.vertices[*vertex].x;
                let linked = |vertex: usize| self.below[vertex].iter().chain(&self.above[vertex]);
                let wanted = |vertex: &usize| mean(linked(*vertex).map(x)).unwrap_or(x(vertex));
                let wanted: Vec<i64> = self.rows[row].iter().map(wanted).collect();
                self.spread(row, &wanted);
            }
        }
    }

    /// Puts a layer's vertices where they want to be, but not over one another: halfway between pushing everything to the
    /// right and pushing everything to the left.
    fn spread(&mut self, row: usize, wanted: &[i64]) {
        let row = self.rows[row].clone();
        let apart = |one: usize, other: usize| (self.vertices[one].width + self.vertices[other].width) / 2 + GAP;
        let mut right: Vec<i64> = Vec::with_capacity(row.len());
        for (at, wanted) in wanted.iter().enumerate() {
            let least = at.checked_sub(1).map(|before| right[before] + apart(row[before], row[at]));
            right.push(least.map_or(*wanted, |least| least.max(*wanted)));
        }
        let mut left = wanted.to_vec();
        for at in (0..row.len().saturating_sub(1)).rev() {
            left[at] = left[at].min(left[at + 1] - apart(row[at], row[at + 1]));
        }
        // The mean of two arrangements that leave room leaves room, but for a rounding of one.
        for ((vertex, right), left) in row.iter().zip(right).zip(left) {
            self.vertices[*vertex].x = (left + right).div_euclid(2);
        }
    }

    fn read_off(&self, nodes: &[usize], own: &[(usize, (usize, usize))], chains: &[Vec<usize>]) -> Part {
        let edge = |vertex: &Vertex, side: i64| vertex.x + side * vertex.width / 2;
        let left = self.vertices.iter().map(|it| edge(it, -1)).min().unwrap_or_default();
        let right = self.vertices.iter().map(|it| edge(it, 1)).max().unwrap_or_default();
        let mut middles = vec![0; self.rows.len()];
        let mut top = 0;
        for (row, middle) in self.rows.iter().zip(&mut middles).rev() {
            let height = row.iter().map(|vertex| self.vertices[*vertex].height).max().unwrap_or_default();
            *middle = top + height / 2;
            top += height + LAYER_GAP;
        }
        let centre = |vertex: usize| (self.vertices[vertex].x - left, middles[self.vertices[vertex].layer]);
        let half = |vertex: usize| self.vertices[vertex].height / 2;
        let path = |(number, (from, _)): &(usize, (usize, usize)), chain: &Vec<usize>| {
            let mut points: Vec<(i64, i64)> = chain.iter().map(|vertex| centre(*vertex)).collect();
            if let (Some(first), Some(low)) = (points.first_mut(), chain.first()) {
                first.1 -= half(*low);
            }
            if let (Some(last), Some(high)) = (points.last_mut(), chain.last()) {
                last.1 += half(*high);
            }
            if chain.first() != Some(from) {
                points.reverse();
            }
            (*number, points)
        };
        Part {
            width: right - left,
            height: top - LAYER_GAP,
            centres: nodes.iter().enumerate().map(|(vertex, node)| (*node, centre(vertex))).collect(),
            paths: own.iter().zip(chains).map(|(own, chain)| path(own, chain)).collect(),
        }
    }
}

fn mean(values: impl Iterator<Item = i64>) -> Option<i64> {
    let (mut sum, mut count) = (0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum.div_euclid(count))
}
