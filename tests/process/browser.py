#!/usr/bin/env python3
"""Tests the examples with a real browser: server-sent events with a reconnect, a chat over
WebSockets between two tabs, uploads with their byte counts, a dashboard, the pages of a device, and the
listing of a directory.

    tests/process/browser.py                    # builds the examples and tests them
    tests/process/browser.py --pictures DIR     # also saves a picture of each page

Needs Python 3.10 and Chromium (Debian: `apt install chromium`), or `CHROMIUM=path`. Without a
browser it is skipped and succeeds. Uses only the loopback interface.
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

from running import PATIENCE, ROOT, Program, build, check, free_port

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
    programs = build("--examples", "--bins")
    examples = programs / "examples"
    with contextlib.ExitStack() as stack:
        inbox = stack.enter_context(tempfile.TemporaryDirectory())
        events = stack.enter_context(Example(examples, "events", ROOT / "examples"))
        chat = stack.enter_context(Example(examples, "websocket"))
        upload = stack.enter_context(Example(examples, "upload", inbox))
        dashboard = stack.enter_context(Example(examples, "dashboard"))
        flash = stack.enter_context(tempfile.TemporaryDirectory())
        portal = stack.enter_context(Example(examples, "portal", "secret", flash))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listing = stack.enter_context(Directory(programs, folder))
        chromium = stack.enter_context(Browser(browser))
        follow_events(chromium, events, chat, pictures)
        talk(chromium, chat, pictures)
        send_content(chromium, upload, inbox, pictures)
        watch(chromium, dashboard, pictures)
        set_up_device(chromium, portal, flash, pictures)
        read_listing(chromium, listing, folder, pictures)


def follow_events(browser, events, chat, pictures):
    """Follows a stream, breaks its connection, and checks that the browser loses no event."""
    proxy = Proxy(events.port)
    tab = browser.open(f"http://127.0.0.1:{proxy.port}/")
    tab.until("ids.length >= 3")
    proxy.cut()
    seen = tab.value("ids.at(-1)")
    tab.until(f"ids.at(-1) >= {seen + 3}")
    ids = tab.value("ids")
    check(ids == list(range(ids[0], ids[0] + len(ids))), f"no event is lost or sent twice: {ids}")
    resumed = [line for line in proxy.lines if line.startswith("last-event-id: ")]
    check(resumed and int(resumed[0].split()[1]) in ids, f"the browser came back with {resumed}")
    tab.picture(pictures, "events")
    # The page has another port than the chat, and so another origin.
    script = """new Promise((done) => {
        const socket = new WebSocket("ws://127.0.0.1:%d/chat");
        socket.onopen = () => done("open");
        socket.onclose = (event) => done(event.code);
    })""" % chat.port
    check(tab.value(script) == 1006, "a page of another origin cannot join the chat")


def talk(browser, chat, pictures):
    """Sends messages from two tabs and checks that both tabs show all of them."""
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
    check(True, "the other tab is notified when a tab closes")
    too_long = "socket.send('x'.repeat(3000)); true"
    tabs[0].value(too_long)
    tabs[0].until("state.textContent.startsWith('closed: 1009')")
    check(True, "a message that is too long closes with 1009")


def send_content(browser, upload, inbox, pictures):
    """Uploads content and checks that the page shows progress and every byte is stored."""
    tab = browser.open(f"http://127.0.0.1:{upload.port}/")
    response = tab.value(f"upload(new Blob([new Uint8Array({UPLOAD}).fill(120)]))")
    check(response["status"] == 200, f"XMLHttpRequest: {response}")
    check(response["text"] == f"{UPLOAD} bytes\n", "every byte was counted")
    check(response["steps"] >= 1, f"progress was shown in {response['steps']} steps")
    tab.picture(pictures, "upload")
    script = "fetch('/', {method: 'POST', body: new Blob(['a', 'b'.repeat(1 << 20)])})"
    text = tab.value(script + ".then((response) => response.text())")
    check(text == f"{(1 << 20) + 1} bytes\n", "the content of fetch arrived, too")
    kept = sorted(path.stat().st_size for path in pathlib.Path(inbox).iterdir())
    check(kept == [(1 << 20) + 1, UPLOAD], f"both files have their sizes: {kept}")


def watch(browser, dashboard, pictures):
    """Checks that the numbers of a dashboard appear."""
    tab = browser.open(f"http://127.0.0.1:{dashboard.port}/")
    tab.until("[...document.querySelectorAll('dd')].every((number) => number.textContent !== '')")
    check(float(tab.value("document.getElementById('load').textContent")) >= 0, "numbers appear")
    tab.picture(pictures, "dashboard")


def set_up_device(browser, portal, flash, pictures):
    """Sends the form of a device and a firmware, with the password that the browser remembers."""
    tab = browser.open(f"http://admin:secret@127.0.0.1:{portal.port}/")
    # A page whose address has a password must not use `fetch`.
    tab.value(f"location.href = 'http://127.0.0.1:{portal.port}/#'; true")
    tab.until("!document.URL.includes('secret') && document.forms.length === 1")
    tab.value("document.forms[0].name.value = '<b>&quot;'; document.forms[0].submit(); true")
    tab.until("document.querySelector('h1')?.textContent === '<b>&quot;'")
    check(tab.value("document.forms[0].name.value") == "<b>&quot;", "a name stays text")
    tab.value("""{
        const chosen = new DataTransfer(), input = document.getElementById("firmware");
        chosen.items.add(new File(["version 2"], "firmware.bin"));
        input.files = chosen.files;
        input.dispatchEvent(new Event("change"));
        true;
    }""")
    tab.until("result.textContent === 'installed\\n'")
    stored = (pathlib.Path(flash) / "firmware.bin").read_text()
    check(stored == "version 2", f"the firmware was stored: {stored}")
    tab.picture(pictures, "portal")


def read_listing(browser, listing, folder, pictures):
    """Checks local times and the filter of a listing, and that the page works without its script."""
    for name in ("chapter 2.txt", "chapter 10.txt", "<b>photo</b>.jpg"):
        path = pathlib.Path(folder) / name.replace("/", "\\")
        path.write_text(name)
        os.utime(path, (1704164645, 1704164645))
    tab = browser.open(f"http://127.0.0.1:{listing.port}/")
    browser.ask("Emulation.setLocaleOverride", tab.session, locale="en-US")
    for zone, clock in (("America/New_York", "10:04"), ("Asia/Tokyo", "12:04")):
        browser.ask("Emulation.setTimezoneOverride", tab.session, timezoneId=zone)
        tab.value("location.reload(); true")
        tab.until(f"document.querySelector('time')?.textContent.includes('{clock}')")
    check(tab.value("getComputedStyle(document.getElementById('zone')).display") == "none",
          "times are local")
    shown = ("[...document.querySelectorAll('tbody tr')].filter((row) => row.offsetHeight > 0)"
             ".map((row) => row.innerText.trim().split(/\\s*\\d+ B/)[0])")
    check(tab.value(shown) == ["<b>photo<\\b>.jpg", "chapter 2.txt", "chapter 10.txt"],
          "names are sorted as people count")
    tab.value("box.value = 'TXT chap'; box.dispatchEvent(new Event('input')); true")
    check(tab.value(shown) == ["chapter 2.txt", "chapter 10.txt"], "the filter finds both words")
    tab.picture(pictures, "listing")
    browser.ask("Emulation.setScriptExecutionDisabled", tab.session, value=True)
    browser.ask("Page.reload", tab.session)
    tab.until("document.querySelector('time')?.textContent === '02 Jan 2024 03:04'")
    check(tab.value("document.querySelector('input').offsetHeight") == 0, "no box without script")
    check(len(tab.value(shown)) == 3, "all names are there without script")


class Example(Program):
    """An example, which gets its address as the first argument."""

    def __init__(self, examples, name, *arguments):
        port = free_port()
        super().__init__(port, examples / name, f"127.0.0.1:{port}", *arguments)


class Directory(Program):
    """The binary."""

    def __init__(self, programs, folder):
        port = free_port()
        super().__init__(port, programs / "wheelhouse", folder, f"--listen=127.0.0.1:{port}")


class Proxy:
    """A proxy that notes the lines of requests and can break all connections."""

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
    """Headless Chromium with its DevTools protocol over a pipe: JSON, with a zero at its end."""

    def __init__(self, path):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self.commands = os.pipe()
        self.events, events = os.pipe()
        # Chromium expects its ends as descriptors 3 and 4, so these are moved out of the way first.
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
        self.last, self.results = 0, {}
        self.has_results = threading.Condition()
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
            with self.has_results:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.results[message["id"]] = message
                self.has_results.notify_all()

    def ask(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        with self.has_results:
            if not self.has_results.wait_for(lambda: self.last in self.results, PATIENCE):
                sys.exit(f"{method}: the browser sent no result within {PATIENCE} s")
            message = self.results.pop(self.last)
        if "error" in message:
            sys.exit(f"{method}: {message['error']}")
        return message["result"]

    def open(self, url):
        target = self.ask("Target.createTarget", url=url)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Tab(self, target, session, url)


class Tab:
    def __init__(self, browser, target, session, url):
        self.browser, self.target, self.session, self.url = browser, target, session, url
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, script):
        """Returns the value of a script, after its promise is fulfilled."""
        result = self.browser.ask("Runtime.evaluate", self.session, expression=script,
                                  awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"FAILED: {self.url}: {script}: {result['exceptionDetails']}")
        return result["result"].get("value")

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
