use super::*;
use crate::{
    charter::Charter,
    config::{Genesis, Policy},
    log::entry::{Entry, PollOpening, Proposal, SignedEntry},
};

/// A community of operators 1 to 4, and a poll that the first has opened.
fn begun() -> (Ledger, PollId) {
    let (name, purpose, policy) = ("Harbour".into(), "To sail".into(), Policy::default());
    let operators = (1..=4u8).map(|byte| [byte; 32].into()).collect();
    let mut ledger = Ledger::new(Genesis { name, purpose, operators, attesters: Vec::new(), policy });
    let opening = PollOpening { kind: PollKind::Statement, question: "How?".into(), context: String::new() };
    let poll = opening.id(ledger.community());
    assert_eq!(say(&mut ledger, 1, Entry::Poll(opening)), Ok(()));
    (ledger, poll)
}

fn say(ledger: &mut Ledger, operator: u8, entry: Entry) -> Result<(), Fault> {
    let signature = chorus_crypto::sign::Signature::from([0; 64]);
    ledger.apply_verified(&SignedEntry { author: [operator; 32].into(), entry, signature })
}

fn propose(ledger: &mut Ledger, operator: u8, poll: PollId, text: &str) -> BlobId {
    assert_eq!(say(ledger, operator, Entry::Propose(Proposal { poll, text: text.into() })), Ok(()));
    BlobId::of(text.as_bytes())
}

/// Lets these operators be in office from now on.
fn elect(ledger: &mut Ledger, operators: [u8; 4]) {
    let operators = operators.map(|byte| [byte; 32].into()).to_vec();
    ledger.governance.charter = Arc::new(Charter { operators, ..ledger.charter().as_ref().clone() });
}

#[test]
fn words_and_items_of_operators_who_left_are_theirs_no_more() {
    let (mut ledger, poll) = begun();
    let [rejected, own] = ["Be loud", "Be kind"].map(|text| propose(&mut ledger, 1, poll, text));
    let (verdict, ground, reason) = (Verdict::Reject, Some(Ground::OffTopic), String::from("It is."));
    let word = Moderation { poll, item: rejected, number: 1, verdict, ground, reason };
    for operator in [3, 4] {
        assert_eq!(say(&mut ledger, operator, Entry::Moderate(word.clone())), Ok(()));
    }
    let standing = |ledger: &Ledger, item| ledger.item_state(poll, item).expect("an item").standing;
    assert_eq!([standing(&ledger, &rejected), standing(&ledger, &own)], [Standing::Rejected, Standing::Accepted]);

    elect(&mut ledger, [1, 2, 3, 5]);
    assert_eq!(standing(&ledger, &rejected), Standing::Accepted, "one of the two has left");
    elect(&mut ledger, [2, 3, 4, 5]);
    assert_eq!(standing(&ledger, &rejected), Standing::Rejected, "and is back");
    assert_eq!(standing(&ledger, &own), Standing::Undecided, "who proposed it has left");
}

#[test]
fn rules_need_the_words_of_those_in_office() {
    let (mut ledger, poll) = begun();
    propose(&mut ledger, 1, poll, "Be kind");
    let rules = PollRules { strict: true, ..PollRules::default() };
    let word = Entry::PollRules(StatedRules { poll, number: 1, rules: rules.clone() });
    assert_eq!(say(&mut ledger, 4, word.clone()), Ok(()));

    elect(&mut ledger, [1, 2, 3, 5]);
    assert_eq!(say(&mut ledger, 3, word.clone()), Ok(()));
    assert_eq!(ledger.facilitation(poll).rules(), &PollRules::default(), "one of the two has left");
    assert_eq!(say(&mut ledger, 2, word), Ok(()));
    assert_eq!(ledger.facilitation(poll).rules(), &rules);
}

fn state(ledger: &mut Ledger, operator: u8, number: u8, rules: &PollRules) -> Result<(), Fault> {
    let poll = *ledger.polls().keys().next().expect("a poll");
    say(ledger, operator, Entry::PollRules(StatedRules { poll, number, rules: rules.clone() }))
}

#[test]
fn the_first_rules_are_the_openers_and_words_on_them_are_few_and_new() {
    let (mut ledger, poll) = begun();
    let strict = PollRules { strict: true, ..PollRules::default() };
    assert_eq!(state(&mut ledger, 2, 1, &strict), Ok(()));
    assert_eq!(ledger.facilitation(poll).rules(), &PollRules::default(), "another operator opened it");
    assert_eq!(state(&mut ledger, 2, 2, &strict), Err(Fault::Duplicate("these rules of a poll")));
    for number in 2..=16u8 {
        let rules = PollRules { characters: number.into(), ..strict.clone() };
        assert_eq!(state(&mut ledger, 2, number, &rules), Ok(()));
    }
    assert!(matches!(state(&mut ledger, 2, 17, &strict), Err(Fault::Bound { .. })));
    assert_eq!(state(&mut ledger, 1, 1, &strict), Ok(()));
    assert_eq!(ledger.facilitation(poll).rules(), &strict);
}

#[test]
fn words_on_rules_start_anew_once_some_have_come_into_force() {
    let (mut ledger, poll) = begun();
    propose(&mut ledger, 1, poll, "Be kind");
    let [one, other] = [10, 20].map(|characters| PollRules { characters, ..PollRules::default() });
    for (operator, rules) in [(2, &one), (3, &one), (4, &other), (1, &other)] {
        assert_eq!(state(&mut ledger, operator, 1, rules), Ok(()));
    }

    assert_eq!(state(&mut ledger, 2, 2, &one), Ok(()));

    assert_eq!(ledger.facilitation(poll).rules(), &other, "the third said so before the others came into force");
}

#[test]
fn what_asks_about_the_voter_is_asked_in_a_strict_poll_too() {
    let (mut ledger, poll) = begun();
    assert_eq!(state(&mut ledger, 1, 1, &PollRules { strict: true, ..PollRules::default() }), Ok(()));
    let item = propose(&mut ledger, 1, poll, "I am over sixty");
    let (verdict, reason) = (Verdict::Meta, String::from("It asks for the voter's age."));
    let word = Moderation { poll, item, number: 1, verdict, ground: None, reason };
    for operator in [1, 2] {
        assert_eq!(say(&mut ledger, operator, Entry::Moderate(word.clone())), Ok(()));
    }

    let state = ledger.item_state(poll, &item).expect("an item");

    assert_eq!(state, ItemState { standing: Standing::Undecided, is_meta: true, is_asked: true });
}
