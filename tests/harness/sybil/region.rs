//! The fakes: who vouches for whom among them, and how the corrupt lead there.

use rand_chacha::ChaCha20Rng;

use super::{
    Settings, Shape,
    town::{Vouches, below, shuffled},
};

/// Corrupt people who vouch for the same fakes, so that these have enough vouches from accepted people.
const TEAM: usize = 5;

/// Fakes that grow around corrupt people, epoch by epoch. Fakes are numbered from the number of real people on.
#[derive(Debug)]
pub(super) struct Region<'a> {
    settings: &'a Settings,
    shape: Shape,
    corrupt: &'a [u32],
    /// The number of the next fake.
    next: u32,
    /// The fakes of the last epoch.
    last: Vec<u32>,
}

impl<'a> Region<'a> {
    pub(super) const fn new(settings: &'a Settings, shape: Shape, corrupt: &'a [u32]) -> Self {
        Self { settings, shape, corrupt, next: settings.people, last: Vec::new() }
    }

    fn stock(&self) -> u32 {
        u32::try_from(self.settings.stock).expect("a stock is small")
    }

    /// Makes `count` fakes.
    fn fakes(&mut self, count: usize) -> Vec<u32> {
        let first = self.next;
        self.next += u32::try_from(count).expect("a region is small");
        (first..self.next).collect()
    }

    /// Makes the fakes of one epoch and lets everybody vouch.
    pub(super) fn grow(&mut self, vouches: &mut Vouches, rng: &mut ChaCha20Rng) {
        let corrupt = self.corrupt;
        let stock = self.settings.stock;
        match self.shape {
            Shape::FreeForm => {
                let fakes = self.fakes((10 * corrupt.len()).max(20));
                self.at_random(corrupt, &fakes, stock, vouches, rng);
                self.at_random(&fakes, &fakes, stock, vouches, rng);
            }
            Shape::Ring => {
                let fakes = self.fakes((6 * corrupt.len()).max(26));
                self.at_random(corrupt, &fakes, stock, vouches, rng);
                for (at, &fake) in fakes.iter().enumerate() {
                    fakes.iter().cycle().skip(at + 1).take(stock).for_each(|&to| _ = vouches.give(fake, to));
                }
            }
            Shape::Star => self.star(vouches),
            Shape::Chain => {
                let fakes = self.fakes((4 * corrupt.len()).max(20));
                corrupt.iter().for_each(|&from| all(from, fakes.iter().take(stock), vouches));
                for (at, &fake) in fakes.iter().enumerate() {
                    all(fake, fakes.iter().skip(at + 1).take(TEAM), vouches);
                }
            }
            Shape::Clique | Shape::Strangers => {
                for team in corrupt.chunks(TEAM) {
                    let fakes = self.fakes(if self.shape == Shape::Clique { stock + 1 } else { stock });
                    team.iter().for_each(|&from| all(from, shuffled(fakes.clone(), rng).iter().take(stock), vouches));
                    if self.shape == Shape::Clique {
                        fakes.iter().for_each(|&from| all(from, fakes.iter(), vouches));
                    }
                }
            }
            Shape::Layered => self.layers(vouches),
            Shape::Concentrated | Shape::Hostile => {
                for team in corrupt.chunks(4) {
                    let fakes = self.fakes(3 * team.len());
                    team.iter().chain(&fakes).for_each(|&from| all(from, fakes.iter(), vouches));
                }
            }
            Shape::ManyEntries => {
                for &from in corrupt {
                    let entered = self.fakes(stock);
                    all(from, entered.iter(), vouches);
                }
                let fakes: Vec<u32> = (self.settings.people..self.next).collect();
                self.at_random(&fakes, &fakes, stock, vouches, rng);
            }
            Shape::OneEntry => {
                let fakes = self.fakes((3 * corrupt.len()).clamp(13, 40));
                corrupt.iter().for_each(|&from| all(from, fakes.iter().take(1), vouches));
                all(fakes[0], fakes.iter(), vouches);
                self.at_random(&fakes[1..], &fakes, stock, vouches, rng);
            }
            Shape::Mimicry => self.mimicry(vouches, rng),
            Shape::Tricked => {
                for team in corrupt.chunks(4) {
                    let fakes = self.fakes(3 * team.len());
                    team.iter().for_each(|&from| _ = all_of(from, fakes.iter(), 3, vouches));
                    fakes.iter().for_each(|&from| all(from, fakes.iter(), vouches));
                }
            }
            Shape::SlowDrip => self.drip(vouches, rng),
            Shape::Rotation => self.rotate(vouches),
        }
    }

    /// Lets each of `from` vouch for `count` of `to` at random.
    fn at_random(&self, from: &[u32], to: &[u32], count: usize, vouches: &mut Vouches, rng: &mut ChaCha20Rng) {
        for &voucher in from {
            let mut given = 0;
            for _ in 0..20 * self.stock() {
                if given == count {
                    break;
                }
                let at = below(u32::try_from(to.len()).expect("a region is small"), rng);
                given += usize::from(vouches.give(voucher, to[usize::try_from(at).expect("small")]));
            }
        }
    }

    fn star(&mut self, vouches: &mut Vouches) {
        let hubs = self.fakes(TEAM);
        self.corrupt.iter().for_each(|&from| all(from, hubs.iter(), vouches));
        // Seven leaves: the five hubs give each of them five vouches.
        let leaves = self.fakes(self.settings.stock - TEAM);
        hubs.iter().for_each(|&from| all(from, leaves.iter().chain(&hubs), vouches));
        leaves.iter().for_each(|&from| all(from, hubs.iter().chain(&leaves), vouches));
        self.corrupt.iter().for_each(|&from| all(from, leaves.iter(), vouches));
    }

    fn layers(&mut self, vouches: &mut Vouches) {
        const DEPTH: usize = 4;
        for team in self.corrupt.chunks(TEAM) {
            let mut above = team.to_vec();
            for _ in 0..DEPTH {
                let layer = self.fakes(self.settings.stock);
                above.iter().for_each(|&from| all(from, layer.iter(), vouches));
                above = layer;
            }
        }
    }

    /// Fakes seek eight to ten vouches like everybody; one in ten vouches of the fakes goes to a real person.
    fn mimicry(&mut self, vouches: &mut Vouches, rng: &mut ChaCha20Rng) {
        let fakes = self.fakes((4 * self.corrupt.len()).max(20));
        let (least, most) = self.settings.asks;
        for &fake in &fakes {
            let real = below(self.settings.people, rng);
            vouches.give(fake, real);
        }
        let members: Vec<u32> = fakes.iter().chain(self.corrupt).copied().collect();
        for &fake in &fakes {
            let wanted = least + below(most - least + 1, rng);
            let asked = shuffled(members.clone(), rng);
            let mut found = 0;
            for &from in &asked {
                if found == wanted {
                    break;
                }
                found += u32::from(vouches.give(from, fake));
            }
        }
    }

    /// Half of the corrupt vouches expire and go to new fakes; the fakes of the last epoch are kept by each other.
    fn drip(&mut self, vouches: &mut Vouches, rng: &mut ChaCha20Rng) {
        for team in self.corrupt.chunks(4) {
            let fresh = self.fakes((3 * team.len()).div_ceil(2));
            for &from in team {
                let kept = shuffled(self.last.clone(), rng);
                let kept = &kept[..kept.len() / 2];
                vouches.take_back_where(from, |to| !kept.contains(&to));
                all(from, fresh.iter(), vouches);
            }
            // New fakes vouch for each other and, with what is left, for old ones.
            fresh.iter().for_each(|&from| all(from, fresh.iter().chain(&self.last), vouches));
            self.last.extend(fresh);
        }
        let known = self.last.len();
        self.last.drain(..known.saturating_sub(6 * self.corrupt.len()));
    }

    /// The corrupt leave all fakes for new ones; each old one spends what it has left on the new ones.
    fn rotate(&mut self, vouches: &mut Vouches) {
        let before = core::mem::take(&mut self.last);
        let mut old = before.chunks(12);
        for team in self.corrupt.chunks(4) {
            let fresh = self.fakes(3 * team.len());
            team.iter().for_each(|&from| vouches.take_back(from));
            for &from in old.next().unwrap_or_default() {
                vouches.take_back_where(from, |to| to % 2 == 0);
                all(from, fresh.iter(), vouches);
            }
            team.iter().chain(&fresh).for_each(|&from| all(from, fresh.iter(), vouches));
            self.last.extend(fresh);
        }
    }

    /// Fakes and corrupt spend what they have left on real people, who did not ask for it.
    pub(super) fn vouch_for_victims(&self, vouches: &mut Vouches, rng: &mut ChaCha20Rng) {
        let real: Vec<u32> = (0..self.settings.people).collect();
        let fakes: Vec<u32> = (self.settings.people..self.next).collect();
        for from in self.corrupt.iter().chain(&fakes) {
            self.at_random(&[*from], &real, vouches.left(*from), vouches, rng);
        }
    }
}

/// Lets `from` vouch for all of `to`, as far as its stock goes.
fn all<'a>(from: u32, to: impl Iterator<Item = &'a u32>, vouches: &mut Vouches) {
    to.for_each(|&to| _ = vouches.give(from, to));
}

/// Lets `from` vouch for the first `count` of `to` that it can vouch for; returns for how many it did.
fn all_of<'a>(from: u32, to: impl Iterator<Item = &'a u32>, count: usize, vouches: &mut Vouches) -> usize {
    to.filter(|&&to| vouches.give(from, to)).take(count).count()
}
