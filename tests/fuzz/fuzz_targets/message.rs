//! Envelopes open to what closes to the same bytes. `cargo +nightly fuzz run message`, in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chorus_tests::fuzz::message(bytes));
