"""Lists of feeds as OPML (https://opml.org/spec2.opml): octets in and out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from lxml import etree

from newsletter.foundation.errors import NewsletterError, NotFound
from newsletter.foundation.text import one_line

STARTERS = files("newsletter.stories") / "starters"


class NotAnOutline(NewsletterError):
    """It is no OPML file: {problem}."""


class StarterUnknown(NotFound):
    """There is no starter list “{name}”. There are: {known}."""


@dataclass(frozen=True)
class Outline:
    """A feed in a list. `section` is the name of the outline around it, or empty."""

    url: str
    outlet: str
    section: str = ""


def read(octets: bytes) -> list[Outline]:
    """The feeds of an OPML file, each address once, in its order. Entries without a web address are left out.

    Raises NotAnOutline.
    """
    return list(examine(octets).feeds)


@dataclass(frozen=True)
class Listing:
    """What an OPML file lists: feeds, each address once, and the names of entries that are none."""

    feeds: tuple[Outline, ...]
    unreadable: tuple[str, ...] = ()


def examine(octets: bytes) -> Listing:
    """The same with what could not be read. Raises NotAnOutline."""
    if b"<!ENTITY" in octets.replace(b"\0", b""):  # also in the two encodings that write a letter in several octets
        raise NotAnOutline(problem="it declares entities, which no list of feeds needs")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(octets, parser)
        declared = root.getroottree().docinfo.internalDTD  # whatever the file's encoding hid from the look above
        if declared is not None and any(declared.iterentities()):
            raise NotAnOutline(problem="it declares entities, which no list of feeds needs")
    except (etree.LxmlError, ValueError) as error:
        raise NotAnOutline(problem=error) from error
    body = root.find("body") if root.tag == "opml" else None
    if body is None:
        raise NotAnOutline(problem="it has no <opml> with a <body>")
    found: dict[str, Outline] = {}
    unreadable: list[str] = []
    for outline in _entries(body):
        if _is_web(outline.url):
            found.setdefault(outline.url, outline)
        else:
            unreadable.append(outline.outlet or outline.url[:200] or "An entry without a name")
    return Listing(tuple(found.values()), tuple(unreadable))


def _entries(body: etree._Element) -> Iterator[Outline]:
    """What is listed, in its order, with the name of the outline around it. What holds others and has no address is
    such a name itself. Without recursion, because a file may nest as deeply as it likes."""
    waiting = [(element, "") for element in reversed(body.findall("outline"))]
    while waiting:
        element, section = waiting.pop()
        name = one_line(element.get("text") or element.get("title") or "")
        url, inside = (element.get("xmlUrl") or "").strip(), element.findall("outline")
        if url or not inside:
            yield Outline(url, name[:200], section)
        waiting += [(one, section if url else name[:100]) for one in reversed(inside)]


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= 2000


def write(title: str, outlines: Iterable[Outline]) -> bytes:
    """An OPML 2.0 file; feeds with a section stand in an outline of that name."""
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = one_line(title)
    body = etree.SubElement(root, "body")
    sections: dict[str, etree._Element] = {"": body}
    for outline in outlines:
        if outline.section not in sections:
            sections[outline.section] = etree.SubElement(body, "outline", text=one_line(outline.section))
        names = {"text": one_line(outline.outlet), "title": one_line(outline.outlet)}
        etree.SubElement(sections[outline.section], "outline", {"type": "rss", **names, "xmlUrl": outline.url})
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True))


@cache
def starters() -> tuple[str, ...]:
    return tuple(sorted(file.name.removesuffix(".opml") for file in STARTERS.iterdir() if file.name.endswith(".opml")))


def starter(name: str) -> list[Outline]:
    """A list of feeds that comes with this program. Raises StarterUnknown."""
    if name not in starters():
        raise StarterUnknown(name=name, known=", ".join(starters()))
    return read((STARTERS / f"{name}.opml").read_bytes())
