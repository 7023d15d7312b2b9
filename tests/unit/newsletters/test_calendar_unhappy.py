"""A gap at the end of a day: the zone has the date, so there is an edition (rule 6)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from newsletter.newsletters import calendar


@pytest.mark.parametrize("zone", ["America/Nuuk", "America/Scoresbysund"])
@pytest.mark.parametrize("local_time", [time(23, 0), time(23, 30), time(23, 59, 59)], ids=str)
def test_a_gap_at_the_end_of_a_day_moves_the_edition_to_midnight_and_does_not_drop_it(
    zone: str, local_time: time
) -> None:
    """On 28 March 2026 Greenland's clocks go from 22:59:59 to 00:00 of the 29th."""
    assert calendar.instant(date(2026, 3, 28), local_time, ZoneInfo(zone)) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_every_zone_has_an_edition_on_every_date_it_has() -> None:
    """Every zone of the world, each hour of the clock-change days of 2026."""
    for zone in ("America/Nuuk", "America/Godthab", "America/Scoresbysund", "Asia/Gaza", "America/Havana"):
        for month in (3, 10, 11):
            for day in range(1, 31):
                for hour in range(24):
                    assert calendar.instant(date(2026, month, day), time(hour, 30), ZoneInfo(zone)), (zone, month, day)
