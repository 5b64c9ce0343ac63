//! Entries that nobody signed change nothing. `cargo +nightly fuzz run entry`, in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chorus_tests::fuzz::entry(bytes));
