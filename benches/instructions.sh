#!/bin/sh
# Counts the user-space instructions of the hello example for one minimal keep-alive GET, with
# callgrind. The figure is the difference between a long and a short run, so that start and end
# cancel out. It is measured for sixteen connections in lockstep, with one request to a write and with
# sixteen, and for one connection. Client and server share a core, so that a turn of the loop serves
# the requests of all connections on every machine, busy or not.
#
#     cargo build --release --examples
#     benches/instructions.sh [--top|--inlined [LINES]]
#
# `--top` also prints the functions with the most instructions. `--inlined` lists inlined code
# separately, by source file, if the examples were built with
# CARGO_PROFILE_RELEASE_DEBUG=line-tables-only. Needs valgrind, python3 and taskset.
set -eu
# The pattern of the text that callgrind_annotate puts before a function: its file, or ??? if
# unknown.
top=0 file='[^ :]*:'
case ${1:-} in
--top) top=${2:-25} ;;
--inlined) top=${2:-50} file='\([^ :]*\/\)*' ;;
esac
here=$(dirname "$0")
hello=${CARGO_TARGET_DIR:-$here/../target}/release/examples/hello
port=${PORT:-$((20000 + $$ % 10000))}

for tool in valgrind python3 taskset; do
    command -v "$tool" >/dev/null || { echo "instructions.sh: $tool is missing" >&2; exit 2; }
done
[ -x "$hello" ] || {
    echo "instructions.sh: $hello is missing: run cargo build --release --examples" >&2
    exit 2
}

taskset -cp "$(sed -n 's/^Cpus_allowed_list:\t\([0-9]*\).*/\1/p' /proc/self/status)" $$ >/dev/null
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT PIPE TERM

# Serves $1 requests, $2 to a write, over $3 connections; callgrind writes its profile when SIGTERM
# ends the server.
count() {
    profile=$scratch/$1-$2-$3
    valgrind --tool=callgrind --callgrind-out-file="$profile" "$hello" "127.0.0.1:$port" \
        2>"$scratch/valgrind" &
    server=$!
    python3 "$here/drive.py" "$port" "$1" "$3" "$2"
    kill -TERM "$server"
    { wait "$server" || true; } 2>/dev/null
    server=
    awk '/^(summary|totals):/ { print $2; exit }' "$profile"
}

# $1 to a write, over $2 connections, with $3 and with $4 requests.
measure() {
    short=$(count "$3" "$1" "$2")
    long=$(count "$4" "$1" "$2")
    echo "$5: $(((long - short) / ($4 - $3))) instructions per request"
    if [ "$top" -gt 0 ]; then functions "$@"; fi
}

functions() {
    for requests in "$3" "$4"; do
        callgrind_annotate --threshold=100 --auto=no --show-percs=no "$scratch/$requests-$1-$2" |
            sed -n "s/ \\[[^]]*\\]\$//; s/^ *\\([0-9,]*\\)  $file/\\1 /p" |
            sed 's/???://; /PROGRAM TOTALS/d' >"$scratch/functions-$requests"
    done
    awk -v more="$(($4 - $3))" '
        { count = $1; gsub(",", "", count); $1 = "" }
        FNR == NR { before[$0] += count; next }
        { after[$0] += count }
        END {
            for (name in after)
                printf "%9.2f %s\n", (after[name] - before[name]) / more, name
        }' "$scratch/functions-$3" "$scratch/functions-$4" | sort -rn | head -n "$top"
}

measure 1 16 800 8000 "one to a write"
# Multiples of 256: sixteen connections, sixteen requests each.
measure 16 16 1024 10240 "sixteen to a write"
measure 1 1 800 8000 "one connection"
