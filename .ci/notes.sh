#!/usr/bin/env bash
# Checks and tests the example with SQLite, a package of its own. SQLite is C, and no test of the
# workspace may need more than a Rust toolchain. Skipped without a C compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "skipped: $*"
    exit 0
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$folder/nothing.c"
"${CC:-cc}" -o "$folder/nothing" "$folder/nothing.c" 2>/dev/null || skip 'no C compiler for SQLite'

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/notes
manifest=examples/notes/Cargo.toml
cargo fmt --manifest-path "$manifest" --check
cargo clippy --manifest-path "$manifest" --all-targets -- -D warnings
cargo test --manifest-path "$manifest"
