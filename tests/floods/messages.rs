//! Messages that are well formed on the wire and bad for what they say.

use chorus_crypto::ballot::Vote;
use chorus_protocol::{
    contribution::{Contributor, Submission},
    ledger::RoundState,
    log::entry::PollKind,
    message::Message,
    peer::{Command, Peer},
};
use chorus_tests::community::{Poll, population};

use crate::target::{PEOPLE, Target};

const ITEMS: usize = 4;

/// How long votes are taken.
const VOTING_MILLIS: u64 = 3_000;

/// Messages that are said again.
const REPLAYED: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_is_no_message_cuts_its_sender_off() {
    let target = Target::start(5).await;
    let honest = target.meet(1).await;

    let mut attacker = target.meet(2).await;
    let cut_off = attacker.publish_until_cut_off(target.id, |number| number.to_be_bytes().repeat(8)).await;

    assert!(cut_off.is_some());
    target.assert_answers(&honest).await;
    attacker.handle.shutdown().await;
    target.stop(honest).await;
}

/// Opens a round at the target.
async fn open(target: &mut Target) -> Poll {
    for person in 0..PEOPLE {
        let entry = target.community.registration(person);
        target.node.command(Command::Relay(entry)).await.expect("runs");
    }
    target.wait(|peer| peer.ledger().members().len() == PEOPLE).await;
    let poll = target.community.poll(PollKind::Statement, ITEMS, VOTING_MILLIS);
    let (id, round) = (poll.poll, poll.round);
    target.post(poll.opening.clone()).await;
    target.wait(|peer| peer.ledger().polls().contains_key(&id)).await;
    for proposal in poll.proposals.clone() {
        target.post(proposal).await;
    }
    target.wait(|peer| peer.ledger().polls().get(&id).is_some_and(|poll| poll.items.len() == ITEMS)).await;
    target.post(poll.plan.clone()).await;
    target.wait(|peer| state(peer, round) >= Some(RoundState::Open)).await;
    poll
}

fn state(peer: &Peer, round: chorus_protocol::id::RoundId) -> Option<RoundState> {
    peer.ledger().rounds().get(&round).map(|round| round.state())
}

/// Makes everybody's contribution.
async fn contributions(target: &mut Target, poll: &Poll) -> Vec<Submission> {
    let ledger = target.node.view(|peer| peer.ledger().clone()).await.expect("runs");
    let votes: Vec<Vec<Vote>> = population(5, PEOPLE, ITEMS, 2);
    let cast = target.community.people.iter_mut().zip(&votes).map(|(person, votes)| {
        let contributor = Contributor::anonymous(&person.leaf);
        contributor.cast(&ledger, &ledger.rounds()[&poll.round], votes, &mut person.rng).expect("a member may vote")
    });
    cast.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_that_do_not_hold_cut_their_sender_off_and_a_finished_rounds_messages_change_nothing() {
    let mut target = Target::start(6).await;
    let honest = target.meet(1).await;
    let poll = open(&mut target).await;
    let submissions = contributions(&mut target, &poll).await;
    let community = target.community();

    let mut attacker = target.meet(2).await;
    let cut_off = attacker
        .send_until_cut_off(target.id, |number| {
            let mut bad = submissions[0].clone();
            // Within the credential's proof, which is last: the form holds.
            let place = bad.body.len().checked_sub(41 + number as usize % 20)?;
            bad.body[place] ^= 1;
            (number < 100).then(|| Message::Submission(bad).seal(community))
        })
        .await;
    assert!(cut_off.is_some());
    target.assert_answers(&honest).await;

    // Honest contributions still count; those of the person whose was tampered with, too.
    for submission in submissions.clone() {
        honest.handle.send(target.id, Message::Submission(submission).seal(community)).await.expect("runs");
    }
    let round = poll.round;
    target.wait(|peer| state(peer, round) >= Some(RoundState::Finished)).await;
    let seen = |peer: &Peer| {
        let record = &peer.ledger().rounds()[&round];
        (record.contributions.len(), record.agreed_result().cloned())
    };
    let before = target.node.view(seen).await.expect("runs");
    assert_eq!(before.0, PEOPLE);

    let replayer = target.meet(3).await;
    for number in 0..REPLAYED {
        let again = Message::Submission(submissions[number % PEOPLE].clone()).seal(community);
        replayer.handle.send(target.id, again).await.expect("runs");
    }
    // What one peer sends arrives in order, so this is answered after most of them were taken.
    assert!(replayer.ask(target.id).await.is_some() || replayer.handle.peers().is_empty());

    target.assert_answers(&honest).await;
    assert_eq!(target.node.view(seen).await.expect("runs"), before);
    attacker.handle.shutdown().await;
    replayer.handle.shutdown().await;
    target.stop(honest).await;
}
