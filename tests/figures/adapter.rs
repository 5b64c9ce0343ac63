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

/// Measures what needs no base model, and with one all the rest.
pub(crate) fn figures(base_model: Option<&Path>, people: usize, seed: u64) -> Vec<Printed> {
    let mut printed = speed::figures();
    let Some(path) = base_model else { return printed };
    printed.extend(speed::personal(path));
    let world = World::open(path, seed);
    printed.extend(helps::figures(&world, people));
    printed.extend(minority::figures(&world, people));
    printed.extend(attacks::figures(&world, people));
    printed
}
