//! A round with nobody at fault.

use chorus_crypto::codec::Decode as _;
use chorus_protocol::round::report::RoundReport;
use chorus_tests::scenario::Scenario;

fn report(scenario: Scenario) -> RoundReport {
    let mut play = scenario.start();
    let opened = play.open();
    let ledger = play.network.peer(0).ledger();
    println!(
        "{} members {:?} polls",
        ledger.members().len(),
        ledger.polls().values().map(|p| (p.items.len(), p.rounds.len())).collect::<Vec<_>>()
    );
    println!("{:?}", ledger.rounds().values().map(|r| (r.offered.len(), r.manifest.is_some())).collect::<Vec<_>>());
    println!("{:?} {:?}", play.network, play.network.peer(0).next_deadline());
    assert!(opened, "the round opens: {:?}", play.network.notices);
    let result = play.vote_and_finish();
    let result = result.unwrap_or_else(|| panic!("a result: {:?}", &play.network.notices));
    RoundReport::from_bytes(&play.body(&result.result)).expect("a report")
}

#[test]
fn five_operators_end_a_round_with_map_and_groups() {
    let report = report(Scenario::default());

    assert_eq!(report.ballots, 48);
    let map = report.map().expect("a map");
    assert_eq!(map.k, 2);
}
