"""What comes next in each slot, and what went out last: questions for the newsroom's first page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from newsletter.editions.models import Edition, EditionKind, edition_of
from newsletter.foundation.database import db
from newsletter.newsletters import calendar
from newsletter.newsletters.calendar import Schedule
from newsletter.newsletters.models import Newsletter, Slot


@dataclass(frozen=True)
class Coming:
    """The next daily edition of a slot; `edition` is None before its cut-off."""

    newsletter: Newsletter
    slot: Slot
    schedule: Schedule
    edition: Edition | None


def coming(of: Sequence[Newsletter], now: datetime) -> list[Coming]:
    """Of each slot, the soonest first. A slot without a day to publish on has none."""
    found = [one for newsletter in of for slot in newsletter.slots if (one := _next(newsletter, slot, now))]
    return sorted(found, key=lambda one: (one.schedule.slot_at, one.slot.id))


def _next(newsletter: Newsletter, slot: Slot, now: datetime) -> Coming | None:
    """The first whose slot lies ahead, whether its draft is made or not."""
    of_slot = calendar.next_schedule(now, slot.local_time, slot.zone, 0, newsletter.days, newsletter.skip_dates)
    due = of_slot and calendar.schedule(of_slot.local_date, slot.local_time, slot.zone, newsletter.cutoff_minutes)
    return Coming(newsletter, slot, due, edition_of(slot.id, due.local_date)) if due else None


def last_two(newsletter_ids: Collection[int]) -> list[tuple[Edition, Edition | None]]:
    """Of each slot the last daily edition whose audience was fixed, with the one before it; the latest first."""
    place = sa.func.row_number().over(partition_by=Edition.slot_id, order_by=Edition.slot_at.desc())
    ranked = (
        sa.select(Edition.id, place.label("place"))
        .where(
            Edition.newsletter_id.in_(newsletter_ids),
            Edition.kind == EditionKind.DAILY,
            Edition.frozen_at.is_not(None),
        )
        .subquery()
    )
    query = sa.select(Edition).join(ranked, ranked.c.id == Edition.id).where(ranked.c.place <= 2)
    found: dict[int, list[Edition]] = {}
    for one in db.session.scalars(query.order_by(Edition.slot_at.desc(), Edition.id)):
        found.setdefault(one.slot_id, []).append(one)
    return [(some[0], some[1] if len(some) > 1 else None) for some in found.values()]
