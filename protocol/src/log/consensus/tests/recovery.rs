//! Crashes: at every point, with and without the unsynced tail, and what happens if the write-ahead log is lost.

use super::{super::*, network::*};

/// Crashes one or all nodes after `outputs` outputs, restarts them, and lets them go on. `None`: they never got there.
fn crash_after(size: usize, who: core::ops::Range<usize>, outputs: u64, loss: Loss) -> Option<Network> {
    let mut network = Network::new(outputs, size);
    network.downtime = Some(100);
    for index in who {
        network.nodes[index].crash_after = Some(outputs);
        network.nodes[index].loss = loss;
    }
    network.submit(0, &[1]);
    network.run(50, |_| false);
    network.submit(size - 1, &[2]);
    let settled = network.run_until_settled(60_000);
    if network.crashes == 0 {
        return None;
    }
    assert!(
        settled,
        "{size} {outputs} {loss:?}: {:?}",
        network.nodes.iter().map(|node| &node.consensus).collect::<Vec<_>>()
    );
    Some(network)
}

#[test]
fn a_crash_at_any_point_loses_nothing_and_contradicts_nothing() {
    for (size, who) in [(1, 0..1), (4, 0..1), (4, 2..3), (4, 0..4)] {
        for loss in [Loss::Nothing, Loss::Tail, Loss::Torn] {
            let mut replays = 0;
            let mut points = 0;
            while let Some(network) = crash_after(size, who.clone(), points, loss) {
                assert_eq!(network.disagreements, 0, "{size} {points} {loss:?}");
                assert!(network.culprits.is_empty() && network.halts.is_empty(), "{size} {points} {loss:?}");
                replays += network.replays;
                points += 1;
            }
            assert!(points > 10 && replays > 0, "{size} {loss:?}: {points} points, {replays} replays");
        }
    }
}

/// Loses and reorders messages and crashes nodes at random; the first `liars` nodes equivocate.
fn chaos(seed: u64, (size, liars): (usize, usize), losses: &[Loss]) -> Network {
    let mut network = Network::new(seed, size);
    network.nodes.iter_mut().take(liars).for_each(|node| node.malice = Some(Malice::Equivocates));
    network.loss_percent = 3;
    network.downtime = Some(150);
    network.crash_every = Some(60);
    for (node, loss) in network.nodes.iter_mut().zip(losses.iter().cycle()) {
        node.loss = *loss;
    }
    for entry in 0..25u8 {
        network.submit(usize::from(entry) % size, &[entry]);
        network.run(400, |_| false);
    }
    network.crash_every = None;
    network
}

#[test]
fn chaos_causes_no_disagreement_no_equivocation_and_no_halt() {
    let (mut crashes, mut replays, mut heights, mut rounds) = (0, 0, 0, 0);
    for seed in 0..12 {
        let size = [4, 4, 5, 7][usize::try_from(seed % 4).expect("small")];
        let mut network = chaos(seed, (size, 0), &[Loss::Tail, Loss::Torn, Loss::Nothing]);

        let settled = network.run_until_settled(300_000);

        assert!(settled, "seed {seed}");
        assert_eq!((network.disagreements, network.culprits.len()), (0, 0), "seed {seed}");
        assert_eq!(network.halts, [], "seed {seed}");
        crashes += network.crashes;
        replays += network.replays;
        heights += network.decided.len();
        rounds = rounds.max(network.highest_round);
    }
    println!("{heights} heights, {crashes} crashes, {replays} replays, highest round {rounds}");
    assert!(crashes > 100 && replays > 50 && heights > 100 && rounds > 0);
}

#[test]
fn as_many_liars_as_a_committee_bears_do_not_split_the_log_in_chaos_and_are_convicted() {
    let mut convicted = BTreeSet::new();
    for seed in 0..4 {
        let (size, liars) = if seed % 2 == 0 { (4, 1) } else { (7, 2) };
        let network = chaos(seed, (size, liars), &[Loss::Tail, Loss::Torn]);

        assert_eq!(network.disagreements, 0, "seed {seed}");
        assert_eq!(network.halts, [], "seed {seed}");
        assert!(network.culprits.iter().all(|culprit| (0..liars).any(|liar| key(liar).public() == *culprit)));
        convicted.extend(network.culprits);
    }
    assert_eq!(convicted.len(), 2);
}

#[test]
fn the_same_chaos_without_the_write_ahead_log_shows_equivocation() {
    let convicted = |seed| chaos(seed, (4, 0), &[Loss::WalAndPledge]).culprits.len();

    let convicted: usize = (0..4).map(convicted).sum();

    println!("{convicted} convicted");
    assert!(convicted > 0, "the harness does not see double signing");
}

#[test]
fn the_pledge_alone_keeps_an_operator_without_its_log_from_contradicting_itself() {
    for seed in 0..4 {
        let network = chaos(seed, (4, 0), &[Loss::Wal]);

        assert_eq!((network.disagreements, network.culprits.len()), (0, 0), "seed {seed}");
        assert_eq!(network.halts, [], "seed {seed}");
    }
}

#[test]
fn an_operator_that_lost_its_log_listens_until_the_height_is_decided_and_then_takes_part() {
    let mut network = Network::new(1, 4);
    network.nodes[2].loss = Loss::Wal;
    network.submit(0, &[1]);
    network.run(60_000, |network| network.nodes[2].disk.pledged.is_some());
    network.crash(2);
    let active = |network: &Network| network.nodes[2].consensus.as_ref().map(Consensus::is_active);

    network.boot(2);
    assert_eq!(active(&network), Some(false));
    assert!(network.run_until_settled(60_000));
    assert_eq!(active(&network), Some(true));
    network.crash(3);
    network.submit(0, &[2]);

    assert!(network.run(60_000, |network| network.height(2) == 2), "node 2 is needed for a quorum");
    assert!(network.culprits.is_empty());
}

#[test]
fn records_of_a_later_height_than_the_stored_log_silence_the_key_up_to_there() {
    let mut network = Network::new(1, 4);
    for entry in 0..3u8 {
        network.submit(0, &[entry]);
        assert!(network.run_until_all_at(usize::from(entry) + 1, 10_000));
    }
    network.submit(0, &[9]);
    assert!(network.run(10_000, |network| !network.nodes[0].disk.synced.is_empty()));
    let disk = &network.nodes[0].disk;
    let config = Config { community: community(), key: key(0), timeouts: Timeouts::default() };
    let (height, batch) = (Height(1), disk.log[0].certificate.value);
    let resume = Resume { height, batch, committee: committee(0..4), records: &disk.synced, pledged: None };

    let mut restored = Consensus::new(config, network.now, resume).expect("records decode");

    assert!(!restored.is_active());
    assert_eq!(outputs(&mut restored), [Output::Pledge(Height(4)), Output::WalReset(Height(2))]);
    for decision in &disk.log[1..] {
        restored.handle(network.now, Input::Sync(Box::new(decision.clone())), &valid).expect("decided");
        restored.handle(network.now, Input::Advance(committee(0..4)), &valid).expect("decided");
    }
    assert_eq!((restored.height(), restored.is_active()), (Height(4), false));
}

#[test]
fn a_corrupt_record_is_named() {
    let mut records = records(&proposing());
    records[1].pop();

    let error = resume(&records).map(|_| ());

    assert!(matches!(error, Err(ResumeError::Record { index: 1, .. })), "{error:?}");
}

/// Returns what a proposer does at the start of height 1.
fn proposing() -> Vec<Output> {
    let mut node = node(proposer(4, 1, 0), 4);
    node.handle(Timestamp::default(), Input::Wake, &valid).expect("starts");
    let propose = Input::Propose { height: Height(1), round: 0, entries: vec![vec![1]] };
    node.handle(Timestamp::default(), propose, &valid).expect("a good batch");
    outputs(&mut node)
}

fn records(outputs: &[Output]) -> Vec<Vec<u8>> {
    let record = |output: &Output| if let Output::WalAppend(bytes) = output { Some(bytes.clone()) } else { None };
    outputs.iter().filter_map(record).collect()
}

fn resume(records: &[Vec<u8>]) -> Result<Consensus, ResumeError> {
    let config = Config { community: community(), key: key(proposer(4, 1, 0)), timeouts: Timeouts::default() };
    let (height, batch, committee) = (Height::GENESIS, BatchId::default(), committee(0..4));
    Consensus::new(config, Timestamp::default(), Resume { height, batch, committee, records, pledged: None })
}

/// Panics unless every message follows the sync of what was appended, and the pledge; returns how many there are.
fn messages_after_sync(outputs: &[Output], mut unsynced: bool) -> usize {
    let (mut pledged, mut sent) = (false, 0);
    for output in outputs {
        match output {
            Output::WalAppend(_) => unsynced = true,
            Output::WalSync => unsynced = false,
            Output::Pledge(height) => pledged = *height == Height(1) && !unsynced,
            Output::Send(_) => {
                assert!(!unsynced && pledged, "{outputs:?}");
                sent += 1;
            }
            Output::WalReset(_) | Output::ProposalWanted { .. } | Output::Decided(_) | Output::Evidence(_) => {}
        }
    }
    sent
}

#[test]
fn whatever_leaves_a_node_was_made_durable_before() {
    let outputs = proposing();

    assert_eq!(messages_after_sync(&outputs, false), 2, "proposal and prevote");
}

#[test]
fn a_restarted_node_says_the_same_again_after_making_what_it_read_durable() {
    let before = proposing();

    let mut node = resume(&records(&before)).expect("own records replay");
    let after = outputs(&mut node);

    assert_eq!(messages_after_sync(&after, true), 2);
    let said = |outputs: &[Output]| -> Vec<Output> {
        outputs.iter().filter(|output| matches!(output, Output::Send(_))).cloned().collect()
    };
    assert_eq!(said(&after), said(&before));
    assert_eq!(records(&after), Vec::<Vec<u8>>::new());
}

#[test]
fn a_log_that_contradicts_its_own_replay_halts_the_node() {
    use arc_malachitebft_core_types::NilOrVal;
    use chorus_crypto::codec::Encode;
    let to_nil = |bytes: Vec<u8>| match Record::from_bytes(&bytes).expect("own record") {
        Record::Vote(mut vote) => {
            vote.statement.value = NilOrVal::Nil;
            let vote = Signed::new(vote.statement, community(), &key(proposer(4, 1, 0)));
            Some(Record::Vote(vote).to_bytes())
        }
        Record::Pledged(_) => None,
        Record::Proposal(_) | Record::Judged(_) | Record::Polka(_) | Record::Elapsed(_) => Some(bytes),
    };
    let changed: Vec<_> = records(&proposing()).into_iter().filter_map(to_nil).collect();

    let resumed = resume(&changed).map(|_| ());

    assert!(matches!(resumed, Err(ResumeError::Halted(Halt::Engine(_)))), "{resumed:?}");
}
