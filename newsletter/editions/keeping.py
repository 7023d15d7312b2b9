"""What hands changed in an edition, so that composing it anew leaves it as it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

import sqlalchemy as sa

from newsletter.editions.composing import Wishes, section_of
from newsletter.editions.models import Edition, Item, Revision
from newsletter.foundation.audit import Actor, AuditRecord
from newsletter.foundation.database import db
from newsletter.newsletters.models import Newsletter
from newsletter.stories.models import Story

ORDER, SECTION = "order", "section"
LED, ADDED = "story_id", "reason"
"""Columns of an item that a hand has changed where it chose which story leads, or that the story is in at all."""

LEFT_OUT = "left_out"

THIN_AFTER = timedelta(minutes=10)
"""Who has an older revision open is told of all that differs, and not only of what was changed since."""

OF_ONE_SITTING = timedelta(minutes=2)

PROPOSED = "edition.propose"
"""How the trail says that a draft was sent around; its details name the revision."""

Known = TypeVar("Known", bound=Hashable)


@dataclass(frozen=True)
class LeftOut:
    """A story that a hand took out of one edition, and those that told the same event."""

    story_id: int
    headline: str
    also: tuple[int, ...] = ()

    @classmethod
    def of(cls, item: Item) -> LeftOut | None:
        """None where there is no story to be remembered."""
        if item.story_id is None:
            return None
        others = (other.get("story_id") for other in item.also_covered)
        return cls(item.story_id, item.headline, tuple(id for id in others if id is not None))

    def as_data(self) -> dict[str, Any]:
        return {LEFT_OUT: self.story_id, "headline": self.headline, "also": list(self.also)}


def left_out(revision: Revision) -> list[LeftOut]:
    """What a hand took out, the last one last."""
    return [
        LeftOut(word[LEFT_OUT], word["headline"], tuple(word["also"]))
        for word in revision.by_hand
        if isinstance(word, dict) and LEFT_OUT in word
    ]


def fields_by_hand(revision: Revision) -> list[str]:
    """Which of subject, preheader, intro and order are a person's."""
    return [word for word in revision.by_hand if isinstance(word, str)]


def by_hand(fields: Sequence[str], gone: Sequence[LeftOut]) -> list[Any]:
    """The two as a revision stores them."""
    return [*dict.fromkeys(fields), *(one.as_data() for one in gone)]


def wishes_of(found: Edition | None) -> Wishes | None:
    """What composing anew must heed; None while no hand has been at the edition."""
    if found is None or found.revision is None:
        return None
    edited = {item.story_id for item in _edited(found)}
    if not edited and not found.revision.by_hand:
        return None
    items = found.revision.items
    without = {id for one in left_out(found.revision) for id in (one.story_id, *one.also)}
    beside = {other.get("story_id") for item in items for other in item.also_covered}
    told = {item.story_id for item in items} | (edited - without - beside)
    linked = {item.story_id for item in _edited(found) if "url" in item.by_hand}
    added = {item.story_id for item in items if ADDED in item.by_hand}
    return Wishes(frozenset(without), _known(told), _known(linked), _known(added))


def _known(ids: Iterable[int | None]) -> frozenset[int]:
    return frozenset(id for id in ids if id is not None)


def _edited(found: Edition) -> Iterator[Item]:
    """The items whose words a hand changed, as they were last; also those that have fallen out since."""
    seen: set[int] = set()
    for revision in reversed(found.revisions):
        for item in revision.items:
            if item.story_id is not None and item.story_id not in seen:
                seen.add(item.story_id)
                if item.by_hand:
                    yield item


def keep(found: Edition, drafted: Sequence[Item]) -> list[Item]:
    """The items of a new draft with what hands changed before: their words, their order, and what is left out."""
    before = found.revision
    if before is None:
        return list(drafted)
    hidden = {one.story_id for one in left_out(before)}
    items = [item for item in drafted if item.story_id not in hidden]
    words = {item.story_id: item for item in _edited(found)}
    for item in items:
        if known := words.get(item.story_id):
            take_words(item, known)
    if ORDER in before.by_hand:
        order = in_order([item.story_id for item in items], [item.story_id for item in before.items])
        by_story = {item.story_id: item for item in items}
        items = placed([by_story[id] for id in order], found.newsletter)
    return numbered(items)


def take_words(item: Item, known: Item) -> None:
    """Give the item what hands wrote of its story before."""
    for name in known.by_hand:
        setattr(item, name, getattr(known, name))
    item.by_hand = list(known.by_hand)


def in_order(drafted: Sequence[Known], by_hand: Sequence[Known]) -> list[Known]:
    """`drafted` with those that a hand put in order in that order among themselves; the others keep their place."""
    there, ordered = set(drafted), set(by_hand)
    known = iter([one for one in by_hand if one in there])
    return [next(known) if one in ordered else one for one in drafted]


def placed(items: Sequence[Item], publication: Newsletter) -> list[Item]:
    """The same with the first above all sections, and what came down from there in its own; unless a hand chose it."""
    for place, item in enumerate(items):
        if SECTION in item.by_hand:
            continue
        if place == 0:
            item.section = ""
        elif not item.section and (told := db.session.get(Story, item.story_id) if item.story_id else None):
            item.section = section_of(told, publication)
    return list(items)


def numbered(items: Sequence[Item]) -> list[Item]:
    for position, item in enumerate(items, 1):
        item.position = position
    return list(items)


def copied(item: Item, **changes: object) -> Item:
    """The item again, for another revision."""
    names = [column.key for column in sa.inspect(Item).column_attrs if column.key not in ("id", "revision_id")]
    return Item(**{name: getattr(item, name) for name in names} | changes)


def following(before: Revision, items: Sequence[Item], now: datetime, by: Actor, **changes: object) -> Revision:
    """A new revision after an edition's last one, with these items and in all else like it, but for `changes`; in the
    caller's transaction."""
    same = ("subject", "preheader", "intro", "newest_story_id", "passed_over", "block", "by_hand")
    values: Mapping[str, Any] = {name: getattr(before, name) for name in same} | changes
    revision = Revision(number=before.number + 1, created_at=now, created_by=by.name, items=numbered(items), **values)
    before.edition.revisions.append(revision)
    db.session.flush()
    return revision


def thin(found: Edition, now: datetime) -> None:
    """Forget what the desk saved between two pauses of one person's, in the caller's transaction.

    What somebody worked on for an hour would else be hundreds of revisions. Those stay that were drafted first, sealed,
    sent around or settled, that are a few minutes old, or that alone know how a story was told.
    """
    pauses = [one for one, after in pairwise(found.revisions[1:]) if _is_a_pause(one, after, now)]
    around = _sent_around(found) if pauses else set()
    for one in pauses:
        if one.number not in around:
            found.revisions.remove(one)


def _sent_around(found: Edition) -> set[int]:
    """The numbers of the revisions that a mail to staff leads to."""
    of_it = AuditRecord.subject == f"edition:{found.id}", AuditRecord.action == PROPOSED
    return {details["revision"] for details in db.session.scalars(sa.select(AuditRecord.details).where(*of_it))}


def _is_a_pause(before: Revision, after: Revision, now: datetime) -> bool:
    return (
        before.sealed_at is None
        and before.created_by == after.created_by
        and after.created_at - before.created_at < OF_ONE_SITTING
        and now - before.created_at > THIN_AFTER
        and {item.story_id for item in before.items} <= {item.story_id for item in after.items}
    )
