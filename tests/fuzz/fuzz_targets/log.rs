//! What stands on the log or in the journal reads back from its bytes only. `cargo +nightly fuzz run log`, in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chorus_tests::fuzz::log(bytes));
