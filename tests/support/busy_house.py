"""A house in which everything that its first pages can tell is there to be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, time, timedelta

import sqlalchemy as sa

from newsletter.delivery import bounces
from newsletter.delivery.bounce_models import BounceTally
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, SkipReason
from newsletter.delivery.repute import Repute
from newsletter.editions import publishing
from newsletter.editions.models import Edition
from newsletter.foundation import alerts, audit, processes
from newsletter.foundation.audit import COMMAND, SYSTEM
from newsletter.foundation.database import db, transaction
from newsletter.foundation.processes import Kind
from newsletter.mail import suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import Slot
from newsletter.stories.models import Source, SourceState
from newsletter.subscribers import blocking, suppressing
from newsletter.subscribers.growing import SubscriberDay
from newsletter.subscribers.models import Subscription
from tests.conftest import House
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.past import went_out
from tests.support.returning import mail

HOSTILE = "<script>alert(1)</script>\"'{{7*7}}"
LONG = "550 5.7.1 " + "x" * 180


def busy(house: House) -> Paper:
    """Two newsletters; the first is given back, and its edition of today waits for approval."""
    paper = newsroom.found(house, approval="manual")
    courier = newsroom.found(house, "ridge-courier", at=time(17, 30))
    sent_before(house, paper)
    paper.slot("Asia/Tokyo", time(6, 0))
    trouble(house, paper)
    days(house, paper.id, 120_000, 90)
    days(house, courier.id, 0, 3)
    lists(house)
    alive(house)
    return paper


def sent_before(house: House, paper: Paper) -> None:
    """Two editions with copies in each state that lasts, and today's draft."""
    paper.readers(*(f"r{n}@example.org" for n in range(12)))
    for ago in (2, 1):
        id = went_out(paper, house.now.date() - timedelta(days=ago))
        with house.app.app_context(), transaction() as session:
            _ledger(session.get_one(Edition, id), house.now, ("refused", "uncertain", "skipped")[: 4 - ago])
    paper.tells(*newsroom.SUBJECTS)
    paper.draft()


def _ledger(sent: Edition, now: datetime, fates: Sequence[str]) -> None:
    """A copy for each reader: the first ones have these fates, the others are accepted."""
    readers = db.session.scalars(sa.select(Subscription).order_by(Subscription.id)).all()
    sent.audience = len(readers)
    for n, one in enumerate(readers):
        state = DeliveryState(fates[n] if n < len(fates) else "accepted")
        db.session.add(
            Delivery(
                edition_id=sent.id,
                shard=1,
                subscriber_id=one.subscriber_id,
                subscription_id=one.id,
                newsletter_id=one.newsletter_id,
                local_date=sent.local_date,
                kind=DeliveryKind.DAILY,
                state=state,
                skip_reason=SkipReason.LEFT if state is DeliveryState.SKIPPED else None,
                next_attempt_at=now,
                updated_at=now,
            )
        )


def trouble(house: House, paper: Paper) -> None:
    """One of each kind that wants a hand."""
    with house.app.app_context(), transaction() as session:
        slot = db.session.get_one(Slot, paper.slot_id)
        held = publishing.plan(
            paper.id, slot.id, publishing.schedule_of(slot, house.now.date() - timedelta(days=3)), house.now
        )
        publishing.put_on_hold(held, f"it has only 1 story {HOSTILE}", house.now)
        alerts.raise_(
            "relay-failing", f"The relay {HOSTILE} does not answer.", "Mails wait. Check the relay.", house.now
        )
        sent = session.scalars(
            sa.select(Edition).where(Edition.frozen_at.is_not(None)).order_by(Edition.slot_at)
        ).first()
        assert sent is not None
        session.add(BounceTally(edition_id=sent.id, audience=12, hard=9, begun_at=house.now, stopped_at=house.now))
        failing = session.scalars(sa.select(Source).order_by(Source.id)).all()
        for one in failing:
            one.state, one.failing_since, one.error = SourceState.FAILING, house.now, LONG
        failing[0].outlet = f"Harbor Gazette {HOSTILE}"
    with house.app.app_context():
        bounces.receive(mail("The roof leaks.", sender="postmaster@example.net"), house.now)


def days(house: House, newsletter_id: int, active: int, count: int) -> None:
    with house.app.app_context(), transaction() as session:
        for ago in reversed(range(count)):
            joined, left = round(400 + 300 * math.sin(ago / 6)), 120 + 37 * (ago % 5)
            active += joined - left
            session.add(
                SubscriberDay(
                    newsletter_id=newsletter_id,
                    day=house.now.date() - timedelta(days=ago),
                    active=active,
                    joined=joined,
                    left=left,
                    counted_at=house.now,
                )
            )
        session.add(
            Repute(
                newsletter_id=newsletter_id,
                as_of=house.now,
                mails=40_000,
                hard=1000,
                complaints=150,
                complaints_ever=True,
            )
        )


def lists(house: House) -> None:
    now, keys = house.now, house.keys
    with house.app.app_context(), transaction():
        for n, reason in enumerate(SuppressionReason):
            suppression.suppress(
                keys.address_hash(f"s{n}@example.org"), reason, now, f"{LONG} {HOSTILE}" if n == 0 else ""
            )
        suppressing.suppress("typo@example.org", f"mistyped {HOSTILE}", now, keys, COMMAND)
        blocking.block("spam.example", f"a flood {HOSTILE}", now, COMMAND)
        blocking.block(f"a{'b' * 60}@{'c' * 60}.example", "", now, COMMAND)
        audit.record(COMMAND, "db.backup", "installation:1", now, file="newsletter-2026-03-02.db", octets=123_456_789)
        audit.record(SYSTEM, "x", "y:1", now)


def alive(house: House, lost: timedelta = timedelta(hours=3)) -> None:
    """All but the scheduler, and a worker that was lost."""
    with house.app.app_context():
        for name, kind, seen in (
            ("a", Kind.WEB, house.now),
            ("b", Kind.WORKER, house.now),
            ("c", Kind.WORKER, house.now - lost),
        ):
            processes.beat(name, kind, since(house), seen)
        processes.note_run("housekeeping", 12, house.now)


def since(house: House) -> datetime:
    return house.now - timedelta(days=2)
