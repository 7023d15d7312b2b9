"""A process's signs of life go on whatever the others are busy with, and end with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event

import pytest
import sqlalchemy as sa

from newsletter.foundation import processes
from newsletter.foundation.database import db
from newsletter.foundation.processes import Kind, Process
from newsletter.operations.living import Life, living
from tests.conftest import House


def seen(house: House) -> list[tuple[str, datetime, datetime]]:
    with house.app.app_context():
        return [(one.kind, one.since, one.seen_at) for one in db.session.scalars(sa.select(Process))]


def until(house: House, wanted: list[tuple[str, datetime, datetime]]) -> None:
    for _ in range(3000):
        if seen(house) == wanted:
            return
        Event().wait(0.01)
    assert seen(house) == wanted


def test_signs_come_again_and_again_until_the_end(either_house: House) -> None:
    house, begun = either_house, either_house.now
    life = Life(house.app, Kind.WORKER, every=0.02).begin()
    until(house, [("worker", begun, begun)])
    house.later(hours=1)
    until(house, [("worker", begun, begun + timedelta(hours=1))])
    life.end()
    assert seen(house) == []


def test_who_ends_by_a_fault_says_so_too(house: House) -> None:
    def fails() -> None:
        with living(house.app, Kind.SCHEDULER):
            until(house, [("scheduler", house.now, house.now)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen(house) == []


def test_a_database_that_is_away_costs_a_sign_and_nothing_else(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tries, beat = [], processes.beat

    def stumble(*given: object) -> None:
        tries.append(given)
        if len(tries) < 3:
            raise sa.exc.OperationalError("SELECT 1", {}, Exception("away"))
        beat(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "beat", stumble)
    with living(house.app, Kind.WEB, every=0.02):
        until(house, [("web", house.now, house.now)])
    assert len(tries) >= 3
