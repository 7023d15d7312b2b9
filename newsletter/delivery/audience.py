"""Who gets an edition: the active readers of its slot, or those who may have received what it corrects; without those
who are suppressed or make a pause."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.delivery import lanes, shards
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, Doubt, SkipReason
from newsletter.editions.models import Edition, Revision
from newsletter.foundation.database import db
from newsletter.mail.suppression import Suppression
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState


def audience_now(slot_id: int, local_date: date) -> int:
    """How many readers would get an edition of the slot if it were sent now."""
    query = (
        sa.select(sa.func.count())
        .select_from(Subscription)
        .join(Subscriber)
        .where(*in_slot(slot_id), ~suppressed(), ~paused(local_date))
    )
    return db.session.scalar(query) or 0


def in_slot(slot_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Subscription.slot_id == slot_id, Subscription.state == SubscriptionState.ACTIVE


def suppressed() -> sa.ColumnElement[bool]:
    return sa.exists().where(Suppression.address_hash == Subscriber.address_hash)


def paused(local_date: date) -> sa.ColumnElement[bool]:
    return sa.and_(Subscription.paused_until.is_not(None), Subscription.paused_until > local_date)


MAY_HAVE_IT = sa.or_(
    Delivery.state.in_((DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN, DeliveryState.SENDING)),
    Delivery.decision == Doubt.RESEND,
)
"""Such rows may have reached their reader. Nobody knows yet of one that is on its way, and nobody knew of one that was
decided to go again, whatever has come of it since."""


def expected(found: Edition) -> int:
    """How many readers would get the edition if it were sent now."""
    if found.corrects_id is None:
        return audience_now(found.slot_id, found.local_date)
    skipped = _skipped(found.local_date)
    query = sa.select(sa.func.count()).select_from(Subscription).join(Subscriber)
    return db.session.scalar(_received(query, found.corrects_id).where(skipped.is_(None))) or 0


def receivers(edition_id: int) -> dict[int, int]:
    """How many readers have each revision of an edition, or may have it, by the revision's id."""
    rows = db.session.execute(
        sa.select(Delivery.revision_id, sa.func.count())
        .where(Delivery.edition_id == edition_id, MAY_HAVE_IT)
        .group_by(Delivery.revision_id)
    )
    return {id: count for id, count in rows if id is not None}


def frozen(found: Edition, revision: Revision, now: datetime) -> sa.Insert:
    """The one statement that writes a row for each of them; who is not to be mailed is in it as skipped."""
    skipped = _skipped(found.local_date)
    pending = sa.literal(DeliveryState.PENDING.value)
    columns: dict[str, sa.ColumnElement[object]] = {
        "edition_id": sa.literal(found.id),
        "shard": lanes.shard_numbers(shards.SIZE),  # type: ignore[dict-item]
        "subscriber_id": Subscription.subscriber_id,  # type: ignore[dict-item]
        "subscription_id": Subscription.id,  # type: ignore[dict-item]
        "newsletter_id": sa.literal(found.newsletter_id),
        "local_date": sa.literal(found.local_date, sa.Date),
        "kind": sa.literal(_kind(found).value),
        "state": sa.case((skipped.is_(None), pending), else_=sa.literal(DeliveryState.SKIPPED.value)),
        "skip_reason": skipped,  # type: ignore[dict-item]
        "revision_id": sa.literal(revision.id),
        "attempts": sa.literal(0),
        "next_attempt_at": sa.literal(now, Delivery.next_attempt_at.type),
        "updated_at": sa.literal(now, Delivery.updated_at.type),
    }
    readers = sa.select(*columns.values()).join_from(Subscription, Subscriber)
    wrong = found.corrects_id
    whom = readers.where(*in_slot(found.slot_id)) if wrong is None else _received(readers, wrong)
    insert = sqlite.insert if db.engine.dialect.name == "sqlite" else postgresql.insert
    # A reader who moved slots today has had today's edition already: one daily edition a date (rule 5).
    return insert(Delivery).from_select(list(columns), whom, include_defaults=False).on_conflict_do_nothing()


def _kind(found: Edition) -> DeliveryKind:
    return DeliveryKind(found.kind) if found.corrects_id is None else DeliveryKind.CORRECTION


def _skipped(local_date: date) -> sa.ColumnElement[str | None]:
    """Why a reader gets nothing, or NULL."""
    return sa.case(
        (suppressed(), sa.literal(SkipReason.SUPPRESSED.value)),
        (Subscription.state != SubscriptionState.ACTIVE, sa.literal(SkipReason.LEFT.value)),
        (paused(local_date), sa.literal(SkipReason.PAUSED.value)),
    )


def _received(query: sa.Select[Any], revision_id: int) -> sa.Select[Any]:
    """Narrowed to the subscriptions to which a revision went, whichever slot they are in by now."""
    edition_id = sa.select(Revision.edition_id).where(Revision.id == revision_id).scalar_subquery()  # has an index
    return query.join(Delivery, Delivery.subscription_id == Subscription.id).where(
        Delivery.edition_id == edition_id, Delivery.revision_id == revision_id, MAY_HAVE_IT
    )
