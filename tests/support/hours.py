"""Hours of the day for tests that go by the machine's own clock."""

from __future__ import annotations

from datetime import time, timedelta

from newsletter.foundation.clock import SystemClock


def far_from_now() -> time:
    """An hour of UTC at which nothing is due while the test runs, at whatever hour it runs."""
    return (SystemClock().now() + timedelta(hours=12)).time().replace(second=0, microsecond=0)
