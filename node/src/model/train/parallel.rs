//! Replicas of one model on several cores.
//!
//! Two cores are best used by two replicas of one thread each, on half a batch each: matrix products of this size gain little
//! from a second thread. The replicas share all weights, and whatever a replica computes stays on its thread.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Most threads: more than a personal training has examples in a batch.
const MAX_THREADS: usize = 64;

/// How many threads compute, each on its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replicas(usize);

impl Replicas {
    /// Returns so many, at least one.
    pub fn new(threads: usize) -> Self {
        Self(threads.clamp(1, MAX_THREADS))
    }

    /// Returns one for each core.
    pub fn of_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, Into::into))
    }

    /// Returns the number of threads.
    pub const fn threads(self) -> usize {
        self.0
    }

    /// Returns what `compute` makes of each item, in their order. Each is computed on one thread, whichever is free.
    pub fn map<T: Sync, R: Send + Sync>(self, items: &[T], compute: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((item, result)) = {
                let place = next.fetch_add(1, Ordering::Relaxed);
                items.get(place).zip(results.get(place))
            } {
                result.get_or_init(|| compute(item));
            }
        };
        std::thread::scope(|scope| {
            (1..self.0).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        results
            .into_iter()
            .map(|result| result.into_inner().expect("all items were taken, and a panic is passed on"))
            .collect()
    }
}

/// Returns the order of the examples in an epoch.
pub(super) fn order(seed: u64, epoch: usize, examples: usize) -> Vec<usize> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..examples).collect();
    for last in (1..examples).rev() {
        // Uniform up to one in 2⁶⁴/examples.
        let other = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [0, 1, 3] {
            let replicas = Replicas::new(threads);
            assert_eq!(
                replicas.map(&items, |item| item * item),
                items.iter().map(|item| item * item).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn an_order_has_everything_once_and_differs_by_epoch_and_seed() {
        let sorted = |mut order: Vec<usize>| {
            order.sort_unstable();
            order
        };
        assert_eq!(sorted(order(1, 0, 50)), (0..50).collect::<Vec<_>>());
        assert_ne!(order(1, 0, 50), order(1, 1, 50));
        assert_ne!(order(1, 0, 50), order(2, 0, 50));
        assert_eq!(order(1, 3, 50), order(1, 3, 50));
    }
}
