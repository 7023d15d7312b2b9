"""Single rows of the ledger through the steps that the engine takes with many at once."""

from __future__ import annotations

import secrets
from datetime import datetime

from newsletter.delivery import ledger
from newsletter.delivery.ledger import Result
from newsletter.delivery.shards import Claimed
from newsletter.foundation.database import transaction
from newsletter.mail.smtp import Reply


def start(row: Claimed, now: datetime) -> str | None:
    """The name of the row's attempt, or None when it may not be sent."""
    attempt = secrets.token_hex(8)
    with transaction() as session:
        return attempt if row.id in ledger.start([row], attempt, now, session.connection()) else None


def record(row: Claimed, attempt: str, reply: Reply, now: datetime) -> None:
    with transaction() as session:
        ledger.record([Result(row, attempt, reply)], now, session.connection())
