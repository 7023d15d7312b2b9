"""How moments, dates and numbers are written on pages, in the page's language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup, escape

from newsletter.foundation import writing
from newsletter.foundation.clock import the_clock
from newsletter.foundation.text import in_octets
from newsletter.web.speaking import language


def moment(at: datetime | None, zone: str = "UTC") -> str:
    return writing.moment(at, zone, language()) if at else ""


def clock(at: datetime, zone: str = "UTC", seconds: bool = False) -> str:
    """A time of day as 05:31, or 05:31:07, in `zone`; UTC says that it is."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M{':%S' if seconds else ''}}{' UTC' if zone == 'UTC' else ''}"


def span(length: timedelta) -> str:
    """How long something took, in the two units that matter; for staff."""
    seconds = max(0, round(length.total_seconds()))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def away(length: timedelta) -> str:
    """How far a moment is, in one or two units; for staff."""
    minutes = int(abs(length).total_seconds() // 60)
    if minutes >= 48 * 60:
        return f"{minutes // 1440} days"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "less than a minute"


def rate(a_second: float) -> str:
    """So many a second, with a decimal where there are few."""
    return number(round(a_second)) if a_second >= 10 else f"{a_second:.1f}"


def day(of: date) -> str:
    return writing.day(of, language())


def month(of: date) -> str:
    return writing.month(of, language())


def place(zone: str) -> str:
    return writing.place(zone, language())


def number(n: int) -> str:
    return writing.number(n, language())


def listed(parts: Iterable[str], style: Literal["standard", "or"] = "standard") -> Markup:
    """Some things in a row. What is markup stays that."""
    return Markup(writing.listed([escape(part) for part in parts], language(), style))


def install(app: Flask) -> None:
    app.jinja_env.filters.update(moment=moment, day=day, month=month, place=place, number=number, listed=listed)
    app.jinja_env.filters.update(clock=clock, span=span, rate=rate, away=away, octets=in_octets)
    app.jinja_env.filters["from_iso"] = datetime.fromisoformat
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"now": the_clock().now()})
