//! The moral graph that Democratic Fine-Tuning published: from its votes in the clear, and from ballots that nobody reads.
//!
//! The data set states no licence and is not part of the repository. It has no texts but titles, so the cards here have
//! made-up instructions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chorus_crypto::ballot::Vote;
use chorus_protocol::{
    config::Policy,
    deliberation::{
        moral_graph::{
            CountingRule, Edge, MoralGraph, MoralVotes, Options, Transition, ValuesCard, Weighting, entropy::Entropy,
        },
        tally::Tally,
    },
    id::BlobId,
    log::entry::PollKind,
    round::moral::moral_graph,
};
use serde_json::Value;

use crate::{data::dataset, scenario::Scenario};

/// The reference has twelve digits.
const EXACT: f64 = 1e-11;

/// How long votes are taken, in milliseconds of the virtual network's time.
const VOTING_MILLIS: u64 = 20_000;

/// One answer of the published data.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who gave it.
    pub voter: String,
    /// What they were asked.
    pub transition: Transition,
    /// What they said.
    pub said: Vote,
    /// Whether the published graph counts it.
    pub is_published: bool,
}

/// The published data.
#[derive(Clone, Debug)]
pub struct Published {
    cards: BTreeMap<String, ValuesCard>,
    answers: Vec<Answer>,
    dir: PathBuf,
}

/// What a graph has, and where it is not as in the reference.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Answers that were counted.
    pub answers: usize,
    /// Pairs of cards that somebody was asked about.
    pub pairs: usize,
    /// Edges that the graph keeps.
    pub kept: usize,
    /// Edges that it keeps by our own rule, and those that both rules keep.
    pub by_our_rule: (usize, usize),
    /// Numbers and words that were compared.
    pub compared: usize,
    /// What differs, with both values.
    pub differing: Vec<String>,
}

impl Comparison {
    fn same<T: PartialEq + core::fmt::Debug>(&mut self, found: T, expected: T, what: &str) {
        self.compared += 1;
        if found != expected {
            self.differing.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }

    fn near(&mut self, found: Option<f64>, expected: &Value, what: &str) {
        self.compared += 1;
        let is_near = match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() < EXACT,
            (found, expected) => found == expected,
        };
        if !is_near {
            self.differing.push(format!("{what}: {found:?} instead of {expected}"));
        }
    }

    fn edge(&mut self, edge: &Edge, expected: &Value, is_kept: bool) {
        let what = |name: &str| format!("{name} of {} → {}", expected["from"], expected["to"]);
        let counts = edge.counts;
        let each = [
            ("wiser", counts.wiser),
            ("not_wiser", counts.not_wiser),
            ("less_wise", counts.less_wise),
            ("unsure", counts.unsure),
            ("impressions", counts.impressions),
        ];
        for (name, found) in each {
            self.same(Some(found), expected[name].as_u64(), &what(name));
        }
        let contexts: BTreeSet<&str> = edge.contexts.iter().map(String::as_str).collect();
        let of_reference = expected["contexts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        self.same(contexts, of_reference.collect(), &what("contexts"));
        self.near(edge.likelihood(), &expected["wiser_likelihood"], &what("likelihood"));
        self.near(Some(edge.entropy.bits()), &expected["entropy_published"], &what("entropy"));
        let votes_only = Entropy::of(&[counts.wiser, counts.not_wiser, counts.less_wise, counts.unsure]);
        self.near(Some(votes_only.bits()), &expected["entropy_votes_only"], &what("entropy of the votes"));
        self.same(expected["kept"].as_bool(), Some(is_kept), &what("kept"));
    }
}

/// What came of ballots that nobody reads: for each rule and each node, the graph in the published form.
#[derive(Clone, Debug)]
pub struct InSecret {
    /// Ballots that were counted.
    pub ballots: usize,
    /// Transitions on the ballot.
    pub transitions: usize,
    /// The graph of the same votes in the clear, by each rule.
    pub clear: Vec<String>,
    /// The number of a rule, the number of a node, and the graph that the node finds.
    pub graphs: Vec<(usize, usize, String)>,
}

impl InSecret {
    /// Returns how many graphs are not that of the votes in the clear, byte for byte.
    pub fn differing(&self) -> usize {
        self.graphs.iter().filter(|(rule, _, graph)| self.clear.get(*rule) != Some(graph)).count()
    }
}

/// Reads the rows of a table without quotes.
fn rows(dir: &Path, file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(dir.join(file)).expect("the data set is whole");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Returns the tally of one vote.
pub fn tally(vote: Vote) -> Tally {
    let one = |of| u64::from(vote == of);
    Tally { agree: one(Vote::Agree), disagree: one(Vote::Disagree), pass: one(Vote::Pass) }
}

/// Returns a graph in the published form.
///
/// # Panics
///
/// Panics never: it is numbers and texts.
pub fn json(graph: &MoralGraph, votes: &MoralVotes) -> String {
    serde_json::to_string_pretty(&graph.export(votes, true)).expect("numbers and texts")
}

impl Published {
    /// Reads the data; prints that it is not there if so.
    ///
    /// # Panics
    ///
    /// Panics if the data is not as published.
    pub fn read() -> Option<Self> {
        let dir = dataset("dft-moral-graph")?;
        let card = |row: Vec<String>| {
            let instruction = format!("What value {} of the published graph asks for.", row[0]);
            (row[0].clone(), ValuesCard::new(&row[1], &instruction, &[""; 0]).expect("a title"))
        };
        let cards: BTreeMap<String, ValuesCard> = rows(&dir, "values.csv").into_iter().map(card).collect();
        let answer = |row: Vec<String>| Answer {
            transition: Transition::new(cards[&row[1]].id(), cards[&row[2]].id(), &row[3], "").expect("a context"),
            said: match row[4].as_str() {
                "upgrade" => Vote::Agree,
                "no_upgrade" => Vote::Disagree,
                "not_sure" => Vote::Pass,
                other => panic!("an answer {other}"),
            },
            is_published: row[6] == "1",
            voter: row[0].clone(),
        };
        let answers = rows(&dir, "edge-votes.csv").into_iter().map(answer).collect();
        Some(Self { cards, answers, dir })
    }

    /// Returns the votes in the clear.
    ///
    /// # Panics
    ///
    /// Panics if an answer is about a card that there is not.
    pub fn votes(&self, is_counted: fn(&Answer) -> bool) -> MoralVotes {
        let mut votes = MoralVotes::default();
        self.cards.values().for_each(|card| votes.add_card(card.clone()));
        for answer in self.answers.iter().filter(|answer| is_counted(answer)) {
            assert!(votes.add_answers(answer.transition.question(), tally(answer.said)));
        }
        votes
    }

    fn reference(&self) -> Value {
        let text = fs::read_to_string(self.dir.join("reference.json")).expect("the file was found");
        serde_json::from_str(&text).expect("the reference is JSON")
    }

    fn id(&self, number: &Value) -> BlobId {
        let number = number.as_u64().expect("a number").to_string();
        self.cards[&number].id()
    }

    /// Compares the graph of some of the votes with a part of the reference: counts, edges, likelihood, entropy, PageRank and
    /// wisdom.
    ///
    /// # Panics
    ///
    /// Panics if the reference lacks an edge.
    pub fn compare(&self, part: &str, is_counted: fn(&Answer) -> bool) -> Comparison {
        let reference = &self.reference()[part];
        let votes = self.votes(is_counted);
        let graph = MoralGraph::new(&votes, CountingRule::DemocraticFineTuning.into());
        let equal = Options { weighting: Weighting::Equal, ..graph.options.clone() };
        let equal = MoralGraph::new(&votes, equal);
        let mut found = Comparison {
            answers: self.answers.iter().filter(|answer| is_counted(answer)).count(),
            pairs: graph.edges.len() + graph.others.len(),
            kept: graph.edges.len(),
            ..Comparison::default()
        };
        let number = |key: &str| reference[key].as_u64().and_then(|number| usize::try_from(number).ok());
        found.same(Some(found.answers), number("edge_votes"), "answers");
        found.same(Some(found.pairs), number("pairs"), "pairs");
        found.same(Some(found.kept), number("kept"), "kept edges");
        found.same(Some(graph.nodes.len()), number("nodes"), "nodes");
        let kept = graph.edges.iter().map(|edge| (edge, true));
        let edges: BTreeMap<(BlobId, BlobId), (&Edge, bool)> = kept
            .chain(graph.others.iter().map(|edge| (edge, false)))
            .map(|(edge, is_kept)| ((edge.from, edge.to), (edge, is_kept)))
            .collect();
        let expected = reference["edges"].as_array().expect("edges");
        found.same(edges.len(), expected.len(), "edges");
        for expected in expected {
            let (edge, is_kept) = edges[&(self.id(&expected["from"]), self.id(&expected["to"]))];
            found.edge(edge, expected, is_kept);
        }
        for (number, card) in &self.cards {
            let of =
                |graph: &MoralGraph| graph.nodes.iter().find(|node| node.id == card.id()).map(|node| node.page_rank);
            found.near(of(&graph), &reference["pagerank_weighted"][number], "PageRank");
            found.near(of(&equal), &reference["pagerank_plain"][number], "plain PageRank");
            let wisdom = graph.nodes.iter().find(|node| node.id == card.id() && node.wisdom > 0.0);
            found.near(wisdom.map(|node| node.wisdom), &reference["wisdom"][number], "wisdom");
        }
        let ours = MoralGraph::new(&votes, CountingRule::Chorus.into());
        let is_kept = |edge: &Edge| edges.get(&(edge.from, edge.to)).is_some_and(|(_, is_kept)| *is_kept);
        found.by_our_rule = (ours.edges.len(), ours.edges.iter().filter(|edge| is_kept(edge)).count());
        found
    }

    /// Compares how often each card was endorsed.
    ///
    /// # Panics
    ///
    /// Panics if an endorsement is of a card that there is not.
    pub fn compare_endorsements(&self) -> Comparison {
        let mut votes = self.votes(|_| false);
        for row in rows(&self.dir, "value-votes.csv") {
            let said = if row[4] == "1" { Vote::Agree } else { Vote::Pass };
            assert!(votes.add_endorsement(self.cards[&row[3]].id(), tally(said)));
        }
        let reference = self.reference();
        let expected = reference["value_votes"].as_object().expect("by value");
        let mut found = Comparison::default();
        found.same(votes.endorsements().len(), expected.len(), "cards");
        for (number, expected) in expected {
            let tally = votes.endorsements()[&self.cards[number].id()];
            found.same(Some(tally.seen()), expected["impressions"].as_u64(), "impressions");
            found.same(Some(tally.agree), expected["votes"].as_u64(), "votes");
        }
        found
    }

    /// Lets a community of the published voters vote in secret, with the answers that the published graph counts: four
    /// operators and a follower over the virtual network, a ballot with proofs, masks and a credential of each voter, a sealed
    /// round, opened sums. Returns the graph that each node finds in the result.
    ///
    /// # Panics
    ///
    /// Panics if the round does not come to its result.
    pub fn in_secret(&self) -> InSecret {
        let answers: Vec<&Answer> = self.answers.iter().filter(|answer| answer.is_published).collect();
        let voters: BTreeSet<&str> = answers.iter().map(|answer| answer.voter.as_str()).collect();
        let transitions: BTreeSet<&Transition> = answers.iter().map(|answer| &answer.transition).collect();
        let policy = Policy { min_contributions: 100, floor: 10, ..Policy::default() };
        let scenario = Scenario {
            seed: 69,
            operators: 4,
            people: voters.len(),
            followers: 1,
            items: transitions.len(),
            kind: PollKind::Transition,
            policy,
            ..Scenario::default()
        };
        let mut play = scenario.start();
        let poll = |kind, texts| (kind, texts, VOTING_MILLIS);
        let cards = self.cards.values().map(ValuesCard::text).collect();
        let cards = play.community.poll_of("What is good?", poll(PollKind::Value, cards), None);
        play.publish(&cards);
        let texts = transitions.iter().map(|transition| transition.text()).collect();
        play.poll = play.community.poll_of("What is wiser?", poll(PollKind::Transition, texts), None);
        play.votes = voters.iter().map(|voter| ballot(&answers, voter, &transitions)).collect();
        assert!(play.open(), "the round opens: {:?}", play.network.notices);
        play.vote_side_by_side();
        let result = play.finish().expect("a result");
        let report = play.report(&result);
        let votes = self.votes(|answer| answer.is_published);
        let rules = [CountingRule::DemocraticFineTuning, CountingRule::Chorus];
        let of_host = |(number, rule): (usize, CountingRule), host: usize| {
            let (graph, votes) = moral_graph(play.network.peer(host).ledger(), [&report], rule.into());
            (number, host, json(&graph, &votes))
        };
        let hosts = 0..play.network.len();
        InSecret {
            ballots: report.ballots as usize,
            transitions: transitions.len(),
            clear: rules.iter().map(|rule| json(&MoralGraph::new(&votes, (*rule).into()), &votes)).collect(),
            graphs: (0..)
                .zip(rules)
                .flat_map(|rule| hosts.clone().map(move |host| (rule, host)))
                .map(|(rule, host)| of_host(rule, host))
                .collect(),
        }
    }

    /// Returns how many people gave answers that the published graph counts.
    pub fn voters(&self) -> usize {
        let published = self.answers.iter().filter(|answer| answer.is_published);
        published.map(|answer| answer.voter.as_str()).collect::<BTreeSet<_>>().len()
    }
}

/// What a voter answered to each transition.
fn ballot(answers: &[&Answer], voter: &str, transitions: &BTreeSet<&Transition>) -> Vec<Vote> {
    let own: BTreeMap<&Transition, Vote> =
        answers.iter().filter(|answer| answer.voter == voter).map(|answer| (&answer.transition, answer.said)).collect();
    transitions.iter().map(|transition| own.get(transition).copied().unwrap_or(Vote::Unseen)).collect()
}
