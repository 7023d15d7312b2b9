"""Editions that went out, as anybody may read them: never one reader's words, and nothing that was withdrawn since."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from newsletter.editions.models import (
    Edition,
    EditionKind,
    Item,
    Revision,
    editions_out,
    months_out,
    sealed_revisions,
    specials_out,
)
from newsletter.editions.wording import preheader_of
from newsletter.foundation.text import one_line
from newsletter.newsletters.models import Newsletter, Pictures, Slot
from newsletter.stories.models import withdrawn_among

SPARE = 5
"""So many editions of a run may have lost all their stories before one too few is found."""

ADDRESS = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Teller:
    """An outlet that told it too, with its own headline."""

    story_id: int | None
    outlet: str
    title: str
    url: str


@dataclass(frozen=True)
class Told:
    """A story as a past edition tells it.

    `more` counts the outlets besides `others`. `picture` names one of our own, `image_url` is an outlet's; there is at
    most one of the two, as the newsletter says. A story that moved up has no `published_at`, because nobody kept it.
    """

    headline: str
    url: str
    outlet: str
    section: str
    is_update: bool
    others: tuple[Teller, ...]
    more: int
    summary: str = ""
    published_at: datetime | None = None
    picture: str | None = None
    image_url: str | None = None
    image_alt: str = ""
    image_credit: str = ""


@dataclass(frozen=True)
class PastEdition:
    """What anybody may read of an edition that went out."""

    edition: Edition
    title: str
    summary: str
    intro: tuple[str, ...]
    stories: tuple[Told, ...]

    @property
    def sent_at(self) -> datetime:
        return self.edition.frozen_at or self.edition.slot_at

    @property
    def sections(self) -> list[tuple[str, list[Told]]]:
        """The stories by section, in the edition's order; those of none stand under an empty name."""
        return [(name, list(told)) for name, told in groupby(self.stories, lambda story: story.section)]


def on(slot: Slot, day: date) -> PastEdition | None:
    """The slot's edition of a date, if it went out and something of it is left."""
    return _first(editions_out(slot.newsletter_id, [slot.id], day, day))


def special(slot: Slot, day: date, number: int) -> PastEdition | None:
    """The slot's special edition of a date that stands at the number, if it went out and something of it is left."""
    found = specials_out(slot.newsletter_id, [slot.id], day, day)
    return _first([one for one in found if one.stands_at == number])


def before(slot: Slot, day: date) -> PastEdition | None:
    return _first(editions_out(slot.newsletter_id, [slot.id], until=day - timedelta(days=1), limit=SPARE))


def after(slot: Slot, day: date) -> PastEdition | None:
    since = day + timedelta(days=1)
    return _first(editions_out(slot.newsletter_id, [slot.id], since, limit=SPARE, oldest_first=True))


def newest(slot: Slot) -> PastEdition | None:
    return _first(editions_out(slot.newsletter_id, [slot.id], limit=SPARE))


def _first(editions: Sequence[Edition]) -> PastEdition | None:
    """The first of which something is left; mostly the first of all, so they are looked at one by one."""
    return next((past for one in editions for past in _past([one])), None)


def latest(slot: Slot, count: int) -> list[PastEdition]:
    """The slot's last editions, the latest first, with the special ones among them."""
    found = [read(slot.newsletter_id, [slot.id], limit=count + SPARE) for read in (editions_out, specials_out)]
    return sorted(_past([*found[0], *found[1]]), key=lambda one: one.sent_at, reverse=True)[:count]


def months(newsletter: Newsletter) -> list[date]:
    """The first days of the months that have editions, the latest first."""
    return months_out(newsletter.id, _slot_ids(newsletter))


def days_of(newsletter: Newsletter, month: date) -> list[list[PastEdition]]:
    """The editions of a month, given by its first day: a list for each date, the latest first, each begun by the
    default slot's, and ended by the special ones."""
    last_day = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    found = [read(newsletter.id, _slot_ids(newsletter), month, last_day) for read in (editions_out, specials_out)]
    ordered = sorted(_past([*found[0], *found[1]]), key=_place)
    ordered.sort(key=lambda one: one.edition.local_date, reverse=True)
    return [list(day) for _, day in groupby(ordered, lambda one: one.edition.local_date)]


def _place(one: PastEdition) -> tuple[bool, bool, datetime, int]:
    """Among those of its date."""
    special, default = one.edition.kind is EditionKind.SPECIAL, one.edition.slot.is_default
    return special, not default, one.edition.slot_at, one.edition.number


def _slot_ids(newsletter: Newsletter) -> list[int]:
    return [slot.id for slot in newsletter.every_slot]


def _past(editions: Sequence[Edition]) -> Iterator[PastEdition]:
    """The same in their order, without those of which nothing is left."""
    sealed = sealed_revisions(one.id for one in editions)
    gone = withdrawn_among(set(_story_ids(sealed.values())))
    for one, revision in ((one, sealed[one.id]) for one in editions if one.id in sealed):
        if stories := tuple(_told(revision.items, gone, one.newsletter.pictures)):
            yield _made(one, revision, stories, whole=gone.isdisjoint(_story_ids([revision])))


def _story_ids(revisions: Iterable[Revision]) -> Iterator[int]:
    for item in (item for revision in revisions for item in revision.items):
        ids = (item.story_id, *(other.get("story_id") for other in item.also_covered))
        yield from (id for id in ids if id is not None)


def _made(one: Edition, revision: Revision, stories: tuple[Told, ...], *, whole: bool) -> PastEdition:
    """What was written of the whole edition may speak of a story that is gone; then it is gone too."""
    headlines = [story.headline for story in stories]
    title = one_line(revision.subject) if whole else ""
    summary = one_line(revision.preheader) if whole else ""
    return PastEdition(
        edition=one,
        title=title or headlines[0],
        summary=summary or preheader_of(headlines[1:]),
        intro=tuple(_paragraphs(revision.intro)) if whole else (),
        stories=stories,
    )


def _paragraphs(text: str) -> Iterator[str]:
    yield from filter(None, map(one_line, text.replace("\r\n", "\n").split("\n\n")))


def _told(items: Iterable[Item], gone: AbstractSet[int], pictures: Pictures) -> Iterator[Told]:
    """Where a story is gone and another outlet told the same event, its headline moves up; else the item goes."""
    for item in items:
        others = tuple(one for one in map(_teller, item.also_covered) if one.story_id not in gone)
        more = max(0, item.outlets - 1 - len(item.also_covered))
        if item.story_id not in gone:
            yield _as_told(item, others, more, pictures)
        elif others:
            yield _moved_up(item, others, more)


def _teller(other: dict[str, Any]) -> Teller:
    return Teller(other.get("story_id"), one_line(other["outlet"]), one_line(other["title"]), _address(other["url"]))


def _as_told(item: Item, others: tuple[Teller, ...], more: int, pictures: Pictures) -> Told:
    return Told(
        headline=one_line(item.headline),
        url=_address(item.url),
        outlet=one_line(item.outlet),
        section=one_line(item.section),
        is_update=item.is_update,
        others=others,
        more=more,
        summary=one_line(item.summary),
        published_at=item.published_at,
        picture=item.picture if pictures is Pictures.OWN else None,
        image_url=_address(item.image_url or "") or None if pictures is Pictures.LINK else None,
        image_alt=one_line(item.image_alt),
        image_credit=one_line(item.image_credit),
    )


def _moved_up(item: Item, others: tuple[Teller, ...], more: int) -> Told:
    first, *rest = others
    return Told(first.title, first.url, first.outlet, one_line(item.section), item.is_update, tuple(rest), more)


def _address(url: str) -> str:
    """A link that is safe on a page of ours; empty when it is none."""
    url = one_line(url)
    return url if ADDRESS.match(url) else ""
