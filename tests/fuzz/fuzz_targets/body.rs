//! Bodies read back from their bytes only. `cargo +nightly fuzz run body`, in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chorus_tests::fuzz::body(bytes));
