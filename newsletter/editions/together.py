"""Several people at one draft: small changes, each saved at once, that overwrite nobody's.

A change says of each text what stood there when its writer began. Where that is still so, it is saved, whatever others
did elsewhere in the draft; where it is not, nothing is overwritten, and the writer is shown the other's words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from newsletter.editions import editing
from newsletter.editions.editing import Changes, EditedMeanwhile, ItemChange
from newsletter.editions.models import Item, Revision, edition
from newsletter.editions.sittings import key_of
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused

TRIES = 5
"""So often a change is tried on what somebody else saved in the same moment."""


class StoryGone(Refused):
    """{who} took the story out of this edition meanwhile.{unsaved}"""


class OrderedMeanwhile(Refused):
    """{who} changed the order meanwhile, so nothing was moved. This is how it stands now."""


@dataclass(frozen=True)
class Word:
    """A text as somebody wants it, by its name in Changes or ItemChange, and what stood there when they began."""

    name: str
    was: str
    text: str


@dataclass(frozen=True)
class Theirs:
    """Words that were not saved, because `who` wrote what stands there now."""

    name: str
    who: str
    stands: str
    typed: str


@dataclass(frozen=True)
class Wanted:
    """What one press, or one pause in typing, asks for.

    `key` is of the story that it is about, None for the mail as a whole. `by` moves the story up or down by so many
    places. `order` are the keys as they were dropped, `order_was` as they were shown. The rest is as in Changes and
    ItemChange.
    """

    key: str | None = None
    words: tuple[Word, ...] = ()
    by: int = 0
    order: tuple[str, ...] = ()
    order_was: tuple[str, ...] = ()
    drop: bool = False
    lead: int | None = None
    picture: str | None = None
    back: tuple[int, ...] = ()
    added: tuple[int, ...] = ()


@dataclass(frozen=True)
class Saved:
    """The draft as it stands now, whether it is another one than before, and which words were not saved."""

    revision: Revision
    anew: bool
    theirs: tuple[Theirs, ...] = ()


def save(edition_id: int, wanted: Wanted, now: datetime, by: Actor, *, typing: bool = False) -> Saved:
    """Change a draft as it stands now. Of several words those are saved that nobody else changed.

    Raises EditionUnknown, NotEditable, EditInvalid, StoryGone, OrderedMeanwhile, Refused. Then nothing is saved.
    """
    for _ in range(TRIES):
        latest = _latest(edition_id)
        theirs = _theirs(latest, wanted)
        clear = tuple(word for word in wanted.words if word.name not in {one.name for one in theirs})
        changes, number = _changes(latest, wanted, clear), latest.number
        try:
            saved = editing.change(edition_id, number, changes, now, by, typing=typing)
        except EditedMeanwhile:
            continue
        return Saved(saved, saved.number != number, theirs)
    raise Refused(why="others save all the time. Try it again in a moment.")


def _latest(edition_id: int) -> Revision:
    """As it is now, whatever this request has read before."""
    db.session.rollback()
    found = edition(edition_id)
    if found.revision is None:
        raise Refused(why="the edition has no draft yet; compose it first.")
    return found.revision


def _item(latest: Revision, wanted: Wanted) -> Item | None:
    """Raises StoryGone, with what was typed about it."""
    if wanted.key is None:
        return None
    found = next((item for item in latest.items if key_of(item) == wanted.key), None)
    if found is None:
        typed = [f"“{word.text}”" for word in wanted.words if not _same(word.text, word.was)]
        unsaved = f" You wrote: {', '.join(typed)}." if typed else ""
        raise StoryGone(who=_who(latest, lambda one: str(wanted.key) in map(key_of, one.items)), unsaved=unsaved)
    return found


def _theirs(latest: Revision, wanted: Wanted) -> tuple[Theirs, ...]:
    _item(latest, wanted)
    return tuple(
        Theirs(word.name, _who(latest, partial(_word, key=wanted.key, name=word.name)), stands, word.text)
        for word in wanted.words
        for stands in (_word(latest, wanted.key, word.name),)
        if not any(_same(*pair) for pair in ((word.text, word.was), (stands, word.was), (stands, word.text)))
    )


def _word(revision: Revision, key: str | None, name: str) -> str:
    """What stands in a field; empty where its story is not there."""
    of = revision if key is None else next((item for item in revision.items if key_of(item) == key), None)
    return str(getattr(of, name, ""))


def _who(latest: Revision, told: Callable[[Revision], object]) -> str:
    """Who made it so that the draft tells this as it does now."""
    who = latest.created_by
    for one in reversed(latest.edition.revisions):
        if told(one) != told(latest):
            break
        who = one.created_by
    return who


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _changes(latest: Revision, wanted: Wanted, words: Sequence[Word]) -> Changes:
    item = _item(latest, wanted)
    typed: dict[str, Any] = {word.name: word.text for word in words if not _same(word.text, word.was)}
    whole = Changes(order=_order(latest, wanted, item), back=wanted.back, added=wanted.added)
    if item is None:
        return replace(whole, **typed)
    change = ItemChange(item.id, **typed, drop=wanted.drop, lead=wanted.lead, picture=wanted.picture)
    return replace(whole, items=(change,))


def _order(latest: Revision, wanted: Wanted, item: Item | None) -> tuple[int, ...]:
    """The items' ids as they are to stand; empty for as they are. Raises OrderedMeanwhile."""
    if item is not None and wanted.by:
        return _moved([one.id for one in latest.items], item.position - 1, wanted.by)
    if not wanted.order:
        return ()
    ids = {key_of(one): one.id for one in latest.items}
    if wanted.order_was != tuple(ids):
        raise OrderedMeanwhile(who=_who(latest, lambda one: [*map(key_of, one.items)]))
    return tuple(ids[key] for key in wanted.order if key in ids)


def _moved(ids: list[int], place: int, by: int) -> tuple[int, ...]:
    to = min(max(0, place + by), len(ids) - 1)
    ids.insert(to, ids.pop(place))
    return tuple(ids)
