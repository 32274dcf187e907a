"""The functions that the measuring scripts share: they start an example and read its figures."""

import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def release():
    """Returns the folder of the release builds."""
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    return pathlib.Path(target) / "release"


def example(name):
    """Returns the path of the release build of an example."""
    path = release() / "examples" / name
    if not path.exists():
        sys.exit(f"{path} is missing: run cargo build --release --examples")
    return path


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(name, *arguments):
    """Starts an example on a free port. Returns the process and the port."""
    port = free_port()
    return wait_for(subprocess.Popen([example(name), f"127.0.0.1:{port}", *arguments]), name, port)


def wait_for(process, name, port):
    """Waits until the server listens. Returns the process and the port."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process, port
        except ConnectionRefusedError:
            time.sleep(0.02)
    process.kill()
    sys.exit(f"{name} does not start on port {port}")


def stop(process):
    process.terminate()
    process.wait()


def raise_descriptor_limit(wanted):
    """Raises the limit of descriptors to `wanted`, or as far as possible, and returns it.

    Servers that are started later inherit the limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        # Only a privileged process may raise the hard limit.
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def pss(pid):
    """Returns the bytes of memory of a process, with its share of shared pages."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss: +(\d+) kB", text, re.M).group(1)) * 1024


def rss(pid):
    """Returns the resident bytes of a process. This is cheaper than `pss`."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
