//! An operator that gets any bytes goes on and stores nothing. `cargo +nightly fuzz run peer`, in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chorus_tests::fuzz::peer(bytes));
