"""How days, moments and numbers are written in each language. Local dates are decided elsewhere (rule 18)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, get_datetime_format, get_timezone_location
from babel.lists import format_list
from babel.numbers import format_decimal

from newsletter.foundation.languages import ENGLISH

ENGLISH_DAY, ENGLISH_LONG, ENGLISH_SHORT, ENGLISH_MONTH = "EEEE, d MMMM y", "d MMMM y", "d MMM y", "MMMM y"
"""Ours: readers are everywhere, and the day before the month is what most of them write."""

ENGLISH_LISTS = "en_001"
"""The world's English, which has no comma before its "and"."""


def day(of: date, language: str = ENGLISH) -> str:
    """A date as Sunday, 22 November 2026."""
    return format_date(of, ENGLISH_DAY if language == ENGLISH else "full", locale=language)


def long_day(of: date, language: str = ENGLISH) -> str:
    """A date as 22 November 2026, for sentences."""
    return format_date(of, ENGLISH_LONG if language == ENGLISH else "long", locale=language)


def short_day(of: date, language: str = ENGLISH) -> str:
    """A date as 22 Nov 2026."""
    return format_date(of, ENGLISH_SHORT if language == ENGLISH else "medium", locale=language)


def month(of: date, language: str = ENGLISH) -> str:
    """The month of a date as November 2026."""
    if language == ENGLISH:
        return format_date(of, ENGLISH_MONTH, locale=language)
    return format_skeleton("yMMMM", of, locale=language)


def moment(
    at: datetime, zone: str = "UTC", language: str = ENGLISH, of_day: Callable[[date, str], str] = short_day
) -> str:
    """A moment as 22 Nov 2026, 05:20 in `zone`; UTC says that it is. `of_day` writes its date."""
    local = at.astimezone(ZoneInfo(zone))
    time = f"{local:%H:%M} UTC" if zone == "UTC" else f"{local:%H:%M}"
    return str(get_datetime_format("medium", language)).format(time, of_day(local.date(), language))


def place(zone: str, language: str = ENGLISH) -> str:
    """Where a zone's clocks hang: New York for America/New_York."""
    if "/" not in zone:
        return zone
    return zone.rpartition("/")[2].replace("_", " ") if language == ENGLISH else _city(zone, language)


def _city(zone: str, language: str) -> str:
    return get_timezone_location(zone, locale=language, return_city=True)


def listed(parts: Sequence[str], language: str = ENGLISH, style: Literal["standard", "or"] = "standard") -> str:
    """Words one after the other, as A, B and C, or as A, B or C."""
    return format_list(parts, style, ENGLISH_LISTS if language == ENGLISH else language)


def number(n: int, language: str = ENGLISH) -> str:
    if language == ENGLISH:
        return f"{n:,}"  # the same, and a page of figures has hundreds
    return format_decimal(n, locale=language)
