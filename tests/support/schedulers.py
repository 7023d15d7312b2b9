"""Schedulers that a test lets beat and tick by hand, on a clock that can be set wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

from newsletter.scheduling import Scheduler
from tests.conftest import House


class WrongClock:
    """The house's time, and how far the clock on the wall is off; the steady one knows nothing of that."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.off = timedelta()

    def now(self) -> datetime:
        return self._house.clock.at + self.off

    def steady(self) -> float:
        return self._house.clock.at.timestamp()


def scheduler(house: House, clock: WrongClock | None = None) -> Scheduler:
    """A scheduler that was started just now."""
    return Scheduler(house.app, clock or house.clock, house.fetcher)


def rounds(*schedulers: Scheduler) -> None:
    """A beat of each, and then each of their ticks."""
    for one in schedulers:
        one.beat()
    for one in schedulers:
        for tick in one.ticks:
            one.tick(tick)
