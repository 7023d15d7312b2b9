"""Changing a draft by hand: its words, its stories' words, their order, and what is left out.

Each save is a revision of its own, even a minute after the last: its number is then all that a second person's save
needs to be compared with, and the revisions are the trail of who wrote what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from newsletter.editions import exchanging, keeping, publishing, sittings
from newsletter.editions.illustrating import illustrate
from newsletter.editions.keeping import (
    ORDER,
    SECTION,
    LeftOut,
    by_hand,
    copied,
    fields_by_hand,
    following,
    left_out,
    placed,
)
from newsletter.editions.models import Edition, EditionState, Item, Revision, edition_to_decide
from newsletter.editions.wording import renewed, wording_of
from newsletter.foundation import audit
from newsletter.foundation.audit import Actor
from newsletter.foundation.database import transaction
from newsletter.foundation.errors import NewsletterError, Refused
from newsletter.foundation.text import JOINERS
from newsletter.stories.fetching import the_fetcher
from newsletter.stories.models import withdrawn_among
from newsletter.stories.pictures import the_pictures

EDITION_FIELDS = ("subject", "preheader", "intro")
ITEM_FIELDS = ("headline", "summary", "url", SECTION, "image_alt")
LONGEST = {
    "subject": 300,
    "preheader": 300,
    "intro": 2000,
    "headline": 500,
    "summary": 600,
    "url": 2000,
    SECTION: 100,
    "image_alt": 500,
}
SEVERAL_LINES = ("intro",)
USUAL = ("subject", "preheader")
"""What the edition words by itself where nobody does."""


class EditInvalid(NewsletterError):
    """The {name} cannot be saved: {problem} Nothing was saved."""

    def __init__(self, name: str, problem: str, item_id: int | None = None) -> None:
        super().__init__(name=NAMES.get(name, name), problem=problem)
        self.field = name
        self.item_id = item_id
        self.problem = problem


NAMES = {
    "preheader": "preview line",
    "intro": "introduction",
    "url": "link",
    "image_alt": "picture’s description",
    "position": "place",
}
"""What staff call the fields."""


class EditedMeanwhile(Refused):
    """Changed by {who} at {at:%H:%M} UTC; yours was not saved."""


class NotEditable(Refused):
    """This edition is {state}, so it cannot be changed. {remedy}"""


REMEDIES = {
    EditionState.PLANNED: "It has no draft yet; compose it first.",
    EditionState.APPROVED: "Open it again for changes first; somebody must approve it once more then.",
    EditionState.SENDING: "To mend what is going out, pull a story or make a correction.",
    EditionState.SENT: "To mend what went out, make a correction.",
    EditionState.SKIPPED: "Compose it again first.",
    EditionState.CANCELLED: "Nothing more becomes of it.",
}


@dataclass(frozen=True)
class ItemChange:
    """What becomes of one item; None leaves a text as it is. `drop` leaves the story out of this edition for good,
    until it is put back. `lead` is the story of its group that is shown from now on, `picture` the address of one of
    the group's pictures, or "" for none."""

    item_id: int
    headline: str | None = None
    summary: str | None = None
    url: str | None = None
    section: str | None = None
    image_alt: str | None = None
    drop: bool = False
    lead: int | None = None
    picture: str | None = None


@dataclass(frozen=True)
class Changes:
    """What a person wants of a draft; None leaves a text as it is, and an empty subject or preview line is the usual
    one again.

    `order` names items by their ids; those that it does not name come after, as they were. `back` are the ids of
    stories that were left out before, `added` those of further stories of the newsletter; they come last.
    """

    subject: str | None = None
    preheader: str | None = None
    intro: str | None = None
    items: tuple[ItemChange, ...] = ()
    order: tuple[int, ...] = ()
    back: tuple[int, ...] = ()
    added: tuple[int, ...] = ()


def change(
    edition_id: int,
    revision_number: int,
    changes: Changes,
    now: datetime,
    by: Actor,
    *,
    reopen: bool = False,
    typing: bool = False,
) -> Revision:
    """Save changes to the revision of that number, as a new one; the last one, when they change nothing.

    `reopen` opens an approved edition again for it. While somebody is `typing` words, they are saved, and written down
    in the trail once their writer leaves them. Raises EditionUnknown; EditedMeanwhile when somebody saved a later
    revision; NotEditable; EditInvalid; Refused for what does not belong to the edition. Then nothing is saved.
    """
    with transaction():
        found = edition_to_decide(edition_id)
        before = found.revision
        if before is not None and revision_number < before.number and _is_open(found, reopen):
            raise EditedMeanwhile(who=before.created_by, at=before.created_at)
        if before is None or not _is_open(found, reopen):
            raise NotEditable(state=found.state, remedy=REMEDIES[found.state])
        if revision_number != before.number:
            raise Refused(why=f"there is no revision {revision_number} of this edition.")
        saved = _save(found, before, _checked(changes, before), now, by, typing)
        if saved is before and not typing:
            sittings.left(found, by)
        if saved is not before and found.state is EditionState.APPROVED:
            publishing.reopened(found, now, by)
    if saved is not before:
        illustrate(saved.id, now, the_fetcher(), the_pictures())  # a draft is shown before its pictures are there
    return saved


def _is_open(found: Edition, reopen: bool) -> bool:
    return found.state is EditionState.DRAFTED or (reopen and found.state is EditionState.APPROVED)


# What was typed


def _checked(changes: Changes, before: Revision) -> Changes:
    """The same with texts as they are to be stored, and None for those that are so already.

    Raises EditInvalid, Refused.
    """
    items = {item.id: item for item in before.items}
    for id in (*(one.item_id for one in changes.items), *changes.order):
        if id not in items:
            raise Refused(why=f"item {id} is not in this revision of the edition.")
    known = {one.story_id for one in left_out(before)}
    if strange := [id for id in changes.back if id not in known]:
        raise Refused(why=f"story {strange[0]} was not left out of this edition.")
    exchanging.must_fit(changes.added, before)
    if gone := withdrawn_among((*changes.back, *changes.added)):
        raise Refused(why=f"story {min(gone)} was withdrawn; restore it first.")
    return Changes(
        **{name: _text(name, getattr(changes, name), getattr(before, name)) for name in EDITION_FIELDS},
        items=tuple(_checked_item(one, items[one.item_id], before) for one in changes.items),
        order=tuple(dict.fromkeys(changes.order)),
        back=tuple(dict.fromkeys(changes.back)),
        added=tuple(dict.fromkeys(changes.added)),
    )


def _checked_item(change: ItemChange, item: Item, before: Revision) -> ItemChange:
    if change.drop:
        return ItemChange(change.item_id, drop=True)
    exchanging.must_be_of_the_group(item, change.lead, change.picture)
    texts: dict[str, Any] = {
        name: _text(name, getattr(change, name), getattr(item, name), item.id) for name in ITEM_FIELDS
    }
    if texts["headline"] is not None and not texts["headline"].strip(JOINERS + " "):
        raise EditInvalid("headline", "write one, or leave the story out.", item.id)
    if (url := texts["url"]) and not _is_address(url):
        raise EditInvalid("url", "write it whole, like https://example.org/story.", item.id)
    sections = before.edition.newsletter.sections
    if (section := texts[SECTION]) and section not in sections:
        known = f"choose one of {', '.join(sections)}, or none" if sections else "the newsletter has no sections"
        raise EditInvalid(SECTION, f"{known}.", item.id)
    return replace(change, **texts)


def _text(name: str, typed: str | None, stored: str, item_id: int | None = None) -> str | None:
    """As it is to be stored; None where it stands so already, whatever it is. Raises EditInvalid."""
    text = re.sub(r"\r\n?", "\n", typed).strip() if typed is not None else None
    if text is None or text == stored.strip():
        return None
    lines = text.split("\n")
    if len(lines) > 1 and name not in SEVERAL_LINES:
        raise EditInvalid(name, "write it on one line.", item_id)
    if not all(_is_written(line) for line in lines):
        raise EditInvalid(name, "it has characters that nobody can see; type it instead of pasting it.", item_id)
    if len(text) > LONGEST[name]:
        raise EditInvalid(name, f"it is {len(text)} characters long; write at most {LONGEST[name]}.", item_id)
    return text


def _is_written(line: str) -> bool:
    """Whether a line is what somebody types: no control characters, and nothing that turns its direction round."""
    return all(character.isprintable() or character in JOINERS or character == "\u00a0" for character in line)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in url)
    except ValueError:
        return False


# What becomes of it


def _save(found: Edition, before: Revision, changes: Changes, now: datetime, by: Actor, typing: bool) -> Revision:
    changed = {one.item_id: one for one in changes.items}
    ordered = _ordered(before.items, changes.order)
    dropped = [item for item in ordered if item.id in changed and changed[item.id].drop]
    back = [_last_told(found, story_id) for story_id in changes.back]
    added = [exchanging.added(before, story_id) for story_id in changes.added]
    done: dict[str, Any] = {
        "words": [name for name in EDITION_FIELDS if getattr(changes, name) is not None],
        "items": [f"{item.position}:{name}" for item in ordered for name in _new(changed.get(item.id))],
        "order": [item.position for item in ordered] if ordered != before.items else [],
        "left_out": [item.headline for item in dropped],
        "put_back": [item.headline for item in back],
    }
    done |= {name: headlines for name, headlines in [("added", [item.headline for item in added])] if headlines}
    if not any(done.values()):
        return before
    items = [_changed(found, item, changed.get(item.id)) for item in ordered if item not in dropped]
    items += [copied(item) for item in back] + added
    if not items:
        raise Refused(why="an edition needs a story. To send none, skip or cancel it.")
    if done["order"] or dropped or back or added:
        items = placed(items, found.newsletter)
    fields = _fields(before, changes, done["words"] + ([ORDER] if done["order"] else []))
    gone = [one for one in left_out(before) if one.story_id not in (*changes.back, *changes.added)]
    gone += [one for one in map(LeftOut.of, dropped) if one]
    words = _words(before, changes, [item.headline for item in items], fields)
    passed_over = [group for group in before.passed_over if group["story_id"] not in changes.added]
    saved = following(before, items, now, by, **words, by_hand=by_hand(fields, gone), passed_over=passed_over)
    stood = _stood(before, changes)
    if typing:
        sittings.began(found, stood, now, by)
    else:
        said = sittings.changes_of(saved, stood | sittings.said(found, by), before.items)
        done |= {name: list(dict.fromkeys([*done[name], *said[name]])) for name in ("words", "items")}
        done |= {name: said[name] for name in ("before", "after") if said[name]}
        audit.record(by, "edition.edit", f"edition:{found.id}", now, revision=saved.number, **done)
    keeping.thin(found, now)
    return saved


def _stood(before: Revision, changes: Changes) -> dict[str, str]:
    """What stands in the fields that are changed, by the names that the desk gives them."""
    items = {item.id: item for item in before.items}
    words = {name: getattr(before, name) for name in EDITION_FIELDS if getattr(changes, name) is not None}
    of_items = (
        (f"{name}-{sittings.key_of(item)}", getattr(item, name))
        for one in changes.items
        for item in (items[one.item_id],)
        for name in ITEM_FIELDS
        if getattr(one, name) is not None
    )
    return words | dict(of_items)


def _new(change: ItemChange | None) -> dict[str, str]:
    """The words of an item that are new, and what else a hand exchanged in it."""
    names = (*ITEM_FIELDS, "lead", "picture")
    texts = {name: getattr(change, name) for name in names} if change else {}
    return {name: text for name, text in texts.items() if text is not None}


def _changed(found: Edition, item: Item, change: ItemChange | None) -> Item:
    """A copy of the item, whose new words are a hand's from now on."""
    new = {name: text for name, text in _new(change).items() if name in ITEM_FIELDS}
    if change is not None and change.lead is not None:
        item = exchanging.led_by(found, item, change.lead)
    if change is not None and change.picture is not None:
        item = exchanging.pictured(item, change.picture)
    return copied(item, **new, by_hand=list(dict.fromkeys([*item.by_hand, *new])))


def _ordered(items: Sequence[Item], order: Sequence[int]) -> list[Item]:
    place = {id: n for n, id in enumerate(order)}
    return sorted(items, key=lambda item: place.get(item.id, len(place)))


def _last_told(found: Edition, story_id: int) -> Item:
    """The story as it stood in the edition when it was last in it."""
    every: Iterable[Item] = (item for one in reversed(found.revisions) for item in one.items)
    return next(item for item in every if item.story_id == story_id)


def _fields(before: Revision, changes: Changes, new: Sequence[str]) -> list[str]:
    """What is a hand's from now on; an empty subject or preview line is not."""
    usual = [name for name in USUAL if getattr(changes, name) == ""]
    return [name for name in (*fields_by_hand(before), *new) if name not in usual]


def _words(before: Revision, changes: Changes, headlines: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """What the edition says besides its stories: the hand's words, or its own, which follow the headlines."""
    own, followed = wording_of(before.edition, headlines), renewed(before, headlines)
    words = {"intro": before.intro if changes.intro is None else changes.intro}
    for name in USUAL:
        typed = getattr(changes, name)
        stays = getattr(before if name in fields else followed, name)
        words[name] = typed or (stays if typed is None else getattr(own, name))
    return words
