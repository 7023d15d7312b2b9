"""What is wrong at the moment: for /readyz, which somebody outside asks, and for the alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts, calling, safety
from newsletter.foundation.config import the_config
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Slot

OVERDUE = timedelta(minutes=15)
SILENT = timedelta(minutes=2)
KEY = "edition-overdue:"
REMEDY = "Open the edition: approve it, send it or cancel it. If there is none, see whether the scheduler runs."


@dataclass(frozen=True)
class Overdue:
    """An edition that should be out and is not, without anybody having held it."""

    key: str
    line: str


def troubles(now: datetime) -> list[str]:
    """A plain line for each thing that keeps editions from going out; none when all is well. Changes nothing."""
    return [*_halt(), *_silence(now), *(one.line for one in overdue(now))]


def _halt() -> Iterator[str]:
    if (reason := safety.halted()) is not None:
        yield f"Nothing is sent: {reason}"


def _silence(now: datetime) -> Iterator[str]:
    last = safety.heartbeat()
    if last is not None and now - last > SILENT:
        yield f"The scheduler gave no sign of life since {last:%Y-%m-%d %H:%M} UTC."


def overdue(now: datetime) -> list[Overdue]:
    """A quarter of an hour past their slot, and neither out nor held: those that wait for somebody, and those that
    nobody made. A slot made after its own time has the quarter of an hour from then."""
    latest = now - OVERDUE
    waiting = db.session.scalars(
        sa.select(Edition)
        .join(Edition.slot)
        .where(
            Edition.state.in_(publishing.OPEN),
            Edition.number == 0,
            Edition.held_at.is_(None),
            Edition.slot_at <= latest,
            Slot.created_at <= latest,
            Edition.finish_by > now,
        )
        .order_by(Edition.slot_at, Edition.id)
    ).all()
    missing = [(db.session.get_one(Slot, slot_id), due) for slot_id, due in publishing.missing(now)]
    unmade = [
        _overdue(slot, due.local_date, due.slot_at, EditionState.PLANNED)
        for slot, due in missing
        if max(slot.created_at, due.slot_at) <= latest
    ]
    return [_overdue(one.slot, one.local_date, one.slot_at, one.state) for one in waiting] + unmade


def _overdue(slot: Slot, local_date: date, slot_at: datetime, state: EditionState) -> Overdue:
    return Overdue(
        f"{KEY}{slot.id}:{local_date}",
        f"{slot.newsletter.name} of {local_date} for {slot.label} should have gone out at {slot_at:%H:%M} UTC, "
        f"and is {state}.",
    )


def watch(now: datetime) -> int:
    """Raise an alert for each edition that is overdue, end those of the others, and say how many are."""
    late = {one.key: one.line for one in overdue(now)}
    known = {alert.key for alert in alerts.open_alerts() if alert.key.startswith(KEY)}
    if late.keys() != known:
        with transaction():
            for key in late.keys() - known:
                alerts.raise_(key, late[key], REMEDY, now)
            for key in known - late.keys():
                alerts.resolve(key, now)
    return len(late)


def ping(now: datetime) -> int:
    """Call the heartbeat's address, if there is one and all is well, and say whether somebody answered. What is halted
    stays silent: a copy must not speak for the one that it is a copy of."""
    url = the_config().alerts.heartbeat_url
    return int(bool(url) and not troubles(now) and calling.ping(str(url)))
