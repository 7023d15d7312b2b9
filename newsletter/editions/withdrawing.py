"""Editions that are not sent, without a story that was taken down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import sqlalchemy as sa

from newsletter.editions.composing import Choice, preheader_of, subject_of
from newsletter.editions.models import Edition, EditionState, Item, Revision, editions_in
from newsletter.editions.publishing import item_of
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db
from newsletter.stories.models import Story, stories_among

UNSENT = (EditionState.DRAFTED, EditionState.APPROVED, EditionState.SENDING)


def unsent_with(stories: AbstractSet[int]) -> list[int]:
    """The editions that are not sent and show one of the stories, in the order in which their slots are locked."""
    holding = [one for one in editions_in(*UNSENT) if one.revision and _shows(one.revision, stories)]
    return [one.id for one in sorted(holding, key=lambda one: (one.slot_id, one.id))]


def _shows(revision: Revision, stories: AbstractSet[int]) -> bool:
    return not stories.isdisjoint(stories_in(revision))


def stories_in(revision: Revision) -> set[int]:
    """Every story that a revision tells, or names as also covered."""
    told = [(item.story_id, *(other.get("story_id") for other in item.also_covered)) for item in revision.items]
    return {story_id for ids in told for story_id in ids if story_id is not None}


def save_without(found: Edition, gone: AbstractSet[int], now: datetime, by: Actor) -> Revision:
    """A new revision of an edition without the stories, in the caller's transaction.

    Where another outlet told the same event, its story moves up; else the item goes. A subject that somebody wrote
    stays; one that was the headline becomes the new headline.
    """
    before = found.revisions[-1]
    items = list(_left(before.items, gone))
    for position, item in enumerate(items, 1):
        item.position = position
    old, new = [item.headline for item in before.items], [item.headline for item in items]
    revision = Revision(
        number=before.number + 1,
        subject=_renewed(before.subject, subject_of(old), subject_of(new))[:300] or found.newsletter.name,
        preheader=_renewed(before.preheader, preheader_of(old), preheader_of(new))[:300],
        intro=before.intro,
        created_at=now,
        created_by=by.name,
        items=items,
        newest_story_id=before.newest_story_id,
        passed_over=[group for group in before.passed_over if group["story_id"] not in gone],
    )
    found.revisions.append(revision)
    db.session.flush()
    audit.record(by, "edition.withdraw-story", f"edition:{found.id}", now, stories=sorted(gone), items=len(items))
    return revision


def _renewed(written: str, old: str, new: str) -> str:
    return new if written == old[:300] else written


def _left(items: Sequence[Item], gone: AbstractSet[int]) -> Iterator[Item]:
    for item in items:
        others = [other for other in item.also_covered if other.get("story_id") not in gone]
        if item.story_id not in gone:
            yield _copy(item, also_covered=others, outlets=item.outlets - len(item.also_covered) + len(others))
        elif able := stories_among(other.get("story_id") for other in others):
            yield _moved_up(item, able)


def _copy(item: Item, **changes: object) -> Item:
    names = [column.key for column in sa.inspect(Item).column_attrs if column.key not in ("id", "revision_id")]
    return Item(**{name: getattr(item, name) for name in names} | changes)


def _moved_up(item: Item, others: Sequence[Story]) -> Item:
    first, *rest = others
    return item_of(
        item.position,
        Choice(
            lead=first,
            others=tuple(rest),
            reason=f"in the place of a withdrawn story; {item.reason}"[:500],
            section=item.section,
            is_update=item.is_update,
            outlets=item.outlets - 1,
            told=item.told,
        ),
    )
