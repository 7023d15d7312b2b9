"""The time, as something that is handed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from newsletter.foundation.parts import Part


class Clock(Protocol):
    """Tells the time. `create_app` takes one, so that tests and the demo can pass their own."""

    def now(self) -> datetime:
        """The present moment, aware and in UTC."""
        ...


the_clock: Part[Clock] = Part("clock")


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that may ask the machine


class FixedClock:
    """A clock that stands still until it is moved; for tests."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at
