//! Models and adapters: base models from files, what they say, training a personal adapter, adapters as files, and public arithmetic
//! on adapters in the clear.

pub mod base;
pub mod chat;
pub mod checkpoint;
mod eigen;
pub mod evaluate;
pub mod generate;
pub mod lesson;
pub mod llama;
pub mod lora;
pub mod matrix;
pub mod measure;
pub mod merge;
pub mod negate;
pub mod ops;
pub mod peft;
pub mod project;
pub mod series;
pub mod tokenizer;
pub mod train;
pub mod verdict;
