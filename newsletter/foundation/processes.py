"""The service's processes by their signs of life, and when what is done now and then was done last."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, insert_into, transaction

BEAT_SECONDS = 20.0
SILENT = timedelta(seconds=90)
"""Whoever gives no sign of life for so long has missed four, and is thought dead."""

FORGOTTEN = timedelta(days=1)


class Kind(StrEnum):
    WEB = "web"
    SCHEDULER = "scheduler"
    WORKER = "worker"
    BOUNCES = "bounces"


class Process(Base):
    """One long-running process; `name` is one that no other has, on any machine. Whoever ends in order takes its row
    away, so a row that grows old is of one that was killed, or whose machine or database is away."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    host: Mapped[str] = mapped_column(sa.String(80))
    pid: Mapped[int]
    since: Mapped[datetime]
    seen_at: Mapped[datetime]

    def is_silent(self, now: datetime) -> bool:
        return now - self.seen_at > SILENT


def beat(name: str, kind: Kind, since: datetime, now: datetime) -> None:
    """Give a sign of life."""
    made = insert_into(Process).values(
        name=name, kind=kind.value, host=host(), pid=os.getpid(), since=since, seen_at=now
    )
    with transaction() as session:
        session.execute(made.on_conflict_do_update(index_elements=["name"], set_={"seen_at": now}))


def host() -> str:
    return platform.node()[:80] or "somewhere"


def end(name: str) -> None:
    """In order: nobody needs to look for it."""
    with transaction() as session:
        session.execute(sa.delete(Process).where(Process.name == name))


def known(now: datetime) -> Sequence[Process]:
    """Those that live and those that were lost within a day, by their kind."""
    order = [kind.value for kind in Kind]
    found = db.session.scalars(sa.select(Process).where(Process.seen_at > now - FORGOTTEN)).all()
    return sorted(found, key=lambda one: (order.index(one.kind) if one.kind in order else 9, one.host, one.since))


class LastRun(Base):
    """When something that is done now and then was done last, and how much it found to do."""

    __tablename__ = "last_runs"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    at: Mapped[datetime]
    found: Mapped[int]


def note_run(name: str, found: int, now: datetime) -> None:
    made = insert_into(LastRun).values(name=name, at=now, found=found)
    with transaction() as session:
        session.execute(made.on_conflict_do_update(index_elements=["name"], set_={"at": now, "found": found}))


def last_run(name: str) -> LastRun | None:
    return db.session.get(LastRun, name)
