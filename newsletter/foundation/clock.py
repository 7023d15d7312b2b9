"""The time, as something that is handed in."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from typing import Protocol

from newsletter.foundation.parts import Part


class Clock(Protocol):
    """Tells the time. `create_app` takes one, so that tests and the demo can pass their own."""

    def now(self) -> datetime:
        """The present moment, aware and in UTC."""
        ...

    def steady(self) -> float:
        """Seconds since some moment in the past, which go on evenly when the clock on the wall is set to another time.
        Only differences mean something, and only in one process."""
        ...


the_clock: Part[Clock] = Part("clock")

STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is one, it counts a machine's sleep too (Linux, clock_gettime(2)); else waking up looks like a leap."""


UNSYNCHRONISED = 5


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place that may ask the machine

    def steady(self) -> float:
        return time.clock_gettime(STEADY)


class FixedClock:
    """A clock that stands still until it is moved; for tests."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def steady(self) -> float:
        return self.at.timestamp()


def is_steered() -> bool | None:
    """Whether a time service sets this machine's clock, by its kernel: adjtimex(2), which changes nothing when it is
    told to. None where this is no Linux, or it may not be asked."""
    try:
        asked = ctypes.CDLL(None, use_errno=True).adjtimex
        state = asked(ctypes.create_string_buffer(512))  # its first number, the modes, is 0: only look
    except (OSError, AttributeError, TypeError):
        return None
    return None if state < 0 else state != UNSYNCHRONISED
