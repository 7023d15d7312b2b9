"""Ledgers with rows in any state, put into the tables as sending would leave them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from newsletter.delivery.models import Delivery, DeliveryState, SkipReason
from newsletter.foundation.database import transaction
from newsletter.mail import addresses
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper


@dataclass(frozen=True)
class Copy:
    """One reader's copy: its state, what a server said of it, how often it was tried, and how long ago that was."""

    address: str
    state: str = "accepted"
    reply: str | None = "250 taken"
    tries: int = 1
    ago: float = 0.0
    skipped: str | None = None


def ledger_with(house: House, *copies: Copy, seconds: float = 60) -> tuple[Paper, int]:
    """An edition that has been going out for some seconds, with these copies."""
    paper, edition_id = newsroom.sending(house, *(one.address for one in copies))
    house.later(seconds=seconds)
    with house.app.app_context(), transaction() as session:
        for one in copies:
            reader = subscriber_at(addresses.normalise(one.address))
            assert reader is not None
            session.execute(
                sa.update(Delivery)
                .where(Delivery.edition_id == edition_id, Delivery.subscriber_id == reader.id)
                .values(
                    state=DeliveryState(one.state),
                    skip_reason=SkipReason(one.skipped) if one.skipped else None,
                    last_reply=one.reply if one.state not in ("pending", "sending", "skipped") else None,
                    attempts=one.tries,
                    updated_at=house.now - timedelta(seconds=one.ago),
                )
            )
    return paper, edition_id
