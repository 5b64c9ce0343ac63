//! Fakes that want to be a group of their own, whose veto empties the constitution.

use chorus_crypto::codec::Decode as _;
use chorus_protocol::{
    deliberation::constitution::Constitution,
    ledger::RoundState,
    log::entry::{Entry, SignedEntry},
    peer::Command,
};
use chorus_tests::scenario::Scenario;

use super::*;
use crate::faults::small;

/// Honest people, in two camps that agree on the first half of the items and on nothing else.
const HONEST: usize = 30;

/// Members who disagree with everything: few enough to be admitted one by one.
const COLLUDERS: usize = 4;

/// Fakes whom nobody attested.
const FAKES: usize = 4;

const ITEMS: usize = 16;

fn votes(person: usize, item: usize) -> Vote {
    let agrees = person < HONEST && (item < ITEMS / 2 || (item < 3 * ITEMS / 4) == person.is_multiple_of(2));
    if agrees { Vote::Agree } else { Vote::Disagree }
}

/// The items of the constitution that so many colluders leave over, where blocks have at least `floor` people.
fn principles(colluders: usize, floor: u32) -> Vec<u32> {
    let policy = Policy { min_contributions: 10, floor, group_floor: 20, ..Policy::default() };
    let mut play = Scenario { people: HONEST + COLLUDERS + FAKES, policy, ..small(5) }.start();
    for person in 0..HONEST + COLLUDERS + FAKES {
        let SignedEntry { mut entry, .. } = play.community.registration(person);
        if let (Entry::Register(registration), true) = (&mut entry, person >= HONEST + COLLUDERS) {
            registration.attestations.clear();
        }
        let entry = SignedEntry::sign(&play.community.people[person].key, play.community.id(), entry);
        play.network.command(play.host_of(person), Command::Relay(entry));
    }
    let admitted = |network: &chorus_tests::network::Network| network.peer(0).ledger().members().len();
    assert!(play.network.run_until(60_000, |network| admitted(network) == HONEST + COLLUDERS));
    play.ask();
    assert!(play.wait(RoundState::Open, 60_000));
    assert_eq!(admitted(&play.network), HONEST + COLLUDERS, "whom nobody attested is no member");
    for person in 0..HONEST + colluders {
        let votes: Vec<Vote> = (0..ITEMS).map(|item| votes(person, item)).collect();
        play.vote(person, 0, &votes);
    }
    let result = play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.round()));
    assert!(play.report(&result).map().is_some(), "there are groups");
    let constitution = play.body(&result.follows.expect("a constitution"));
    let constitution = Constitution::from_bytes(&constitution).expect("a constitution");
    let mut items: Vec<u32> = constitution.principles.iter().map(|principle| principle.item).collect();
    items.sort_unstable();
    items
}

#[test]
fn colluders_below_the_floor_are_no_group_and_veto_nothing() {
    let common: Vec<u32> = (0..).take(ITEMS / 2).collect();

    assert_eq!(principles(0, 5), common);
    assert_eq!(principles(COLLUDERS, 5), common, "four are no group where five are asked for");
    assert_eq!(principles(COLLUDERS, 2), [0u32; 0], "without that they would be one, and veto everything");
}
