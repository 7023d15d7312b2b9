"""The demo's own clock, so that days of editions can be lived through in a minute.

It starts at 05:20 on the day the demo is first started, ticks like any other, and waits at 05:59 for the button "Next
morning": so that a draft is there to be looked at, whenever somebody looks. It is a file, since several processes and
every command on the demo's config must tell the same time.
"""

from __future__ import annotations

import json
import time as machine
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
MORNING = time(5, 20)
WAITS_AT = time(5, 59)


class DemoClock:
    """Tells the demo's time from its file and the seconds that the machine has counted since it was set."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        state = json.loads(self._file.read_text("utf-8"))
        elapsed = timedelta(seconds=max(machine.time() - state["set_at"], 0))
        return min(datetime.fromisoformat(state["base"]) + elapsed, datetime.fromisoformat(state["waits_at"]))

    def steady(self) -> float:
        """Its own time, which the button moves on purpose."""
        return self.now().timestamp()

    def exists(self) -> bool:
        return self._file.exists()

    def set_to_morning(self, day: date) -> None:
        """05:20 of a date, from where it ticks on to 05:59 and waits."""
        self._set(datetime.combine(day, MORNING, ZONE), datetime.combine(day, WAITS_AT, ZONE))

    def set_to(self, moment: datetime) -> None:
        """Stand still at a moment."""
        self._set(moment, moment)

    def today(self) -> date:
        return self.now().astimezone(ZONE).date()

    def _set(self, base: datetime, waits_at: datetime) -> None:
        state = {
            "base": base.astimezone(UTC).isoformat(),
            "waits_at": waits_at.astimezone(UTC).isoformat(),
            "set_at": machine.time(),
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(state), "utf-8")
        part.replace(self._file)
