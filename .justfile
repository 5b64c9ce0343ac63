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

# Lines of crypto and protocol that their tests and the simulations run; wants cargo-llvm-cov and llvm-tools.
coverage *ARGS:
    cargo llvm-cov nextest --release -p chorus-crypto -p chorus-protocol -p chorus-tests --no-default-features --ignore-filename-regex '(^|/)(node|tests)/|tests\.rs$' {{ARGS}}

# Mutants of what verifiers check in `crypto`, one part of many: `just mutants-crypto 0/16`; wants cargo-mutants.
mutants-crypto SHARD *ARGS:
    PROPTEST_MAX_SHRINK_ITERS=0 cargo mutants -p chorus-crypto --shard {{SHARD}} {{ARGS}}

# The same in `protocol`, where the simulations are what notices: a minute for each.
mutants-protocol SHARD *ARGS:
    PROPTEST_MAX_SHRINK_ITERS=0 cargo mutants -p chorus-protocol --profile mutants-protocol --no-default-features \
        --test-package chorus-protocol --test-package chorus-tests --shard {{SHARD}} {{ARGS}}

bench *ARGS:
    cargo bench -p chorus-crypto -p chorus-protocol {{ARGS}}

fuzz TARGET *ARGS:
    cd tests/fuzz && cargo +nightly fuzz run {{TARGET}} {{ARGS}}
