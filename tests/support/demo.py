"""A demo of the tests' own, started as a person starts it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from tests.support.ports import free_port

PATIENCE_SECONDS = 90


@dataclass
class RunningDemo:
    process: subprocess.Popen[bytes]
    folder: Path
    site: str
    log: Path

    @property
    def sign_in_link(self) -> str:
        match = re.search(r"http://\S+/admin/link/\S+", self.log.read_text())
        assert match, self.log.read_text()
        return match[0]

    @property
    def subjects(self) -> list[str]:
        """Of every mail that has left. Looks into their folder, for pages take the time that sending needs."""
        files = sorted((self.folder / "mail").glob("*.eml"))
        return [str(BytesHeaderParser(policy=default).parsebytes(file.read_bytes())["Subject"]) for file in files]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[RunningDemo]:
    port, log = free_port(), folder.with_suffix(".log")
    command = [sys.executable, "-m", "newsletter", "demo", "--port", str(port), "--dir", str(folder), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    demo = RunningDemo(process, folder, f"http://127.0.0.1:{port}", log)
    try:
        wait_until(lambda: "Begin here" in log.read_text() or process.poll() is not None, log)
        assert process.poll() is None, log.read_text()
        yield demo
    finally:
        if process.poll() is None:
            demo.stop()


def wait_until(condition: object, log: Path) -> None:
    """Look again and again at something that other processes do; fails with their log."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
