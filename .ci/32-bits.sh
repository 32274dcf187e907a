#!/usr/bin/env bash
# Builds and runs all tests as 32-bit programs, like those of the small boards that `Limits::small`
# is for.
#
# Needs x86-64 Linux and the target below, which rustup adds if it can, but not a 32-bit C library.
# Skipped on other systems.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=i686-unknown-linux-musl
flags='-C linker=rust-lld -C linker-flavor=ld.lld'

skip() {
    echo "skipped: $*"
    exit 0
}

has_target() {
    [[ -d $(rustc --print target-libdir --target "$triple") ]]
}

[[ $(uname -sm) == 'Linux x86_64' ]] || skip 'not x86-64 Linux'
has_target || timeout 300 rustup target add "$triple" || skip "rustup cannot add $triple"
has_target || skip "rustup added $triple to another toolchain"

# A kernel may not support 32-bit programs, and a toolchain may not have the linker.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# shellcheck disable=SC2086 # a list of words
echo 'fn main() {}' | rustc --target "$triple" $flags -o "$folder/nothing" - && "$folder/nothing" ||
    skip "no program of $triple can be linked and run here"

export CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_RUSTFLAGS=$flags
cargo test --workspace --all-features --target "$triple"
