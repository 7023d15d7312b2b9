"""What the items of any kind of feed are made into: stories, as plain data within bounds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

from newsletter.foundation.errors import NewsletterError
from newsletter.stories import dates
from newsletter.stories.canonical import canonical, digest, page_of
from newsletter.stories.markup import shortened, words_in

ITEMS_AT_MOST = 500
SUMMARY_AT_MOST = 600
TAGS_AT_MOST = 20
ADDRESS_AT_MOST = 2000


class NotAFeed(NewsletterError):
    """What came back is no feed: {problem}."""


class IsAPage(NotAFeed):
    """What came back is no feed: {problem}."""

    @property
    def feeds(self) -> tuple[str, ...]:
        """The addresses that the page names as its feeds."""
        return tuple(str(self.subject.get("named", "")).split())


@dataclass(frozen=True)
class ParsedStory:
    """One item of a feed.

    `identity` (from its own id) and `page` (from its address) are 64 hex digits each; either makes it the same story
    at the next poll. `position` counts from 1; `date_note` explains the date.
    """

    identity: str
    page: str
    url: str
    title: str
    summary: str
    author: str
    section: str
    tags: tuple[str, ...]
    image_url: str | None
    image_alt: str
    image_credit: str
    position: int
    published_at: datetime
    date_note: str | None


@dataclass(frozen=True)
class ParsedFeed:
    """`ttl` is how long the feed asks to be left alone, `kind` what people call its format."""

    title: str
    stories: tuple[ParsedStory, ...]
    ttl: timedelta | None = None
    kind: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture as an item names it: a whole address or none, and markup."""

    url: str = ""
    alt: str = ""
    credit: str = ""


@dataclass(frozen=True)
class Item:
    """An item as its feed says it: strangers' markup of any length."""

    id: str
    link: str
    title: str
    summary: str
    author: str
    tags: Sequence[str]
    picture: Picture
    dates: Sequence[dates.Said]


def story_of(item: Item, base: str, position: int, now: datetime) -> ParsedStory | None:
    """The story that an item of the feed at `base` tells; None when it has no title or no address."""
    link, title = whole_address(item.link, base), words_in(item.title)
    if not title or not link:
        return None
    published_at, note = dates.moment(item.dates, now)
    tags = tuple(dict.fromkeys(filter(None, (words_in(tag)[:100] for tag in item.tags[:TAGS_AT_MOST]))))
    picture = item.picture if item.picture.url else Picture()
    return ParsedStory(
        identity=_identity(words_in(item.id), link),
        page=page_of(link),
        url=link,
        title=title[:500],
        summary=shortened(words_in(item.summary), SUMMARY_AT_MOST),
        author=words_in(item.author)[:200],
        section=tags[0] if tags else "",
        tags=tags,
        image_url=picture.url or None,
        image_alt=shortened(words_in(picture.alt), 500),
        image_credit=words_in(picture.credit)[:200],
        position=position,
        published_at=published_at,
        date_note=note,
    )


def _identity(guid: str, link: str) -> str:
    """An id that is an address is read as one, so that http and https, or a tracker more, make no second story."""
    return digest(canonical(guid) if guid.startswith(("http://", "https://")) else guid or canonical(link))


UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What no address holds and no database keeps; a JSON Feed can say all of it."""


def whole_address(text: str, base: str) -> str:
    """`text` as a whole http address; empty when it is none."""
    written = "".join(text.split())
    if not written or UNWRITABLE.search(written):
        return ""
    try:
        address = urljoin(base, written)
        parts = urlsplit(address)
    except ValueError:
        return ""
    good = parts.scheme in ("http", "https") and parts.hostname and len(address) <= ADDRESS_AT_MOST
    return address if good else ""


def each_once(stories: Iterable[ParsedStory | None]) -> tuple[ParsedStory, ...]:
    """Each story once, recognised by what tells it apart in this very feed.

    An id that several addresses share is none, and then the address counts; an address that several ids share (a
    feed that links everything to its front page) is none, and then the id counts.
    """
    found = [story for story in stories if story is not None]
    pages, ids = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for story in found:
        pages[story.identity].add(story.page)
        ids[story.page].add(story.identity)
    unique: dict[str, ParsedStory] = {}
    for story in found:
        if len(pages[story.identity]) > 1:
            story = replace(story, identity=story.page)
        elif len(ids[story.page]) > 1:
            story = replace(story, page=story.identity)
        unique.setdefault(story.identity, story)
    return tuple(unique.values())
