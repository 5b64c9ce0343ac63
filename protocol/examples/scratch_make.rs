#![allow(missing_docs, dead_code, unreachable_pub, clippy::all)]
#[path = "../../tests/harness/bundle.rs"]
pub mod bundle;
#[path = "../../tests/harness/community.rs"]
pub mod community;
#[path = "../../tests/harness/network.rs"]
pub mod network;
#[path = "../../tests/harness/scenario.rs"]
pub mod scenario;
#[path = "../../tests/harness/tap.rs"]
pub mod tap;
use chorus_protocol::config::Policy;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (people, items, rounds): (usize, usize, u32) =
        (args[1].parse().unwrap(), args[2].parse().unwrap(), args[3].parse().unwrap());
    let start = std::time::Instant::now();
    let policy = Policy { min_contributions: 10, floor: 10, ..Policy::default() };
    let mut play = scenario::Scenario {
        operators: 4,
        followers: 1,
        people,
        items,
        policy,
        duration_millis: 60_000,
        ..Default::default()
    }
    .start();
    eprintln!("started {:?}", start.elapsed());
    assert!(play.register(), "registered");
    eprintln!("registered {:?}", start.elapsed());
    for number in 1..=rounds {
        if number > 1 {
            let question = format!("And in round {number}?");
            play.poll = play.community.poll_by_class(&question, (play.scenario.kind, items, 60_000), None);
        }
        play.ask();
        assert!(play.wait(chorus_protocol::ledger::RoundState::Open, 60_000));
        eprintln!("open {:?}", start.elapsed());
        for person in 0..people {
            let votes = play.votes[person].clone();
            play.vote(person, 0, &votes);
            if person % 100 == 99 {
                play.network.run_until(300, |_| false);
                eprintln!("voted {person} {:?}", start.elapsed());
            }
        }
        let result = play.finish();
        eprintln!("result {:?} {:?}", result.is_some(), start.elapsed());
        assert!(result.is_some(), "{:?}", play.network.notices);
    }
    std::fs::write(&args[4], play.bundle(0)).unwrap();
}
