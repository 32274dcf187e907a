"""Programs that the scripts beside this file start: built once, ended with their `with` block."""

import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Seconds until something that does not happen is a failure.
PATIENCE = 60


def build(*targets):
    """Builds targets, such as `--bins`, with all features, and returns the folder of the programs."""
    subprocess.run(["cargo", "build", "--all-features", *targets], cwd=ROOT, check=True)
    about = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(about, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return pathlib.Path(json.loads(metadata)["target_directory"]) / "debug"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Program:
    """A process that listens on a port and runs until the end of its `with` block."""

    def __init__(self, port, path, *arguments, **options):
        self.port = port
        self.process = subprocess.Popen([path, *map(str, arguments)], **options)

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.02)
        sys.exit(f"FAILED: {self.process.args[0]} does not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def check(holds, what):
    print(("ok: " if holds else "FAILED: ") + what)
    if not holds:
        sys.exit(1)
