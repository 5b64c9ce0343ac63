//! What attackers among the nodes learn of who wrote a contribution.
//!
//! Forty-four nodes, all connected with one another, in virtual time; what each sent to whom is recorded, and many sets of
//! attackers are drawn who compare what they received. The guess of such a set is whoever sent it first to one of them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use chorus_protocol::{config::Policy, id::BlobId, message::Message};
use chorus_tests::{
    network::{Outgoing, Topology},
    scenario::{Play, Scenario},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::figure::Figure;

/// Operators, and all the others: with one person each.
const OPERATORS: usize = 4;
const FOLLOWERS: usize = 40;
/// Sets of attackers that are drawn for every fraction.
const DRAWS: usize = 2_000;
/// How many of a hundred nodes attack, and the claim about how many of a hundred contributions they name the author of.
const FRACTIONS: [(usize, f64); 4] = [(5, 0.15), (10, 0.25), (20, 0.45), (30, 0.6)];

/// Who sent each contribution to whom, in order, beginning with its author.
type Ways = BTreeMap<BlobId, Vec<(usize, usize)>>;

/// Measures how often the guess is right.
pub(super) fn figures(seed: u64) -> Vec<Figure> {
    let ways = record(seed);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let figure = |(percent, bound): (usize, f64)| {
        let count = ((OPERATORS + FOLLOWERS) * percent).div_ceil(100);
        let (mut named, mut all) = (0_u32, 0_u32);
        for _ in 0..DRAWS {
            let attackers = draw(count, &mut rng);
            for way in ways.values().filter(|way| !attackers.contains(&way[0].0)) {
                let first = way.iter().find(|(_, to)| attackers.contains(to));
                named += u32::from(first.is_some_and(|(from, _)| *from == way[0].0));
                all += 1;
            }
        }
        let name = format!("{percent} % of nodes attack ({count}): share of contributions whose author they name");
        Figure::new(name, f64::from(named) / f64::from(all), "ratio").at_most(bound)
    };
    FRACTIONS.into_iter().map(figure).collect()
}

fn draw(count: usize, rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut others: Vec<usize> = (0..OPERATORS + FOLLOWERS).collect();
    (0..count).map(|_| others.swap_remove(rng.next_u32() as usize % others.len())).collect()
}

/// Lets everybody vote, and records the ways of the contributions until the round is over.
fn record(seed: u64) -> Ways {
    let topology = Topology { mesh: true, ..Topology::default() };
    let policy = Policy { min_contributions: 10, floor: 5, group_floor: 20, ..Policy::default() };
    let (operators, followers, people) = (OPERATORS, FOLLOWERS, FOLLOWERS);
    let scenario = Scenario {
        seed,
        operators,
        followers,
        people,
        items: 8,
        policy,
        topology,
        duration_millis: 40_000,
        ..Scenario::default()
    };
    let mut play = scenario.start();
    assert!(play.open(), "the round opens");
    let ways = listen(&mut play);
    play.vote_all();
    let round = play.poll.round;
    let logged = play
        .network
        .run_until(35_000, |network| network.peer(0).ledger().rounds()[&round].contributions.len() == FOLLOWERS);
    assert!(logged, "all contributions come through");
    drop(play);
    Rc::try_unwrap(ways).expect("nobody listens any more").into_inner()
}

fn listen(play: &mut Play) -> Rc<RefCell<Ways>> {
    let ways = Rc::<RefCell<Ways>>::default();
    for host in 0..play.network.len() {
        let ways = Rc::clone(&ways);
        let hear = move |out: &mut Outgoing<'_>, message: Message| {
            let submission = match &message {
                Message::Stem(stem) => Some(&stem.submission),
                Message::Submission(submission) => Some(submission),
                _ => None,
            };
            if let Some(submission) = submission {
                ways.borrow_mut().entry(BlobId::of(&submission.body)).or_default().push((host, out.to));
            }
            vec![(0, message)]
        };
        play.network.tamper(host, Box::new(hear));
    }
    ways
}
