//! Adapters as files: the PEFT format, and public arithmetic on adapters in the clear.

mod eigen;
pub mod matrix;
pub mod merge;
pub mod peft;
pub mod project;
