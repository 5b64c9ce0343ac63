//! A plan among peers that are honest, busy, slow, silent, lying, or come and go.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manner {
    Honest,
    Busy,
    Silent,
    Liar,
    /// Has nothing of what it says.
    Boaster,
}

struct World {
    plan: Plan,
    rng: ChaCha20Rng,
    now: Instant,
    peers: BTreeMap<NodeId, (Manner, Pieces, bool)>,
    id: BlobId,
    size: u64,
    here: Pieces,
    /// What will happen, in order of time.
    pending: Vec<(Instant, Ask)>,
    asked: Vec<Ask>,
    lied: BTreeSet<NodeId>,
}

const PIECE: u64 = crate::store::blobs::PIECE_BYTES as u64;

impl World {
    fn new(seed: u64, count: u32, manners: &[Manner]) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = Instant::now();
        let mut peers = BTreeMap::new();
        for (number, manner) in (0_u8..).zip(manners) {
            let mut pieces = Pieces::none(count);
            for piece in 0..count {
                if number == 0 || rng.next_u32().is_multiple_of(2) {
                    pieces.insert(piece);
                }
            }
            peers.insert(NodeId::from([number; 32]), (*manner, pieces, true));
        }
        let id = BlobId::of(&seed.to_be_bytes());
        let mut plan = Plan::default();
        peers.keys().for_each(|node| plan.connected(*node, now));
        plan.want(id, now);
        let here = Pieces::none(count);
        let size = u64::from(count) * PIECE;
        Self { plan, rng, now, peers, id, size, here, pending: vec![], asked: vec![], lied: BTreeSet::new() }
    }

    fn step(&mut self) {
        for ask in self.plan.poll(self.now, &mut self.rng) {
            self.check(ask);
            self.asked.push(ask);
            let delay = Duration::from_millis(20 + u64::from(self.rng.next_u32() % 200));
            self.pending.push((self.now + delay, ask));
        }
        self.now += Duration::from_millis(10);
        let (due, later) = std::mem::take(&mut self.pending).into_iter().partition(|(at, _)| *at <= self.now);
        self.pending = later;
        let due: Vec<(Instant, Ask)> = due;
        due.into_iter().for_each(|(_, ask)| self.answer(ask));
    }

    /// What holds of everything that is asked.
    fn check(&self, ask: Ask) {
        let (Ask::Find { from, .. } | Ask::Piece { from, .. }) = ask;
        assert!(!self.lied.contains(&from), "a liar is asked again");
        assert!(self.peers[&from].2, "one who is gone is asked");
        if let Ask::Piece { piece, .. } = ask {
            assert!(!self.here.contains(piece), "asked for what is here");
            let (_, pieces, _) = self.peers[&from];
            assert!(pieces.contains(piece), "asked for what it did not say it has");
        }
        assert!(self.plan.flights() <= MAX_FLIGHTS + MAX_OF_PROVIDER);
        for provider in self.plan.providers.values() {
            assert!(provider.flights <= MAX_OF_PROVIDER && provider.finds <= MAX_FINDS_OF_PROVIDER);
        }
    }

    fn answer(&mut self, ask: Ask) {
        let (Ask::Find { from, .. } | Ask::Piece { from, .. }) = ask;
        let (manner, pieces, is_here) = self.peers[&from];
        if !is_here || manner == Manner::Silent {
            return;
        }
        match ask {
            Ask::Find { id, .. } => {
                self.plan.begun(id, self.size, self.here, self.now);
                self.plan.holds(from, id, pieces, self.now);
            }
            Ask::Piece { id, piece, .. } => match manner {
                Manner::Busy if !self.rng.next_u32().is_multiple_of(4) => {
                    self.plan.refused(from, id, piece, Refusal::Busy(Duration::from_millis(100)), self.now);
                }
                Manner::Boaster => self.plan.refused(from, id, piece, Refusal::Absent, self.now),
                Manner::Liar => {
                    self.plan.arrived(from, id, piece, self.now);
                    self.plan.wrong(from, id, self.now);
                    self.lied.insert(from);
                }
                Manner::Honest | Manner::Busy => {
                    self.plan.arrived(from, id, piece, self.now);
                    self.here.insert(piece);
                    self.plan.stored(from, id, piece, self.here, self.now);
                }
                Manner::Silent => {}
            },
        }
    }

    fn run(&mut self, seconds: u64) -> bool {
        let until = self.now + Duration::from_secs(seconds);
        while self.now < until && !self.here.is_full() {
            self.step();
        }
        self.here.is_full()
    }

    fn pieces_asked(&self) -> usize {
        self.asked.iter().filter(|ask| matches!(ask, Ask::Piece { .. })).count()
    }
}

#[test]
fn a_blob_comes_from_honest_peers_with_no_piece_asked_twice() {
    for seed in 0..20 {
        let mut world = World::new(seed, 40, &[Manner::Honest; 6]);
        assert!(world.run(10), "seed {seed}");
        assert_eq!(world.pieces_asked(), 40, "seed {seed}");
    }
}

#[test]
fn one_honest_provider_is_enough_whatever_the_others_do() {
    let others = [Manner::Busy, Manner::Silent, Manner::Liar, Manner::Boaster];
    for seed in 0..60 {
        let mut manners = vec![if seed % 2 == 0 { Manner::Honest } else { Manner::Busy }];
        manners.extend((0..7).map(|index| others[(seed as usize + index * (1 + seed as usize / 4)) % 4]));
        let mut world = World::new(seed, 30, &manners);
        assert!(world.run(120), "seed {seed}: {} of 30", world.here.len());
    }
}

#[test]
fn peers_that_come_and_go_do_not_stop_it() {
    for seed in 0..30 {
        let mut world = World::new(seed, 60, &[Manner::Honest; 5]);
        for round in 0..600_u32 {
            world.run(0);
            (0..10).for_each(|_| world.step());
            let node = NodeId::from([(round % 5) as u8; 32]);
            let now = world.now;
            let is_here = &mut world.peers.get_mut(&node).expect("known").2;
            *is_here = !*is_here;
            if *is_here {
                world.plan.connected(node, now)
            } else {
                world.plan.gone(node, now)
            }
            // What it was asked for before is never answered.
            world.pending.retain(|(_, ask)| {
                let (Ask::Find { from, .. } | Ask::Piece { from, .. }) = ask;
                *from != node
            });
            if world.here.is_full() {
                break;
            }
        }
        assert!(world.here.is_full(), "seed {seed}: {} of 60", world.here.len());
    }
}

#[test]
fn the_rarest_piece_goes_first_and_those_with_parts_are_asked_before_the_origin() {
    for seed in 0..20 {
        let mut world = World::new(seed, 8, &[Manner::Honest; 4]);
        let mut common = Pieces::all(8);
        common = (0..7).fold(Pieces::none(common.count()), |mut pieces, piece| {
            pieces.insert(piece);
            pieces
        });
        for number in 1..4 {
            world.peers.get_mut(&NodeId::from([number; 32])).expect("known").1 = common;
        }
        let (id, now) = (world.id, world.now);
        world.plan.begun(id, world.size, world.here, now);
        let peers: Vec<_> = world.peers.iter().map(|(node, (_, pieces, _))| (*node, *pieces)).collect();
        peers.iter().for_each(|(node, pieces)| world.plan.holds(*node, id, *pieces, now));

        let asks = world.plan.poll(now, &mut world.rng);

        let origin = NodeId::from([0; 32]);
        assert_eq!(asks[0], Ask::Piece { from: origin, id, piece: 7 }, "seed {seed}");
        let others = asks[1..].iter().all(|ask| !matches!(ask, Ask::Piece { from, .. } if *from == origin));
        assert!(others && asks.len() == 4, "one of each to begin with: {asks:?}");
    }
}

#[test]
fn a_small_blob_is_asked_of_one_after_the_other_until_somebody_has_it() {
    let mut world = World::new(1, 1, &[Manner::Honest; 5]);
    let (id, mut now) = (world.id, world.now);
    let mut asked = Vec::new();
    for _ in 0..5 {
        let asks = world.plan.poll(now, &mut world.rng);
        assert_eq!(asks.len(), 1);
        assert!(world.plan.poll(now, &mut world.rng).is_empty(), "one at a time");
        let Ask::Find { from, .. } = asks[0] else { panic!("{asks:?}") };
        asked.push(from);
        world.plan.not_found(from, id, Refusal::Absent, now);
    }
    asked.sort_unstable();
    assert_eq!(asked, world.peers.keys().copied().collect::<Vec<_>>(), "everybody once");
    assert!(world.plan.poll(now, &mut world.rng).is_empty());

    now += FIRST_PAUSE * 2;
    let again = world.plan.poll(now, &mut world.rng);
    assert!(matches!(again[..], [Ask::Find { .. }]), "and then again: {again:?}");
    now += HEDGE;
    let next = world.plan.poll(now, &mut world.rng);
    assert!(matches!(next[..], [Ask::Find { .. }]) && next != again, "another, if that one is silent");
}

#[test]
fn forgetting_a_blob_frees_what_was_asked_for_it() {
    let mut world = World::new(3, 20, &[Manner::Silent; 3]);
    world.run(2);
    let id = world.id;
    world.plan.forget(id);
    assert!(world.plan.providers.values().all(|provider| provider.flights == 0 && provider.finds == 0));
    assert!(world.plan.next().is_none());
}
