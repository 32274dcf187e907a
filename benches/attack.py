#!/usr/bin/env python3
"""Attacks the server in many ways and measures its memory and its service to an honest client.

    cargo build --release --all-features --bin wheelhouse --example probe --example websocket
    benches/attack.py [--limits default|small|both] [--seconds N] [--sources N] [NAME]...
    benches/attack.py --json FILE
    benches/attack.py --update docs/under-attack.md

A NAME is a scenario or a part of its name; without one, all run. `--list` prints them. The output
is a Markdown table, which `--update` writes into a page. The scenarios are in attackers.py.

For each scenario a server starts, a process of attackers, and an honest client, which opens a new
connection from 127.0.0.2 for each of its 100 requests. The attackers have other addresses of 127/8,
250 unless the scenario or `--sources` sets another number. The honest client makes its requests
once before the attack, in a second, and once during it, at even distances over `--seconds` (default
6), whether or not earlier ones have been served. Its request fails if it is refused, reset, or
takes more than 5 s.

The promise is that the private memory of the server (RssAnon) stays within `memory_bytes_max` and a
base of 1 MiB, and that all honest requests are served. If one is broken, the exit status is 1. The
address space of the server has a hard limit, AS_MARGIN above the size at rest and
`memory_bytes_max`, so a server that takes more ends at once. Times are reported, not checked:
"slow" marks a p99 above 50 ms. They depend on the machine, because the attackers run on it, too. In
the chat, a member that reads all the time is with the honest client: "member cut" marks its end.
"""

import argparse
import collections
import contextlib
import json
import math
import multiprocessing
import os
import pathlib
import platform
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time

from attackers import HANDSHAKE, SCENARIOS, attack
from process import example, free_port, pss, raise_descriptor_limit, release, wait_for

#: The private memory of the process beside that of its clients: about 270 KiB at rest, and the
#: rounding of the allocator.
BASE = 1 << 20
#: The address space beyond `memory_bytes_max` and that of a server at rest. It is not memory: the
#: allocator reserves more than it uses.
AS_MARGIN = 4 << 20
#: Without the first, glibc reserves addresses for each thread, which are no memory.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "RUST_BACKTRACE": "0"}
HONEST_ADDRESS = "127.0.0.2"
HONEST_REQUESTS = 100
HONEST_PATIENCE = 5.0
QUIET_SECONDS = 1.0
#: The mark for a p99 that is too slow, in milliseconds.
SLOW_MS = 50.0
#: The time after an attack until the memory is read again.
AFTER_SECONDS = 2.0
SAMPLE_SECONDS = 0.02
SAMPLES_PER_PSS = 10
DESCRIPTORS = 40_000
ENTRIES = 5_000
LARGE_BYTES = 1 << 30
#: The lines of a page between which `--update` writes.
MARKS = "<!-- begin: benches/attack.py --update -->", "<!-- end -->"
PRESETS = {"default": "open-internet", "small": "small"}
FORK = multiprocessing.get_context("fork")


def main():
    options = arguments()
    names = [name for name in SCENARIOS if is_wanted(name, options.names)]
    if options.list:
        print("\n".join(listing(names)))
        return
    if not names:
        sys.exit("attack.py: no scenario has this name: --list prints them")
    descriptors = raise_descriptor_limit(DESCRIPTORS)
    facts = list(machine(descriptors, options.seconds))
    lines = [*facts, "", *heading()]
    print("\n".join(lines), flush=True)
    results = []
    with tempfile.TemporaryDirectory(prefix="wheelhouse-attack-") as directory:
        fill(pathlib.Path(directory))
        for limits in ("default", "small") if options.limits == "both" else (options.limits,):
            for name in names:
                result = run(name, limits, options, directory)
                results.append(result)
                lines.append(row(result))
                print(lines[-1], flush=True)
    if options.update:
        update(pathlib.Path(options.update), [*listing(names), "", *lines])
    if options.json:
        figures = {"machine": facts, "seconds": options.seconds,
                   "sources": options.sources, "results": results}
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1))
    broken = [result for result in results if result["broken"]]
    print(f"\n{len(results) - len(broken)} of {len(results)} scenarios keep the promises")
    sys.exit(1 if broken else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--limits", choices=("default", "small", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--sources", type=int, default=250, help="addresses of the attackers")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--update", metavar="PAGE", help="write the tables between its marks")
    parser.add_argument("--list", action="store_true", help="print the scenarios and exit")
    return parser.parse_args()


def is_wanted(name, wanted):
    return not wanted or any(part in name for part in wanted)


def fill(directory):
    (directory / "index.html").write_text("Hello, World!")
    with open(directory / "large", "wb") as large:
        large.truncate(LARGE_BYTES)
    many = directory / "many"
    many.mkdir()
    for n in range(ENTRIES):
        (many / f"a name of an ordinary length {n:05}.txt").touch()


class Server:
    """A server with one of the presets, under a limit of its address space."""

    def __init__(self, name, preset, directory):
        self.name, port = name, free_port()
        self.messages = tempfile.TemporaryFile()
        self.process, self.port = wait_for(
            subprocess.Popen(command(name, preset, port, directory), stderr=self.messages,
                             stdout=subprocess.DEVNULL, env=os.environ | ENVIRONMENT), name, port)
        self.pid = self.process.pid
        limit = kibibytes(self.pid, "VmSize") * 1024 + budget(preset) + AS_MARGIN
        resource.prlimit(self.pid, resource.RLIMIT_AS, (limit, limit))
        self.peak = self.peak_pss = 0

    def is_alive(self):
        return self.process.poll() is None

    def private(self):
        """Returns the bytes of private memory, 0 if the server has died."""
        return kibibytes(self.pid, "RssAnon") * 1024 if self.is_alive() else 0

    def watch_until(self, is_over):
        """Samples the memory until `is_over()` or the server has died."""
        samples = 0
        while not is_over() and self.is_alive():
            self.peak = max(self.peak, self.private())
            if samples % SAMPLES_PER_PSS == 0:
                with contextlib.suppress(ProcessLookupError):
                    self.peak_pss = max(self.peak_pss, pss(self.pid))
            samples += 1
            time.sleep(SAMPLE_SECONDS)

    def end(self):
        """Ends the server, and returns its last message if it has died before."""
        died = not self.is_alive()
        self.process.kill()
        status = self.process.wait()
        self.messages.seek(0)
        lines = self.messages.read().decode(errors="replace").splitlines()
        cause = [line for line in lines if "memory allocation" in line or "panicked" in line]
        return f"died with status {status}: {(cause or lines or ['-'])[-1]}" if died else None


def command(name, preset, port, directory):
    address = f"127.0.0.1:{port}"
    if name == "wheelhouse":
        return [binary(), directory, "--listen", address, "--limits", preset]
    return [example(name), address, *(["--limits"] if name == "probe" else []), preset]


def binary():
    return release() / "wheelhouse"


def budget(preset):
    """Returns `memory_bytes_max` of a preset, as the binary prints it."""
    command = [binary(), "--limits", preset, "--print-limits"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^memory_bytes_max +(\d+) MiB", text, re.M).group(1)) << 20


def kibibytes(pid, field):
    """Returns a field of the status of a process, 0 if it has ended."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.M)
    return int(found.group(1)) if found else 0


def run(name, limits, options, directory):
    """Runs a scenario and returns its figures."""
    server = Server(SCENARIOS[name].server, PRESETS[limits], directory)
    try:
        result = measure(server, name, limits, options)
    finally:
        died = server.end()
    promise = budget(PRESETS[limits]) + BASE
    over = result["peak"] - promise
    missing = HONEST_REQUESTS - result["honest"]["served"]
    broken = [died] if died else []
    if over > 0:
        broken.append(f"memory {mib(over)} MiB above the promise")
    if missing:
        broken.append(f"{missing} not served")
    return {"scenario": name, "limits": limits, "promise": promise, "broken": broken, **result}


def measure(server, name, limits, options):
    quiet = honest(server, QUIET_SECONDS)
    rest = server.private()
    pipe, end = FORK.Pipe()
    attackers = FORK.Process(
        target=attack,
        args=(name, server.port, limits == "small", options.sources, end), daemon=True)
    attackers.start()
    # So that the end of the attackers is also the end of the pipe.
    end.close()
    server.watch_until(pipe.poll)
    pipe.recv()
    served = honest(server, options.seconds)
    pipe.send("over")
    # The attackers report before they end.
    made = json.loads(pipe.recv())
    attackers.join()
    # Until then the connections that linger have ended.
    end_at = time.monotonic() + AFTER_SECONDS
    server.watch_until(lambda: time.monotonic() > end_at)
    return {"rest": rest, "peak": server.peak, "peak_pss": server.peak_pss,
            "after": server.private(), "attackers": made, "quiet": quiet, "honest": served}


def honest(server, seconds):
    """Makes the honest requests in a process of its own, and returns their figures."""
    pipe, end = FORK.Pipe(duplex=False)
    client = FORK.Process(target=be_honest, args=(server, seconds, end), daemon=True)
    client.start()
    end.close()
    server.watch_until(lambda: pipe.poll() or not client.is_alive())
    # If the server has died, the client still has to fail with all its requests.
    figures = pipe.recv() if pipe.poll(seconds + 2 * HONEST_PATIENCE) else None
    client.join()
    return figures or {"served": 0, "failures": {"no client": HONEST_REQUESTS},
                       "p50": None, "p99": None, "max": None}


def be_honest(server, seconds, pipe):
    """Opens a connection for each request, at even distances, and reports the times."""
    epoll, waiting = select.epoll(), {}
    times, failures = [], collections.Counter()
    members = [Member(server.port)] if server.name == "websocket" else []
    for member in members:
        epoll.register(member.socket, select.EPOLLIN)
        waiting[member.socket.fileno()] = member
    begin = time.monotonic()
    for n in range(HONEST_REQUESTS):
        start = begin + n * seconds / HONEST_REQUESTS
        serve_waiting(epoll, waiting, lambda: time.monotonic() < start, times, failures)
        try:
            request = Honest(server.port)
        except OSError as error:
            failures[type(error).__name__] += 1
            continue
        waiting[request.socket.fileno()] = request
        epoll.register(request.socket, select.EPOLLOUT)
    serve_waiting(epoll, waiting, lambda: len(waiting) > len(members), times, failures)
    times.sort()
    pipe.send({"served": len(times), "failures": dict(failures),
               "member_cut": any(member.is_cut for member in members), "p50": quantile(times, 0.5),
               "p99": quantile(times, 0.99), "max": times[-1] if times else None})


def serve_waiting(epoll, waiting, goes_on, times, failures):
    """Waits for events of the requests that are under way, while `goes_on()`."""
    while goes_on():
        for descriptor, _ in epoll.poll(0.001):
            request = waiting[descriptor]
            if isinstance(request, Member):
                request.read(epoll)
                continue
            outcome = request.advance(epoll)
            if outcome is None:
                continue
            if outcome == "200":
                times.append((time.monotonic() - request.start) * 1000)
            else:
                failures[outcome] += 1
            del waiting[descriptor]
            request.socket.close()
        for descriptor, request in list(waiting.items()):
            if time.monotonic() - request.start > HONEST_PATIENCE:
                failures["timeout"] += 1
                del waiting[descriptor]
                request.socket.close()


class Honest:
    """One request of the honest client."""

    def __init__(self, port):
        self.start = time.monotonic()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((HONEST_ADDRESS, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.response = None

    def advance(self, epoll):
        """Goes on after an event. Returns the outcome, or None until there is one."""
        try:
            if self.response is None:
                self.socket.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self.response = b""
                epoll.modify(self.socket, select.EPOLLIN)
                return None
            piece = self.socket.recv(1 << 16)
        except BlockingIOError:
            return None
        except OSError as error:
            return type(error).__name__
        self.response += piece
        head, separator, content = self.response.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head, re.I) if separator else None
        if length and len(content) == int(length.group(1)):
            return head[9:12].decode()
        return None if piece else "closed"


class Member:
    """A member of the chat that reads all the time. It waits as requests do, but never ends."""

    start = math.inf

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), HONEST_PATIENCE,
                                               (HONEST_ADDRESS, 0))
        self.socket.sendall(b"GET /chat" + HANDSHAKE)
        self.socket.setblocking(False)
        self.is_cut = False

    def read(self, epoll):
        try:
            self.is_cut = not self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            self.is_cut = True
        if self.is_cut:
            epoll.unregister(self.socket)


def quantile(times, part):
    return times[math.ceil(len(times) * part) - 1] if times else None


def machine(descriptors, seconds):
    load = os.getloadavg()[0]
    yield (f"{os.cpu_count()} processors, {platform.system()} {platform.release().split('-')[0]}, "
           f"a load of {load:.1f} at the start, {descriptors:,} descriptors for each process. "
           f"The honest requests of an attack were spread over {seconds:g} s.")
    if load > os.cpu_count() / 2:
        yield "The machine did other work at the same time, so all times are upper bounds."


def listing(names):
    yield "| attack | connections by default, small limits | each of them |"
    yield "|---|---|---|"
    for name in names:
        scenario = SCENARIOS[name]
        default, small = scenario.connections
        yield f"| {name} | {default:,}, {small:,} | {scenario.script.__doc__} |"


def update(page, lines):
    """Replaces the lines between the marks of a page."""
    before, begin, rest = page.read_text().partition(MARKS[0] + "\n")
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        sys.exit(f"attack.py: {page}: expected the lines {MARKS[0]} and {MARKS[1]}")
    page.write_text("\n".join([before + MARKS[0], "", *lines, "", MARKS[1] + after]))


def heading():
    columns = ["attack", "limits", "rest", "peak", "after", "promise", "connections", "refused",
               "quiet p50 / p99 / max", "served", "under attack p50 / p99 / max", "promises"]
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)


def row(result):
    made = dict(result["attackers"])
    connections = f"{made.pop('made'):,}"
    verdict = "; ".join(result["broken"]) or "kept"
    if (result["honest"]["p99"] or 0) > SLOW_MS:
        verdict += "; slow"
    if result["honest"].get("member_cut"):
        verdict += "; member cut"
    failures = result["honest"]["failures"]
    served = f"{result['honest']['served']}" + (f" ({counts(failures)})" if failures else "")
    columns = [result["scenario"], result["limits"], mib(result["rest"]), mib(result["peak"]),
               mib(result["after"]), mib(result["promise"]), connections, counts(made) or "-",
               times(result["quiet"]), served, times(result["honest"]), verdict]
    return f"| {' | '.join(columns)} |"


def counts(counted):
    return ", ".join(f"{key}: {count:,}" for key, count in sorted(counted.items()))


def times(figures):
    return " / ".join("-" if figures[key] is None else f"{figures[key]:.1f}"
                      for key in ("p50", "p99", "max"))


def mib(size):
    return f"{size / (1 << 20):.2f}"


if __name__ == "__main__":
    main()
