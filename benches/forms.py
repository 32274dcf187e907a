#!/usr/bin/env python3
"""Measures the memory of the album example while a form with two files of 100 MiB arrives.

    cargo build --release --examples
    benches/forms.py [MEBIBYTES]

The form is sent by Chromium (Debian: `apt install chromium`), which fills in the page of the example,
and by curl. A client that is not installed is skipped. Prints how much the most resident
memory of the server grows during the form (VmHWM) and its proportional set size in samples, and
checks that the files have arrived unchanged.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from process import pss, rss, start, stop

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
from browser import Browser  # noqa: E402

FILES = 2
SAMPLE_SECONDS = 0.02


def main():
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"photo {n}.jpg" for n in range(FILES)]
        for path in paths:
            path.write_bytes(os.urandom(1 << 20) * mebibytes)
        for client, send in (("chromium", send_with_chromium), ("curl", send_with_curl)):
            if shutil.which(client) is None:
                print(f"skipped: no {client}")
                continue
            with tempfile.TemporaryDirectory() as inbox:
                measure(client, send, paths, pathlib.Path(inbox))


def measure(client, send, paths, inbox):
    server, port = start("album", str(inbox))
    try:
        # A short form maps the pages that every form needs.
        small = inbox / "small"
        small.write_bytes(b"x" * 100_000)
        send_with_curl(port, [small])
        clear_peak(server.pid)
        resident, samples, over = rss(server.pid), [pss(server.pid)], threading.Event()
        sampler = threading.Thread(target=sample, args=(server.pid, samples, over))
        sampler.start()
        began = time.monotonic()
        send(port, paths)
        seconds = time.monotonic() - began
        over.set()
        sampler.join()
        stored = [path for path in inbox.glob("*.photo") if path.stat().st_size > 100_000]
        if sorted(map(digest, stored)) != sorted(map(digest, paths)):
            sys.exit("forms.py: the files did not arrive: expected the bytes sent")
        print(f"{client}: {FILES} files, {sum(path.stat().st_size for path in paths):,} B in "
              f"{seconds:.1f} s; resident {resident:,} B before, at most "
              f"{peak(server.pid) - resident:,} B more; Pss {samples[0]:,} B before, "
              f"{max(samples):,} B at the peak of {len(samples)} samples")
    finally:
        stop(server)


def send_with_chromium(port, paths):
    with Browser(shutil.which("chromium")) as browser:
        tab = browser.open(f"http://127.0.0.1:{port}/")
        tab.value("document.forms[0].elements.title.value = 'Holidays'; 0")
        found = browser.ask("Runtime.evaluate", tab.session,
                            expression="document.forms[0].elements.photo")
        browser.ask("DOM.setFileInputFiles", tab.session, files=[str(path) for path in paths],
                    objectId=found["result"]["objectId"])
        tab.value("setTimeout(() => document.forms[0].submit()); 0")
        tab.until(f"document.body.innerText.includes('has {len(paths)} photos')")


def send_with_curl(port, paths):
    files = [argument for path in paths for argument in ("-F", f"photo=@{path}")]
    subprocess.run(["curl", "-sS", "-F", "title=Holidays", *files, f"http://127.0.0.1:{port}/"],
                   check=True, stdout=subprocess.DEVNULL)


def sample(pid, samples, over):
    while not over.wait(SAMPLE_SECONDS):
        samples.append(pss(pid))


def clear_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pid):
    """Returns the most resident bytes of a process since `clear_peak`."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", text, re.M).group(1)) * 1024


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


if __name__ == "__main__":
    main()
