"""Races that are run on purpose: who starts together, who waits for the other, and who is kept waiting."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from threading import Barrier, Event, Thread
from typing import Any, TypeVar

from newsletter.foundation.database import WRITES, db
from tests.conftest import House

Result = TypeVar("Result")

PATIENCE_SECONDS = 20
LOOK_SECONDS = 0.01


def at_once(times: int, act: Callable[[int], Result]) -> list[Result]:
    """Call `act` in that many threads that start together."""
    gate = Barrier(times)

    def run(number: int) -> Result:
        gate.wait(PATIENCE_SECONDS)
        return act(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


@contextmanager
def beside(other: Callable[[], object]) -> Iterator[None]:
    """Something else in a thread of its own; what is raised there is raised here."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            other()
        except BaseException as error:  # handed to the test
            raised.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(2 * PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert raised == []


def both_pass(house: House, original: Callable[..., Any]) -> Callable[..., Any]:
    """The function, at whose end two threads wait for each other. As soon as it is seen that the database lets in only
    one of them, nobody waits any more."""
    arrivals, only_one = count(), Event()
    meetings: dict[int, Event] = {}

    def passing(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        pair, second = divmod(next(arrivals), 2)
        met = meetings.setdefault(pair, Event())
        if second:
            met.set()
        for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
            if only_one.is_set() or met.wait(LOOK_SECONDS):
                return result
            if writes_alone() or somebody_waits(house):
                only_one.set()
        return result

    return passing


def writes_alone() -> bool:
    """Whether this thread holds SQLite's write lock, so that no other can be where it is."""
    if db.engine.dialect.name != "sqlite" or not db.session().info.get(WRITES):
        return False
    with closing(sqlite3.connect(str(db.engine.url.database), timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def somebody_waits(house: House) -> bool:
    """Whether a transaction of this PostgreSQL database waits for another one. On SQLite nobody can tell."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with house.app.app_context():
        if db.engine.dialect.name == "sqlite":
            return False
        with db.engine.connect() as connection:
            return bool(connection.exec_driver_sql(query).scalar())


def wait_for_a_lock(house: House) -> None:
    """On PostgreSQL, look until some transaction waits for another one. SQLite has one writer by itself."""
    with house.app.app_context():
        if db.engine.dialect.name == "sqlite":
            return
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        if somebody_waits(house):
            return
        Event().wait(LOOK_SECONDS)
    raise AssertionError("nobody waited")
