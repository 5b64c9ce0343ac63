//! Models and adapters: computing with a base model, training a personal adapter, adapters as files, and public arithmetic
//! on adapters in the clear.

pub mod checkpoint;
mod eigen;
pub mod evaluate;
pub mod llama;
pub mod lora;
pub mod matrix;
pub mod measure;
pub mod merge;
pub mod ops;
pub mod peft;
pub mod project;
pub mod train;
