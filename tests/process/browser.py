#!/usr/bin/env python3
"""Drives a real browser against the examples: server-sent events with a reconnect, a chat over
WebSockets between two tabs, uploads with their byte counts.

    tests/process/browser.py                    # builds the examples first
    tests/process/browser.py --pictures DIR     # and keeps a picture of each page

Needs Python 3.10 and Chromium (Debian: `apt install chromium`), or `CHROMIUM=path`; without one it
says so and succeeds. Loopback only.
"""

import argparse
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PATIENCE = 30
UPLOAD = (8 << 20) + 123


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--pictures", type=pathlib.Path, metavar="DIR")
    pictures = arguments.parse_args().pictures
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        print("skipped: no Chromium")
        return
    examples = build()
    with contextlib.ExitStack() as stack:
        inbox = stack.enter_context(tempfile.TemporaryDirectory())
        events = stack.enter_context(Example(examples, "events", ROOT / "examples"))
        chat = stack.enter_context(Example(examples, "websocket"))
        upload = stack.enter_context(Example(examples, "upload", inbox))
        chromium = stack.enter_context(Browser(browser))
        follow_events(chromium, events, chat, pictures)
        talk(chromium, chat, pictures)
        send_content(chromium, upload, inbox, pictures)


def follow_events(browser, events, chat, pictures):
    """The stream is followed, broken off, and taken up where it was."""
    proxy = Proxy(events.port)
    tab = browser.open(f"http://127.0.0.1:{proxy.port}/")
    tab.until("ids.length >= 3")
    proxy.cut()
    seen = tab.value("ids.at(-1)")
    tab.until(f"ids.at(-1) >= {seen + 3}")
    ids = tab.value("ids")
    check(ids == list(range(ids[0], ids[0] + len(ids))), f"no event is lost or told twice: {ids}")
    resumed = [line for line in proxy.lines if line.startswith("last-event-id: ")]
    check(resumed and int(resumed[0].split()[1]) in ids, f"the browser came back with {resumed}")
    tab.picture(pictures, "events")
    # This page is of another origin: another port.
    script = """new Promise((done) => {
        const socket = new WebSocket("ws://127.0.0.1:%d/chat");
        socket.onopen = () => done("open");
        socket.onclose = (event) => done(event.code);
    })""" % chat.port
    check(tab.value(script) == 1006, "a page of another origin cannot join the chat")


def talk(browser, chat, pictures):
    """What one tab says is seen in both."""
    url = f"http://127.0.0.1:{chat.port}/"
    tabs = [browser.open(url) for _ in range(2)]
    for tab in tabs:
        tab.until("state.textContent === 'open'")
    words = ["Hello over there!", "Gr\u00fc\u00dfe \u2615 <b>back</b>", "What a fine day.", "x" * 500]
    for n, text in enumerate(words):
        if n == 3:
            tabs[0].picture(pictures, "websocket")
        tabs[n % 2].value(f"text.value = {json.dumps(text)}; form.requestSubmit(); true")
        for tab in tabs:
            tab.until(f"said.some((line) => line.endsWith({json.dumps(' says: ' + text)}))")
    check(True, "two tabs have talked")
    tabs[1].close()
    tabs[0].until("said.at(-1).endsWith(' has left')")
    check(True, "the one that closed is missed")
    too_long = "socket.send('x'.repeat(3000)); true"
    tabs[0].value(too_long)
    tabs[0].until("state.textContent.startsWith('closed: 1009')")
    check(True, "a message that is too long closes with 1009")


def send_content(browser, upload, inbox, pictures):
    """Content goes up with progress, and all of it is counted and kept."""
    tab = browser.open(f"http://127.0.0.1:{upload.port}/")
    answer = tab.value(f"upload(new Blob([new Uint8Array({UPLOAD}).fill(120)]))")
    check(answer["status"] == 200, f"XMLHttpRequest: {answer}")
    check(answer["text"] == f"{UPLOAD} bytes\n", "every byte was counted")
    check(answer["steps"] >= 1, f"progress was shown in {answer['steps']} steps")
    tab.picture(pictures, "upload")
    script = "fetch('/', {method: 'POST', body: new Blob(['a', 'b'.repeat(1 << 20)])})"
    text = tab.value(script + ".then((answer) => answer.text())")
    check(text == f"{(1 << 20) + 1} bytes\n", "fetch sends its content, too")
    kept = sorted(path.stat().st_size for path in pathlib.Path(inbox).iterdir())
    check(kept == [(1 << 20) + 1, UPLOAD], f"what was kept: {kept}")


def check(holds, what):
    print(("ok: " if holds else "FAILED: ") + what)
    if not holds:
        sys.exit(1)


def build():
    """Builds the examples; where they are."""
    cargo = ["cargo", "build", "--all-features", "--examples"]
    subprocess.run(cargo, cwd=ROOT, check=True)
    about = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(about, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return pathlib.Path(json.loads(metadata)["target_directory"]) / "debug" / "examples"


class Example:
    """A server that runs as long as the block that it is used in."""

    def __init__(self, examples, name, *arguments):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen([examples / name, f"127.0.0.1:{self.port}", *arguments])

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.01)
        sys.exit(f"{self.process.args[0]} does not start")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Proxy:
    """Passes bytes on, notes the lines of requests, and can break every connection."""

    def __init__(self, target):
        self.target, self.lines, self.open = target, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            self.open += [client, server]
            for pair in (client, server), (server, client):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if sink.getpeername()[1] == self.target:
                    self.lines += data.decode("latin-1").lower().split("\r\n")
                sink.sendall(data)
        for end in source, sink:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open = []


class Browser:
    """Headless Chromium, spoken to in its DevTools protocol over a pipe: JSON between zeros."""

    def __init__(self, path):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self.commands = os.pipe()
        self.events, events = os.pipe()
        # Out of the way of 3 and 4, where Chromium looks for them.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (commands, events)]
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
                 "--disable-dev-shm-usage", "--window-size=720,640", "--hide-scrollbars",
                 f"--user-data-dir={self.home.name}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")

        def place():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen([path, *flags, "about:blank"], pass_fds=(3, 4),
                                        preexec_fn=place, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (commands, events, *ends):
            os.close(fd)
        self.last, self.answers = 0, {}
        self.has_answers = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()

    def listen(self):
        rest = b""
        while data := os.read(self.events, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            with self.has_answers:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.answers[message["id"]] = message
                self.has_answers.notify_all()

    def ask(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        with self.has_answers:
            if not self.has_answers.wait_for(lambda: self.last in self.answers, PATIENCE):
                sys.exit(f"the browser does not answer {method}")
            answer = self.answers.pop(self.last)
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url):
        target = self.ask("Target.createTarget", url=url)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Tab(self, target, session, url)


class Tab:
    def __init__(self, browser, target, session, url):
        self.browser, self.target, self.session, self.url = browser, target, session, url
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, script):
        """What a script comes to, promises awaited."""
        answer = self.browser.ask("Runtime.evaluate", self.session, expression=script,
                                  awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"FAILED: {self.url}: {script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not self.value(condition):
            if time.monotonic() > end:
                text = self.value("document.body.innerText")
                sys.exit(f"FAILED: {self.url}: never became true: {condition}\n{text}")
            time.sleep(0.05)

    def picture(self, folder, name):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            data = self.browser.ask("Page.captureScreenshot", self.session)["data"]
            (folder / f"{name}.png").write_bytes(base64.b64decode(data))

    def close(self):
        self.browser.ask("Target.closeTarget", targetId=self.target)


if __name__ == "__main__":
    main()
