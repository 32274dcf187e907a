"""The attackers of attack.py: one process that drives up to some ten thousand connections.

A scenario is a script, a generator that one connection runs. The script yields steps:

    bytes       sends all of them, however long that takes
    Flood(b)    the same, and meanwhile reads and drops all input
    a number    sleeps for so many seconds and reads nothing
    Read(n)     waits for input and reads at most n bytes, which the `yield` returns

If the script ends, its connection is reset. A connection that has ended, by the script or by the
server, is opened again at once: an attacker does not give up.
"""

import collections
import errno
import heapq
import itertools
import json
import os
import re
import select
import socket
import struct
import time

IP_BIND_ADDRESS_NO_PORT = 24
#: A close with this option is a reset. So no port stays occupied, and nothing lingers.
RESET = struct.pack("ii", 1, 0)
#: The most connections that are opened in one turn. Otherwise a flood of connections would keep
#: those that are open from doing their work.
OPENED_MAX = 256
#: The longest time in which the first connections of an attack must come into place.
IN_PLACE_SECONDS = 5.0
#: The pause after an error that means that this process is out of ports or descriptors.
EXHAUSTED_PAUSE = 0.05
EXHAUSTED = {errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
REFUSALS = re.compile(rb"HTTP/1\.1 ([45]\d\d) ")
KIB, MIB = 1 << 10, 1 << 20

#: The rest of a request line, and the one field that each request needs.
HOST = b" HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /" + HOST + b"\r\n"


class Read(int):
    """A step of a script: to read at most so many bytes."""


class Flood(bytes):
    """A step of a script: to send these bytes and drop all input meanwhile."""


class Scenario:
    """An attack: the server that it is for, its connections and the script of each.

    `connections` is the number that are open at once, for the default limits and for the small
    ones. `buffer` is the size of the receive buffer of each, 0 for that of the system. `sources` is
    the number of addresses that they come from, or None for one that the options set.
    """

    def __init__(self, server, connections, script, buffer=0, sources=None):
        self.server, self.connections, self.script = server, connections, script
        self.buffer, self.sources = buffer, sources


# The scripts. The docstring of each is its row in the table of attacks. `small` says that the server
# has the small limits. `n` is the number of the connection.


def slow_heads(small, n):
    """Sends half a head of 4,200 B, and then a byte per second."""
    yield b"GET /" + HOST + b"X: " + b"a" * 4170
    while True:
        yield 1.0
        yield b"a"


def slow_uploads(small, n):
    """Sends 256 KiB to `/echo` and then 2 KiB/s, and does not read the echo."""
    yield b"POST /echo" + HOST + b"Content-Length: 1000000000\r\n\r\n" + b"x" * (256 * KIB)
    while True:
        yield 1.0
        yield b"x" * (2 * KIB)


def framing_uploads(small, n):
    """Sends 960 KiB (small: 64 KiB) to `/collect`, and then 1.1 KiB/s, mostly framing."""
    first = (64 if small else 960) * KIB
    yield b"POST /collect" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    yield b"%x\r\n%b\r\n" % (first, b"x" * first)
    while True:
        yield 1.0
        yield b"1;aaaaaaaaaaaaa\r\nX\r\n" * 54


def tiny_chunks(small, n):
    """Sends chunks of one byte to `/collect`, as fast as they are taken."""
    yield b"POST /collect" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\nx\r\n" * (8 * KIB)


def slow_collected(small, n):
    """Sends 512 KiB (small: 64 KiB) of 1 MB to `/collect`, and then the least rate."""
    first = (64 if small else 512) * KIB
    yield b"POST /collect" + HOST + b"Content-Length: 1000000\r\n\r\n" + b"x" * first
    while True:
        yield 1.0
        yield b"x" * 1100


def slowly(requests):
    """Sends requests and reads their responses at 1.1 KiB/s."""
    yield requests
    while (yield Read(1100)):
        yield 1.0


def slow_readers(small, n):
    """Reads 8 MiB from memory at 1.1 KiB/s."""
    return slowly((b"GET /big" + HOST + b"\r\n") * 4)


def slow_streams(small, n):
    """Reads pipelined responses of a producer at 1.1 KiB/s."""
    return slowly((b"GET /stream" + HOST + b"\r\n") * 500)


def slow_files(small, n):
    """Reads a file of 1 GiB at 1.1 KiB/s."""
    return slowly((b"GET /large" + HOST + b"\r\n") * 4)


def ranges(size):
    """Returns a request for 16 ranges of `size` bytes of the large file."""
    wanted = b",".join(b"%d-%d" % (n * MIB, n * MIB + size - 1) for n in range(16))
    return b"GET /large" + HOST + b"Range: bytes=" + wanted + b"\r\n\r\n"


def slow_ranges(small, n):
    """Reads 16 ranges of 500 KB at 1.1 KiB/s."""
    return slowly(ranges(500_000) * 2)


def huge_heads(small, n):
    """Sends heads near their limit in pieces, every other connection one beyond it."""
    limit = (8 if small else 16) * KIB
    fields = b"".join(b"X-%04d: %b\r\n" % (i, b"a" * 190) for i in range(limit // 200 - 1))
    while True:
        if n % 2:
            yield b"GET /" + HOST + b"X: " + b"a" * (4 * limit)
        for begin in range(0, len(fields), 3000):
            piece = fields[begin:begin + 3000]
            yield piece if begin else b"GET /" + HOST + piece
            yield 0.01
        yield b"\r\n"
        if not (yield Read(64 * KIB)):
            return


def unread_pipelines(small, n):
    """Sends requests without end and reads no response."""
    while True:
        yield GET * 1500


def flood(requests):
    """Sends requests without end, and reads the responses as fast as they come."""
    requests = Flood(requests)
    while True:
        yield requests


def endless_pipelines(small, n):
    """Sends requests without end and reads the responses."""
    return flood(GET * 1500)


def extension_floods(small, n):
    """Sends chunks with extensions of 190 B, of 1 B or 200 B each."""
    yield b"POST /noread" if n % 2 else b"POST /collect"
    yield HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    size = 1 if n % 4 < 2 else 200
    while True:
        yield b"%x;a=%b\r\n%b\r\n" % (size, b"e" * 190, b"x" * size) * 200


def trailers(small, n):
    """Sends content and a trailer section of 3,900 B that does not end."""
    yield b"POST /collect" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    yield b"X: " + b"a" * 3900
    while True:
        yield 1.0
        yield b"a"


def range_floods(small, n):
    """Asks for 16 ranges of 100 B, again and again, and reads them."""
    return flood(ranges(100) * 4)


def listing_floods(small, n):
    """Asks for the listing of 5,000 names, again and again, and reads it."""
    return flood((b"GET /many/" + HOST + b"\r\n") * 4)


def listing_heads(small, n):
    """Sends HEAD requests for the listing without end."""
    return flood((b"HEAD /many/" + HOST + b"\r\n") * 250)


def listing_readers(small, n):
    """Reads the listing at 1.1 KiB/s, in one of four orders."""
    order = (b"name", b"-name", b"date", b"-date")[n % 4]
    return slowly(b"GET /many/?sort=" + order + HOST + b"\r\n")


HANDSHAKE = (HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
EMPTY_MESSAGE = b"\x81\x80\0\0\0\0"


def half_messages(small, n):
    """Sends 65,000 B of a WebSocket message that does not end, and pings."""
    yield b"GET /ws" + HANDSHAKE
    if not (yield Read(64 * KIB)):
        return
    # A first fragment, a mask of zeros.
    yield b"\x01\xfe" + struct.pack(">H", 65_000) + b"\0\0\0\0" + b"a" * 65_000
    while True:
        yield 1.0
        yield b"\x89\x80\0\0\0\0"


def message_bursts(small, n):
    """Sends bursts of 2,100 empty messages to a chat, which sends them to all members."""
    yield b"GET /chat" + HANDSHAKE
    while True:
        if not (yield Read(64 * KIB)):
            return
        yield EMPTY_MESSAGE * 2100
        yield 0.1


def echo_bursts(small, n):
    """Sends empty messages without end and reads their echoes."""
    yield b"GET /ws" + HANDSHAKE
    yield from flood(EMPTY_MESSAGE * 10_000)


def resets(small, n):
    """Sends a request and resets the connection, again and again."""
    yield GET
    return


def silence(small, n):
    """Sends nothing."""
    while True:
        yield 60.0


def crowd(small, n):
    """A third is silent, a third is idle after a request, a third has sent half a head."""
    if n % 3 == 1:
        yield GET
    elif n % 3 == 2:
        yield GET[:-2]
    while True:
        yield 60.0


def holes(small, n):
    """Half heads fill the memory, three of four end, and then readers of ranges come."""
    if n % 16 == 0:
        yield 4.0
        yield from slow_ranges(small, n)
        return
    yield b"GET /" + HOST + b"X: " + b"a" * 3850
    if n % 4:
        yield 4.0
        yield b"\r\n\r\n"
        yield Read(KIB)
    yield 60.0


def mixture(small, n):
    """Slow heads, files, ranges and listings, huge heads and HEAD requests for the listing."""
    scripts = (slow_heads, slow_files, slow_ranges, listing_readers, huge_heads, listing_heads)
    return scripts[n % len(scripts)](small, n)


def mixed_content(small, n):
    """Slow heads, uploads and streams, chunks, trailers, half messages, pipelines."""
    scripts = (slow_heads, slow_uploads, slow_collected, tiny_chunks, slow_streams, trailers,
               half_messages, unread_pipelines)
    return scripts[n % len(scripts)](small, n)


#: In the order of the table.
SCENARIOS = {
    "slow heads": Scenario("probe", (8000, 500), slow_heads),
    "slow uploads, length": Scenario("probe", (2000, 500), slow_uploads, 4096),
    "slow uploads, framing": Scenario("probe", (150, 100), framing_uploads),
    "slow uploads, collected": Scenario("probe", (300, 200), slow_collected),
    "one-byte chunks": Scenario("probe", (300, 100), tiny_chunks),
    "slow readers, memory": Scenario("probe", (1000, 500), slow_readers, 4096),
    "slow readers, stream": Scenario("probe", (2000, 500), slow_streams, 4096),
    "slow readers, file": Scenario("wheelhouse", (1000, 500), slow_files, 4096),
    "slow readers, ranges": Scenario("wheelhouse", (2000, 500), slow_ranges, 4096),
    "huge heads": Scenario("probe", (1000, 300), huge_heads),
    "pipelines, unread": Scenario("probe", (500, 200), unread_pipelines),
    "pipelines, read": Scenario("probe", (8, 8), endless_pipelines),
    "chunk extensions": Scenario("probe", (300, 100), extension_floods),
    "trailers": Scenario("probe", (8000, 500), trailers),
    "ranges": Scenario("wheelhouse", (100, 50), range_floods),
    "listings, GET": Scenario("wheelhouse", (8, 8), listing_floods),
    "listings, HEAD": Scenario("wheelhouse", (8, 8), listing_heads),
    "listings, slow readers": Scenario("wheelhouse", (500, 200), listing_readers, 4096),
    "half messages": Scenario("probe", (1500, 300), half_messages),
    "bursts of messages, echo": Scenario("probe", (100, 50), echo_bursts),
    "bursts of messages, group": Scenario("websocket", (50, 50), message_bursts),
    "resets": Scenario("probe", (200, 200), resets),
    "silence": Scenario("probe", (10_000, 2000), silence),
    "one address": Scenario("probe", (10_000, 10_000), crowd, sources=1),
    "many addresses": Scenario("probe", (10_000, 10_000), crowd, sources=10_000),
    "holes in memory": Scenario("wheelhouse", (13_000, 500), holes, 4096),
    "mixture, files": Scenario("wheelhouse", (1200, 300), mixture, 4096),
    "mixture, content": Scenario("probe", (1600, 320), mixed_content, 4096),
}


class Peer:
    """One connection and the place of its script."""

    __slots__ = ("socket", "script", "output", "size", "interest", "number", "is_connected",
                 "is_flooding")

    def __init__(self, number):
        self.number = number
        self.socket = self.script = self.output = None
        self.size = self.interest = 0
        self.is_connected = self.is_flooding = False


class Attackers:
    """The loop that runs the scripts."""

    def __init__(self, scenario, port, small, sources):
        self.scenario, self.port, self.small = scenario, port, small
        self.sources = scenario.sources or sources
        self.epoll = select.epoll()
        self.peers = {}
        self.ready = collections.deque()
        self.sleepers = []
        self.order = itertools.count()
        wanted = scenario.connections[small]
        self.to_open = collections.deque(Peer(n) for n in range(wanted))
        #: How many connections have once been opened for each of them.
        self.first = wanted
        self.opened = 0
        self.open_at = 0.0
        self.counts = collections.Counter()

    def run(self, is_over, in_place):
        """Attacks until `is_over()`, and calls `in_place` when all have connected once."""
        end = time.monotonic() + IN_PLACE_SECONDS
        while not is_over():
            now = time.monotonic()
            if in_place and (self.opened >= self.first or now > end):
                in_place()
                in_place = None
            self.wake(now)
            if now >= self.open_at:
                self.open_some()
            for _ in range(len(self.ready)):
                peer, value = self.ready.popleft()
                if peer.script is not None:
                    self.step(peer, value)
            self.wait()
        for peer in list(self.peers.values()):
            peer.socket.close()

    def wait(self):
        timeout = 0.05
        if self.ready or self.to_open and time.monotonic() >= self.open_at:
            timeout = 0
        elif self.sleepers:
            timeout = min(timeout, max(0.0, self.sleepers[0][0] - time.monotonic()))
        for descriptor, events in self.epoll.poll(timeout, 4096):
            peer = self.peers.get(descriptor)
            if peer is not None:
                self.handle(peer, events)

    def wake(self, now):
        while self.sleepers and self.sleepers[0][0] <= now:
            _, _, peer, script = heapq.heappop(self.sleepers)
            # The connection may be another one by now.
            if peer.script is script:
                self.ready.append((peer, None))

    def open_some(self):
        for _ in range(min(OPENED_MAX, len(self.to_open))):
            peer = self.to_open.popleft()
            try:
                self.open(peer)
            except OSError as error:
                self.to_open.append(peer)
                if error.errno not in EXHAUSTED:
                    raise
                self.counts["retried"] += 1
                self.open_at = time.monotonic() + EXHAUSTED_PAUSE
                return

    def open(self, peer):
        connection = socket.socket()
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.scenario.buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.scenario.buffer)
            # The system chooses the port when both ends are known: each address has all ports.
            connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((source(peer.number % self.sources), 0))
            error = connection.connect_ex(("127.0.0.1", self.port))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
            self.epoll.register(connection, select.EPOLLOUT)
        except OSError:
            connection.close()
            raise
        peer.socket, peer.interest = connection, select.EPOLLOUT
        peer.is_connected = False
        self.peers[connection.fileno()] = peer

    def handle(self, peer, events):
        if not peer.is_connected:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self.counts["not connected"] += 1
                self.close(peer)
                return
            peer.is_connected = True
            self.opened += 1
            self.watch(peer, select.EPOLLRDHUP)
            peer.script = self.scenario.script(self.small, peer.number)
            self.ready.append((peer, None))
        elif peer.output is not None:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self.end(peer)
            elif events & select.EPOLLIN and not self.drop_input(peer):
                self.end(peer)
            elif events & select.EPOLLOUT:
                self.send(peer)
        elif peer.size:
            self.receive(peer)
        elif events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
            # The server has ended it while the script slept.
            self.end(peer)

    def step(self, peer, value):
        try:
            step = peer.script.send(value)
        except StopIteration:
            self.close(peer)
            return
        if isinstance(step, bytes):
            peer.output = memoryview(step)
            peer.is_flooding = isinstance(step, Flood)
            self.send(peer)
        elif isinstance(step, Read):
            peer.size = step
            self.watch(peer, select.EPOLLIN)
        else:
            self.watch(peer, select.EPOLLRDHUP)
            heapq.heappush(self.sleepers,
                           (time.monotonic() + step, next(self.order), peer, peer.script))

    def send(self, peer):
        try:
            sent = peer.socket.send(peer.output)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.end(peer)
            return
        if sent == len(peer.output):
            peer.output = None
            self.watch(peer, select.EPOLLRDHUP)
            self.ready.append((peer, None))
        else:
            peer.output = peer.output[sent:]
            self.watch(peer, select.EPOLLOUT | (select.EPOLLIN if peer.is_flooding else 0))

    def drop_input(self, peer):
        """Returns false at the end of the input."""
        try:
            received = peer.socket.recv(256 * KIB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for status in REFUSALS.findall(received):
            self.counts[status.decode()] += 1
        return bool(received)

    def receive(self, peer):
        try:
            received = peer.socket.recv(peer.size)
        except BlockingIOError:
            return
        except OSError:
            self.counts["reset"] += 1
            self.close(peer)
            return
        for status in REFUSALS.findall(received):
            self.counts[status.decode()] += 1
        peer.size = 0
        self.watch(peer, 0)
        self.ready.append((peer, received))

    def end(self, peer):
        """Counts how the server has ended a connection, and closes it."""
        try:
            last = peer.socket.recv(64 * KIB)
        except OSError:
            self.counts["reset"] += 1
        else:
            refusals = REFUSALS.findall(last)
            self.counts[refusals[-1].decode() if refusals else "closed"] += 1
        self.close(peer)

    def close(self, peer):
        del self.peers[peer.socket.fileno()]
        peer.socket.close()
        peer.socket = peer.script = peer.output = None
        peer.size = 0
        self.to_open.append(peer)

    def watch(self, peer, interest):
        if peer.interest != interest:
            peer.interest = interest
            self.epoll.modify(peer.socket, interest)


def source(n):
    """Returns the n-th address of the attackers. No honest client has one of them."""
    return f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" if n else "127.0.0.1"


def attack(name, port, small, sources, pipe):
    """Runs as a process of its own. Reports on `pipe` when in place and at the end; ends when the
    other side of `pipe` sends."""
    # The attackers of the real world do not use the processor of the server.
    os.nice(10)
    attackers = Attackers(SCENARIOS[name], port, small, sources)
    attackers.run(pipe.poll, lambda: pipe.send("in place"))
    pipe.send(json.dumps({"made": attackers.opened, **attackers.counts}))
