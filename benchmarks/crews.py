"""Workers in processes of their own, kept from round to round as a service's are, and what a round takes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from flask import Flask

from benchmarks.apart import peak_mb
from newsletter.app import create_app, worker
from newsletter.delivery.engine import Worker
from newsletter.foundation.config import Config
from newsletter.foundation.database import db


class Work(NamedTuple):
    """Seconds until all of them were idle, their CPU together, and the most memory that one of them ever had."""

    wall: float
    cpu: float
    peak_mb: float


class Crew:
    def __init__(self, processes: list[Executor]) -> None:
        self._processes = processes

    def work(self) -> Work:
        """Let them do all that is due."""
        began = time.perf_counter()
        done = [process.submit(_work) for process in self._processes]
        spent = [one.result() for one in done]
        return Work(time.perf_counter() - began, sum(cpu for cpu, _ in spent), max(peak for _, peak in spent))


@contextmanager
def hired(config: Config, workers: int = 1) -> Iterator[Crew]:
    with ExitStack() as stack:
        processes = [stack.enter_context(process()) for _ in range(workers)]
        for started in [one.submit(_begin, config) for one in processes]:
            started.result()
        try:
            yield Crew(processes)
        finally:
            for ended in [one.submit(_end) for one in processes]:
                ended.result()


def process() -> Executor:
    return ProcessPoolExecutor(1, get_context("spawn"))


class _Here(threading.local):
    app: Flask
    worker: Worker


_here = _Here()


def _begin(config: Config) -> None:
    _here.app = create_app(config)
    _here.worker = worker(_here.app)


def _work() -> tuple[float, float]:
    cpu = time.process_time()
    _here.worker.until_idle()
    return time.process_time() - cpu, peak_mb(Path("/proc/self"))


def _end() -> None:
    with _here.app.app_context():
        db.engine.dispose()
