//! One flow: people as split nodes, filled greedily along augmenting paths.
//!
//! Each person is two places, `in` and `out`. A path is searched backwards from `in` of the person to be accepted, over
//! the residual edges, to an active seed whose source is not used up. If none is found, no later path can enter what
//! the search has visited (every residual edge into it was followed, and paths outside of it change only edges outside
//! of it), so these places are closed for good: all failing searches together take the time of one.

/// Vouches between people 0, 1, …, by voucher and by vouchee.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// The edges `(voucher, vouchee)`, ascending.
    edges: Vec<(usize, usize)>,
    /// The edges of voucher `u` are `by_voucher[u]..by_voucher[u + 1]`.
    by_voucher: Vec<usize>,
    /// The numbers of the edges, by vouchee.
    incoming: Vec<usize>,
    /// The edges to vouchee `v` are `incoming[by_vouchee[v]..by_vouchee[v + 1]]`.
    by_vouchee: Vec<usize>,
}

impl Graph {
    /// Builds the graph; nobody vouches for themselves, or twice for another.
    pub(super) fn new(people: usize, vouches: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut edges: Vec<(usize, usize)> = vouches.filter(|(from, to)| from != to).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut incoming: Vec<usize> = (0..edges.len()).collect();
        incoming.sort_by_key(|&edge| edges[edge].1);
        let by_voucher = starts(people, edges.iter().map(|edge| edge.0));
        let by_vouchee = starts(people, edges.iter().map(|edge| edge.1));
        Self { edges, by_voucher, incoming, by_vouchee }
    }

    fn people(&self) -> usize {
        self.by_voucher.len() - 1
    }

    /// Returns the edges that leave `person`.
    fn leaving(&self, person: usize) -> core::ops::Range<usize> {
        self.by_voucher[person]..self.by_voucher[person + 1]
    }

    /// Returns the edges that reach `person`.
    fn reaching(&self, person: usize) -> &[usize] {
        &self.incoming[self.by_vouchee[person]..self.by_vouchee[person + 1]]
    }

    /// Returns for whom `person` vouches.
    pub(super) fn vouchees(&self, person: usize) -> impl Iterator<Item = usize> {
        self.leaving(person).map(|edge| self.edges[edge].1)
    }

    /// Returns who vouches for `person`.
    pub(super) fn vouchers(&self, person: usize) -> impl Iterator<Item = usize> {
        self.reaching(person).iter().map(|&edge| self.edges[edge].0)
    }

    /// Returns the distance of each person from the nearest of `seeds`, `None` without a path.
    fn distances(&self, seeds: &[usize]) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.people()];
        let mut queue = Vec::with_capacity(self.people());
        for &seed in seeds {
            if distances[seed].replace(0).is_none() {
                queue.push(seed);
            }
        }
        let mut next = 0;
        while let Some(&person) = queue.get(next) {
            next += 1;
            let farther = distances[person].map(|distance: usize| distance + 1);
            for vouchee in self.vouchees(person) {
                if distances[vouchee].is_none() {
                    distances[vouchee] = farther;
                    queue.push(vouchee);
                }
            }
        }
        distances
    }
}

/// Returns, for each of `people` and one more, how many of `ends` are below.
fn starts(people: usize, ends: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut starts = vec![0; people + 1];
    for end in ends {
        starts[end + 1] += 1;
    }
    for person in 0..people {
        starts[person + 1] += starts[person];
    }
    starts
}

/// Where a unit of flow can be: `in` or `out` of a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    In(usize),
    Out(usize),
}

impl Place {
    const fn index(self) -> usize {
        match self {
            Self::In(person) => 2 * person,
            Self::Out(person) => 2 * person + 1,
        }
    }
}

/// One step of a path: the place it leads to, and what it changes.
#[derive(Clone, Copy, Debug)]
struct Step {
    to: Place,
    change: Change,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// One unit more from `in` to `out` of a person.
    Pass(usize),
    /// One unit less.
    Unpass(usize),
    /// One unit more along an edge.
    Push(usize),
    /// One unit less.
    Unpush(usize),
}

/// A flow that grows, one person at a time.
#[derive(Debug)]
pub(super) struct Network<'a> {
    graph: &'a Graph,
    distances: Vec<Option<usize>>,
    /// What each active seed's source has left; 0 for everybody else.
    source: Vec<u16>,
    /// What the inner edge of each person has left.
    left: Vec<u16>,
    /// What flows over it.
    passed: Vec<u16>,
    /// What flows along each edge.
    flow: Vec<u16>,
    /// The search that last visited each place; [`CLOSED`] if none will need to again.
    visited: Vec<u32>,
    /// The step from each visited place towards the person searched for.
    step: Vec<Option<Step>>,
    queue: Vec<Place>,
}

const CLOSED: u32 = u32::MAX;

impl<'a> Network<'a> {
    /// Starts with an empty flow from `seeds`.
    pub(super) fn new(graph: &'a Graph, capacities: &[u16], seeds: impl Iterator<Item = usize>) -> Self {
        let seeds: Vec<usize> = seeds.collect();
        let distances = graph.distances(&seeds);
        let capacity = |distance: &Option<usize>| match distance {
            Some(distance) => capacities.get(*distance).copied().unwrap_or(1).max(1),
            None => 1,
        };
        let mut source = vec![0; graph.people()];
        seeds.iter().for_each(|&seed| source[seed] = capacity(&Some(0)));
        Self {
            graph,
            source,
            left: distances.iter().map(|distance| capacity(distance) - 1).collect(),
            passed: vec![0; graph.people()],
            flow: vec![0; graph.edges.len()],
            visited: vec![0; 2 * graph.people()],
            step: vec![None; 2 * graph.people()],
            queue: Vec::new(),
            distances,
        }
    }

    /// Fills the network and returns who is accepted.
    pub(super) fn fill(mut self) -> Vec<bool> {
        let mut order: Vec<(usize, usize)> =
            self.distances.iter().enumerate().filter_map(|(person, distance)| Some(((*distance)?, person))).collect();
        order.sort_unstable();
        let mut accepted = vec![false; self.graph.people()];
        for (search, &(_, person)) in (1..CLOSED).zip(&order) {
            match self.search(person, search) {
                Some(seed) => {
                    self.augment(seed, person);
                    accepted[person] = true;
                }
                None => self.close(),
            }
        }
        accepted
    }

    /// Searches backwards from `in` of `person` and returns a seed with source left, from which the steps lead there.
    fn search(&mut self, person: usize, search: u32) -> Option<usize> {
        self.queue.clear();
        let target = Place::In(person);
        if self.visited[target.index()] == CLOSED {
            return None;
        }
        self.visited[target.index()] = search;
        self.queue.push(target);
        let mut next = 0;
        while let Some(&place) = self.queue.get(next) {
            next += 1;
            match place {
                Place::In(person) if self.source[person] > 0 => return Some(person),
                Place::In(person) => self.before_in(person, search),
                Place::Out(person) => self.before_out(person, search),
            }
        }
        None
    }

    /// Visits the places with a residual edge to `in` of `person`.
    fn before_in(&mut self, person: usize, search: u32) {
        let to = Place::In(person);
        let graph = self.graph;
        for &edge in graph.reaching(person) {
            self.visit(Place::Out(graph.edges[edge].0), Step { to, change: Change::Push(edge) }, search);
        }
        if self.passed[person] > 0 {
            self.visit(Place::Out(person), Step { to, change: Change::Unpass(person) }, search);
        }
    }

    /// Visits the places with a residual edge to `out` of `person`.
    fn before_out(&mut self, person: usize, search: u32) {
        let to = Place::Out(person);
        if self.left[person] > 0 {
            self.visit(Place::In(person), Step { to, change: Change::Pass(person) }, search);
        }
        let graph = self.graph;
        for edge in graph.leaving(person) {
            if self.flow[edge] > 0 {
                self.visit(Place::In(graph.edges[edge].1), Step { to, change: Change::Unpush(edge) }, search);
            }
        }
    }

    fn visit(&mut self, place: Place, step: Step, search: u32) {
        let visited = &mut self.visited[place.index()];
        if *visited != search && *visited != CLOSED {
            *visited = search;
            self.step[place.index()] = Some(step);
            self.queue.push(place);
        }
    }

    /// Sends one unit from the source of `seed` along the steps to the sink edge of `person`.
    fn augment(&mut self, seed: usize, person: usize) {
        self.source[seed] -= 1;
        let mut place = Place::In(seed);
        while place != Place::In(person) {
            let step = self.step[place.index()].expect("every place but the first was visited by a step");
            match step.change {
                Change::Pass(person) => {
                    self.left[person] -= 1;
                    self.passed[person] += 1;
                }
                Change::Unpass(person) => {
                    self.left[person] += 1;
                    self.passed[person] -= 1;
                }
                Change::Push(edge) => self.flow[edge] += 1,
                Change::Unpush(edge) => self.flow[edge] -= 1,
            }
            place = step.to;
        }
    }

    /// Closes what the last search visited.
    fn close(&mut self) {
        for place in &self.queue {
            self.visited[place.index()] = CLOSED;
        }
    }
}
