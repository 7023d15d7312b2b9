"""Readers to take along, a batch after the other: each as they stand in a newsletter now, with the proof of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa

from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import Prepared, db, texts, transaction
from newsletter.mail import suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import Newsletter, Slot
from newsletter.subscribers import segments
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscriber, Subscription, SubscriptionState
from newsletter.subscribers.segments import Condition

BATCH = 1000
NONE = "[]"
"""As the database keeps a list in which nobody stands; to take each apart would take longer than all the rest."""

COLUMNS = (
    "email",
    "newsletter",
    "state",
    "slot",
    "language",
    "consented_at",
    "consent_source",
    "consent_note",
    "joined_at",
    "left_at",
    "paused_until",
)
"""An import finds its columns among them by these names."""

AGREED = (ConsentKind.CONFIRMED, ConsentKind.RETURNED, ConsentKind.IMPORTED)

STATES = {
    SuppressionReason.COMPLAINT: "complained",
    SuppressionReason.BY_HAND: "suppressed",
    SuppressionReason.ERASURE: "unsubscribed",
    SuppressionReason.LEFT: "unsubscribed",
    SuppressionReason.HARD_BOUNCE: "bounced",
}
"""In words that other systems understand, and our own import; the weightiest first."""


@dataclass(frozen=True)
class Whom:
    """Readers of these newsletters who meet the conditions, by the very subscription that is told."""

    newsletter_ids: Collection[int]
    conditions: Sequence[Condition] = ()


def export(whom: Whom, now: datetime, by: Actor, **filters: object) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of rows by COLUMNS. That somebody took them along, and how many, is written down before the first."""
    with transaction() as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(_wanted(whom, now).subquery())) or 0
        told = {"conditions": segments.written(whom.conditions), **filters}
        audit.record(by, "subscribers.export", "subscribers:all", now, count=count, **told)
    return _batches(whom, now)


def _wanted(whom: Whom, now: datetime) -> sa.Select[Any]:
    of_person, of_subscription = segments.clauses(whom.conditions, now)
    return (
        sa.select(
            Subscription.id,
            Subscriber.address,
            Subscriber.address_hash,
            sa.cast(Subscriber.former_hashes, sa.Text).label("former"),
            Subscriber.language,
            Subscription.newsletter_id,
            Subscription.slot_id,
            Subscription.state,
            Subscription.confirmed_at,
            Subscription.unsubscribed_at,
            Subscription.paused_until,
        )
        .join_from(Subscription, Subscriber)
        .where(Subscription.newsletter_id.in_(whom.newsletter_ids), *of_person, *of_subscription)
    )


def _batches(whom: Whom, now: datetime) -> Iterator[list[tuple[Any, ...]]]:
    """By the last row's id, so that neither we nor the database hold them all, and whoever reads slowly keeps no
    transaction open."""
    after, query = 0, _wanted(whom, now).order_by(Subscription.id).limit(BATCH)
    named = dict(db.session.execute(sa.select(Newsletter.id, Newsletter.slug)).tuples().all())
    times = db.session.execute(sa.select(Slot.id, Slot.local_time, Slot.zone)).tuples()
    slots = {id: f"{at:%H:%M} {zone}" for id, at, zone in times}
    while found := db.session.execute(query.where(Subscription.id > after)).all():
        after = found[-1].id
        facts = _Facts(found)
        db.session.rollback()
        yield [_cells(row, facts, named, slots, now) for row in found]


class _Facts:
    """What is asked for a whole batch: who is suppressed, and when each agreed."""

    def __init__(self, rows: Sequence[sa.Row[Any]]) -> None:
        hashes = [row.address_hash for row in rows]
        self._former = {row.address_hash: json.loads(row.former) for row in rows if row.former != NONE}
        self._reasons = suppression.reasons_of(hashes)
        given = json.dumps([*hashes, *chain(*self._former.values())])
        agreed = _agreed(db.session.connection(), given=given)
        self._agreed = {(row.address_hash, row.newsletter_id): (row.at, row.page_url, row.note) for row in agreed}

    def never_mailed(self, hashed: str) -> str | None:
        reasons = self._reasons.get(hashed, ())
        return next((said for reason, said in STATES.items() if reason in reasons), None)

    def agreed(self, row: sa.Row[Any]) -> tuple[datetime, str, str]:
        """When, where and how they agreed last, perhaps by an address that they had before."""
        for hashed in (row.address_hash, *reversed(self._former.get(row.address_hash, ()))):
            if (found := self._agreed.get((hashed, row.newsletter_id))) is not None:
                return found
        return row.confirmed_at, "", ""


@Prepared
def _agreed(dialect: str) -> sa.Executable:
    """The latest last."""
    given = texts(dialect, "given")
    kinds = sa.or_(*(ConsentEvent.kind == kind for kind in AGREED))
    return (
        sa.select(
            ConsentEvent.address_hash,
            ConsentEvent.newsletter_id,
            ConsentEvent.at,
            ConsentEvent.page_url,
            ConsentEvent.note,
        )
        .join_from(given, ConsentEvent, sa.and_(ConsentEvent.address_hash == given.c.text, kinds))
        .order_by(ConsentEvent.at, ConsentEvent.id)
    )


def _cells(
    row: sa.Row[Any], facts: _Facts, named: dict[int, str], slots: dict[int, str], now: datetime
) -> tuple[Any, ...]:
    at, source, note = facts.agreed(row)
    reads = row.state is SubscriptionState.ACTIVE
    paused = row.paused_until if reads and row.paused_until and row.paused_until > now.date() else None
    state = row.state.value if not reads else facts.never_mailed(row.address_hash) or ("paused" if paused else "active")
    return (
        row.address,
        named[row.newsletter_id],
        state,
        slots[row.slot_id],
        row.language,
        at.isoformat(),
        source,
        note,
        row.confirmed_at.isoformat(),
        row.unsubscribed_at.isoformat() if row.unsubscribed_at and not reads else None,
        paused.isoformat() if paused else None,
    )
