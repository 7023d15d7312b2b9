"""Postfix's own measuring tools: smtp-sink takes mail and drops it, smtp-source sends as fast as C can."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.ports import free_port


class ToolMissing(RuntimeError):
    """smtp-sink and smtp-source are needed; they come with Debian's package postfix."""


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise ToolMissing(ToolMissing.__doc__)
    return found


@contextmanager
def sink() -> Iterator[int]:
    """A server that accepts and counts; gives its port."""
    port = free_port()
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [tool("smtp-sink"), *as_user, "-c", f"127.0.0.1:{port}", "1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 10
    probe = [tool("smtp-source"), "-m", "1", f"127.0.0.1:{port}"]
    while subprocess.run(probe, check=False, capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError("smtp-sink did not answer")
        time.sleep(0.05)


def source_seconds(port: int, messages: int, octets: int, connections: int) -> float:
    """How long smtp-source takes for as many messages of that size."""
    command = [tool("smtp-source"), "-d", "-s", str(connections), "-m", str(messages), "-l", str(octets)]
    began = time.perf_counter()
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, capture_output=True)
    return time.perf_counter() - began
