"""`newsletter scheduler` in a process of its own, so that it can be killed.

It is the real one, only that its lease runs out sooner and its ticks come faster: fifty deaths would take an hour. And
it is forked from a process that has everything imported, for the same reason.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

from newsletter import cli, scheduling

LIFE = timedelta(seconds=2)

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


def start(folder: Path, url: str, number: int) -> BaseProcess:
    """With the keys in `folder`, on the machine's own clock."""
    config = folder / "config.toml"
    config.write_text(f'[database]\nurl = {json.dumps(url)}\n[mail]\ntransport = "folder"\n', "utf-8")
    process = _forks.Process(target=_run, args=(config, folder / f"scheduler-{number}.log"), daemon=True)
    process.start()
    return process


def _run(config: Path, log: Path) -> None:
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    _hurry()
    cli.main(["--config", str(config), "scheduler"])


def _hurry() -> None:
    ticks = scheduling.ticks
    scheduling.LIFE, scheduling.BEAT_SECONDS = LIFE, 0.3  # type: ignore[assignment]
    scheduling.ticks = lambda fetcher: tuple(
        dataclasses.replace(tick, seconds=0.2)  # type: ignore[arg-type]
        if tick.name in ("collect", "compose", "send")
        else tick
        for tick in ticks(fetcher)
    )
