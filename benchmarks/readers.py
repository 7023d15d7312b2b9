"""Many readers at once, for a newsletter that is measured."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from newsletter.foundation import database
from newsletter.newsletters.models import Newsletter
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState


def fill(published: Newsletter, readers: int, now: datetime) -> None:
    """reader0@example.org and so on, all in the default slot, with hashes that are nobody's. Those of them who are
    there stay; the database makes the others by itself, for a million of them would fill this process."""
    newsletter_id, slot_id = published.id, published.default_slot.id
    with database.transaction() as session:
        there = session.scalar(sa.select(sa.func.count(Subscriber.id))) or 0
        if there < readers:
            last = session.scalar(sa.select(sa.func.coalesce(sa.func.max(Subscriber.id), 0)))
            _insert(session, Subscriber, _people(there, readers, now), sa.true())
            _insert(session, Subscription, _reads(newsletter_id, slot_id, now), Subscriber.id > last)
        for table in (Subscriber, Subscription):
            database.look_at(table)


def _insert(
    session: sa.orm.Session, table: type[database.Base], columns: dict[str, Any], which: sa.ColumnElement[bool]
) -> None:
    session.execute(sa.insert(table).from_select(list(columns), sa.select(*columns.values()).where(which)))


def _people(first: int, end: int, now: datetime) -> dict[str, Any]:
    begin = sa.select(sa.literal(first).label("n")).cte("numbers", recursive=True)
    numbers = begin.union_all(sa.select(begin.c.n + 1).where(begin.c.n < end - 1))
    digits = sa.cast(numbers.c.n, sa.String)
    address = sa.literal("reader") + digits + "@example.org"
    return {
        "address": address,
        "normalised": address,
        "address_hash": sa.func.substr(sa.literal("0" * 64) + digits, sa.func.length(digits) + 1),
        "created_at": sa.literal(now, Subscriber.created_at.type),
    }


def _reads(newsletter_id: int, slot_id: int, now: datetime) -> dict[str, Any]:
    at = sa.literal(now, Subscriber.created_at.type)
    return {
        "subscriber_id": Subscriber.id,
        "newsletter_id": sa.literal(newsletter_id),
        "slot_id": sa.literal(slot_id),
        "state": sa.literal(SubscriptionState.ACTIVE.value),
        "confirmed_at": at,
        "welcomed_at": at,
    }
