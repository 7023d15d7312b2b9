"""Corrections: an edition of its own, to those who received a revision that was wrong, and to nobody else."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from newsletter.delivery import ledger, shards
from newsletter.delivery.audience import receivers
from newsletter.editions import adding, withdrawing
from newsletter.editions.illustrating import illustrate
from newsletter.editions.models import (
    Edition,
    EditionKind,
    EditionState,
    Revision,
    edition_to_decide,
)
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import withdrawn_among
from newsletter.stories.pictures import the_pictures

UNDER_WAY = (EditionState.PLANNED, EditionState.DRAFTED, EditionState.APPROVED, EditionState.SENDING)


class StillGoingOut(Refused):
    """What this corrects is still going out, and whoever gets it later would get no correction. Pull the story out of
    the edition of {local_date}, or cancel the rest of it; or wait until it has gone out."""


def prepare(edition_id: int, revision_id: int | None, now: datetime, by: Actor) -> Edition:
    """Draft a correction of a revision, by default of the last one that anybody received: the same, to be put right by
    hand. It goes out when a person approves and sends it, to those who may have received that revision.

    What was withdrawn since is not in it. Raises EditionUnknown, Refused, also while another one is under way.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        wrong = _wrong(found, revision_id)
        if (other := _under_way(wrong)) is not None:
            raise Refused(why=f"correction {other.number} of the same is {other.state} already.")
        special = found.kind is EditionKind.SPECIAL
        kind = EditionKind.SPECIAL if special else EditionKind.CORRECTION
        made = adding.add(found.slot, found.local_date, kind, now, corrects_id=wrong.id)
        draft = _draft(wrong, now, by)
        made.state = EditionState.DRAFTED
        made.revisions.append(draft)
        db.session.flush()
        audit.record(by, "edition.correct", f"edition:{made.id}", now, corrects=edition_id, revision=wrong.number)
    illustrate(draft.id, now, the_fetcher(), the_pictures())
    return made


def received(found: Edition) -> list[tuple[Revision, int]]:
    """The edition's revisions that readers have or may have, the last first, each with how many."""
    if found.frozen_at is None:
        return []
    counts = receivers(found.id)
    return [(one, counts[one.id]) for one in reversed(found.revisions) if one.id in counts]


def _wrong(found: Edition, revision_id: int | None) -> Revision:
    candidates = [one for one, _ in received(found)]
    if not candidates:
        raise Refused(why="nobody has received the edition. Change it before it goes out.")
    if revision_id is None:
        return candidates[0]
    for one in candidates:
        if one.id == revision_id:
            return one
    raise Refused(why="nobody has received that revision.")


def _under_way(wrong: Revision) -> Edition | None:
    return db.session.scalars(
        sa.select(Edition).where(Edition.corrects_id == wrong.id, Edition.state.in_(UNDER_WAY))
    ).first()


def _draft(wrong: Revision, now: datetime, by: Actor) -> Revision:
    gone = withdrawn_among(withdrawing.stories_in(wrong))
    items = withdrawing.without(wrong.items, gone)
    for position, item in enumerate(items, 1):
        item.position = position
    return Revision(
        number=1,
        subject=wrong.subject,
        preheader=wrong.preheader,
        intro=wrong.intro,
        block=wrong.block,
        by_hand=wrong.by_hand,
        newest_story_id=wrong.newest_story_id,
        created_at=now,
        created_by=by.name,
        items=items,
    )


def must_be_over(found: Edition) -> None:
    """Raises StillGoingOut while what the edition corrects may still be handed to somebody."""
    if (wrong := _corrected_by(found)) is not None and _goes_out(wrong):
        raise StillGoingOut(local_date=wrong.edition.local_date)


def stop_wrong_copies(found: Edition, now: datetime) -> None:
    """Give nobody who has just confirmed what the edition corrects, in the caller's transaction."""
    if (wrong := _corrected_by(found)) is not None and _is_current(wrong):
        ledger.cancel(wrong.edition_id, now)


def _corrected_by(found: Edition) -> Revision | None:
    return db.session.get(Revision, found.corrects_id) if found.corrects_id is not None else None


def _is_current(wrong: Revision) -> bool:
    """Whether it is what readers of its edition would get now, since nothing replaced it."""
    return wrong.edition.sealed is wrong


def _goes_out(wrong: Revision) -> bool:
    sending = wrong.edition.state is EditionState.SENDING
    return sending and _is_current(wrong) and bool(db.session.scalar(sa.select(shards.are_open(wrong.edition_id))))
