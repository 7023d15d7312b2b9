"""Editions that are not sent, without a story that was taken down or out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from newsletter.editions.composing import Choice
from newsletter.editions.keeping import LeftOut, by_hand, copied, fields_by_hand, following, left_out
from newsletter.editions.models import Edition, EditionState, Item, Revision, editions_in
from newsletter.editions.publishing import item_of
from newsletter.editions.wording import renewed
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
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
    return {story_id for item in revision.items for story_id in stories_of(item)}


def stories_of(item: Item) -> set[int]:
    ids = (item.story_id, *(other.get("story_id") for other in item.also_covered))
    return {story_id for story_id in ids if story_id is not None}


def save_without(
    found: Edition, gone: AbstractSet[int], now: datetime, by: Actor, action: str = "edition.withdraw-story"
) -> Revision:
    """A new revision of an edition without the stories, in the caller's transaction, written down as `action`.

    Where another outlet told the same event, its story moves up; else the item goes. A subject that somebody wrote
    stays; one that was the headline becomes the new headline.
    """
    before = found.revisions[-1]
    items = without(before.items, gone)
    words = renewed(before, [item.headline for item in items])
    passed_over = [group for group in before.passed_over if group["story_id"] not in gone]
    revision = following(
        before, items, now, by, subject=words.subject, preheader=words.preheader, passed_over=passed_over
    )
    audit.record(by, action, f"edition:{found.id}", now, stories=sorted(gone), items=len(items))
    return revision


def pull(found: Edition, item: Item, now: datetime, by: Actor) -> Revision:
    """A new revision of one edition without an item, in the caller's transaction. If it is drafted again, the story
    stays out."""
    gone = LeftOut.of(item)
    revision = save_without(found, stories_of(item), now, by, "edition.pull-story")
    if gone is not None:
        revision.by_hand = by_hand(fields_by_hand(revision), [*left_out(revision), gone])
    return revision


def without(items: Sequence[Item], gone: AbstractSet[int]) -> list[Item]:
    """The items again, for another revision, without the stories."""
    return list(_left(items, gone))


def _left(items: Sequence[Item], gone: AbstractSet[int]) -> Iterator[Item]:
    for item in items:
        others = [other for other in item.also_covered if other.get("story_id") not in gone]
        if item.story_id not in gone:
            yield copied(item, also_covered=others, outlets=item.outlets - len(item.also_covered) + len(others))
        elif able := stories_among(other.get("story_id") for other in others):
            yield _moved_up(item, able)


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
