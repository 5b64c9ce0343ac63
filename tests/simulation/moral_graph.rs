//! The moral graph that Democratic Fine-Tuning published: from its votes in the clear, and from ballots that nobody reads.
//!
//! The data set states no licence and is not part of the repository; without it the tests that need it print a line and
//! pass. It has no texts but titles, so the cards here have made-up instructions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chorus_crypto::ballot::Vote;
use chorus_protocol::{
    audit,
    config::Policy,
    contribution::Contributor,
    deliberation::{
        moral_graph::{
            CountingRule, Counts, Edge, Merges, MoralGraph, MoralVotes, Options, Transition, ValuesCard, Weighting,
            entropy::Entropy,
        },
        tally::{Tally, Totals},
    },
    fault::Fault,
    id::{BlobId, RoundId, SetId},
    ledger::{Collects, Ledger},
    limits,
    log::entry::{BallotPlan, CanonicalCard, Entry, MergeCards, PollKind, PollOpening, Proposal, RoundPlan, Subject},
    peer::Command,
    round::{
        moral::{cards_of_case, moral_graph, moral_votes},
        report::{Outcome, RoundReport},
    },
};
use chorus_tests::{
    community::{Community, Poll},
    data::dataset,
    offline::Town,
    scenario::{Play, Scenario, level_of},
};
use rayon::prelude::*;
use serde_json::Value;

/// The reference has twelve digits.
const EXACT: f64 = 1e-11;

/// One answer of the published data.
struct Answer {
    voter: String,
    transition: Transition,
    said: Vote,
    is_published: bool,
}

struct Published {
    cards: BTreeMap<String, ValuesCard>,
    answers: Vec<Answer>,
    dir: PathBuf,
}

fn rows(dir: &Path, file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(dir.join(file)).expect("the data set is whole");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

impl Published {
    fn read() -> Option<Self> {
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

    /// The votes in the clear.
    fn votes(&self, is_counted: fn(&Answer) -> bool) -> MoralVotes {
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
}

fn tally(vote: Vote) -> Tally {
    let one = |of| u64::from(vote == of);
    Tally { agree: one(Vote::Agree), disagree: one(Vote::Disagree), pass: one(Vote::Pass) }
}

fn json(graph: &MoralGraph, votes: &MoralVotes) -> String {
    serde_json::to_string_pretty(&graph.export(votes, true)).expect("numbers and texts")
}

fn assert_near(found: Option<f64>, expected: &Value, what: &str) {
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => assert!((found - expected).abs() < EXACT, "{what}: {found} {expected}"),
        (found, expected) => assert_eq!(found, expected, "{what}"),
    }
}

fn assert_edge(edge: &Edge, expected: &Value, is_kept: bool) {
    let count = |key: &str| expected[key].as_u64().expect("a count");
    let counts = Counts {
        wiser: count("wiser"),
        not_wiser: count("not_wiser"),
        less_wise: count("less_wise"),
        unsure: count("unsure"),
        impressions: count("impressions"),
    };
    assert_eq!(edge.counts, counts, "{expected}");
    let contexts: BTreeSet<&str> = edge.contexts.iter().map(String::as_str).collect();
    let expected_contexts = expected["contexts"].as_array().expect("contexts").iter().filter_map(Value::as_str);
    assert_eq!(contexts, expected_contexts.collect(), "{expected}");
    assert_near(edge.likelihood(), &expected["wiser_likelihood"], "likelihood");
    assert_near(Some(edge.entropy.bits()), &expected["entropy_published"], "entropy");
    let votes_only = Entropy::of(&[counts.wiser, counts.not_wiser, counts.less_wise, counts.unsure]);
    assert_near(Some(votes_only.bits()), &expected["entropy_votes_only"], "entropy of the votes");
    assert_eq!(expected["kept"].as_bool(), Some(is_kept), "{expected}");
}

fn comes_out_as_in_the_reference(part: &str, is_counted: fn(&Answer) -> bool) {
    let Some(published) = Published::read() else { return };
    let reference = &published.reference()[part];
    let votes = published.votes(is_counted);

    let graph = MoralGraph::new(&votes, CountingRule::DemocraticFineTuning.into());
    let equal = Options { weighting: Weighting::Equal, ..graph.options.clone() };
    let equal = MoralGraph::new(&votes, equal);

    let number = |key: &str| reference[key].as_u64().and_then(|number| usize::try_from(number).ok());
    assert_eq!(number("edge_votes"), Some(published.answers.iter().filter(|answer| is_counted(answer)).count()));
    assert_eq!(number("pairs"), Some(graph.edges.len() + graph.others.len()));
    assert_eq!(number("kept"), Some(graph.edges.len()));
    assert_eq!(number("nodes"), Some(graph.nodes.len()));
    let found: BTreeMap<(BlobId, BlobId), (&Edge, bool)> = (graph.edges.iter().map(|edge| (edge, true)))
        .chain(graph.others.iter().map(|edge| (edge, false)))
        .map(|(edge, is_kept)| ((edge.from, edge.to), (edge, is_kept)))
        .collect();
    for expected in reference["edges"].as_array().expect("edges") {
        let (edge, is_kept) = found[&(published.id(&expected["from"]), published.id(&expected["to"]))];
        assert_edge(edge, expected, is_kept);
    }
    for (number, card) in &published.cards {
        let of = |graph: &MoralGraph| graph.nodes.iter().find(|node| node.id == card.id()).map(|node| node.page_rank);
        assert_near(of(&graph), &reference["pagerank_weighted"][number], "PageRank");
        assert_near(of(&equal), &reference["pagerank_plain"][number], "plain PageRank");
        let wisdom = graph.nodes.iter().find(|node| node.id == card.id() && node.wisdom > 0.0);
        assert_near(wisdom.map(|node| node.wisdom), &reference["wisdom"][number], "wisdom");
    }
    let ours = MoralGraph::new(&votes, CountingRule::Chorus.into());
    let both = ours.edges.iter().filter(|edge| found[&(edge.from, edge.to)].1).count();
    println!(
        "{part}: {} edges kept; by our rule {}, of which {both} are among them",
        graph.edges.len(),
        ours.edges.len()
    );
}

#[test]
fn the_published_moral_graph_comes_out_exactly() {
    comes_out_as_in_the_reference("published", |answer| answer.is_published);
}

#[test]
fn the_graph_of_all_votes_comes_out_as_in_the_reference() {
    comes_out_as_in_the_reference("all", |_| true);
}

#[test]
fn endorsements_of_values_come_out_as_in_the_reference() {
    let Some(published) = Published::read() else { return };
    let mut votes = published.votes(|_| false);
    for row in rows(&published.dir, "value-votes.csv") {
        let said = if row[4] == "1" { Vote::Agree } else { Vote::Pass };
        assert!(votes.add_endorsement(published.cards[&row[3]].id(), tally(said)));
    }

    let reference = published.reference();
    let expected = reference["value_votes"].as_object().expect("by value");

    assert_eq!(votes.endorsements().len(), expected.len());
    for (number, expected) in expected {
        let found = votes.endorsements()[&published.cards[number].id()];
        assert_eq!(Some(found.seen()), expected["impressions"].as_u64());
        assert_eq!(Some(found.agree), expected["votes"].as_u64());
    }
}

/// A poll whose items are given.
fn poll(community: &Community, kind: PollKind, texts: Vec<String>, duration_millis: u64) -> Poll {
    let opening = PollOpening { kind, question: "What is wiser?".into(), context: String::new() };
    let poll = opening.id(community.id());
    let items = texts.iter().map(|text| BlobId::of(text.as_bytes())).collect();
    let subject = Subject::Ballots(BallotPlan { poll, number: 1, items });
    let plan = RoundPlan { subject, duration_millis, key_grace_millis: 2_000, classes: None };
    let round = plan.id(community.id());
    let proposals = texts.into_iter().map(|text| Entry::Propose(Proposal { poll, text })).collect();
    Poll { poll, round, opening: Entry::Poll(opening), proposals, plan: Entry::Plan(plan) }
}

/// Puts a poll and its items on the log of every node.
fn post(play: &mut Play, poll: &Poll) {
    play.post(0, poll.opening.clone());
    poll.proposals.iter().for_each(|proposal| play.post(0, proposal.clone()));
    let (id, items) = (poll.poll, poll.proposals.len());
    let has_all = |ledger: &Ledger| ledger.polls().get(&id).is_some_and(|poll| poll.items.len() == items);
    let done =
        play.network.run_until(60_000, |network| (0..network.len()).all(|host| has_all(network.peer(host).ledger())));
    assert!(done, "a poll of {items} items: {:?}", play.network.notices);
}

/// Lets everybody vote. The proofs are made side by side: they are most of the work.
fn vote_all(play: &mut Play) {
    let host = play.scenario.operators;
    let ledger = play.network.peer(host).ledger();
    let round = &ledger.rounds()[&play.poll.round];
    let people = play.community.people.par_iter_mut().enumerate().zip(&play.votes);
    let submissions: Vec<_> = people
        .map(|((number, person), votes)| {
            let contributor = Contributor { level: level_of(number), ..Contributor::anonymous(&person.leaf) };
            contributor.cast(ledger, round, votes, &mut person.rng).expect("a member may vote")
        })
        .collect();
    for submission in submissions {
        play.network.command(host, Command::Contribute(submission));
    }
}

#[test]
fn the_published_moral_graph_comes_out_of_ballots_that_nobody_reads() {
    let Some(published) = Published::read() else { return };
    let began = std::time::Instant::now();
    let answers: Vec<&Answer> = published.answers.iter().filter(|answer| answer.is_published).collect();
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
    let cards =
        poll(&play.community, PollKind::Value, published.cards.values().map(ValuesCard::text).collect(), 20_000);
    post(&mut play, &cards);
    let texts = transitions.iter().map(|transition| transition.text()).collect();
    play.poll = poll(&play.community, PollKind::Transition, texts, 20_000);
    play.votes = voters.iter().map(|voter| ballot(&answers, voter, &transitions)).collect();

    assert!(play.open(), "the round opens: {:?}", play.network.notices);
    vote_all(&mut play);
    let result = play.finish().expect("a result");
    println!("{} ballots on {} transitions in {:.0?}", voters.len(), transitions.len(), began.elapsed());

    let report = play.report(&result);
    assert_eq!(report.ballots as usize, voters.len());
    let clear = published.votes(|answer| answer.is_published);
    for rule in [CountingRule::DemocraticFineTuning, CountingRule::Chorus] {
        let expected = json(&MoralGraph::new(&clear, rule.into()), &clear);
        for host in 0..play.network.len() {
            let (graph, votes) = moral_graph(play.network.peer(host).ledger(), [&report], rule.into());
            assert_eq!(json(&graph, &votes), expected, "host {host}");
        }
    }
}

/// What a voter answered to each transition.
fn ballot(answers: &[&Answer], voter: &str, transitions: &BTreeSet<&Transition>) -> Vec<Vote> {
    let own: BTreeMap<&Transition, Vote> =
        answers.iter().filter(|answer| answer.voter == voter).map(|answer| (&answer.transition, answer.said)).collect();
    transitions.iter().map(|transition| own.get(transition).copied().unwrap_or(Vote::Unseen)).collect()
}

/// Cards and transitions of a small town.
struct Small {
    cards: Vec<ValuesCard>,
    transitions: Vec<Transition>,
}

impl Small {
    fn new() -> Self {
        let card =
            |number| ValuesCard::new(&format!("Value {number}"), "Do good", &["MOMENTS of doubt"]).expect("a card");
        let cards: Vec<ValuesCard> = (0..5).map(card).collect();
        let pairs = [(0, 1, "here"), (0, 2, "here"), (1, 3, "here"), (2, 3, "there"), (3, 0, "there"), (1, 2, "here")];
        let transition = |(from, to, context): (usize, usize, &str)| {
            Transition::new(cards[from].id(), cards[to].id(), context, "They learned.").expect("a transition")
        };
        let transitions = pairs.map(transition).to_vec();
        Self { cards, transitions }
    }

    fn id(&self, card: usize) -> BlobId {
        self.cards[card].id()
    }

    fn merge(&self, card: usize, into: usize, number: u16) -> Entry {
        let reason = "The same policies, in other words.".into();
        Entry::MergeCards(MergeCards { card: self.id(card), into: self.id(into), number, reason })
    }

    fn canonical(&self, card: usize, number: u16) -> Entry {
        let reason = "They attend to other things.".into();
        Entry::Canonical(CanonicalCard { card: self.id(card), number, reason })
    }

    /// What a town's ballots say, added up in the clear.
    fn votes(&self, ballots: &[Vec<Vote>]) -> MoralVotes {
        let mut votes = MoralVotes::default();
        self.cards.iter().for_each(|card| votes.add_card(card.clone()));
        for (transition, said) in ballots.iter().flat_map(|ballot| self.transitions.iter().zip(ballot)) {
            votes.add_answers(transition.question(), tally(*said));
        }
        votes
    }
}

#[test]
fn every_node_and_verifier_gets_the_same_graph_with_the_merges_that_operators_stated() {
    let small = Small::new();
    let scenario = Scenario {
        people: 14,
        operators: 4,
        followers: 1,
        items: small.transitions.len(),
        kind: PollKind::Transition,
        ..Scenario::default()
    };
    let mut play = scenario.start();
    let cards = poll(&play.community, PollKind::Value, small.cards.iter().map(ValuesCard::text).collect(), 20_000);
    post(&mut play, &cards);
    let texts = small.transitions.iter().map(Transition::text).collect();
    play.poll = poll(&play.community, PollKind::Transition, texts, 20_000);
    play.post(1, small.merge(2, 1, 1));
    assert!(play.open(), "the round opens: {:?}", play.network.notices);
    vote_all(&mut play);
    let result = play.finish().expect("a result");

    let report = play.report(&result);
    let clear = small.votes(&play.votes);

    let mut merges = Merges::default();
    assert!(merges.merge(small.id(2), small.id(1)));
    let merged = clear.merged(&merges);
    let expected = json(&MoralGraph::new(&merged, CountingRule::Chorus.into()), &merged);
    assert_ne!(expected, json(&MoralGraph::new(&clear, CountingRule::Chorus.into()), &clear));
    for host in 0..play.network.len() {
        let (graph, votes) = moral_graph(play.network.peer(host).ledger(), [&report], CountingRule::Chorus.into());
        assert_eq!(json(&graph, &votes), expected, "host {host}");
    }
    audit::verify(&mut play.bundle(0).as_slice(), &mut |_| {}).expect("the log with a merge verifies");
    play.assert_nothing_replays();
}

/// A log with the small town's polls.
struct Case {
    small: Small,
    town: Town,
}

const NO_CARD: &str = "The assistant should be kind.";

impl Case {
    fn new() -> Self {
        let small = Small::new();
        let mut town = Town::new(Community::new(7, 4, 1, Policy::default()), 7);
        town.register_all();
        let mut texts: Vec<String> = small.cards.iter().map(ValuesCard::text).collect();
        texts.push(NO_CARD.into());
        let values = poll(&town.community, PollKind::Value, texts, 1_000);
        let other = ValuesCard::new("Value 9", "Do good", &[""; 0]).expect("a card").text();
        let statements = poll(&town.community, PollKind::Statement, vec![other], 1_000);
        let mut texts: Vec<String> = small.transitions.iter().map(Transition::text).collect();
        texts.push(NO_CARD.into());
        let transitions = poll(&town.community, PollKind::Transition, texts, 1_000);
        let operator = town.community.operators[0].clone();
        for poll in [values, statements, transitions] {
            for entry in [poll.opening].into_iter().chain(poll.proposals).chain([poll.plan]) {
                town.say(&operator, entry).expect("an honest entry");
            }
        }
        Self { small, town }
    }

    fn say(&mut self, operator: usize, entry: Entry) -> Result<(), Fault> {
        let key = self.town.community.operators[operator].clone();
        let before = self.town.ledger.cards().clone();
        let verdict = self.town.say(&key, entry);
        assert!(verdict.is_ok() || before == *self.town.ledger.cards(), "a refused entry changes nothing");
        verdict
    }

    /// The report of a round in which each transition got this many yes.
    fn report(&self, round: RoundId, agree: u64) -> RoundReport {
        let plan = &self.town.ledger.rounds()[&round].plan;
        let plan = plan.ballots().expect("a round of ballots");
        let totals = Totals { items: vec![Tally { agree, disagree: 0, pass: 0 }; plan.items.len()] };
        RoundReport {
            community: self.town.community.id(),
            poll: plan.poll,
            round,
            set: SetId::ZERO,
            ballots: 10,
            items: plan.items.clone(),
            outcome: Outcome::Totals { totals },
        }
    }
}

#[test]
fn the_last_word_on_a_card_counts_and_all_of_them_can_be_read() {
    let mut case = Case::new();
    let [a, b, c] = [0, 1, 2].map(|card| case.small.id(card));
    let entries =
        [case.small.merge(0, 1, 1), case.small.merge(1, 2, 1), case.small.canonical(1, 1), case.small.canonical(4, 1)];

    for (operator, entry) in entries.into_iter().enumerate() {
        assert_eq!(case.say(operator, entry), Ok(()));
    }

    let cards = case.town.ledger.cards();
    let keys = &case.town.community.genesis.operators;
    assert_eq!([a, b, c].map(|card| cards.merges().canonical(card)), [b, b, c]);
    assert_eq!(cards.latest(&b).map(|said| (said.operator, said.into)), Some((keys[2], None)));
    let said: Vec<_> = cards.statements().map(|said| (said.operator, said.card, said.into)).collect();
    assert_eq!(said[..3], [(keys[0], a, Some(b)), (keys[1], b, Some(c)), (keys[2], b, None)]);
    assert!(cards.statements().all(|said| !said.reason.is_empty()));
}

#[test]
fn statements_about_cards_that_say_nothing_or_the_impossible_are_refused() {
    let mut case = Case::new();
    let merge = |card, into| Entry::MergeCards(MergeCards { card, into, number: 1, reason: "The same.".into() });
    let [a, b] = [0, 1].map(|card| case.small.id(card));
    let no_card = BlobId::of(NO_CARD.as_bytes());
    let elsewhere = ValuesCard::new("Value 9", "Do good", &[""; 0]).expect("a card").id();
    assert_eq!(case.say(0, case.small.merge(0, 1, 1)), Ok(()));

    let unknown = Err(Fault::Unknown("values card"));
    for stranger in [no_card, elsewhere, BlobId::ZERO] {
        assert_eq!(case.say(0, merge(stranger, a)), unknown);
        assert_eq!(case.say(0, merge(b, stranger)), unknown);
    }
    let back = Err(Fault::Mismatch("a merge that leads back to the card itself"));
    assert_eq!(case.say(1, case.small.merge(1, 0, 1)), back);
    assert_eq!(case.say(1, case.small.merge(3, 3, 1)), back);
    assert_eq!(case.say(1, case.small.merge(0, 1, 1)), Err(Fault::Duplicate("this statement about a card")));
    let silent = Entry::Canonical(CanonicalCard { card: a, number: 1, reason: " ".into() });
    assert_eq!(case.say(1, silent), Err(Fault::Mismatch("the reason")));
    let member = case.town.community.people[0].key.clone();
    for entry in [case.small.canonical(0, 1), case.small.merge(2, 3, 1)] {
        assert_eq!(case.town.say(&member, entry), Err(Fault::NotAllowed("statements about values cards")));
    }
}

#[test]
fn one_operator_cannot_fill_the_log_with_statements_about_cards() {
    let mut case = Case::new();
    let share = limits::MAX_CARD_STATEMENTS / 4;
    let word = |case: &Case, number: u16| match number % 2 {
        1 => case.small.merge(0, 1, number),
        _ => case.small.canonical(0, number),
    };
    let share = u16::try_from(share).expect("a share");

    for number in 1..=share {
        assert_eq!(case.say(0, word(&case, number)), Ok(()));
    }

    assert!(matches!(case.say(0, word(&case, share + 1)), Err(Fault::Bound { .. })));
    assert_eq!(case.say(1, word(&case, 1)), Ok(()));
}

#[test]
fn of_two_rounds_that_asked_the_same_the_later_counts() {
    let mut case = Case::new();
    let first =
        case.town.ledger.rounds().values().find(|round| round.collects == Collects::Ballots(PollKind::Transition));
    let first = first.expect("planned").clone();
    let BallotPlan { poll, items, .. } = first.plan.ballots().expect("ballots").clone();
    // The second round asks about the first transition, and what is none.
    let items = vec![items[0], items[6]];
    let subject = Subject::Ballots(BallotPlan { poll, number: 2, items });
    let second = RoundPlan { subject, ..first.plan.clone() };
    assert_eq!(case.say(0, Entry::Plan(second.clone())), Ok(()));
    let reports = [case.report(first.id, 5), case.report(second.id(case.town.community.id()), 8)];

    let votes = moral_votes(&case.town.ledger, &reports);
    let reversed = moral_votes(&case.town.ledger, reports.iter().rev());

    assert_eq!(votes, reversed);
    assert_eq!(votes.transitions().len(), 6);
    let agree = |transition: usize| votes.transitions()[&case.small.transitions[transition].question()].agree;
    assert_eq!([agree(0), agree(1)], [8, 5]);
}

#[test]
fn the_cards_of_a_case_are_those_of_its_poll_each_as_the_one_that_stands_for_it() {
    let mut case = Case::new();
    assert_eq!(case.say(0, case.small.merge(0, 1, 1)), Ok(()));
    let ledger = &case.town.ledger;
    let of = |kind| {
        let polls = ledger.polls().iter().filter(|(_, poll)| poll.opening.kind == kind).map(|(id, _)| *id);
        polls.collect::<Vec<_>>()[0]
    };
    let ids = |cards: &[usize]| cards.iter().map(|card| case.small.id(*card)).collect::<BTreeSet<BlobId>>();

    assert_eq!(cards_of_case(ledger, &of(PollKind::Value), true), ids(&[1, 2, 3, 4]));
    assert_eq!(cards_of_case(ledger, &of(PollKind::Value), false), ids(&[0, 1, 2, 3, 4]));
    assert_eq!(cards_of_case(ledger, &of(PollKind::Statement), true), BTreeSet::new());
}
