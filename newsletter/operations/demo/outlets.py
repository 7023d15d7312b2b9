"""The demo's world: six invented outlets, what they publish on a date, and their feeds.

The texts lie in ``sample/``. Seven sample days go round, so that the demo has news on whatever date it runs.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

SAMPLE_DAYS = 7
PICTURE_SIZE = (1200, 675)
PRESS_TIME = time(5, 0)  # an article's `hours` count back from here, local time

ATOM = "http://www.w3.org/2005/Atom"
DC = "http://purl.org/dc/elements/1.1/"
MEDIA = "http://search.yahoo.com/mrss/"

ET.register_namespace("atom", ATOM)
ET.register_namespace("dc", DC)
ET.register_namespace("media", MEDIA)


class FeedFormat(StrEnum):
    """What an outlet's feed is written in."""

    RSS = "rss"
    ATOM = "atom"
    JSON = "json"


@dataclass(frozen=True)
class Outlet:
    key: str
    name: str
    tagline: str
    town: str
    accent: str
    """A CSS color, "#1f4e5f"."""
    format: FeedFormat
    weight: float
    own: bool
    """Whether this is the newsroom's own paper; exactly one outlet is."""


@dataclass(frozen=True)
class Picture:
    key: str
    file: str
    alt: str
    caption: str
    credit: str


@dataclass(frozen=True)
class Article:
    outlet: str
    """The outlet's key."""
    day: date
    """The local date whose paper the article is in, which is also the date in its address. Most articles
    were published on the evening before."""
    slug: str
    event: str
    """Articles of several outlets with one event key are about the same event: what grouping should find."""
    section: str
    headline: str
    summary: str
    paragraphs: tuple[str, ...]
    author: str
    published_at: datetime
    picture: Picture | None
    position: int
    """The place in the outlet's feed among that day's articles, from 1."""


@functools.cache
def outlets() -> tuple[Outlet, ...]:
    """All outlets, the newsroom's own first."""
    return tuple(_outlet(entry) for entry in _toml("outlets.toml")["outlet"])


@functools.cache
def pictures() -> dict[str, Picture]:
    """All pictures by key."""
    return {entry["key"]: Picture(**entry) for entry in _toml("pictures.toml")["picture"]}


def articles(day: date, *, zone: ZoneInfo) -> tuple[Article, ...]:
    """What all outlets publish for the local date `day`, outlet by outlet, in the order of their feeds.

    The same date and zone always give the same articles; the texts return every seven days. What an outlet
    publishes in the last hours before 05:00 lies in the future for a caller who asks at midnight.
    """
    press = datetime.combine(day, PRESS_TIME, tzinfo=zone).astimezone(UTC)
    entries = _sample_day(day.toordinal() % SAMPLE_DAYS + 1)
    return tuple(
        _article(entry, day, press, position)
        for outlet in outlets()
        for position, entry in enumerate(_in_feed_order(outlet.key, entries), start=1)
    )


def feed_articles(outlet_key: str, today: date, *, zone: ZoneInfo) -> tuple[Article, ...]:
    """What the outlet's feed shows on `today`: that day's articles in feed order, then the day before's."""
    return tuple(
        article
        for day in (today, today - timedelta(days=1))
        for article in articles(day, zone=zone)
        if article.outlet == outlet_key
    )


def find_article(outlet_key: str, day: date, slug: str, *, zone: ZoneInfo) -> Article | None:
    for article in articles(day, zone=zone):
        if (article.outlet, article.slug) == (outlet_key, slug):
            return article
    return None


def picture_bytes(key: str) -> bytes:
    """The JPEG of a picture. Raises KeyError where there is no such picture."""
    return (_sample() / "pictures" / pictures()[key].file).read_bytes()


def slug_of(headline: str) -> str:
    """A headline as the last part of an address: lower-case ASCII words, joined by hyphens."""
    plain = unicodedata.normalize("NFKD", headline).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower().replace("'", "")).strip("-")


# Reading the sample


def _sample() -> Traversable:
    return files("newsletter.operations.demo") / "sample"


def _toml(path: str) -> dict[str, Any]:
    return tomllib.loads(_sample().joinpath(*path.split("/")).read_text("utf-8"))


@functools.cache
def _sample_day(number: int) -> tuple[dict[str, Any], ...]:
    """The articles of one sample day as written, each with what its event says of all of them."""
    return tuple(
        {"event": event["key"], "section": event["section"], "picture": event.get("picture"), **entry}
        for event in _toml(f"days/day{number}.toml")["event"]
        for entry in event["article"]
    )


def _outlet(entry: dict[str, Any]) -> Outlet:
    return Outlet(**{"own": False, **entry, "format": FeedFormat(entry["format"])})


def _article(entry: dict[str, Any], day: date, press: datetime, position: int) -> Article:
    return Article(
        outlet=entry["outlet"],
        day=day,
        slug=slug_of(entry["headline"]),
        event=entry["event"],
        section=entry["section"],
        headline=entry["headline"],
        summary=entry["summary"],
        paragraphs=tuple(" ".join(part.split()) for part in entry["body"].strip().split("\n\n")),
        author=entry["author"],
        published_at=press - timedelta(hours=entry["hours"]),
        picture=pictures()[entry["picture"]] if entry["picture"] else None,
        position=position,
    )


def _in_feed_order(outlet_key: str, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """As written, but an article with a `position` of its own stands there and pushes the others down."""
    ours = [entry for entry in entries if entry["outlet"] == outlet_key]
    order = [entry for entry in ours if "position" not in entry]
    placed = [entry for entry in ours if "position" in entry]
    for entry in sorted(placed, key=lambda entry: int(entry["position"])):
        order.insert(entry["position"] - 1, entry)
    return order


# Writing feeds


def article_url(article: Article, *, base_url: str) -> str:
    return f"{base_url}/demo/outlets/{article.outlet}/{article.day.isoformat()}/{article.slug}"


def picture_url(picture: Picture, *, base_url: str) -> str:
    return f"{base_url}/demo/pictures/{picture.file}"


def guid(article: Article) -> str:
    """The article's identity in feeds: a tag URI (RFC 4151), the same wherever the demo is served from."""
    return f"tag:demo.invalid,{article.day.isoformat()}:{article.outlet}/{article.slug}"


def feed_xml(outlet: Outlet, articles: Iterable[Article], *, base_url: str) -> tuple[str, str]:
    """The outlet's feed as (content type, document), in its own format: not XML where that is JSON Feed."""
    shown = tuple(articles)
    if outlet.format is FeedFormat.RSS:
        return "application/rss+xml; charset=utf-8", _document(_rss(outlet, shown, base_url))
    if outlet.format is FeedFormat.ATOM:
        return "application/atom+xml; charset=utf-8", _document(_atom(outlet, shown, base_url))
    return "application/feed+json; charset=utf-8", _json_feed(outlet, shown, base_url)


def _document(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _home(outlet: Outlet, base_url: str) -> str:
    return f"{base_url}/demo/outlets/{outlet.key}"


def _updated(articles: tuple[Article, ...]) -> Iterator[datetime]:
    """The time of the newest article, or nothing for an empty feed."""
    if articles:
        yield max(article.published_at for article in articles)


def _rss(outlet: Outlet, articles: tuple[Article, ...], base_url: str) -> ET.Element:
    """RSS 2.0, with Media RSS for the pictures and Dublin Core for the authors."""
    root = ET.Element("rss", version="2.0")
    channel = _add(root, "channel")
    _add(channel, "title", outlet.name)
    _add(channel, "link", _home(outlet, base_url))
    _add(channel, "description", outlet.tagline)
    _add(channel, "language", "en-us")
    for moment in _updated(articles):
        _add(channel, "lastBuildDate", format_datetime(moment))
    for article in articles:
        _rss_item(channel, article, base_url)
    return root


def _rss_item(channel: ET.Element, article: Article, base_url: str) -> None:
    item = _add(channel, "item")
    _add(item, "title", article.headline)
    _add(item, "link", article_url(article, base_url=base_url))
    _add(item, "guid", guid(article), isPermaLink="false")
    _add(item, "description", article.summary)
    _add(item, "pubDate", format_datetime(article.published_at))
    _add(item, f"{{{DC}}}creator", article.author)
    _add(item, "category", article.section)
    _media(item, article.picture, base_url)


def _media(item: ET.Element, picture: Picture | None, base_url: str) -> None:
    if picture is None:
        return
    width, height = (str(size) for size in PICTURE_SIZE)
    url = picture_url(picture, base_url=base_url)
    content = _add(item, f"{{{MEDIA}}}content", url=url, type="image/jpeg", medium="image", width=width, height=height)
    _add(content, f"{{{MEDIA}}}title", picture.caption)
    _add(content, f"{{{MEDIA}}}description", picture.alt)
    _add(content, f"{{{MEDIA}}}credit", picture.credit)


def _atom(outlet: Outlet, articles: tuple[Article, ...], base_url: str) -> ET.Element:
    """Atom 1.0 (RFC 4287), with Media RSS for the pictures."""
    feed = ET.Element(f"{{{ATOM}}}feed")
    _add(feed, f"{{{ATOM}}}id", f"tag:demo.invalid,2026:{outlet.key}")
    _add(feed, f"{{{ATOM}}}title", outlet.name)
    _add(feed, f"{{{ATOM}}}subtitle", outlet.tagline)
    _add(feed, f"{{{ATOM}}}link", rel="alternate", type="text/html", href=_home(outlet, base_url))
    for moment in _updated(articles):
        _add(feed, f"{{{ATOM}}}updated", moment.isoformat())
    for article in articles:
        _atom_entry(feed, article, base_url)
    return feed


def _atom_entry(feed: ET.Element, article: Article, base_url: str) -> None:
    entry = _add(feed, f"{{{ATOM}}}entry")
    url = article_url(article, base_url=base_url)
    _add(entry, f"{{{ATOM}}}id", guid(article))
    _add(entry, f"{{{ATOM}}}title", article.headline)
    _add(entry, f"{{{ATOM}}}link", rel="alternate", type="text/html", href=url)
    _add(entry, f"{{{ATOM}}}published", article.published_at.isoformat())
    _add(entry, f"{{{ATOM}}}updated", article.published_at.isoformat())
    _add(_add(entry, f"{{{ATOM}}}author"), f"{{{ATOM}}}name", article.author)
    _add(entry, f"{{{ATOM}}}category", term=article.section)
    _add(entry, f"{{{ATOM}}}summary", article.summary)
    _media(entry, article.picture, base_url)


def _json_feed(outlet: Outlet, articles: tuple[Article, ...], base_url: str) -> str:
    """JSON Feed 1.1; it has no field for what a picture shows and whose it is, so `_media` tells that."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": outlet.name,
        "home_page_url": _home(outlet, base_url),
        "description": outlet.tagline,
        "language": "en-US",
        "items": [_json_item(article, base_url) for article in articles],
    }
    return json.dumps(feed, ensure_ascii=False, indent=2) + "\n"


def _json_item(article: Article, base_url: str) -> dict[str, object]:
    item: dict[str, object] = {
        "id": guid(article),
        "url": article_url(article, base_url=base_url),
        "title": article.headline,
        "summary": article.summary,
        "content_text": "\n\n".join(article.paragraphs),
        "date_published": article.published_at.isoformat(),
        "authors": [{"name": article.author}],
        "tags": [article.section],
    }
    if article.picture:
        item["image"] = picture_url(article.picture, base_url=base_url)
        item["_media"] = {"description": article.picture.alt, "credit": article.picture.credit}
    return item
