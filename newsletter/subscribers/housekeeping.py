"""What is forgotten when its time is over (DESIGN.md, rule 13)."""

from __future__ import annotations

from datetime import datetime, timedelta

from newsletter.foundation.retention import Kept, forget
from newsletter.subscribers.models import SignUpRequest

REQUESTS = Kept(SignUpRequest, SignUpRequest.requested_at, timedelta(days=7))
"""A request that was never confirmed is erased when its link has expired; a confirmed one has done its work by then."""


def tidy(now: datetime) -> int:
    """Erase sign-up requests past their time, and say how many."""
    return forget(REQUESTS, now)
