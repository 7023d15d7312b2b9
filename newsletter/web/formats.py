"""How moments, dates and numbers are written on pages."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Flask

from newsletter.foundation.clock import the_clock


def moment(at: datetime | None, zone: str = "UTC") -> str:
    """A moment as 22 Nov 2026, 05:20 in `zone`; UTC says that it is."""
    if at is None:
        return ""
    text = f"{at.astimezone(ZoneInfo(zone)):%-d %b %Y, %H:%M}"
    return f"{text} UTC" if zone == "UTC" else text


def day(of: date) -> str:
    """A date as Sunday, 22 November 2026."""
    return f"{of:%A, %-d %B %Y}"


def month(of: date) -> str:
    """The month of a date as November 2026."""
    return f"{of:%B %Y}"


def number(n: int) -> str:
    return f"{n:,}"


def install(app: Flask) -> None:
    app.jinja_env.filters.update(moment=moment, day=day, month=month, number=number)
    app.jinja_env.filters["from_iso"] = datetime.fromisoformat
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"now": the_clock().now()})
