//! Simulations: whole rounds over the virtual network, from a seed.

mod round;
