#!/usr/bin/env bash
# Installs the programs that some tests use: proxies, clients, a parser of metrics and a browser. That happens in CI only,
# as root, on Debian. Elsewhere nothing is installed, and a test without its program is skipped.
set -euo pipefail

packages=(nginx-light haproxy curl wget aria2 nodejs python3-requests python3-aiohttp
    python3-prometheus-client chromium)

skip() {
    echo "skipped: $*; tests without their programs are skipped, too"
    exit 0
}

is_installed() {
    dpkg-query --show --showformat '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

[[ ${CI:-} == true ]] || skip 'not in CI (CI=true)'
[[ $(id -u) == 0 ]] || skip 'not root'
command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || skip 'not Debian'

absent=()
for package in "${packages[@]}"; do
    is_installed "$package" || absent+=("$package")
done
((${#absent[@]})) || { echo 'all are installed'; exit; }

# The packages of servers start them, unless this file forbids it.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
timeout 120 apt-get -qq update || skip 'no list of packages'
# One at a time, so that a package that this Debian lacks does not keep the others out.
for package in "${absent[@]}"; do
    if timeout 300 apt-get -qq install --yes --no-install-recommends "$package" >/dev/null; then
        echo "installed: $package"
    else
        echo "skipped: $package cannot be installed"
    fi
done
