"""A worker in a process of its own, so that it can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.misbehaving_relay import MisbehavingRelay


@contextmanager
def running_worker(folder: Path, url: str, relay: MisbehavingRelay) -> Iterator[subprocess.Popen[bytes]]:
    """`newsletter deliver --until-idle` with the keys in `folder`, on the machine's own clock."""
    config = folder / "config.toml"
    config.write_text(
        f"[database]\nurl = {json.dumps(url)}\n"
        f"[mail]\nhost = {json.dumps(relay.host)}\nport = {relay.port}\nconnections = 1\n"
    )
    log = folder / "worker.log"
    command = [sys.executable, "-m", "newsletter", "--config", str(config), "deliver", "--until-idle"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        sys.stderr.write(log.read_text("utf-8", "replace"))  # pytest shows it when the test fails
