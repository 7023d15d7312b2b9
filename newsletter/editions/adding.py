"""Editions besides the daily one, which only a person makes and sends: a special one, or a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from newsletter.editions import composing
from newsletter.editions.composing import Choice, Draft
from newsletter.editions.illustrating import illustrate
from newsletter.editions.keeping import wishes_of
from newsletter.editions.models import Edition, EditionKind, edition, edition_to_decide, next_number
from newsletter.editions.publishing import compose, plan, schedule_of, store
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Slot, lock_slot
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import story, withdrawn_among
from newsletter.stories.pictures import the_pictures

OWN_LIFE = timedelta(hours=24)
"""How long it may be sent without asking whether it is still news, and how long its last copies are tried for."""


def special(
    slot: Slot, local_date: date, now: datetime, by: Actor, subject: str = "", stories: Sequence[int] = ()
) -> Edition:
    """Draft a special edition for the slot's readers, of these stories in their order; by default of those that they
    have not had yet. It goes out when a person sends it, and the daily one as if it were not there.

    Raises Refused, StoryUnknown, TopicUnusable.
    """
    slot_id = slot.id
    draft = _of(stories) if stories else composing.compose(slot.newsletter, slot, now)
    with transaction():
        made = add(db.session.get_one(Slot, slot_id), local_date, EditionKind.SPECIAL, now)
        revision_id = store(made, replace(draft, subject=subject.strip()), now, by)
        audit.record(by, "edition.special", f"edition:{made.id}", now, number=made.number)
    illustrate(revision_id, now, the_fetcher(), the_pictures())
    return made


def _of(ids: Sequence[int]) -> Draft:
    """Raises StoryUnknown, Refused for one that was withdrawn."""
    told = [story(id) for id in dict.fromkeys(ids)]
    if withdrawn_among(one.id for one in told):
        raise Refused(why="one of the stories was withdrawn.")
    return Draft(tuple(Choice(one, (), "chosen by hand", told=f"{one.title} {one.summary}") for one in told))


def compose_again(edition_id: int, now: datetime, by: Actor) -> Edition:
    """Draft an edition anew from the latest stories. What hands changed in it stays. Raises EditionUnknown, Refused."""
    found = edition(edition_id)
    if found.kind is EditionKind.DAILY:
        return compose(found.slot, found.local_date, now, by)
    if found.corrects_id is not None:
        raise Refused(why="a correction tells what its readers have, and is changed by hand.")
    draft = composing.compose(found.newsletter, found.slot, now, wishes_of(found))
    with transaction():
        found = edition_to_decide(edition_id)
        revision_id = store(found, draft, now, by)
    illustrate(revision_id, now, the_fetcher(), the_pictures())
    return found


def add(slot: Slot, local_date: date, kind: EditionKind, now: datetime, **columns: object) -> Edition:
    """One more edition of the date, with the next number, in the caller's transaction."""
    lock_slot(slot.id)
    own = {"start_by": now + OWN_LIFE, "finish_by": now + 2 * OWN_LIFE, "number": next_number(slot.id, local_date)}
    return plan(slot.newsletter_id, slot.id, schedule_of(slot, local_date), now, kind=kind, **own, **columns)
