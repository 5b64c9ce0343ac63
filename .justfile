# `just check` is what continuous integration runs.

check:
    bash .ci/run

# The dependency direction: crypto knows no protocol, protocol knows no runtime, network or disk.
layers:
    bash .ci/layers

demo *ARGS:
    cargo run --release -- demo {{ARGS}}

figures TOPIC *ARGS:
    cargo run --release -p chorus-tests --bin figures -- {{TOPIC}} {{ARGS}}

test:
    cargo test --release --workspace

fuzz TARGET *ARGS:
    cd tests/fuzz && cargo +nightly fuzz run {{TARGET}} {{ARGS}}
