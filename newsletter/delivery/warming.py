"""A new sending domain begins with few mails: how many copies may go out in its name on a day, and who comes first."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from newsletter.delivery.bounce_models import Bounce
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.editions.models import Edition, EditionKind
from newsletter.foundation.config import WarmUpConfig, the_config
from newsletter.foundation.database import db
from newsletter.mail.answers import domain_of
from newsletter.mail.verdicts import Kind
from newsletter.newsletters.models import newsletters
from newsletter.subscribers.consent import READER
from newsletter.subscribers.models import ConsentEvent, ConsentKind, Subscriber, Subscription

DEEDS = (ConsentKind.CONFIRMED, ConsentKind.RETURNED, ConsentKind.CHANGED)


def left_today(found: Edition) -> int | None:
    """How many more copies may go out on an edition's date in the name of its newsletter's domain; None when the plan
    does not limit it. Corrections and welcome copies are counted and never limited."""
    plan = the_config().mail.warm_up
    if plan is None or found.corrects_id is not None or domain_of(found.newsletter.from_address) != plan.domain:
        return None
    limit = plan.limit(found.local_date)
    return None if limit is None else max(0, limit - _copies(plan, found))


def _copies(plan: WarmUpConfig, found: Edition) -> int:
    """What went out, or is to go out, on an edition's date in the name of the plan's domain."""
    ours = [one.id for one in newsletters() if domain_of(one.from_address) == plan.domain]
    editions = sa.select(Edition.id).where(Edition.newsletter_id.in_(ours), Edition.local_date == found.local_date)
    copies = sa.select(sa.func.count()).where(
        Delivery.edition_id.in_(editions), Delivery.state != DeliveryState.SKIPPED
    )
    return db.session.scalar(copies) or 0


def best_first(found: Edition) -> list[sa.SQLColumnExpression[Any]]:
    """The order in which readers get one of the copies: docs/delivery.md says why."""
    bounced = sa.exists().where(
        Bounce.subscriber_id == Subscription.subscriber_id, Bounce.kind.in_((Kind.HARD, Kind.SOFT))
    )
    last_deed = (
        sa.select(sa.func.max(ConsentEvent.at))
        .where(
            ConsentEvent.address_hash == Subscriber.address_hash,
            ConsentEvent.newsletter_id == found.newsletter_id,
            ConsentEvent.kind.in_(DEEDS),
            ConsentEvent.by == READER,
        )
        .scalar_subquery()
    )
    return [
        sa.case((bounced, 1), else_=0),
        sa.case((_had_the_last(found), 0), else_=1),
        last_deed.desc().nulls_last(),
        Subscription.confirmed_at.desc(),
        Subscription.subscriber_id,
    ]


def _had_the_last(found: Edition) -> sa.ColumnElement[bool]:
    """Who is in stays in, so the readers of a day are those of the day before and some more."""
    last = db.session.scalar(
        sa.select(Edition.id)
        .where(
            Edition.slot_id == found.slot_id,
            Edition.kind == EditionKind.DAILY,
            Edition.frozen_at.is_not(None),
            Edition.local_date < found.local_date,
        )
        .order_by(Edition.local_date.desc())
        .limit(1)
    )
    if last is None:
        return sa.false()
    return sa.exists().where(
        Delivery.edition_id == last,
        Delivery.subscriber_id == Subscription.subscriber_id,
        Delivery.state != DeliveryState.SKIPPED,
    )
