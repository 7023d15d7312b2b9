"""RSS, RDF and Atom into stories."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import feedparser

from newsletter.stories import media, mending
from newsletter.stories.dates import Said
from newsletter.stories.items import (
    ITEMS_AT_MOST,
    IsAPage,
    Item,
    NotAFeed,
    ParsedFeed,
    ParsedStory,
    Picture,
    each_once,
    story_of,
)
from newsletter.stories.markup import words_in

LEFT_TO_US = {"sanitize_html": False, "resolve_relative_uris": False}
"""What feedparser need not do to markup, a third of its time: `words_in` leaves none, and links are resolved anyway."""

ADDRESS_FIRST = re.compile(r"\s*\S+@\S+(?:\s+\((.+)\))?\s*")
"""How RSS wants an author: lee@example.org (Ann Lee)."""

KINDS = {"atom10": "Atom", "atom03": "Atom 0.3", "atom": "Atom", "rss20": "RSS 2.0", "rss10": "RSS 1.0 (RDF)"}
"""What feedparser calls them, and how they are known; other versions of RSS are all alike to us."""

UTF_8 = "application/xml; charset=utf-8"


def read(body: bytes, content_type: str, url: str, now: datetime) -> ParsedFeed:
    """Raises NotAFeed."""
    root = mending.tree(body, content_type, url)
    items = mending.items(root)
    for surplus in items[ITEMS_AT_MOST:]:
        mending.remove(surplus)
    pictures = media.take_pictures(items[:ITEMS_AT_MOST])
    feed = _feedparsed(mending.octets(root), url)
    if not feed.get("version") and not feed.entries:
        raise _no_feed(body, url)
    return ParsedFeed(
        words_in(feed.feed.get("title", "")),
        each_once(_stories(feed.entries, pictures, url, now)),
        _ttl(feed.feed),
        KINDS.get(str(feed.get("version") or ""), "RSS"),
    )


def _feedparsed(octets: bytes, url: str) -> Any:
    headers = {"content-type": UTF_8, "content-location": url}
    try:
        return feedparser.parse(BytesIO(octets), response_headers=headers, **LEFT_TO_US)
    except Exception as error:  # what some octets bring it to is not in its documentation
        raise NotAFeed(problem=f"it cannot be read ({type(error).__name__})") from error


def _ttl(feed: Any) -> timedelta | None:
    text = feed.get("ttl")
    return timedelta(minutes=min(int(text), 1440)) if text and re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def _no_feed(body: bytes, url: str) -> NotAFeed:
    if not re.search(rb"<(!doctype html|html|head|body)\b", body[:2000], re.IGNORECASE):
        return NotAFeed(problem="it has neither items nor a known format")
    if feeds := mending.feeds_of_page(body, url):
        named = "its feed seems to be" if len(feeds) == 1 else "it names several feeds, first"
        return IsAPage(problem=f"it is a web page; {named} {feeds[0]}", named=" ".join(feeds))
    return IsAPage(problem="it is a web page; look for the feed's own address", named="")


def _stories(
    entries: Sequence[Any], pictures: Sequence[Picture], base: str, now: datetime
) -> Iterator[ParsedStory | None]:
    paired = pictures if len(pictures) == len(entries) else [Picture()] * len(entries)
    for position, (entry, picture) in enumerate(zip(entries, paired, strict=True), 1):
        yield story_of(_item(entry, picture), base, position, now)


def _item(entry: Any, picture: Picture) -> Item:
    return Item(
        id=entry.get("id") or "",
        link=entry.get("link") or "",
        title=entry.get("title") or "",
        summary=entry.get("summary") or next((c.get("value", "") for c in entry.get("content", ())), ""),
        author=_author(entry),
        tags=[tag.get("label") or tag.get("term") or "" for tag in entry.get("tags", ())],
        picture=picture,
        dates=list(_dates(entry)),
    )


def _author(entry: Any) -> str:
    """The names, if there are any; some feeds give nothing but an address."""
    written = entry.get("author") or ""
    if as_in_rss := ADDRESS_FIRST.fullmatch(
        written
    ):  # feedparser takes it apart wrongly where the domain is a long one
        return as_in_rss[1] or written
    names = [author.get("name") or "" for author in entry.get("authors", ())]
    return ", ".join(dict.fromkeys(filter(None, names))) or written


def _dates(entry: Any) -> Iterator[Said]:
    """An entry's dates, the best first, with feedparser's reading of them, which knows formats of many languages.

    Read as a plain dict, because feedparser's own gives one date for another.
    """
    for name in ("published", "updated", "created"):
        if text := dict.get(entry, name):
            yield str(text), _moment(dict.get(entry, f"{name}_parsed"))


def _moment(stamp: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(timegm(stamp), UTC) if stamp else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None
