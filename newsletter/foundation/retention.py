"""Forgetting rows whose time is over (DESIGN.md, rule 13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation.database import Base, transaction

BATCH = 1000
"""So few at a time that nobody waits long for SQLite's one writer."""


@dataclass(frozen=True)
class Kept:
    """Rows of a table are kept for so long after the moment in `since`; where that is empty, they stay."""

    table: type[Base]
    since: sa.orm.InstrumentedAttribute[datetime] | sa.orm.InstrumentedAttribute[datetime | None]
    keep: timedelta
    only: tuple[sa.ColumnElement[bool], ...] = ()


def forget(kept: Kept, now: datetime) -> int:
    """Delete what is past its time, a batch after the other, and say how many rows."""
    gone, batch = 0, BATCH
    while batch == BATCH:
        with transaction() as session:
            batch = session.execute(_delete(kept, now)).rowcount  # type: ignore[attr-defined]
        gone += batch
    return gone


def _delete(kept: Kept, now: datetime) -> sa.Delete:
    (key,) = sa.inspect(kept.table).primary_key
    over = sa.select(key).where(kept.since < now - kept.keep, *kept.only).limit(BATCH)
    return sa.delete(kept.table).where(key.in_(over)).execution_options(synchronize_session=False)
