"""How fast mails may go, over all machines together: what may go next is asked for in portions, and noted first.

A rate of messages a second is a row that says when the next one may go (as the leaky bucket of RFC 2697 has it, without
a bucket); those of an hour and a day are counted by minutes, so that no hour and no day, whenever it begins, has more.
A portion that a killed process had is lost, never sent twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery.models import Rate, RateMinute
from newsletter.foundation.database import db, insert_into, transaction

PORTION = 100
"""So many mails at once are asked for where no rate a second is set; with one it is what goes in a second."""

SOON = timedelta(seconds=20)
"""Nobody is given a portion that begins later: who waits for it would hold up the others."""

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """The most messages in a second, in any hour and in any day; None is as many as there are."""

    per_second: float | None = None
    per_hour: int | None = None
    per_day: int | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in (self.per_second, self.per_hour, self.per_day))


@dataclass(frozen=True)
class Portion:
    """So many mails may go, the first at `begins` and the others each so much later. Where it is none, `begins` is when
    to ask again."""

    count: int
    begins: datetime
    apart: timedelta


def take(name: str, limit: Limit, now: datetime) -> Portion:
    """The next portion of what a relay, or a domain, may be given."""
    with transaction() as session:
        rate = _row(name)
        room, free_at = _room(name, limit, now)
        if room <= 0:
            return Portion(0, free_at, timedelta())
        apart = timedelta(seconds=1 / limit.per_second) if limit.per_second else timedelta()
        count = min(room, math.ceil(limit.per_second) if limit.per_second else PORTION)
        begins = now
        if rate.next_at is not None and now < rate.next_at <= now + MINUTE + 10 * apart:  # else the clock went back
            begins = rate.next_at
        if begins - now > SOON:
            return Portion(0, begins, timedelta())
        rate.next_at = begins + count * apart
        if limit.per_hour is not None or limit.per_day is not None:
            _count(name, _minute(now), count)
        session.flush()
        return Portion(count, begins, apart)


def give_back(name: str, count: int, taken_at: datetime) -> None:
    """What was taken at a moment and is not needed."""
    with transaction():
        _count(name, _minute(taken_at), -count)


def _row(name: str) -> Rate:
    """Nobody else's until the transaction ends."""
    db.session.execute(insert_into(Rate).values(name=name).on_conflict_do_nothing())
    found = db.session.scalar(
        sa.select(Rate).where(Rate.name == name).with_for_update().execution_options(populate_existing=True)
    )
    assert found is not None
    return found


def _room(name: str, limit: Limit, now: datetime) -> tuple[int, datetime]:
    """How many may go now by the hour and the day, and when there is room again where it is none."""
    rooms = [(PORTION if limit.per_second is None else 10**9, now)]
    for most, period in ((limit.per_hour, HOUR), (limit.per_day, DAY)):
        if most is not None:
            used, oldest = _used(name, now - period)
            rooms.append((most - used, max(oldest + MINUTE + period, now + MINUTE / 60) if oldest else now))
    return min(room for room, _ in rooms), max((free_at for room, free_at in rooms if room <= 0), default=now)


def _used(name: str, since: datetime) -> tuple[int, datetime | None]:
    """How many, and the first minute of them. A minute that began before counts whole."""
    query = sa.select(sa.func.coalesce(sa.func.sum(RateMinute.used), 0), sa.func.min(RateMinute.minute))
    row = db.session.execute(
        query.where(RateMinute.name == name, RateMinute.minute > since - MINUTE, RateMinute.used > 0)
    ).one()
    return int(row[0]), row[1]


def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


def _count(name: str, minute: datetime, count: int) -> None:
    made = insert_into(RateMinute).values(name=name, minute=minute, used=max(0, count))
    more = RateMinute.used + count
    db.session.execute(made.on_conflict_do_update(index_elements=["name", "minute"], set_={"used": more}))
