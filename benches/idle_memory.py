#!/usr/bin/env python3
"""Measures the memory of idle keep-alive connections, and the system calls while they are idle.

    cargo build --release --examples
    benches/idle_memory.py [CONNECTIONS] [--strace]

Opens CONNECTIONS (default 20,000) to the hello example and sends one request on each. Prints the
growth of the process for each connection, and the rest when all have closed. With --strace it also
prints the first 20 system calls of ten idle seconds; expected are none. Both ends need a descriptor
for each connection. If the hard limit does not allow that, fewer are opened, with a message.
"""

import socket
import struct
import subprocess
import sys
import time

from process import cpu_seconds, pss, raise_descriptor_limit, start, stop

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#: The descriptors that each end needs beside connections. The server has a reserve of 64.
RESERVE = 100
#: The limit of the server is this many times the connections. Above half of its limit the server
#: shortens the idle timeout, from 100 s down to 5 s.
ROOM = 2
#: The connections per source address, fewer than the ports that the system assigns.
PER_ADDRESS = 10_000
IDLE_SECONDS = 10
IP_BIND_ADDRESS_NO_PORT = 24
SETTLED_SECONDS = 12


def main():
    numbers = [int(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    wanted = numbers[0] if numbers else 20_000
    limit = raise_descriptor_limit(wanted * ROOM + RESERVE)
    count = min(wanted, limit - RESERVE)
    if count < wanted:
        print(f"only {count} connections: the hard descriptor limit is {limit}")
    server, port = start("hello")
    try:
        measure(server.pid, port, count)
        if "--strace" in sys.argv:
            idle_calls(server.pid, port, min(count, (limit - RESERVE) // ROOM))
    finally:
        stop(server)


def connect(port, count):
    connections = []
    for n in range(count):
        connection = socket.socket()
        connection.settimeout(10)
        # The system chooses the port when both ends are known, which is quick. A close is a reset,
        # so no port stays occupied.
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.bind((f"127.0.0.{2 + n // PER_ADDRESS}", 0))
        connection.connect(("127.0.0.1", port))
        connection.sendall(REQUEST)
        connections.append(connection)
        # Responses are read 64 connections later, so the backlog never fills.
        if n >= 64:
            receive(connections[n - 64])
    for connection in connections[-64:]:
        receive(connection)
    return connections


def receive(connection):
    response = connection.recv(4096)
    if not response.startswith(b"HTTP/1.1 200 ") or not response.endswith(b"Hello, World!"):
        sys.exit(f"idle_memory.py: {response!r}: expected the response of hello")


def measure(pid, port, count):
    # The memory that the first connections allocate once is not part of the cost of each.
    for connection in connect(port, 100):
        connection.close()
    time.sleep(0.5)
    before = pss(pid)
    connections = connect(port, count)
    time.sleep(0.5)
    opened = pss(pid)
    for connection in connections:
        connection.close()
    time.sleep(1)
    closed = pss(pid)
    print(f"Pss before            {before:>12,} B")
    print(f"Pss with {count:>6,} idle  {opened:>12,} B  {(opened - before) / count:.1f} B each")
    print(f"Pss after all closed  {closed:>12,} B  {(closed - before) / count:.1f} B each left")


def idle_calls(pid, port, count):
    connections = connect(port, count)
    # The deadline of the first head, 10 s after the accept, was moved to 100 s without a change of
    # the wheel. So the loop wakes once more, 10 s after the accept, and finds nothing due.
    time.sleep(SETTLED_SECONDS)
    used = cpu_seconds(pid)
    try:
        traced = subprocess.run(
            ["timeout", "-s", "INT", str(IDLE_SECONDS), "strace", "-f", "-p", str(pid)],
            stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        print("strace is missing: system calls are not counted")
        return
    calls = [line for line in traced.stderr.splitlines() if not line.startswith("strace:")]
    used = cpu_seconds(pid) - used
    print(f"system calls in {IDLE_SECONDS} s with {count:,} idle, {used:.2f} s of CPU:")
    print("\n".join(f"    {call}" for call in calls[:20]) or "    none")
    if len(calls) > 20:
        print(f"    and {len(calls) - 20} more")
    for connection in connections:
        connection.close()


if __name__ == "__main__":
    main()
