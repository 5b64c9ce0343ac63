//! Amendments: the committee grows, loses a member and takes another in, rules change; rounds that are open meanwhile keep
//! what they began with.

use std::sync::Arc;

use chorus_crypto::{
    ballot::Vote,
    codec::{Decode as _, Encode as _},
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    audit::{self, Bundle, VerifyError},
    charter::{Amendment, Charter, ClassWeights, Draft, NotCarried},
    config::{Attribute, Policy},
    deliberation::{constitution::Constitution, tally::Tally},
    fault::Fault,
    id::RoundId,
    ledger::{Ledger, MAX_HEIGHTS_AHEAD, RoundState},
    log::{
        batch::{Batch, Height},
        consensus::{Decision, Statement as _, Vote as Precommit},
        entry::{ClassPlan, ClassSource, ClockReading, Entry, PollKind, RoundClosing, RoundResult, SignedEntry},
    },
    message::{ConsensusBytes, LogPart, Message},
    peer::{Command, Effect, Notice},
    time::Timestamp,
};
use chorus_tests::{
    bundle::Corrupt,
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

fn start(operators: usize, candidates: usize) -> Play {
    let mut play = scenario(operators, candidates).start();
    assert!(play.register(), "{:?}", play.network.notices);
    play
}

fn ledger(play: &Play) -> &Ledger {
    play.network.peer(play.someone()).ledger()
}

fn open(play: &mut Play, question: &str, kind: PollKind) {
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

fn consent(play: &mut Play, hosts: &[usize], amendment: &Amendment) {
    for host in hosts {
        play.network.command(*host, Command::Post(Entry::Amend(Box::new(amendment.clone()))));
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
fn amend(play: &mut Play, hosts: &[usize], change: impl FnOnce(&mut Charter)) -> Amendment {
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
