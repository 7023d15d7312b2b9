"""A worker in a process of its own, so that it can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from tests.support.misbehaving_relay import MisbehavingRelay


@contextmanager
def running_worker(
    folder: Path, url: str, relay: MisbehavingRelay, *, connections: int = 1, under: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """`newsletter deliver --until-idle` with the keys in `folder`, by the machine's clock; `under` is what runs it."""
    config = folder / "config.toml"
    config.write_text(
        f"[database]\nurl = {json.dumps(url)}\n"
        f"[mail]\nhost = {json.dumps(relay.host)}\nport = {relay.port}\nconnections = {connections}\n"
    )
    log = folder / "worker.log"
    command = [*under, sys.executable, "-m", "newsletter", "--config", str(config), "deliver", "--until-idle"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        sys.stderr.write(log.read_text("utf-8", "replace"))  # pytest shows it when the test fails


def wait_for_the_line(words: str, log: Path) -> None:
    """Until a process has said so."""
    for _ in range(3000):
        if words in log.read_text("utf-8", "replace"):
            return
        Event().wait(0.01)
    raise AssertionError(f"it never said “{words}”")
