//! What an attacker learns who gets everything: every message, the log, all bodies, and what some operators hold.
//!
//! The [`Attacker`] is one program for all questions. It opens every box it has a key for, takes every mask it knows off
//! every masked vector, collects every linear equation about a ballot that is public (opened buckets and points, the
//! folds of the link), and asks which votes follow from them. That it recovers everything with one operator more than
//! tolerated shows that it is no straw man.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use chorus_crypto::{
    Scalar,
    ballot::Vote,
    credential::{CredentialHolder, Holder, ShownLeaf, Statement},
    mask::Seed,
    seal::SealSecret,
    transcript::Item,
};
use chorus_protocol::{
    contribution::{CheckedForm, Content, Format, Submission, context, layout, split_seeds},
    deliberation::tally::mu,
    id::BlobId,
    journal::Record,
    ledger::{Ledger, RoundRecord, RoundState},
    log::entry::Step,
    round::report::RoundReport,
};
use chorus_tests::{malice::forge, scenario::Play};

use crate::faults::small;

/// What an attacker took from the operators it broke into.
#[derive(Default)]
struct Loot {
    /// Round keys, by operator (1..=n).
    keys: BTreeMap<u8, [u8; 32]>,
    /// Contributions with their masked vectors and boxes.
    submissions: BTreeMap<BlobId, Submission>,
}

impl Loot {
    /// Takes everything from the disks of `hosts`, and whatever travelled.
    fn take(play: &Play, hosts: &[usize]) -> Self {
        let mut loot = Self { submissions: play.network.tap.submissions.clone(), ..Self::default() };
        for host in hosts {
            let (records, private) = play.network.disk(*host);
            let operator = play.network.peer(*host).operator().expect("an operator");
            for record in records {
                if let Record::RoundKey(record) = record {
                    loot.keys.insert(operator, record.secret);
                }
            }
            loot.submissions.extend(private.iter().map(|one| (BlobId::of(&one.body), one.as_ref().clone())));
        }
        loot
    }
}

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
        let seeds = self.seeds(&form, submission);
        let mut left = submission.masked.clone();
        for (subset, seed) in &seeds {
            let mask = form.expand(self.ledger, *subset, seed).expect("a ballot");
            left.iter_mut().enumerate().for_each(|(row, left)| *left += mask.values(row)[0]);
        }
        if seeds.len() == self.ledger.charter().sharing().subset_count() {
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

    /// The seeds in the boxes that it can open, by index of T.
    fn seeds(&self, form: &CheckedForm, submission: &Submission) -> BTreeMap<usize, Seed> {
        let mut seeds = BTreeMap::new();
        for (operator, secret) in &self.loot.keys {
            let key = SealSecret::from_bytes(secret);
            let bound = forge::box_context(&form.header.core, *operator, &key.public());
            let sealed = submission.boxes.get(usize::from(*operator) - 1).and_then(Option::as_ref);
            let held = self.ledger.charter().sharing().held_by(*operator);
            let opened = sealed.and_then(|sealed| key.open(&bound, &sealed.bytes).ok());
            let opened = opened.and_then(|plain| split_seeds(&plain, held.len())).unwrap_or_default();
            seeds.extend(held.into_iter().zip(opened));
        }
        seeds
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
        let keys = hosts.iter().flat_map(|host| self.before[*host].keys.clone()).collect();
        Loot { keys, submissions: self.before[0].submissions.clone() }
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

static BURGLED: LazyLock<Burgled> = LazyLock::new(|| {
    let mut play = small(5).start();
    assert!(play.open());
    play.vote_all();
    assert!(play.wait(RoundState::Sealed, 60_000));
    let id = play.poll.round;
    let opened = play.network.run_until(60_000, |network| {
        (0..5).all(|host| network.peer(host).ledger().rounds()[&id].openings.contains_key(&Step::Groups))
    });
    assert!(opened, "everything is opened, and the result is not stated yet");
    let before = (0..5).map(|host| Loot::take(&play, &[host])).collect();
    let result = play.finish().expect("a result");
    let erased = play.network.run_until(60_000, |network| {
        (0..network.len()).all(|host| network.peer(host).ledger().rounds()[&id].erased.len() == 5)
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
    Burgled {
        truth: sealed.contributions.iter().map(|one| bits(votes[&one.header.tag])).collect(),
        report: play.report(&result),
        before,
        after: Loot::take(&play, &[0, 1, 2, 3, 4]),
        disks: (0..5).flat_map(|host| play.network.disk_bytes(host)).collect(),
        ledger,
    }
});

/// The number of vote bits of the round: 24 ballots of 16 items.
const BITS: usize = 24 * 16 * 3;

/// Five standard deviations of the number of right guesses of as many fair coins.
const FIVE_SIGMA: usize = 85;

fn assert_guesses(score: [usize; 4]) {
    let [right, wrong, guessed, missed] = score;
    assert_eq!([right, wrong, guessed + missed], [0, 0, BITS], "nothing is certain");
    assert!(guessed.abs_diff(BITS / 2) < FIVE_SIGMA, "{guessed} of {BITS} guesses are right");
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
fn before_the_result_the_disks_of_all_operators_open_every_ballot_and_after_it_none() {
    assert_eq!(BURGLED.score(&BURGLED.together(&[0, 1, 2, 3, 4])), [BITS, 0, 0, 0]);

    assert!(BURGLED.after.keys.is_empty());
    assert_guesses(BURGLED.score(&BURGLED.after));
}

#[test]
fn no_seed_and_no_round_key_is_anywhere_on_a_disk_after_the_result() {
    let all = BURGLED.together(&[0, 1, 2, 3, 4]);
    let round = BURGLED.ledger.rounds().values().next().expect("a round");
    let attacker = Attacker { ledger: &BURGLED.ledger, round, report: &BURGLED.report, loot: &all };
    let mut secrets: BTreeSet<[u8; 32]> = all.keys.values().copied().collect();
    for submission in all.submissions.values() {
        let form = CheckedForm::new(&BURGLED.ledger, &submission.body).expect("a body");
        secrets.extend(attacker.seeds(&form, submission).values().map(|seed| *seed.expose()));
    }
    assert_eq!(secrets.len(), 5 + 24 * 5, "five keys, and five seeds of each of 24 ballots");

    let found = BURGLED.disks.iter().flat_map(|bytes| bytes.windows(32)).find(|window| {
        let window: &[u8; 32] = (*window).try_into().expect("32 bytes");
        secrets.contains(window)
    });

    assert_eq!(found, None);
    assert!(BURGLED.disks.len() > 40, "the disks are not empty");
}
