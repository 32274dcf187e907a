#!/usr/bin/env python3
"""Measures the memory of the probe example while /echo sends 1 GiB back.

    cargo build --release --examples
    benches/flat_memory.py [MEBIBYTES]

The content is sent once with Content-Length and once in chunks. The client reads at its own pace,
so both directions are full all the time. The resident set is sampled with each MiB that comes back.
"""

import hashlib
import os
import socket
import sys
import threading
import time

from process import rss, start, stop

MIB = 1 << 20


def main():
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    server, port = start("probe")
    try:
        # The first exchange maps the pages that every exchange needs.
        echo(server.pid, port, 1, is_chunked=False)
        for is_chunked in (False, True):
            before = rss(server.pid)
            began = time.monotonic()
            peak = echo(server.pid, port, mebibytes, is_chunked)
            seconds = time.monotonic() - began
            kind = "chunked" if is_chunked else "Content-Length"
            print(f"{kind:<15} {mebibytes} MiB echoed in {seconds:.1f} s; resident {before:,} B "
                  f"before, {peak:,} B at the peak: growth {peak - before:,} B")
    finally:
        stop(server)


def echo(pid, port, mebibytes, is_chunked):
    """Sends content, checks that it comes back, and returns the peak of the resident set."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {mebibytes * MIB}"
    connection.sendall(f"PUT /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
    sent = hashlib.blake2b()
    sender = threading.Thread(target=send, args=(connection, mebibytes, is_chunked, sent))
    sender.start()
    reader = connection.makefile("rb", buffering=MIB)
    if not reader.readline().startswith(b"HTTP/1.1 200 "):
        sys.exit("flat_memory.py: /echo failed: expected a 200")
    while reader.readline() != b"\r\n":
        pass
    received, length, sampled, peak = hashlib.blake2b(), 0, 0, rss(pid)
    for piece in pieces(reader, mebibytes, is_chunked):
        received.update(piece)
        length += len(piece)
        if length - sampled >= MIB:
            sampled = length
            peak = max(peak, rss(pid))
    sender.join()
    connection.close()
    if length != mebibytes * MIB or received.digest() != sent.digest():
        sys.exit(f"flat_memory.py: {length} bytes came back: expected the content sent")
    return peak


def send(connection, mebibytes, is_chunked, digest):
    piece = os.urandom(MIB)
    for _ in range(mebibytes):
        digest.update(piece)
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
    if is_chunked:
        connection.sendall(b"0\r\n\r\n")


def pieces(reader, mebibytes, is_chunked):
    if not is_chunked:
        left = mebibytes * MIB
        while left and (piece := reader.read(min(left, MIB))):
            left -= len(piece)
            yield piece
        return
    while length := int(reader.readline(), 16):
        yield reader.read(length)
        reader.readline()
    reader.readline()


if __name__ == "__main__":
    main()
