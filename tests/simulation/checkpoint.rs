//! The state as bytes, and who goes on from it: they come to the same end as who followed everything.

use chorus_crypto::{
    codec::{Decode as _, DecodeError, Encode as _},
    sign::{PublicKey, SecretKey, Signature},
};
use chorus_protocol::{
    config::Policy,
    id::{BatchId, BlobId},
    ledger::{Ledger, MIN_CHECKPOINT_HEIGHTS},
    log::{
        batch::{Batch, Height},
        consensus::{Decision, Statement as _, Vote},
        entry::{Checkpoint, ClockReading, Entry},
    },
    message::{LogPart, Message, Tip},
    peer::{ArrivalError, Landmark, Notice},
    time::Timestamp,
};
use chorus_tests::{
    community::Community,
    history::{History, Past},
    network::{Network, Tamper},
    offline::Town,
    restored::{assert_restores, restored},
    scenario::Scenario,
};

#[test]
fn a_log_with_a_map_is_taken_up_at_every_height() {
    let mut play = Scenario { people: 16, items: 8, ..Scenario::default() }.start();
    assert!(play.open());
    play.vote_and_finish().expect("a result");
    play.network.run_until(5_000, |_| false);

    let (ledger, bytes) = play.assert_restores();

    let log: usize = play.network.decisions(0).iter().map(|decision| decision.size()).sum();
    println!("a round of 16: {bytes} B of state, {log} B of log");
    assert_eq!(ledger.to_bytes(), play.network.peer(0).ledger().to_bytes(), "the peer's own is the same");
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let mut play = Scenario { operators: 4, people: 8, items: 4, ..Scenario::default() }.start();
    assert!(play.open());
    let bytes = play.network.peer(0).ledger().to_bytes();
    let _ = assert_restores(&play.community.genesis, play.network.decisions(0));
    let _ = restored(play.network.peer(0).ledger());

    for cut in (0..bytes.len()).step_by(97) {
        assert!(Ledger::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(Ledger::from_bytes(&[bytes.as_slice(), &[0]].concat()).err(), Some(DecodeError::Trailing(1)));
    // A changed byte is refused, or is another state with its own bytes: never the same state.
    for index in (0..bytes.len()).step_by(13) {
        let mut changed = bytes.clone();
        changed[index] ^= 1 << (index % 8);
        if let Ok(other) = Ledger::from_bytes(&changed) {
            assert_eq!(other.to_bytes(), changed);
        }
    }
}

/// A community whose log has come to a height at which a checkpoint may follow.
fn due() -> Town {
    let mut town = Town::new(Community::new(7, 4, 3, Policy::default()), 7);
    let operator = town.community.operators[0].clone();
    for height in 1..=MIN_CHECKPOINT_HEIGHTS {
        let reading = Entry::Clock(ClockReading { time: Timestamp::from_millis(height) });
        town.say(&operator, reading).expect("a later reading");
        town.ledger.complete(Height(height));
    }
    town
}

#[test]
fn a_batch_may_begin_with_the_state_before_it_and_with_no_other() {
    let mut town = due();
    let (operator, attester) = (town.community.operators[1].clone(), town.community.attesters[0].clone());
    let (checkpoint, state) = town.ledger.checkpoint().expect("due");
    assert_eq!(Ledger::from_bytes(&state).expect("a state").to_bytes(), state);

    for wrong in [
        Checkpoint { height: Height(1), ..checkpoint },
        Checkpoint { state: BlobId::of(b"another"), ..checkpoint },
        Checkpoint { bytes: 1, ..checkpoint },
    ] {
        assert!(town.say(&operator, Entry::Checkpoint(wrong)).is_err(), "{wrong:?}");
    }
    assert!(town.say(&attester, Entry::Checkpoint(checkpoint)).is_err(), "operators only");
    town.say(&operator, Entry::Checkpoint(checkpoint)).expect("the state before");
    assert!(town.say(&operator, Entry::Checkpoint(checkpoint)).is_err(), "once, and first");
    town.ledger.complete(Height(MIN_CHECKPOINT_HEIGHTS + 1));
    assert!(town.ledger.checkpoint().is_none(), "not at every height");
}

/// A community with some rounds, and checkpoints between them.
fn past(rounds: u32) -> History {
    Past { rounds, checkpoint_heights: MIN_CHECKPOINT_HEIGHTS, ..Past::default() }.play()
}

fn newest(network: &Network) -> (Landmark, Checkpoint) {
    network.peer(0).newest_checkpoint().expect("there is one")
}

/// What a host was told about where its log begins.
fn told(network: &Network, host: usize) -> Vec<ArrivalError> {
    let of_host = network.notices.iter().filter(|(at, _)| *at == host);
    of_host
        .filter_map(|(_, notice)| if let Notice::Arriving { why, .. } = notice { Some(*why) } else { None })
        .collect()
}

#[test]
fn a_newcomer_begins_at_a_checkpoint_takes_part_and_goes_on_after_a_restart() {
    let mut history = past(4);
    let (landmark, checkpoint) = newest(&history.play.network);
    let height = history.play.network.peer(0).height();
    assert!(landmark.height.0 > MIN_CHECKPOINT_HEIGHTS && landmark.height <= height);
    let fetched = history.play.network.bytes_fetched;

    let newcomer = history.play.network.add_newcomer(Some(landmark));
    let is_there = |network: &Network| network.peer(newcomer).height() >= height;
    assert!(history.play.network.run_until(20_000, is_there), "{:?}", history.play.network.peer(newcomer));

    let network = &history.play.network;
    assert_eq!(network.peer(newcomer).log_start(), checkpoint.height);
    let own = network.peer(newcomer).height().0 - checkpoint.height.0;
    assert_eq!(network.decisions(newcomer).len() as u64, own, "nothing from before");
    assert_eq!(network.peer(newcomer).newest_checkpoint(), Some((landmark, checkpoint)), "it can invite others");
    let bodies = network.bytes_fetched - fetched;
    println!("{height} heights, {} B of state, {bodies} B of bodies fetched", checkpoint.bytes);

    // It follows the next round to its result, which it finds itself, with a member at it; and starts again in between.
    history.play.network.kill(newcomer);
    history.play.network.start(newcomer);
    assert_eq!(history.play.network.peer(newcomer).log_start(), checkpoint.height);
    history.one_more_at(5, newcomer);
    let network = &mut history.play.network;
    let round = history.play.poll.round;
    let found = |network: &Network| {
        let peer = network.peer(newcomer);
        let result = peer.ledger().rounds()[&round].agreed_result().cloned();
        result.is_some_and(|result| peer.has_found(&result.result))
    };
    assert!(network.run_until(20_000, found));
    network.run_until(5_000, |_| false);
    assert_eq!(network.peer(newcomer).ledger().to_bytes(), network.peer(0).ledger().to_bytes());
    assert_eq!(told(network, newcomer), []);
}

#[test]
fn who_began_at_a_checkpoint_says_that_it_lacks_what_was_before() {
    let mut history = past(2);
    let (landmark, _) = newest(&history.play.network);
    let network = &mut history.play.network;
    let newcomer = network.add_newcomer(Some(landmark));
    assert!(network.run_until(20_000, |network| network.peer(newcomer).height() >= landmark.height));
    let community = history.play.community.id();

    let answers = |network: &mut Network, height| {
        network.ask(newcomer, Message::LogRequest(Tip { height: Height(height) }).seal(community))
    };

    let nothing = Message::Log(LogPart { decisions: Vec::new() });
    for before in [1, landmark.height.0 - 1] {
        assert_eq!(answers(network, before), std::slice::from_ref(&nothing), "height {before}");
    }
    let [Message::Log(part)] = &answers(network, landmark.height.0)[..] else { panic!("a part of the log") };
    assert_eq!(part.decisions[0].batch.id(), landmark.batch);
}

/// What comes of a newcomer that is told of a landmark.
fn arrival(history: &mut History, landmark: Landmark, liar: Option<Tamper>) -> (bool, Vec<ArrivalError>) {
    let network = &mut history.play.network;
    let newcomer = network.add_newcomer(Some(landmark));
    if let Some(liar) = liar {
        network.tamper(0, liar);
    }
    let there = network.run_until(80_000, |network| network.peer(newcomer).height() > Height::GENESIS);
    network.kill(newcomer);
    (there, told(&history.play.network, newcomer))
}

#[test]
fn an_invitation_that_names_what_is_no_checkpoint_is_not_followed() {
    let mut history = past(2);
    let (landmark, _) = newest(&history.play.network);
    let decisions = history.play.network.decisions(0).to_vec();
    let other = decisions.iter().find(|it| it.batch.height().0 == landmark.height.0 - 1).expect("one before");

    let invented = Landmark { batch: BatchId::from([7; 32]), ..landmark };
    assert_eq!(arrival(&mut history, invented, None), (false, vec![ArrivalError::OtherBatch]));
    let ordinary = Landmark { height: other.batch.height(), batch: other.batch.id() };
    assert_eq!(arrival(&mut history, ordinary, None), (false, vec![ArrivalError::NoCheckpoint]));
    let ahead = Landmark { height: Height(landmark.height.0 + 1_000), ..landmark };
    assert_eq!(arrival(&mut history, ahead, None), (false, vec![ArrivalError::Unanswered]));
}

#[test]
fn a_batch_that_the_state_s_operators_have_not_certified_is_no_beginning() {
    let mut history = past(2);
    let (landmark, _) = newest(&history.play.network);
    let decision = history.play.network.decisions(0)[landmark.height.0 as usize - 1].clone();
    // The others are down: the liar is the only one to ask.
    (1..history.play.network.len()).for_each(|host| history.play.network.kill(host));
    let showing = |shown: Decision| -> Tamper {
        Box::new(move |_, message| {
            let shown = Message::Log(LogPart { decisions: vec![shown.clone()] });
            vec![(0, if matches!(message, Message::Log(_)) { shown } else { message })]
        })
    };

    let quorum = decision.certificate.signatures.len();
    assert_eq!(quorum, 3, "of four operators");
    let too_few = (0..quorum).map(|count| decision.certificate.signatures[..count].to_vec());
    let other_signers = (0..quorum).flat_map(|at| {
        let certificate = &decision.certificate;
        let with = |signer: (PublicKey, Signature)| {
            let mut signatures = certificate.signatures.clone();
            signatures[at] = signer;
            signatures.sort_unstable();
            signatures
        };
        // Somebody who is no operator signs the same; and an operator's word is there twice.
        let stranger = SecretKey::from_seed(&[9; 32]);
        let vote = Vote::precommit(certificate.height, certificate.round, certificate.value, stranger.public());
        let signature = stranger.sign(Vote::DOMAIN, &vote.preimage(history.play.community.id()));
        [with((stranger.public(), signature)), with(certificate.signatures[(at + 1) % quorum])]
    });
    let wrong: Vec<_> = too_few.chain(other_signers).collect();
    assert_eq!(wrong.len(), quorum + 2 * quorum);
    for signatures in wrong {
        let mut uncertified = decision.clone();
        uncertified.certificate.signatures = signatures;
        let refused = arrival(&mut history, landmark, Some(showing(uncertified.clone())));
        assert_eq!(refused, (false, vec![ArrivalError::Certificate]), "{:?}", uncertified.certificate.signatures);
    }

    // Another state under the same batch has another id: the batch would not be the one that is named.
    let mut entries = decision.batch.entries().to_vec();
    entries.swap_remove(0);
    let batch = Batch::new(decision.batch.height(), decision.batch.previous(), entries).expect("a batch");
    let shown = showing(Decision { batch, ..decision.clone() });
    let (arrived, told) = arrival(&mut history, landmark, Some(shown));
    assert_eq!((arrived, told), (false, vec![ArrivalError::Unanswered]), "a liar cannot end it");
    assert!(arrival(&mut history, landmark, Some(showing(decision))).0, "the honest one is believed");
}
