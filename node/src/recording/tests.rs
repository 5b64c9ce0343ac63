use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    config::Policy,
    id::RoundId,
    journal::RoundKeyRecord,
    log::batch::Height,
    message::{MINOR, Message, Tip},
    peer::{Checkpoints, Peer},
    registry::policy::Attester,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;

fn config(operator: Option<SecretKey>) -> Config {
    let key = SecretKey::from_seed(&[1; 32]).public();
    let genesis = Genesis {
        name: "Pier".into(),
        purpose: "A try-out".into(),
        operators: vec![key],
        attesters: vec![Attester { key, organisation: String::new() }],
        policy: Policy::default(),
    };
    let node = NodeId::from([2; 32]);
    Config {
        genesis,
        node,
        operator,
        timeouts: Timeouts::default(),
        pass_millis: Config::PASS_MILLIS,
        held_bytes: limits::MAX_HELD_BYTES,
        minor: MINOR,
        checkpoints: Checkpoints::default(),
        cohort: None,
    }
}

/// Records a follower that hears of a log, and returns how often it was told something.
fn record(plan: &Plan) -> u64 {
    let (start, seed) = (Timestamp::from_millis(1_000), [7; 32]);
    let mut recorder =
        Recorder::begin(plan, &config(None), &Saved::default(), start, seed).expect("a recording begins");
    let mut peer = Peer::new(config(None), start, Saved::default()).expect("starts");
    let mut rng = ChaCha20Rng::from_seed(recorder.seed());
    let other = NodeId::from([9; 32]);
    let tip = Message::Tip(Tip { height: Height(3) }).seal(peer.ledger().community());
    let events = [
        Event::Connected(other),
        Event::Message { from: other, bytes: tip },
        Event::Message { from: other, bytes: vec![1, 2, 3] },
        Event::Blob { id: BlobId::of(b"a body"), bytes: b"a body".as_slice().into() },
        Event::Command(Command::Keep(b"kept".as_slice().into())),
        Event::Tick,
        Event::Disconnected(other),
    ];
    let mut at = start;
    for event in events {
        at = at.plus_millis(10_000);
        let pending = recorder.note(at, &event);
        peer.handle(at, event, &mut rng);
        let effects: Vec<Effect> = std::iter::from_fn(|| peer.poll_effect()).collect();
        if let Some(pending) = pending {
            recorder.write(pending, &effects);
        }
    }
    recorder.flush();
    7
}

fn plan(folder: &tempfile::TempDir) -> Plan {
    Plan { path: folder.path().join("events"), bound: 1024 * 1024 }
}

#[test]
fn what_was_recorded_is_told_again_to_the_same_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(&folder);
    let told = record(&plan);

    let mut steps = Vec::new();
    let recording = Recording::open(&plan.path).expect("opens");
    let outcome = recording.replay(|step| steps.push(step.clone())).expect("replays");

    assert_eq!((outcome.events, outcome.diverged, outcome.torn), (told, None, false));
    assert_eq!(steps[1].event, "message: tip");
    assert_eq!(steps[1].effects.get("send"), Some(&1), "it asks for the log");
    assert_eq!((steps[2].event.as_str(), steps[2].effects.get("notice")), ("message: what is no message", Some(&1)));
    assert_eq!(steps[4].effects.get("store"), Some(&1));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&plan.path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    }
}

/// The parts of a recording with their frames' places.
fn frames(bytes: &[u8]) -> Vec<(usize, Part)> {
    use chorus_crypto::codec::Decode as _;
    let mut rest = &bytes[MAGIC.len()..];
    let mut parts = Vec::new();
    loop {
        let at = bytes.len() - rest.len();
        match frame::read(&mut rest).expect("readable") {
            frame::Next::Part(part, _) => parts.push((at, Part::from_bytes(&part).expect("a part"))),
            frame::Next::End => return parts,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_first_event_that_leads_to_something_else_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(&folder);
    record(&plan);
    let bytes = fs::read(&plan.path).expect("readable");
    let mut changed = MAGIC.to_vec();
    for (number, (_, part)) in frames(&bytes).into_iter().enumerate() {
        let part = match part {
            // Begin and Start stand before the events: this is the second.
            Part::Event(happened) if number == 3 => Part::Event(Happened { digest: [0; 16], ..happened }),
            part => part,
        };
        changed.extend(frame::of(&part.to_bytes()));
    }
    fs::write(&plan.path, changed).expect("written");

    let outcome = Recording::open(&plan.path).expect("opens").replay(|_| {}).expect("replays");

    assert_eq!((outcome.diverged, outcome.events), (Some(2), 2));
}

#[test]
fn operators_and_those_who_were_are_not_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plan, now) = (plan(&folder), Timestamp::from_millis(0));
    let key = Record::RoundKey(RoundKeyRecord { round: RoundId::from([1; 32]), secret: [3; 32] });
    let former = Saved { records: vec![key], ..Saved::default() };

    let operator =
        Recorder::begin(&plan, &config(Some(SecretKey::from_seed(&[1; 32]))), &Saved::default(), now, [0; 32]);
    let former = Recorder::begin(&plan, &config(None), &former, now, [0; 32]);

    assert!(matches!(operator, Err(RecordingError::Operator)));
    assert!(matches!(former, Err(RecordingError::Keys)));
    assert!(!plan.path.exists(), "nothing is written");
}

#[test]
fn a_recording_ends_at_its_bound_and_earlier_ones_are_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = plan(&folder);
    record(&first);
    let length = fs::metadata(&first.path).expect("there").len();
    let short = Plan { bound: length - 1, ..first.clone() };

    for _ in 0..4 {
        record(&short);
    }

    let outcome = Recording::open(&short.path).expect("opens").replay(|_| {}).expect("replays");
    assert_eq!((outcome.events, outcome.torn), (6, false));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 3);
}

#[test]
fn a_torn_recording_is_replayed_as_far_as_it_goes_and_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(&folder);
    record(&plan);
    let bytes = fs::read(&plan.path).expect("readable");
    let replay = |bytes: &[u8]| {
        fs::write(&plan.path, bytes).expect("written");
        Recording::open(&plan.path).and_then(|recording| recording.replay(|_| {}))
    };

    let torn = replay(&bytes[..bytes.len() - 1]).expect("replays");
    assert_eq!((torn.events, torn.torn), (6, true));
    assert!(matches!(replay(&bytes[1..]), Err(RecordingError::NotOne)));
    for at in (MAGIC.len()..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let refused = replay(&changed);
        let torn = refused.as_ref().is_ok_and(|outcome| outcome.torn);
        assert!(refused.is_err() || torn, "changed at {at}");
    }
}
