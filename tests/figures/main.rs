//! Chorus.
fn main() {}
