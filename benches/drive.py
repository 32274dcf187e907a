#!/usr/bin/env python3
"""Sends an exact number of minimal GETs over several connections in lockstep, DEPTH to a write.

Every turn looks the same, so two runs of different length differ only in their number of requests.

    benches/drive.py PORT REQUESTS [CONNECTIONS [DEPTH]]
"""

import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(port, patience=30.0):
    """Connects as soon as the server listens, which may take long under a tool such as valgrind."""
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=patience)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def receive(connection, count, length):
    """Reads `count` responses of `length` bytes each. If that is 0, takes it from the first one."""
    data = b""
    while not length or len(data) < count * length:
        piece = connection.recv(1 << 16)
        if not piece:
            sys.exit("drive.py: the server closed a connection")
        data += piece
        head_end = data.find(b"\r\n\r\n")
        if not length and head_end >= 0:
            head = data[:head_end].lower()
            content = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            length = head_end + 4 + content
    if data.count(b"HTTP/1.1 200 ") != count or len(data) != count * length:
        sys.exit("drive.py: a response differs: expected a 200 of the same length every time")
    return length


def drive(port, requests, connections=16, depth=1):
    opened = [connect(port) for _ in range(connections)]
    length, burst = 0, REQUEST * depth
    for _ in range(requests // (connections * depth)):
        for connection in opened:
            connection.sendall(burst)
        for connection in opened:
            length = receive(connection, depth, length)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    drive(*map(int, sys.argv[1:]))
