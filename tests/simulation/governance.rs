//! Amendments: the committee grows, loses a member and takes another in, rules change; rounds that are open meanwhile keep
//! what they began with.

use chorus_crypto::{
    ballot::Vote,
    codec::{Decode as _, Encode as _},
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    adapter::manifest::AdapterManifest,
    audit::{self, Bundle, VerifyError},
    charter::{Amendment, Charter, ClassWeights, Consent, Draft, NotCarried},
    config::{Attribute, Policy},
    deliberation::{consensus::Bar, constitution::Constitution, tally::Tally},
    fault::Fault,
    id::RoundId,
    ledger::{Ledger, MAX_HEIGHTS_AHEAD, MAX_STATEMENTS, RoundState},
    limits::MAX_SERIES,
    log::{
        batch::{Batch, Height},
        consensus::{Decision, Statement as _, Vote as Precommit},
        entry::{ClassPlan, ClassSource, ClockReading, Entry, PollKind, RoundResult, SignedEntry},
    },
    message::{ConsensusBytes, LogPart, Message, Tip},
    peer::{Command, Effect, Notice},
    time::Timestamp,
};
use chorus_tests::{
    adapters::manifest,
    bundle::Corrupt,
    restored::restored,
    scenario::{Play, Scenario},
};

const PEOPLE: usize = 12;

/// Heights between a statement and its effect: a few batches.
const AHEAD: u64 = 8;

fn scenario(operators: usize, candidates: usize) -> Scenario {
    Scenario {
        seed: 41,
        operators,
        candidates,
        people: PEOPLE,
        items: 3,
        kind: PollKind::Value,
        duration_millis: 20_000,
        policy: Policy { min_contributions: 10, floor: 5, ..Policy::default() },
        ..Scenario::default()
    }
}

pub(crate) fn start(operators: usize, candidates: usize) -> Play {
    let mut play = scenario(operators, candidates).start();
    assert!(play.register(), "{:?}", play.network.notices);
    play
}

fn ledger(play: &Play) -> &Ledger {
    play.network.peer(play.someone()).ledger()
}

pub(crate) fn open(play: &mut Play, question: &str, kind: PollKind) {
    play.poll = play.community.poll_by_class(question, (kind, 3, 20_000), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000), "{question}: {:?}", play.network.notices);
}

fn cast(play: &mut Play, people: std::ops::Range<usize>) {
    for person in people {
        let votes = play.votes[person].clone();
        play.vote(person, 0, &votes);
    }
}

/// Asserts that the totals are those of everybody's votes.
fn assert_everybody_counted(play: &Play, result: &RoundResult) {
    let mut expected = vec![Tally::default(); 3];
    for votes in &play.votes {
        for (vote, tally) in votes.iter().zip(&mut expected) {
            match vote {
                Vote::Agree => tally.agree += 1,
                Vote::Disagree => tally.disagree += 1,
                Vote::Pass => tally.pass += 1,
                Vote::Unseen => {}
            }
        }
    }
    assert_eq!(play.report(result).totals().expect("totals").items, expected);
}

/// A whole round; returns its result.
fn round(play: &mut Play, question: &str) -> RoundResult {
    open(play, question, PollKind::Value);
    cast(play, 0..PEOPLE);
    let result = play.finish().unwrap_or_else(|| panic!("{question} has a result: {:?}", play.network.notices));
    assert_everybody_counted(play, &result);
    result
}

/// The next draft.
fn draft(play: &Play, change: impl FnOnce(&mut Charter)) -> Draft {
    let ledger = ledger(play);
    let mut charter = ledger.charter().as_ref().clone();
    change(&mut charter);
    charter.operators.sort_unstable();
    Draft { number: u32::try_from(ledger.amendments().len() + 1).expect("few"), charter }
}

/// Lets `agreeing` people vote for a draft and the others against it; returns the round.
fn ask(play: &mut Play, draft: &Draft, agreeing: usize) -> RoundId {
    let text = draft.item_text(ledger(play).charter());
    let question = format!("Shall the rules change? ({})", draft.id());
    play.poll = play.community.poll_of(&question, (PollKind::Amendment, vec![text], 20_000), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000), "{:?}", play.network.notices);
    for person in 0..PEOPLE {
        play.vote(person, 0, &[if person < agreeing { Vote::Agree } else { Vote::Disagree }]);
    }
    play.finish().unwrap_or_else(|| panic!("the vote has a result: {:?}", play.network.notices));
    play.poll.round
}

fn amendment(play: &Play, draft: &Draft, round: RoundId) -> Amendment {
    Amendment { draft: draft.clone(), round, effective: Height(ledger(play).height().0 + AHEAD) }
}

fn stated(amendment: &Amendment, number: u8) -> Entry {
    Entry::Amend(Box::new(Consent { amendment: amendment.clone(), number }))
}

fn consent(play: &mut Play, hosts: &[usize], amendment: &Amendment) {
    for host in hosts {
        play.network.command(*host, Command::Post(stated(amendment, 1)));
    }
}

/// Waits until every node that is up goes by the charter of the draft.
fn in_force(play: &mut Play, draft: &Draft) -> bool {
    play.network.run_until(120_000, |network| {
        (0..network.len())
            .filter(|host| network.is_up(*host))
            .all(|host| network.peer(host).ledger().charter().as_ref() == &draft.charter)
    })
}

/// A draft that everybody votes for, consented to by `hosts`, in force.
pub(crate) fn amend(play: &mut Play, hosts: &[usize], change: impl FnOnce(&mut Charter)) -> Amendment {
    let draft = draft(play, change);
    let round = ask(play, &draft, PEOPLE);
    let amendment = amendment(play, &draft, round);
    consent(play, hosts, &amendment);
    assert!(in_force(play, &draft), "{:?}", play.network.notices);
    amendment
}

fn assert_sound(play: &Play) {
    let wrong = |(_, notice): &&(usize, Notice)| {
        matches!(
            notice,
            Notice::Halted(_) | Notice::Contradiction { .. } | Notice::NotCarried { .. } | Notice::NotStated { .. }
        )
    };
    assert_eq!(play.network.notices.iter().find(wrong), None);
    let tips = (0..play.network.len())
        .filter(|host| play.network.is_up(*host))
        .map(|host| play.network.decisions(host).iter().map(|decision| decision.batch.id()).collect::<Vec<_>>());
    let tips: Vec<_> = tips.collect();
    for pair in tips.windows(2) {
        assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| a == b), "two logs");
    }
}

fn verify(play: &Play) -> audit::Report {
    let _ = play.assert_restores();
    play.assert_nothing_replays();
    audit::verify(&mut play.bundle(0).as_slice(), &mut |_| {}).expect("the bundle holds")
}

/// The growing community's life; with `grows` false nobody consents, and only rounds that began before are comparable.
fn life(grows: bool) -> (Play, Vec<Vec<u8>>) {
    let mut play = start(4, 3);
    let mut across = Vec::new();
    let candidates: Vec<PublicKey> = play.community.candidates.iter().map(SecretKey::public).collect();
    round(&mut play, "Before?");
    for (number, (joining, consenting)) in
        [(&candidates[..1], [0, 1, 2, 4].as_slice()), (&candidates[1..], [0, 2, 3, 4].as_slice())]
            .into_iter()
            .enumerate()
    {
        let draft = draft(&play, |charter| charter.operators.extend(joining));
        let vote = ask(&mut play, &draft, 8);
        open(&mut play, &format!("Across {number}?"), PollKind::Value);
        cast(&mut play, 0..PEOPLE / 2);
        if grows {
            let amendment = amendment(&play, &draft, vote);
            let quorum = ledger(&play).charter().quorum();
            consent(&mut play, &consenting[..quorum], &amendment);
            assert!(in_force(&mut play, &draft), "{:?}", play.network.notices);
            assert!(ledger(&play).height().0 + 1 >= amendment.effective.0);
        }
        assert_eq!(play.round().expect("a round").state(), RoundState::Open, "the change comes while votes are taken");
        cast(&mut play, PEOPLE / 2..PEOPLE);
        let result = play.finish().expect("a result");
        assert_everybody_counted(&play, &result);
        across.push(play.body(&result.result));
        if !grows {
            break;
        }
        let record = play.round().expect("a round");
        assert_eq!(record.charter.operators.len() + joining.len(), draft.charter.operators.len());
        let after = round(&mut play, &format!("After {number}?"));
        let record = play.round().expect("a round");
        assert_eq!(record.charter.as_ref(), &draft.charter);
        assert_eq!(record.results.len(), draft.charter.operators.len(), "everybody took part in {after:?}");
    }
    (play, across)
}

#[test]
fn a_committee_of_four_becomes_one_of_five_and_of_seven_with_rounds_before_across_and_after() {
    let (play, across) = life(true);
    let (_, reference) = life(false);

    assert_sound(&play);
    assert_eq!(across[0], reference[0], "a round that is open during the change ends as it would have without");
    assert_eq!(ledger(&play).charter().operators.len(), 7);
    let report = verify(&play);
    assert_eq!(report.amendments.iter().map(|adopted| adopted.number).collect::<Vec<_>>(), [1, 2]);
    assert!(report.amendments.iter().all(|adopted| adopted.adopted < adopted.effective));
}

#[test]
fn a_lost_operator_is_replaced_while_a_round_is_open() {
    let mut play = start(4, 1);
    let lost = play.community.operators[3].public();
    let joining = play.community.candidates[0].public();
    open(&mut play, "Lost?", PollKind::Value);
    let (first, round_of_first) = (play.poll.clone(), play.poll.round);
    cast(&mut play, 0..PEOPLE / 2);
    play.network.kill(3);

    let draft = draft(&play, |charter| {
        charter.operators.retain(|key| *key != lost);
        charter.operators.push(joining);
    });
    // The vote is asked for while the first round is open, by the three that are left.
    let vote = {
        let duration = 5_000;
        let text = draft.item_text(ledger(&play).charter());
        play.poll = play.community.poll_of("Shall it be replaced?", (PollKind::Amendment, vec![text], duration), None);
        play.ask();
        assert!(play.wait(RoundState::Open, 60_000));
        (0..PEOPLE).for_each(|person| play.vote(person, 0, &[Vote::Agree]));
        play.finish().expect("the vote has a result");
        play.poll.round
    };
    assert_eq!(ledger(&play).rounds()[&round_of_first].state(), RoundState::Open);
    let amendment = amendment(&play, &draft, vote);
    consent(&mut play, &[0, 1, 2], &amendment);
    assert!(in_force(&mut play, &draft), "{:?}", play.network.notices);

    play.poll = first;
    cast(&mut play, PEOPLE / 2..PEOPLE);
    let result = play.finish().expect("the lost one is one of the round's f");
    assert_everybody_counted(&play, &result);
    let after = round(&mut play, "After?");
    let record = play.round().expect("a round");
    assert_eq!(record.charter.operators, draft.charter.operators);
    assert_eq!(record.results.len(), 4, "the new one took part in {after:?}");
    assert_sound(&play);
    verify(&play);
    what_those_before_left_takes_room(&play);
}

/// Checks that a state can be put back though operators who left had filled their shares: whoever joins has what is left.
fn what_those_before_left_takes_room(play: &Play) {
    let community = &play.community;
    let begin = |ledger: &mut Ledger, operator: &SecretKey, number: usize| {
        let series = AdapterManifest { name: format!("series {number}"), ..manifest() };
        ledger.apply(&SignedEntry::sign(operator, community.id(), Entry::Series(series)))
    };
    let mut ledger = Ledger::new(community.genesis.clone());
    for number in 0..MAX_SERIES {
        begin(&mut ledger, &community.operators[number % 4], number).expect("a quarter each");
    }
    for (height, decision) in (1..).map(Height).zip(play.network.decisions(0)) {
        for bytes in decision.batch.entries() {
            let _ = ledger.apply_verified(&SignedEntry::from_bytes(bytes).expect("an entry"));
        }
        ledger.complete(height);
    }
    let joined = &community.candidates[0];
    assert!(ledger.charter().operators.contains(&joined.public()));

    let refused = begin(&mut ledger, joined, MAX_SERIES);

    assert_eq!(refused, Err(Fault::Bound { what: "series", bound: 256, found: 257 }));
    let _ = restored(&ledger);
}

#[test]
fn an_open_round_keeps_the_bar_with_which_it_began_and_the_next_has_the_new_one() {
    let mut play = start(4, 0);
    open(&mut play, "By the old bar?", PollKind::Statement);
    let first = play.poll.clone();
    cast(&mut play, 0..PEOPLE / 2);
    let draft = draft(&play, |charter| {
        charter.policy.bar_numerator = 9;
        charter.policy.anonymous_proposals = 1;
    });
    let text = draft.item_text(ledger(&play).charter());
    play.poll = play.community.poll_of("A higher bar?", (PollKind::Amendment, vec![text], 5_000), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000));
    (0..PEOPLE).for_each(|person| play.vote(person, 0, &[Vote::Agree]));
    play.finish().expect("the vote has a result");
    let amendment = amendment(&play, &draft, play.poll.round);
    consent(&mut play, &[3, 1, 2], &amendment);
    assert!(in_force(&mut play, &draft), "{:?}", play.network.notices);

    play.poll = first;
    assert_eq!(play.round().expect("a round").state(), RoundState::Open);
    cast(&mut play, PEOPLE / 2..PEOPLE);
    let old = play.finish().and_then(|result| result.follows).expect("a constitution");
    open(&mut play, "By the new bar?", PollKind::Statement);
    cast(&mut play, 0..PEOPLE);
    let new = play.finish().and_then(|result| result.follows).expect("a constitution");

    let criteria = |id| Constitution::from_bytes(&play.body(&id)).expect("a constitution").criteria;
    let of = |policy: &Policy| Bar::new(policy.bar_numerator, policy.bar_denominator);
    assert_eq!(Some(criteria(old).bar), of(&play.community.genesis.policy));
    assert_eq!(Some(criteria(new).bar), of(&draft.charter.policy));
    assert_sound(&play);
    verify(&play);
}

/// What an operator says of an amendment, tried on a copy of the log's state.
struct Words<'a> {
    play: &'a Play,
    ledger: Ledger,
}

impl Words<'_> {
    fn say(&mut self, host: usize, amendment: &Amendment) -> Result<(), Fault> {
        let key = self.key(host).public();
        let number = self.ledger.consents_of(&key, amendment.round) + 1;
        self.say_as(host, amendment, number)
    }

    fn key(&self, host: usize) -> SecretKey {
        let community = &self.play.community;
        [community.operators.as_slice(), community.candidates.as_slice()].concat()[host].clone()
    }

    fn say_as(&mut self, host: usize, amendment: &Amendment, number: u8) -> Result<(), Fault> {
        let entry = stated(amendment, number);
        self.ledger.apply(&SignedEntry::sign(&self.key(host), self.play.community.id(), entry))
    }
}

#[test]
fn an_amendment_needs_its_number_its_vote_its_height_and_its_operators() {
    let mut play = start(4, 1);
    let joining = play.community.candidates[0].public();
    let good = draft(&play, |charter| charter.operators.push(joining));
    let vote = ask(&mut play, &good, PEOPLE);
    let other = round(&mut play, "Another?").round;
    let good = amendment(&play, &good, vote);
    let words = || Words { play: &play, ledger: ledger(&play).clone() };
    let refused = |change: &dyn Fn(&mut Amendment)| {
        let mut amendment = good.clone();
        change(&mut amendment);
        words().say(0, &amendment).err()
    };
    let height = ledger(&play).height();

    assert_eq!(refused(&|_| {}), None);
    assert!(matches!(refused(&|it| it.effective = height.next()), Some(Fault::Stale { .. })));
    assert_eq!(refused(&|it| it.effective = height.next().next()), None);
    assert!(matches!(refused(&|it| it.effective.0 += MAX_HEIGHTS_AHEAD), Some(Fault::Bound { .. })));
    assert!(matches!(refused(&|it| it.draft.number = 2), Some(Fault::Mismatch("the number of an amendment"))));
    assert!(matches!(refused(&|it| it.draft.number = 0), Some(Fault::Mismatch(_))));
    let vote_on_another = Some(Fault::Mismatch("the vote on an amendment"));
    assert_eq!(refused(&|it| it.draft.charter.policy.min_seen += 1), vote_on_another, "another draft's vote");
    assert_eq!(refused(&|it| it.round = other), vote_on_another, "a round that asked something else");
    assert_eq!(refused(&|it| it.round = RoundId::default()), Some(Fault::Unknown("round")));
    assert!(matches!(refused(&|it| it.draft.charter.operators.truncate(3)), Some(Fault::Charter(_))));
    assert!(matches!(
        refused(&|it| it.draft.charter = play.community.genesis.charter()),
        Some(Fault::Mismatch("an amendment that changes nothing"))
    ));
    assert!(matches!(words().say(4, &good), Err(Fault::NotAllowed(_))), "whoever is to join has no word yet");

    let mut two = words();
    assert_eq!((two.say(0, &good), two.say(1, &good)), (Ok(()), Ok(())));
    assert!(matches!(two.say(1, &good), Err(Fault::Duplicate(_))), "nobody counts twice");
    assert!(two.ledger.amendments().is_empty(), "two of four are too few");
    let later = Amendment { effective: good.effective.next(), ..good.clone() };
    assert_eq!(two.say(2, &later), Ok(()), "another height is another amendment");
    assert!(two.ledger.amendments().is_empty());
    assert_eq!(two.say(2, &good), Ok(()), "an operator may change its word");
    assert_eq!(two.ledger.amendments().len(), 1);
    assert!(matches!(two.say(3, &good), Err(Fault::Duplicate(_))), "it is adopted");
    assert_eq!(two.ledger.charter().operators.len(), 4, "but not in force");
    for height in height.0 + 1..good.effective.0 - 1 {
        two.ledger.complete(Height(height));
        assert_eq!(two.ledger.charter().operators.len(), 4, "at {height}");
    }
    two.ledger.complete(Height(good.effective.0 - 1));
    assert_eq!(two.ledger.charter().as_ref(), &good.draft.charter, "the next height is the one that was stated");
    assert!(matches!(two.say(0, &good), Err(Fault::Duplicate(_))), "and no vote is used twice");
}

#[test]
fn an_operator_says_no_more_than_so_many_heights_for_one_vote() {
    let mut play = start(4, 1);
    let joining = play.community.candidates[0].public();
    let draft = draft(&play, |charter| charter.operators.push(joining));
    let vote = ask(&mut play, &draft, PEOPLE);
    let first = amendment(&play, &draft, vote);
    let at = |later: u64| Amendment { effective: Height(first.effective.0 + later), ..first.clone() };
    let mut words = Words { play: &play, ledger: ledger(&play).clone() };

    for later in 0..MAX_STATEMENTS as u64 {
        assert_eq!(words.say(0, &at(later)), Ok(()));
    }

    let last = words.ledger.stated_amendments().clone();
    let old = Err(Fault::Duplicate("word on an amendment"));
    for later in 0..MAX_STATEMENTS as u64 {
        assert_eq!(words.say_as(0, &at(later), later as u8 + 1), old, "nobody says an older word again in its name");
    }
    assert_eq!(words.say_as(0, &at(100), 0), old);
    assert_eq!(words.say_as(1, &at(100), 2), Err(Fault::Phase("word on an amendment")), "one is left out");
    assert_eq!(*words.ledger.stated_amendments(), last);
    assert!(matches!(words.say(0, &at(100)), Err(Fault::Bound { .. })), "the log is no place to count");
    assert_eq!((words.say(1, &at(100)), words.say(2, &at(100)), words.say(3, &at(100))), (Ok(()), Ok(()), Ok(())));
    assert_eq!(words.ledger.amendments().len(), 1, "it keeps the others from nothing");
}

#[test]
fn an_operator_that_is_behind_does_not_hold_against_newer_ones_what_they_may_do_by_now() {
    let mut play = start(4, 1);
    (0..play.network.len()).filter(|host| *host != 3).for_each(|host| play.network.cut(3, host, true));
    let community = play.community.id();
    let clock = Entry::Clock(ClockReading { time: play.network.now().plus_millis(1) });
    let said = SignedEntry::sign(&play.community.candidates[0], community, clock);
    let height = ledger(&play).height();
    let deliver =
        |play: &mut Play, message: Message, from: usize| play.network.deliver(3, from, message.seal(community));
    let of_candidate = |play: &Play| {
        let of_host = play.network.notices.iter().filter(|(host, _)| *host == 3);
        of_host.filter(|(_, notice)| matches!(notice, Notice::Ahead { .. } | Notice::Refused { .. })).cloned().collect()
    };

    deliver(&mut play, Message::Entry(said.clone()), 4);
    let here: Vec<(usize, Notice)> = of_candidate(&play);
    assert!(matches!(here[..], [(3, Notice::Refused { fault: Fault::NotAllowed(_), .. })]), "{here:?}");
    deliver(&mut play, Message::Tip(Tip { height: Height(height.0 + 9) }), 0);
    deliver(&mut play, Message::Entry(said), 4);
    let here: Vec<(usize, Notice)> = of_candidate(&play);

    assert!(matches!(here[..], [_, (3, Notice::Ahead { fault: Fault::NotAllowed(_), .. })]), "{here:?}");
}

#[test]
fn a_vote_that_was_lost_changes_nothing_and_operators_who_say_otherwise_are_found_out() {
    let mut play = start(4, 1);
    let joining = play.community.candidates[0].public();
    let draft = draft(&play, |charter| charter.operators.push(joining));
    let vote = ask(&mut play, &draft, 7);
    let amendment = amendment(&play, &draft, vote);

    consent(&mut play, &[0, 1, 2, 3], &amendment);
    play.network.run_until(10_000, |_| false);

    let told =
        |(host, notice): &(usize, Notice)| (matches!(notice, Notice::NotStated { number: 1, .. })).then_some(*host);
    let told: Vec<usize> = play.network.notices.iter().filter_map(told).collect();
    assert_eq!(told, [0, 1, 2, 3], "no honest node says it");
    assert!(ledger(&play).stated_amendments().is_empty());

    // Operators who all lie pass their own nodes by.
    let amendment = Amendment { effective: Height(ledger(&play).height().0 + AHEAD), ..amendment };
    for host in 0..3 {
        let entry = stated(&amendment, 1);
        let signed = SignedEntry::sign(&play.community.operators[host], play.community.id(), entry);
        play.network.command(host, Command::Relay(signed));
    }
    assert!(in_force(&mut play, &draft), "{:?}", play.network.notices);
    let lost = NotCarried::Lost { agree: 7, disagree: 5 };
    let knows = |host| play.network.notices.contains(&(host, Notice::NotCarried { number: 1, why: lost }));
    assert!((0..play.network.len()).all(knows), "every node tells its people: {:?}", play.network.notices);
    let verdict = audit::verify(&mut play.bundle(0).as_slice(), &mut |_| {});
    let error = verdict.expect_err("the vote did not carry");
    assert!(matches!(error, VerifyError::Amendment { number: 1, why, .. } if why == lost), "{error}");
    assert_eq!(error.exit_code(), 25);
}

#[test]
fn an_operator_that_has_left_and_goes_on_signing_is_passed_over() {
    let mut play = start(4, 1);
    let (leaving, joining) = (play.community.operators[1].clone(), play.community.candidates[0].public());
    let amendment = amend(&mut play, &[0, 1, 2], |charter| {
        charter.operators.retain(|key| *key != leaving.public());
        charter.operators.push(joining);
    });
    assert_eq!(play.network.peer(1).operator(), None);
    let community = play.community.id();
    play.network.run_until(5_000, |_| false);

    // Its entries.
    let mut after = ledger(&play).clone();
    let clock = Entry::Clock(ClockReading { time: Timestamp::from_millis(u64::MAX / 2) });
    assert!(matches!(after.apply(&SignedEntry::sign(&leaving, community, clock)), Err(Fault::NotAllowed(_))));
    // Its votes.
    let next = ledger(&play).height().next();
    let vote = Precommit::precommit(next, 0, [1; 32].into(), leaving.public());
    let mut bytes = vec![0];
    vote.encode(&mut bytes);
    leaving.sign(Precommit::DOMAIN, &vote.preimage(community)).encode(&mut bytes);
    play.network.deliver(0, 1, Message::Consensus(ConsensusBytes { bytes }).seal(community));
    // A certificate of the old committee, with it among the signers.
    let bundle = Bundle::from_bytes(&play.bundle(1)).expect("a bundle");
    let corrupt = Corrupt::new(&play.community, &bundle);
    let entry = SignedEntry::sign(
        &play.community.operators[2],
        community,
        Entry::Clock(ClockReading { time: play.network.now().plus_millis(5) }),
    );
    let tip = bundle.decisions.last().expect("a log").batch.id();
    let batch = Batch::new(next, tip, vec![entry.to_bytes()]).expect("a batch");
    let forged: Decision = corrupt.certify_by(&play.community.genesis.charter().committee(), batch);
    let mut longer = bundle.clone();
    longer.decisions.push(forged.clone());
    let refused = audit::verify(&mut longer.to_bytes().as_slice(), &mut |_| {});
    assert!(matches!(refused, Err(VerifyError::Certificate { height, .. }) if height == next), "{refused:?}");
    let follower = play.network.len() - 1;
    let part = Message::Log(LogPart { decisions: vec![forged] });
    play.network.deliver(follower, 0, part.seal(community));
    let is_refusal = |(host, notice): &(usize, Notice)| {
        *host == follower && matches!(notice, Notice::Refused { fault: Fault::Mismatch("a certificate"), .. })
    };
    assert!(play.network.notices.iter().any(is_refusal));

    let record = round(&mut play, "Without it?");
    let record = &ledger(&play).rounds()[&record.round];
    assert_eq!(record.charter.as_ref(), &amendment.draft.charter);
    assert_sound(&play);
}

#[test]
fn operators_that_crash_around_the_height_of_the_change_come_back_on_the_right_side_of_it() {
    // Before the batch that the change follows is stored, after it, and one later: the old, the new, and both.
    for (host, offset) in [(0, 0), (1, 1), (4, 1), (4, 2), (2, 2)] {
        let mut play = start(4, 1);
        let joining = play.community.candidates[0].public();
        let draft = draft(&play, |charter| charter.operators.push(joining));
        let vote = ask(&mut play, &draft, PEOPLE);
        let amendment = amendment(&play, &draft, vote);
        let at = Height(amendment.effective.0 + offset - 2).next();
        let crash = move |effect: &Effect| matches!(effect, Effect::Commit(it) if it.batch.height() == at);
        play.network.crash_at(host, Box::new(crash));

        consent(&mut play, &[0, 1, 2], &amendment);
        let is_down = play.network.run_until(120_000, |network| !network.is_up(host));
        if is_down {
            play.network.run_until(3_000, |_| false);
            play.network.start(host);
        }

        assert!(in_force(&mut play, &draft), "{host} at {at}: {:?}", play.network.notices);
        round(&mut play, "After?");
        let record = play.round().expect("a round");
        assert_eq!(record.charter.operators.len(), 5);
        assert!(is_down || offset > 1, "{host} was to die at {at}");
        assert_sound(&play);
    }
}

#[test]
fn whoever_was_away_during_the_changes_follows_the_log_across_them() {
    let mut play = Scenario { followers: 6, ..scenario(4, 1) }.start();
    assert!(play.register());
    let follower = play.network.len() - 1;
    play.network.kill(follower);
    let joining = play.community.candidates[0].public();
    let leaving = play.community.operators[3].public();
    let first = amend_by_others(&mut play, follower, &[0, 1, 2], |charter| charter.operators.push(joining));
    let second = amend_by_others(&mut play, follower, &[0, 1, 2, 4], |charter| {
        charter.operators.retain(|key| *key != leaving);
    });

    play.network.start(follower);

    assert!(in_force(&mut play, &second.draft), "{:?}", play.network.notices);
    let adopted = play.network.peer(follower).ledger().amendments();
    assert_eq!(adopted.iter().map(|it| it.draft).collect::<Vec<_>>(), [first.draft.id(), second.draft.id()]);
    assert_sound(&play);
    // A restart replays the log, and comes to the same committee.
    let height = play.network.peer(1).height();
    play.network.kill(1);
    play.network.start(1);
    assert_eq!(play.network.peer(1).height(), height);
    round(&mut play, "All together?");
    verify(&play);
}

/// As [`amend`], with everybody voting at hosts that are up.
fn amend_by_others(play: &mut Play, away: usize, hosts: &[usize], change: impl FnOnce(&mut Charter)) -> Amendment {
    let draft = draft(play, change);
    let text = draft.item_text(ledger(play).charter());
    let question = format!("Shall the rules change? ({})", draft.id());
    play.poll = play.community.poll_of(&question, (PollKind::Amendment, vec![text], 20_000), None);
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000), "{:?}", play.network.notices);
    for person in 0..PEOPLE {
        if play.host_of(person) != away {
            play.vote(person, 0, &[Vote::Agree]);
        }
    }
    play.finish().expect("the vote has a result");
    let amendment = amendment(play, &draft, play.poll.round);
    consent(play, hosts, &amendment);
    assert!(in_force(play, &draft), "{:?}", play.network.notices);
    amendment
}

#[test]
fn weights_that_the_charter_fixes_bind_every_plan() {
    let attributes = vec![Attribute::new("region", &["north", "south"])];
    let policy = Policy { attributes, ..scenario(4, 0).policy };
    let mut play = Scenario { policy, ..scenario(4, 0) }.start();
    assert!(play.register());
    let by_region = |weights: &[u32]| ClassPlan { source: ClassSource::Attribute(0), weights: weights.to_vec() };
    let plan = |play: &Play, question: &str, weights: &[u32]| {
        let kind = (PollKind::Value, 3, 20_000);
        let poll = play.community.poll_by_class(question, kind, Some(by_region(weights)));
        let mut ledger = ledger(play).clone();
        let say = |ledger: &mut Ledger, entry: &Entry| {
            ledger.apply(&SignedEntry::sign(&play.community.operators[0], play.community.id(), entry.clone()))
        };
        say(&mut ledger, &poll.opening).expect("a poll");
        poll.proposals.iter().for_each(|proposal| say(&mut ledger, proposal).expect("an item"));
        say(&mut ledger, &poll.plan)
    };
    assert_eq!(plan(&play, "Any?", &[1, 5, 7]), Ok(()));

    amend(&mut play, &[0, 1, 3], |charter| charter.weights = vec![ClassWeights { slot: 0, weights: vec![1, 1, 2] }]);

    assert_eq!(plan(&play, "Others?", &[1, 5, 7]), Err(Fault::Mismatch("the weights that the charter fixes")));
    assert_eq!(plan(&play, "These?", &[1, 1, 2]), Ok(()));
}
