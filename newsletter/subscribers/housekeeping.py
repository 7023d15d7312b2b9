"""What is forgotten when its time is over (DESIGN.md, rule 13)."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation.database import transaction
from newsletter.subscribers.models import SignUpRequest

REQUESTS_KEPT = timedelta(days=7)
"""A request that was never confirmed is erased when its link has expired; a confirmed one has done its work by then."""


def tidy(now: datetime) -> int:
    """Erase sign-up requests past their time, and say how many."""
    with transaction() as session:
        gone = session.execute(
            sa.delete(SignUpRequest)
            .where(SignUpRequest.requested_at < now - REQUESTS_KEPT)
            .execution_options(synchronize_session=False)
        )
    return int(gone.rowcount)  # type: ignore[attr-defined]
