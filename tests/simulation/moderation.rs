//! Moderation: what one operator can do and what it cannot, and what becomes of rounds.

use chorus_crypto::{ballot::Vote, sign::SecretKey};
use chorus_protocol::{
    audit,
    config::Policy,
    facilitation::{AnnotatedProposal, Annotation, AnyProposal, FailingPrompt, Ground, PollRules, Verdict},
    fault::Fault,
    id::{BlobId, PollId},
    ledger::{ItemStanding, ItemState},
    limits,
    log::entry::{
        AnonymousProposal, BallotPlan, Entry, Moderation, PollKind, Proposal, RoundPlan, StatedRules, Subject,
    },
};
use chorus_tests::{
    community::{Community, Poll},
    offline::Town,
    restored::restored,
    scenario::Scenario,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// A poll of a town with four operators, of whom one may be corrupt.
struct Case {
    town: Town,
    poll: Poll,
}

impl Case {
    fn new(kind: PollKind) -> Self {
        let policy = Policy { anonymous_proposals: 3, ..Policy::default() };
        let mut town = Town::new(Community::new(7, 4, 4, policy), 7);
        town.register_all();
        let poll = town.community.poll(kind, 4, 60_000);
        let mut case = Self { town, poll };
        assert_eq!(case.say(0, case.poll.opening.clone()), Ok(()));
        case
    }

    /// With the four items, of which the third is a member's.
    fn with_items() -> Self {
        let mut case = Self::new(PollKind::Statement);
        case.propose_all();
        case
    }

    fn propose_all(&mut self) {
        for (number, proposal) in self.poll.proposals.clone().into_iter().enumerate() {
            let key = if number == 2 { self.member(0) } else { self.operator(0) };
            assert_eq!(self.town.say(&key, proposal), Ok(()));
        }
    }

    fn operator(&self, operator: usize) -> SecretKey {
        self.town.community.operators[operator].clone()
    }

    fn member(&self, person: usize) -> SecretKey {
        self.town.community.people[person].key.clone()
    }

    fn say(&mut self, operator: usize, entry: Entry) -> Result<(), Fault> {
        let key = self.operator(operator);
        let before = format!("{:?}", self.town.ledger);
        let verdict = self.town.say(&key, entry);
        assert!(verdict.is_ok() || before == format!("{:?}", self.town.ledger), "a refused entry changes nothing");
        self.town.ledger = restored(&self.town.ledger);
        verdict
    }

    fn id(&self) -> PollId {
        self.poll.poll
    }

    fn item(&self, number: usize) -> BlobId {
        self.town.ledger.polls()[&self.id()].items[number].0
    }

    fn word(&self, item: usize, number: u8, verdict: Verdict) -> Entry {
        let ground = (verdict == Verdict::Reject).then_some(Ground::OffTopic);
        let (poll, item) = (self.id(), self.item(item));
        Entry::Moderate(Moderation { poll, item, number, verdict, ground, reason: "As the policy says.".into() })
    }

    fn moderate(&mut self, operator: usize, item: usize, number: u8, verdict: Verdict) -> Result<(), Fault> {
        self.say(operator, self.word(item, number, verdict))
    }

    fn rules(&self, number: u8, rules: PollRules) -> Entry {
        Entry::PollRules(StatedRules { poll: self.id(), number, rules })
    }

    fn state(&self, item: usize) -> ItemState {
        self.town.ledger.item_state(self.id(), &self.item(item)).expect("an item")
    }

    /// The plan of the poll's next round over some of its items.
    fn plan(&self, items: &[usize]) -> Entry {
        let number = u32::try_from(self.town.ledger.polls()[&self.id()].rounds.len() + 1).expect("few rounds");
        let items = items.iter().map(|item| self.item(*item)).collect();
        let subject = Subject::Ballots(BallotPlan { poll: self.id(), number, items });
        Entry::Plan(RoundPlan { subject, duration_millis: 60_000, key_grace_millis: 5_000, classes: None })
    }
}

fn strict() -> PollRules {
    PollRules { strict: true, policy: "On topic, civil, one idea each.".into(), ..PollRules::default() }
}

const KEPT_OUT: Result<(), Fault> = Err(Fault::Mismatch("an item that is kept out of rounds"));

#[test]
fn one_operator_silences_nothing_and_two_of_four_do_from_the_next_round_on() {
    let mut case = Case::with_items();
    assert_eq!(case.moderate(3, 2, 1, Verdict::Reject), Ok(()));
    assert_eq!(case.state(2), ItemState { standing: ItemStanding::Undecided, is_meta: false, is_asked: true });
    assert_eq!(case.say(0, case.plan(&[0, 1, 2, 3])), Ok(()));
    let before = case.town.ledger.rounds().clone();

    assert_eq!(case.moderate(1, 2, 1, Verdict::Reject), Ok(()));

    assert_eq!(case.state(2), ItemState { standing: ItemStanding::Rejected, is_meta: false, is_asked: false });
    assert_eq!(*case.town.ledger.rounds(), before, "a round that is planned asks what it asked");
    assert_eq!(case.say(0, case.plan(&[0, 1, 2])), KEPT_OUT);
    assert_eq!(case.say(0, case.plan(&[0, 1, 3])), Ok(()));
    // The words of others do not outweigh those two; one of them taken back does.
    assert_eq!(case.moderate(0, 2, 1, Verdict::Accept), Ok(()));
    assert_eq!(case.moderate(2, 2, 1, Verdict::Accept), Ok(()));
    assert!(!case.state(2).is_asked);
    assert_eq!(case.moderate(1, 2, 2, Verdict::TakeBack), Ok(()));
    assert_eq!(case.state(2).standing, ItemStanding::Accepted);
    assert_eq!(case.say(0, case.plan(&[2])), Ok(()));
    let words: Vec<u8> = case.town.ledger.facilitation(case.id()).words().map(|word| word.number).collect();
    assert_eq!(words, [1, 1, 1, 1, 2], "everything that was said can be read");
}

#[test]
fn an_old_word_said_again_by_somebody_changes_nothing() {
    let mut case = Case::with_items();
    let (first, rules) = (case.word(2, 1, Verdict::Reject), case.rules(1, strict()));
    assert_eq!(case.say(1, first.clone()), Ok(()));
    assert_eq!(case.say(1, rules.clone()), Ok(()));
    assert_eq!(case.moderate(1, 2, 2, Verdict::TakeBack), Ok(()));
    assert_eq!(case.say(1, case.rules(2, PollRules::default())), Ok(()));

    assert_eq!(case.say(1, first), Err(Fault::Duplicate("word on an item")));
    assert_eq!(case.say(1, rules), Err(Fault::Duplicate("rules of a poll")));
    assert_eq!(case.moderate(1, 2, 4, Verdict::Reject), Err(Fault::Phase("word on an item")), "one was left out");
    assert_eq!(case.moderate(1, 2, 3, Verdict::TakeBack), Err(Fault::Duplicate("this word on an item")));
    assert_eq!(case.moderate(1, 2, 3, Verdict::Reject), Ok(()));
    assert_eq!(case.moderate(1, 2, 4, Verdict::Accept), Ok(()));
    assert!(matches!(case.moderate(1, 2, 5, Verdict::Reject), Err(Fault::Bound { .. })), "each of them stays for ever");
}

#[test]
fn words_that_say_nothing_or_come_from_others_are_refused() {
    let mut case = Case::with_items();
    let member = case.member(1);
    let by_member = case.town.say(&member, case.word(2, 1, Verdict::Reject));
    assert_eq!(by_member, Err(Fault::NotAllowed("words on items")));
    let rules = case.rules(1, strict());
    assert_eq!(case.town.say(&member, rules), Err(Fault::NotAllowed("the rules of a poll")));
    assert_eq!(case.moderate(1, 2, 1, Verdict::TakeBack), Err(Fault::Mismatch("a word that takes nothing back")));
    let Entry::Moderate(good) = case.word(2, 1, Verdict::Reject) else { unreachable!("a word") };
    let bad = [
        (Moderation { reason: " ".into(), ..good.clone() }, Fault::Mismatch("the reason")),
        (Moderation { ground: None, ..good.clone() }, Fault::Mismatch("the ground of a word on an item")),
        (Moderation { item: BlobId::ZERO, ..good.clone() }, Fault::Unknown("item")),
        (Moderation { poll: PollId::ZERO, ..good }, Fault::Unknown("poll")),
    ];
    for (word, fault) in bad {
        assert_eq!(case.say(1, Entry::Moderate(word)), Err(fault));
    }
}

#[test]
fn in_a_strict_poll_one_honest_operator_is_enough_and_one_corrupt_one_is_not() {
    let mut case = Case::new(PollKind::Statement);
    assert_eq!(case.say(0, case.rules(1, strict())), Ok(()));
    case.propose_all();
    assert_eq!([0, 1, 3].map(|item| case.state(item).standing), [ItemStanding::Accepted; 3], "who proposes accepts");
    assert_eq!(case.state(2), ItemState { standing: ItemStanding::Undecided, is_meta: false, is_asked: false });
    assert_eq!(case.say(3, case.plan(&[0, 2])), KEPT_OUT);

    assert_eq!(case.moderate(3, 2, 1, Verdict::Reject), Ok(()), "the corrupt one");
    assert_eq!(case.moderate(1, 2, 1, Verdict::Accept), Ok(()), "an honest one");
    assert_eq!(case.say(2, case.plan(&[0, 2])), Ok(()));
    // And what a corrupt one accepts, two others reject.
    assert_eq!(case.moderate(1, 2, 2, Verdict::Reject), Ok(()));
    assert_eq!(case.moderate(3, 2, 2, Verdict::Accept), Ok(()));
    assert!(case.state(2).is_asked);
    assert_eq!(case.moderate(0, 2, 1, Verdict::Reject), Ok(()));
    assert_eq!(case.say(3, case.plan(&[2])), KEPT_OUT);
    // An operator that takes its own proposal back has not accepted it.
    assert_eq!(case.moderate(0, 1, 1, Verdict::Reject), Ok(()));
    assert!(!case.state(1).is_asked);
}

#[test]
fn the_rules_of_a_poll_with_items_are_changed_by_two_of_four_alone() {
    let mut case = Case::with_items();
    let narrow = PollRules { items_per_member: 1, characters: 20, ..strict() };

    assert_eq!(case.say(0, case.rules(1, narrow.clone())), Ok(()));
    assert_eq!(*case.town.ledger.facilitation(case.id()).rules(), PollRules::default(), "not by who opened it");
    assert_eq!(case.say(1, case.rules(1, strict())), Ok(()));
    assert_eq!(*case.town.ledger.facilitation(case.id()).rules(), PollRules::default(), "not by two that differ");
    assert_eq!(case.say(1, case.rules(2, narrow.clone())), Ok(()));
    assert_eq!(*case.town.ledger.facilitation(case.id()).rules(), narrow);

    let propose = |text: &str| Entry::Propose(Proposal { poll: case.poll.poll, text: text.into() });
    let (old, other) = (case.member(0), case.member(1));
    let (short, long) = (propose("Rents must not rise."), propose("Rents must not rise!!"));
    assert!(matches!(case.town.say(&old, short.clone()), Err(Fault::Bound { what: "items of one member", .. })));
    assert!(matches!(case.town.say(&other, long.clone()), Err(Fault::Bound { what: "characters of an item", .. })));
    assert_eq!(case.town.say(&other, short), Ok(()));
    assert_eq!(case.say(2, long), Ok(()), "operators have no such bound");
    assert_eq!(case.town.ledger.anonymous_items(case.id()), 1);
    let wide = PollRules { items_per_member: 21, ..PollRules::default() };
    assert!(matches!(case.say(2, case.rules(1, wide)), Err(Fault::Bound { .. })));
}

#[test]
fn what_members_are_asked_about_the_rules_nobody_keeps_from_them() {
    let mut case = Case::new(PollKind::Amendment);
    case.propose_all();

    let refused = Err(Fault::NotAllowed("words on a poll about the rules"));
    assert_eq!(case.moderate(0, 2, 1, Verdict::Reject), refused);
    assert_eq!(case.say(0, case.rules(1, strict())), refused);
}

#[test]
fn items_that_were_rejected_make_room() {
    let mut case = Case::new(PollKind::Statement);
    let key = case.operator(0);
    let propose = |number: usize| Entry::Propose(Proposal { poll: case.poll.poll, text: format!("Item {number}") });
    (0..limits::MAX_ITEMS).for_each(|number| case.town.say(&key, propose(number)).expect("room"));
    let more = propose(limits::MAX_ITEMS);
    assert!(matches!(case.town.say(&key, more.clone()), Err(Fault::Bound { what: "items", .. })));

    assert_eq!(case.moderate(0, 7, 1, Verdict::Reject), Ok(()));
    assert_eq!(case.moderate(1, 7, 1, Verdict::Reject), Ok(()));

    assert_eq!(case.say(0, more), Ok(()));
    assert_eq!(case.town.ledger.asked(case.id()).len(), limits::MAX_ITEMS);
}

fn annotation() -> Annotation {
    let prompt = "Is it safe to mix these two cleaners?".into();
    let prompts = vec![FailingPrompt { prompt, failure: "It says yes, and does not ask which.".into() }];
    Annotation { topic: "Safety".into(), meta: false, prompts }
}

#[test]
fn what_stands_beside_an_anonymous_item_is_its_proposers() {
    let mut case = Case::with_items();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (author, leaf) = (SecretKey::random(&mut rng), &case.town.community.people[0].leaf);
    let text = "The assistant should ask which cleaners.";
    let proposal = AnonymousProposal::make(&case.town.ledger, case.id(), text, (leaf, 0), author.public(), &mut rng);
    let proposal = AnyProposal::Anonymous(proposal.expect("a member"));
    let with = |annotation| Entry::ProposeWith(Box::new(AnnotatedProposal { proposal: proposal.clone(), annotation }));

    let moved = case.town.say(&case.member(1), with(annotation()));
    assert!(matches!(moved, Err(Fault::Credential(_))), "nobody else can say it with other words beside it");
    assert!(matches!(case.town.say(&author, with(Annotation::default())), Err(Fault::Mismatch(_))));
    let meta = Annotation { meta: true, ..annotation() };
    assert_eq!(case.town.say(&author, with(meta)), Err(Fault::NotAllowed("an item about the voter")));
    assert_eq!(case.town.say(&author, with(annotation())), Ok(()));
    let other = Annotation { topic: "Chemistry".into(), ..annotation() };
    assert!(matches!(case.town.say(&author, with(other)), Err(Fault::Duplicate(_))), "the first word stands");

    let ledger = restored(&case.town.ledger);
    assert_eq!(ledger.facilitation(case.id()).annotation(&case.item(4)), Some(&annotation()));
    assert_eq!(ledger.facilitation(case.id()).annotation(&case.item(0)), None);
}

#[test]
fn an_item_is_about_the_voter_if_two_of_four_say_so_or_its_operator_whom_two_can_overrule() {
    let mut case = Case::with_items();
    assert_eq!(case.moderate(3, 2, 1, Verdict::Meta), Ok(()));
    assert!(!case.state(2).is_meta, "one alone keeps nothing out of the constitution");
    assert_eq!(case.moderate(1, 2, 1, Verdict::Meta), Ok(()));
    assert!(case.state(2).is_meta && case.state(2).is_asked);
    let proposal = AnyProposal::Open(Proposal { poll: case.id(), text: "I live in the old town.".into() });
    let annotation = Annotation { meta: true, ..Annotation::default() };
    assert_eq!(case.say(3, Entry::ProposeWith(Box::new(AnnotatedProposal { proposal, annotation }))), Ok(()));
    assert!(case.state(4).is_meta);

    assert_eq!(case.moderate(0, 4, 1, Verdict::Accept), Ok(()));
    assert!(case.state(4).is_meta);
    assert_eq!(case.moderate(1, 4, 1, Verdict::Accept), Ok(()));
    assert!(!case.state(4).is_meta);

    assert_eq!(case.say(0, case.plan(&[2, 4])), Ok(()));
    assert_eq!(case.moderate(1, 2, 2, Verdict::TakeBack), Ok(()));
    let round = case.town.ledger.polls()[&case.id()].rounds[0];
    assert_eq!(case.town.ledger.meta_items(round), [true, false], "as it was when the round was planned");
}

#[test]
fn an_item_about_the_voter_is_counted_and_shapes_neither_map_nor_constitution() {
    const ABOUT_VOTERS: [usize; 2] = [3, 11];
    let mut play = Scenario { people: 44, items: 20, ..Scenario::default() }.start();
    for item in ABOUT_VOTERS {
        let Entry::Propose(proposal) = play.poll.proposals[item].clone() else { unreachable!("a proposal") };
        let annotation = Annotation { meta: true, ..Annotation::default() };
        let proposal = AnyProposal::Open(proposal);
        play.poll.proposals[item] = Entry::ProposeWith(Box::new(AnnotatedProposal { proposal, annotation }));
    }
    // Everybody agrees with them: they would be the first principles.
    play.votes.iter_mut().for_each(|votes| ABOUT_VOTERS.into_iter().for_each(|item| votes[item] = Vote::Agree));
    assert!(play.open());

    let result = play.vote_and_finish().expect("a result");

    let report = play.report(&result);
    let ledger = play.network.peer(0).ledger();
    let totals = report.totals().expect("totals");
    assert!(ABOUT_VOTERS.iter().all(|item| totals.items[*item].agree == 44), "they are counted");
    let map = report.map().expect("a map");
    assert!(map.map.axes.iter().all(|axis| ABOUT_VOTERS.iter().all(|item| axis.loadings[*item] == 0)));
    assert!(map.map.axes.iter().all(|axis| axis.loadings.iter().any(|loading| *loading != 0)));
    let constitution = report.constitution(ledger).expect("of a statement poll");
    assert!(!constitution.principles.is_empty());
    assert!(constitution.principles.iter().all(|principle| !ABOUT_VOTERS.contains(&(principle.item as usize))));
    let findings = report.findings(&ledger.meta_items(play.poll.round)).expect("findings");
    assert!(ABOUT_VOTERS.iter().all(|item| !findings.ranking.contains(item)));
    audit::verify(&mut play.bundle(0).as_slice(), &mut |_| {}).expect("verifiers come to the same");
    play.assert_restores();
    play.assert_nothing_replays();
}
