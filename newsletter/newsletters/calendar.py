"""When editions are due: pure arithmetic on dates, zones and instants (DESIGN.md, rules 1, 3 and 6).

Local dates and zones are decided here and nowhere else. All deadlines are counted in UTC from the slot's instant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

A_DAY = timedelta(days=1)
START_WITHIN = timedelta(hours=2)
FINISH_WITHIN = timedelta(hours=12)


@dataclass(frozen=True)
class Schedule:
    """The moments of one edition, in UTC: draft at `cutoff_at`, send at `slot_at`, not begun after `start_by`, and
    what is left at `finish_by` expires."""

    local_date: date
    slot_at: datetime
    cutoff_at: datetime
    start_by: datetime
    finish_by: datetime


class Moments(Protocol):
    """A schedule, or an edition that keeps one."""

    @property
    def slot_at(self) -> datetime: ...
    @property
    def cutoff_at(self) -> datetime: ...
    @property
    def start_by(self) -> datetime: ...
    @property
    def finish_by(self) -> datetime: ...


class Stage(StrEnum):
    """Where a moment lies: before the cut-off; after it, when there should be a draft; after the slot, when it may go
    out; after `start_by`, when it may not by itself; after `finish_by`."""

    AHEAD = "ahead"
    OPEN = "open"
    DUE = "due"
    LATE = "late"
    OVER = "over"


def stage(of: Moments, now: datetime) -> Stage:
    """Each moment belongs to what it begins."""
    begins = (
        (of.finish_by, Stage.OVER),
        (of.start_by, Stage.LATE),
        (of.slot_at, Stage.DUE),
        (of.cutoff_at, Stage.OPEN),
    )
    return next((stage for moment, stage in begins if moment <= now), Stage.AHEAD)


def is_zone(name: str) -> bool:
    return name in _zones()


@cache
def zones() -> tuple[str, ...]:
    """Those that people choose from: named after places, and UTC."""
    return ("UTC", *sorted(name for name in _zones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))))


@cache
def _zones() -> set[str]:
    """Kept, because every look goes through all the files of the time zone database."""
    return available_timezones()


def instant(local_date: date, local_time: time, zone: ZoneInfo) -> datetime | None:
    """The UTC instant of a local time on a date, or None when the zone skipped the whole date.

    In the gap of a clock change it is the first instant after the gap, which a gap at the end of a day moves to the
    next date's midnight; in the fold, the first of the two.
    """
    begins = _instant(datetime.combine(local_date, time()), zone)
    if begins.astimezone(zone).date() != local_date:
        return None
    return _instant(datetime.combine(local_date, local_time), zone)


def _instant(naive: datetime, zone: ZoneInfo) -> datetime:
    moment = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    exists = moment.astimezone(zone).replace(tzinfo=None) == naive
    return moment if exists else _end_of_gap(naive, zone)


def _end_of_gap(naive: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks jumped over `naive`, to the second, by halving."""
    before = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)  # counted with the offset after the change
    after = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)  # counted with the offset before it
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def schedule(local_date: date, local_time: time, zone: str, cutoff_minutes: int) -> Schedule | None:
    """The moments of the edition of a date; None when the zone skipped the date."""
    slot_at = instant(local_date, local_time, ZoneInfo(zone))
    if slot_at is None:
        return None
    return Schedule(
        local_date=local_date,
        slot_at=slot_at,
        cutoff_at=slot_at - timedelta(minutes=cutoff_minutes),
        start_by=slot_at + START_WITHIN,
        finish_by=slot_at + FINISH_WITHIN,
    )


def nearest_zone(zone: str, zones: Sequence[str], now: datetime) -> int | None:
    """The place in `zones` of the one whose clocks are nearest to those of `zone` at the moment, the first of several;
    None when there is no such zone."""
    if not is_zone(zone) or not zones:
        return None
    if zone in zones:
        return zones.index(zone)
    here = _offset(zone, now)
    distances = [abs(_offset(other, now) - here) for other in zones]
    return distances.index(min(distances))


def _offset(zone: str, now: datetime) -> float:
    return (now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds()


def local_date_at(now: datetime, zone: str) -> date:
    """The date that the calendar on the wall shows in `zone`."""
    return now.astimezone(ZoneInfo(zone)).date()


def publishes(local_date: date, days: str, skip: Collection[str] = ()) -> bool:
    """Whether there is an edition on that date, by its day of the week and the dates to `skip` (ISO 8601)."""
    return str(local_date.isoweekday()) in days and local_date.isoformat() not in skip


def open_schedules(
    now: datetime,
    local_time: time,
    zone: str,
    cutoff_minutes: int,
    days: str = "1234567",
    skip: Collection[str] = (),
) -> Iterator[Schedule]:
    """The editions that should exist at `now`: past their cut-off, not past `finish_by`, on a publishing day."""
    today = local_date_at(now, zone)
    for offset in range(-2, 3):  # two, where the zone skipped the date between
        found = schedule(today + timedelta(days=offset), local_time, zone, cutoff_minutes)
        if found and publishes(found.local_date, days, skip) and stage(found, now) not in (Stage.AHEAD, Stage.OVER):
            yield found


def next_schedule(
    now: datetime, local_time: time, zone: str, cutoff_minutes: int, days: str, skip: Collection[str] = ()
) -> Schedule | None:
    """The first edition whose cut-off lies ahead; None when no day of the week publishes."""
    today = local_date_at(now, zone)
    for offset in range(-1, 16 + 7 * len(skip)):  # a date to skip may cost a weekly paper a week
        day = today + timedelta(days=offset)
        if publishes(day, days, skip):
            found = schedule(day, local_time, zone, cutoff_minutes)
            if found and stage(found, now) is Stage.AHEAD:
                return found
    return None


def weeks_of(month: date) -> list[list[date | None]]:
    """The days of a month, given by any of them, in weeks from Monday to Sunday; None where another month's day is."""
    first = month.replace(day=1)
    days = [first + timedelta(days=n) for n in range(31)]
    cells: list[date | None] = [None] * first.weekday() + [day for day in days if day.month == first.month]
    cells += [None] * (-len(cells) % 7)
    return [cells[at : at + 7] for at in range(0, len(cells), 7)]


def later_month(month: date, by: int) -> date:
    """The first day of the month so many months later, or earlier."""
    count = month.year * 12 + month.month - 1 + by
    return date(count // 12, count % 12 + 1, 1)


@dataclass(frozen=True)
class Oddity:
    """What the clocks of a zone do on a date: it is left out altogether, or the hour changes by so much. `goes_at` is
    the time on the clock at which a slot goes out then, where that is not its own."""

    left_out: bool = False
    by: timedelta = timedelta()
    goes_at: time | None = None


def oddity(local_date: date, local_time: time, zone: str) -> Oddity | None:
    """None on almost every date."""
    here = ZoneInfo(zone)
    at = instant(local_date, local_time, here)
    if at is None:
        return Oddity(left_out=True)
    begins, ends = (_instant(datetime.combine(day, time()), here) for day in (local_date, local_date + A_DAY))
    change = (ends.astimezone(here).utcoffset() or timedelta()) - (begins.astimezone(here).utcoffset() or timedelta())
    shown = at.astimezone(here).time()
    moved = shown if shown != local_time else None
    return Oddity(by=change, goes_at=moved) if change or moved else None


def first_date(now: datetime, local_time: time, zone: str, days: str, skip: Collection[str] = ()) -> date | None:
    """The date of the first edition that somebody gets who begins to read now; None when no day publishes."""
    found = next_schedule(now, local_time, zone, 0, days, skip)  # the audience is frozen at the slot, not the cut-off
    return found.local_date if found else None
