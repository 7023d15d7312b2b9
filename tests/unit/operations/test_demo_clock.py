from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import time_machine

from newsletter.operations.demo.clock import ZONE, DemoClock

DAY = date(2026, 3, 3)


def shown(clock: DemoClock) -> str:
    return f"{clock.now().astimezone(ZONE):%Y-%m-%d %H:%M}"


def test_it_is_morning_at_any_hour_ticks_and_waits_before_six(tmp_path: Path) -> None:
    with time_machine.travel(datetime(2026, 3, 3, 23, 50, tzinfo=UTC), tick=False) as machine:
        clock = DemoClock(tmp_path / "clock.json")
        clock.set_to_morning(DAY)
        assert shown(clock) == "2026-03-03 05:20"
        machine.shift(15 * 60)
        assert shown(clock) == "2026-03-03 05:35"
        machine.shift(7 * 24 * 3600)
        assert shown(clock) == "2026-03-03 05:59"


def test_every_process_tells_the_same_time(tmp_path: Path) -> None:
    with time_machine.travel(datetime(2026, 3, 3, 12, 0, tzinfo=UTC), tick=False):
        DemoClock(tmp_path / "clock.json").set_to_morning(DAY)
        assert DemoClock(tmp_path / "clock.json").today() == DAY


def test_it_never_runs_backwards_when_the_machine_does(tmp_path: Path) -> None:
    with time_machine.travel(datetime(2026, 3, 3, 12, 0, tzinfo=UTC), tick=False) as machine:
        clock = DemoClock(tmp_path / "clock.json")
        clock.set_to_morning(DAY)
        machine.shift(-3600)
        assert shown(clock) == "2026-03-03 05:20"
