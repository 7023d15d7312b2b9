"""Feeds into stories: RSS, Atom and JSON Feed; octets in, plain data out."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from io import BytesIO
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser
import nh3

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.text import one_line
from newsletter.stories.canonical import canonical

ITEMS_AT_MOST = 500
SUMMARY_AT_MOST = 600
FUTURE_ALLOWED = timedelta(minutes=10)


class NotAFeed(NewsletterError):
    """What came back is no feed: {problem}."""


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
    """`ttl` is how long the feed asks to be left alone."""

    title: str
    stories: tuple[ParsedStory, ...]
    ttl: timedelta | None = None


def parse(body: bytes, content_type: str, url: str, now: datetime) -> ParsedFeed:
    """Read a feed that was fetched from `url` at `now`. Items without a title or an address are left out.

    Raises NotAFeed.
    """
    if _is_json(body, content_type):
        return _json_feed(body, url, now)
    return _xml_feed(body, content_type, url, now)


def _is_json(body: bytes, content_type: str) -> bool:
    return "json" in content_type or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def _xml_feed(body: bytes, content_type: str, url: str, now: datetime) -> ParsedFeed:
    headers = {"content-type": content_type, "content-location": url} if content_type else {"content-location": url}
    feed = _feedparsed(body, headers)
    if not feed.get("version") and not feed.entries:
        raise NotAFeed(problem=_problem(body, feed))
    stories = (_entry(entry, url, position, now) for position, entry in enumerate(feed.entries[:ITEMS_AT_MOST], 1))
    return ParsedFeed(_text(feed.feed.get("title", "")), _whole(stories), _ttl(feed.feed.get("ttl")))


def _feedparsed(body: bytes, headers: dict[str, str]) -> Any:
    try:
        return feedparser.parse(BytesIO(body), response_headers=headers, resolve_relative_uris=True)
    except Exception as error:  # what some octets bring it to is not in its documentation
        raise NotAFeed(problem=f"it cannot be read ({type(error).__name__})") from error


def _ttl(text: str | None) -> timedelta | None:
    return timedelta(minutes=min(int(text), 1440)) if text and re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def _problem(body: bytes, feed: Any) -> str:
    if not body.strip():
        return "the answer is empty"
    if re.match(rb"\s*<(!doctype html|html)", body[:200], re.IGNORECASE):
        return "it is a web page; look for the feed's own address"
    error = feed.get("bozo_exception")
    return f"it cannot be read ({error})" if error else "it has neither items nor a known format"


def _whole(stories: Iterable[ParsedStory | None]) -> tuple[ParsedStory, ...]:
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


def _entry(entry: Any, base: str, position: int, now: datetime) -> ParsedStory | None:
    link = _address(entry.get("link") or "", base)
    title = _text(entry.get("title") or "")
    if not title or not link:
        return None
    summary = _text(entry.get("summary", "") or _first_content(entry))
    published_at, note = _moment(_dated(entry, ""), now, _dated(entry, "_parsed"))
    image = _entry_image(entry, base)
    tags = tuple(filter(None, (_text(tag.get("term") or "") for tag in entry.get("tags", ()))))
    return ParsedStory(
        identity=_identity(_text(entry.get("id", "")), link),
        page=_digest(canonical(link)),
        url=link,
        title=title[:500],
        summary=shortened(summary, SUMMARY_AT_MOST),
        author=_text(entry.get("author", ""))[:200],
        section=tags[0][:100] if tags else "",
        tags=tags[:20],
        image_url=image.get("url"),
        image_alt=image.get("alt", "")[:500],
        image_credit=image.get("credit", "")[:200],
        position=position,
        published_at=published_at,
        date_note=note,
    )


def _first_content(entry: Any) -> str:
    """The article's text. Plain text beside a picture is the picture's description (media:description)."""
    described = bool(entry.get("media_content"))
    contents = (c for c in entry.get("content", ()) if not (described and c.get("type") == "text/plain"))
    return next((content.get("value", "") for content in contents), "")


def _picture_description(entry: Any) -> str:
    """feedparser files media:description among the contents, as plain text."""
    return next((c.get("value", "") for c in entry.get("content", ()) if c.get("type") == "text/plain"), "")


def _dated(entry: Any, ending: str) -> Any:
    """The first of an entry's dates. Read as a plain dict, because feedparser's own gives one date for another."""
    values = (dict.get(entry, f"{name}{ending}") for name in ("published", "updated", "created"))
    return next(filter(None, values), None)


def _entry_image(entry: Any, base: str) -> dict[str, str]:
    for media in (
        *entry.get("media_content", ()),
        *entry.get("media_thumbnail", ()),
        *entry.get("enclosures", ()),
    ):
        kind = media.get("type") or media.get("medium") or "image"
        address = _address(media.get("url") or media.get("href") or "", base)
        if address and kind.startswith("image"):
            credits = entry.get("media_credit") or ()
            credit = next((c.get("content", "") for c in credits), "")
            return {"url": address, "alt": _text(_picture_description(entry)), "credit": _text(credit)}
    return {}


def _json_feed(body: bytes, url: str, now: datetime) -> ParsedFeed:
    try:
        feed = json.loads(body.decode("utf-8-sig"))
        items = feed["items"]
        if not isinstance(items, list):
            raise TypeError("items is no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAFeed(problem=f"it is no JSON Feed ({error})") from error
    stories = (_json_item(item, url, position, now) for position, item in enumerate(items[:ITEMS_AT_MOST], 1))
    return ParsedFeed(_text(_string(feed, "title")), _whole(stories))


def _json_item(item: object, base: str, position: int, now: datetime) -> ParsedStory | None:
    if not isinstance(item, Mapping):
        return None
    link = _address(_string(item, "url") or _string(item, "external_url"), base)
    title = _text(_string(item, "title"))
    if not title or not link:
        return None
    summary = _text(_string(item, "summary") or _string(item, "content_text") or _string(item, "content_html"))
    published_at, note = _moment(_string(item, "date_published") or _string(item, "date_modified"), now)
    tags = tuple(_text(tag) for tag in item.get("tags") or () if isinstance(tag, str) and _text(tag))
    return ParsedStory(
        identity=_identity(_string(item, "id").strip(), link),
        page=_digest(canonical(link)),
        url=link,
        title=title[:500],
        summary=shortened(summary, SUMMARY_AT_MOST),
        author=_json_author(item)[:200],
        section=tags[0][:100] if tags else "",
        tags=tags[:20],
        image_url=_address(_string(item, "image") or _string(item, "banner_image"), base) or None,
        image_alt="",
        image_credit="",
        position=position,
        published_at=published_at,
        date_note=note,
    )


def _json_author(item: Mapping[str, Any]) -> str:
    authors = item.get("authors") or [item.get("author")]
    names = [_text(_string(a, "name")) for a in authors if isinstance(a, Mapping)] if isinstance(authors, list) else []
    return ", ".join(filter(None, names))


def _string(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return str(value) if isinstance(value, str | int | float) else ""


def _identity(guid: str, link: str) -> str:
    """An id that is an address is read as one, so that http and https, or a tracker more, make no second story."""
    return _digest(canonical(guid) if guid.startswith(("http://", "https://")) else guid or canonical(link))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What no address holds and no database keeps; a JSON Feed can say all of it."""


def _address(text: str, base: str) -> str:
    """`text` as a whole http address; empty when it is none."""
    written = "".join(text.split())
    if not written or UNWRITABLE.search(written):
        return ""
    try:
        address = urljoin(base, written)
        parts = urlsplit(address)
    except ValueError:
        return ""
    good = parts.scheme in ("http", "https") and parts.hostname and len(address) <= 2000
    return address if good else ""


def _text(markup: str) -> str:
    """The words in a piece of HTML or text, on one line, without control characters."""
    spaced = re.sub(r"<(br|/p|/div|/li|/h\d)\b", r" <\1", markup, flags=re.IGNORECASE)
    plain = unescape(nh3.clean(spaced, tags=set())) if "<" in markup or "&" in markup else markup
    return one_line(plain)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, ended at a sentence where one ends late enough, else at a word with "…"."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    if (stop := max(head.rfind(mark) for mark in (". ", "! ", "? ", "。"))) > limit // 2:
        return head[: stop + 1]
    return head[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def _moment(text: str | None, now: datetime, stamp: Any = None) -> tuple[datetime, str | None]:
    """When an item was published, and why that is not simply what it says. A story always gets a sane time."""
    if not text:
        return now, "the feed gives no date, so the time it was first seen counts"
    moment = _read_moment(text, stamp)
    if moment is None:
        return now, f"the date “{shortened(text, 60)}” cannot be read, so the time it was first seen counts"
    if moment > now + FUTURE_ALLOWED:
        return (
            now,
            f"the date {moment:%Y-%m-%d %H:%M} UTC lies in the future, so the time it was first seen counts",
        )
    return moment, None


def _read_moment(text: str, stamp: Any) -> datetime | None:
    try:
        if stamp is not None:
            year, month, day, hour, minute, second = stamp[:6]
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
