use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;

const HOME: &str = "/ip4/198.51.100.7/tcp/4001";

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn address(number: u8) -> Multiaddr {
    format!("/ip4/192.0.2.{number}/tcp/4001").parse().expect("an address")
}

fn relay(number: u8) -> NodeId {
    NodeId::from([number; 32])
}

/// A participant that has heard of so many relays.
fn hidden(relays: u8, now: Instant) -> Reachability {
    let mut reach = Reachability::new(Role::Participant, true);
    (1..=relays).for_each(|number| reach.on_relay(relay(number), address(number), now));
    reach
}

fn asked(actions: &[Action]) -> Vec<NodeId> {
    let of = |action: &Action| match action {
        Action::Reserve { relay, .. } => Some(*relay),
        Action::Routing { .. } => None,
    };
    actions.iter().filter_map(of).collect()
}

#[test]
fn a_participant_answers_routing_questions_only_while_it_is_known_to_be_reachable() {
    let (now, rng) = (Instant::now(), &mut rng());
    let mut reach = Reachability::new(Role::Participant, true);
    let home: Multiaddr = HOME.parse().expect("an address");

    assert_eq!(reach.poll(now, rng), [Action::Routing { answer: false }]);
    assert_eq!(reach.poll(now, rng), []);
    let circuit = format!("{HOME}/p2p/{}/p2p-circuit", relay(1).to_peer_id());
    reach.on_confirmed(circuit.parse().expect("an address"));
    assert_eq!(reach.poll(now, rng), [], "a way through a relay is no proof");
    reach.on_confirmed(home.clone());
    reach.on_confirmed(address(9));
    assert_eq!(reach.poll(now, rng), [Action::Routing { answer: true }]);
    reach.on_lost(&home);
    assert_eq!(reach.poll(now, rng), [], "another one is left");
    reach.on_lost(&address(9));
    assert_eq!(reach.poll(now, rng), [Action::Routing { answer: false }]);
    reach.on_confirmed(home);
    reach.poll(now, rng);
    reach.on_moved();
    assert_eq!(reach.poll(now, rng), [Action::Routing { answer: false }]);
}

#[test]
fn operators_and_relays_answer_from_the_start_and_reserve_nowhere() {
    let (now, rng) = (Instant::now(), &mut rng());
    for role in [Role::Operator, Role::Relay] {
        let mut reach = Reachability::new(role, true);
        reach.on_relay(relay(1), address(1), now);

        assert_eq!(reach.poll(now, rng), [Action::Routing { answer: true }]);
        reach.on_moved();
        assert_eq!(reach.poll(now, rng), []);
    }
}

#[test]
fn a_hidden_node_reserves_at_three_relays_and_replaces_one_that_goes() {
    let (now, rng) = (Instant::now(), &mut rng());
    let mut reach = hidden(5, now);

    let first = asked(&reach.poll(now, rng));
    assert_eq!(first.len(), WANTED);
    first.iter().for_each(|node| reach.on_reserved(*node));
    assert_eq!(reach.poll(now + LONGEST_PAUSE, rng), [], "enough");
    reach.on_gone(first[0]);
    let second = asked(&reach.poll(now, rng));
    assert_eq!(second.len(), 1);
    assert!(!first.contains(&second[0]));
    reach.on_reserved(second[0]);
    assert_eq!(reach.reserved().count(), WANTED);
    reach.on_relay(first[0], address(1), now);
    assert_eq!(reach.poll(now, rng), [], "it is back, and not needed");
}

#[test]
fn a_relay_that_refuses_is_asked_again_after_growing_pauses() {
    let (mut now, rng) = (Instant::now(), &mut rng());
    let mut reach = hidden(1, now);
    reach.poll(now, rng);

    for failures in 0..12_u32 {
        reach.on_refused(relay(1), now, rng);
        let mean = FIRST_PAUSE.saturating_mul(2_u32.pow(failures.min(MAX_FAILURES))).min(LONGEST_PAUSE);
        assert_eq!(reach.poll(now + mean / 2 - Duration::from_millis(1), rng), []);
        now += mean * 3 / 2;
        assert_eq!(asked(&reach.poll(now, rng)), [relay(1)], "after {failures}");
    }
    reach.on_reserved(relay(1));
    reach.on_refused(relay(1), now, rng);
    assert_eq!(asked(&reach.poll(now + FIRST_PAUSE * 2, rng)), [relay(1)], "success makes good");
}

#[test]
fn a_relay_that_never_answers_is_given_up_and_asked_again() {
    let (now, rng) = (Instant::now(), &mut rng());
    let mut reach = hidden(1, now);

    assert_eq!(asked(&reach.poll(now, rng)).len(), 1);
    assert_eq!(reach.poll(now + ANSWER / 2, rng), []);
    reach.poll(now + ANSWER, rng);
    assert_eq!(asked(&reach.poll(now + ANSWER + FIRST_PAUSE * 2, rng)), [relay(1)]);
}

#[test]
fn a_relay_that_restarts_is_asked_again_as_soon_as_it_is_back() {
    let (now, rng) = (Instant::now(), &mut rng());
    let mut reach = hidden(1, now);
    reach.poll(now, rng);
    reach.on_reserved(relay(1));

    reach.on_gone(relay(1));
    reach.on_refused(relay(1), now, rng);
    assert_eq!(reach.poll(now + LONGEST_PAUSE * 2, rng), [], "it is not there");
    reach.on_relay(relay(1), address(1), now);

    assert_eq!(asked(&reach.poll(now, rng)), [relay(1)]);
}

#[test]
fn a_reachable_node_and_one_that_wants_no_relays_reserve_nowhere() {
    let (now, rng) = (Instant::now(), &mut rng());
    let mut open = hidden(3, now);
    open.on_confirmed(HOME.parse().expect("an address"));
    let mut proud = Reachability::new(Role::Participant, false);
    proud.on_relay(relay(1), address(1), now);

    assert_eq!(asked(&open.poll(now, rng)), []);
    assert_eq!(asked(&proud.poll(now, rng)), []);
    open.on_moved();
    assert_eq!(asked(&open.poll(now, rng)).len(), 3);
}

#[test]
fn relays_and_addresses_are_bounded() {
    let now = Instant::now();
    let mut reach = hidden(200, now);
    (0..200).for_each(|number| reach.on_confirmed(address(number)));

    assert_eq!(reach.relays.len(), MAX_RELAYS);
    assert_eq!(reach.confirmed.len(), MAX_CONFIRMED);
}
