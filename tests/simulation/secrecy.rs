//! What an attacker learns who gets everything: every message, the log, all bodies, and what some operators hold.
//!
//! The [`Attacker`] is one program for all questions. It opens every box it has a key for, takes every mask it knows off
//! every masked vector, collects every linear equation about a ballot that is public (opened buckets and points, the
//! folds of the link), and asks which votes follow from them. Of a delta it takes off what masks it can. That it recovers
//! everything with one operator more than tolerated shows that it is no straw man.

use std::{collections::BTreeMap, iter, sync::LazyLock};

use chorus_crypto::{
    Scalar,
    ballot::Vote,
    credential::{CredentialHolder, Holder, ShownLeaf, Statement},
    mask::pack,
    transcript::Item,
};
use chorus_protocol::{
    contribution::{CheckedForm, Content, Format, context, layout},
    deliberation::tally::mu,
    ledger::{Ledger, RoundRecord, RoundState},
    log::entry::Step,
    round::report::RoundReport,
};
use chorus_tests::{
    adapters::{delta, manifest},
    malice::{
        forge,
        loot::{Loot, find},
    },
    scenario::Play,
};

use crate::{adapters, faults::small};

/// One linear equation about the rows of a ballot; row 0 is the mask row of the link.
#[derive(Clone)]
struct Equation {
    coefficients: Vec<Scalar>,
    value: Scalar,
}

impl Equation {
    fn subtract(&mut self, other: &Self, factor: Scalar) {
        for (own, other) in self.coefficients.iter_mut().zip(&other.coefficients) {
            *own -= factor * other;
        }
        self.value -= factor * other.value;
    }
}

/// Equations in echelon form: each with the row that it is solved for.
#[derive(Default)]
struct Solved(Vec<(usize, Equation)>);

impl Solved {
    fn reduce(&self, mut equation: Equation) -> Equation {
        for (pivot, solved) in &self.0 {
            let factor = equation.coefficients[*pivot];
            if factor != Scalar::ZERO {
                equation.subtract(solved, factor);
            }
        }
        equation
    }

    fn add(&mut self, equation: Equation) {
        let mut equation = self.reduce(equation);
        let Some(pivot) = equation.coefficients.iter().position(|entry| *entry != Scalar::ZERO) else { return };
        let inverse = equation.coefficients[pivot].invert();
        equation.coefficients.iter_mut().for_each(|entry| *entry *= inverse);
        equation.value *= inverse;
        self.0.push((pivot, equation));
    }

    /// The value of a row, if it follows.
    fn row(&self, row: usize, rows: usize) -> Option<Scalar> {
        let mut unit = Equation { coefficients: vec![Scalar::ZERO; rows], value: Scalar::ZERO };
        unit.coefficients[row] = Scalar::ONE;
        let rest = self.reduce(unit);
        rest.coefficients.iter().all(|entry| *entry == Scalar::ZERO).then(|| -rest.value)
    }
}

/// What the attacker says about one vote bit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Word {
    /// It follows from what it knows.
    Certain(bool),
    /// A guess: the low bit of what is left when all known masks are off.
    Guess(bool),
}

struct Attacker<'a> {
    ledger: &'a Ledger,
    round: &'a RoundRecord,
    report: &'a RoundReport,
    loot: &'a Loot,
}

impl Attacker<'_> {
    /// What it says about the vote bits of each ballot of the sealed set: agree, disagree, pass of each item.
    fn run(&self) -> Vec<Vec<Word>> {
        let sealed = self.round.sealed.as_ref().expect("the round is sealed");
        (0..sealed.contributions.len()).map(|ballot| self.attack(ballot)).collect()
    }

    fn attack(&self, ballot: usize) -> Vec<Word> {
        let header = &self.round.sealed.as_ref().expect("sealed").contributions[ballot].header;
        let layout = layout(self.round).expect("a layout");
        let rows = 1 + layout.data_rows();
        let mut solved = Solved::default();
        let submission = &self.loot.submissions[&header.body];
        let form = CheckedForm::new(self.ledger, &submission.body).expect("an accepted body");
        let (left, is_all) = self.loot.uncover(self.ledger, submission);
        if is_all {
            for (row, value) in left.iter().enumerate() {
                let mut coefficients = vec![Scalar::ZERO; rows];
                coefficients[row] = Scalar::ONE;
                solved.add(Equation { coefficients, value: *value });
            }
        }
        self.public_equations(ballot, &form, rows).into_iter().for_each(|equation| solved.add(equation));
        let votes = 3 * usize::from(layout.items());
        let word = |row: usize| match solved.row(1 + row, rows) {
            Some(value) => Word::Certain(value == Scalar::ONE),
            None => Word::Guess(left[1 + row].as_bytes()[0] & 1 == 1),
        };
        (0..votes).map(word).collect()
    }

    /// What the log and the bodies say about one ballot.
    fn public_equations(&self, ballot: usize, form: &CheckedForm, rows: usize) -> Vec<Equation> {
        let Format::Ballots(layout) = form.format() else { panic!("ballots") };
        let mut equations = vec![self.fold(form, rows)];
        let Some(map) = self.report.map() else { return equations };
        let placed = &map.ballots[ballot];
        let mut bucket = Equation { coefficients: vec![Scalar::ZERO; rows], value: Scalar::from(placed.bucket) };
        (0..8).for_each(|k| bucket.coefficients[1 + layout.bucket_row(k)] = Scalar::from(k as u64 + 1));
        equations.push(bucket);
        let mu = mu(self.report.totals().expect("totals"));
        for (number, (axis, point)) in map.map.axes.iter().zip(&placed.point).enumerate() {
            let value = signed(point + axis.dither_offset());
            let mut equation = Equation { coefficients: vec![Scalar::ZERO; rows], value };
            for (item, votes) in (0u16..).zip(axis.coefficients(&mu)) {
                let first = 1 + layout.agree_row(item);
                (0..3).for_each(|vote| equation.coefficients[first + vote] = signed(votes[vote]));
            }
            for bit in 0..axis.dither_bits as usize {
                equation.coefficients[1 + layout.dither_row(number, bit)] = Scalar::from(1u64 << bit);
            }
            equations.push(equation);
        }
        equations
    }

    /// `ẑ = Y + Σ γ^r·U_r`, which every body publishes.
    fn fold(&self, form: &CheckedForm, rows: usize) -> Equation {
        let Content::Ballot(content) = &form.body.content else { panic!("withdrawals are not in the set") };
        let manifest = self.round.manifest.as_ref().expect("the round was open");
        let holder = match form.body.credential.holder() {
            CredentialHolder::Open { leaf_index: index } => {
                Holder::Open(ShownLeaf { index, leaf: manifest.snapshot.leaves()[index as usize] })
            }
            CredentialHolder::Ring(hidden) => Holder::Ring(hidden),
        };
        let statement = Statement {
            scopes: vec![(manifest.scope, form.body.tag)],
            holder,
            disclosed: Vec::new(),
            group: None,
            snapshot_root: manifest.root,
        };
        let context = context(self.ledger.community(), self.round.id, &form.body.tag, form.body.sequence);
        let core = (context, form.header.core);
        let gamma = forge::opening_transcript(self.ledger, manifest, &core, &content.boxes, &statement)
            .challenge(Item::LinkChallenge);
        let powers = core::iter::successors(Some(Scalar::ONE), |power| Some(power * gamma));
        Equation { coefficients: powers.take(rows).collect(), value: content.link.response[0] }
    }
}

fn signed(value: i64) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// A round that was broken into while its secrets were there, and after.
struct Burgled {
    ledger: Ledger,
    report: RoundReport,
    /// The true vote bits, ballot by ballot.
    truth: Vec<Vec<bool>>,
    /// Loot from each operator alone, before the result.
    before: Vec<Loot>,
    /// Loot from all operators, after it.
    after: Loot,
    /// Every byte string on all operators' disks, after it.
    disks: Vec<Vec<u8>>,
}

impl Burgled {
    fn attack(&self, loot: &Loot) -> Vec<Vec<Word>> {
        let round = self.ledger.rounds().values().next().expect("a round");
        Attacker { ledger: &self.ledger, round, report: &self.report, loot }.run()
    }

    fn together(&self, hosts: &[usize]) -> Loot {
        Loot::pooled(hosts.iter().map(|host| &self.before[*host]))
    }

    /// How many bits were certain and right, certain and wrong, guessed right, guessed wrong.
    fn score(&self, loot: &Loot) -> [usize; 4] {
        let mut score = [0; 4];
        for (word, truth) in self.attack(loot).iter().flatten().zip(self.truth.iter().flatten()) {
            score[match word {
                Word::Certain(bit) => usize::from(bit != truth),
                Word::Guess(bit) => 2 + usize::from(bit != truth),
            }] += 1;
        }
        score
    }
}

static BURGLED: LazyLock<Burgled> = LazyLock::new(|| burgle(5));

/// Waits until every operator has opened its part of a step, the last one, and none has stated the result. Returns what is
/// taken from each operator alone then.
fn before_the_result(play: &mut Play, step: Step) -> Vec<Loot> {
    let (id, operators) = (play.round_id(), play.scenario.operators);
    assert!(play.wait(RoundState::Sealed, 2 * adapters::MINUTE));
    let opened = play.network.run_until(60_000, |network| {
        (0..operators).all(|host| network.peer(host).ledger().rounds()[&id].openings.contains_key(&step))
    });
    assert!(opened, "everything is opened, and the result is not stated yet");
    (0..operators).map(|host| Loot::take(play, &[host])).collect()
}

/// Plays a round to its end, and breaks into each of its operators.
fn burgle(operators: usize) -> Burgled {
    let mut play = small(operators).start();
    assert!(play.open());
    play.vote_all();
    let id = play.poll.round;
    let before = before_the_result(&mut play, Step::Groups);
    let result = play.finish().expect("a result");
    let erased = play.network.run_until(60_000, |network| {
        (0..network.len()).all(|host| network.peer(host).ledger().rounds()[&id].erased.len() == operators)
    });
    assert!(erased, "all operators erase");
    let ledger = play.network.peer(0).ledger().clone();
    let round = &ledger.rounds()[&id];
    let scope = round.manifest.as_ref().expect("open").scope;
    let votes: BTreeMap<_, _> =
        play.community.people.iter().map(|person| person.leaf.tag(&scope)).zip(&play.votes).collect();
    let bits = |votes: &Vec<Vote>| {
        let bits = votes.iter().flat_map(|vote| [Vote::Agree, Vote::Disagree, Vote::Pass].map(|bit| *vote == bit));
        bits.collect::<Vec<bool>>()
    };
    let sealed = round.sealed.as_ref().expect("sealed");
    let all: Vec<usize> = (0..operators).collect();
    Burgled {
        truth: sealed.contributions.iter().map(|one| bits(votes[&one.header.tag])).collect(),
        report: play.report(&result),
        before,
        after: Loot::take(&play, &all),
        disks: all.iter().flat_map(|host| play.network.disk_bytes(*host)).collect(),
        ledger,
    }
}

/// The number of vote bits of the round: 24 ballots of 16 items.
const BITS: usize = 24 * 16 * 3;

/// Five standard deviations of the number of right guesses of as many fair coins, rounded up.
fn five_sigma(coins: usize) -> usize {
    (25 * coins).div_ceil(4).isqrt() + 1
}

fn assert_guesses(score: [usize; 4]) {
    let [right, wrong, guessed, missed] = score;
    assert_eq!([right, wrong, guessed + missed], [0, 0, BITS], "nothing is certain");
    assert!(guessed.abs_diff(BITS / 2) < five_sigma(BITS), "{guessed} of {BITS} guesses are right");
}

#[test]
fn whoever_holds_everything_of_one_operator_can_only_guess() {
    for host in 0..5 {
        let loot = &BURGLED.before[host];
        assert_eq!(loot.keys.len(), 1, "the attacker holds the operator's key");

        assert_guesses(BURGLED.score(loot));
    }
}

#[test]
fn whoever_holds_everything_of_two_operators_reads_every_vote() {
    for hosts in [[0, 1], [1, 4], [2, 3]] {
        assert_eq!(BURGLED.score(&BURGLED.together(&hosts)), [BITS, 0, 0, 0], "{hosts:?}");
    }
}

#[test]
fn of_seven_operators_two_who_pool_everything_can_only_guess_and_three_read_every_vote() {
    let burgled = burgle(7);
    for pair in (0..7).flat_map(|first| (0..first).map(move |second| [first, second])) {
        let loot = burgled.together(&pair);
        assert_eq!(loot.keys.len(), 2, "the attacker holds both operators' keys");

        assert_guesses(burgled.score(&loot));
    }
    for hosts in [[0, 1, 2], [1, 4, 6]] {
        assert_eq!(burgled.score(&burgled.together(&hosts)), [BITS, 0, 0, 0], "{hosts:?}");
    }
    assert!(burgled.after.keys.is_empty());
    assert_guesses(burgled.score(&burgled.after));
}

#[test]
fn before_the_result_the_disks_of_all_operators_open_every_ballot_and_after_it_none() {
    assert_eq!(BURGLED.score(&BURGLED.together(&[0, 1, 2, 3, 4])), [BITS, 0, 0, 0]);

    assert!(BURGLED.after.keys.is_empty());
    assert_guesses(BURGLED.score(&BURGLED.after));
}

#[test]
fn no_seed_and_no_round_key_is_anywhere_on_a_disk_after_the_result() {
    let secrets = BURGLED.together(&[0, 1, 2, 3, 4]).secrets(&BURGLED.ledger);
    assert_eq!(secrets.len(), 5 + 24 * 5, "five keys, and five seeds of each of 24 ballots");

    let found = find(&secrets, &BURGLED.disks);

    assert_eq!(found, None);
    assert!(BURGLED.disks.len() > 40, "the disks are not empty");
}

/// People whose deltas were broken into.
const CONTRIBUTORS: usize = 12;

/// An adapter round that was broken into while its secrets were there, and after.
struct BurgledDeltas {
    ledger: Ledger,
    /// What each contribution masks, by its tag's place: the packed rows of the matrix.
    truth: Vec<Vec<Scalar>>,
    /// Loot from each operator alone, before the result, and everything on their disks then.
    before: Vec<Loot>,
    open: Vec<Vec<u8>>,
    /// Loot from all operators, after it, and every byte string on their disks then.
    after: Loot,
    disks: Vec<Vec<u8>>,
}

/// The bits of a packed scalar that entries fill.
const PACKED_BITS: usize = 248;

impl BurgledDeltas {
    fn burgle() -> Self {
        let (mut play, series) = adapters::begin(adapters::scenario(CONTRIBUTORS), &manifest());
        assert!(play.open_deltas(series, adapters::MINUTE, None));
        (0..CONTRIBUTORS).for_each(|person| play.contribute(person, &delta(3, person), |_| {}));
        let before = before_the_result(&mut play, Step::Totals);
        let disks = |play: &Play| (0..5).flat_map(|host| play.network.disk_bytes(host)).collect::<Vec<_>>();
        let open = disks(&play);
        play.finish().expect("a result");
        play.assert_erased(&Loot::pooled(&before));
        let ledger = play.network.peer(0).ledger().clone();
        let round = &ledger.rounds()[&play.round_id()];
        let shape = Format::of(round).expect("deltas").shape();
        let scope = round.manifest.as_ref().expect("open").scope;
        let rows = |person: usize| {
            let mut entries: Vec<Scalar> = delta(3, person).into_iter().map(|entry| signed(entry.into())).collect();
            entries.resize(shape.rows() * shape.width(), Scalar::ZERO);
            entries.chunks(shape.width()).flat_map(|row| pack(&shape, row)).collect::<Vec<_>>()
        };
        let by_tag: BTreeMap<_, _> =
            (0..CONTRIBUTORS).map(|person| (play.community.people[person].leaf.tag(&scope), rows(person))).collect();
        let after = Loot::take(&play, &[0, 1, 2, 3, 4]);
        let sealed = round.sealed.as_ref().expect("sealed");
        let truth = sealed.contributions.iter().map(|one| by_tag[&one.header.tag].clone()).collect();
        Self { truth, before, open, after, disks: disks(&play), ledger }
    }

    /// What is left of each contribution's matrix when all masks are taken off whose seeds are at hand.
    fn attack(&self, loot: &Loot) -> Vec<Vec<Scalar>> {
        let round = self.ledger.rounds().values().find(|round| round.sealed.is_some()).expect("a round");
        let left = round.sealed_bodies().map(|body| loot.uncover(&self.ledger, &loot.submissions[body]).0);
        left.zip(&self.truth).map(|(left, truth)| left[left.len() - truth.len()..].to_vec()).collect()
    }

    /// Asserts that what is left is right in as many bits as a fair coin would be.
    fn assert_guesses(&self, loot: &Loot) {
        let (left, truth) = (self.attack(loot).into_iter().flatten(), self.truth.iter().flatten());
        let bit = |scalar: &Scalar, bit: usize| scalar.as_bytes()[bit / 8] >> (bit % 8) & 1;
        let alike =
            |(left, truth): (Scalar, &Scalar)| (0..PACKED_BITS).filter(|at| bit(&left, *at) == bit(truth, *at)).count();
        let guessed: usize = iter::zip(left, truth).map(alike).sum();
        let bits = PACKED_BITS * self.truth.iter().flatten().count();
        assert!(guessed.abs_diff(bits / 2) < five_sigma(bits), "{guessed} of {bits} bits are right");
    }

    fn together(&self, hosts: &[usize]) -> Loot {
        Loot::pooled(hosts.iter().map(|host| &self.before[*host]))
    }
}

static BURGLED_DELTAS: LazyLock<BurgledDeltas> = LazyLock::new(BurgledDeltas::burgle);

#[test]
fn whoever_holds_everything_of_one_operator_can_only_guess_a_delta_and_of_two_reads_all_entries() {
    for host in 0..5 {
        let loot = &BURGLED_DELTAS.before[host];
        assert_eq!(loot.keys.len(), 1, "the attacker holds the operator's key");

        BURGLED_DELTAS.assert_guesses(loot);
    }
    for hosts in [[0, 1], [1, 4], [2, 3]] {
        assert_eq!(BURGLED_DELTAS.attack(&BURGLED_DELTAS.together(&hosts)), BURGLED_DELTAS.truth, "{hosts:?}");
    }
}

#[test]
fn no_seed_and_no_round_key_of_a_delta_is_anywhere_on_a_disk_after_the_result() {
    let loot = BURGLED_DELTAS.together(&[0, 1, 2, 3, 4]);
    let secrets = loot.secrets(&BURGLED_DELTAS.ledger);
    assert_eq!(secrets.len(), 5 + CONTRIBUTORS * 5, "five keys, and five seeds of each of {CONTRIBUTORS} deltas");
    assert!(find(&secrets, &BURGLED_DELTAS.open).is_some(), "before the result they are there");

    let found = find(&secrets, &BURGLED_DELTAS.disks);

    assert_eq!(found, None);
    assert!(BURGLED_DELTAS.after.keys.is_empty());
    BURGLED_DELTAS.assert_guesses(&BURGLED_DELTAS.after);
    assert!(BURGLED_DELTAS.disks.len() > 40, "the disks are not empty");
}
