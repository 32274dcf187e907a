#!/usr/bin/env python3
"""Reads the metrics of the example of that name with the parser of Prometheus's own client for Python.

    tests/process/metrics.py

Needs Python 3.10 with the module prometheus_client, and is skipped with a message without it. On Debian:

    apt install python3-prometheus-client

If promtool is installed, it checks the text, too. Uses only the loopback interface.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys

from clients import program, python_with
from running import PATIENCE, Program, build, check, free_port

PARSER = "prometheus_client"


def main():
    python = python_with(PARSER)
    if python is None:
        print(f"skipped: no Python has the module {PARSER}")
        return
    if python != sys.executable:
        os.execv(python, [python, *sys.argv])
    example = build("--example", "metrics") / "examples" / "metrics"
    public, admin = free_port(), free_port()
    with Program(admin, example, f"127.0.0.1:{public}", f"127.0.0.1:{admin}") as server:
        numbers_are_those_of_the_requests(public, admin)
        promtool_has_no_complaint(admin)
        a_server_that_drains_is_not_ready(admin, server)


def numbers_are_those_of_the_requests(public, admin):
    before = scrape(admin)
    for path in ("/?n=1000", "/", "/missing"):
        get(public, path)
    with socket.create_connection(("127.0.0.1", public), timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        client.recv(65536)
    with socket.create_connection(("127.0.0.1", public), timeout=PATIENCE) as client:
        client.sendall(b"GET / HT")
        after = scrape(admin)
        while not after.value("wheelhouse_connections", phase="head"):
            after = scrape(admin)

    def moved(name, **labels):
        return after.value(name, **labels) - before.value(name, **labels)

    # Each look at the metrics is a request, too.
    check(moved("wheelhouse_requests_total") - moved("wheelhouse_responses_total", **{"class": "2xx"}) == 1,
          "requests and responses were counted")
    check(moved("wheelhouse_responses_total", **{"class": "4xx"}) == 2, "two responses were a 4xx")
    check(moved("wheelhouse_refusals_total", reason="host") == 1, "one request was refused for its Host")
    check(after.value("wheelhouse_connections", phase="head") == 1, "one connection has begun a head")
    check(moved("wheelhouse_received_bytes_total") > 0, "bytes were counted")
    check(moved("primes_counted_total") == 168 + 4, "the metric of the program is there")
    kinds = {"counter": "wheelhouse_requests", "gauge": "wheelhouse_memory_bytes",
             "histogram": "wheelhouse_turn_duration_seconds"}
    check(all(after.families[name].type == kind for kind, name in kinds.items()), "types are right")
    check(all(family.documentation for family in after.families.values()), "each family has a help")
    check(all(family.samples for family in after.families.values()), "each family has a sample")
    turns = "wheelhouse_turn_duration_seconds"
    count = after.value(f"{turns}_count")
    check(count > 0 and after.value(f"{turns}_bucket", le="+Inf") == count, "turns are in buckets")
    check(0 < after.value(f"{turns}_sum") < PATIENCE, "the time of the turns is in seconds")


def promtool_has_no_complaint(admin):
    if program("promtool") is None:
        print("skipped: promtool is not installed")
        return
    text = get(admin, "/metrics").read()
    done = subprocess.run([program("promtool"), "check", "metrics"], input=text, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(done.returncode == 0 and not done.stdout, f"promtool has no complaint {done.stdout.decode()}")


def a_server_that_drains_is_not_ready(admin, server):
    check((get(admin, "/ready").status, get(admin, "/health").status) == (200, 200), "ready, and well")
    with socket.create_connection(("127.0.0.1", admin), timeout=PATIENCE) as client:
        client.sendall(b"GET /ready HTTP/1.1\r\nHost:")
        while scrape(admin).value("wheelhouse_connections", phase="head") < 1:
            pass
        server.process.send_signal(signal.SIGTERM)
        # The listeners close when the shutdown has begun.
        while accepts(admin):
            pass
        client.sendall(b" a\r\n\r\n")
        response = b"".join(iter(lambda: client.recv(65536), b""))
    check(response.startswith(b"HTTP/1.1 503 ") and b"draining" in response, "while it drains, a 503")
    check(server.process.wait(PATIENCE) == 0, "it ends well")


class Scrape:
    """The metrics at one moment."""

    def __init__(self, text):
        from prometheus_client.parser import text_string_to_metric_families
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(self.samples) == len(samples), "a sample comes twice"

    def value(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]


def scrape(port):
    response = get(port, "/metrics")
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(response.read().decode())


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={"Connection": "close"})
    return connection.getresponse()


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
