//! 6: copying somebody else's ballot, whole or in parts.

use chorus_crypto::{
    Scalar,
    group::{Base, Point},
};
use chorus_tests::malice::forge::{Cheat, boxes_digest};

use super::*;

/// Alice's honest contribution.
fn alice(town: &Town, round: RoundId) -> Submission {
    cast(&forger(town, round, 0, Level::Anonymous), 1)
}

#[test]
fn attack_06_a_copied_ballot_under_an_own_credential_is_refused() {
    let (town, poll) = town(4, 3, (PollKind::Value, 3));
    let alice = alice(&town, poll.round);
    assert_eq!(town.check_private(&alice), Ok(vec![Ok(()); 4]));
    for level in LEVELS {
        let mallory = forger(&town, poll.round, 1, level);
        assert_eq!(verdict(&town, &cast(&mallory, 2)), Ok(()));
        let copied = content(&mut body(&alice)).clone();
        let copy = cast(&mallory.who(Cheat::Content(Box::new(copied.clone()))), 2);
        assert_eq!(verdict(&town, &copy), Err(Fault::Proof), "{level:?}");

        // Re-randomised: other commitments to the same ballot, with ζ and one ζ_T adapted to a guess of γ = 1.
        let mut other = copied.clone();
        for commitment in &mut other.commitments {
            let point = commitment.decompress().expect("a commitment");
            *commitment = Point::from(point + Base::Blinding.point());
            other.link.blinding += Scalar::ONE;
            other.link.folds[0].blinding += Scalar::ONE;
        }
        let copy = cast(&mallory.who(Cheat::Content(Box::new(other))), 2);
        assert_eq!(verdict(&town, &copy), Err(Fault::Proof), "re-randomised, {level:?}");
    }
}

#[test]
fn attack_06_a_copied_proof_under_another_tag_is_refused() {
    let (town, poll) = town(1, 3, (PollKind::Value, 3));
    let alice = alice(&town, poll.round);
    let mallory = town.community.people[1].leaf.tag(&town.manifest(poll.round).scope);
    assert_eq!(verdict(&town, &alice), Ok(()));

    let copy = with(&alice, &Body { tag: mallory, ..body(&alice) });

    assert_eq!(verdict(&town, &copy), Err(Fault::Proof));
}

#[test]
fn attack_06_a_copied_credential_on_another_ballot_is_refused() {
    let (town, poll) = town(1, 3, (PollKind::Value, 3));
    let alice = body(&alice(&town, poll.round));
    for level in LEVELS {
        let mallory = cast(&forger(&town, poll.round, 1, level), 2);
        assert_eq!(verdict(&town, &mallory), Ok(()));
        let credential = alice.credential.clone();

        let under_own_tag = Body { credential: credential.clone(), ..body(&mallory) };
        let under_her_tag = Body { credential, tag: alice.tag, ..body(&mallory) };

        for copy in [under_own_tag, under_her_tag] {
            assert!(verdict(&town, &with(&mallory, &copy)).is_err(), "{level:?}");
        }
    }
    // The other way round: her ballot, with the credential of another ballot of hers.
    let other = forger(&town, poll.round, 0, Level::Anonymous).cast(&[Vote::Disagree; 3], &mut rng(7));
    assert_eq!(verdict(&town, &other), Ok(()));
    let mixed = Body { credential: alice.credential.clone(), ..body(&other) };
    assert!(verdict(&town, &with(&other, &mixed)).is_err());
}

#[test]
fn attack_06_copied_boxes_open_for_no_operator() {
    let (town, poll) = town(4, 3, (PollKind::Value, 3));
    let alice = alice(&town, poll.round);
    let mallory = forger(&town, poll.round, 1, Level::Open);
    // The boxes' digest is a field of the body, not of the core: a forger can name boxes that are not bound to it.
    let copied = cast(&mallory.who(Cheat::None), 2);
    let mut said = body(&copied);
    content(&mut said).boxes = boxes_digest(&alice.boxes);
    let copied = Submission { boxes: alice.boxes.clone(), ..with(&copied, &said) };
    assert_eq!(verdict(&town, &copied), Err(Fault::Proof), "the proofs are bound to the boxes");

    let consistent = mallory.who(Cheat::Boxes(alice.boxes.clone())).cast(&[Vote::Agree; 3], &mut rng(2));

    let verdicts = town.check_private(&consistent).expect("the public part holds");
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Err(Fault::Seeds(_)))), "{verdicts:?}");
}

#[test]
fn attack_06_a_contribution_sent_twice_counts_once() {
    let (mut town, poll) = town(4, 3, (PollKind::Value, 3));
    let alice = alice(&town, poll.round);
    town.submit(&alice).expect("an honest ballot");

    assert_eq!(town.submit(&alice).map(drop), Err(Fault::Duplicate("a contribution with this tag and sequence")));

    town.seal(poll.round);
    assert_eq!(town.round(poll.round).sealed.as_ref().map(|sealed| sealed.contributions.len()), Some(1));
}
