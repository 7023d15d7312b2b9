"""When an item was published, and why that is not simply what its feed says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime

from newsletter.foundation.text import one_line
from newsletter.stories.markup import shortened

FUTURE_ALLOWED = timedelta(minutes=10)
"""Clocks differ."""

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
"""What is older are systems that write 1970, or the year 1, where they know no date."""

FIRST_SIGHT = "so the time it was first seen counts"

ZONES = {
    name: timezone(timedelta(hours=int(hours)))
    for name, hours in re.findall(
        r"(\w+) (-?\d+)",
        "WET 0, WEST 1, BST 1, CET 1, CEST 2, MEZ 1, MESZ 2, EET 2, EEST 3, MSK 3, WAT 1, CAT 2, SAST 2, EAT 3, PKT 5,"
        "WIB 7, SGT 8, HKT 8, AWST 8, JST 9, KST 9, AEST 10, AEDT 11, NZST 12, NZDT 13, BRT -3, AT -4, ET -5, CT -6,"
        "MT -7, PT -8",
    )
}
"""Names that RFC 5322 does not know and feeds write. Names that mean several zones are none."""

OFFSET = re.compile(r"\s?(?:GMT|UTC)?([+-])(\d\d):?(\d\d)$")
NAME = re.compile(r"\s([A-Z]{2,5})$")
FURTHEST = timedelta(hours=14)
"""No place on earth is further from UTC."""

MONTHS = {
    month: english
    for english, months in re.findall(
        r"(\w+): ([^;]+)",
        "Jan: ene gen janv; Feb: fev fév févr; Mar: mär mrt mars; Apr: abr avr; May: mai mei mag; Jun: giu juin; "
        "Jul: lug juil; Aug: ago août; Sep: set sept; Oct: okt out ott; Dec: dez dic déc",
    )
    for month in months.split()
}
LOCAL = re.compile(r"(?:\w+\.?,\s*)?(\d{1,2})\.? (\w+)\.?( \d{4} .*)", re.DOTALL)
"""A date in the form of RFC 5322 with the day and the month of another language."""

YEAR_NOUGHT = re.compile(r"[A-Za-z]{3} 00\d\d\b")
"""email.utils takes the year 0001 for 2001."""


Said = tuple[str, datetime | None]
"""A date as a feed writes it, and how the feed's library reads it, if it can."""


def moment(said: Sequence[Said], now: datetime) -> tuple[datetime, str | None]:
    """A sane time for every story, by the first of its dates that can be read; and what its reader may wonder about."""
    if not said:
        return now, f"the feed gives no date, {FIRST_SIGHT}"
    for text, stamp in said:
        found, zone_known = _read(text.strip(), stamp)
        if found is not None:
            return _sane(found, zone_known, text, now)
    return now, f"{_quoted(said[0][0])} cannot be read, {FIRST_SIGHT}"


def _sane(found: datetime, zone_known: bool, text: str, now: datetime) -> tuple[datetime, str | None]:
    if found > now + FUTURE_ALLOWED:
        return now, f"the date {found:%Y-%m-%d %H:%M} UTC lies in the future, {FIRST_SIGHT}"
    if found < EARLIEST:
        return now, f"{_quoted(text)} is no date of news, {FIRST_SIGHT}"
    return found, None if zone_known else f"{_quoted(text)} names no time zone that is known, so it is read as UTC"


def _quoted(text: str) -> str:
    return f"the date “{shortened(one_line(text), 60)}”"


def _read(text: str, stamp: datetime | None) -> tuple[datetime | None, bool]:
    """The moment, and whether the text says in which zone."""
    bare, zone = _zone(text)
    for found in (*_readings(bare), stamp):
        if found is not None:
            zone = found.tzinfo or zone
            try:
                return found.replace(tzinfo=zone or UTC).astimezone(UTC), zone is not None
            except OverflowError:
                continue
    return None, False


def _readings(text: str) -> Iterator[datetime]:
    if (local := LOCAL.fullmatch(text)) and (month := MONTHS.get(local[2].lower())):
        text = f"{local[1]} {month}{local[3]}"
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        if read is parsedate_to_datetime and YEAR_NOUGHT.search(text):
            continue
        try:
            yield read(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue


def _zone(text: str) -> tuple[str, tzinfo | None]:
    """The zone that a date ends with, where email.utils would not see it; and the date, without one that is none."""
    if offset := OFFSET.search(text):
        sign, hours, minutes = offset.groups()
        span = timedelta(hours=int(hours), minutes=int(minutes))
        if span > FURTHEST:
            return text[: offset.start()], None
        return text, timezone(span if sign == "+" else -span)
    name = NAME.search(text)
    return text, ZONES.get(name[1]) if name else None
