"""Who gets an edition: the active readers of its slot, or those who may have received what it corrects; without those
who are suppressed or make a pause."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from newsletter.delivery import lanes, shards, warming
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, Doubt, SkipReason
from newsletter.editions.models import Edition, EditionKind, Revision
from newsletter.foundation.database import db
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState
from newsletter.subscribers.segments import is_suppressed


def audience_now(slot_id: int, local_date: date) -> int:
    """How many readers would get an edition of the slot if it were sent now."""
    query = (
        sa.select(sa.func.count())
        .select_from(Subscription)
        .join(Subscriber)
        .where(*in_slot(slot_id), ~is_suppressed(), ~paused(local_date))
    )
    return db.session.scalar(query) or 0


def in_slot(slot_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Subscription.slot_id == slot_id, Subscription.state == SubscriptionState.ACTIVE


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
    left = warming.left_today(found)
    return _whom(found) if left is None else min(_whom(found), left)


def left_out(found: Edition) -> int:
    """How many would get nothing because a new sending domain begins with few mails."""
    left = warming.left_today(found)
    return 0 if left is None else max(0, _whom(found) - left)


def _whom(found: Edition) -> int:
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
    """The one statement that writes a row for each of them; who is not to be mailed is in it as skipped.

    Nobody else may freeze an edition of the newsletter meanwhile. That a reader has one row for an edition, and one
    daily edition a date, is seen to by whom it chooses: to have PostgreSQL look for a conflict at each row takes longer
    than all else. Its unique indexes still have the last word.
    """
    left = warming.left_today(found)
    readers = _readers(found, left).subquery("readers")
    skipped = _skipped_of(readers, left)
    pending = sa.literal(DeliveryState.PENDING.value)
    columns: dict[str, sa.ColumnElement[Any]] = {
        "edition_id": sa.literal(found.id),
        "shard": readers.c.shard,
        "subscriber_id": readers.c.subscriber_id,
        "subscription_id": readers.c.subscription_id,
        "newsletter_id": sa.literal(found.newsletter_id),
        "local_date": sa.literal(found.local_date, sa.Date),
        "kind": sa.literal(_kind(found).value),
        "state": sa.case((skipped.is_(None), pending), else_=sa.literal(DeliveryState.SKIPPED.value)),
        "skip_reason": skipped,
        "revision_id": sa.literal(revision.id),
        "attempts": sa.literal(0),
        "next_attempt_at": sa.literal(now, Delivery.next_attempt_at.type),
        "updated_at": sa.literal(now, Delivery.updated_at.type),
    }
    return sa.insert(Delivery).from_select(list(columns), sa.select(*columns.values()), include_defaults=False)


def _readers(found: Edition, left: int | None) -> sa.Select[Any]:
    """Whom it is for, each with a shard and with what keeps them from being mailed. Where only so many are `left` to be
    mailed, each has a place among those who may, and those who will be fill the first shards, so that few are made."""
    skipped = _skipped(found.local_date)
    order = [] if left is None else [sa.case((skipped.is_(None), 0), else_=1), *warming.best_first(found)]
    readers = sa.select(
        lanes.shard_numbers(shards.SIZE, order).label("shard"),
        Subscription.subscriber_id,
        Subscription.id.label("subscription_id"),
        skipped.label("skipped"),
    ).join_from(Subscription, Subscriber)
    if order:
        readers = readers.add_columns(sa.func.row_number().over(order_by=order).label("place"))
    if found.corrects_id is not None:
        return _received(readers, found.corrects_id)
    return readers.where(*in_slot(found.slot_id), *_have_not_had(found))


def _skipped_of(readers: sa.Subquery, left: int | None) -> sa.ColumnElement[str | None]:
    skipped: sa.ColumnElement[str | None] = readers.c.skipped
    if left is None:
        return skipped
    return sa.case((skipped.is_not(None), skipped), (readers.c.place > left, sa.literal(SkipReason.WARM_UP.value)))


def _have_not_had(found: Edition) -> list[sa.ColumnElement[bool]]:
    """A reader who moved slots today has had today's edition already: one daily edition a date (rule 5)."""
    others = sa.exists().where(
        Edition.newsletter_id == found.newsletter_id,
        Edition.local_date == found.local_date,
        Edition.kind == EditionKind.DAILY,
        Edition.frozen_at.is_not(None),
    )
    if found.kind is not EditionKind.DAILY or not db.session.scalar(sa.select(others)):
        return []
    has = sa.select(1).where(
        Delivery.local_date == found.local_date,
        Delivery.newsletter_id == found.newsletter_id,
        Delivery.kind == sa.literal_column(f"'{DeliveryKind.DAILY.value}'"),  # as the index has it
        Delivery.subscriber_id == Subscription.subscriber_id,
    )
    return [~sa.exists(has.offset(0))]  # with it PostgreSQL asks the index for each, however few rows it expects there


def _kind(found: Edition) -> DeliveryKind:
    return DeliveryKind(found.kind) if found.corrects_id is None else DeliveryKind.CORRECTION


def _skipped(local_date: date) -> sa.ColumnElement[str | None]:
    """Why a reader gets nothing, or NULL."""
    return sa.case(
        (is_suppressed(), sa.literal(SkipReason.SUPPRESSED.value)),
        (Subscription.state != SubscriptionState.ACTIVE, sa.literal(SkipReason.LEFT.value)),
        (paused(local_date), sa.literal(SkipReason.PAUSED.value)),
    )


def _received(query: sa.Select[Any], revision_id: int) -> sa.Select[Any]:
    """Narrowed to the subscriptions to which a revision went, whichever slot they are in by now."""
    edition_id = sa.select(Revision.edition_id).where(Revision.id == revision_id).scalar_subquery()  # has an index
    return query.join(Delivery, Delivery.subscription_id == Subscription.id).where(
        Delivery.edition_id == edition_id, Delivery.revision_id == revision_id, MAY_HAVE_IT
    )
