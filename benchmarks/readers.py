"""Many readers at once, for a newsletter that is measured."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.foundation import database
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState


def fill(published: Newsletter, readers: int, now: datetime) -> None:
    """reader0@example.org and so on, all in the default slot, with hashes that are nobody's."""
    newsletter_id, slot_id = published.id, published.default_slot.id
    with database.transaction() as session:
        people = [
            {"address": a, "normalised": a, "address_hash": f"{n:064x}", "created_at": now}
            for n in range(readers)
            for a in [f"reader{n}@example.org"]
        ]
        session.execute(sa.insert(Subscriber), people)
        rows = [
            {
                "subscriber_id": id,
                "newsletter_id": newsletter_id,
                "slot_id": slot_id,
                "state": SubscriptionState.ACTIVE,
                "confirmed_at": now,
                "welcomed_at": now,
            }
            for id in session.scalars(sa.select(Subscriber.id))
        ]
        session.execute(sa.insert(Subscription), rows)
