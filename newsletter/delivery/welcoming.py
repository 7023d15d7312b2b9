"""A confirmed reader gets the latest edition at once: one row in the ledger, so never twice.

Whoever confirms has `welcomed_at IS NULL`, and the worker's next step looks for them. When that step is lost, the one
after it finds them again.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from newsletter.delivery import ledger, shards
from newsletter.delivery.models import WELCOME, Delivery, DeliveryKind, DeliveryState
from newsletter.editions.models import Edition, EditionState, editions_out
from newsletter.editions.withdrawing import stories_in
from newsletter.foundation.database import db, locked, transaction
from newsletter.newsletters.models import Slot, lock_slot
from newsletter.stories.models import withdrawn_among
from newsletter.subscribers.models import Subscription, SubscriptionState

NEWS_FOR = timedelta(hours=48)
"""An older edition is no news, and the next one comes soon enough."""

COPY_LIFE = timedelta(hours=24)


def welcome_due(now: datetime) -> int:
    """Give everybody who confirmed the latest edition of their slot, and say how many got one."""
    due = sa.select(Subscription.id).where(
        Subscription.welcomed_at.is_(None), Subscription.state == SubscriptionState.ACTIVE
    )
    waiting = db.session.scalars(due.order_by(Subscription.id).limit(500)).all()
    return sum(_welcome(subscription_id, now) for subscription_id in waiting)


def _welcome(subscription_id: int, now: datetime) -> bool:
    with transaction() as session:
        confirmed = locked(Subscription, subscription_id)
        if confirmed is None or confirmed.welcomed_at is not None or confirmed.state is not SubscriptionState.ACTIVE:
            return False
        lock_slot(confirmed.slot_id, shared=True)  # whoever freezes, or takes down, has done so or waits for us
        confirmed.welcomed_at = now
        newest = latest(confirmed.slot_id, now)
        if newest is None or _has(newest, confirmed.subscriber_id):
            return False
        try:
            with session.begin_nested():
                session.add(_copy(newest, confirmed, now))
                session.flush()
                shards.is_due(newest.id, WELCOME, now, session.connection())
        except IntegrityError:  # somebody gave them theirs just now; the database has the last word (rule 8)
            return False
        return True


def latest(slot_id: int, now: datetime) -> Edition | None:
    """The last edition of a slot that went out, or is going, as long as it is news; what somebody who confirms now gets
    at once. Where it was corrected it is the correction; a special edition was for those who were here."""
    slot = db.session.get_one(Slot, slot_id)
    last = next(iter(editions_out(slot.newsletter_id, [slot_id], limit=1)), None)
    return last if last is not None and _is_news(last, now) else None


def _is_news(last: Edition, now: datetime) -> bool:
    """Whether it is fresh, and right: nobody stopped it, and nothing of it was taken down."""
    if last.held_at is not None or last.paused_at is not None or last.reason is not None:
        return False
    if last.frozen_at is None or last.frozen_at <= now - NEWS_FOR:
        return False
    return last.sealed is not None and not withdrawn_among(stories_in(last.sealed))


def _has(newest: Edition, subscriber_id: int) -> bool:
    """Whether the person has a copy of it, or of another slot's edition of that day."""
    return bool(
        db.session.scalar(
            sa.select(
                sa.exists().where(
                    Delivery.subscriber_id == subscriber_id,
                    Delivery.newsletter_id == newest.newsletter_id,
                    Delivery.local_date == newest.local_date,
                )
            )
        )
    )


def _copy(newest: Edition, confirmed: Subscription, now: datetime) -> Delivery:
    return Delivery(
        edition_id=newest.id,
        shard=WELCOME,
        subscriber_id=confirmed.subscriber_id,
        subscription_id=confirmed.id,
        newsletter_id=newest.newsletter_id,
        local_date=newest.local_date,
        kind=DeliveryKind.WELCOME,
        state=DeliveryState.PENDING,
        next_attempt_at=now,
        finish_by=now + COPY_LIFE,
        updated_at=now,
    )


def stop_copies_with(stories: AbstractSet[int], now: datetime) -> None:
    """Send no welcome copy any more of an edition that is sent and shows one of the stories, in the caller's
    transaction. The copies of one that is still going out are of its new revision."""
    fresh = sa.select(Edition).where(Edition.state == EditionState.SENT, Edition.frozen_at > now - NEWS_FOR - COPY_LIFE)
    for found in db.session.scalars(fresh.order_by(Edition.slot_id, Edition.id)).all():
        if found.sealed is not None and not stories.isdisjoint(stories_in(found.sealed)):
            lock_slot(found.slot_id)
            ledger.cancel(found.id, now)
