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

#[test]
fn a_state_says_nothing_of_polls_that_there_are_not() {
    let (mut ledger, poll) = begun();
    Arc::make_mut(&mut ledger.facilitation).insert(poll, Arc::new(Facilitation::default()));
    assert!(Ledger::from_bytes(&ledger.to_bytes()).is_ok());

    Arc::make_mut(&mut ledger.facilitation).insert(PollId::ZERO, Arc::new(Facilitation::default()));

    assert!(Ledger::from_bytes(&ledger.to_bytes()).is_err());
}
