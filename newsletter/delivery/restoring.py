"""Saying go after everything was halted (DESIGN.md, rule 7): this database is believed, and nothing goes out by itself
that may have gone out already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery import ledger
from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState
from newsletter.editions.publishing import plan, put_on_hold, schedule_of
from newsletter.foundation import audit, safety
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.newsletters.models import Slot

REASON = "its time passed while everything was halted, and it may have gone out already"
TOO_SOON = "it was made while the clock was wrong"


@dataclass(frozen=True)
class Accepted:
    """Why everything was halted, which editions are held now and why, and how many welcome copies are uncertain."""

    found: str
    held: tuple[str, ...]
    uncertain: int


def accept(now: datetime, by: Actor) -> Accepted | None:
    """Let this database send again; None when nothing spoke against it, and then nothing is changed.

    Editions whose slot has passed are held, those that are not even drafted included: whether they went out from where
    this database comes from, only a person can find out. Raises GenerationUnwritable.
    """
    if safety.found_wrong(now) is None:
        return None
    publishing.draft_due(now)  # so that who looks at what is held finds something to look at
    with transaction():
        found = safety.found_wrong(now)
        if found is None:
            return None
        ledger.settle(now)
        _plan_missed(now)
        passed = _passed(now)
        held = tuple(_hold(one, now) for one in passed)
        uncertain = ledger.distrust_copies(now)
        generation = safety.go_on(now)
        audit.record(
            by,
            "service.accept-restore",
            "installation:1",
            now,
            found=found,
            generation=generation,
            held=[one.id for one in passed],
            uncertain=uncertain,
        )
    return Accepted(found, held, uncertain)


def _plan_missed(now: datetime) -> None:
    """What could not be drafted is held, too, instead of being drafted later and sent."""
    for slot_id, due in publishing.missing(now):
        if due.slot_at <= now:
            slot = db.session.get_one(Slot, slot_id)
            plan(slot.newsletter_id, slot_id, schedule_of(slot, due.local_date), now)


def _passed(now: datetime) -> Sequence[Edition]:
    """Editions that would go out, or go on, by themselves; and drafts of a clock that was ahead."""
    return db.session.scalars(
        sa.select(Edition)
        .where(
            Edition.state.in_((*publishing.OPEN, EditionState.SENDING)),
            Edition.held_at.is_(None),
            sa.or_(Edition.slot_at <= now, Edition.send_at <= now, Edition.created_at > now),
        )
        .order_by(Edition.slot_at, Edition.id)
    ).all()


def _hold(one: Edition, now: datetime) -> str:
    """What is held, and why."""
    reason = TOO_SOON if one.slot_at > now and one.created_at > now else REASON
    put_on_hold(one, reason, now)
    return f"{one.newsletter.name} of {one.local_date} for {one.slot.label}: {reason}"
