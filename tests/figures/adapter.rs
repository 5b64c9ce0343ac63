//! Figures of adapters: training and merging; and, with a base model, whether everybody's adapter helps everybody.
//!
//! The population, what is held out and by which rule: `tests/README.md`. Nothing here was chosen by looking at what is held
//! out. Averages are in the clear: that the secret mean is the clear one, tests show.

mod attacks;
mod helps;
mod minority;
mod speed;
mod world;

use std::path::Path;

use self::world::World;
use crate::table::Printed;

/// Measures what needs no base model, and with one all the rest; shows each part as it is done, for it takes a while.
pub(crate) fn figures(base_model: Option<&Path>, people: usize, seed: u64, mut show: impl FnMut(Vec<Printed>)) {
    show(speed::figures());
    let Some(path) = base_model else { return };
    show(speed::personal(path));
    let world = World::open(path, seed);
    for part in [helps::figures, minority::figures, attacks::figures] {
        show(part(&world, people));
    }
}
