"""Closing a slot: its readers go into another one first, and its past editions stay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.newsletters.models import Slot, lock_slot, newsletter, open_slot
from newsletter.newsletters.settings import opened
from newsletter.newsletters.slots import SlotUnknown, slot_of
from newsletter.subscribers.models import (
    ConsentEvent,
    ConsentKind,
    SignUpRequest,
    SignUpWish,
    Subscriber,
    Subscription,
    SubscriptionState,
)

AT_ONCE = 2000
"""So many are moved in one transaction, so that nobody else waits long."""

UNDER_WAY = (EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED, EditionState.SENDING)


class HasReaders(NewsletterError):
    """Readers are in this slot ({readers}), so say where they go. Nothing was changed."""


def readers_in(slots: Iterable[Slot]) -> dict[int, int]:
    """How many active readers each of the slots has, by its id."""
    counted = sa.select(Subscription.slot_id, sa.func.count()).where(
        Subscription.slot_id.in_([slot.id for slot in slots]), Subscription.state == SubscriptionState.ACTIVE
    )
    return {row[0]: row[1] for row in db.session.execute(counted.group_by(Subscription.slot_id))}


def close(slug: str, slot_id: int, to: int | None, now: datetime, by: Actor) -> int:
    """Close a slot, and say how many readers went into the slot `to`; into the default one where nobody was in it who
    reads, for those who left may come back.

    Readers are moved some at a time before it is closed: whenever this is broken off, each is in a slot that is open,
    and it can be asked for again. Raises SlotUnknown, HasReaders, Refused.
    """
    about = newsletter(slug)
    closing = slot_of(about, slot_id)
    readers, others = readers_in([closing]).get(slot_id, 0), [one for one in about.slots if one.id != slot_id]
    if closing.is_default or not others:
        raise Refused(why="this is the default slot. Make another one the default first.")
    if to is None and readers:
        raise HasReaders(readers=f"{readers:,}")
    target = slot_of(about, about.default_slot.id if to is None else to).id
    if target == slot_id:
        raise SlotUnknown
    _make_sure_that_it_rests(slot_id)
    moved = 0
    while (some := _move_some(slot_id, target, now, by)) is not None:
        moved += some
    with transaction() as session:
        held = opened(slug, None, ())
        for id in sorted((slot_id, target)):
            lock_slot(id)
        session.expire(held)
        last = slot_of(held, slot_id)
        slot_of(held, target)
        if last.is_default:
            raise Refused(why="it was made the default slot just now.")
        _make_sure_that_it_rests(slot_id)
        while (some := _move(slot_id, target, now, by)) is not None:
            moved += some
        session.execute(sa.update(SignUpWish).where(SignUpWish.slot_id == slot_id, _waits()).values(slot_id=target))
        last.closed_at = now
        label, where = last.label, db.session.get_one(Slot, target).label
        audit.record(by, "slot.close", f"slot:{slot_id}", now, newsletter=slug, slot=label, moved=moved, to=where)
        session.flush()
        session.expire(held)
    return moved


def _waits() -> sa.ColumnElement[bool]:
    """Whether a wish is of a request that nobody has confirmed."""
    waiting = sa.select(SignUpRequest.id).where(SignUpRequest.confirmed_at.is_(None))
    return SignUpWish.request_id.in_(waiting)


def _make_sure_that_it_rests(slot_id: int) -> None:
    """Raises Refused."""
    busy = db.session.scalars(
        sa.select(Edition).where(Edition.slot_id == slot_id, Edition.state.in_(UNDER_WAY)).limit(1)
    ).first()
    if busy is not None:
        raise Refused(
            why=f"its edition of {busy.local_date} is {busy.state}. Wait until it has gone out, or cancel it first."
        )


def _move_some(slot_id: int, to: int, now: datetime, by: Actor) -> int | None:
    with transaction():
        if open_slot(to) != to:
            raise SlotUnknown
        return _move(slot_id, to, now, by)


def _move(slot_id: int, to: int, now: datetime, by: Actor) -> int | None:
    """Move some subscriptions, and note it in the consent story of who reads; in the caller's transaction. Says how
    many of them read, and None when nobody was left."""
    here = sa.select(Subscription.id).where(Subscription.slot_id == slot_id).order_by(Subscription.id).limit(AT_ONCE)
    ids = db.session.scalars(here).all()
    if not ids:
        return None
    noted = sa.select(
        Subscriber.address_hash,
        Subscription.newsletter_id,
        sa.literal(ConsentKind.CHANGED.value),
        sa.literal(now, type_=ConsentEvent.at.type),
        sa.literal(by.name[:340]),
        *(sa.literal("") for _ in range(2)),
        sa.literal("another slot, as theirs was closed"),
    ).join(Subscriber, Subscriber.id == Subscription.subscriber_id)
    columns = ("address_hash", "newsletter_id", "kind", "at", "by", "user_agent", "page_url", "note")
    between = (Subscription.id.in_(ids), Subscription.slot_id == slot_id)
    reads = Subscription.state == SubscriptionState.ACTIVE
    db.session.execute(sa.insert(ConsentEvent).from_select(columns, noted.where(*between, reads)))
    active = db.session.scalar(sa.select(sa.func.count()).select_from(Subscription).where(*between, reads)) or 0
    db.session.execute(
        sa.update(Subscription).where(*between).values(slot_id=to), execution_options={"synchronize_session": False}
    )
    db.session.expire_all()
    return active
