"""JSON Feed (https://www.jsonfeed.org/version/1.1/) into stories."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from newsletter.stories.items import (
    ITEMS_AT_MOST,
    Item,
    NotAFeed,
    ParsedFeed,
    ParsedStory,
    Picture,
    each_once,
    story_of,
    whole_address,
)
from newsletter.stories.markup import words_in


def read(body: bytes, url: str, now: datetime) -> ParsedFeed:
    """Whatever has the wrong type in it counts as not said. Raises NotAFeed."""
    try:
        feed = json.loads(body.decode("utf-8-sig"))
        items = feed["items"]
        if not isinstance(items, list):
            raise TypeError("items is no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAFeed(problem=f"it is no JSON Feed ({error})") from error
    stories = each_once(_stories(items[:ITEMS_AT_MOST], url, now))
    return ParsedFeed(words_in(_string(feed, "title")), stories, kind="JSON Feed")


def _stories(items: list[object], base: str, now: datetime) -> Iterator[ParsedStory | None]:
    for position, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            yield story_of(_item(item, base), base, position, now)


def _item(item: Mapping[str, Any], base: str) -> Item:
    tags = item.get("tags")
    return Item(
        id=_string(item, "id").strip(),
        link=_first(item, "url", "external_url"),
        title=_string(item, "title"),
        summary=_first(item, "summary", "content_text", "content_html"),
        author=_author(item),
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        picture=_picture(item, base),
        dates=[(text, None) for name in ("date_published", "date_modified") if (text := _string(item, name))],
    )


def _author(item: Mapping[str, Any]) -> str:
    names = [_string(author, "name") for author in _objects(item, "authors")]
    author = item.get("author")  # version 1.0
    return ", ".join(filter(None, names)) or (_string(author, "name") if isinstance(author, Mapping) else "")


def _picture(item: Mapping[str, Any], base: str) -> Picture:
    """The item's image; what an attachment of the same address, or the first that is a picture, says of it."""
    main = whole_address(_first(item, "image", "banner_image"), base)
    pictures = [
        Picture(whole_address(_string(attached, "url"), base), _string(attached, "title"))
        for attached in _objects(item, "attachments")
        if _string(attached, "mime_type").startswith("image/")
    ]
    attached = next(
        (picture for picture in pictures if picture.url and picture.url == (main or picture.url)), Picture()
    )
    return Picture(main or attached.url, attached.alt)


def _objects(item: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    values = item.get(key)
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _first(values: Mapping[str, Any], *keys: str) -> str:
    return next(filter(None, (_string(values, key) for key in keys)), "")


def _string(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return str(value) if isinstance(value, str | int | float) else ""
