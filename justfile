# Everything CI runs, and what is handy beside it. `SEED`, `KILLS` and `CRASHES` reach the tests through the environment:
# `SEED=7 KILLS=1000 just chaos-kubo`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes
default:
    @just --list --unsorted

# Runs a node, and starts it again when its supervisor gave up (exit code 70); arguments go to `ipfrs daemon`
[group('run')]
run-node *ARGS:
    #!/usr/bin/env bash
    set -uo pipefail
    while true; do
        cargo node {{ ARGS }}
        code=$?
        [ "$code" -eq 70 ] || exit "$code"
        echo "the supervisor gave up, starting the node again" >&2
        # A fault that comes back at once must not keep a processor busy.
        sleep 1
    done

# Measures the node beside raw libp2p and Kubo: streams, memory, cat or all, and --rounds N
[group('run')]
bench-node *ARGS:
    cargo run --release -p ipfrs-bench -- {{ ARGS }}

# All tests
[group('test')]
test:
    cargo test --workspace

# Rules of the workspace that no compiler checks
[group('test')]
tidy:
    cargo test -p ipfrs-tests --test tidy

# Garbage, oversized and half-open streams to every protocol, noise at every port
[group('test')]
garbage:
    cargo test -p ipfrs-tests --test garbage -- --nocapture

# `kill -9` at random moments; SEED repeats a run, CRASHES sets its length
[group('test')]
crash:
    cargo test -p ipfrs-tests --test crash -- --nocapture

# Real Kubo as a peer, and its command line against our daemon
[group('test')]
interop-kubo:
    cargo test -p ipfrs-tests --test interop_kubo -- --nocapture

# Kills every actor in every way during transfers with Kubo; SEED repeats a run, KILLS sets its length
[group('test')]
chaos-kubo:
    cargo test -p ipfrs-tests --test chaos_kubo -- --nocapture

# Formats the code
[group('check')]
fmt:
    cargo fmt --all

# Licenses, banned crates and sources of all dependencies
[group('check')]
deny:
    cargo-deny --log-level error check bans licenses sources

# Clippy, a warning being an error
[group('check')]
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, a warning being an error
[group('check')]
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# What CI does, all of it
[group('check')]
ci:
    bash .ci/run
