//! The moral graph: the published one, from votes in the clear and from ballots that nobody reads; and that of a small town,
//! with the merges that operators stated.
//!
//! Without the published data set the tests that need it print a line and pass.

use std::collections::BTreeSet;

use chorus_crypto::ballot::Vote;
use chorus_protocol::{
    audit,
    config::Policy,
    deliberation::{
        moral_graph::{CountingRule, Merges, MoralGraph, MoralVotes, Transition, ValuesCard},
        tally::{Tally, Totals},
    },
    fault::Fault,
    id::{BlobId, RoundId, SetId},
    ledger::Collects,
    limits,
    log::entry::{BallotPlan, CanonicalCard, Entry, MergeCards, PollKind, RoundPlan, Subject},
    round::{
        moral::{cards_of_case, moral_graph, moral_votes},
        report::{Outcome, RoundReport},
    },
};
use chorus_tests::{
    community::{Community, Poll},
    offline::Town,
    published::{Answer, Published, json, tally},
    scenario::Scenario,
};

/// The edges that the reference keeps of all votes, those after the publication too.
const KEPT_OF_ALL: usize = 71;

fn comes_out_as_in_the_reference(part: &str, is_counted: fn(&Answer) -> bool, kept: usize) {
    let Some(published) = Published::read() else { return };

    let found = published.compare(part, is_counted);

    assert_eq!(found.differing, Vec::<String>::new());
    assert_eq!(found.kept, kept);
    let (ours, both) = found.by_our_rule;
    println!("{part}: {} edges kept; by our rule {ours}, of which {both} are among them", found.kept);
}

#[test]
fn the_published_moral_graph_comes_out_exactly() {
    comes_out_as_in_the_reference("published", |answer| answer.is_published, 69);
}

#[test]
fn the_graph_of_all_votes_comes_out_as_in_the_reference() {
    comes_out_as_in_the_reference("all", |_| true, KEPT_OF_ALL);
}

#[test]
fn endorsements_of_values_come_out_as_in_the_reference() {
    let Some(published) = Published::read() else { return };

    let found = published.compare_endorsements();

    assert_eq!(found.differing, Vec::<String>::new());
}

#[test]
fn the_published_moral_graph_comes_out_of_ballots_that_nobody_reads() {
    let Some(published) = Published::read() else { return };

    let secret = published.in_secret();

    assert_eq!(secret.ballots, published.voters());
    assert_eq!(secret.graphs.len(), 2 * 5, "two rules, four operators and a follower");
    assert_eq!(secret.differing(), 0);
}

/// A poll whose items are given.
fn poll(community: &Community, kind: PollKind, texts: Vec<String>, duration_millis: u64) -> Poll {
    community.poll_of("What is wiser?", (kind, texts, duration_millis), None)
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
    play.publish(&cards);
    let texts = small.transitions.iter().map(Transition::text).collect();
    play.poll = poll(&play.community, PollKind::Transition, texts, 20_000);
    play.post(1, small.merge(2, 1, 1));
    assert!(play.open(), "the round opens: {:?}", play.network.notices);
    play.vote_side_by_side();
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
