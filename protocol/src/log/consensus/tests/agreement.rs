//! Honest operators: they decide, in every size of committee, and are silent otherwise.

use super::{super::*, network::*};

fn decided_bytes(seed: u64) -> Vec<Vec<u8>> {
    use chorus_crypto::codec::Encode;
    let mut network = Network::new(seed, 4);
    network.loss_percent = 3;
    for entry in 0..5u8 {
        network.submit(usize::from(entry) % 4, &[entry]);
        network.run(300, |_| false);
    }
    assert!(network.run_until_all_at(1, 60_000));
    network.nodes.iter().flat_map(|node| node.disk.log.iter().map(Encode::to_bytes)).collect()
}

#[test]
fn committees_of_one_four_five_and_seven_decide_what_was_submitted_in_one_order() {
    for size in [1, 4, 5, 7] {
        let mut network = Network::new(1, size);

        for entry in 0..10u8 {
            network.submit(usize::from(entry) % size, &[entry]);
            network.run(40, |_| false);
        }

        let all = |network: &Network| network.nodes.iter().all(|node| node.pending.is_empty());
        assert!(network.run(20_000, all), "{size}");
        let highest = network.decided.len();
        assert!(network.run_until_all_at(highest, 20_000), "{size}");
        assert_eq!((network.disagreements, network.halts.len(), network.highest_round), (0, 0, 0), "{size}");
        let log = &network.nodes[0].disk.log;
        let mut entries: Vec<_> = log.iter().flat_map(|decision| decision.batch.entries().to_vec()).collect();
        entries.sort_unstable();
        assert_eq!(entries, (0..10u8).map(|entry| vec![entry]).collect::<Vec<_>>(), "{size}");
        assert!(log.array_windows().all(|[a, b]| b.batch.previous() == a.batch.id()), "{size}");
    }
}

#[test]
fn an_idle_log_sends_nothing_and_waits_for_nothing() {
    let mut network = Network::new(2, 4);
    network.submit(0, &[1]);
    assert!(network.run_until_all_at(1, 10_000));
    network.run(1_000, |_| false);

    let sent = network.sent;
    network.run(600_000, |_| false);

    assert_eq!(network.sent, sent);
    assert!(network.nodes.iter().all(|node| node.consensus.as_ref().is_some_and(|it| it.next_deadline().is_none())));
    assert_eq!(network.height(0), 1);
}

#[test]
fn one_operator_down_of_four_and_two_of_seven_cost_rounds_but_not_the_log() {
    for (size, down) in [(4, 1), (5, 1), (7, 2)] {
        let mut network = Network::new(3, size);
        (0..down).for_each(|index| network.crash(index));

        for entry in 0..8u8 {
            network.submit(size - 1, &[entry]);
            let decided = usize::from(entry) + 1;
            assert!(network.run(20_000, |network| network.height(size - 1) >= decided), "{size} {entry}");
        }

        assert_eq!(network.disagreements, 0);
        assert!(network.highest_round >= 1, "a dead proposer costs a round");
    }
}

#[test]
fn without_a_quorum_nothing_is_decided_until_it_returns() {
    let mut network = Network::new(4, 4);
    network.crash(0);
    network.crash(1);
    network.submit(3, &[1]);
    assert!(!network.run(60_000, |network| network.height(3) > 0));

    network.boot(1);

    assert!(network.run(60_000, |network| network.height(1) > 0 && network.height(3) > 0));
}

#[test]
fn a_laggard_catches_up_by_sync_and_votes_again() {
    let mut network = Network::new(5, 4);
    network.crash(2);
    for entry in 0..12u8 {
        network.submit(0, &[entry]);
        let decided = usize::from(entry) + 1;
        assert!(network.run(20_000, |network| network.height(0) >= decided));
    }
    assert_eq!(network.height(2), 0);

    network.boot(2);
    assert!(network.run_until_all_at(12, 10_000));
    network.crash(3);
    network.submit(0, &[99]);

    assert!(network.run(20_000, |network| network.height(0) >= 13), "node 2 is needed for a quorum");
}

#[test]
fn a_committee_grows_and_shrinks_at_stated_heights() {
    let mut network = Network::bare(6, 7);
    network.committees.insert(Height(1), committee(0..4));
    network.committees.insert(Height(3), committee(0..7));
    network.committees.insert(Height(5), committee(2..7));
    (0..7).for_each(|index| network.boot(index));

    for entry in 0..7u8 {
        network.submit(6, &[entry]);
        assert!(network.run_until_all_at(usize::from(entry) + 1, 20_000), "{entry}");
    }

    assert_eq!((network.disagreements, network.halts.len()), (0, 0));
    let last = &network.nodes[0].disk.log[6].certificate;
    assert!(last.signatures.iter().all(|(signer, _)| committee(2..7).contains(signer)));
}

#[test]
fn the_same_seed_decides_the_same_bytes() {
    assert_eq!(decided_bytes(7), decided_bytes(7));
    assert_ne!(decided_bytes(7), decided_bytes(8));
}

#[test]
fn a_proposal_of_too_much_is_the_callers_mistake_and_can_be_made_again() {
    let mut node = node(0, 1);
    let propose = |entries| Input::Propose { height: Height(1), round: 0, entries };
    node.handle(Timestamp::default(), Input::Wake, &valid).expect("an idle height starts");

    let too_long = vec![vec![0; crate::limits::MAX_ENTRY_BYTES + 1]];
    let refused = node.handle(Timestamp::default(), propose(too_long), &valid);
    assert!(matches!(refused, Err(ConsensusError::Batch(_))));
    let refused = node.handle(Timestamp::default(), propose(vec![vec![0xFF]]), &valid);
    assert_eq!(refused, Err(ConsensusError::InvalidProposal));
    let early = node.handle(Timestamp::default(), Input::Advance(committee(0..1)), &valid);
    assert_eq!(early, Err(ConsensusError::Undecided(Height(1))));
    node.handle(Timestamp::default(), propose(vec![vec![1]]), &valid).expect("a good batch");

    let outputs = outputs(&mut node);
    assert!(matches!(outputs.last(), Some(Output::Decided(_))), "{outputs:?}");
}
