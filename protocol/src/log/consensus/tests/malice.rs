//! Liars and forgers.

use arc_malachitebft_core_types::{NilOrVal, VoteType};
use chorus_crypto::codec::Encode;
use proptest::prelude::*;

use super::{
    super::{
        message::{Bundle, BundleKind, Message},
        *,
    },
    network::*,
};
use crate::{
    id::CommunityId,
    log::certificate::{Certificate, CertificateError},
};

/// Returns what the proposer of height 1 sends first: its prevote and its proposal.
fn prevote_and_proposal() -> [Vec<u8>; 2] {
    let mut node = node(proposer(4, 1, 0), 4);
    node.handle(Timestamp::default(), Input::Wake, &valid).expect("starts");
    let propose = Input::Propose { height: Height(1), round: 0, entries: vec![vec![1]] };
    node.handle(Timestamp::default(), propose, &valid).expect("a good batch");
    let sent = |output| if let Output::Send(bytes) = output { Some(bytes) } else { None };
    let sent: Vec<_> = outputs(&mut node).into_iter().filter_map(sent).collect();
    sent.try_into().expect("two messages")
}

fn vote(index: usize, height: u64, round: u32) -> Signed<Vote> {
    Signed::new(
        Vote::precommit(Height(height), round, BatchId::from([5; 32]), key(index).public()),
        community(),
        &key(index),
    )
}

fn refusal(node: &mut Consensus, bytes: Vec<u8>) -> Option<Refusal> {
    match node.handle(Timestamp::default(), Input::Message(bytes), &valid) {
        Ok(()) => None,
        Err(ConsensusError::Refused(refusal)) => Some(refusal),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_equivocator_is_convicted_and_stops_nobody() {
    for seed in 0..3 {
        let mut network = Network::new(seed, 4);
        network.nodes[1].malice = Some(Malice::Equivocates);

        for entry in 0..8u8 {
            network.submit(0, &[entry]);
            assert!(network.run(30_000, |network| network.height(0) > usize::from(entry)), "{entry}");
        }

        assert!(network.run_until_settled(60_000));
        assert_eq!((network.disagreements, network.halts.len()), (0, 0));
        assert_eq!(network.culprits, BTreeSet::from([key(1).public()]));
    }
}

#[test]
fn an_invalid_proposal_costs_a_round_and_never_enters_the_log() {
    let mut network = Network::new(1, 4);
    network.nodes[2].malice = Some(Malice::ProposesInvalid);
    let before = network.now;

    for entry in 0..8u8 {
        network.submit(0, &[entry]);
        assert!(network.run_until_all_at(usize::from(entry) + 1, 30_000), "{entry}");
    }

    assert!(network.nodes.iter().flat_map(|node| &node.disk.log).all(|decision| valid(&decision.batch)));
    assert_eq!((network.disagreements, network.highest_round), (0, 1));
    assert!(network.now < before.plus_millis(6_000), "refused at once, not by time-out");
}

#[test]
fn garbage_truncations_and_changed_bytes_are_refused_and_change_nothing() {
    let mut other = node(3, 4);
    for message in prevote_and_proposal() {
        for end in 0..message.len() {
            let refused = refusal(&mut other, message[..end].to_vec());
            assert!(matches!(refused, Some(Refusal::Malformed(_))), "{end}: {refused:?}");
        }
        for index in 0..message.len() {
            let mut changed = message.clone();
            changed[index] ^= 1;
            assert!(refusal(&mut other, changed).is_some(), "{index}");
        }
        let longer = [message.as_slice(), &[0]].concat();
        assert!(matches!(refusal(&mut other, longer), Some(Refusal::Malformed(_))));
    }

    assert_eq!(outputs(&mut other), []);
    assert_eq!((other.round(), other.next_deadline()), (None, None), "nothing has woken it");
}

#[test]
fn strangers_and_messages_of_another_community_are_refused() {
    let mut node = node(3, 4);
    let stranger = Message::Vote(vote(6, 1, 0)).to_bytes();
    let mut foreign = vote(1, 1, 0);
    foreign.signature = Signed::new(foreign.statement, CommunityId::from([1; 32]), &key(1)).signature;

    assert_eq!(refusal(&mut node, stranger), Some(Refusal::Stranger(key(6).public())));
    assert_eq!(refusal(&mut node, Message::Vote(foreign).to_bytes()), Some(Refusal::Signature));
    assert_eq!(node.round(), None);
}

#[test]
fn a_proposal_out_of_turn_is_refused_and_names_its_signer() {
    let mut honest = node(3, 4);
    let [_, proposal] = prevote_and_proposal();
    let liar = (0..4).find(|index| *index != proposer(4, 1, 0) && *index != 3).expect("four members");
    let Message::Proposal(mut proposal) = Message::from_bytes(&proposal).expect("a message") else {
        panic!("a proposal")
    };
    proposal.head.statement.signer = Member(key(liar).public());
    proposal.head = Signed::new(proposal.head.statement, community(), &key(liar));

    let refused = refusal(&mut honest, Message::Proposal(proposal).to_bytes()).expect("refused");

    assert_eq!(refused.culprit(), Some(key(liar).public()), "{refused:?}");
}

#[test]
fn a_proposal_sent_again_is_not_logged_again() {
    let mut node = node(3, 4);
    let [_, proposal] = prevote_and_proposal();

    assert_eq!(refusal(&mut node, proposal.clone()), None);
    assert!(outputs(&mut node).iter().any(|output| matches!(output, Output::WalAppend(_))));
    assert_eq!(refusal(&mut node, proposal), None);
    assert_eq!(outputs(&mut node), []);
}

#[test]
fn heights_and_rounds_far_away_are_refused_and_early_messages_are_rationed() {
    let mut node = node(3, 4);
    let send = |node: &mut Consensus, height, round| refusal(node, Message::Vote(vote(1, height, round)).to_bytes());

    assert_eq!(send(&mut node, 0, 0), Some(Refusal::Stale(Height(0))));
    assert_eq!(send(&mut node, 3, 0), Some(Refusal::Ahead(Height(3))));
    assert_eq!(send(&mut node, 1, FAR_ROUNDS + 1), Some(Refusal::FarRound(FAR_ROUNDS + 1)));
    assert_eq!(send(&mut node, 1, FAR_ROUNDS), None);
    for round in 0..8 {
        assert_eq!(send(&mut node, 2, round), None);
        assert_eq!(send(&mut node, 2, round), None, "the same again takes no place");
    }
    assert_eq!(send(&mut node, 2, 8), Some(Refusal::Crowding(key(1).public())));
}

#[test]
fn a_bundle_without_enough_good_votes_is_refused() {
    let mut node = node(3, 4);
    let votes: Vec<_> = (0..3).map(|index| vote(index, 1, 2)).collect();
    let mut forged = votes.clone();
    forged[1].signature = forged[0].signature;
    let bundle = |kind, votes: &[Signed<Vote>]| {
        Message::Bundle(Bundle::new(kind, votes.to_vec()).expect("one round")).to_bytes()
    };

    assert_eq!(refusal(&mut node, bundle(BundleKind::Precommits, &votes[..2])), Some(Refusal::Bundle));
    assert_eq!(refusal(&mut node, bundle(BundleKind::Precommits, &forged)), Some(Refusal::Bundle));
    assert_eq!(refusal(&mut node, bundle(BundleKind::Skip, &votes[..1])), Some(Refusal::Bundle));
    assert_eq!(node.round(), None);
    assert_eq!(refusal(&mut node, bundle(BundleKind::Skip, &votes[..2])), None);
    assert_eq!(node.round(), Some(2), "two of four are in round 2, so an honest one is");
}

/// Returns the decision of height 1 that these operators signed.
fn decision(entries: Vec<Vec<u8>>, signers: core::ops::Range<usize>) -> Box<Decision> {
    let batch = Batch::new(Height(1), BatchId::default(), entries).expect("small");
    let sign = |index: usize| {
        let statement = Vote::precommit(Height(1), 0, batch.id(), key(index).public());
        (key(index).public(), Signed::new(statement, community(), &key(index)).signature)
    };
    let decided = (Height(1), 0, batch.id());
    let certificate = Certificate::normalised(&committee(0..4), decided, signers.map(sign).collect());
    Box::new(Decision { batch, certificate })
}

#[test]
fn a_decision_is_taken_over_only_with_its_certificate_and_at_its_height() {
    let mut node = node(3, 4);
    let mut sync = |input| match node.handle(Timestamp::default(), input, &valid) {
        Err(ConsensusError::Refused(refusal)) => Some(refusal),
        other => other.err().map(|error| panic!("{error}")),
    };
    let good = decision(vec![vec![1]], 0..3);
    let mut other_batch = good.clone();
    other_batch.batch = Batch::new(Height(1), BatchId::default(), vec![vec![2]]).expect("small");
    let mut ahead = good.clone();
    ahead.certificate.height = Height(2);

    let too_few = sync(Input::Sync(decision(vec![vec![1]], 0..2)));
    assert!(matches!(too_few, Some(Refusal::Certificate(CertificateError::Quorum { .. }))), "{too_few:?}");
    assert!(matches!(sync(Input::Sync(other_batch)), Some(Refusal::Certificate(CertificateError::Batch { .. }))));
    assert_eq!(sync(Input::Sync(ahead)), Some(Refusal::Ahead(Height(2))));
    assert_eq!(sync(Input::Sync(good.clone())), None);
    assert_eq!(sync(Input::Sync(good.clone())), Some(Refusal::Stale(Height(1))));
    assert_eq!(outputs(&mut node), [Output::Decided(good)]);
}

#[test]
fn a_decision_that_a_quorum_signed_but_our_rules_forbid_halts_the_node_for_good() {
    let mut node = node(3, 4);
    let halted = Err(ConsensusError::Halted(Halt::DecidedInvalid(Height(1))));

    let forbidden = Input::Sync(decision(vec![vec![0xFF]], 0..3));
    assert_eq!(node.handle(Timestamp::default(), forbidden, &valid), halted);

    assert_eq!(node.handle(Timestamp::default(), Input::Wake, &valid), halted);
    assert_eq!(outputs(&mut node), []);
}

/// One signed message of a liar: who, what kind, round, batch, and the round it refers to.
type Lie = (usize, u8, u32, u8, u32);

/// Returns a well-formed, well-signed message: what only a member can send, and what decodes.
fn lie((signer, kind, round, value, other): Lie) -> Option<Vec<u8>> {
    let batch = |value| Batch::new(Height(1), BatchId::default(), vec![vec![value]]).expect("small");
    let id = if value == 0 { NilOrVal::Nil } else { NilOrVal::Val(batch(value).id()) };
    let vote = |signer: usize, kind, value| {
        let statement = Vote { kind, height: Height(1), round, value, signer: Member(key(signer).public()) };
        Signed::new(statement, community(), &key(signer))
    };
    let types = [VoteType::Prevote, VoteType::Precommit];
    let bundle = |kind, vote_type| {
        let votes = (0..3).map(|signer| vote(signer, vote_type, id)).collect();
        Bundle::new(kind, votes).map(Message::Bundle)
    };
    let message = match kind {
        0 | 1 => Some(Message::Vote(vote(signer, types[usize::from(kind)], id))),
        2 => bundle(BundleKind::Polka, VoteType::Prevote),
        3 => bundle(BundleKind::Precommits, VoteType::Precommit),
        4 => bundle(BundleKind::Skip, types[usize::from(value) % 2]),
        _ => {
            let value = Value::new(Arc::new(batch(value)));
            let signer = Member(committee(0..4).proposer(Height(1), round));
            let valid_round = (other < round).then_some(other);
            let head = ProposalHead { height: Height(1), round, value: value.id, valid_round, signer };
            let secret = (0..3).map(key).find(|key| key.public() == signer.0)?;
            let head = Signed::new(head, community(), &secret);
            Some(Message::Proposal(SignedProposal { head, value }))
        }
    };
    message.map(|message| message.to_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Three of four operators lie as they like, which is more than agreement bears; still no honest node panics or
    /// contradicts itself, and what it wrote replays.
    #[test]
    fn no_message_of_any_number_of_liars_makes_a_node_panic_or_contradict_itself(
        lies in proptest::collection::vec((0usize..3, 0u8..7, 0u32..5, 0u8..4, 0u32..5), 1..60),
        silence in 0u64..3_000,
    ) {
        let mut node = node(3, 4);
        let (mut now, mut wal, mut signed) = (Timestamp::default(), Vec::new(), BTreeMap::new());
        for lie in lies.into_iter().filter_map(lie) {
            now = now.plus_millis(silence % 700);
            let mut inputs = vec![Input::Message(lie), Input::Tick];
            while let Some(input) = inputs.pop() {
                if let Err(ConsensusError::Halted(halt)) = node.handle(now, input, &valid) {
                    return Err(TestCaseError::fail(format!("{halt}")));
                }
                for output in outputs(&mut node) {
                    match output {
                        Output::ProposalWanted { height, round } => {
                            inputs.push(Input::Propose { height, round, entries: vec![vec![9]] });
                        }
                        Output::WalAppend(record) => wal.push(record),
                        Output::Send(bytes) => {
                            if let Message::Vote(vote) = Message::from_bytes(&bytes).expect("own message") {
                                let at = (vote.statement.round, vote.statement.kind);
                                prop_assert_eq!(*signed.entry(at).or_insert(vote.statement), vote.statement);
                            }
                        }
                        Output::WalSync | Output::WalReset(_) | Output::Pledge(_) => {}
                        Output::Decided(_) | Output::Evidence(_) => {}
                    }
                }
            }
        }
        let config = Config { community: community(), key: key(3), timeouts: Timeouts::default() };
        let (height, batch, committee) = (Height::GENESIS, BatchId::default(), committee(0..4));
        let mut again = Consensus::new(config, now, Resume { height, batch, committee, records: &wal, pledged: None })
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        for output in outputs(&mut again) {
            if let Output::Send(bytes) = output
                && let Message::Vote(vote) = Message::from_bytes(&bytes).expect("own message")
            {
                let at = (vote.statement.round, vote.statement.kind);
                prop_assert_eq!(*signed.entry(at).or_insert(vote.statement), vote.statement);
            }
        }
    }
}
