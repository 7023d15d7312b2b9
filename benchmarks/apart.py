"""Work in a process of its own, and what it costs there. For Linux, which tells in /proc."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")
TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds by the clock, and of CPU, in this process and those it keeps to work for it."""

    wall: float
    cpu: float


def apart(work: Callable[..., Result], *given: object) -> tuple[Result, float]:
    """What `work`, a module's function, gives, and the most memory that its process and those it kept had, in MB."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, work, *given).result()


def _measured(work: Callable[..., Result], *given: object) -> tuple[Result, float]:
    return work(*given), sum(map(peak_mb, [Path("/proc/self"), *_children()]))


@contextmanager
def spending() -> Iterator[list[Spent]]:
    """Its list has what was spent, afterwards."""
    spent: list[Spent] = []
    wall, cpu = time.perf_counter(), _cpu()
    yield spent
    spent.append(Spent(time.perf_counter() - wall, _cpu() - cpu))


def _cpu() -> float:
    ended = os.times()
    running = sum(map(_cpu_of, _children()))
    return time.process_time() + ended.children_user + ended.children_system + running


def cpu_of_group(process: int) -> float:
    """Seconds of CPU that a process and those below it have taken so far."""
    return _cpu_of(Path(f"/proc/{process}")) + sum(cpu_of_group(int(child.name)) for child in _children(process))


def _cpu_of(process: Path) -> float:
    return sum(map(int, _stat(process)[11:13])) / TICKS


def _children(of: int | None = None) -> list[Path]:
    parent = str(of or os.getpid())
    return [process for process in Path("/proc").glob("[0-9]*") if (stat := _stat(process)) and stat[1] == parent]


def _stat(process: Path) -> list[str]:
    """What /proc tells of a process after its name, from its state on; nothing when it has ended (proc_pid_stat(5))."""
    with suppress(OSError):
        return (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return []


def peak_mb(process: Path) -> float:
    """The most memory that a program had: getrusage's figure begins with what its parent had when it was started."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text("utf-8"), re.MULTILINE)
    assert found is not None, "this system does not tell"
    return int(found[1]) / 1000
