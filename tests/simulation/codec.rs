//! Bad input anywhere: a typed fault, no panic, and nothing is stored.

use std::{collections::BTreeMap, sync::LazyLock};

use chorus_crypto::codec::{Decode as _, DecodeError, Encode as _};
use chorus_protocol::{
    contribution::{Body, CheckedForm, Content, Submission},
    fault::Fault,
    id::CommunityId,
    ledger::RoundState,
    log::entry::{Entry, SignedEntry},
    message::Message,
    peer::Notice,
};
use chorus_tests::{fuzz, scenario::Play};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::faults::{FOUR, small};

/// Messages of every kind from a round that came to its end.
static SAMPLES: LazyLock<BTreeMap<u8, Vec<Message>>> = LazyLock::new(|| {
    let mut play = small(4).start();
    assert!(play.open());
    // Somebody who missed all votes has to ask for contributions, and be handed seeds.
    play.network.kill(1);
    play.vote_all();
    assert!(play.wait(RoundState::Sealed, 60_000));
    play.network.start(1);
    play.finish().expect("a result");
    let mut samples = play.network.tap.samples.clone();
    // Whoever is back before the seal compares what it holds with what others do.
    let mut play = small(4).start();
    assert!(play.open());
    play.network.kill(1);
    play.vote_all();
    play.network.run_until(5_000, |_| false);
    play.network.start(1);
    play.network.run_until(1_000, |_| false);
    samples.extend(play.network.tap.samples.clone().into_iter().filter(|(kind, _)| COMPARISON.contains(kind)));
    samples
});

/// The tag bytes of messages.
const SUBMISSION: u8 = 4;
const HANDOVER: u8 = 10;
const STEM: u8 = 11;
const COMPARISON: [u8; 2] = [12, 13];
const SIGHTING: u8 = 16;

/// An open round that nobody has voted in: what refers to votes is new to it, and everything else known.
fn open() -> Play {
    let mut play = small(4).start();
    assert!(play.open());
    play.network.run_until(500, |_| false);
    play
}

/// Everything that an operator has: its log, its disk.
fn state(play: &Play) -> (u64, Vec<Vec<u8>>) {
    (play.network.peer(0).height().0, play.network.disk_bytes(0))
}

/// Hands bytes to an operator and returns what it says about them.
fn refused(play: &mut Play, bytes: Vec<u8>) -> Vec<Fault> {
    let said = play.network.notices.len();
    play.network.deliver(0, 4, bytes);
    play.network.run_until(30, |_| false);
    let new = play.network.notices.iter().skip(said);
    new.filter_map(|(host, notice)| match notice {
        Notice::Refused { fault, .. } if *host == 0 => Some(fault.clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn there_is_a_sample_of_every_kind_of_message() {
    assert_eq!(
        SAMPLES.keys().copied().collect::<Vec<u8>>(),
        (1..=STEM).chain(COMPARISON).chain([SIGHTING]).collect::<Vec<u8>>()
    );
}

#[test]
fn every_message_that_is_cut_short_or_drawn_out_is_refused() {
    let mut play = open();
    let community = play.community.id();
    let before = state(&play);
    for message in SAMPLES.values().filter_map(|samples| samples.first()) {
        let bytes = message.seal(community);
        let step = bytes.len().div_ceil(40);
        for end in (0..bytes.len()).step_by(step) {
            let faults = refused(&mut play, bytes[..end].to_vec());
            assert!(matches!(faults.as_slice(), [Fault::Encoding(DecodeError::Truncated { .. })]), "{end}: {faults:?}");
        }
        let faults = refused(&mut play, [bytes.as_slice(), &[0]].concat());
        assert!(matches!(faults.as_slice(), [Fault::Encoding(DecodeError::Trailing(1))]), "{faults:?}");
    }
    assert!(state(&play) == before, "nothing is stored");
}

#[test]
fn other_versions_communities_and_kinds_are_refused() {
    let mut play = open();
    let community = play.community.id();
    let before = state(&play);
    let bytes = SAMPLES[&SUBMISSION][0].seal(community);
    let changed = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        bytes
    };

    assert_eq!(refused(&mut play, changed(0, 2)), [Fault::Version(2)]);
    assert_eq!(refused(&mut play, SAMPLES[&SUBMISSION][0].seal(CommunityId::from([7; 32]))), [Fault::Community]);
    let unknown = DecodeError::UnknownTag { of: "Message", found: 0 };
    assert_eq!(refused(&mut play, changed(33, 0)), [Fault::Encoding(unknown)]);
    assert_eq!(refused(&mut play, changed(33, 99)), [Fault::Unknown("kind of message")], "a later minor version may");
    assert!(state(&play) == before, "nothing is stored");
}

#[test]
fn lengths_beyond_their_bounds_are_refused_before_anything_is_read() {
    let mut play = open();
    let community = play.community.id();
    let before = state(&play);
    // Behind the envelope's 33 bytes and the tag stands a length in each of these kinds; in a handover it follows the id of
    // the body and the mark of the contribution, in a stem the number of steps.
    for (kind, at) in [(2, 34), (SUBMISSION, 34), (8, 34), (HANDOVER, 34 + 33), (STEM, 35)] {
        let mut bytes = SAMPLES[&kind][0].seal(community);
        bytes[at..at + 4].fill(0xFF);

        let faults = refused(&mut play, bytes);

        assert!(matches!(faults.as_slice(), [Fault::Encoding(DecodeError::TooLong { .. })]), "{kind}: {faults:?}");
    }
    assert!(state(&play) == before, "nothing is stored");
}

fn a_submission() -> Submission {
    match &SAMPLES[&SUBMISSION][0] {
        Message::Submission(submission) => submission.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn scalars_and_points_in_another_form_are_refused() {
    let mut play = open();
    let community = play.community.id();
    let before = state(&play);
    let honest = a_submission();
    let bytes = Message::Submission(honest.clone()).seal(community);

    // The first masked scalar: not reduced.
    let at = 34 + 4 + honest.body.len() + 4;
    let mut unreduced = bytes.clone();
    unreduced[at..at + 32].fill(0xFF);
    let faults = refused(&mut play, unreduced);
    assert_eq!(faults, [Fault::Encoding(DecodeError::NonCanonical("scalar"))]);

    // A commitment that is no point, and a tag that is the identity.
    let body = Body::from_bytes(&honest.body).expect("a body");
    let Content::Ballot(mut content) = body.content.clone() else { panic!("a ballot") };
    content.commitments[3] = [0xFF; 32].into();
    let no_point = Body { content: Content::Ballot(content), ..body.clone() };
    let mut identity = body.to_bytes();
    identity[32..64].fill(0);
    for bytes in [no_point.to_bytes(), identity] {
        let submission = Submission { body: bytes, ..honest.clone() };
        let faults = refused(&mut play, Message::Submission(submission).seal(community));
        assert!(
            matches!(faults.as_slice(), [Fault::Point(_) | Fault::Credential(_) | Fault::Encoding(_)]),
            "{faults:?}"
        );
    }
    assert!(state(&play) == before, "nothing is stored");
}

#[test]
fn a_leaf_that_is_the_identity_is_no_member() {
    let mut play = open();
    let community = play.community.id();
    let before = state(&play);
    let signed = play.community.registration(0);
    let Entry::Register(registration) = &signed.entry else { panic!("a registration") };
    let leaf = registration.claim.leaf.to_bytes();
    let mut bytes = signed.to_bytes();
    let at = bytes.windows(32).position(|window| window == leaf).expect("the leaf is in its registration");
    bytes[at..at + 32].fill(0);

    let faults = match SignedEntry::from_bytes(&bytes) {
        Ok(entry) => refused(&mut play, Message::Entry(entry).seal(community)),
        Err(error) => vec![Fault::Encoding(error)],
    };

    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(state(&play) == before, "nothing is stored");
}

/// Changes some bytes: bits, whole bytes, lengths, order.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    let original = bytes.clone();
    while *bytes == original {
        for _ in 0..=rng.next_u32() % 3 {
            let at = rng.next_u32() as usize % bytes.len().max(1);
            match (rng.next_u32() % 5, bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << (rng.next_u32() % 8),
                (1, Some(byte)) => *byte = rng.next_u32().to_be_bytes()[0],
                (2, Some(_)) => bytes.truncate(at),
                (3, Some(_)) => bytes.insert(at, 0),
                (_, Some(_)) => bytes[at..].reverse(),
                (_, None) => bytes.push(0),
            }
        }
    }
}

#[test]
fn whatever_decodes_encodes_to_itself() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let samples: Vec<Vec<u8>> =
        SAMPLES.values().flatten().map(|message| message.seal(CommunityId::from([3; 32]))).collect();
    for index in 0..6_000 {
        let mut bytes = samples[index % samples.len()].clone();
        mutate(&mut bytes, &mut rng);

        fuzz::message(&bytes);
        // Behind envelope and tag is what stands alone on the log or in a store.
        let inner = bytes.get(34..).unwrap_or_default();
        fuzz::log(inner);
        fuzz::entry(inner);
        fuzz::body(inner);
        if index % 10 == 0 {
            fuzz::peer(bytes.get(33..).unwrap_or_default());
        }
    }
}

#[test]
fn an_operator_fed_with_changed_messages_stores_nothing_and_ends_its_round_as_if_nothing_were() {
    let mut play = open();
    let community = play.community.id();
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    // Of the log and of the consensus only what this network said itself: the other one signed another history.
    let known = &play.network.tap.samples;
    let with_votes = [SUBMISSION, 5, 9, HANDOVER];
    let samples: Vec<Vec<u8>> = SAMPLES
        .iter()
        .filter(|(kind, _)| with_votes.contains(kind))
        .chain(known.iter().filter(|(kind, _)| !with_votes.contains(kind)))
        .flat_map(|(_, samples)| samples.iter().map(|message| message.seal(community)))
        .collect();
    let before = state(&play);

    for index in 0..4_000 {
        let mut bytes = samples[index % samples.len()].clone();
        // Leave version and community alone, mostly: what is behind them is to be reached.
        let mut inner = bytes.split_off(if index % 20 == 0 { 0 } else { 33 });
        mutate(&mut inner, &mut rng);
        bytes.extend(inner);
        play.network.deliver(0, 4, bytes);
        if index % 100 == 0 {
            play.network.run_until(30, |_| false);
        }
    }
    play.network.run_until(200, |_| false);

    assert!(state(&play) == before, "nothing is stored");
    let result = play.vote_and_finish().expect("a result");
    assert!(play.body(&result.result) == FOUR.bytes);
    let form = CheckedForm::new(play.network.peer(0).ledger(), &a_submission().body);
    assert!(form.is_ok(), "the samples are of this round");
}
