//! What each level of checking finds and what it passes over, what a refusal names, and what is said of a receipt.

use chorus_crypto::{Scalar, batch::Equation, codec::Decode as _};
use chorus_protocol::{
    audit::{Level, Options, Receipt, Sample, Standing, verify_with},
    contribution::{Body, Content},
    fault::Fault,
    id::SetId,
    ledger::SealedContribution,
    opening::OpeningError,
};

use super::{
    ballots::{replace, some_ballot},
    *,
};

fn check_at(bytes: &[u8], level: Level) -> Result<Report, VerifyError> {
    verify_with(&mut &bytes[..], &Options { level, receipt: None }, &mut |_| {})
}

fn light(count: usize, seed: u8) -> Level {
    Level::Light(Sample { count, seed: [seed; 32] })
}

/// The bundle of corrupt operators who have put a changed body in the place of a ballot; and its place in the round.
fn with_body(change: impl FnOnce(&mut Body)) -> (Vec<u8>, usize) {
    let mut log = corrupt();
    let (header, mut body) = some_ballot(&log);
    change(&mut body);
    replace(&mut log, &header, body.to_bytes());
    let ledger = log.ledger();
    let index = ledger.rounds()[&BASE.round].contributions.keys().position(|tag| *tag == header.tag);
    (log.bundle(), index.expect("on the log"))
}

fn with_false_fold() -> (Vec<u8>, usize) {
    with_body(|body| {
        if let Content::Ballot(content) = &mut body.content {
            content.link.response[0] += Scalar::ONE;
        }
    })
}

#[test]
fn a_refusal_names_the_contribution_and_the_equation() {
    let (bundle, place) = with_false_fold();
    let error = check(&bundle).expect_err("a false link");
    assert!(
        matches!(&error, VerifyError::Contribution { place: it, fault: Fault::Proof, equation: Some(Equation::Fold) } if it.index == place),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains(&format!("contribution {place} (tag ")) && said.contains(&BASE.round.to_string()), "{said}");
    assert!(said.ends_with("the link's fold does not open the fold of the commitments"), "{said}");

    let (bundle, place) = with_body(|body| {
        if let Content::Ballot(content) = &mut body.content {
            content.proof.auxiliary.reverse();
        }
    });
    let error = check(&bundle).expect_err("a false ballot");
    let is_of_the_ballot = |it: &Equation| [Equation::Value, Equation::Square, Equation::Zero].contains(it);
    assert!(
        matches!(&error, VerifyError::Contribution { place: it, equation: Some(of), .. } if it.index == place && is_of_the_ballot(of)),
        "{error}"
    );

    let (bundle, place) = with_body(|body| {
        if let chorus_crypto::credential::Credential::Ring(credential) = &mut body.credential {
            credential.blinding += Scalar::ONE;
        }
    });
    let error = check(&bundle).expect_err("a false credential");
    let VerifyError::Credential { place: it, equation: Some(_), .. } = &error else { panic!("{error}") };
    assert_eq!(it.index, place);
}

#[test]
fn a_refusal_names_what_was_opened_falsely() {
    let mut log = corrupt();
    let totals = log.ledger().rounds()[&BASE.round].agreed_values(Step::Totals).expect("opened").1;
    let mut opened = chorus_protocol::opening::OpenedStep::from_bytes(&log.blobs[&totals]).expect("values");
    let chorus_protocol::opening::OpenedStep::Sums(sums) = &mut opened else { panic!("sums") };
    sums[0].totals[2][0] += 1;
    let forged = log.keep(opened.to_bytes());
    for entry in log.entries() {
        if let Entry::Opened(it) = &mut entry.entry
            && it.values == totals
        {
            it.values = forged;
        }
    }

    for level in [Level::Full, Level::Sums, light(1, 0)] {
        let error = check_at(&log.bundle(), level).expect_err("a false total");
        let block = OpeningError::Block { block: 0, row: Some(2) };
        assert!(
            matches!(&error, VerifyError::Opening { round, step: Step::Totals, error } if *round == BASE.round && *error == block),
            "{error}"
        );
        assert_eq!(error.exit_code(), 24);
    }
}

#[test]
fn every_level_says_the_same_of_an_honest_bundle_and_how_much_it_looked_at() {
    let full = check_at(&BASE.bytes, Level::Full).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((full.contributions, full.proved), ((VOTERS + FEW) as u64, (VOTERS + FEW) as u64));

    for (level, proved) in [(Level::Sums, 0), (light(5, 1), 5), (light(1_000, 1), full.contributions)] {
        let mut report = check_at(&BASE.bytes, level).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.proved, proved, "{level:?}");
        assert_eq!(report.rounds.iter().map(|round| round.proved).sum::<u64>(), proved, "{level:?}");
        for (round, full) in report.rounds.iter_mut().zip(&full.rounds) {
            round.proved = full.proved;
        }
        assert_eq!(Report { level: Level::Full, proved: full.proved, ..report }, full, "{level:?}");
    }
}

#[test]
fn a_bad_proof_is_passed_over_without_a_look_and_found_by_whom_the_lot_falls_on() {
    let (bundle, _) = with_false_fold();

    assert!(check_at(&bundle, Level::Sums).is_ok(), "sums look at no proof");
    let found = |count| (0..40).filter(|seed| check_at(&bundle, light(count, *seed)).is_err()).count();
    // One of 27 is bad: of 40 draws of 9 some 13 find it.
    assert!((4..=24).contains(&found(9)), "{}", found(9));
    let error = check_at(&bundle, light(VOTERS + FEW, 0)).expect_err("everybody is looked at");
    assert_eq!(error.exit_code(), 23);
}

#[test]
fn no_level_passes_over_a_body_that_is_not_the_one_on_the_log() {
    let mut log = corrupt();
    let (header, mut body) = some_ballot(&log);
    body.sequence += 1;
    replace(&mut log, &header, body.to_bytes());
    for level in [Level::Full, Level::Sums, light(0, 0)] {
        assert!(matches!(check_at(&log.bundle(), level), Err(VerifyError::Header(_))), "{level:?}");
    }

    let (bundle, _) = with_body(|body| {
        if let Content::Ballot(content) = &mut body.content {
            content.commitments[3] = [255; 32].into();
        }
    });
    for level in [Level::Full, Level::Sums, light(0, 0)] {
        assert_eq!(check_at(&bundle, level).map_err(|error| error.exit_code()), Err(23), "{level:?}");
    }
}

/// All attempts of the first round, by tag.
fn attempts() -> Vec<Vec<SealedContribution>> {
    let ledger = corrupt().ledger();
    let round = &ledger.rounds()[&BASE.round];
    round.contributions.values().map(|attempts| attempts.values().cloned().collect()).collect()
}

fn receipt(of: &SealedContribution) -> Receipt {
    let header = &of.header;
    Receipt { round: header.round, tag: header.tag, sequence: header.sequence, body: header.body, set: None }
}

fn attempts_of<'a>(all: &'a [Vec<SealedContribution>], one: &SealedContribution) -> &'a [SealedContribution] {
    all.iter().find(|attempts| attempts.contains(one)).expect("one of them")
}

fn standing(bytes: &[u8], receipt: Receipt) -> Standing {
    let options = Options { level: Level::Sums, receipt: Some(receipt) };
    let report = verify_with(&mut &bytes[..], &options, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    report.standing.expect("a receipt was given")
}

#[test]
fn a_receipt_says_whether_exactly_this_contribution_counts() {
    let all = attempts();
    let once = all.iter().find(|attempts| attempts.len() == 1).expect("most vote once");
    let again = |withdrawn| {
        let wanted =
            |latest: &&SealedContribution| latest.header.sequence == 1 && latest.header.is_withdrawal() == withdrawn;
        all.iter().filter_map(|attempts| attempts.last()).find(wanted).expect("somebody did")
    };

    let Standing::Counts { index, of } = standing(&BASE.bytes, receipt(&once[0])) else { panic!("it counts") };
    assert_eq!(of, VOTERS - 1);
    assert_eq!(
        corrupt().ledger().rounds()[&BASE.round].sealed.as_ref().map(|sealed| sealed.contributions[index].clone()),
        Some(once[0].clone())
    );
    for withdrawn in [false, true] {
        let latest = again(withdrawn);
        let first = attempts_of(&all, latest).iter().find(|attempt| attempt.header.sequence == 0);
        let first = first.map_or_else(|| Receipt { sequence: 0, ..receipt(latest) }, receipt);
        let replaced = Standing::Replaced { sequence: 1, body: latest.header.body, withdrawn };
        assert_eq!(standing(&BASE.bytes, first), replaced);
        assert!(!replaced.holds());
        let latest = standing(&BASE.bytes, receipt(latest));
        assert_eq!(latest == Standing::TakenBack, withdrawn, "{latest:?}");
        assert!(latest.holds());
    }
    let set = corrupt().ledger().rounds()[&BASE.round].sealed.as_ref().expect("sealed").set;
    let known = Receipt { set: Some(set), ..receipt(&once[0]) };
    assert!(standing(&BASE.bytes, known.clone()).holds());
    let body = BlobId::of(b"what the node said that it had sent");
    let others = [
        (
            "another body was accepted in its place",
            Receipt { body, ..known.clone() },
            Standing::Other { body: known.body },
        ),
        ("of another log", Receipt { set: Some(SetId::ZERO), ..known.clone() }, Standing::OtherSet { set }),
        ("a later one", Receipt { sequence: 3, ..known.clone() }, Standing::Absent),
        ("in another round", Receipt { round: BASE.small, set: None, ..known.clone() }, Standing::Absent),
        ("in no round", Receipt { round: [9; 32].into(), ..known }, Standing::UnknownRound),
    ];
    for (what, receipt, expected) in others {
        let standing = standing(&BASE.bytes, receipt);
        assert_eq!(standing, expected, "{what}");
        assert!(!standing.holds(), "{what}");
    }
}

#[test]
fn a_receipt_of_a_round_that_is_not_sealed_waits() {
    let once = attempts().into_iter().find(|attempts| attempts.len() == 1).expect("most vote once");
    let receipt = receipt(&once[0]);
    let mut bundle = BASE.bundle.clone();
    bundle.blobs.clear();

    // The longest log on which the round is not sealed: the others are refused, or say more.
    let standings = (1..BASE.bundle.decisions.len()).rev().filter_map(|height| {
        bundle.decisions.truncate(height);
        let options = Options { level: Level::Full, receipt: Some(receipt.clone()) };
        verify_with(&mut bundle.to_bytes().as_slice(), &options, &mut |_| {}).ok()?.standing
    });
    let standings: Vec<_> = standings.collect();

    assert_eq!(standings.first(), Some(&Standing::Accepted));
    assert!(standings.contains(&Standing::Awaited), "before it was on the log");
    assert_eq!(standings.last(), Some(&Standing::UnknownRound), "before it was planned");
    assert!(standings.iter().all(Standing::is_early), "who asks too early is not told that it does not count");
}

#[test]
fn rounds_are_settled_as_they_are_read_and_small_ones_together() {
    let mut told = Vec::new();
    verify(&mut &BASE.bytes[..], &mut |progress| told.push(progress)).unwrap_or_else(|error| panic!("{error}"));

    let settled: Vec<RoundId> = told
        .iter()
        .filter_map(|it| match it {
            Progress::Round(round) => Some(*round),
            Progress::Log(_) | Progress::Contributions { .. } => None,
        })
        .collect();
    assert_eq!(settled, [BASE.round, BASE.small]);
    let proofs = told.iter().filter(|it| matches!(it, Progress::Contributions { .. })).count();
    assert_eq!(proofs, 1, "all contributions of two small rounds are verified together");
}
