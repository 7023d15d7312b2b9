"""The picture of each item of an XML feed, with its description and credit.

Media RSS (https://www.rssboard.org/media-rss) says them for a picture, for the group it is in, or for the whole item;
feedparser mixes them with the item's own title and summary, so they are taken out of the tree before it reads the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from mimetypes import guess_type
from urllib.parse import urlsplit

from lxml import etree

from newsletter.stories.items import Picture, whole_address
from newsletter.stories.mending import remove

NAMESPACES = ("http://search.yahoo.com/mrss/", "http://search.yahoo.com/mrss")
CONTENT, THUMBNAIL = "media:content", "media:thumbnail"
FACES = "gravatar.com"
"""Some feeds name the writer's face as the first picture."""


def take_pictures(items: Sequence[etree._Element]) -> list[Picture]:
    """The picture of each item; and the items lose all that they say of media."""
    pictures = [_picture(item) for item in items]
    for item in items:
        for element in [element for element in item.iterdescendants() if _name(element).startswith("media:")]:
            remove(element)
    return pictures


def _name(element: etree._Element) -> str:
    """The name with the usual prefix, also where a feed forgot to say what the prefix means."""
    tag = element.tag if isinstance(element.tag, str) else ""
    space, _, name = tag.rpartition("}")
    return f"media:{name}" if space[1:] in NAMESPACES else name


def _picture(item: etree._Element) -> Picture:
    """The best of an item's pictures: first those that are its content, of these the main one, or else the widest."""
    candidates = [element for element in item.iterdescendants() if _is_picture(element)]
    best = min(candidates, key=_rank, default=None)
    if best is None:
        return Picture()
    around = [best, *takewhile(lambda parent: parent is not item, best.iterancestors()), item]
    return Picture(
        url=_address(best),
        alt=best.get("title") or _said(around, "media:description", "media:text", "media:title"),
        credit=_said(around, "media:credit", "media:copyright"),
    )


def _is_picture(element: etree._Element) -> bool:
    name = _name(element)
    enclosed = name == "enclosure" or (name == "link" and element.get("rel") == "enclosure")
    if name not in (CONTENT, THUMBNAIL) and not enclosed:
        return False
    address = _address(element)
    parts = urlsplit(address)
    kind = element.get("type") or element.get("medium") or guess_type(parts.path)[0] or "image"
    return bool(address) and kind.lower().startswith("image") and not (parts.hostname or "").endswith(FACES)


def _address(element: etree._Element) -> str:
    written = element.get("url") or element.get("href") or (element.text or "" if _name(element) == THUMBNAIL else "")
    return whole_address(written, element.base or "")


def _rank(element: etree._Element) -> tuple[int, bool, int]:
    kind = {CONTENT: 0, THUMBNAIL: 2}.get(_name(element), 1)
    width = element.get("width") or ""
    return kind, element.get("isDefault") != "true", -int(width) if width.isdecimal() and len(width) < 6 else 0


def _said(around: Sequence[etree._Element], *names: str) -> str:
    """What is said of a picture under the first of these names that is there, as near to it as can be."""
    for element in around:
        for name in names:
            texts = [_text(child) for child in element if _name(child) == name]
            if said := ", ".join(dict.fromkeys(filter(None, texts))):
                return said
    return ""


def _text(element: etree._Element) -> str:
    text = "".join(map(str, element.itertext())).strip()
    try:  # feedparser mends this in all that it reads: UTF-8 that was taken for Latin-1 and encoded again
        return text.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        return text
