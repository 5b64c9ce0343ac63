//! 10: weights of a batch that are equal or known, one bad proof among a thousand, floods.

use std::sync::Arc;

use chorus_crypto::{
    Scalar,
    batch::{Batch, Equation},
    credential::{Credential, OpenCredential},
    domain, hash,
};
use chorus_protocol::{
    contribution::{CheckedForm, Contributor, Verification, verify_all},
    message::Message,
    peer::Notice,
};
use chorus_tests::scenario::Scenario;
use rayon::prelude::*;

use super::*;

fn open(body: &mut Body) -> &mut OpenCredential {
    match &mut body.credential {
        Credential::Open(it) => it,
        _ => panic!("an open credential"),
    }
}

/// Two honest ballots that show whose they are, with errors added to the last thing that they say.
fn with_errors(town: &Town, round: RoundId, errors: [Scalar; 2]) -> [CheckedForm; 2] {
    [0, 1].map(|person| {
        let honest = cast(&forger(town, round, person, Level::Open), person as u64);
        let mut changed = body(&honest);
        open(&mut changed).blinding += errors[person];
        CheckedForm::new(&town.ledger, &changed.to_bytes()).expect("well formed")
    })
}

/// Verifies two bodies in one batch, where each has the weights of a seed.
fn together(town: &Town, forms: &[CheckedForm; 2], seeds: [[u8; 32]; 2]) -> bool {
    let [mut batch, second] = [0, 1].map(|index: usize| {
        let mut alone = Batch::new(&seeds[index]);
        forms[index].add_equations(&town.ledger, &mut alone).expect("well formed");
        alone
    });
    batch.merge(second);
    batch.verify()
}

#[test]
fn attack_10_errors_that_cancel_under_equal_weights_are_found() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    let verdicts = |forms: &[CheckedForm; 2], seed: u8| {
        let verdicts = verify_all(&town.ledger, &[&forms[0], &forms[1]], &[seed; 32]);
        verdicts.into_iter().map(|verdict| verdict.map(drop)).collect::<Vec<_>>()
    };
    let honest = with_errors(&town, poll.round, [Scalar::ZERO; 2]);
    assert_eq!(verdicts(&honest, 1), [Ok(()), Ok(())]);

    let opposite = with_errors(&town, poll.round, [Scalar::ONE, -Scalar::ONE]);

    assert!(together(&town, &opposite, [[4; 32]; 2]), "a batch with equal weights would take them");
    assert!(!together(&town, &opposite, [[4; 32], [5; 32]]));
    for seed in 0..4 {
        assert_eq!(verdicts(&opposite, seed), [BAD_CREDENTIAL, BAD_CREDENTIAL], "seed {seed}");
    }
}

#[test]
fn attack_10_errors_made_for_known_weights_are_found_by_whoever_draws_their_own() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    // The weights that `verify_all` gives to the leaf's equation of the only chunk's two bodies under a known seed.
    let known = [7; 32];
    let chunk = hash::digest(domain::BATCH, &(known, 0u64));
    let honest = with_errors(&town, poll.round, [Scalar::ZERO; 2]);
    let equations = |form: &CheckedForm| {
        // Credentials come last: a leaf's equation, then one for the tag.
        let mut batch = Batch::new(&[0; 32]);
        form.add_equations(&town.ledger, &mut batch).expect("well formed");
        let next = batch.equation(Equation::Leaf).0;
        let mut stream = Batch::new(&[0; 32]);
        (0..).find(|_| stream.equation(Equation::Leaf).0 == next).expect("the weights so far")
    };
    let weights = [0u64, 1].map(|index| {
        let mut batch = Batch::new(&hash::digest(domain::BATCH, &(chunk, index)));
        let count: usize = equations(&honest[usize::try_from(index).expect("small")]);
        (0..count).map(|_| batch.equation(Equation::Leaf).0).nth(count - 2).expect("the leaf's equation")
    });
    let errors = [weights[0].invert(), -weights[1].invert()];
    let made_to_measure = with_errors(&town, poll.round, errors);
    let forms = [&made_to_measure[0], &made_to_measure[1]];
    let accepted = |seed| verify_all(&town.ledger, &forms, &seed).iter().filter(|verdict| verdict.is_ok()).count();

    // This is why the seed must not be known to whoever contributes.
    assert_eq!(accepted(known), 2, "the attack works against known weights");

    assert!((0..32).filter(|seed| *seed != 7).all(|seed| accepted([seed; 32]) == 0));
}

/// A thousand contributions of sixteen people, ballots and withdrawals, none of which shows whose it is.
fn thousand(town: &Town, round: RoundId) -> Vec<Submission> {
    let record = town.round(round);
    let make = |index: u64| {
        let leaf = &town.community.people[index as usize % 16].leaf;
        let contributor = Contributor::anonymous(leaf);
        if index.is_multiple_of(8) {
            contributor.cast(&town.ledger, record, &[Vote::Agree], &mut rng(index)).expect("a ballot")
        } else {
            contributor.withdraw(&town.ledger, record, &mut rng(index)).expect("a withdrawal")
        }
    };
    (0..1_000u64).into_par_iter().map(make).collect()
}

#[test]
fn attack_10_one_bad_proof_among_a_thousand_is_found_and_named() {
    let (town, poll) = town(1, 16, (PollKind::Value, 1));
    let honest = thousand(&town, poll.round);
    let form = |submission: &Submission| CheckedForm::new(&town.ledger, &submission.body).expect("well formed");
    let mut forms: Vec<CheckedForm> = honest.iter().map(form).collect();
    let bad = |forms: &[CheckedForm], seed: u8| {
        let verdicts = verify_all(&town.ledger, &forms.iter().collect::<Vec<_>>(), &[seed; 32]);
        let refused = verdicts.into_iter().enumerate().filter_map(|(index, verdict)| Some((index, verdict.err()?)));
        refused.collect::<Vec<_>>()
    };
    assert_eq!(bad(&forms, 1), []);
    let broken = |index: usize| {
        let mut changed = body(&honest[index]);
        match &mut changed.credential {
            Credential::Ring(ring) => ring.membership.digits[1] += Scalar::ONE,
            _ => panic!("a ring credential"),
        }
        form(&with(&honest[index], &changed))
    };
    let credential = Fault::Credential(CredentialError::Proof);
    for index in [0, 613, 999] {
        let good = core::mem::replace(&mut forms[index], broken(index));
        assert_eq!(bad(&forms, 2), [(index, credential.clone())], "{index}");
        forms[index] = good;
    }
}

#[test]
fn verifications_of_the_same_bodies_with_the_same_weights_are_the_same() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    let form = |person| {
        let ballot = cast(&forger(&town, poll.round, person, Level::Anonymous), 1);
        Arc::new(town.check(&ballot).expect("an honest ballot").0)
    };
    let (alice, bob) = (form(0), form(1));
    let of = |forms: &[&Arc<CheckedForm>], seed| {
        Verification::new(town.ledger.clone(), forms.iter().map(|form| Arc::clone(form)).collect(), [seed; 32])
    };

    assert_eq!(of(&[&alice, &bob], 1), of(&[&alice, &bob], 1));
    for (forms, seed) in [(&[&alice, &bob][..], 2), (&[&bob, &alice], 1), (&[&alice], 1), (&[], 1)] {
        assert_ne!(of(forms, seed), of(&[&alice, &bob], 1));
    }
}

/// Bodies that decode and fit the round, and whose proof is wrong: each is another one.
fn flood(honest: &Submission, count: u64) -> Vec<Submission> {
    let one = |number: u64| {
        let mut changed = body(honest);
        open(&mut changed).blinding += Scalar::from(number + 1);
        with(honest, &changed)
    };
    (0..count).map(one).collect()
}

#[test]
fn attack_10_a_flood_of_invalid_proofs_holds_nothing_up() {
    const FLOOD: u64 = 150;
    let policy = Policy { min_contributions: 2, floor: 2, group_floor: 4, ..Policy::default() };
    let scenario = Scenario {
        operators: 4,
        people: 4,
        followers: 2,
        items: 1,
        kind: PollKind::Value,
        policy,
        ..Scenario::default()
    };
    let mut play = scenario.start();
    assert!(play.open(), "{:?}", play.network.notices);
    let community = play.community.id();
    let ledger = play.network.peer(0).ledger().clone();
    let round = &ledger.rounds()[&play.poll.round];
    let honest = cast(&Forger::new(&ledger, round, &play.community.people[3].leaf, Level::Open), 1);
    let flood = flood(&honest, FLOOD);
    let half = flood.len() / 2;
    let send = |play: &mut chorus_tests::scenario::Play, some: &[Submission]| {
        for submission in some {
            let bytes = Message::Submission(submission.clone()).seal(community);
            (0..4).for_each(|host| play.network.deliver(host, 5, bytes.clone()));
        }
    };

    send(&mut play, &flood[..half]);
    play.vote_all();
    send(&mut play, &flood[half..]);
    // Honest ballots pass other nodes first, which hold them a while.
    let accepted = play.network.run_until(15_000, |network| {
        (0..4).all(|host| network.peer(host).ledger().rounds()[&round.id].contributions.len() == 4)
    });

    assert!(accepted, "all honest ballots, one of them of the flood's own tag, are on the log");
    for host in 0..4 {
        let refused = |(at, notice): &&(usize, Notice)| *at == host && matches!(notice, Notice::Refused { .. });
        let refused = play.network.notices.iter().filter(refused).count();
        assert!((8..=32).contains(&refused), "operator {host} verifies enough of {FLOOD} to cut it off: {refused}");
        let (_, private) = play.network.disk(host);
        assert_eq!(private.len(), 4, "operator {host} keeps nothing of the flood");
    }
}
