"""How often to ask a source, and when its silence is unusual: pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

FASTEST = timedelta(minutes=5)
SLOWEST = timedelta(hours=6)
FIRST = timedelta(minutes=15)
LONGEST_WAIT = timedelta(days=1)

QUICKER, SLOWER = 0.6, 1.25
"""New stories bring the next look closer, none move it away: an outlet that writes all day is soon asked every few
minutes, one that writes weekly four times a day."""

QUIET_AT_LEAST = timedelta(hours=24)
UNUSUAL = 3
KNOWN_STORIES = 5


def next_interval(interval: timedelta, found_new: bool, asked_for: timedelta | None = None) -> timedelta:
    """How long to wait after a poll that went well. `asked_for` is the feed's own wish (its ttl)."""
    wished = interval * (QUICKER if found_new else SLOWER)
    return min(max(wished, asked_for or FASTEST, FASTEST), SLOWEST)


def asked_less(interval: timedelta) -> timedelta:
    """How long to wait between polls of a server that says we ask too often."""
    return min(max(interval, FASTEST) * 2, SLOWEST)


def wait_after_failure(interval: timedelta, failures: int, asked_for: timedelta | None = None) -> timedelta:
    """How long to wait after the n-th failure in a row. `asked_for` is the server's Retry-After."""
    doublings: int = 2 ** min(failures - 1, 8)
    wished = min(max(interval, FASTEST) * doublings, SLOWEST)
    return min(max(wished, asked_for or wished), LONGEST_WAIT)


def is_silent(published: Sequence[datetime], now: datetime) -> bool:
    """Whether a source has said nothing for a time that is unusual for it: three times its usual pause, and a day at
    least. Too few stories tell nothing."""
    usual = usual_pause(published)
    return usual is not None and now - max(published) > max(QUIET_AT_LEAST, UNUSUAL * usual)


def usual_pause(published: Sequence[datetime]) -> timedelta | None:
    """How long a source is silent at most: the longest pause between its latest stories but one, since one summer
    break does not make every pause usual. None when too few stories are known."""
    latest = sorted(published, reverse=True)
    if len(latest) < KNOWN_STORIES:
        return None
    return sorted(newer - older for newer, older in pairwise(latest))[-2]
