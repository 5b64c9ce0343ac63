//! Who belongs to a community.

pub mod flow;
