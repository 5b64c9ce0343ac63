//! One operator at fault, in every way and at every moment: the round ends, and ends the same.

use std::{cell::Cell, rc::Rc, sync::LazyLock};

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    config::Policy,
    journal::Record,
    ledger::{RoundRecord, RoundState},
    log::{
        consensus::Evidence,
        entry::{Entry, PassId, RoundResult, SignedEntry, Step},
    },
    message::Message,
    peer::{Effect, Notice},
    round::report::RoundReport,
};
use chorus_tests::{
    malice::{Liar, Lie},
    scenario::{Play, Scenario},
};

/// The smallest round with a map: what happens to its operators is the only thing that differs between tests.
pub(crate) fn small(operators: usize) -> Scenario {
    Scenario {
        seed: 7,
        operators,
        people: 24,
        items: 16,
        policy: Policy { min_contributions: 10, floor: 5, group_floor: 20, ..Policy::default() },
        ..Scenario::default()
    }
}

/// Scalars of a share of that round: 2 columns of 16 items.
pub(crate) const SHARE_LEN: usize = 32;

/// What an undisturbed round of `n` operators ends with.
pub(crate) struct Reference {
    pub(crate) bytes: Vec<u8>,
    pub(crate) report: RoundReport,
}

fn undisturbed(operators: usize) -> Reference {
    let mut play = small(operators).start();
    assert!(play.open(), "{:?}", play.network.notices);
    let result = play.vote_and_finish().expect("a result");
    let reference = Reference { bytes: play.body(&result.result), report: play.report(&result) };
    assert!(reference.report.map().is_some(), "the scenario has a map to lose");
    reference
}

pub(crate) static FIVE: LazyLock<Reference> = LazyLock::new(|| undisturbed(5));
pub(crate) static FOUR: LazyLock<Reference> = LazyLock::new(|| undisturbed(4));

/// Moments of a round, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Moment {
    Planned,
    Open,
    Acknowledged,
    Sealed,
    Totals,
    BetweenHashAndShare,
    Points,
    Partition,
    Groups,
    Result,
}

impl Moment {
    const ALL: [Self; 10] = [
        Self::Planned,
        Self::Open,
        Self::Acknowledged,
        Self::Sealed,
        Self::Totals,
        Self::BetweenHashAndShare,
        Self::Points,
        Self::Partition,
        Self::Groups,
        Self::Result,
    ];

    pub(crate) fn is_reached(self, round: &RoundRecord) -> bool {
        let opened = |step| round.openings.contains_key(&step);
        match self {
            Self::Planned => true,
            Self::Open => round.manifest.is_some(),
            Self::Acknowledged => !round.contributions.is_empty(),
            Self::Sealed => round.sealed.is_some(),
            Self::Totals => opened(Step::Totals),
            Self::BetweenHashAndShare => {
                let pass = round.passes.get(&PassId { pass: 0, attempt: 0 });
                pass.is_some_and(|pass| !pass.hashes.is_empty() && pass.shares.is_empty())
            }
            Self::Points => opened(Step::Points),
            Self::Partition => !round.partitions.is_empty(),
            Self::Groups => opened(Step::Groups),
            Self::Result => !round.results.is_empty(),
        }
    }
}

/// Plays a round to its end; `strike` happens once, at `moment`.
pub(crate) fn play_with(
    scenario: Scenario,
    moment: Moment,
    strike: impl FnOnce(&mut Play),
) -> (Play, Option<RoundResult>) {
    let mut play = scenario.start();
    assert!(play.plan());
    let id = play.poll.round;
    let reached = |play: &mut Play| {
        play.network.run_until(300_000, |network| {
            let mut up = (0..network.len()).filter(|host| network.is_up(*host));
            up.any(|host| network.peer(host).ledger().rounds().get(&id).is_some_and(|round| moment.is_reached(round)))
        })
    };
    let mut strike = Some(strike);
    let early = matches!(moment, Moment::Planned | Moment::Open);
    if early {
        assert!(reached(&mut play), "{moment:?}");
        strike.take().into_iter().for_each(|strike| strike(&mut play));
    }
    assert!(play.wait(RoundState::Open, 60_000), "{moment:?}: the round opens");
    play.vote_all();
    if !early {
        assert!(reached(&mut play), "{moment:?}");
        strike.take().into_iter().for_each(|strike| strike(&mut play));
    }
    let result = play.finish();
    (play, result)
}

/// Asserts that all that are up agree, that nobody halted, and that no honest operator said two things.
pub(crate) fn assert_sound(play: &Play, liars: &[usize], what: &dyn core::fmt::Debug) {
    let halted = |(host, notice): &&(usize, Notice)| {
        matches!(notice, Notice::Halted(_) | Notice::Contradiction { .. }) && !liars.contains(host)
    };
    assert_eq!(play.network.notices.iter().find(halted), None, "{what:?}");
    let operators = play.community.operator_keys();
    let mut contradictions = play.network.tap.contradictions(&operators);
    contradictions.retain(|found| !liars.iter().any(|liar| operators[*liar] == found.signer));
    assert_eq!(contradictions, [], "{what:?}");
}

pub(crate) fn assert_same_result(
    play: &Play,
    result: Option<RoundResult>,
    reference: &Reference,
    what: &dyn core::fmt::Debug,
) {
    let result = result.unwrap_or_else(|| panic!("{what:?}: a result; {:?}", play.round()));
    let accepted = play.round().map_or(0, |round| round.contributions.len());
    assert!(play.body(&result.result) == reference.bytes, "{what:?}: another result, of {accepted} people");
}

pub(crate) fn assert_same_totals(
    play: &Play,
    result: Option<RoundResult>,
    reference: &Reference,
    what: &dyn core::fmt::Debug,
) {
    let result = result.unwrap_or_else(|| panic!("{what:?}: a result; {:?}", play.round()));
    let report = play.report(&result);
    assert_eq!(report.totals(), reference.report.totals(), "{what:?}");
    // A map, if there is one, is the right one.
    assert!(report.map().is_none() || play.body(&result.result) == reference.bytes, "{what:?}: another map");
}

#[test]
fn with_five_operators_one_killed_at_any_moment_changes_nothing() {
    for (index, moment) in Moment::ALL.into_iter().enumerate() {
        let victim = index % 5;

        let (play, result) = play_with(small(5), moment, |play| play.network.kill(victim));

        assert_same_result(&play, result, &FIVE, &moment);
        assert_sound(&play, &[], &moment);
    }
}

#[test]
fn with_four_operators_one_killed_at_any_moment_leaves_the_totals() {
    for (index, moment) in Moment::ALL.into_iter().enumerate() {
        let victim = index % 4;

        let (play, result) = play_with(small(4), moment, |play| play.network.kill(victim));

        assert_same_totals(&play, result, &FOUR, &moment);
        assert_sound(&play, &[], &moment);
    }
}

/// Asserts that an operator finished the round as well, and holds nothing secret of it any more.
fn assert_erased(play: &mut Play, host: usize, what: &dyn core::fmt::Debug) {
    let id = play.poll.round;
    let operator = play.network.peer(host).operator().expect("an operator");
    let erased = play.network.run_until(60_000, |network| {
        network.peer(host).ledger().rounds().get(&id).is_some_and(|round| round.erased.contains(&operator))
    });
    assert!(erased, "{what:?}: the operator states that it erased");
    let (records, private) = play.network.disk(host);
    assert!(private.is_empty(), "{what:?}: private parts are left");
    assert!(!records.iter().any(|record| matches!(record, Record::RoundKey(_))), "{what:?}: a round key is left");
}

#[test]
fn an_operator_killed_and_restarted_at_any_moment_says_the_same_again() {
    for (index, moment) in Moment::ALL.into_iter().enumerate() {
        for operators in [5, 4] {
            let victim = index % operators;

            let (mut play, result) = play_with(small(operators), moment, |play| {
                play.network.kill(victim);
                play.network.run_until(700, |_| false);
                play.network.start(victim);
            });

            let reference = if operators == 5 { &FIVE } else { &FOUR };
            assert_same_result(&play, result, reference, &(moment, operators));
            assert_sound(&play, &[], &(moment, operators));
            assert_erased(&mut play, victim, &(moment, operators));
        }
    }
}

#[test]
fn an_operator_that_comes_back_after_the_result_follows_it_and_erases_its_secrets() {
    for moment in [Moment::Acknowledged, Moment::Sealed, Moment::Points] {
        let (mut play, result) = play_with(small(5), moment, |play| play.network.kill(3));
        assert_same_result(&play, result, &FIVE, &moment);

        play.network.start(3);

        assert_erased(&mut play, 3, &moment);
        assert_sound(&play, &[], &moment);
    }
}

/// Picks the effect before which an operator dies.
type Dies = fn(&Effect) -> bool;

/// Effects before which an operator dies, by name.
fn crash_points() -> Vec<(&'static str, Dies)> {
    fn sends(effect: &Effect, tag: u8) -> bool {
        // Version and community come before the message's tag.
        matches!(effect, Effect::Send { bytes, .. } if bytes.get(33) == Some(&tag))
    }
    vec![
        ("syncing a round key", |effect| matches!(effect, Effect::Persist(Record::RoundKey(_)))),
        ("acknowledging", |effect| sends(effect, 5)),
        ("recording an acknowledgement", |effect| matches!(effect, Effect::Persist(Record::Acknowledged(_)))),
        ("storing a private part", |effect| matches!(effect, Effect::StorePrivate { .. })),
        ("taking a lock", |effect| matches!(effect, Effect::Persist(Record::Locked(_)))),
        ("storing a sum", |effect| matches!(effect, Effect::StoreBlob { .. })),
        ("recording the erasure", |effect| matches!(effect, Effect::Persist(Record::Erased(_)))),
        ("erasing", |effect| matches!(effect, Effect::EraseRound(_))),
    ]
}

#[test]
fn an_operator_that_dies_between_any_two_effects_loses_nothing_it_needs() {
    for (name, dies) in crash_points() {
        let mut play = small(5).start();
        let died = Rc::new(Cell::new(false));
        let seen = died.clone();
        play.network.crash_at(2, Box::new(move |effect| dies(effect) && !seen.replace(true)));
        let restart = |play: &mut Play, done: &dyn Fn(&Play) -> bool| {
            for _ in 0..3_000 {
                play.network.run_until(100, |network| !network.is_up(2));
                if !play.network.is_up(2) {
                    play.network.run_until(300, |_| false);
                    play.network.start(2);
                }
                if done(play) {
                    return;
                }
            }
        };
        assert!(play.plan());
        restart(&mut play, &|play| play.round().is_some_and(|round| round.manifest.is_some()));
        assert!(play.wait(RoundState::Open, 60_000), "{name}");
        play.vote_all();
        restart(&mut play, &|play| {
            let round = play.round();
            round.is_some_and(|round| round.erased.len() == 5) || (died.get() && !play.network.is_up(2))
        });

        let result = play.finish();

        assert!(died.get(), "{name}: it died");
        assert_same_result(&play, result, &FIVE, &name);
        assert_sound(&play, &[], &name);
        assert_erased(&mut play, 2, &name);
    }
}

#[test]
fn an_operator_that_dies_again_and_again_never_says_two_things() {
    for seed in 0..4u64 {
        let mut play = small(5).start();
        assert!(play.open());
        play.vote_all();
        let mut next = seed;
        let mut restarts = 0;
        while play.round().is_none_or(|round| round.state() != RoundState::Finished) && restarts < 40 {
            // A linear congruential generator: when to die, in effects.
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut left = 20 + (next >> 33) % 400;
            let crash = move |_: &Effect| {
                left -= 1;
                left == 0
            };
            play.network.crash_at(1, Box::new(crash));
            play.network.run_until(60_000, |network| !network.is_up(1));
            if !play.network.is_up(1) {
                play.network.run_until(50, |_| false);
                play.network.start(1);
                restarts += 1;
            }
        }

        let result = play.finish();

        assert!(restarts > 3, "{restarts}");
        assert_same_result(&play, result, &FIVE, &seed);
        assert_sound(&play, &[], &seed);
    }
}

/// Plays a round in which one operator lies from the beginning on.
fn play_with_liar(operators: usize, lie: Lie) -> (Play, Option<RoundResult>, usize) {
    let mut play = small(operators).start();
    let host = Lie::ALL.iter().position(|known| *known == lie).expect("a lie") % operators;
    let lie =
        if matches!(lie, Lie::LuresAndWithholds(_)) { Lie::LuresAndWithholds((host + 1) % operators) } else { lie };
    let liar = Liar {
        key: play.community.operators[host].clone(),
        community: play.community.id(),
        round: play.poll.round,
        share_len: SHARE_LEN,
    };
    if matches!(lie, Lie::WithholdsContributions | Lie::LuresAndWithholds(_)) {
        // One honest operator hears of contributions from other operators only.
        (operators..play.network.len()).for_each(|follower| play.network.cut((host + 1) % operators, follower, true));
    }
    play.network.tamper(host, liar.tells(lie));
    assert!(play.open(), "{lie:?}: the round opens; {:?}", play.network.notices);
    let result = play.vote_and_finish();
    (play, result, host)
}

#[test]
fn with_five_operators_one_liar_changes_nothing() {
    for lie in Lie::ALL {
        let (play, result, liar) = play_with_liar(5, lie);

        assert_same_result(&play, result, &FIVE, &lie);
        assert_sound(&play, &[liar], &lie);
    }
}

#[test]
fn with_four_operators_one_liar_leaves_the_totals() {
    for lie in Lie::ALL {
        let (play, result, liar) = play_with_liar(4, lie);

        assert_same_totals(&play, result, &FOUR, &lie);
        assert_sound(&play, &[liar], &lie);
    }
}

#[test]
fn a_lying_share_is_corrected_and_the_liar_named() {
    let (play, _, liar) = play_with_liar(5, Lie::WrongShare);

    let operator = play.network.peer(liar).operator().expect("an operator");
    let passes = play.round().map(|round| round.passes.clone()).unwrap_or_default();
    assert!(passes.values().all(|pass| pass.product.is_some()));
    assert!(passes.values().any(|pass| pass.liars.contains(&operator)), "{passes:?}");
}

#[test]
fn an_operator_that_votes_twice_is_convicted_on_the_log() {
    let (play, _, liar) = play_with_liar(5, Lie::VotesTwice);

    let entries = play.network.decisions((liar + 1) % 5).iter().flat_map(|decision| decision.batch.entries().to_vec());
    let convicted: Vec<_> = entries
        .filter_map(|bytes| match SignedEntry::from_bytes(&bytes).ok()?.entry {
            Entry::Evidence(evidence) => Evidence::from_bytes(&evidence.bytes).ok()?.verify(play.community.id()).ok(),
            _ => None,
        })
        .collect();
    assert!(!convicted.is_empty());
    assert!(convicted.iter().all(|key| *key == play.community.operators[liar].public()));
}

#[test]
fn acknowledgements_that_get_lost_are_given_again() {
    let mut play = small(5).start();
    for host in 0..5 {
        let lost_until = play.network.now().plus_millis(5_000);
        play.network.tamper(
            host,
            Box::new(move |out, message| {
                let lost = matches!(message, Message::Acknowledgement(_)) && out.now < lost_until;
                if lost { Vec::new() } else { vec![(0, message)] }
            }),
        );
    }
    assert!(play.open());

    let result = play.vote_and_finish();

    assert_same_result(&play, result, &FIVE, &"lost acknowledgements");
}

#[test]
fn messages_that_get_lost_cost_time_and_nothing_else() {
    let mut scenario = small(5);
    scenario.links.loss = 50;
    scenario.duration_millis = 60_000;
    let mut play = scenario.start();
    assert!(play.open());

    let result = play.vote_and_finish().expect("a result");

    assert_eq!(play.report(&result).totals(), FIVE.report.totals());
    assert_sound(&play, &[], &"loss");
}

#[test]
fn a_round_of_one_operator_and_a_round_of_seven_end() {
    for operators in [1, 7] {
        let mut scenario = small(operators);
        if operators == 7 {
            scenario.people = 12;
        }
        let mut play = scenario.start();
        assert!(play.open(), "{operators}");

        let result = play.vote_and_finish().expect("a result");

        let report = play.report(&result);
        assert_eq!(report.ballots as usize, play.votes.len());
        assert_eq!(report.map().is_some(), operators == 1);
        assert_sound(&play, &[], &operators);
    }
}

#[test]
fn two_liars_of_seven_leave_the_totals() {
    let mut scenario = small(7);
    scenario.people = 12;
    let mut play = scenario.start();
    for (host, lie) in [(1, Lie::WrongMaskSums), (4, Lie::WrongValues)] {
        let key = play.community.operators[host].clone();
        let liar = Liar { key, community: play.community.id(), round: play.poll.round, share_len: SHARE_LEN };
        play.network.tamper(host, liar.tells(lie));
    }
    assert!(play.open());

    let result = play.vote_and_finish().expect("a result");

    let agreed = |vote| play.votes.iter().filter(|votes| votes[0] == vote).count() as u64;
    let report = play.report(&result);
    let first = &report.totals().expect("totals").items[0];
    assert_eq!(
        [first.agree, first.disagree],
        [agreed(chorus_crypto::ballot::Vote::Agree), agreed(chorus_crypto::ballot::Vote::Disagree)]
    );
    assert_sound(&play, &[1, 4], &"two liars");
}
