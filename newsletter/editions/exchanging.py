"""Exchanging what an item is made of: the story of its group that leads, its picture, and a story that is added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from newsletter.editions.composing import TOLD_LETTERS, Choice, section_of
from newsletter.editions.keeping import ADDED, LED, copied, take_words
from newsletter.editions.models import Edition, Item, Revision
from newsletter.editions.publishing import item_of
from newsletter.foundation.errors import Refused
from newsletter.stories.models import Story, newsletters_of_story, stories_among, story

TAKEN_OUT = "Somebody took it out."
PICTURED = ("image_url", "image_alt", "image_credit", "picture_note")


@dataclass(frozen=True)
class Offered:
    """A picture of the group, and whose it is."""

    url: str
    outlet: str
    alt: str = ""
    credit: str = ""


def pictures_of(item: Item) -> list[Offered]:
    """What the item can show: its own picture and those of all who tell the same, each once."""
    return list({one.url: one for one in reversed([*_pictures(item)])}.values())[::-1]


def _pictures(item: Item) -> Iterator[Offered]:
    if item.image_url:
        yield Offered(item.image_url, item.outlet, item.image_alt, item.image_credit)
    for told in group_of(item):
        if told.image_url:
            yield Offered(told.image_url, told.outlet, told.image_alt, told.image_credit)


def group_of(item: Item) -> list[Story]:
    """The stories that tell it, the one that leads first."""
    return stories_among([item.story_id, *_beside(item)])


def _beside(item: Item) -> list[int]:
    return [id for other in item.also_covered if (id := other.get("story_id")) is not None]


def must_be_of_the_group(item: Item, lead: int | None, picture: str | None) -> None:
    """Raises Refused for a story that does not tell the same, or a picture that none of them has."""
    if lead is not None and lead not in _beside(item):
        raise Refused(why=f"story {lead} does not tell the same as “{item.headline}”.")
    if picture and picture not in {one.url for one in pictures_of(item)}:
        raise Refused(why="none of the outlets that tell it has that picture.")


def must_fit(added: Collection[int], before: Revision) -> None:
    """Raises StoryUnknown, Refused for one of another newsletter, or one that is in the edition already."""
    for id in added:
        if before.edition.newsletter_id not in newsletters_of_story(story(id)):
            raise Refused(why=f"story {id} belongs to another newsletter.")
        if any(item.story_id == id or id in _beside(item) for item in before.items):
            raise Refused(why=f"the edition tells “{story(id).title}” already.")


def led_by(found: Edition, item: Item, story_id: int) -> Item:
    """The item as another story of its group tells it, with the words that hands wrote of that one before."""
    lead, *others = stories_among([story_id, *(one.id for one in group_of(item) if one.id != story_id)])
    choice = Choice(
        lead=lead,
        others=tuple(_of_other_outlets(lead, others)),
        reason=item.reason,
        section=item.section,
        is_update=item.is_update,
        outlets=item.outlets,
        told=item.told,
    )
    shown = item_of(item.position, choice)
    if known := next((one for one in _told(found) if one.story_id == story_id), None):
        take_words(shown, known)
    shown.by_hand = list(dict.fromkeys([*shown.by_hand, LED, *(name for name in item.by_hand if name == ADDED)]))
    return shown


def _of_other_outlets(lead: Story, others: Sequence[Story]) -> Iterator[Story]:
    seen = {lead.outlet}
    for other in others:
        if other.outlet not in seen:
            seen.add(other.outlet)
            yield other


def _told(found: Edition) -> Iterator[Item]:
    """Every item as the edition told it, the latest first."""
    return (item for one in reversed(found.revisions) for item in one.items)


def pictured(item: Item, url: str) -> Item:
    """The item with another picture of its group, or none, and that picture's words."""
    chosen = next((one for one in pictures_of(item) if one.url == url), Offered("", ""))
    return copied(
        item,
        image_url=chosen.url or None,
        image_alt=chosen.alt,
        image_credit=chosen.credit,
        picture=None,
        picture_note=None if chosen.url else TAKEN_OUT,
        by_hand=list(dict.fromkeys([*item.by_hand, *PICTURED])),
    )


def added(before: Revision, story_id: int) -> Item:
    """A story as a hand puts it into an edition, with all that were grouped with it when it was passed over."""
    near: Mapping[str, Any] = next((group for group in before.passed_over if group["story_id"] == story_id), {})
    lead, *others = stories_among([story_id, *near.get("others", ())])
    choice = Choice(
        lead=lead,
        others=tuple(_of_other_outlets(lead, others)),
        reason="; ".join(filter(None, ("added by hand", near.get("why"))))[:500],
        section=section_of(lead, before.edition.newsletter),
        outlets=1 + len(others),
        told=" ".join(f"{one.title} {one.summary}" for one in (lead, *others))[:TOLD_LETTERS],
    )
    item = item_of(len(before.items) + 1, choice)
    item.by_hand = [ADDED]
    return item
