"""What many readers cost: a mail among a few and among many, the sender's memory, and fixing an audience at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from benchmarks import houses
from benchmarks.crews import Work, hired
from benchmarks.figures import Figures
from newsletter.delivery.models import Delivery
from newsletter.foundation.config import Config
from newsletter.foundation.database import db

FEW = 10_000
"""Up to so many readers a size is sent to as often as rounds are asked for, more of them only once."""

INSERT = f"INSERT INTO {Delivery.__tablename__} "
FREEZING = {"insert": INSERT, "shards": "INSERT INTO shards ", "look": "ANALYZE "}
"""Statements of a freeze that are told apart, by how they begin; `look` is PostgreSQL's look at what is new."""


def grow(figures: Figures, config: Config, prefix: str, sizes: Sequence[int], rounds: int) -> None:
    """Send to more and more readers of a house, each number of them by a process of its own."""
    spent = {size: _sent(config, size, rounds if size <= FEW else 1) for size in sizes}
    for size, works in spent.items():
        for work in works:
            figures.add(f"{prefix}readers_{size}_a_message_us", work.wall / size * 1e6)
            figures.add(f"{prefix}readers_{size}_cpu_a_message_us", work.cpu / size * 1e6)
        figures.add(f"{prefix}readers_{size}_mb", works[-1].peak_mb)
    for name, of in {"growth_ratio": _wall, "growth_cpu_ratio": _cpu}.items():
        least, most = (median(map(of, spent[size])) / size for size in (sizes[0], sizes[-1]))
        figures.add(f"{prefix}{name}", most / least)


_wall, _cpu = attrgetter("wall"), attrgetter("cpu")


def _sent(config: Config, readers: int, rounds: int) -> list[Work]:
    works = []
    with houses.inside(config), hired(config) as crew:
        houses.fill(readers)
        for _ in range(rounds):
            edition_id = houses.send(readers)
            works.append(crew.work())
            houses.ensure_accepted(edition_id, readers)
    return works


def freeze(figures: Figures, config: Config, prefix: str, readers: int) -> None:
    """Put an edition for so many on its way: from the press of the button until it is durable and can be sent."""
    with houses.inside(config):
        houses.fill(readers)
        edition_id = houses.draft()
        with _watching(db.engine) as statements:
            began = time.perf_counter()
            houses.release(edition_id, readers)
            whole = time.perf_counter() - began
        parts = {part: _seconds(statements, begins) for part, begins in FREEZING.items()}
        figures.add(f"{prefix}freeze_s", whole)
        for part, seconds in (parts | {"rest": whole - sum(parts.values())}).items():
            figures.add(f"{prefix}freeze_{part}_s", seconds)
        if db.engine.dialect.name == "postgresql":
            figures.add(f"{prefix}freeze_choosing_s", _choosing(statements))


@dataclass(frozen=True)
class _Statement:
    text: str
    parameters: Any
    seconds: float


def _seconds(statements: Sequence[_Statement], begins: str) -> float:
    return sum(one.seconds for one in statements if one.text.startswith(begins))


@contextmanager
def _watching(engine: sa.Engine) -> Iterator[list[_Statement]]:
    """What the database is asked meanwhile, and how long each took."""
    seen: list[_Statement] = []
    began = 0.0

    def before(*_given: object) -> None:
        nonlocal began
        began = time.perf_counter()

    def after(_connection: object, _cursor: object, text: str, parameters: object, *_given: object) -> None:
        seen.append(_Statement(text, parameters, time.perf_counter() - began))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


def _choosing(statements: Sequence[_Statement]) -> float:
    """Seconds of the question in the INSERT alone, by PostgreSQL's own account; the rest of it is writing."""
    insert = next(one for one in statements if one.text.startswith(INSERT))
    question = insert.text[insert.text.index("SELECT") :]
    with db.engine.connect() as connection:
        told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {question}", insert.parameters)
        return float(told.scalar_one()[0]["Execution Time"]) / 1000
