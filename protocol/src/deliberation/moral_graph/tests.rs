use chorus_crypto::codec::{Decode as _, Encode as _};
use proptest::prelude::*;

use super::{entry::MergeCards, *};
use crate::limits::MAX_STATEMENT_BYTES;

const RULES: [CountingRule; 2] = [CountingRule::Chorus, CountingRule::DemocraticFineTuning];

fn card(number: usize) -> ValuesCard {
    ValuesCard::new(&format!("Value {number}"), "Do good", &["MOMENTS of doubt"]).expect("a card")
}

fn id(number: usize) -> BlobId {
    card(number).id()
}

const fn tally(agree: u64, disagree: u64, pass: u64) -> Tally {
    Tally { agree, disagree, pass }
}

fn question(from: usize, to: usize, context: &str) -> Question {
    Question { from: id(from), to: id(to), context: context.into() }
}

/// Votes on transitions among eight cards.
fn votes(answers: &[(usize, usize, &str, Tally)]) -> MoralVotes {
    let mut votes = MoralVotes::default();
    (0..8).for_each(|number| votes.add_card(card(number)));
    for (from, to, context, tally) in answers {
        votes.add_answers(question(*from, *to, context), *tally);
    }
    votes
}

fn edge(graph: &MoralGraph, from: usize, to: usize) -> Option<&Edge> {
    graph.edges.iter().chain(&graph.others).find(|edge| (edge.from, edge.to) == (id(from), id(to)))
}

fn counts(graph: &MoralGraph, from: usize, to: usize) -> Option<[u64; 5]> {
    let Counts { wiser, not_wiser, less_wise, unsure, impressions } = edge(graph, from, to)?.counts;
    Some([wiser, not_wiser, less_wise, unsure, impressions])
}

#[test]
fn a_card_has_one_text_and_reads_back_from_it() {
    let card =
        ValuesCard::new("  Informed\u{a0} autonomy ", "Help people\nsee options.", &["MOMENTS  of doubt", "SIGNS"]);

    let card = card.expect("a card");

    let text = "Value: Informed autonomy\nInstruction: Help people see options.\nAttend to: MOMENTS of doubt\nAttend to: SIGNS";
    assert_eq!(card.text(), text);
    assert_eq!(ValuesCard::from_text(text), Ok(card.clone()));
    assert_eq!(card.id(), BlobId::of(text.as_bytes()));
}

#[test]
fn what_is_not_to_the_byte_the_text_of_a_card_is_none() {
    let text = card(1).text();
    let changes = [
        text.replace("Value: ", "Value:  "),
        text.replace("Value: ", "value: "),
        format!("{text}\n"),
        format!("{text} "),
        format!("{text}\nAttend to: "),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n\n"),
        text.replace("Do good", "Do\tgood"),
        text.replace("Do good", ""),
        "The assistant should be kind.".into(),
        String::new(),
    ];

    for changed in changes {
        assert!(ValuesCard::from_text(&changed).is_err(), "{changed:?}");
    }
}

#[test]
fn cards_that_are_too_long_or_hide_something_are_refused() {
    let make = |title: &str, policies: usize| ValuesCard::new(title, "Do good", &vec!["P".repeat(400); policies]);

    assert!(make("A", 9).expect("a card").text().len() <= MAX_STATEMENT_BYTES);
    assert!(matches!(make("A", 10), Err(CardError::Length { what: "the card", .. })));
    assert_eq!(make("A", 17), Err(CardError::Policies(17)));
    assert!(matches!(make(" \n", 1), Err(CardError::Length { what: "the title", .. })));
    assert!(matches!(make(&"A".repeat(401), 1), Err(CardError::Length { .. })));
    // Refused for its length before anybody looks at how little it says.
    assert!(matches!(make(&format!("A{}", " ".repeat(800)), 1), Err(CardError::Length { found: 801, .. })));
    for hidden in ["A\u{202e}B", "A\u{200b}", "\u{e0041}A", "A\u{0}"] {
        assert!(matches!(make(hidden, 1), Err(CardError::Invisible { what: "the title", .. })), "{hidden:?}");
    }
    assert!(make("می\u{200c}خواهم", 1).is_ok());
}

#[test]
fn a_transition_reads_back_and_fits_an_item_at_its_longest() {
    let longest = Transition::new(id(1), id(2), &"c".repeat(400), &"s".repeat(3_000)).expect("a transition");
    let silent = Transition::new(id(1), id(2), "When parenting", " ").expect("a transition");

    assert!(longest.text().len() <= MAX_STATEMENT_BYTES);
    assert_eq!(Transition::from_text(&longest.text()), Ok(longest));
    assert_eq!(Transition::from_text(&silent.text()), Ok(silent.clone()));
    assert_eq!(silent.text(), format!("Transition: {} -> {}\nContext: When parenting", id(1), id(2)));
    assert_eq!(Transition::new(id(1), id(1), "here", ""), Err(CardError::Loop));
    assert!(Transition::from_text(&format!("{}\nStory: ", silent.text())).is_err());
    assert!(Transition::from_text(&silent.text().to_uppercase()).is_err());
}

#[test]
fn both_rules_count_as_they_say() {
    // Five of eight say that 1 is wiser than 0; one of three says that 0 is wiser than 1; nobody was asked about 2 → 1.
    let votes = votes(&[
        (0, 1, "here", tally(5, 2, 1)),
        (1, 0, "there", tally(1, 2, 0)),
        (1, 2, "here", tally(0, 3, 1)),
        (3, 4, "here", tally(0, 0, 0)),
    ]);

    let chorus = MoralGraph::new(&votes, CountingRule::Chorus.into());
    let published = MoralGraph::new(&votes, CountingRule::DemocraticFineTuning.into());

    assert_eq!(counts(&chorus, 0, 1), Some([5, 2, 1, 1, 9]));
    assert_eq!(counts(&published, 0, 1), Some([5, 2, 1, 1, 11]));
    assert_eq!(counts(&chorus, 1, 0), Some([1, 2, 5, 0, 8]));
    assert_eq!(counts(&published, 1, 0), Some([1, 2, 5, 0, 11]));
    assert_eq!(counts(&chorus, 2, 1), None);
    assert_eq!(counts(&published, 2, 1), Some([0, 0, 0, 0, 4]));
    for graph in [&chorus, &published] {
        assert_eq!(counts(graph, 3, 4), None);
        let edge = edge(graph, 0, 1).expect("an edge");
        assert_eq!(edge.likelihood(), Some(4.0 / 9.0));
        assert_eq!(edge.contexts, BTreeSet::from(["here".to_owned(), "there".to_owned()]));
    }
    assert_eq!(edge(&published, 2, 1).expect("asked about").likelihood(), None);
}

#[test]
fn a_pair_about_which_nobody_voted_is_no_edge_whatever_the_bounds() {
    let votes = votes(&[(1, 2, "here", tally(0, 3, 1))]);
    let thresholds = Thresholds { min_wiser: 0, min_likelihood: 0, max_entropy: u32::MAX };
    let options = Options { thresholds, ..CountingRule::DemocraticFineTuning.into() };

    let graph = MoralGraph::new(&votes, options);

    let ends = |edges: &[Edge]| edges.iter().map(|edge| (edge.from, edge.to)).collect::<Vec<_>>();
    assert_eq!(ends(&graph.edges), [(id(1), id(2))]);
    assert_eq!(ends(&graph.others), [(id(2), id(1))], "looked at, and no vote");
}

#[test]
fn an_edge_that_meets_a_bound_exactly_is_kept() {
    // 33 of 100 more say yes than say the reverse.
    let exactly =
        votes(&[(0, 1, "here", tally(33, 67, 0)), (2, 3, "here", tally(2, 0, 0)), (4, 5, "here", tally(1, 0, 0))]);
    let below = votes(&[(0, 1, "here", tally(33, 68, 0))]);
    let kept = |votes: &MoralVotes, options: &Options| MoralGraph::new(votes, options.clone()).edges.len();
    let options = Options::from(CountingRule::Chorus);

    assert_eq!(kept(&exactly, &options), 2);
    assert_eq!(kept(&below, &options), 0);
    let strict =
        |max_entropy| Options { thresholds: Thresholds { max_entropy, ..options.thresholds }, ..options.clone() };
    let even = votes(&[(0, 1, "here", tally(5, 5, 0))]);
    assert_eq!([kept(&even, &strict(100)), kept(&even, &strict(99))], [1, 0]);
}

#[test]
fn a_graph_of_one_context_counts_that_context() {
    let votes =
        votes(&[(0, 1, "here", tally(3, 0, 0)), (0, 1, "there", tally(4, 0, 1)), (2, 3, "there", tally(3, 0, 0))]);
    let here = Options { context: Some("here".into()), ..CountingRule::Chorus.into() };

    let graph = MoralGraph::new(&votes, here);

    assert_eq!(counts(&graph, 0, 1), Some([3, 0, 0, 0, 3]));
    assert_eq!(edge(&graph, 2, 3), None);
}

#[test]
fn the_part_about_some_cards_holds_what_was_said_about_them_alone() {
    let mut votes =
        votes(&[(0, 1, "here", tally(3, 0, 0)), (1, 2, "there", tally(2, 1, 0)), (2, 0, "", tally(1, 0, 0))]);
    votes.add_endorsement(id(1), tally(4, 0, 0));
    votes.add_endorsement(id(2), tally(5, 0, 0));

    let part = votes.among(&BTreeSet::from([id(0), id(1)]));

    assert_eq!(part.cards().keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([id(0), id(1)]));
    assert_eq!(part.endorsements().keys().collect::<Vec<_>>(), [&id(1)]);
    assert_eq!(part.transitions().keys().collect::<Vec<_>>(), [&question(0, 1, "here")]);
    assert_eq!((part.contexts(), votes.contexts().len()), (BTreeSet::from(["here"]), 3));
}

#[test]
fn merged_cards_count_as_one_and_a_question_about_them_is_none() {
    let votes = votes(&[
        (0, 1, "here", tally(3, 0, 0)),
        (0, 2, "here", tally(2, 1, 0)),
        (1, 2, "here", tally(9, 0, 0)),
        (2, 3, "here", tally(4, 0, 0)),
    ]);
    let mut merges = Merges::default();
    assert!(merges.merge(id(2), id(1)));

    let merged = votes.merged(&merges);
    let graph = MoralGraph::new(&merged, CountingRule::Chorus.into());

    assert_eq!(counts(&graph, 0, 1), Some([5, 1, 0, 0, 6]));
    assert_eq!(counts(&graph, 1, 3), Some([4, 0, 0, 0, 4]));
    assert_eq!(edge(&graph, 1, 2), None);
    assert!(!merged.cards().contains_key(&id(2)));
}

#[test]
fn what_is_said_about_cards_that_nobody_proposed_is_left_out() {
    let known = votes(&[(0, 1, "here", tally(3, 0, 0))]);
    let mut votes = known.clone();

    assert!(!votes.add_endorsement(id(9), tally(1, 0, 0)));
    assert!(!votes.add_answers(question(9, 0, "here"), tally(1, 0, 0)));
    assert!(!votes.add_answers(question(0, 9, "here"), tally(1, 0, 0)));
    assert_eq!(votes, known);
    let mut merges = Merges::default();
    assert!(merges.merge(id(1), id(9)));
    assert_eq!(votes.merged(&merges), known, "a card that stands for an unknown one stays itself");
}

#[test]
fn no_chain_of_merges_leads_back_and_a_merge_can_be_taken_back() {
    let mut merges = Merges::default();

    assert!(merges.merge(id(1), id(2)) && merges.merge(id(2), id(3)));
    assert!(!merges.merge(id(3), id(1)) && !merges.merge(id(4), id(4)));
    assert_eq!(merges.canonical(id(1)), id(3));
    // Another card may stand for it from now on; then the chain is free.
    assert!(merges.merge(id(1), id(4)) && merges.merge(id(3), id(1)));
    merges.separate(id(1));
    assert_eq!([1, 2, 3, 4].map(|number| merges.canonical(id(number))), [1, 1, 1, 4].map(id));
}

#[test]
fn ranks_by_our_rule_sum_to_one_and_by_the_published_one_leak() {
    let votes =
        votes(&[(0, 1, "here", tally(5, 0, 0)), (1, 2, "here", tally(5, 0, 0)), (0, 2, "here", tally(5, 1, 0))]);

    let sums =
        RULES.map(|rule| MoralGraph::new(&votes, rule.into()).nodes.iter().map(|node| node.page_rank).sum::<f64>());

    assert!((sums[0] - 1.0).abs() < 1e-12 && sums[1] < 0.7, "{sums:?}");
}

#[test]
fn the_export_has_the_published_form() {
    let mut votes = votes(&[(0, 1, "here", tally(5, 1, 0)), (2, 3, "here", tally(0, 1, 0))]);
    votes.add_endorsement(id(1), tally(7, 2, 0));
    let graph = MoralGraph::new(&votes, CountingRule::DemocraticFineTuning.into());

    let json = serde_json::to_value(graph.export(&votes, true)).expect("numbers and texts");

    let wiser = json["edges"][0]["wiserValueId"].as_u64().expect("a number");
    let values = json["values"].as_array().expect("values");
    let value = values.iter().find(|value| value["id"] == wiser).expect("a value");
    assert_eq!(value["title"], "Value 1");
    assert_eq!(value["evaluationCriteria"], serde_json::json!(["MOMENTS of doubt"]));
    assert_eq!(value["votes"], 7);
    for key in ["instructionsShort", "instructionsDetailed", "pageRank", "wisdom", "contentId"] {
        assert!(!value[key].is_null(), "{key}");
    }
    let counts = serde_json::json!({
        "markedWiser": 5, "markedNotWiser": 1, "markedLessWise": 0, "markedUnsure": 0, "impressions": 6
    });
    assert_eq!(json["edges"][0]["counts"], counts);
    let likelihood = json["edges"][0]["summary"]["wiserLikelihood"].as_f64().expect("a number");
    assert_eq!(likelihood, 5.0 / 6.0);
    assert_eq!(json["edges"][0]["contexts"], serde_json::json!(["here"]));
    assert_eq!(json["allEdges"].as_array().map(Vec::len), Some(4));
    assert!(serde_json::to_value(graph.export(&votes, false)).expect("JSON").get("allEdges").is_none());
}

#[test]
fn the_entries_read_back() {
    let merge = MergeCards { card: id(1), into: id(2), number: 3, reason: "The same policies.".into() };

    assert_eq!(MergeCards::from_bytes(&merge.to_bytes()), Ok(merge));
}

/// Answers of single people: from, to, context, and which of yes, no and unsure.
fn answers() -> impl Strategy<Value = Vec<(usize, usize, usize, usize)>> {
    prop::collection::vec((0usize..8, 0usize..8, 0usize..3, 0usize..3), 0..200)
}

fn counted(answers: &[(usize, usize, usize, usize)]) -> MoralVotes {
    let single = [tally(1, 0, 0), tally(0, 1, 0), tally(0, 0, 1)];
    let contexts = ["here", "there", "everywhere"];
    let each = |&(from, to, context, said): &(usize, usize, usize, usize)| (from, to, contexts[context], single[said]);
    votes(&answers.iter().map(each).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_order_of_votes_does_not_matter(
        (answers, shuffled) in answers().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle()))
    ) {
        for rule in RULES {
            let graph = |answers| {
                let votes = counted(answers);
                serde_json::to_string(&MoralGraph::new(&votes, rule.into()).export(&votes, true)).expect("JSON")
            };
            prop_assert_eq!(graph(&answers), graph(&shuffled));
        }
    }

    #[test]
    fn merging_twice_is_merging_once_and_loses_no_vote_between_different_values(
        answers in answers(), pairs in prop::collection::vec((0usize..8, 0usize..8), 0..12)
    ) {
        let mut merges = Merges::default();
        for (card, into) in pairs {
            merges.merge(id(card), id(into));
        }
        let votes = counted(&answers);

        let once = votes.merged(&merges);

        prop_assert_eq!(&once.merged(&merges), &once);
        let differ = |question: &Question| merges.canonical(question.from) != merges.canonical(question.to);
        let of_different = votes.transitions().iter().filter(|(question, _)| differ(question));
        let before: u64 = of_different.map(|(_, tally)| tally.seen()).sum();
        let after: u64 = once.transitions().values().map(|tally| tally.seen()).sum();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn ranks_sum_to_one(answers in answers(), weighting in prop_oneof![Just(Weighting::Likelihood), Just(Weighting::Equal)]) {
        let thresholds = Thresholds { min_wiser: 1, min_likelihood: 0, max_entropy: 200 };
        let options = Options { thresholds, weighting, ..CountingRule::Chorus.into() };

        let graph = MoralGraph::new(&counted(&answers), options);

        let sum: f64 = graph.nodes.iter().map(|node| node.page_rank).sum();
        prop_assert!(graph.nodes.is_empty() || (sum - 1.0).abs() < 1e-12, "{}", sum);
        prop_assert!(graph.nodes.iter().all(|node| node.page_rank > 0.0 && node.wisdom >= 0.0));
    }

    #[test]
    fn whatever_reads_as_a_card_or_transition_is_its_own_text(
        title in "\\PC{0,20}", rest in "(\n(Instruction: |Attend to: |Story: |Context: )?\\PC{0,12}){0,4}"
    ) {
        for text in [format!("Value: {title}{rest}"), format!("Transition: {} -> {title}{rest}", id(0))] {
            if let Ok(card) = ValuesCard::from_text(&text) {
                prop_assert_eq!(card.text(), text.clone());
            }
            if let Ok(transition) = Transition::from_text(&text) {
                prop_assert_eq!(transition.text(), text);
            }
        }
    }
}
