#!/usr/bin/env python3
"""Tests the binary with the programs that people put before it and use with it: nginx and HAProxy
as proxies, curl, wget, aria2, Python's requests and aiohttp, fetch of Node, and a video in a browser.

    tests/process/clients.py                # builds the binary and tests it
    tests/process/clients.py haproxy wget   # some of the programs

Needs Python 3.10. A program that is not installed is skipped with a message. On Debian:

    apt install nginx-light haproxy curl wget aria2 nodejs python3-requests python3-aiohttp chromium

Uses only the loopback interface.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import browser as browsers
from running import PATIENCE, Program, build, check, free_port

LARGE = 8 << 20
SECONDS_OF_SOUND = 600


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("names", nargs="*", metavar="PROGRAM", choices=[[], *TESTS])
    names = arguments.parse_args().names or list(TESTS)
    binary = build("--bin", "wheelhouse") / "wheelhouse"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        site = make_site(folder / "site")
        for name in names:
            work = folder / name
            work.mkdir()
            reason = missing(name)
            if reason:
                print(f"skipped: {name}: {reason}")
                continue
            with Server(binary, work, site) as server:
                TESTS[name](server, site, work)


# ---------------------------------------------------------------------------------------- programs


def with_curl(server, site, work):
    """Requests of every kind, and content that the server refuses."""
    text = run("curl", "-sS", server.url("/text.txt"), server.url("/sub/other.txt"))
    check(text == b"text\nother\n", "curl gets two files")
    check(server.connections_after(lambda: run(
        "curl", "-sS", *[server.url("/text.txt")] * 10)) == 1, "curl needs one connection for ten files")
    check(b"HTTP/1.1 200 OK" in run("curl", "-sSI", server.url("/large.bin")), "curl -I gets a head")
    check(run("curl", "-sS", "-r", "1-2", server.url("/text.txt")) == b"ex", "curl -r gets a range")
    check(run("curl", "-sS", "-0", server.url("/text.txt")) == b"text\n", "curl -0 speaks HTTP/1.0")
    check(run("curl", "-sS", "-g", server.url("/odd/{cu}.txt")) == b"odd\n", "curl -g sends braces")
    once = run("curl", "-sS", "--etag-save", work / "tag", server.url("/text.txt"), "-w", "%{http_code}")
    again = run("curl", "-sS", "--etag-compare", work / "tag", server.url("/text.txt"),
                "-w", "%{http_code}")
    check((once, again) == (b"text\n200", b"304"), "curl gets a file once, and then 304")
    for size in (1 << 10, 5 << 20):
        (work / "upload").write_bytes(b"u" * size)
        for method in ("POST", "PUT"):
            status = run("curl", "-sS", "-o", os.devnull, "-X", method, "-w", "%{http_code}",
                         "--data-binary", f"@{work / 'upload'}", server.url("/text.txt"))
            check(status == b"405", f"curl gets the 405 to a {method} with {size} bytes")
            status = run("curl", "-sS", "-o", os.devnull, "-X", method, "-w", "%{http_code}", "-H", "Expect:",
                         "-T", "-", server.url("/text.txt"), input=b"u" * size)
            check(status == b"405", f"curl gets the 405 to a {method} with {size} bytes in chunks")


def with_wget(server, site, work):
    """A download that goes on after an interruption, and a copy of the whole site."""
    whole = (site / "large.bin").read_bytes()
    (work / "large.bin").write_bytes(whole[: len(whole) // 3])
    run("wget", "-q", "-c", server.url("/large.bin"), cwd=work)
    check((work / "large.bin").read_bytes() == whole, "wget -c fetches the rest of a file")
    run("wget", "-q", "-c", server.url("/large.bin"), cwd=work)
    check((work / "large.bin").read_bytes() == whole, "wget -c leaves a complete file alone")
    run("wget", "-q", "-r", "-np", "-nH", "-R", "index.html*", "-P", "copy", server.url("/"), cwd=work)
    for path in files_of(site):
        copied = work / "copy" / path
        check(copied.is_file() and digest(copied) == digest(site / path), f"wget -r copies {path}")
        times = [int(file.stat().st_mtime) for file in (copied, site / path)]
        check(times[0] == times[1], f"wget -r keeps the time of {path}")


def with_aria2(server, site, work):
    """One file in eight parallel ranges."""
    run("aria2c", "-q", "-x8", "-s8", "-k1M", "-d", work, server.url("/large.bin"))
    check(digest(work / "large.bin") == digest(site / "large.bin"), "aria2 joins parallel ranges")
    count = sum(" 206 " in line for line in server.access_log())
    check(count >= 4, f"aria2 used {count} ranges")


def with_requests(server, site, work):
    """Python's requests: a session, a stream, a range and content that is refused."""
    script = """
import hashlib, json, requests, sys
url = sys.argv[1]
with requests.Session() as session:
    texts = [session.get(url + "/text.txt").text for _ in range(20)]
    with session.get(url + "/large.bin", stream=True) as response:
        digest = hashlib.sha256()
        for piece in response.iter_content(65536):
            digest.update(piece)
    part = session.get(url + "/text.txt", headers={"Range": "bytes=-3"})
    refused = session.post(url + "/text.txt", data=b"x" * 100000)
    after = session.get(url + "/text.txt")
print(json.dumps([texts == ["text\\n"] * 20, digest.hexdigest(), [part.status_code, part.text],
                  refused.status_code, after.status_code]))
"""
    found = json.loads(run(python_with("requests"), "-c", script, server.url("")))
    expected = [True, digest(site / "large.bin"), [206, "xt\n"], 405, 200]
    check(found == expected, f"requests: {found}")


def with_aiohttp(server, site, work):
    """Python's aiohttp: fifty requests at once over pooled connections."""
    script = """
import aiohttp, asyncio, hashlib, json, sys
async def main(url):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=10)) as session:
        async def get(path):
            async with session.get(url + path) as response:
                return hashlib.sha256(await response.read()).hexdigest()
        paths = ["/text.txt", "/sub/other.txt"] * 24 + ["/large.bin"] * 2
        return await asyncio.gather(*map(get, paths))
print(json.dumps(asyncio.run(main(sys.argv[1]))))
"""
    found = json.loads(run(python_with("aiohttp"), "-c", script, server.url("")))
    paths = ["text.txt", "sub/other.txt"] * 24 + ["large.bin"] * 2
    check(found == [digest(site / path) for path in paths], "aiohttp gets fifty files at once")


def with_node(server, site, work):
    """fetch of Node: files at once, an aborted download, and a stream."""
    script = """
const url = process.argv[1];
const size = async (path) => (await (await fetch(url + path)).arrayBuffer()).byteLength;
(async () => {
    const sizes = await Promise.all([...Array(30)].map((_, n) => size(n % 10 ? "/text.txt" : "/large.bin")));
    const abort = new AbortController();
    const body = (await fetch(url + "/large.bin", { signal: abort.signal })).body.getReader();
    await body.read();
    abort.abort();
    const posted = await fetch(url + "/text.txt", { method: "POST", body: "x".repeat(1000) });
    console.log(JSON.stringify([sizes, posted.status, await size("/text.txt")]));
})();
"""
    found = json.loads(run("node", "-e", script, server.url("")))
    sizes = [5 if n % 10 else LARGE for n in range(30)]
    check(found == [sizes, 405, 5], "fetch of Node gets files, aborts one, and goes on")


def with_nginx(server, site, work):
    """nginx as the proxy, with connections to the server that stay open."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (work / "nginx.conf").write_text(f"""
{user} daemon off; worker_processes 1; pid {work}/pid; error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
    uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5; client_max_body_size 16m;
    upstream wheelhouse {{ server 127.0.0.1:{server.port}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://wheelhouse; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
        location /old/ {{ proxy_pass http://wheelhouse/; }}
        location /stream/ {{
            proxy_pass http://wheelhouse/; proxy_http_version 1.1; proxy_request_buffering off;
        }}
    }}
}}
""")
    front = f"http://127.0.0.1:{port}"
    with Program(port, program("nginx"), "-p", work, "-c", work / "nginx.conf"):
        def get_fifty():
            check(run("curl", "-sS", *[f"{front}/text.txt"] * 50) == b"text\n" * 50, "nginx passes 50 files")
        check(server.connections_after(get_fifty) <= 2, "nginx keeps its connections open")
        check(run("curl", "-sS", "-r", "-4", f"{front}/text.txt") == b"ext\n", "nginx passes a range")
        run("curl", "-sS", "-o", work / "large", f"{front}/large.bin")
        check(digest(work / "large") == digest(site / "large.bin"), "nginx passes a large file")
        check(run("curl", "-sS", f"{front}/old/text.txt") == b"text\n", "nginx passes a file over HTTP/1.0")
        check(b" 200 " in run("curl", "-sSI", f"{front}/text.txt"), "nginx passes HEAD")
        (work / "upload").write_bytes(b"u" * (5 << 20))
        for path in ("/text.txt", "/stream/text.txt"):
            status = run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "--data-binary",
                         f"@{work / 'upload'}", front + path)
            check(status == b"405", f"nginx passes the 405 to 5 MiB for {path}, and not a 502")


def with_haproxy(server, site, work):
    """HAProxy as the proxy, with each kind of health check."""
    port = free_port()
    checks = {
        "tcp": "",
        "options": "option httpchk",
        "get": "option httpchk GET /text.txt",
        "head": "option httpchk HEAD / HTTP/1.0",
        "host": "option httpchk\n    http-check send meth OPTIONS uri * ver HTTP/1.1 hdr Host site",
    }
    target = f"server {{}} 127.0.0.1:{server.port} check inter 100ms fall 2 rise 1"
    backends = "".join(f"backend {name}\n    {option}\n    {target.format(name)}\n"
                       for name, option in checks.items())
    (work / "haproxy.cfg").write_text(f"""
global
    stats socket {work}/stats level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    use_backend proxied if {{ path_beg /proxied/ }}
    default_backend get
{backends}
backend proxied
    {target.format("proxied").replace(" check", " send-proxy check-send-proxy check")}
""")
    front = f"http://127.0.0.1:{port}"
    with Program(port, program("haproxy"), "-db", "-q", "-f", work / "haproxy.cfg"):
        until(lambda: all("check" not in state for state in haproxy_states(work).values()))
        time.sleep(1)
        states = haproxy_states(work)
        for name in checks:
            check(states[name] == "UP", f"HAProxy's health check \"{name}\" finds the server UP")
        text = run("curl", "-sS", *[f"{front}/text.txt"] * 50)
        check(text == b"text\n" * 50, "HAProxy passes 50 files")
        run("curl", "-sS", "-o", work / "large", f"{front}/large.bin")
        check(digest(work / "large") == digest(site / "large.bin"), "HAProxy passes a large file")
    first = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for version, sent in (1, first), (2, second):
        response = server.exchange(sent)
        check(response.startswith(b"HTTP/1.1 400 "), f"version {version} of PROXY gets a 400")
        check(response.count(b"HTTP/1.1 ") == 1, f"and nothing after version {version} is a request")


def with_browser(server, site, work):
    """A long sound in a video element: the browser seeks with ranges."""
    name = program("browser")
    with browsers.Browser(name) as chromium:
        tab = chromium.open(server.url("/video.html"))
        tab.until("video.readyState >= 1")
        check(abs(tab.value("video.duration") - SECONDS_OF_SOUND) < 1, "the browser knows the duration")
        tab.value(f"video.currentTime = {SECONDS_OF_SOUND - 20}; true")
        tab.until(f"!video.seeking && video.readyState >= 2 && video.currentTime >= {SECONDS_OF_SOUND - 20}")
        check(tab.value("video.error === null"), "the browser seeks near the end")
        tab.value("video.currentTime = 5; true")
        tab.until("!video.seeking && video.readyState >= 2 && video.currentTime < 10")
        check(tab.value("video.error === null"), "the browser seeks back")
        count = sum(" 206 " in line and "/sound.wav" in line for line in server.access_log())
        check(count >= 2, f"the browser used {count} ranges")
        tab = chromium.open(server.url("/sub/"))
        names = tab.value("[...document.querySelectorAll('a')].map((link) => link.getAttribute('href'))")
        check("./other.txt" in names, f"the browser shows a listing: {names}")


TESTS = {
    "curl": with_curl,
    "wget": with_wget,
    "aria2": with_aria2,
    "requests": with_requests,
    "aiohttp": with_aiohttp,
    "node": with_node,
    "nginx": with_nginx,
    "haproxy": with_haproxy,
    "browser": with_browser,
}


# ---------------------------------------------------------------------------------------- the site


def make_site(site):
    """Makes the served files, with times in the past."""
    for folder in (site, site / "sub", site / "odd"):
        folder.mkdir()
    (site / "text.txt").write_text("text\n")
    (site / "sub" / "other.txt").write_text("other\n")
    (site / "odd" / "{cu}.txt").write_text("odd\n")
    (site / "sub" / "na me \u00e9.txt").write_text("name\n")
    # Bytes that differ everywhere, so that no range can be taken for another one.
    words = b"".join(struct.pack("<I", n * 2654435761 & 0xFFFFFFFF) for n in range(LARGE // 4))
    (site / "large.bin").write_bytes(words)
    (site / "sound.wav").write_bytes(sound())
    (site / "video.html").write_text("<!doctype html><video id=video src=sound.wav preload=metadata></video>\n")
    for path in files_of(site):
        os.utime(site / path, (1_700_000_000, 1_700_000_000))
    return site


def sound():
    """A WAV file with silence: 8,000 samples a second of two bytes."""
    data = bytes(SECONDS_OF_SOUND * 16_000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, 16_000, 2, 16)
    return (struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form
            + struct.pack("<4sI", b"data", len(data)) + data)


def files_of(site):
    return [path.relative_to(site) for path in sorted(site.rglob("*")) if path.is_file()]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ------------------------------------------------------------------------------------------ helpers


def missing(name):
    """Why a test cannot run, or None."""
    if name in ("requests", "aiohttp"):
        return None if python_with(name) else f"no Python has the module {name}"
    if name in ("nginx", "haproxy") and program("curl") is None:
        return "curl is not installed"
    return None if program(name) else "not installed"


def program(name):
    """The path of a program, or None. Servers are not in the PATH of every user."""
    names = {"aria2": ["aria2c"], "browser": ["chromium", "chromium-browser", "google-chrome"]}
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return next(filter(None, (shutil.which(each, path=path) for each in names.get(name, [name]))), None)


def python_with(module):
    """The first Python that has a module. A package of the system serves that of the system."""
    for python in (sys.executable, "/usr/bin/python3"):
        found = subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False)
        if found.returncode == 0:
            return python
    return None


def run(name, *arguments, **options):
    """Runs a program and returns its output. A program that fails or hangs ends the test."""
    path = name if os.path.isabs(name) else program(name)
    try:
        done = subprocess.run([path, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE, check=False, **options)
    except subprocess.TimeoutExpired:
        sys.exit(f"FAILED: {name} {arguments} did not end within {PATIENCE} s")
    if done.returncode != 0:
        sys.exit(f"FAILED: {name} {arguments}: status {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def until(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"FAILED: did not become true within {PATIENCE} s")
        time.sleep(0.05)


def haproxy_states(work):
    """The state of each server, as HAProxy prints it: `UP`, `DOWN`, or one with more words."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(str(work / "stats"))
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
    names, *rows = (line.split(",") for line in text.removeprefix("# ").strip().splitlines())
    servers = (dict(zip(names, row)) for row in rows)
    return {row["svname"]: row["status"] for row in servers if row["svname"] not in ("FRONTEND", "BACKEND")}


class Server(Program):
    """The binary, with its access log."""

    def __init__(self, binary, work, site):
        self.log = work / "access.log"
        port = free_port()
        super().__init__(port, binary, "--listen", f"127.0.0.1:{port}", "--access-log", "combined",
                         site, stdout=self.log.open("wb"), stderr=(work / "stderr").open("wb"))

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def access_log(self):
        """The lines of the access log, after the server had time to write them."""
        time.sleep(0.3)
        return self.log.read_text().splitlines()

    def exchange(self, sent):
        """Sends bytes and returns all that the server sends until it closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def connections_after(self, act):
        """How many connections to the server are opened while `act` runs, by the kernel's table."""
        seen = set()
        done = threading.Event()

        def watch():
            while not done.is_set():
                seen.update(self.clients())
                time.sleep(0.001)

        before = self.clients()
        watcher = threading.Thread(target=watch)
        watcher.start()
        act()
        done.set()
        watcher.join()
        # Closed ones stay in the table for a while, if the client closed first.
        seen.update(self.clients())
        return len(seen - before)

    def clients(self):
        """The ports of clients with a connection to the server, closing ones included."""
        rows = (line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
        return {int(row[1].split(":")[1], 16) for row in rows if int(row[2].split(":")[1], 16) == self.port}


if __name__ == "__main__":
    main()
