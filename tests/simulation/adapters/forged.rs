//! An adapter round in the hands of operators who all work together. They kept every seed, sign everything anew, and make
//! whatever follows fit what they changed: one check alone can tell.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use chorus_crypto::{
    Scalar,
    batch::Equation,
    codec::{Decode as _, Encode as _},
    mask::OpenedSum,
};
use chorus_protocol::{
    adapter::{
        manifest::{AdapterManifest, Schedule},
        report::{AdapterOutcome, AdapterReport, AdapterValues},
    },
    audit::{self, Bundle, VerifyError},
    contribution::{CheckedForm, Submission},
    fault::Fault,
    id::{BlobId, RoundId},
    ledger::{RoundRecord, RoundState},
    log::entry::{Entry, RoundResult, SignedEntry, Step},
    opening::OpenedStep,
    round::{Blobs, Stage, stage},
};
use chorus_tests::{
    adapters::{ENTRIES, delta, manifest},
    bundle::Corrupt,
    community::Community,
    malice::{
        forge::delta::{Forgery, contribute},
        loot::Loot,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{MINUTE, begin, finish, scenario};

/// People who contribute; the next one is a member who does not.
const CONTRIBUTORS: usize = 4;
/// The bound of the series.
const BOUND: u32 = 1 << 18;

struct Base {
    community: Community,
    corrupt: Corrupt,
    /// Every key of the round.
    loot: Loot,
    round: RoundId,
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let schedule = Schedule { rounds: 1, every_millis: None, ..manifest().schedule };
    let (mut play, series) = begin(scenario(CONTRIBUTORS + 1), &AdapterManifest { schedule, ..manifest() });
    assert!(play.open_deltas(series, MINUTE, None), "{:?}", play.network.notices);
    (0..CONTRIBUTORS).for_each(|person| play.contribute(person, &delta(1, person), |_| {}));
    assert!(play.wait(RoundState::Sealed, 2 * MINUTE));
    let loot = Loot::take(&play, &[0, 1, 2, 3, 4]);
    finish(&mut play);
    let bundle = Bundle::from_bytes(&play.bundle(0)).expect("a bundle");
    let corrupt = Corrupt::new(&play.community, &bundle);
    Base { corrupt, loot, round: play.round_id(), community: play.community }
});

struct Kept<'a>(&'a Corrupt);

impl Blobs for Kept<'_> {
    fn blob(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        self.0.blobs.get(id).map(|bytes| bytes.as_slice().into())
    }
}

/// A log that is being forged.
#[derive(Clone)]
struct Forged {
    log: Corrupt,
    loot: Loot,
}

impl Forged {
    fn new() -> Self {
        Self { log: BASE.corrupt.clone(), loot: BASE.loot.clone() }
    }

    /// Returns the round as the log tells it before anything of it is opened.
    fn round(&self) -> RoundRecord {
        let mut round = RoundRecord::clone(&self.log.ledger().rounds()[&BASE.round]);
        (round.partition, round.opened) = (None, BTreeMap::new());
        round
    }

    /// Has somebody contribute who did not.
    fn stuff(&mut self, entries: &[i32], forgery: Forgery<'_>) {
        let (ledger, mut round) = (self.log.ledger(), self.round());
        round.sealed = None;
        let absent = &BASE.community.people[CONTRIBUTORS].leaf;
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        self.add(contribute((&ledger, &round), absent, entries, forgery, &mut rng));
    }

    /// Logs a contribution before the round closes, with the acknowledgements of all operators that it takes.
    fn add(&mut self, submission: Submission) {
        let header = CheckedForm::new(&self.log.ledger(), &submission.body).expect("well-formed").header;
        let body = self.log.keep(submission.body.clone());
        self.loot.submissions.insert(body, submission);
        let accepted = self.log.acknowledge(header);
        let is_one = |entry: &SignedEntry| matches!(entry.entry, Entry::Contribution(_));
        let batch = self.log.log.iter_mut().find(|batch| batch.iter().any(is_one)).expect("a batch with deltas");
        let author = BASE.community.genesis.operators[0];
        let key = &BASE.community.operators[0];
        let signed = SignedEntry::sign(key, BASE.community.id(), Entry::Contribution(accepted));
        batch.push(SignedEntry { author, ..signed });
    }

    /// Opens what the log leads to and lets `change` change it; has all operators state partition, values and result that
    /// follow from that.
    fn settle(&mut self, change: impl FnOnce(&mut OpenedSum)) {
        let (ledger, mut round) = (self.log.ledger(), self.round());
        let stage = |log: &Corrupt, round: &RoundRecord| stage(&ledger, round, &Kept(log));
        let Stage::Partition { digest } = stage(&self.log, &round) else { panic!("a sealed round comes to this") };
        round.partition = Some(digest);
        let Stage::Open { step: Step::Totals, plan } = stage(&self.log, &round) else { panic!("the sum of all") };
        let OpenedStep::Sums(mut sums) = self.loot.open(&ledger, &round, &plan) else { panic!("sums") };
        change(&mut sums[0]);
        let (inputs, values) = (plan.digest(), self.log.keep(OpenedStep::Sums(sums).to_bytes()));
        let stated = (1..=5).map(|operator| (operator, (inputs, values))).collect();
        round.opened.insert(Step::Totals, stated);
        let Stage::Done(report) = stage(&self.log, &round) else { panic!("nothing more is opened") };
        let (follows, adapters) = report.follows(&ledger);
        let result = RoundResult { round: round.id, result: self.log.keep(report.to_bytes()), follows };
        for adapter in adapters {
            self.log.keep(adapter);
        }
        let set = round.sealed.as_ref().expect("sealed").set;
        for entry in self.log.entries() {
            match &mut entry.entry {
                Entry::Partition(it) => (it.set, it.partition) = (set, digest),
                Entry::Opening(it) => (it.set, it.inputs) = (set, inputs),
                Entry::Opened(it) => (it.set, it.inputs, it.values) = (set, inputs, values),
                Entry::Result(it) => *it = result.clone(),
                _ => {}
            }
        }
    }

    /// Has all operators state another result.
    fn state(&mut self, change: impl FnOnce(&mut Corrupt, &mut AdapterReport, &mut RoundResult)) {
        let mut result = self.result();
        let mut report = AdapterReport::from_bytes(&self.log.blobs[&result.result]).expect("a report");
        change(&mut self.log, &mut report, &mut result);
        result.result = self.log.keep(report.to_bytes());
        for entry in self.log.entries() {
            if let Entry::Result(it) = &mut entry.entry {
                *it = result.clone();
            }
        }
    }

    fn result(&self) -> RoundResult {
        let stated = self.log.log.iter().flatten().find_map(|entry| match &entry.entry {
            Entry::Result(it) => Some(it.clone()),
            _ => None,
        });
        stated.expect("a result")
    }

    fn verify(&self) -> Result<audit::Report, VerifyError> {
        audit::verify(&mut &self.log.bundle()[..], &mut |_| {})
    }
}

/// A delta with one entry that is not zero.
fn single(entry: u32) -> Vec<i32> {
    let mut entries = vec![0; ENTRIES];
    entries[17] = entry.cast_signed();
    entries
}

const HONEST: Forgery<'_> = Forgery::none(BOUND);

/// Without this the refusals below would show nothing: what these operators forge is taken if it is true.
#[test]
fn what_all_operators_make_fit_is_taken_if_the_delta_is_within_its_bound() {
    let mut unchanged = Forged::new();
    unchanged.settle(|_| {});
    assert_eq!(unchanged.result(), Forged::new().result(), "what was opened is what the seeds open");
    let report = unchanged.verify().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.contributions, CONTRIBUTORS as u64);

    for entries in [delta(1, CONTRIBUTORS), single(BOUND)] {
        let mut forged = Forged::new();
        forged.stuff(&entries, HONEST);
        forged.settle(|_| {});

        let report = forged.verify().unwrap_or_else(|error| panic!("{error}"));

        assert_eq!(report.contributions, CONTRIBUTORS as u64 + 1);
        assert_ne!(forged.result(), unchanged.result());
    }
}

#[test]
fn a_delta_out_of_bounds_is_refused_though_all_operators_acknowledge_it_and_everything_else_fits() {
    let (over, huge) = (BOUND + 1, (1 << 28) - 1);
    let cases = [
        ("one more than the bound", single(over), Forgery { kept: over, ..HONEST }, Some(Equation::Square)),
        ("a huge entry", single(huge), Forgery { kept: huge, ..HONEST }, Some(Equation::Square)),
        ("a proof of the next bound", single(over), Forgery::none(over), None),
        ("a proof of a huge bound", single(huge), Forgery::none(huge), None),
        ("four squares of another bound", single(1), Forgery { kept: over, ..HONEST }, Some(Equation::Square)),
    ];
    for (what, entries, forgery, broken) in cases {
        let mut forged = Forged::new();
        forged.stuff(&entries, forgery);
        forged.settle(|_| {});

        let refused = forged.verify();

        let Err(VerifyError::Contribution { fault: Fault::Proof, equation, .. }) = &refused else {
            panic!("{what}: {refused:?}")
        };
        assert!(equation.is_some() && (broken.is_none() || *equation == broken), "{what}: {equation:?}");
        assert_eq!(refused.map_err(|error| error.exit_code()).err(), Some(23), "{what}");
    }
}

#[test]
fn no_other_sum_of_deltas_can_be_opened_though_the_adapter_follows_from_it() {
    type Change = fn(&mut OpenedSum);
    let changes: [(&str, Change); 6] = [
        ("an entry", |sum| sum.totals[0][0] += 1),
        ("an entry that was moved", |sum| {
            sum.totals[0][0] += 1;
            sum.totals[0][1] -= 1;
        }),
        ("an entry of the last row that is in the adapter", |sum| {
            let columns = sum.totals[0].len();
            sum.totals[(ENTRIES - 1) / columns][(ENTRIES - 1) % columns] -= 1;
        }),
        ("all of it, turned round", |sum| sum.totals.iter_mut().flatten().for_each(|entry| *entry = -*entry)),
        ("a blinding", |sum| sum.blindings[0] += Scalar::ONE),
        ("nothing of anybody", |sum| sum.totals.iter_mut().flatten().for_each(|entry| *entry = 0)),
    ];
    for (what, change) in changes {
        let mut forged = Forged::new();
        forged.settle(change);

        let refused = forged.verify();

        assert!(matches!(refused, Err(VerifyError::Opening { step: Step::Totals, .. })), "{what}: {refused:?}");
        assert_eq!(refused.map_err(|error| error.exit_code()).err(), Some(24), "{what}");
    }

    // Somebody was acknowledged, and the sum is that of the others.
    let mut others = None;
    Forged::new().settle(|sum| others = Some(sum.clone()));
    let mut forged = Forged::new();
    forged.stuff(&delta(1, CONTRIBUTORS), HONEST);
    forged.settle(|sum| sum.clone_from(others.as_ref().expect("the sum of the others")));
    let refused = forged.verify();
    assert!(matches!(refused, Err(VerifyError::Opening { step: Step::Totals, .. })), "{refused:?}");
}

#[test]
fn no_other_adapter_and_no_other_report_of_it_can_be_stated() {
    let another = |log: &mut Corrupt, report: &AdapterReport| {
        let mut values = AdapterValues::from_bytes(&log.blobs[&variant(report)]).expect("an adapter");
        values.values[0] += 1;
        log.keep(values.to_bytes())
    };
    let mut follows = Forged::new();
    follows.state(|log, report, result| result.follows = Some(another(log, report)));
    let refused = follows.verify();
    let stated = follows.result().follows;
    let of_result = Forged::new().result().follows;
    assert!(
        matches!(&refused, Err(VerifyError::Follows { logged, recomputed, .. }) if (*logged, *recomputed) == (stated, of_result)),
        "{refused:?}"
    );
    assert_eq!(refused.map_err(|error| error.exit_code()).err(), Some(25));

    type Change = fn(&mut AdapterReport);
    let changes: [(&str, Change); 3] = [
        ("how many people", |report| report.contributions += 1),
        ("what it starts from", |report| report.start = Some(BlobId::of(b"another"))),
        ("nothing came out", |report| report.outcome = AdapterOutcome::TooFew),
    ];
    let mut both = Forged::new();
    both.state(|log, report, result| {
        let adapter = another(log, report);
        if let AdapterOutcome::Averaged(averaged) = &mut report.outcome {
            averaged.variants[0].adapter = adapter;
        }
        result.follows = Some(adapter);
    });
    let mut cases = vec![("an adapter in report and result", both)];
    for (what, change) in changes {
        let mut forged = Forged::new();
        forged.state(|_, report, _| change(report));
        cases.push((what, forged));
    }
    for (what, forged) in cases {
        let refused = forged.verify();

        assert!(matches!(refused, Err(VerifyError::Result { .. })), "{what}: {refused:?}");
        assert_eq!(refused.map_err(|error| error.exit_code()).err(), Some(25), "{what}");
    }
}

/// Returns the adapter that a report names.
fn variant(report: &AdapterReport) -> BlobId {
    report.averaged().expect("adapters").variants[0].adapter
}
