//! 1: commitments outside the span of their generators, and rows that are no ballot.
//!
//! A forger cannot be given a witness that is no ballot; the proofs of one are held against the textbook proof, row by
//! row, beside the ballot proof itself. Here the rest of a contribution is made to fit: masks, link, boxes, credential.

use chorus_crypto::{Scalar, ballot::Layout, group::Base};
use chorus_protocol::contribution::layout;
use chorus_tests::malice::forge::Cheat;

use super::*;

/// One row of every kind, by the commitment it stands in: 0 is the link's mask row.
fn commitments(layout: &Layout) -> Vec<(&'static str, usize)> {
    vec![
        ("the link's mask row", 0),
        ("agreement", 1 + layout.agree_row(0)),
        ("disagreement", 1 + layout.disagree_row(3)),
        ("passing", 1 + layout.pass_row(layout.items() - 1)),
        ("the first dither bit", 1 + layout.dither_row(0, 0)),
        ("the last dither bit", 1 + layout.dither_row(1, 19)),
        ("a bucket", 1 + layout.bucket_row(2)),
    ]
}

#[test]
fn attack_01_a_ballot_outside_the_span_jams_no_round() {
    let (town, poll) = town(4, 3, (PollKind::Statement, 16));
    let layout = layout(town.round(poll.round)).expect("items");
    let scope = town.manifest(poll.round).scope;
    let bases = [Base::LeafBlinding, Base::LeafSecret, Base::Column(1), Base::Scope(scope)].map(Base::point);
    for level in LEVELS {
        let forger = forger(&town, poll.round, 0, level);
        assert_eq!(town.check_private(&cast(&forger, 1)), Ok(vec![Ok(()); 4]), "the honest ballot, {level:?}");
        for (what, row) in commitments(&layout) {
            // One after the other, so that every generator meets rows of both kinds of contribution.
            let point = bases[row % bases.len()];
            let cheats = [
                Cheat::Component(vec![(row, point)]),
                Cheat::Component(vec![(row, point), (row + 1, -point)]),
                Cheat::Cancelled(row.max(1), point),
            ];
            for cheat in cheats {
                let verdict = verdict(&town, &cast(&forger.who(cheat), 1));
                assert_eq!(verdict, Err(Fault::Proof), "{what}, {level:?}");
            }
        }
    }
}

/// Rows that differ from those of a ballot that agrees with all of 16 items.
fn no_ballots(layout: &Layout) -> Vec<(&'static str, Vec<(usize, Scalar)>)> {
    let (one, two, lane) = (Scalar::ONE, Scalar::from(2u8), Scalar::from(1u64 << 31));
    let (agree, disagree, pass) = (layout.agree_row(0), layout.disagree_row(0), layout.pass_row(0));
    vec![
        ("two choices of one item", vec![(disagree, one)]),
        ("all choices of one item", vec![(disagree, one), (pass, one)]),
        ("a vote of two", vec![(agree, two)]),
        ("a vote of minus one", vec![(agree, -one)]),
        ("half a vote", vec![(agree, two.invert())]),
        ("two votes and one taken back", vec![(agree, two), (disagree, -one)]),
        ("another item's vote on top", vec![(agree, two), (layout.agree_row(1), Scalar::ZERO)]),
        ("a vote beyond the lane", vec![(agree, lane)]),
        ("a vote that wraps a counter", vec![(agree, -lane)]),
        ("a vote that wraps the field", vec![(agree, -Scalar::from(u64::MAX))]),
    ]
}

#[test]
fn attack_01_nobody_votes_more_than_once_on_an_item() {
    for kind in [PollKind::Statement, PollKind::Value] {
        let (town, poll) = town(1, 2, (kind, 16));
        let layout = layout(town.round(poll.round)).expect("items");
        for level in LEVELS {
            let forger = forger(&town, poll.round, 0, level);
            assert_eq!(verdict(&town, &cast(&forger, 1)), Ok(()));
            for (what, rows) in no_ballots(&layout) {
                let verdict = verdict(&town, &cast(&forger.who(Cheat::Rows(rows)), 1));
                assert_eq!(verdict, Err(Fault::Proof), "{what}, {level:?}");
            }
        }
    }
}

#[test]
fn attack_01_dither_and_bucket_bits_are_what_they_should_be() {
    let (town, poll) = town(1, 2, (PollKind::Statement, 16));
    let layout = layout(town.round(poll.round)).expect("items");
    let (zero, one, two) = (Scalar::ZERO, Scalar::ONE, Scalar::from(2u8));
    let bucket = |k| layout.bucket_row(k);
    let cheats = [
        ("a dither bit of two", vec![(layout.dither_row(0, 3), two)]),
        ("a dither bit of minus one", vec![(layout.dither_row(1, 19), -one)]),
        ("two buckets", vec![(bucket(0), one)]),
        ("no bucket", vec![(bucket(7), zero)]),
        ("the wrong bucket", vec![(bucket(7), zero), (bucket(0), one)]),
        ("a bucket twice", vec![(bucket(7), two)]),
        ("a bucket twice, another taken back", vec![(bucket(7), two), (bucket(6), -one)]),
        ("fewer votes than the bucket says", (0..4).map(|item| (layout.agree_row(item), zero)).collect()),
    ];
    for level in LEVELS {
        let forger = forger(&town, poll.round, 0, level);
        assert_eq!(verdict(&town, &cast(&forger, 1)), Ok(()));
        for (what, rows) in &cheats {
            let verdict = verdict(&town, &cast(&forger.who(Cheat::Rows(rows.clone())), 1));
            assert_eq!(verdict, Err(Fault::Proof), "{what}, {level:?}");
        }
    }
}

#[test]
fn attack_01_buckets_that_a_short_poll_does_not_need_stay_empty() {
    // Eight items have two buckets, for seven and for eight votes.
    let (town, poll) = town(1, 2, (PollKind::Statement, 8));
    let layout = layout(town.round(poll.round)).expect("items");
    let forger = forger(&town, poll.round, 0, Level::Anonymous);
    for votes in [vec![Vote::Agree; 8], vec![Vote::Unseen; 8]] {
        assert_eq!(verdict(&town, &forger.cast(&votes, &mut rng(1))), Ok(()));
        for bucket in 2..8 {
            let rows = vec![(layout.bucket_row(bucket), Scalar::ONE)];
            let cheat = forger.who(Cheat::Rows(rows)).cast(&votes, &mut rng(1));
            assert_eq!(verdict(&town, &cheat), Err(Fault::Proof), "bucket {bucket}");
        }
    }
}
