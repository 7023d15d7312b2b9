"""Postfix's own measuring tools: smtp-sink takes mail and drops it, smtp-source sends as fast as C can.

Where smtp-sink is missing a server of ours takes the mails; where smtp-source is, there is nothing to compare with.
"""

from __future__ import annotations

import os
import shutil
import socket  # noqa: TID251 - asks whether somebody answers
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.relays import relay
from tests.support.ports import free_port

OCTETS = 45_000
SOURCE_CONNECTIONS = 8


@dataclass(frozen=True)
class Sink:
    """A server that accepts everything, and which one it is."""

    port: int
    name: str


def tool(name: str) -> str | None:
    """Where one of Debian's package postfix is."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


@contextmanager
def sink() -> Iterator[Sink]:
    if (found := tool("smtp-sink")) is None:
        with relay() as ours:
            yield Sink(ours.port, "our own sink in Python, for smtp-sink is missing here")
        return
    with _smtp_sink(found) as port:
        yield Sink(port, "smtp-sink -c")


@contextmanager
def _smtp_sink(found: str) -> Iterator[int]:
    port = free_port()
    as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [found, *as_user, "-c", f"127.0.0.1:{port}", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as probe:
            if probe.recv(3) == b"220":
                return
        time.sleep(0.05)
    raise TimeoutError("smtp-sink did not answer")


def source_per_s(port: int, messages: int) -> float | None:
    """Mails a second of smtp-source, each of as many octets as ours; None where it is missing."""
    if (found := tool("smtp-source")) is None:
        return None
    command = [found, "-d", "-s", str(SOURCE_CONNECTIONS), "-m", str(messages), "-l", str(OCTETS)]
    began = time.perf_counter()
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, capture_output=True)
    return messages / (time.perf_counter() - began)
