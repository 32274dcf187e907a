#!/usr/bin/env bash
# Checks all code with the minimum Rust version that Cargo.toml states.
#
# Uses the rustup toolchain of this version if it is installed, else the compiler of Debian, whose
# packages are unpacked into the target directory and not installed. Without either, the check is
# skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
target=$(cargo metadata --no-deps --format-version 1 | grep -o '"target_directory":"[^"]*"' | cut -d'"' -f4)
cache=$target/minimum-rust

skip() {
    echo "skipped: $*"
    exit 0
}

# Succeeds if $1 is a compiler of the version. `1.85` stands for all of its patch releases.
is_right() {
    [[ "$("$1" --version 2>/dev/null)" == "rustc $version"[.\ ]* ]]
}

of_rustup() {
    local toolchain
    toolchain=$(rustup toolchain list 2>/dev/null | grep -om1 "^${version//./\\.}[-.][^ ]*") &&
        rustup which --toolchain "$toolchain" rustc
}

# Prints the packages of the compiler and its library with their versions: those of the backport for
# Debian 12, or the usual ones.
debian_package() {
    local suffix found
    for suffix in -web ''; do
        found=$(apt-cache madison "rustc$suffix" 2>/dev/null | awk -F'[ |]+' '{ print $3 }' |
            grep -m1 "^${version//./\\.}\.") || continue
        echo "rustc$suffix=$found" "libstd-rust$suffix-dev=$found"
        return
    done
    return 1
}

# Unpacks the compiler and every library that it needs and this system does not have.
of_debian() {
    local packages
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return
    packages=$(debian_package) || {
        [[ $(id -u) == 0 ]] && timeout 120 apt-get -qq update || true
        packages=$(debian_package) || return
    }
    # shellcheck disable=SC2086 # two words
    packages=$(apt-get --simulate --no-install-recommends install $packages 2>/dev/null |
        awk '$1 == "Inst" { print $2 "=" substr($3, 2) }')
    [[ -n $packages ]] || return
    rm -rf "$cache/packages" "$cache/root"
    mkdir -p "$cache/packages" "$cache/root"
    # shellcheck disable=SC2086 # a list of words
    (cd "$cache/packages" && timeout 300 apt-get -qq download $packages 2>&1) || return
    for package in "$cache"/packages/*.deb; do
        dpkg-deb --extract "$package" "$cache/root"
    done
    rm -rf "$cache/packages"
    # Only the compiler may find these libraries, not cargo or build scripts.
    cat >"$cache/rustc" <<-END
		#!/bin/sh
		LD_LIBRARY_PATH='$cache/root/usr/lib/$(uname -m)-linux-gnu' exec '$cache/root/usr/bin/rustc' "\$@"
	END
    chmod +x "$cache/rustc"
}

if rustc=$(of_rustup) && is_right "$rustc"; then
    :
elif is_right "$cache/rustc" || of_debian && is_right "$cache/rustc"; then
    rustc=$cache/rustc
else
    skip "Rust $version is not installed, and not available from Debian"
fi

"$rustc" --version
export RUSTC=$rustc CARGO_TARGET_DIR=$cache/build
cargo check --workspace --all-targets --all-features
cargo check
cargo check --no-default-features
