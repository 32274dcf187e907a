#!/bin/sh
# Measures the requests per second of the hello example on one core, one by one and sixteen to a
# write, and the system calls of a request. Fails if there is a socket error or a response that is
# not 2xx.
#
#     cargo build --release --examples
#     benches/load.sh [SECONDS]
#
# The server runs on CPU 0 and the generator on CPU 1. The figures of one run can be compared with
# each other, but not with those of another machine. Needs wrk and taskset, and strace for the
# calls.
set -eu
seconds=${1:-5}
here=$(dirname "$0")
hello=${CARGO_TARGET_DIR:-$here/../target}/release/examples/hello
port=${PORT:-$((20000 + $$ % 10000))}
url=http://127.0.0.1:$port/

for tool in wrk taskset; do
    command -v "$tool" >/dev/null || { echo "load.sh: $tool is missing" >&2; exit 2; }
done
[ -x "$hello" ] || {
    echo "load.sh: $hello is missing: run cargo build --release --examples" >&2
    exit 2
}

taskset -c 0 "$hello" "127.0.0.1:$port" &
server=$!
scratch=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT PIPE TERM
sleep 0.5
kill -0 "$server" || { echo "load.sh: the server does not start on port $port" >&2; exit 2; }

# Runs wrk with the arguments after the title. Ends the script if a request failed.
load() {
    title=$1
    shift
    echo "== $title"
    taskset -c 1 wrk -t1 -c64 "$@" "$url" >"$scratch/wrk"
    grep -E 'Latency|requests in|Requests/sec|errors|Non-2xx' "$scratch/wrk"
    if grep -qE 'errors|Non-2xx' "$scratch/wrk"; then
        echo "load.sh: $title: a request failed: expected only 2xx" >&2
        exit 1
    fi
}

load "one by one" -d "${seconds}s"
load "sixteen to a write" -d "${seconds}s" -s "$here/pipeline.lua"

# Runs both again under strace, which slows both sides down, so that only the counts are of use.
command -v strace >/dev/null || { echo "load.sh: strace is missing: calls are not counted"; exit 0; }
calls() {
    title="calls, $1"
    shift
    strace -c -o "$scratch/calls" -p "$server" 2>/dev/null &
    tracer=$!
    sleep 0.5
    load "$title" -d 2s "$@"
    kill -INT "$tracer"
    wait "$tracer" || true
    requests=$(awk '/requests in/ { print $1 }' "$scratch/wrk")
    awk -v requests="$requests" '
        $1 + 0 == $1 && $4 + 0 > 0 && $NF != "total" {
            printf "%-16s %9d  %.4f per request\n", $NF, $4, $4 / requests
        }' "$scratch/calls"
}
calls "one by one"
calls "sixteen to a write" -s "$here/pipeline.lua"
